//! Joining with a token: a new node that has nothing yet gets its certificate over the network.
//!
//! Whoever has the authority's key invites one node by name ([`Inviter`]) and hands its token over
//! by another way. The new node makes its key, dials the token's address, believes the authority
//! whose hash is in the token and nobody else, and shows the token's secret with its public key
//! ([`ask`]). It gets a certificate for the name of the invitation, whatever it asks for. The first
//! key that comes with the secret has the invitation; the same key may ask again, as an answer may
//! be lost.

mod tls;
mod token;

use super::authority;
use super::error::Error as LinkError;
use super::frame;
use super::identity::{Identity, Who};
use super::limits::ACCEPT_PAUSE;
use super::transport::{BoxStream, Listener, Transport};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use threat::codec;
use tls::Client;
pub use token::{Secret, Token};
use tokio::io::AsyncWriteExt as _;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

/// The format of the messages.
const FORMAT: u8 = 1;

/// How long the certificate of who invites is believed; an invitation is over before.
const INVITER_LIFE: Duration = Duration::from_secs(2 * 24 * 3600);

/// Bytes of a request: a secret and a public key take about a hundred.
const REQUEST_BYTES: usize = 512;

/// Bytes of an answer: certificates, of two authorities at most, and some addresses.
const ANSWER_BYTES: usize = 64 << 10;

/// Time of one connection, from its first byte to the word that all has been stored.
const TALK_TIME: Duration = Duration::from_secs(20);

/// Connections at a time. One more ends the oldest, so that who holds some open keeps nobody out.
const TALKS: usize = 16;

/// Wrong secrets after which an invitation is over. A person copies a word wrong once or twice, and
/// then its own hash tells; who guesses 128 bits needs more.
const WRONG: u32 = 5;

/// Why nobody joined, or why a node did not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is cut or changed.
    #[error("the token is not whole: copy all of the word that `watchfire ca invite` has printed")]
    Garbled,
    /// The token was printed by another build.
    #[error("the token is of version {0}, which this build does not know: take the build of both")]
    Version(u8),
    /// Nobody is there.
    #[error(
        "{address} does not answer: {reason}. `watchfire ca invite` has to run there, within reach \
         of this machine, until this node has its certificate"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// Somebody else is there.
    #[error(
        "what answers at {address} is not the authority that the token names, and was told \
         nothing: {reason}"
    )]
    NotTheAuthority {
        /// Where.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The other side does not take the token.
    #[error("the token is refused: {0}")]
    Refused(Refusal),
    /// Too many wrong secrets came.
    #[error(
        "{WRONG} wrong tokens came: somebody else tries to join. The invitation is over; make \
         a new one, within reach of the new node alone"
    )]
    Guessed,
    /// A certificate or key.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// TLS did not come about.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// Bytes that are no message.
    #[error("not a message: {0}")]
    Codec(#[from] codec::Error),
    /// The connection ended or failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It is of another invitation.
    #[error("it is not the one of the invitation that runs there; copy the one it has printed")]
    Wrong,
    /// Another key has the invitation.
    #[error("it was used already; make a new one with `watchfire ca invite`")]
    Used,
}

/// What a node is told besides its certificate: what its configuration needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Nodes that know the cluster.
    pub seeds: Vec<String>,
    /// Whether it is to vote.
    pub votes: bool,
    /// Timeouts of consensus, by their name.
    pub profile: String,
}

/// All that a new node gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The authorities to believe, PEM.
    pub authorities: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The rest.
    pub settings: Settings,
}

#[derive(Serialize, Deserialize)]
struct Request {
    secret: Secret,
    public_key: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Welcome(Box<Welcome>),
    Refused(Refusal),
}

/// Whom to let in.
pub struct Invitation {
    /// The authorities that are believed, PEM, the one that signs first.
    pub authorities: String,
    /// The key of that one, PEM.
    pub authority_key: String,
    /// Who the new node will be.
    pub identity: Identity,
    /// How long its certificate is believed.
    pub life: Duration,
    /// What else it is told.
    pub settings: Settings,
}

/// What became of an invitation so far.
#[derive(Default)]
struct State {
    /// The public key that has it.
    taken_by: Option<Vec<u8>>,
    wrong: u32,
}

/// Lets one node in.
pub struct Inviter {
    invitation: Invitation,
    secret: Secret,
    pin: [u8; 32],
    acceptor: TlsAcceptor,
    state: Mutex<State>,
}

impl Inviter {
    /// An invitation with a secret that nobody else knows.
    ///
    /// # Errors
    /// [`Error::Link`] for certificates and keys that cannot be used or do not belong together.
    pub fn new(invitation: Invitation, secret: Secret, now: SystemTime) -> Result<Self, Error> {
        if !matches!(invitation.identity.who, Who::Node { .. }) {
            return Err(LinkError::NotANode(invitation.identity.to_string()).into());
        }
        let made = authority::issue_inviter(
            &invitation.authority_key,
            &invitation.identity.cluster,
            tls::NAME,
            (now, INVITER_LIFE),
        )?;
        let (acceptor, pin) = tls::acceptor(&invitation.authorities, &made, now)?;
        Ok(Self { invitation, secret, pin, acceptor, state: Mutex::default() })
    }

