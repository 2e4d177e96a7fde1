//! Joining with a token, on this host: sockets, files, the clock and randomness.

use super::cluster_files::{self, credentials, node_config, now, write};
use super::tcp::{Door, Tcp};
use crate::membership::config::{self, NodeConfig, Template};
pub use cluster::fabric::joining::Token;
use cluster::fabric::joining::{self, Inviter, Secret, Settings, ask};
use cluster::fabric::{Credentials, Identity, Who, authority};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The file of a node's configuration in its folder.
pub const CONFIG: &str = "node.toml";

/// How often a node asks to be let in: an answer may be lost.
const TRIES: usize = 3;

/// Why nobody joined, or why this node did not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was said between the two sides.
    #[error(transparent)]
    Joining(#[from] joining::Error),
    /// The time of the token is over, by this machine's clock.
    #[error("the token's time was over {0} s ago; make a new one with `watchfire ca invite`. {1}")]
    Expired(u64, joining::Error),
    /// A file.
    #[error(transparent)]
    Files(#[from] cluster_files::Error),
    /// The folder is in use.
    #[error(
        "{path} is there already: take another --folder, or run the node that it is of \
         (`watchfire node --config {CONFIG}` there)", path = .0.display()
    )]
    There(PathBuf),
    /// What came is no configuration of a node.
    #[error("no node comes of this, and nothing was written: {0}")]
    Content(String),
    /// It cannot listen, or there is no randomness.
    #[error("{what}: {error}")]
    Host {
        /// What was wanted.
        what: String,
        /// Why not.
        error: io::Error,
    },
}

fn host(what: &str) -> impl Fn(io::Error) -> Error {
    move |error| Error::Host { what: what.to_owned(), error }
}

/// Whom to invite, and how.
pub struct Invite {
    /// The authorities that are believed, PEM, the one that signs first.
    pub authorities: String,
    /// The key of that one, PEM.
    pub authority_key: String,
    /// Who the new node will be.
    pub identity: Identity,
    /// How long its certificate is believed.
    pub life: Duration,
    /// Nodes that know the cluster.
    pub seeds: Vec<String>,
    /// Whether the new node is to vote.
    pub votes: bool,
    /// Timeouts of consensus, by their name.
    pub profile: String,
    /// Where to listen.
    pub listen: String,
    /// Where the new node reaches this machine, if it is not there.
    pub advertise: Option<String>,
    /// How long the token is good.
    pub within: Duration,
}

/// An invitation that is being kept open.
pub struct Open {
    /// The token to hand over.
    pub token: Token,
    inviter: Arc<Inviter>,
    door: Door,
}

impl Invite {
    /// Listens, and makes the token.
    ///
    /// # Errors
    /// [`Error::Joining`], [`Error::Host`].
    pub async fn open(self) -> Result<Open, Error> {
        let door = Door::bind(&self.listen).await.map_err(host(&self.listen))?;
        let bound = door.address().map_err(host(&self.listen))?;
        let seed = self.seeds.first().map_or("", String::as_str);
        let address = self.advertise.unwrap_or_else(|| reached_at(bound, seed));
        let (seeds, votes, profile) = (self.seeds, self.votes, self.profile);
        let settings = Settings { seeds, votes, profile };
        // What the new node could not use is told here.
        checked(&template(&self.identity, &settings, &address, None)?)?;
        let invitation = joining::Invitation {
            authorities: self.authorities,
            authority_key: self.authority_key,
            identity: self.identity,
            life: self.life,
            settings,
        };
        let inviter = Arc::new(Inviter::new(invitation, secret()?, now())?);
        let token = inviter.token(&address, now() + self.within);
        Ok(Open { token, inviter, door })
    }
}

impl Open {
    /// Answers until the node has its certificate on its disk.
    ///
    /// # Errors
    /// [`Error::Joining`] after too many wrong tokens.
    pub async fn until_used(self) -> Result<(), Error> {
        Ok(self.inviter.run(Box::new(self.door), now).await?)
    }
}

/// 128 bits from the host's entropy.
fn secret() -> Result<Secret, Error> {
    let (mut bytes, source) = ([0; 16], "/dev/urandom");
    let mut file = std::fs::File::open(source).map_err(host(source))?;
    file.read_exact(&mut bytes).map_err(host(source))?;
    Ok(Secret(bytes))
}

