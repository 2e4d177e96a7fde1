use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use threat::{Text, Timestamp};

fn name() -> impl Strategy<Value = Text> {
    prop_oneof![
        8 => (0u8..3).prop_map(|n| Text::from(["a", "b", "c"][usize::from(n)])),
        1 => Just(Text::default()),
        1 => (60usize..70).prop_map(|n| Text::from("é".repeat(n))),
    ]
}

fn evidence() -> impl Strategy<Value = Text> {
    prop_oneof![9 => "[a-z]{0,8}", 1 => "[a-z]{510,520}"].prop_map(Text::from)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0u64..4, 1 => any::<u64>()]
}

/// An epoch that is often the right one: the state's own numbers are small.
fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0u64..6, 1 => any::<u64>()]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![9 => 0i64..20, 1 => any::<i64>()].prop_map(Timestamp::from_micros)
}

fn placement() -> impl Strategy<Value = Command> {
    let workload = || 0u32..3;
    prop_oneof![
        3 => name().prop_map(|region| Command::AddRegion { region }),
        1 => name().prop_map(|region| Command::RemoveRegion { region }),
        4 => (number(), name(), name(), 0u64..4).prop_map(|(node, name, region, incarnation)| {
            Command::JoinNode { node, name, region, address: "h:1".into(), incarnation }
        }),
        1 => (name(), any::<bool>(), any::<bool>()).prop_map(|(name, operator, lift)| {
            if lift { Command::Unbar { name, operator } } else { Command::Bar { name, operator } }
        }),
        3 => number().prop_map(|node| Command::AdmitNode { node }),
        1 => number().prop_map(|node| Command::LeaveNode { node }),
        3 => (workload(), prop::collection::btree_set(0u32..6, 0..3), name(), name()).prop_map(
            |(workload, shards, home, failover)| Command::DefineWorkload {
                workload, shards, home, failover,
            }
        ),
        1 => (workload(), name(), name()).prop_map(|(workload, home, failover)| {
            Command::PlaceWorkload { workload, home, failover }
        }),
        1 => (workload(), [name(), name(), name(), name()], epoch()).prop_map(
            |(workload, [home, failover, expected_home, expected_failover], expected_epoch)| {
                Command::RehomeWorkload {
                    workload, home, failover, expected_home, expected_failover, expected_epoch,
                }
            }
        ),
        6 => (workload(), prop::option::of(number()), epoch()).prop_map(
            |(workload, owner, expected_epoch)| Command::AssignWorkload {
                workload, owner, expected_epoch,
            }
        ),
        1 => (workload(), epoch()).prop_map(|(workload, expected_epoch)| {
            Command::RemoveWorkload { workload, expected_epoch }
        }),
    ]
}

fn rollout() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => (0u8..4, evidence()).prop_map(|(h, evidence)| Command::RegisterBundle {
            hash: [h; 32], evidence,
        }),
        2 => (number(), evidence()).prop_map(|(version, evidence)| Command::ShadowBundle {
            version, evidence,
        }),
        2 => (number(), number(), evidence()).prop_map(|(version, node, evidence)| {
            Command::ReadyBundle { version, node, evidence }
        }),
        2 => (number(), name(), evidence()).prop_map(|(version, region, evidence)| {
            Command::CanaryBundle { version, region, evidence }
        }),
        2 => (number(), epoch(), evidence()).prop_map(|(version, expected_epoch, evidence)| {
            Command::ActivateBundle { version, expected_epoch, evidence }
        }),
        1 => (number(), epoch(), evidence()).prop_map(|(version, expected_epoch, evidence)| {
            Command::RollbackBundle { version, expected_epoch, evidence }
        }),
        1 => number().prop_map(|version| Command::RetireBundle { version }),
    ]
}

