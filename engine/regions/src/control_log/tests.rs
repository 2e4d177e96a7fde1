use super::limits::*;
use super::*;
use threat::{Text, Timestamp};

/// A log with one client that numbers its requests.
#[derive(Default)]
struct Bench {
    log: ControlLog,
    sequence: u64,
}

impl Bench {
    fn run(&mut self, command: Command) -> Reply {
        self.sequence += 1;
        let request = Request { client: Client::default(), sequence: self.sequence, command };
        self.log.apply(self.sequence, &request)
    }

    /// Two regions with an admitted node each, 1 in `a`, 2 in `b`.
    fn two_regions() -> Self {
        let mut bench = Self::default();
        for (node, region) in [(1, "a"), (2, "b")] {
            assert_eq!(bench.run(Command::AddRegion { region: region.into() }), Reply::Done);
            assert_eq!(bench.run(join(node, region, 1)), Reply::Done);
            assert_eq!(bench.run(Command::AdmitNode { node }), Reply::Done);
        }
        bench
    }

    fn with_workload() -> Self {
        let mut bench = Self::two_regions();
        assert_eq!(bench.run(define(7, [0, 1])), Reply::Done);
        bench
    }

    /// Brings a bundle to its canary region and gives its version.
    fn canary(&mut self, hash: u8) -> u64 {
        let evidence = Text::from("auc 0.99");
        let register = Command::RegisterBundle { hash: [hash; 32], evidence: evidence.clone() };
        let Reply::Version(version) = self.run(register) else { panic!("no version") };
        let steps = [
            Command::ShadowBundle { version, evidence: evidence.clone() },
            Command::ReadyBundle { version, node: 1, evidence: evidence.clone() },
            Command::CanaryBundle { version, region: "a".into(), evidence },
        ];
        for step in steps {
            // A node that was ready before is so still.
            assert_eq!(self.run(step).refusal(), None);
        }
        version
    }

    fn activate(&mut self, version: u64) -> Reply {
        let expected_epoch = self.log.bundles().epoch();
        self.run(Command::ActivateBundle { version, expected_epoch, evidence: "good".into() })
    }

    fn roll_back(&mut self, version: u64) -> Reply {
        let expected_epoch = self.log.bundles().epoch();
        self.run(Command::RollbackBundle { version, expected_epoch, evidence: "bad".into() })
    }
}

fn join(node: u64, region: &str, incarnation: u64) -> Command {
    let (name, address) = (format!("n{node}").into(), format!("10.0.0.{node}:7000").into());
    Command::JoinNode { node, name, region: region.into(), address, incarnation }
}

fn define(workload: u32, shards: impl IntoIterator<Item = u32>) -> Command {
    let shards = shards.into_iter().collect();
    Command::DefineWorkload { workload, shards, home: "a".into(), failover: "b".into() }
}

const fn assign(owner: Option<u64>, expected_epoch: u64) -> Command {
    Command::AssignWorkload { workload: 7, owner, expected_epoch }
}

fn refused(reply: &Reply) -> &Refusal {
    reply.refusal().expect("a refusal")
}

#[test]
fn an_owner_decided_on_an_old_state_is_refused() {
    let mut bench = Bench::with_workload();
    assert_eq!(bench.run(assign(Some(1), 0)), Reply::Epoch(1));
    // Somebody who has not seen that yet.
    let stale = Refusal::StaleEpoch { expected: 0, current: 1 };
    assert_eq!(bench.run(assign(Some(2), 0)), Reply::Refused(stale));
    assert_eq!(bench.run(assign(Some(2), 1)), Reply::Epoch(2));
    assert_eq!(bench.run(assign(None, 2)), Reply::Epoch(3));
    // An epoch is not used again after the workload is removed and made anew.
    assert_eq!(bench.run(Command::RemoveWorkload { workload: 7, expected_epoch: 3 }), Reply::Done);
    assert_eq!(bench.run(define(7, [0, 1])), Reply::Done);
    assert_eq!(bench.run(assign(Some(1), 0)), Reply::Epoch(4));
    assert_eq!(bench.log.workloads().of_shard(1).and_then(|w| w.owner), Some(1));
}

