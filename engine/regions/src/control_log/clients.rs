//! What clients were told, so that a retry is done once (Ongaro, "Consensus: bridging theory and
//! practice", 2014, section 6.3).

use super::command::Client;
use super::limits::{CLIENTS, REPLIES_PER_CLIENT};
use super::reply::{Refusal, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::mutants::{Mutant, is_live};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    replies: BTreeMap<u64, Reply>,
    /// This sequence and those below are forgotten.
    forgotten: Option<u64>,
    /// The log index of its last new request.
    last: u64,
}

/// Replies by client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clients {
    all: BTreeMap<Client, Told>,
    /// The greatest `opened` of the clients that were forgotten.
    forgotten: Option<u64>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The reply of an earlier time, or that the request must not be done. `None` if it is new.
    pub(super) fn recall(&self, index: u64, client: Client, sequence: u64) -> Option<Reply> {
        if is_live(Mutant::RetryDoneTwice) {
            return None;
        }
        if let Some(told) = self.all.get(&client) {
            let forgotten = told.forgotten.is_some_and(|f| sequence <= f);
            let reply = told.replies.get(&sequence).cloned();
            return reply.or(forgotten.then_some(Reply::Refused(Refusal::Forgotten { sequence })));
        }
        if client.opened > index {
            return Some(Reply::Refused(Refusal::FutureClient(client)));
        }
        let older = self.forgotten.is_some_and(|f| client.opened <= f);
        older.then_some(Reply::Refused(Refusal::ForgottenClient(client)))
    }

    pub(super) fn remember(&mut self, index: u64, client: Client, sequence: u64, reply: Reply) {
        if !self.all.contains_key(&client) && self.all.len() >= CLIENTS {
            let silent = self.all.iter().min_by_key(|(c, told)| (told.last, **c)).map(|(c, _)| *c);
            if let Some(silent) = silent {
                self.all.remove(&silent);
                self.forgotten = self.forgotten.max(Some(silent.opened));
            }
        }
        let told = self.all.entry(client).or_default();
        told.last = index;
        told.replies.insert(sequence, reply);
        if told.replies.len() > REPLIES_PER_CLIENT {
            told.forgotten = told.replies.pop_first().map(|(s, _)| s).max(told.forgotten);
        }
    }
}
