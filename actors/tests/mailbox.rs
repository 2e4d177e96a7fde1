//! Credits and counts under real tasks, with a target that keeps ending.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

mod common;

use actors::mailbox::{CallError, Refused};
use actors::supervise::root;
use common::{MS, Order, Strings, context, eventually, policy};
use flow::supervision::Strategy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use threat::entropy::Rng;

const LIMIT: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_and_messages_balance_whatever_ends() {
    let strings = Strings::new();
    let target = strings.inbox.credited(LIMIT);
    let all = vec![strings.child("c0")];
    let policy = policy(Strategy::OneForOne, 100_000);
    let (node, _) = root("node", policy, all, context()).await.unwrap();
    let [sent, refused, down] = std::array::from_fn(|_| Arc::new(AtomicU64::new(0)));
    let senders: Vec<_> = (0..8u64)
        .map(|seed| {
            let target = target.clone();
            let (sent, refused, down) =
                (Arc::clone(&sent), Arc::clone(&refused), Arc::clone(&down));
            tokio::spawn(async move {
                let mut rng = Rng::new(seed);
                for _ in 0..2_000 {
                    let order = match rng.below(400) {
                        0 => Order::Panic,
                        1 => Order::Fail,
                        2..10 => Order::Sleep(rng.below(2_000) as u32 * Duration::from_micros(1)),
                        _ => Order::Count,
                    };
                    match rng.below(4) {
                        0 => match target.try_send(order) {
                            Ok(()) => drop(sent.fetch_add(1, SeqCst)),
                            Err(Refused::NoCredit(_)) => drop(refused.fetch_add(1, SeqCst)),
                            Err(Refused::Down(_)) => drop(down.fetch_add(1, SeqCst)),
                        },
                        1 => {
                            // A sender that gives up at a random moment of its wait.
                            let patience = rng.below(300) as u32 * Duration::from_micros(1);
                            let sending = target.send(order);
                            if tokio::time::timeout(patience, sending).await.is_ok() {
                                sent.fetch_add(1, SeqCst);
                            }
                        }
                        2 => drop(target.acquire().await),
                        _ => {
                            target.send(order).await;
                            sent.fetch_add(1, SeqCst);
                        }
                    }
                    let credits = target.credits();
                    assert!(credits.balanced() && credits.in_flight() <= LIMIT, "{credits:?}");
                }
            })
        })
        .collect();
    for sender in senders {
        tokio::time::timeout(Duration::from_secs(60), sender).await.expect("no stall").unwrap();
    }
    eventually("all credits back", || target.credits().in_flight() == 0).await;
    let (credits, mailbox) = (target.credits(), strings.inbox.view());
    assert!(strings.starts() > 10, "it did end: {}", strings.starts());
    assert_eq!(mailbox.depth, 0);
    assert!(mailbox.high_water <= LIMIT);
    assert_eq!(mailbox.sent, sent.load(SeqCst));
    assert_eq!(credits.accepted(), mailbox.sent);
    assert!(credits.refused() >= refused.load(SeqCst) + down.load(SeqCst));
    assert_eq!(credits.high_water(), LIMIT);
    assert!(mailbox.lost > 0 && credits.waits() > 0);
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_sender_goes_on_when_its_target_comes_back() {
    let strings = Strings::new();
    let target = strings.inbox.credited(2);
    assert!(matches!(target.try_send(Order::Count), Err(Refused::Down(Order::Count))));
    let waiting = tokio::spawn({
        let target = target.clone();
        async move { target.send(Order::Count).await }
    });
    tokio::time::sleep(20 * MS).await;
    assert!(!waiting.is_finished());
    let all = vec![strings.child("c0")];
    let (node, _) = root("node", policy(Strategy::OneForOne, 3), all, context()).await.unwrap();
    waiting.await.unwrap();
    eventually("handled", || strings.fate.counted.load(SeqCst) == 1).await;
    // Full: a source waits until what is in flight dies with its actor.
    target.send(Order::Hang).await;
    target.send(Order::Hang).await;
    assert!(matches!(target.try_send(Order::Count), Err(Refused::NoCredit(_))));
    let credit = tokio::spawn({
        let target = target.clone();
        async move { target.acquire().await }
    });
    tokio::time::sleep(20 * MS).await;
    assert!(!credit.is_finished());
    node.get_children()[0].kill();
    credit.await.unwrap().send_when_up(Order::Count).await;
    eventually("handled", || strings.fate.counted.load(SeqCst) == 2).await;
    assert_eq!(strings.inbox.view().lost, 1, "one was being handled, one waited");
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_with_an_answer_or_a_reason() {
    let strings = Strings::new();
    let call = |patience| strings.inbox.call(patience, Order::Ping);
    assert_eq!(call(MS).await, Err(CallError::Down));
    let all = vec![strings.child("c0")];
    let (node, _) = root("node", policy(Strategy::OneForOne, 3), all, context()).await.unwrap();
    assert_eq!(call(Duration::from_secs(5)).await, Ok(1));
    strings.inbox.send(Order::Hang).unwrap();
    assert_eq!(call(20 * MS).await, Err(CallError::Timeout));
    let (dropped, ()) = tokio::join!(call(Duration::from_secs(5)), async {
        tokio::time::sleep(20 * MS).await;
        node.get_children()[0].kill();
    });
    assert_eq!(dropped, Err(CallError::Dropped));
    node.stop(None);
}