#[test]
fn a_workload_is_rehomed_only_from_where_it_is_known_to_be() {
    let mut bench = Bench::with_workload();
    let mut rehome = |home: &str, failover: &str, expected: (&str, &str), expected_epoch| {
        bench.run(Command::RehomeWorkload {
            workload: 7,
            home: home.into(),
            failover: failover.into(),
            expected_home: expected.0.into(),
            expected_failover: expected.1.into(),
            expected_epoch,
        })
    };
    let stale = Refusal::StaleEpoch { expected: 5, current: 0 };
    assert_eq!(rehome("b", "a", ("a", "b"), 5), Reply::Refused(stale));
    assert_eq!(rehome("b", "a", ("a", "b"), 0), Reply::Done);
    let placed = Refusal::Placed { home: "b".into(), failover: "a".into() };
    assert_eq!(rehome("b", "b", ("a", "b"), 0), Reply::Refused(placed));
}

#[test]
fn workloads_go_to_admitted_nodes_of_their_regions() {
    let mut bench = Bench::with_workload();
    bench.run(Command::AddRegion { region: "c".into() });
    bench.run(join(3, "c", 1));
    bench.run(join(4, "a", 1));
    bench.run(Command::AdmitNode { node: 3 });
    assert_eq!(refused(&bench.run(assign(Some(3), 0))), &Refusal::OutsideRegions(3));
    assert_eq!(refused(&bench.run(assign(Some(4), 0))), &Refusal::NotAdmitted(4));
    let nobody = bench.run(assign(Some(9), 0));
    assert_eq!(refused(&nobody).to_string(), "there is no node 9");
    let taken = bench.run(define(8, [1, 2]));
    assert_eq!(refused(&taken).to_string(), "shard 1 belongs to workload 7");
    assert!(matches!(refused(&bench.run(define(8, [SHARDS]))), Refusal::TooLarge(..)));
    assert_eq!(refused(&bench.run(define(8, []))), &Refusal::Empty(Noun::Shard));
}

#[test]
fn what_is_in_use_stays_and_a_node_that_left_does_not_come_back() {
    let mut bench = Bench::with_workload();
    bench.run(assign(Some(1), 0));
    let leave = bench.run(Command::LeaveNode { node: 1 });
    assert_eq!(refused(&leave).to_string(), "node 1 is in use by workload 7");
    let region = bench.run(Command::RemoveRegion { region: "b".into() });
    assert_eq!(refused(&region).to_string(), "region b is in use by workload 7");
    bench.run(Command::WrapKey { key: "sign".into(), node: 1, wrapped: vec![1] });
    assert_eq!(bench.log.settings().wrapped("sign", 1), Some(&[1][..]));
    bench.run(assign(Some(2), 1));
    assert_eq!(bench.run(Command::LeaveNode { node: 1 }), Reply::Done);
    assert_eq!(bench.log.settings().wrapped("sign", 1), None);
    assert_eq!(refused(&bench.run(join(1, "a", 2))), &Refusal::NodeLeft(1));
}

#[test]
fn of_nodes_that_left_only_so_many_are_kept_and_none_comes_back() {
    let mut nodes = Nodes::default();
    nodes.add_region(&"a".into()).unwrap();
    let node = |id: u64| Node {
        name: format!("n{id}").into(),
        region: "a".into(),
        address: Text::default(),
        incarnation: 1,
        admitted: false,
    };
    nodes.join(5, node(5)).unwrap();
    for id in 10..20 + LEFT_NODES as u64 {
        nodes.join(id, node(id)).unwrap();
        nodes.leave(id).unwrap();
    }
    assert_eq!(nodes.join(10, node(10)), Err(Refusal::NodeLeft(10)));
    assert_eq!(nodes.join(1, node(1)), Err(Refusal::NodeLeft(1)));
    // One that is present stays so, below all that left.
    assert!(!nodes.has_left(5));
    assert_eq!(nodes.join(5, Node { incarnation: 2, ..node(5) }), Ok(Reply::Done));
}

#[test]
fn an_older_life_of_a_node_is_refused() {
    let mut bench = Bench::two_regions();
    assert_eq!(bench.run(join(1, "a", 1)), Reply::Unchanged);
    assert_eq!(bench.run(join(1, "a", 3)), Reply::Done);
    assert!(bench.log.nodes().present()[&1].admitted, "it stays admitted");
    let stale = Refusal::StaleIncarnation { given: 2, known: 3 };
    assert_eq!(refused(&bench.run(join(1, "a", 2))), &stale);
}