/// Where others reach what is bound here: where it is bound, or if that is everywhere, the address
/// of this machine on its way to `other`. Nothing is sent.
fn reached_at(bound: SocketAddr, other: &str) -> String {
    let mut reached = bound;
    if bound.ip().is_unspecified() {
        let on_the_way = || {
            let to = other.to_socket_addrs().ok()?.find(SocketAddr::is_ipv4)?;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
            socket.connect(to).ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        reached.set_ip(on_the_way().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    reached.to_string()
}

/// Where a new node shall be, and where it listens.
pub struct Join {
    /// Its folder, which is made.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: String,
    /// Where others reach it, if it is not there.
    pub advertise: Option<String>,
}

/// What a new node has got.
#[derive(Debug)]
pub struct Joined {
    /// The file of its configuration.
    pub config: PathBuf,
    /// Who it is.
    pub identity: Identity,
    /// Where others will reach it.
    pub address: String,
}

/// Gets a certificate with the token and writes the folder of a new node. Its key does not leave
/// this machine.
///
/// # Errors
/// Any [`Error`]; of those before the first file is written nothing is left behind.
pub async fn join(token: &str, to: &Join) -> Result<Joined, Error> {
    let token: Token = token.parse()?;
    let file = to.folder.join(CONFIG);
    for path in [&file, &to.folder.join("ca.pem")] {
        if path.exists() {
            return Err(Error::There(path.clone()));
        }
    }
    // Before the token is used up.
    for (field, address) in [("--listen", Some(&to.listen)), ("--advertise", to.advertise.as_ref())]
    {
        address.map_or(Ok(()), |a| config::address(field, a)).map_err(|e| content(&e))?;
    }
    let pair = authority::pair().map_err(joining::Error::from)?;
    let (welcome, let_in) = let_in(&token, &pair).await?;
    let shown = Credentials::of_pem(&welcome.authorities, &welcome.certificate, &pair.key)
        .map_err(|e| content(&e))?;
    let identity = shown.identity().clone();
    let template =
        template(&identity, &welcome.settings, &to.listen, advertised(to, &token.address))?;
    checked(&template)?;
    let name = &template.name;
    let of = |extension: &str| to.folder.join(format!("{name}.{extension}"));
    if name == "ca" || of("key").exists() {
        return Err(Error::There(of("key")));
    }
    write(&of("key"), pair.key.as_bytes(), true)?;
    write(&of("pem"), welcome.certificate.as_bytes(), false)?;
    write(&to.folder.join("ca.pem"), welcome.authorities.as_bytes(), false)?;
    // Last: a folder with it is whole.
    write(&file, template.text().as_bytes(), false)?;
    credentials(&node_config(&file)?.tls)?;
    let_in.stored().await;
    let address = template.advertise.unwrap_or(template.listen);
    Ok(Joined { config: file, identity, address })
}

fn content(e: &dyn std::fmt::Display) -> Error {
    Error::Content(e.to_string())
}

/// The configuration of a new node.
fn template(
    identity: &Identity,
    settings: &Settings,
    listen: &str,
    advertise: Option<String>,
) -> Result<Template, Error> {
    let Who::Node { region, name } = &identity.who else {
        return Err(content(&format!("{identity} is no node")));
    };
    Ok(Template {
        cluster: identity.cluster.clone(),
        region: region.clone(),
        name: name.clone(),
        listen: listen.to_owned(),
        advertise,
        seeds: settings.seeds.clone(),
        votes: settings.votes,
        profile: settings.profile.clone(),
        wan_ms: 0,
    })
}

/// Reads it as the node will.
fn checked(template: &Template) -> Result<(), Error> {
    NodeConfig::parse(&template.text()).map_err(|e| content(&e))?;
    Ok(())
}

/// An address that means every one of this machine is none for others.
fn advertised(to: &Join, other: &str) -> Option<String> {
    let bound = to.listen.parse::<SocketAddr>().ok().filter(|a| a.ip().is_unspecified());
    to.advertise.clone().or_else(|| bound.map(|bound| reached_at(bound, other)))
}

async fn let_in(
    token: &Token,
    pair: &authority::Pair,
) -> Result<(joining::Welcome, joining::LetIn), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match ask(&Tcp, token, &pair.public_key).await {
            Ok(let_in) => return Ok(let_in),
            Err(error) => error,
        };
        // What was lost on the way is asked for again, under the same key.
        let lost = matches!(error, joining::Error::Io(_) | joining::Error::Link(_));
        if lost && tries < TRIES {
            continue;
        }
        let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return Err(match since.as_secs().checked_sub(token.expires) {
            Some(late) if matches!(error, joining::Error::Unreachable { .. }) => {
                Error::Expired(late, error)
            }
            _ => error.into(),
        });
    }
}
