//! The same load for etcd: one put after the other over gRPC, which is an HTTP/2 request whose body
//! is a length and a protobuf message (gRPC's `PROTOCOL-HTTP2.md`; the messages of etcd's
//! `rpc.proto`, service `etcdserverpb.KV`).

use super::{CLIENTS_PER_LINK, Done, PADDING};
use h2::client::SendRequest;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

type Sender = SendRequest<Cursor<Vec<u8>>>;

/// Puts from `clients` at a member's client address until the time is over, and reads back.
pub async fn run(address: &str, clients: usize, seconds: u64) -> Vec<Done> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = Vec::new();
    let mut link = None;
    for client in 0..clients {
        if client % CLIENTS_PER_LINK == 0 {
            link = Some(connect(address).await);
        }
        let sender = link.clone().expect("a connection");
        tasks.push(tokio::spawn(write(sender, address.to_owned(), client, until)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a client ended"));
    }
    let sender = connect(address).await;
    for done in &all {
        let mut key = Vec::new();
        field(&mut key, 1, name(done.client).as_bytes());
        let told = call(&sender, address, "Range", &key).await;
        let said = text(&told, 2).and_then(|kv| text(kv, 5)).expect("the key");
        let kept: u64 = String::from_utf8_lossy(said).trim().parse().expect("a number");
        assert_eq!(kept, done.acknowledged, "client {}", done.client);
    }
    all
}

fn name(client: usize) -> String {
    format!("load-{client}")
}

async fn connect(address: &str) -> Sender {
    let tcp = TcpStream::connect(address).await.expect("etcd is there");
    tcp.set_nodelay(true).expect("a socket");
    let (sender, connection) = h2::client::Builder::new().handshake(tcp).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn write(sender: Sender, address: String, client: usize, until: Instant) -> Done {
    let mut done = Done { client, acknowledged: 0, latencies: vec![], at: vec![] };
    while Instant::now() < until {
        let value = format!("{} {:PADDING$}", done.acknowledged + 1, "");
        let mut put = Vec::new();
        field(&mut put, 1, name(client).as_bytes());
        field(&mut put, 2, value.as_bytes());
        let since = Instant::now();
        call(&sender, &address, "Put", &put).await;
        done.note(since);
    }
    done
}

/// A bytes field of a protobuf message.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length > 127 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
}

/// A number of a protobuf message, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|b| b & 128 == 0)?;
    let value = bytes[..=end].iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 127));
    Some((value, &bytes[end + 1..]))
}

/// A field of bytes in a protobuf message.
fn text(mut bytes: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let (tag, rest) = number(bytes)?;
        let (value, rest) = number(rest)?;
        let skipped = if tag & 7 == 2 { value as usize } else { 0 };
        if tag & 7 == 2 {
            fields.insert(tag >> 3, rest.get(..skipped)?);
        }
        bytes = &rest[skipped..];
    }
    fields.remove(&wanted)
}

async fn call(sender: &Sender, address: &str, method: &str, message: &[u8]) -> Vec<u8> {
    let request = http::Request::post(format!("http://{address}/etcdserverpb.KV/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let mut sender = sender.clone().ready().await.expect("a connection");
    let (response, mut body) = sender.send_request(request, false).expect("a stream");
    // Not compressed, and its length.
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    body.send_data(Cursor::new(framed), true).expect("a stream");
    let mut body = response.await.expect("an answer").into_body();
    let mut told = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("an answer");
        body.flow_control().release_capacity(piece.len()).expect("a stream");
        told.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.expect("an answer").expect("a status");
    assert_eq!(trailers["grpc-status"], "0", "{trailers:?}");
    told.split_off(5)
}
