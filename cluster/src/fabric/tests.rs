//! The fabric within one process: members reach one another, others reach nothing.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(3);

/// An authority and what it makes.
struct Cluster {
    name: &'static str,
    authority: authority::Made,
}

impl Cluster {
    fn new(name: &'static str) -> Self {
        Self { name, authority: authority::found(name, SystemTime::now()).unwrap() }
    }

    fn made(&self, identity: &Identity, at: SystemTime, life: Duration) -> Credentials {
        let made = authority::issue(&self.authority.key, identity, at, life).unwrap();
        Credentials::of_pem(&self.authority.certificate, &made.certificate, &made.key).unwrap()
    }

    fn node(&self, name: &str) -> Credentials {
        let identity = Identity::node(self.name, "eu", name).unwrap();
        self.made(&identity, SystemTime::now(), authority::CERTIFICATE_LIFE)
    }

    fn operator(&self) -> Credentials {
        let identity = Identity::operator(self.name, "laptop").unwrap();
        self.made(&identity, SystemTime::now(), authority::CERTIFICATE_LIFE)
    }
}

/// Says who asked, and how much; sleeps on `s`, and for ever on `never`.
#[derive(Default)]
struct Echo(AtomicUsize);

impl Answer for Echo {
    fn answer<'a>(&'a self, caller: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match &request[..] {
                b"never" => std::future::pending().await,
                b"s" => sleep(Duration::from_millis(200)).await,
                _ => {}
            }
            let said = format!("{} {} {}", caller.identity, caller.node, request.len());
            said.into_bytes()
        })
    }
}

struct Node {
    fabric: Fabric,
    gate: Gate,
    echo: Arc<Echo>,
}

fn node(net: &MemoryTransport, credentials: Credentials, id: u64, address: &str) -> Node {
    let fabric = Fabric::new(credentials, Arc::new(net.clone()), None, id);
    fabric.is_node(id);
    let echo = Arc::new(Echo::default());
    let gate = Gate::open(&fabric, Box::new(net.listen(address)), echo.clone());
    Node { fabric, gate, echo }
}

async fn ask(fabric: &Fabric, expected: u64, lane: Lane, body: &[u8]) -> Result<String, Error> {
    let answer = fabric.ask("b", expected, lane, body.to_vec(), SOON).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn members_ask_and_answer_in_any_order() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let a = node(&net, cluster.node("one"), 1, "a");
    let b = node(&net, cluster.node("two"), 2, "b");
    let slow = ask(&a.fabric, 2, Lane::Raft, b"s");
    let quick = async {
        let said = ask(&a.fabric, 2, Lane::Raft, &[0; 3_000_000]).await.unwrap();
        (said, Instant::now())
    };
    let (slow, (quick, at)) = tokio::join!(async { (slow.await.unwrap(), Instant::now()) }, quick);
    assert_eq!(slow.0, "spiffe://acme/node/eu/one 1 1");
    assert_eq!(quick, "spiffe://acme/node/eu/one 1 3000000");
    assert!(at < slow.1, "the quick one had to wait");
    // Another lane is another connection; another node than was meant is an error.
    ask(&a.fabric, 0, Lane::Bulk, b"x").await.unwrap();
    let other = ask(&a.fabric, 3, Lane::Raft, b"x").await;
    assert!(matches!(other, Err(Error::OtherNode { found: 2, expected: 3 })), "{other:?}");
    let long = a.fabric.ask("b", 2, Lane::Raft, vec![0; limits::FRAME_BYTES], SOON).await;
    assert!(matches!(long, Err(Error::TooLarge { .. })));
    assert_eq!((b.gate.counts().greeted, b.echo.0.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn a_node_that_gets_an_id_says_it_on_all_connections() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let a = Fabric::new(cluster.node("one"), Arc::new(net.clone()), None, 1);
    let _b = node(&net, cluster.node("two"), 2, "b");
    let said = |id: u64| format!("spiffe://acme/node/eu/one {id} 1");
    assert_eq!(ask(&a, 0, Lane::Control, b"x").await.unwrap(), said(0));
    a.is_node(7);
    assert_eq!(ask(&a, 0, Lane::Control, b"x").await.unwrap(), said(7));
}

#[tokio::test]
async fn strangers_get_nothing_decoded() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let b = node(&net, cluster.node("two"), 2, "b");
    let (imposter, other) = (Cluster::new("acme"), Cluster::new("other"));
    let mut strangers = vec![imposter.node("one"), other.node("one")];
    // Of the right authority, but for another cluster, and one that is over.
    let foreign = Identity::node("other", "eu", "one").unwrap();
    let now = SystemTime::now();
    strangers.push(cluster.made(&foreign, now, SOON));
    let over = Identity::node("acme", "eu", "one").unwrap();
    let day = Duration::from_secs(86_400);
    strangers.push(cluster.made(&over, now - 3 * day, day));
    for stranger in strangers {
        let fabric = Fabric::new(stranger, Arc::new(net.clone()), None, 9);
        let said = ask(&fabric, 0, Lane::Control, b"x").await;
        assert!(said.is_err(), "{said:?}");
    }
    // An operator asks questions, and has no part in consensus.
    let operator = Fabric::new(cluster.operator(), Arc::new(net.clone()), None, 9);
    assert!(ask(&operator, 0, Lane::Raft, b"x").await.is_err());
    assert_eq!(b.echo.0.load(Ordering::SeqCst), 0);
    ask(&operator, 0, Lane::Control, b"x").await.unwrap();
    assert_eq!(b.gate.counts().greeted, 1);
}

#[tokio::test]
async fn without_a_certificate_or_with_garbage_there_is_no_answer() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let b = node(&net, cluster.node("two"), 2, "b");
    let mut bytes = [7; 300];
    let mut streams = vec![];
    for first in [b'G', 0x16, 0, 0xff] {
        bytes[0] = first;
        let mut stream = net.connect("b").await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        streams.push(stream);
    }
    // A TLS client that trusts the authority, and shows nothing.
    let mut roots = rustls::RootCertStore::empty();
    let pem = cluster.authority.certificate.as_bytes();
    use rustls::pki_types::pem::PemObject;
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut bare = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    bare.alpn_protocols = vec![b"watchfire/1".to_vec()];
    let name = "acme.watchfire.internal".try_into().unwrap();
    let stream = net.connect("b").await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(bare));
    let mut stream = connector.connect(name, stream).await.unwrap();
    // The server looks at certificates after the client is done: it learns of it as it reads.
    let _ = hello::say(&mut stream, Lane::Raft, 1).await;
    assert!(stream.read(&mut bytes).await.is_err());
    for mut stream in streams {
        let mut rest = vec![];
        // At most an alert comes back.
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it stays open");
        assert!(rest.len() < 16, "{rest:?}");
    }
    let counts = b.gate.counts();
    assert_eq!((counts.came, counts.turned_away, counts.greeted), (5, 5, 0));
}

