//! Real actors under real supervisors: every way to end, storms, whole trees, shutdown.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

mod common;

use actors::supervise::{Child, Context, Error, Message, SupervisorView, root};
use common::{MS, Order, Puppet, Strings, context, eventually, policy, settled};
use flow::supervision::{Exit, Restart, Strategy};
use flow::tree::{Spec, Status};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use threat::entropy::Rng;
use tokio::sync::oneshot;

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::RestForOne, Strategy::OneForAll];

fn puppets<const N: usize>() -> [Strings; N] {
    std::array::from_fn(|_| Strings::new())
}

fn children(strings: &[Strings]) -> Vec<Child> {
    strings.iter().enumerate().map(|(i, s)| s.child(&format!("c{i}"))).collect()
}

fn flat(strategy: Strategy, workers: usize) -> Spec {
    let workers = (0..workers).map(|i| Spec::worker(format!("c{i}")));
    Spec::supervisor("node", policy(strategy, 50), workers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exit_is_mended_under_every_strategy() {
    for strategy in STRATEGIES {
        for how in ["panic", "error", "stop", "kill"] {
            let strings = puppets::<3>();
            let context = context();
            let directory = context.directory.clone();
            let (node, handle) =
                root("node", policy(strategy, 50), children(&strings), context).await.unwrap();
            settled(&directory, &flat(strategy, 3)).await;
            match how {
                "panic" => strings[1].inbox.send(Order::Panic).unwrap(),
                "error" => strings[1].inbox.send(Order::Fail).unwrap(),
                "stop" => strings[1].inbox.send(Order::Stop).unwrap(),
                _ => directory.actor("node/c1").unwrap().kill(),
            }
            eventually("restart", || strings[1].starts() == 2).await;
            settled(&directory, &flat(strategy, 3)).await;
            let starts: Vec<u64> = strings.iter().map(Strings::starts).collect();
            let expected = match strategy {
                Strategy::OneForOne => [1, 2, 1],
                Strategy::RestForOne => [1, 2, 2],
                Strategy::OneForAll => [2, 2, 2],
            };
            assert_eq!(starts, expected, "{strategy:?} after {how}");
            // The reference of before leads to the new incarnation.
            let pong = strings[1].inbox.call(Duration::from_secs(5), Order::Ping).await;
            assert_eq!(pong, Ok(2));
            let listing = directory.list().into_iter().find(|l| l.path == "node/c1").unwrap();
            let reasons: Vec<Exit> = listing.failures.into_iter().map(|f| f.reason).collect();
            let expected = match how {
                "panic" => vec![Exit::Failed("a panic".into())],
                "error" => vec![Exit::Failed("an error".into())],
                "kill" => vec![Exit::Killed],
                _ => vec![],
            };
            assert_eq!(reasons, expected);
            assert_eq!(listing.restarts, 1);
            node.stop(None);
            handle.await.unwrap();
            let ended = strings.each_ref().map(|s| s.fate.ended.load(SeqCst));
            assert!(ended[0] > ended[1] && ended[1] > ended[2], "not last first: {ended:?}");
            for s in &strings {
                assert_eq!((s.fate.alive.load(SeqCst), s.fate.most_alive.load(SeqCst)), (0, 1));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_task_and_a_failed_start_are_mended() {
    let strings = Strings::new();
    strings.fate.failing_starts.store(2, SeqCst);
    let task = Arc::new(Mutex::new(None));
    let (fate, kept) = (Arc::clone(&strings.fate), Arc::clone(&task));
    let child = Child::new(
        "c0",
        Box::new(move |place| {
            let (fate, kept) = (Arc::clone(&fate), Arc::clone(&kept));
            Box::pin(async move {
                let (actor, task) = place.supervisor.spawn_linked(None, Puppet, fate).await?;
                *kept.lock().unwrap() = Some(task);
                Ok(actor.get_cell())
            })
        }),
    );
    let context = context();
    let directory = context.directory.clone();
    let policy = policy(Strategy::OneForOne, 5);
    let (node, _) = root("node", policy, vec![child], context).await.unwrap();
    settled(&directory, &flat(Strategy::OneForOne, 1)).await;
    assert_eq!(strings.starts(), 3);
    task.lock().unwrap().take().unwrap().abort();
    eventually("restart", || strings.starts() == 4).await;
    settled(&directory, &flat(Strategy::OneForOne, 1)).await;
    let (view, _) = directory.read::<SupervisorView>("node").unwrap();
    let reasons: Vec<&Exit> = view.failures.iter().map(|f| &f.reason).collect();
    let failed = Exit::StartupFailed("will not start".into());
    assert_eq!(reasons, [&failed, &failed, &Exit::Cancelled]);
    assert_eq!(view.recent_restarts, 3);
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_start_holds_back_those_that_rest_on_it() {
    let strings = puppets::<3>();
    strings[1].fate.failing_starts.store(1, SeqCst);
    let context = context();
    let directory = context.directory.clone();
    let policy = policy(Strategy::RestForOne, 5);
    let (node, _) = root("node", policy, children(&strings), context).await.unwrap();
    assert_eq!((strings[0].starts(), strings[2].starts()), (1, 0));
    settled(&directory, &flat(Strategy::RestForOne, 3)).await;
    assert_eq!(strings.each_ref().map(Strings::starts), [1, 2, 1]);
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_and_temporary_children_end_as_declared() {
    let strings = puppets::<3>();
    let kinds = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let named = children(&strings).into_iter().zip(kinds).map(|(c, kind)| c.restart(kind));
    let context = context();
    let directory = context.directory.clone();
    let policy = policy(Strategy::OneForOne, 5);
    let (node, _) = root("node", policy, named.collect(), context).await.unwrap();
    strings[1].inbox.send(Order::Stop).unwrap();
    strings[2].inbox.send(Order::Panic).unwrap();
    let status = |i: usize| directory.tree("node").unwrap().children[i].status.clone();
    eventually("both end", || status(1) == Status::Finished && status(2) == Status::Finished).await;
    tokio::time::sleep(30 * MS).await;
    assert_eq!(strings.each_ref().map(Strings::starts), [1, 1, 1]);
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_escalates_exactly_as_declared() {
    let strings = Strings::new();
    strings.fate.failing_starts.store(i64::MAX, SeqCst);
    let sibling = Strings::new();
    let inner = strings.clone();
    let branch = Child::supervisor("branch", policy(Strategy::OneForOne, 2), move || {
        vec![inner.child("bad")]
    });
    let context = context();
    let directory = context.directory.clone();
    let all = vec![sibling.child("good"), branch];
    let (_, handle) = root("node", policy(Strategy::OneForOne, 3), all, context).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), handle).await.expect("gives up").unwrap();
    // Two restarts make three starts under each of the branch's four incarnations.
    assert_eq!(strings.starts(), 12);
    assert_eq!((sibling.starts(), sibling.fate.alive.load(SeqCst)), (1, 0));
    let live = directory.tree("node").unwrap();
    assert_eq!(live.status, Status::Down);
    assert!(live.children.iter().all(|c| c.status == Status::Down), "{live}");
    let listing = directory.list().into_iter().find(|l| l.path == "node").unwrap();
    let reason = listing.failures.last().unwrap().reason.to_string();
    assert!(reason.contains("more than 3 restarts") && reason.contains("`branch`"), "{reason}");
    assert!(reason.contains("will not start"), "the cause is named: {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_keeps_failing_takes_its_branch_along_and_no_more() {
    let (bad, other, outside) = (Strings::new(), Strings::new(), Strings::new());
    let (inner_bad, inner_other) = (bad.clone(), other.clone());
    let branch = Child::supervisor("branch", policy(Strategy::OneForOne, 2), move || {
        vec![inner_bad.child("bad"), inner_other.child("other")]
    });
    let context = context();
    let directory = context.directory.clone();
    let all = vec![outside.child("outside"), branch];
    let (node, _) = root("node", policy(Strategy::OneForOne, 3), all, context).await.unwrap();
    for round in 1..=3 {
        eventually("up", || bad.starts() == round).await;
        eventually("taken", || bad.inbox.send(Order::Panic).is_ok()).await;
    }
    eventually("the branch starts anew", || other.starts() == 2).await;
    let declared = Spec::supervisor(
        "node",
        policy(Strategy::OneForOne, 3),
        [
            Spec::worker("outside"),
            Spec::supervisor(
                "branch",
                policy(Strategy::OneForOne, 2),
                [Spec::worker("bad"), Spec::worker("other")],
            ),
        ],
    );
    settled(&directory, &declared).await;
    assert_eq!((bad.starts(), outside.starts()), (4, 1));
    assert_eq!(directory.tree("node").unwrap().children[1].restarts, 1);
    node.stop(None);
}

/// A tree of three levels with every strategy in it.
struct Grove {
    strings: Vec<(String, Strings)>,
    declared: Spec,
    children: Vec<Child>,
}

fn grove() -> Grove {
    let policy = |strategy| policy(strategy, 1_000);
    let mut grove = Grove {
        strings: Vec::new(),
        declared: Spec::supervisor("node", policy(Strategy::OneForOne), []),
        children: Vec::new(),
    };
    let mut worker = |path: &str| {
        let strings = Strings::new();
        grove.strings.push((path.to_owned(), strings.clone()));
        strings
    };
    let store = worker("node/store");
    grove.children.push(store.child("store"));
    grove.declared.children.push(Spec::worker("store"));
    for (name, strategy) in [
        ("detection", Strategy::RestForOne),
        ("response", Strategy::OneForAll),
        ("edge", Strategy::OneForOne),
    ] {
        let inner: Vec<Strings> = (0..3).map(|i| worker(&format!("node/{name}/c{i}"))).collect();
        let deep = worker(&format!("node/{name}/deep/c0"));
        let workers = (0..3).map(|i| Spec::worker(format!("c{i}")));
        let deep_spec = Spec::supervisor("deep", policy(strategy), [Spec::worker("c0")]);
        let specs = workers.chain([deep_spec]);
        grove.declared.children.push(Spec::supervisor(name, policy(strategy), specs));
        grove.children.push(Child::supervisor(name, policy(strategy), move || {
            let deep = deep.clone();
            let mut all = children(&inner);
            all.push(Child::supervisor("deep", policy(strategy), move || vec![deep.child("c0")]));
            all
        }));
    }
    grove
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_tree_returns_to_the_declared_one_whatever_ends() {
    let Grove { strings, declared, children } = grove();
    let context = context();
    let directory = context.directory.clone();
    let policy = policy(Strategy::OneForOne, 1_000);
    let (node, handle) = root("node", policy, children, context).await.unwrap();
    settled(&directory, &declared).await;
    let mut rng = Rng::new(11);
    let supervisors = ["node/detection", "node/response/deep", "node/edge", "node/response"];
    for _ in 0..80 {
        // One or two of anything, at once.
        for _ in 0..1 + rng.below(2) {
            let (path, victim) = &strings[rng.below(strings.len())];
            let kill = |path: &str| directory.actor(path).map(|cell| cell.kill());
            match rng.below(5) {
                0 => drop(victim.inbox.send(Order::Panic)),
                1 => drop(victim.inbox.send(Order::Fail)),
                2 => drop(victim.inbox.send(Order::Stop)),
                3 => drop(kill(path)),
                _ => drop(kill(supervisors[rng.below(supervisors.len())])),
            }
        }
        if rng.chance(0.7) {
            tokio::time::sleep(rng.below(8) as u32 * MS).await;
        }
    }
    // Whatever is still on its way has its effect first.
    tokio::time::sleep(50 * MS).await;
    settled(&directory, &declared).await;
    for (path, s) in &strings {
        let most = s.fate.most_alive.load(SeqCst);
        assert_eq!(most, 1, "{path} ran {most} times at once");
        assert!(s.inbox.call(Duration::from_secs(5), Order::Ping).await.is_ok(), "{path}");
    }
    node.stop(None);
    handle.await.unwrap();
    assert!(strings.iter().all(|(_, s)| s.fate.alive.load(SeqCst) == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_drains_mailboxes_and_kills_what_hangs() {
    let (busy, stuck) = (Strings::new(), Strings::new());
    let inner = busy.clone();
    let branch =
        Child::supervisor("branch", policy(Strategy::OneForOne, 3), move || vec![inner.child("b")]);
    let all = vec![branch, stuck.child("stuck").drain(50 * MS)];
    let context = context();
    let directory = context.directory.clone();
    let (node, handle) = root("node", policy(Strategy::OneForOne, 3), all, context).await.unwrap();
    stuck.inbox.send(Order::Hang).unwrap();
    busy.inbox.send(Order::Sleep(20 * MS)).unwrap();
    for _ in 0..100 {
        busy.inbox.send(Order::Count).unwrap();
    }
    let began = Instant::now();
    node.stop(None);
    handle.await.unwrap();
    assert_eq!(busy.fate.counted.load(SeqCst), 100, "drained, not dropped");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(stuck.fate.alive.load(SeqCst), 0);
    assert_eq!(directory.tree("node").unwrap().status, Status::Finished);
    assert!(busy.inbox.send(Order::Count).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_come_and_go_while_it_runs() {
    let context: Context = context();
    let directory = context.directory.clone();
    let (node, _) = root("node", policy(Strategy::OneForOne, 5), vec![], context).await.unwrap();
    let add = async |child: Child| {
        let (reply, answer) = oneshot::channel();
        node.send_message(Message::Add(child, reply)).unwrap();
        answer.await.unwrap()
    };
    let runs = puppets::<2>();
    assert_eq!(add(runs[0].child("run[0]")).await, Ok(()));
    let taken = add(runs[1].child("run[0]")).await;
    assert_eq!(taken, Err(Error::NameTaken("run[0]".into())));
    let temporary = runs[1].child("run[1]").restart(Restart::Temporary);
    assert_eq!(add(temporary).await, Ok(()));
    let names = || {
        let children = directory.tree("node").unwrap().children;
        children.into_iter().map(|c| c.name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["run[0]", "run[1]"]);
    runs[0].inbox.send(Order::Panic).unwrap();
    eventually("restart", || runs[0].starts() == 2).await;
    runs[1].inbox.send(Order::Stop).unwrap();
    eventually("forgotten", || names() == ["run[0]"]).await;
    assert_eq!(add(runs[1].child("run[2]")).await, Ok(()));
    assert_eq!(names(), ["run[0]", "run[2]"]);
    let remove = async |name: &str| {
        let (reply, answer) = oneshot::channel();
        node.send_message(Message::Remove(name.to_owned(), reply)).unwrap();
        answer.await.unwrap()
    };
    assert_eq!(remove("run[0]").await, Ok(()));
    assert_eq!(remove("run[0]").await, Err(Error::Unknown("run[0]".into())));
    assert_eq!(runs[0].fate.alive.load(SeqCst), 0);
    node.stop(None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observations_show_through_the_directory_without_asking_the_actor() {
    let strings = Strings::new();
    let context = context();
    let directory = context.directory.clone();
    let all = vec![strings.child("c0")];
    let (node, _) =
        root("node", policy(Strategy::OneForOne, 5), all, context.clone()).await.unwrap();
    strings.inbox.send(Order::Hang).unwrap();
    let observed = actors::observe::Observed::new(context.clock.clone(), vec![1, 2]);
    directory.attach("node/c0", observed.clone());
    observed.publish(vec![3]);
    tokio::time::sleep(20 * MS).await;
    let (value, age) = directory.read::<Vec<i32>>("node/c0").unwrap();
    assert_eq!(*value, [3]);
    assert!(age >= 20 * MS);
    assert!(directory.read::<u8>("node/c0").is_none(), "of another type");
    let json = serde_json::to_value(directory.list()).unwrap();
    assert_eq!(json[1]["path"], "node/c0");
    assert_eq!(json[1]["observation"]["value"], serde_json::json!([3]));
    assert_eq!(json[0]["observation"]["value"]["children"][0]["name"], "c0");
    node.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_incarnation_waits_for_the_end_of_the_old_one() {
    let strings = Strings::new();
    let inner = strings.clone();
    let branch =
        Child::supervisor("branch", policy(Strategy::OneForOne, 3), move || vec![inner.child("b")]);
    let context = context();
    let directory = context.directory.clone();
    let (node, _) =
        root("node", policy(Strategy::OneForOne, 3), vec![branch], context).await.unwrap();
    strings.inbox.send(Order::Block(200 * MS)).unwrap();
    tokio::time::sleep(20 * MS).await;
    directory.actor("node/branch").unwrap().kill();
    eventually("a second incarnation", || strings.starts() == 2).await;
    assert_eq!(strings.fate.most_alive.load(SeqCst), 1);
    node.stop(None);
}
