//! An invitation within one process.

use super::super::memory::MemoryTransport;
use super::super::tls::Credentials;
use super::*;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(10);

struct World {
    net: MemoryTransport,
    authority: authority::Made,
    inviter: Arc<Inviter>,
    token: Token,
    run: JoinHandle<Result<(), Error>>,
}

fn identity() -> Identity {
    Identity::node("acme", "eu", "eu-4").unwrap()
}

fn inviter(made: &authority::Made, secret: u8) -> Inviter {
    let invitation = Invitation {
        authorities: made.certificate.clone(),
        authority_key: made.key.clone(),
        identity: identity(),
        life: authority::CERTIFICATE_LIFE,
        settings: Settings {
            seeds: vec!["eu-1:7800".into()],
            votes: true,
            profile: "wan80".into(),
        },
    };
    Inviter::new(invitation, Secret([secret; 16]), SystemTime::now()).unwrap()
}

impl World {
    fn new() -> Self {
        let net = MemoryTransport::default();
        let authority = authority::found("acme", SystemTime::now()).unwrap();
        let inviter = Arc::new(inviter(&authority, 1));
        let token = inviter.token("ca", SystemTime::now() + LONG);
        // Through its word, as a person carries it.
        let token = token.to_string().parse().unwrap();
        let listener = Box::new(net.listen("ca"));
        let run = tokio::spawn(Arc::clone(&inviter).run(listener, SystemTime::now));
        Self { net, authority, inviter, token, run }
    }

    async fn ask(&self, token: &Token, pair: &authority::Pair) -> Result<(Welcome, LetIn), Error> {
        ask(&self.net, token, &pair.public_key).await
    }

    async fn ends(self) -> Result<(), Error> {
        timeout(LONG, self.run).await.expect("it goes on").unwrap()
    }
}

#[tokio::test]
async fn a_token_lets_one_node_in_under_its_name_once() {
    let world = World::new();
    let (pair, other) = (authority::pair().unwrap(), authority::pair().unwrap());
    let (welcome, _lost) = world.ask(&world.token, &pair).await.unwrap();
    let shown = Credentials::of_pem(&welcome.authorities, &welcome.certificate, &pair.key).unwrap();
    assert_eq!(*shown.identity(), identity());
    assert_eq!(welcome.settings, world.inviter.invitation.settings);
    // The certificate is of this key, not of any.
    assert!(Credentials::of_pem(&welcome.authorities, &welcome.certificate, &other.key).is_err());
    let again = world.ask(&world.token, &other).await.map(|_| ());
    assert!(matches!(again, Err(Error::Refused(Refusal::Used))), "{again:?}");
    // An answer that was lost is given again, to the same key.
    let (_, let_in) = world.ask(&world.token, &pair).await.unwrap();
    let_in.stored().await;
    world.ends().await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_few_of_them_end_it() {
    let world = World::new();
    let pair = authority::pair().unwrap();
    let mut wrong = world.token.clone();
    wrong.secret.0[15] ^= 1;
    for _ in 0..WRONG {
        let refused = world.ask(&wrong, &pair).await.map(|_| ());
        assert!(matches!(refused, Err(Error::Refused(Refusal::Wrong))), "{refused:?}");
    }
    // Who has the right one comes too late, whether it ends before or after.
    assert!(world.ask(&world.token, &pair).await.is_err());
    assert!(matches!(world.ends().await, Err(Error::Guessed)));
}

#[tokio::test]
async fn nothing_is_told_to_who_is_not_the_authority_of_the_token() {
    let world = World::new();
    let pair = authority::pair().unwrap();
    let mut flipped = world.token.clone();
    flipped.pin[0] ^= 1;
    // An authority of the same name that is another one.
    let imposter = authority::found("acme", SystemTime::now()).unwrap();
    let imposter = Arc::new(inviter(&imposter, 1));
    let told = tokio::spawn(imposter.run(Box::new(world.net.listen("imposter")), SystemTime::now));
    let elsewhere = Token { address: "imposter".into(), ..world.token.clone() };
    for token in [&flipped, &elsewhere] {
        let refused = world.ask(token, &pair).await.map(|_| ());
        assert!(matches!(refused, Err(Error::NotTheAuthority { .. })), "{refused:?}");
    }
    assert!(!told.is_finished());
    // A node of the cluster, whose certificate is of the right authority.
    let now = SystemTime::now();
    let made = authority::issue(&world.authority.key, &identity(), now, LONG).unwrap();
    let (acceptor, name) = (node_acceptor(&world.authority, &made), "a-node");
    let mut listener = world.net.listen(name);
    let node = tokio::spawn(async move {
        let stream = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(|_| ())
    });
    let token = Token { address: name.into(), ..world.token.clone() };
    let refused = world.ask(&token, &pair).await.map(|_| ());
    assert!(matches!(refused, Err(Error::NotTheAuthority { .. })), "{refused:?}");
    assert!(node.await.unwrap().is_err());
    // Somebody who ends the connection, or is not there.
    let nowhere = Token { address: "nowhere".into(), ..world.token.clone() };
    let refused = world.ask(&nowhere, &pair).await.map(|_| ());
    assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
}

/// What a node that turned bad would show: the chain that is asked for, under its own name.
fn node_acceptor(authority: &authority::Made, made: &authority::Made) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate =
        |of: &authority::Made| CertificateDer::from_pem_slice(of.certificate.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate(made), certificate(authority)], key)
        .unwrap();
    config.alpn_protocols = vec![b"watchfire-join/1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn garbage_and_idle_connections_keep_no_node_out() {
    let world = World::new();
    let pair = authority::pair().unwrap();
    let mut held = Vec::new();
    for n in 0..3 * TALKS {
        let mut stream = world.net.connect("ca").await.unwrap();
        if n % 2 == 0 {
            stream.write_all(&[n as u8; 300]).await.unwrap();
        }
        held.push(stream);
    }
    // Within TLS, too: no message, and a key that is none.
    for request in [vec![9; 40], request(&world.token, vec![4; 64]), vec![0; 0]] {
        let Client { connector, name } = tls::client(world.token.pin).unwrap();
        let stream = world.net.connect("ca").await.unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        frame::write_bytes(&mut stream, &request, REQUEST_BYTES).await.unwrap();
        stream.flush().await.unwrap();
        let answer = timeout(LONG, frame::read_bytes(&mut stream, ANSWER_BYTES)).await.unwrap();
        assert!(!matches!(answer, Ok(Some(_))), "{answer:?}");
    }
    let (_, let_in) = world.ask(&world.token, &pair).await.unwrap();
    let_in.stored().await;
    world.ends().await.unwrap();
}

fn request(token: &Token, public_key: Vec<u8>) -> Vec<u8> {
    codec::encode(FORMAT, &Request { secret: token.secret, public_key }).unwrap()
}

#[test]
fn an_operator_and_a_key_of_another_authority_make_no_invitation() {
    let [one, other] = [(); 2].map(|()| authority::found("acme", SystemTime::now()).unwrap());
    let make = |identity, key: &str| {
        let settings = Settings { seeds: vec![], votes: false, profile: "lan".into() };
        let invitation = Invitation {
            authorities: one.certificate.clone(),
            authority_key: key.into(),
            identity,
            life: LONG,
            settings,
        };
        Inviter::new(invitation, Secret([0; 16]), SystemTime::now()).map(|_| ())
    };
    assert!(make(identity(), &one.key).is_ok());
    let differ = make(identity(), &other.key).unwrap_err();
    assert!(differ.to_string().contains("differ"), "{differ}");
    assert!(make(Identity::operator("acme", "me").unwrap(), &one.key).is_err());
}