fn settings() -> impl Strategy<Value = Command> {
    let id = || (0u128..3).prop_map(ApprovalId);
    prop_oneof![
        (name(), number(), 0u8..3).prop_map(|(name, version, h)| Command::PublishPlaybook {
            name,
            version,
            hash: [h; 32],
        }),
        (name(), number()).prop_map(|(name, version)| Command::ActivatePlaybook { name, version }),
        name().prop_map(|name| Command::WithdrawPlaybook { name }),
        (name(), prop::option::of(evidence()))
            .prop_map(|(name, value)| Command::SetFlag { name, value }),
        (name(), number(), prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(key, node, wrapped)| Command::WrapKey { key, node, wrapped }),
        name().prop_map(|key| Command::DropKey { key }),
        (id(), evidence(), name(), 0u8..20, time(), time()).prop_map(
            |(id, subject, requester, quorum, expires, now)| Command::RequestApproval {
                id,
                subject,
                requester,
                quorum,
                expires,
                now,
            }
        ),
        (id(), name(), any::<bool>(), time()).prop_map(|(id, person, approve, now)| {
            Command::Decide { id, person, approve, now }
        }),
        (id(), time()).prop_map(|(id, now)| Command::ExpireApproval { id, now }),
    ]
}

/// Requests of few clients; some are retries, some out of order.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    let command = prop_oneof![4 => placement(), 3 => rollout(), 3 => settings()];
    let client = (prop_oneof![9 => 0u64..2, 1 => any::<u64>()], 0u64..2)
        .prop_map(|(opened, nonce)| Client { opened, nonce });
    let sequence = prop_oneof![1 => 0u64..20, 3 => 20u64..100_000];
    let one = (client, sequence, command).prop_map(|(client, sequence, command)| Request {
        client,
        sequence,
        command,
    });
    prop::collection::vec(one, 0..120)
}

fn replay(log: &mut ControlLog, from: u64, requests: &[Request]) -> Vec<Reply> {
    requests.iter().zip(from..).map(|(r, index)| log.apply(index, r)).collect()
}