#[test]
fn a_bundle_goes_its_way_and_back() {
    let mut bench = Bench::two_regions();
    let first = bench.canary(1);
    assert_eq!(bench.log.bundles().used_in("a"), Some(first));
    assert_eq!(bench.log.bundles().used_in("b"), None);
    assert_eq!(bench.activate(first), Reply::Epoch(1));
    // The very first one is taken back for what nodes learnt themselves.
    assert_eq!(bench.roll_back(first), Reply::Epoch(2));
    assert_eq!(bench.log.bundles().active(), None);
    assert_eq!(bench.canary(1), first);
    assert_eq!(bench.activate(first), Reply::Epoch(3));
    let second = bench.canary(2);
    let third = bench.run(Command::RegisterBundle { hash: [3; 32], evidence: "".into() });
    assert_eq!(third, Reply::Version(3));
    assert_eq!(bench.activate(second), Reply::Epoch(4));
    assert_eq!(bench.log.bundles().active(), Some(second));
    let retire = bench.run(Command::RetireBundle { version: first });
    assert!(matches!(refused(&retire), Refusal::Stage { .. }), "it can be gone back to");
    let late = Command::RollbackBundle { version: second, expected_epoch: 3, evidence: "".into() };
    assert_eq!(refused(&bench.run(late)), &Refusal::StaleEpoch { expected: 3, current: 4 });
    assert_eq!(bench.roll_back(second), Reply::Epoch(5));
    assert_eq!(bench.log.bundles().active(), Some(first));
    let steps = &bench.log.bundles().all()[&second].steps;
    assert_eq!(steps.last().map(|(_, s, e)| (s, e.as_str())), Some((&Stage::RolledBack, "bad")));
    assert_eq!(bench.run(Command::RetireBundle { version: second }), Reply::Done);
}

#[test]
fn no_step_of_a_bundle_is_left_out() {
    let mut bench = Bench::two_regions();
    bench.run(Command::RegisterBundle { hash: [1; 32], evidence: "".into() });
    let version = 1;
    let ready = Command::ReadyBundle { version, node: 1, evidence: "".into() };
    let canary = |r: &str| Command::CanaryBundle { version, region: r.into(), evidence: "".into() };
    let registered = Refusal::Stage { version, stage: Stage::Registered };
    assert_eq!(refused(&bench.run(ready.clone())), &registered);
    assert_eq!(refused(&bench.run(canary("a"))), &registered);
    assert_eq!(refused(&bench.activate(version)), &registered);
    bench.run(Command::ShadowBundle { version, evidence: "".into() });
    assert!(matches!(refused(&bench.run(canary("a"))), Refusal::NotReady { .. }));
    bench.run(ready);
    assert!(matches!(refused(&bench.run(canary("b"))), Refusal::NotReady { .. }));
    assert_eq!(bench.run(canary("a")), Reply::Done);
    let long = Text::from("x".repeat(EVIDENCE_BYTES + 1));
    let long = bench.run(Command::ShadowBundle { version, evidence: long });
    assert!(matches!(refused(&long), Refusal::TooLarge(Noun::Evidence, ..)));
}

#[test]
fn a_playbook_keeps_its_newest_versions_and_the_active_one() {
    let mut bench = Bench::default();
    let publish = |version| Command::PublishPlaybook {
        name: "block".into(),
        version,
        hash: [version as u8; 32],
    };
    bench.run(publish(1));
    let activate = Command::ActivatePlaybook { name: "block".into(), version: 1 };
    assert_eq!(bench.run(activate), Reply::Done);
    for version in 2..40 {
        assert_eq!(bench.run(publish(version)), Reply::Done);
    }
    let versions = &bench.log.playbooks().all()["block"].versions;
    assert_eq!(versions.len(), PLAYBOOK_VERSIONS);
    assert!(versions.contains_key(&1) && !versions.contains_key(&2));
    assert_eq!(refused(&bench.run(publish(3))), &Refusal::OldVersion { given: 3, newest: 39 });
}

