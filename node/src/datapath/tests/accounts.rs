//! Threats of accounts, whose events lie at the hosts of several owners.

use super::*;
use threat::entity::Entity;

/// A threat of an account, of which so many verdicts were counted.
fn misuse(count: u64) -> threat::Threat {
    let (entity, class) = (Entity::User("ann".into()), threat::ThreatClass::InsiderMisuse);
    let seen = threat::Timestamp::from_micros(5);
    threat::Threat {
        id: threat::ThreatId::of(&entity, class, seen.hour()),
        entity,
        class,
        technique: None,
        severity: threat::Severity::Medium,
        score: 3.0,
        first_seen: seen,
        last_seen: seen,
        count,
        targets: Default::default(),
        rules: Default::default(),
        voters: Default::default(),
        missing: Default::default(),
        labels: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_nodes_see_of_one_account_adds_up_and_a_replay_adds_nothing() {
    let world = World::new(&[(1, "eu"), (2, "us"), (3, "ap")]);
    let node = world.start(1).await;
    let sharing = |me: u64| sharing::Sharing::new(Arc::new(View { me, log: world.log.clone() }));
    // Whoever owns the account: two of these three do not.
    for (me, counts) in [(1, [2, 5]), (2, [3, 3]), (3, [1, 4])] {
        let mut shares = sharing(me);
        for (count, end) in counts.into_iter().zip([100, 200]) {
            let records = shares.records(&[misuse(count)], "log", end, &node.threats);
            node.threats.fold(records).await.unwrap();
        }
    }
    let known = || node.threats.get(misuse(0).id).unwrap().verdicts();
    assert_eq!(known(), 5 + 3 + 4);
    // Another node takes over and judges again what was not acknowledged, and then more.
    let owner = world.log.0.lock().unwrap().owners.clone();
    let shard = misuse(0).entity.id().shard(SHARDS) as u32;
    let mut again = sharing(owner[&(shard / 4)]);
    for (count, end, sum) in [(4, 200, 12), (6, 300, 14)] {
        let records = again.records(&[misuse(count)], "log", end, &node.threats);
        node.threats.fold(records).await.unwrap();
        assert_eq!(known(), sum);
    }
    node.kill().await;
}
