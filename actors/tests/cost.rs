//! What a message costs. Measured on request:
//! `cargo test --release -p actors --test cost -- --ignored --nocapture`
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

mod common;

use actors::supervise::root;
use common::{Order, Strings, context, eventually, policy};
use flow::supervision::Strategy;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;
use tokio::sync::oneshot;

const ROUNDS: u32 = 200_000;

struct Plain;

impl Actor for Plain {
    type Msg = Option<oneshot::Sender<u64>>;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        reply: Self::Msg,
        state: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        *state += 1;
        if let Some(reply) = reply {
            let _ = reply.send(*state);
        }
        Ok(())
    }
}

async fn per_round<F: Future<Output = ()>>(what: &str, mut round: impl FnMut() -> F) {
    for _ in 0..ROUNDS / 10 {
        round().await;
    }
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        for _ in 0..ROUNDS / 5 {
            round().await;
        }
        times.push(began.elapsed() / (ROUNDS / 5));
    }
    times.sort();
    println!("{what}: median {:?}, best {:?}", times[2], times[0]);
}

async fn measure(runtime: &str) {
    let (plain, _) = Actor::spawn(None, Plain, ()).await.unwrap();
    per_round(&format!("{runtime}: plain ractor round trip"), || async {
        let (reply, answer) = oneshot::channel();
        plain.send_message(Some(reply)).unwrap();
        answer.await.unwrap();
    })
    .await;
    per_round(&format!("{runtime}: plain ractor cast"), || async {
        plain.send_message(None).unwrap();
    })
    .await;

    let strings = Strings::new();
    let all = vec![strings.child("c0")];
    let (node, _) = root("node", policy(Strategy::OneForOne, 3), all, context()).await.unwrap();
    let target = strings.inbox.credited(threat::limits::SHARD_CREDITS);
    per_round(&format!("{runtime}: supervised credited round trip"), || async {
        let (reply, answer) = oneshot::channel();
        target.send(Order::Ping(reply)).await;
        answer.await.unwrap();
    })
    .await;
    per_round(&format!("{runtime}: supervised credited cast"), || target.send(Order::Count)).await;
    eventually("all credits back", || target.credits().in_flight() == 0).await;
    assert!(strings.fate.counted.load(SeqCst) >= u64::from(ROUNDS));
    node.stop(None);
    plain.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures speed"]
async fn messages_on_two_threads() {
    measure("two threads").await;
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "measures speed"]
async fn messages_on_one_thread() {
    measure("one thread").await;
}
