//! What a node answers, and what only the leader does.

use super::standing::{Standing, is_for_strangers, standing};
use super::{AGREE_TIME, Inner, Me};
use crate::consensus::{self, Role};
use crate::control::{self, Ask, Told};
use crate::fabric::{Answer, BoxFuture, Caller, Lane, Who};
use crate::replication::{self, Said};
use regions::control_log::{Command, ControlLog, Refusal, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use threat::mutants::{Mutant, is_live};
use threat::{Text, ThreatId};
use tokio::time::timeout;

impl Answer for Inner {
    fn answer<'a>(&'a self, caller: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        Box::pin(async move {
            match caller.lane {
                Lane::Raft => self.responder.answer(caller.node, &request).await,
                Lane::Control => {
                    let told = match control::decode(&request) {
                        // Within the silence that ends a connection.
                        Ok(ask) => timeout(AGREE_TIME, self.control(caller, ask))
                            .await
                            .unwrap_or_else(|_| Told::Unknown("it took too long".into())),
                        Err(error) => Told::Refused(format!("not a message: {error}")),
                    };
                    control::encode(&told).unwrap_or_default()
                }
                Lane::Data => self.data.answer(caller, request).await,
                Lane::Gossip => self.replication.answer(caller, &request).await,
                Lane::Bulk => self.models.answer(caller, request).await,
            }
        })
    }
}

/// The incarnation of a node that has an id and was never there; it begins with 1.
const RESERVED: u64 = 0;

/// Why something was not done.
pub(super) enum Failure {
    Refused(String),
    Consensus(consensus::Error),
}