/// Nothing points at what is not there, and each shard is in one workload.
fn check(log: &ControlLog) {
    let (nodes, workloads) = (log.nodes(), log.workloads());
    let mut seen = BTreeMap::new();
    for (number, w) in workloads.all() {
        assert!(w.owner.is_none_or(|o| nodes.present().contains_key(&o)));
        assert!(nodes.regions().contains(&w.home) && nodes.regions().contains(&w.failover));
        assert!(w.epoch <= log.epoch());
        for shard in &w.shards {
            assert_eq!(seen.insert(*shard, *number), None);
            assert_eq!(workloads.of_shard(*shard), Some(w));
        }
    }
    let bundles = log.bundles();
    let active: Vec<u64> =
        bundles.all().iter().filter(|(_, b)| b.stage == Stage::Active).map(|(v, _)| *v).collect();
    assert_eq!(active, bundles.active().into_iter().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn the_same_log_gives_the_same_state_on_every_node(requests in requests()) {
        let (mut one, mut two) = (ControlLog::default(), ControlLog::default());
        prop_assert_eq!(replay(&mut one, 1, &requests), replay(&mut two, 1, &requests));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(one.digest().unwrap(), two.digest().unwrap());
        check(&one);
    }

    #[test]
    fn epochs_only_grow_and_are_given_once(requests in requests()) {
        let mut log = ControlLog::default();
        let mut given = std::collections::BTreeSet::new();
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        let mut fresh = std::collections::BTreeSet::new();
        for (request, index) in requests.iter().zip(1..) {
            let before = log.epoch();
            let reply = log.apply(index, request);
            prop_assert!(log.epoch() >= before);
            let first = fresh.insert((request.client, request.sequence));
            if let (Reply::Epoch(e), true) = (&reply, first) {
                prop_assert!(*e > before && given.insert(*e));
            }
            for (number, w) in log.workloads().all() {
                // 0 is a workload that was never assigned, perhaps after another of its number.
                if w.epoch > 0 {
                    let known = last.insert(*number, w.epoch).unwrap_or_default();
                    prop_assert!(w.epoch >= known);
                }
            }
        }
    }

    #[test]
    fn a_retry_changes_nothing_and_is_told_the_same(requests in requests(), again: usize) {
        let mut log = ControlLog::default();
        let replies = replay(&mut log, 1, &requests);
        if let Some(at) = again.checked_rem(requests.len()) {
            let index = requests.len() as u64;
            let before = log.clone();
            let reply = log.apply(index, &requests[at]);
            prop_assert_eq!(&log, &before);
            // The first with this client and sequence decides.
            let same = |r: &Request| {
                (r.client, r.sequence) == (requests[at].client, requests[at].sequence)
            };
            let first = requests.iter().position(same).unwrap();
            if !matches!(replies[first].refusal(), Some(Refusal::FutureClient(_))) {
                prop_assert_eq!(&reply, &replies[first]);
            }
        }
    }

    #[test]
    fn a_snapshot_in_the_middle_makes_no_difference(requests in requests(), cut: usize) {
        let cut = cut % (requests.len() + 1);
        let mut whole = ControlLog::default();
        replay(&mut whole, 1, &requests);
        let mut first = ControlLog::default();
        replay(&mut first, 1, &requests[..cut]);
        let mut second = ControlLog::decode(&first.encode().unwrap()).unwrap();
        prop_assert_eq!(&first, &second);
        replay(&mut second, 1 + cut as u64, &requests[cut..]);
        prop_assert_eq!(&second, &whole);
        prop_assert_eq!(second.digest().unwrap(), whole.digest().unwrap());
    }

    #[test]
    fn a_refusal_changes_nothing_but_what_is_remembered(requests in requests()) {
        let mut log = ControlLog::default();
        for (request, index) in requests.iter().zip(1..) {
            let before = log.clone();
            if log.apply(index, request).refusal().is_some() {
                let mut after = log.clone();
                after.clients = before.clients.clone();
                after.applied = before.applied;
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = ControlLog::decode(&bytes);
    }
}

/// The limits leave room: the largest state of the parts that hold the most still encodes.
#[test]
fn the_largest_state_fits_into_a_snapshot() {
    use super::limits::*;
    let mut clients = Clients::default();
    let long = Text::from("x".repeat(NAME_BYTES));
    let refusal = Refusal::InUse(Noun::Region, long.clone(), Noun::Workload, long.clone());
    for nonce in 0..CLIENTS as u64 {
        for sequence in 0..REPLIES_PER_CLIENT as u64 {
            let client = Client { opened: 0, nonce };
            clients.remember(1, client, sequence, Reply::Refused(refusal.clone()));
        }
    }
    let replies = codec::encode(1, &clients).unwrap().len();
    // An approval with all its approvers, a bundle with all its nodes, and so on.
    let approvals = APPROVALS * (SUBJECT_BYTES + (usize::from(QUORUM) + 1) * (NAME_BYTES + 8) + 64);
    let bundles = BUNDLES * (NODES + 8) * (EVIDENCE_BYTES + 16);
    let playbooks = PLAYBOOKS * (NAME_BYTES + 32 + PLAYBOOK_VERSIONS * 40);
    let keys = KEYS * (NAME_BYTES + 8 + NODES * (WRAPPED_BYTES + 16));
    let flags = FLAGS * (NAME_BYTES + FLAG_BYTES + 16);
    let small = WORKLOADS * (2 * NAME_BYTES + 64) + SHARDS as usize * 16 + LEFT_NODES * 8;
    let nodes = NODES * (2 * NAME_BYTES + ADDRESS_BYTES + 64)
        + REGIONS * (NAME_BYTES + 8)
        + 2 * BARRED * (NAME_BYTES + 8);
    let all = replies + approvals + bundles + playbooks + keys + flags + small + nodes;
    assert!(all < 32 << 20, "{all} bytes");
}