    /// The token for the new node, which reaches this side at `address`.
    pub fn token(&self, address: &str, expires: SystemTime) -> Token {
        let since = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (pin, secret) = (self.pin, self.secret);
        Token { address: address.to_owned(), expires: since.as_secs(), pin, secret }
    }

    /// Answers until the node has stored what it got.
    ///
    /// # Errors
    /// [`Error::Guessed`]. What goes wrong on one connection ends that one alone.
    pub async fn run(
        self: Arc<Self>,
        mut listener: Box<dyn Listener>,
        now: fn() -> SystemTime,
    ) -> Result<(), Error> {
        let mut talks = JoinSet::new();
        let mut running: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                stream = listener.accept() => {
                    let Ok(stream) = stream else {
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    running.retain(|talk| !talk.is_finished());
                    if running.len() >= TALKS && let Some(oldest) = running.pop_front() {
                        oldest.abort();
                    }
                    let inviter = Arc::clone(&self);
                    running.push_back(talks.spawn(async move {
                        timeout(TALK_TIME, inviter.talk(stream, now())).await
                    }));
                }
                Some(ended) = talks.join_next() => {
                    if self.state().wrong >= WRONG {
                        return Err(Error::Guessed);
                    }
                    match ended {
                        Ok(Ok(Ok(true))) => return Ok(()),
                        Ok(Ok(Err(error))) => tracing::info!("not the new node: {error}"),
                        _ => {}
                    }
                }
            }
        }
    }

    /// One connection; whether the node has stored what it got.
    async fn talk(&self, stream: BoxStream, now: SystemTime) -> Result<bool, Error> {
        let mut stream = self.acceptor.accept(stream).await?;
        let ended = || LinkError::Io(std::io::ErrorKind::UnexpectedEof.into());
        let bytes = frame::read_bytes(&mut stream, REQUEST_BYTES).await?.ok_or_else(ended)?;
        let request: Request = codec::decode(FORMAT, &bytes)?;
        let Invitation { authorities, authority_key, identity, life, settings } = &self.invitation;
        // First: a key that is none takes no invitation.
        authority::check_public_key(&request.public_key)?;
        let answer = match self.admit(&request) {
            Ok(()) => Answer::Welcome(Box::new(Welcome {
                authorities: authorities.clone(),
                certificate: authority::sign(
                    authority_key,
                    identity,
                    &request.public_key,
                    (now, *life),
                )?,
                settings: settings.clone(),
            })),
            Err(refusal) => Answer::Refused(refusal),
        };
        let bytes = codec::encode(FORMAT, &answer)?;
        frame::write_bytes(&mut stream, &bytes, ANSWER_BYTES).await?;
        stream.flush().await?;
        if matches!(answer, Answer::Refused(_)) {
            stream.shutdown().await?;
            return Ok(false);
        }
        // An empty frame says that it is stored.
        Ok(frame::read_bytes(&mut stream, 0).await?.is_some())
    }

    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let mut state = self.state();
        // The secret first: who does not have it learns nothing else.
        if state.wrong >= WRONG || !self.secret.is(&request.secret) {
            state.wrong = state.wrong.saturating_add(1);
            return Err(Refusal::Wrong);
        }
        let taken_by = state.taken_by.get_or_insert_with(|| request.public_key.clone());
        if *taken_by == request.public_key { Ok(()) } else { Err(Refusal::Used) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inviter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inviter").field(&self.invitation.identity).finish()
    }
}

/// The connection over which a node was let in, until it has stored what it got.
pub struct LetIn(TlsStream<BoxStream>);

impl LetIn {
    /// Says that it is stored. It need not arrive.
    pub async fn stored(mut self) {
        let said = async {
            frame::write_bytes(&mut self.0, &[], 0).await?;
            self.0.flush().await?;
            Ok::<(), LinkError>(self.0.shutdown().await?)
        };
        let _ = timeout(TALK_TIME, said).await;
    }
}

/// Asks to be let in, with the public key of this node.
///
/// # Errors
/// Any [`Error`] that is of the asking side. Asking again with the same key is safe.
pub async fn ask(
    transport: &dyn Transport,
    token: &Token,
    public_key: &[u8],
) -> Result<(Welcome, LetIn), Error> {
    let address = &token.address;
    let unreachable = |reason: String| Error::Unreachable { address: address.clone(), reason };
    let asking = async {
        let stream = transport.connect(address).await.map_err(|e| unreachable(e.to_string()))?;
        let Client { connector, name } = tls::client(token.pin)?;
        let mut stream = connector.connect(name, stream).await.map_err(|e| {
            Error::NotTheAuthority { address: address.clone(), reason: e.to_string() }
        })?;
        let request = Request { secret: token.secret, public_key: public_key.to_vec() };
        frame::write_bytes(&mut stream, &codec::encode(FORMAT, &request)?, REQUEST_BYTES).await?;
        stream.flush().await?;
        let bytes = frame::read_bytes(&mut stream, ANSWER_BYTES).await?;
        let bytes = bytes.ok_or_else(|| unreachable("it ended the connection".into()))?;
        match codec::decode(FORMAT, &bytes)? {
            Answer::Welcome(welcome) => Ok((*welcome, LetIn(stream))),
            Answer::Refused(refusal) => Err(Error::Refused(refusal)),
        }
    };
    let late = || Err(unreachable("no answer in time".into()));
    timeout(TALK_TIME, asking).await.unwrap_or_else(|_| late())
}

#[cfg(test)]
mod tests;