impl From<consensus::Error> for Failure {
    fn from(error: consensus::Error) -> Self {
        Self::Consensus(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

fn flags(log: &ControlLog) -> BTreeMap<String, String> {
    let flags = log.settings().flags().iter();
    flags.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

impl Inner {
    async fn control(&self, caller: &Caller, ask: Ask) -> Told {
        match self.consensus.read(|log| standing(log, caller)).1 {
            Ok(Standing::Stranger) if !is_for_strangers(&ask) => {
                return Told::Refused(format!("{} is no member here", caller.identity));
            }
            Ok(_) => {}
            Err(reason) => return Told::Refused(reason),
        }
        let done = match ask {
            Ask::Status { digest } => return Told::Status(Box::new(self.status(digest))),
            Ask::Propose(request) => match self.proposed(*request).await {
                Ok(reply) => return Told::Reply(reply),
                Err(failure) => Err(failure),
            },
            Ask::Flags { linearizable } if !linearizable || is_live(Mutant::StaleReadServed) => {
                let (applied, flags) = self.consensus.read(flags);
                return Told::Flags(applied, flags);
            }
            Ask::Threats(query) => {
                return Told::Threats(Box::new(self.replication.list(&query).await));
            }
            Ask::Handle { id, said } => return self.handle(caller, id, &said).await,
            Ask::Models(asked) => return Told::Models(self.models.answer(caller, asked).await),
            Ask::Snapshot => self.consensus.snapshot().await.map_err(Failure::from),
            Ask::Beat(beat) => return self.heard(caller, *beat),
            Ask::Regions => return Told::Regions(Box::new(self.regions())),
            _ if self.consensus.status().role != Role::Leader => return self.elsewhere(),
            Ask::Flags { .. } => match self.consensus.read_linearizable(AGREE_TIME, flags).await {
                Ok((applied, flags)) => return Told::Flags(applied, flags),
                Err(error) => Err(error.into()),
            },
            Ask::Id { address } => match self.reserve(caller, address).await {
                Ok(id) => return Told::Id(id),
                Err(failure) => Err(failure),
            },
            Ask::Arrive { id, .. } if id != caller.node => {
                Err(Failure::Refused(format!("node {} cannot arrive as {id}", caller.node)))
            }
            Ask::Arrive { id, address, incarnation, votes } => match &caller.identity.who {
                Who::Operator { .. } => Err(Failure::Refused("an operator is no node".into())),
                Who::Node { region, name } => {
                    let (region, name) = (region.clone(), name.clone());
                    self.take_in(Me { id, name, region, address, incarnation, votes }).await
                }
            },
            Ask::Promote(name) => self.votes(&name, true).await,
            Ask::Demote(name) => self.votes(&name, false).await,
            Ask::Remove(name) => self.remove(&name).await,
            Ask::Barred => return self.barred(),
            Ask::LeaderRegions => return Told::Regions(Box::new(self.regions())),
            Ask::WouldMove { region, order } => return self.would_move(&region, order),
            Ask::Release(given_up) => return self.released(caller, &given_up),
            Ask::Renew(renewals) => match self.renewed(caller, renewals).await {
                Ok((index, answers)) => return Told::Renewed(index, answers),
                Err(failure) => Err(failure),
            },
        };
        match done {
            Ok(()) => Told::Done,
            Err(Failure::Refused(reason)) => Told::Refused(reason),
            Err(Failure::Consensus(consensus::Error::NotLeader { .. })) => self.elsewhere(),
            Err(Failure::Consensus(consensus::Error::Members(reason))) => Told::Refused(reason),
            Err(Failure::Consensus(error)) => Told::Unknown(error.to_string()),
        }
    }

    async fn handle(&self, caller: &Caller, id: ThreatId, said: &Said) -> Told {
        match self.replication.handle(id, said).await {
            Ok(record) => {
                tracing::info!("{} handled threat {id}", caller.identity);
                Told::Threat(Box::new(record))
            }
            Err(replication::Error::Stopped) => Told::Unknown("this node is about to end".into()),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    /// Proposes what somebody asks for, unless the cluster could agree on nothing after it.
    async fn proposed(&self, request: Request) -> Result<Reply, Failure> {
        if let Command::Bar { name, operator: false } = &request.command {
            let voters = self.consensus.status().voters;
            let (_, (votes, left)) = self.consensus.read(|log| {
                let (present, barred) = (log.nodes().present(), log.barred().nodes());
                let name_of = |id: &u64| present.get(id).map(|n| &n.name);
                let votes = voters.iter().any(|id| name_of(id) == Some(name));
                let is_left = |n: &Text| n != name && !barred.contains(n);
                (votes, voters.iter().filter(|id| name_of(id).is_none_or(is_left)).count())
            });
            if votes && left <= voters.len() / 2 {
                return Err(Failure::Refused(format!(
                    "without {name}, {left} of {} voters are left, which agree on nothing; demote \
                     it first (`watchfire cluster demote {name}`)",
                    voters.len()
                )));
            }
        }
        Ok(self.propose(request).await?)
    }

    fn barred(&self) -> Told {
        let (_, (nodes, operators)) = self.consensus.read(|log| {
            let names = |of: &BTreeSet<Text>| of.iter().map(Text::to_string).collect();
            (names(log.barred().nodes()), names(log.barred().operators()))
        });
        Told::Barred(nodes, operators)
    }

    /// Where the leader is.
    fn elsewhere(&self) -> Told {
        let status = self.consensus.status();
        let id = status.leader.filter(|l| *l != self.me.id);
        let (_, known) = self.consensus.read(|log| {
            let present = log.nodes().present();
            id.and_then(|id| present.get(&id)).map(|n| n.address.to_string())
        });
        let leader = known.or_else(|| id.and_then(|id| status.members.get(&id).cloned()));
        Told::Elsewhere { leader }
    }

    /// Reserves an id that no node has or had for the name in a node's certificate. One that was
    /// reserved for it and never used is given again: its answer may have been lost.
    async fn reserve(&self, caller: &Caller, address: String) -> Result<u64, Failure> {
        let Who::Node { name, region } = &caller.identity.who else {
            return Err(Failure::Refused("an operator is no node".into()));
        };
        let _one = self.changing.lock().await;
        let (name, region) = (Text::from(&**name), Text::from(&**region));
        let free = self.consensus.read_linearizable(AGREE_TIME, |log| {
            let nodes = log.nodes();
            match nodes.present().iter().find(|(_, n)| n.name == name) {
                Some((id, n)) if n.incarnation == RESERVED => Ok((*id, false)),
                Some((id, _)) => Err(Failure::Refused(format!(
                    "{name} is a member already, with id {id}. If its files are lost, remove it \
                     first (`watchfire cluster remove {name}`); it then joins as a new node"
                ))),
                None => {
                    let last = nodes.present().keys().next_back().copied().unwrap_or_default();
                    let free = (last + 1..).find(|id| !nodes.has_left(*id));
                    Ok((free.unwrap_or(last + 1), true))
                }
            }
        });
        let (id, new) = free.await?.1?;
        if new {
            self.done(Command::AddRegion { region: region.clone() }).await?;
            let (address, incarnation) = (Text::from(address), RESERVED);
            self.done(Command::JoinNode { node: id, name, region, address, incarnation }).await?;
        }
        Ok(id)
    }

    /// Takes a node in, or notes that it is back: all steps, of which those that were done before
    /// change nothing.
    pub(super) async fn take_in(&self, node: Me) -> Result<(), Failure> {
        let _one = self.changing.lock().await;
        let (id, region) = (node.id, Text::from(&*node.region));
        self.done(Command::AddRegion { region: region.clone() }).await?;
        let (name, address) = (Text::from(&*node.name), Text::from(&*node.address));
        let incarnation = node.incarnation;
        self.done(Command::JoinNode { node: id, name, region, address, incarnation }).await?;
        let members = self.consensus.status().members;
        if !members.contains_key(&id) {
            self.consensus.add_learner(id, node.address).await?;
        }
        let mut voters = self.consensus.status().voters;
        if node.votes && voters.insert(id) {
            self.consensus.change_voters(voters).await?;
        }
        self.done(Command::AdmitNode { node: id }).await
    }

    async fn done(&self, command: Command) -> Result<(), Failure> {
        match self.command(command).await? {
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Ok(()),
        }
    }

    fn by_name(&self, name: &str) -> Result<u64, Failure> {
        let (_, (id, names)) = self.consensus.read(|log| {
            let present = log.nodes().present();
            let id = present.iter().find(|(_, n)| *n.name == *name).map(|(id, _)| *id);
            let names: Vec<String> = present.values().map(|n| n.name.to_string()).collect();
            (id, names.join(", "))
        });
        id.ok_or_else(|| Failure::Refused(format!("no member is named {name}; there are {names}")))
    }

    async fn votes(&self, name: &str, votes: bool) -> Result<(), Failure> {
        let _one = self.changing.lock().await;
        let id = self.by_name(name)?;
        let mut voters: BTreeSet<u64> = self.consensus.status().voters;
        let changed = if votes { voters.insert(id) } else { voters.remove(&id) };
        if voters.is_empty() {
            return Err(Failure::Refused(format!("{name} is the only voter")));
        }
        if changed {
            self.consensus.change_voters(voters).await?;
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        let id = self.by_name(name)?;
        if id == self.me.id {
            let reason = format!("{name} leads; demote it first, then another node does");
            return Err(Failure::Refused(reason));
        }
        if self.consensus.status().voters.contains(&id) {
            self.votes(name, false).await?;
        }
        let _empty = self.emptied(id).await;
        let _one = self.changing.lock().await;
        self.done(Command::LeaveNode { node: id }).await?;
        if self.consensus.status().members.contains_key(&id) {
            self.consensus.remove_learners(BTreeSet::from([id])).await?;
        }
        Ok(())
    }
}
