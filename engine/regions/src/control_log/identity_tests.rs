//! Whose an id and a name are.

use super::limits::NAME_BYTES;
use super::*;

fn run(log: &mut ControlLog, command: Command) -> Reply {
    let sequence = log.applied() + 1;
    log.apply(sequence, &Request { client: Client::default(), sequence, command })
}

/// Two regions with a node each, `n1` in `a`, `n2` in `b`.
fn two_regions() -> ControlLog {
    let mut log = ControlLog::default();
    for (node, region) in [(1, "a"), (2, "b")] {
        assert_eq!(run(&mut log, Command::AddRegion { region: region.into() }), Reply::Done);
        assert_eq!(run(&mut log, join(node, region, 1)), Reply::Done);
    }
    log
}

fn join(node: u64, region: &str, incarnation: u64) -> Command {
    let name = format!("n{node}").into();
    Command::JoinNode { node, name, region: region.into(), address: "h:1".into(), incarnation }
}

fn refused(reply: Reply) -> Refusal {
    reply.refusal().expect("a refusal").clone()
}

#[test]
fn an_id_is_of_one_name_in_one_region_for_good() {
    let mut log = two_regions();
    let join = |node: u64, name: &str, region: &str| {
        let (name, region) = (name.into(), region.into());
        Command::JoinNode { node, name, region, address: "h:1".into(), incarnation: 9 }
    };
    let before = log.nodes().clone();
    for (node, name, region) in [(1, "n2", "b"), (1, "new", "a"), (1, "n1", "b"), (3, "n1", "a")] {
        let reply = run(&mut log, join(node, name, region));
        assert!(matches!(refused(reply), Refusal::Exists(Noun::Node, _)), "{node} {name}");
    }
    assert_eq!(log.nodes(), &before);
    assert_eq!(run(&mut log, Command::LeaveNode { node: 1 }), Reply::Done);
    assert_eq!(refused(run(&mut log, join(1, "new", "a"))), Refusal::NodeLeft(1));
}

#[test]
fn a_name_that_is_barred_does_not_join_until_that_is_lifted() {
    let mut log = two_regions();
    let bar = |name: &str, operator| Command::Bar { name: name.into(), operator };
    let unbar = |name: &str, operator| Command::Unbar { name: name.into(), operator };
    assert_eq!(run(&mut log, bar("n3", true)), Reply::Done);
    // An operator of that name is somebody else.
    assert_eq!(run(&mut log, join(3, "a", 0)), Reply::Done);
    assert_eq!(run(&mut log, bar("n4", false)), Reply::Done);
    assert_eq!(run(&mut log, bar("n4", false)), Reply::Unchanged);
    assert_eq!(refused(run(&mut log, join(4, "a", 0))), Refusal::Barred("n4".into()));
    // One that is present stays and is barred: removing it takes longer.
    assert_eq!(run(&mut log, bar("n2", false)), Reply::Done);
    assert_eq!(refused(run(&mut log, join(2, "b", 2))), Refusal::Barred("n2".into()));
    assert!(log.nodes().present().contains_key(&2));
    assert_eq!(run(&mut log, unbar("n4", true)), Reply::Unchanged);
    assert_eq!(run(&mut log, unbar("n4", false)), Reply::Done);
    assert_eq!(run(&mut log, join(4, "a", 0)), Reply::Done);
    let long = "x".repeat(NAME_BYTES + 1);
    assert!(matches!(refused(run(&mut log, bar(&long, false))), Refusal::TooLarge(..)));
}

#[test]
fn a_snapshot_of_the_former_format_is_read() {
    let mut log = two_regions();
    let (home, failover, shards) = ("a".into(), "b".into(), [0, 1].into());
    run(&mut log, Command::DefineWorkload { workload: 7, shards, home, failover });
    let former = (
        (log.applied, log.epoch, &log.nodes, &log.workloads, &log.bundles),
        (&log.playbooks, &log.settings, &log.approvals, &log.clients),
    );
    let bytes = codec::encode(FORMER, &former).unwrap();
    assert_eq!(ControlLog::decode(&bytes).unwrap(), log);
    assert!(ControlLog::decode(&codec::encode(3, &former).unwrap()).is_err());
}