#[tokio::test]
async fn ten_thousand_half_open_connections_keep_no_member_out() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let a = node(&net, cluster.node("one"), 1, "a");
    let b = node(&net, cluster.node("two"), 2, "b");
    let mut held = vec![];
    for n in 0..10_000 {
        held.push(net.connect("b").await.unwrap());
        if n % 1_000 == 999 {
            let lane = [Lane::Raft, Lane::Control][n / 1_000 % 2];
            ask(&a.fabric, 2, lane, b"x").await.unwrap();
        }
    }
    let counts = b.gate.counts();
    assert!(counts.pushed_out > 9_000, "{counts:?}");
    assert_eq!(counts.greeted, 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_is_found_again() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let a = node(&net, cluster.node("one"), 1, "a");
    assert!(ask(&a.fabric, 2, Lane::Raft, b"x").await.is_err());
    for _ in 0..3 {
        let b = node(&net, cluster.node("two"), 2, "b");
        let since = Instant::now();
        while ask(&a.fabric, 2, Lane::Raft, b"x").await.is_err() {
            assert!(since.elapsed() < 2 * limits::REDIAL_LAST);
            sleep(Duration::from_millis(10)).await;
        }
        drop(b);
        // Who waits learns of the end at once, not when its time is over.
        let since = Instant::now();
        assert!(ask(&a.fabric, 2, Lane::Raft, b"x").await.is_err());
        assert!(since.elapsed() < Duration::from_millis(100));
        sleep(Duration::from_secs(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let a = node(&net, cluster.node("one"), 1, "a");
    let b = node(&net, cluster.node("two"), 2, "b");
    let short = Duration::from_millis(100);
    let never = a.fabric.ask("b", 2, Lane::Data, b"never".to_vec(), short).await;
    assert!(matches!(never, Err(Error::Timeout)), "{never:?}");
    sleep(limits::SILENCE + 2 * limits::LOOK).await;
    ask(&a.fabric, 2, Lane::Data, b"x").await.unwrap();
    assert_eq!(b.gate.counts().greeted, 2, "it did not dial again");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_gone_without_a_word_takes_no_room_for_ever() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let _b = node(&net, cluster.node("two"), 2, "b");
    let operator = cluster.operator();
    let (connector, name) = operator.connector();
    let stream = net.connect("b").await.unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    hello::say(&mut stream, Lane::Control, 0).await.unwrap();
    hello::hear(&mut stream).await.unwrap();
    // It is held open and says nothing more.
    let since = Instant::now();
    let end = timeout(2 * limits::GONE, stream.read(&mut [0])).await.expect("it stays open");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    assert!(since.elapsed() >= limits::GONE);
}

struct Wide;

impl Delay for Wide {
    fn to(&self, region: &str) -> Duration {
        Duration::from_millis(if region == "eu" { 40 } else { 0 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_round_trip_takes_as_long_as_was_asked_for_and_keeps_its_order() {
    let (net, cluster) = (MemoryTransport::default(), Cluster::new("acme"));
    let wide: Arc<dyn Delay> = Arc::new(Wide);
    let wide = |credentials, id| {
        Fabric::new(credentials, Arc::new(net.clone()), Some(Arc::clone(&wide)), id)
    };
    let (a, b) = (wide(cluster.node("one"), 1), wide(cluster.node("two"), 2));
    let _gate = Gate::open(&b, Box::new(net.listen("b")), Arc::new(Echo::default()));
    ask(&a, 0, Lane::Raft, b"x").await.unwrap();
    let since = Instant::now();
    let many = (0..50).map(|_| ask(&a, 0, Lane::Raft, b"x"));
    for asked in many {
        asked.await.unwrap();
    }
    let each = since.elapsed() / 50;
    assert!((80..=84).contains(&each.as_millis()), "{each:?}");
}

#[tokio::test]
async fn an_authority_takes_over_from_another() {
    let net = MemoryTransport::default();
    let (old, new) = (Cluster::new("acme"), Cluster::new("acme"));
    let both = format!("{}{}", old.authority.certificate, new.authority.certificate);
    let of = |cluster: &Cluster, name: &str, believed: &str| {
        let identity = Identity::node("acme", "eu", name).unwrap();
        let now = SystemTime::now();
        let key = &cluster.authority.key;
        let made = authority::issue(key, &identity, now, authority::CERTIFICATE_LIFE).unwrap();
        Credentials::of_pem(believed, &made.certificate, &made.key).unwrap()
    };
    let a = node(&net, of(&old, "one", &old.authority.certificate), 1, "a");
    let b = node(&net, of(&old, "two", &old.authority.certificate), 2, "b");
    // First all believe both, then each shows the new one, then all believe the new one alone.
    let lanes = [Lane::Control, Lane::Raft, Lane::Gossip, Lane::Data];
    ask(&a.fabric, 2, lanes[0], b"x").await.unwrap();
    a.fabric.rotate(of(&old, "one", &both));
    b.fabric.rotate(of(&old, "two", &both));
    ask(&a.fabric, 2, lanes[1], b"x").await.unwrap();
    b.fabric.rotate(of(&new, "two", &both));
    ask(&a.fabric, 2, lanes[2], b"x").await.unwrap();
    a.fabric.rotate(of(&new, "one", &new.authority.certificate));
    b.fabric.rotate(of(&new, "two", &new.authority.certificate));
    ask(&a.fabric, 2, lanes[3], b"x").await.unwrap();
    // What was there stayed all the time.
    ask(&a.fabric, 2, lanes[0], b"x").await.unwrap();
    assert_eq!(b.gate.counts().greeted, 4);
    a.fabric.rotate(of(&old, "one", &old.authority.certificate));
    assert!(ask(&a.fabric, 2, Lane::Bulk, b"x").await.is_err());
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_before_there_is_room() {
    for (length, limit) in [(u32::MAX, limits::FRAME_BYTES), (513, limits::HELLO_BYTES)] {
        let bytes = length.to_le_bytes();
        let read = frame::read_bytes(&mut &bytes[..], limit).await;
        let found = length as usize;
        assert!(matches!(read, Err(Error::TooLarge { found: f, .. }) if f == found), "{read:?}");
    }
    // An end between frames is one; within a frame it is an error.
    assert!(frame::read_bytes(&mut &[][..], 9).await.unwrap().is_none());
    assert!(frame::read_bytes(&mut &[2, 0, 0, 0, 1][..], 9).await.is_err());
    assert!(frame::read_bytes(&mut &[2, 0][..], 9).await.is_err());
    assert!(frame::read(&mut &[2, 0, 0, 0, 1, 1][..], 9).await.is_err(), "no number");
}