#[test]
fn an_approval_needs_its_quorum_in_time() {
    let mut bench = Bench::default();
    let at = Timestamp::from_micros;
    let ask = |id, quorum, expires| Command::RequestApproval {
        id: ApprovalId(id),
        subject: "isolate db-1".into(),
        requester: "ann".into(),
        quorum,
        expires: at(expires),
        now: at(0),
    };
    let say = |id, who: &str, approve, now| Command::Decide {
        id: ApprovalId(id),
        person: who.into(),
        approve,
        now: at(now),
    };
    let open = |missing| Reply::Approval(ApprovalState::Open { missing });
    assert_eq!(bench.run(ask(1, 2, 10)), open(2));
    assert_eq!(refused(&bench.run(say(1, "ann", true, 1))), &Refusal::OwnRequest);
    assert_eq!(bench.run(say(1, "bob", true, 2)), open(1));
    assert_eq!(bench.run(say(1, "bob", true, 3)), open(1), "one person counts once");
    assert_eq!(bench.run(say(1, "eve", true, 9)), Reply::Approval(ApprovalState::Granted));
    let decided = Refusal::Decided(ApprovalState::Granted);
    assert_eq!(refused(&bench.run(say(1, "tom", false, 9))), &decided);
    bench.run(ask(2, 1, 10));
    let expired = Refusal::Decided(ApprovalState::Expired);
    let late = bench.run(say(2, "bob", true, 10));
    assert_eq!(late, Reply::Approval(ApprovalState::Expired));
    assert_eq!(refused(&bench.run(say(2, "bob", true, 5))), &expired, "a slow clock");
    bench.run(ask(3, 1, 10));
    assert_eq!(bench.run(say(3, "bob", false, 1)), Reply::Approval(ApprovalState::Denied));
    assert_eq!(refused(&bench.run(ask(4, 1, 0))), &Refusal::AlreadyExpired);
}

#[test]
fn a_full_list_of_approvals_forgets_closed_ones_alone() {
    let mut approvals = Approvals::default();
    let at = Timestamp::from_micros;
    let new = |asked: u64, expires| Approval {
        subject: Text::default(),
        requester: "ann".into(),
        quorum: 1,
        expires: at(expires),
        approvers: BTreeSet::new(),
        state: ApprovalState::Open { missing: 1 },
        asked,
    };
    for n in 0..APPROVALS as u64 {
        approvals.request(ApprovalId(n.into()), new(n, 100), at(1)).unwrap();
    }
    let more = ApprovalId(1 << 40);
    let full = Refusal::Full(Noun::Approval, APPROVALS as u64);
    assert_eq!(approvals.request(more, new(9_999, 200), at(1)), Err(full));
    approvals.decide(ApprovalId(5), &"bob".into(), true, at(2)).unwrap();
    approvals.request(more, new(9_999, 200), at(3)).unwrap();
    assert!(!approvals.all().contains_key(&ApprovalId(5)));
    assert_eq!(approvals.all().len(), APPROVALS);
}

#[test]
fn a_forgotten_client_is_refused_and_never_done_twice() {
    let mut log = ControlLog::default();
    let ask = |opened, nonce, sequence| Request {
        client: Client { opened, nonce },
        sequence,
        command: Command::AddRegion { region: "a".into() },
    };
    assert_eq!(log.apply(1, &ask(0, 0, 1)), Reply::Done);
    for n in 1..=CLIENTS as u64 {
        log.apply(1 + n, &ask(1, n, 1));
    }
    assert_eq!(log.clients(), CLIENTS);
    let gone = Client { opened: 0, nonce: 0 };
    let forgotten = Refusal::ForgottenClient(gone);
    assert_eq!(log.apply(2_000, &ask(0, 0, 1)), Reply::Refused(forgotten));
    assert!(matches!(
        log.apply(2_000, &ask(2_001, 0, 1)).refusal(),
        Some(Refusal::FutureClient(_))
    ));
    // One that was opened since is taken.
    assert_eq!(log.apply(2_000, &ask(1, 9_999, 1)), Reply::Unchanged);
}

#[test]
fn a_request_whose_reply_is_forgotten_is_refused() {
    let mut bench = Bench::default();
    for n in 0..=REPLIES_PER_CLIENT {
        bench.run(Command::SetFlag { name: "x".into(), value: Some(n.to_string().into()) });
    }
    let command = Command::SetFlag { name: "x".into(), value: Some("0".into()) };
    let old = Request { client: Client::default(), sequence: 1, command };
    let reply = bench.log.apply(999, &old);
    assert_eq!(reply, Reply::Refused(Refusal::Forgotten { sequence: 1 }));
    assert_eq!(bench.log.settings().flags()["x"].as_str(), REPLIES_PER_CLIENT.to_string());
}
