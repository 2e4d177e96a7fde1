//! Whole members within one process: they found a cluster, join it, leave it, come back.

mod cuts;
mod identity;
mod threats;

use super::*;
use crate::fabric::Identity;
pub use threats::record;
use world::{LONG, World, until};

mod regions;
mod world;

fn flag(name: &str) -> Command {
    Command::SetFlag { name: name.into(), value: Some("1".into()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_found_a_cluster_join_it_and_survive_its_leader() {
    let world = World::new();
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    let us = world.join("us-1", "eu-1").await;
    let ap = world.join("ap-1", "us-1").await;
    assert_eq!((us.status().id, ap.status().id), (2, 3));
    until("three vote", || eu.status().voters.len() == 3).await;
    // Any node takes commands, and an operator may ask any.
    for member in [&eu, &us, &ap] {
        let reply = member.propose(flag(&member.status().name)).await.unwrap();
        assert_eq!(reply, Reply::Done);
    }
    let Ok(Told::Status(status)) =
        control::ask(&world.operator(), "us-1", &Ask::Status { digest: false }, LONG).await
    else {
        panic!("no status")
    };
    assert_eq!((status.id, status.members.len(), status.serving), (2, 3, true));
    assert!(status.durable);
    until("all have it", || {
        let digests = [&eu, &us, &ap].map(|m| m.status().digest);
        digests[0] == digests[1] && digests[1] == digests[2]
    })
    .await;
    // The leader ends; the others go on and keep what was agreed. It comes back by itself.
    let leads = eu.status().leader.unwrap();
    assert_eq!(leads, 1);
    eu.shutdown().await.unwrap();
    assert_eq!(us.propose(flag("after")).await.unwrap(), Reply::Done);
    let eu = world.node("eu-1", 1, 2, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    until("it has caught up", || eu.status().digest == us.status().digest).await;
    assert!(eu.read(|log| log.settings().flags().contains_key("after")).1);
    assert_eq!(eu.status().incarnation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_promoted_demoted_and_removed_by_name() {
    let world = World::new();
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    let us = world.join("us-1", "eu-1").await;
    // The id of a name that is there is not given again.
    let again = world.fabric(&Identity::node("acme", "us", "us-1").unwrap());
    let refused = ask_for_id(&again, &["eu-1".into()], "x", LONG).await;
    assert!(matches!(&refused, Err(Error::Refused(r)) if r.contains("cluster remove us-1")));
    // An operator cannot join, and is told which names there are.
    assert!(matches!(
        world.ask(&["us-1"], Ask::Id { address: "x".into() }).await,
        Told::Refused(_)
    ));
    let Told::Refused(reason) = world.ask(&["us-1"], Ask::Promote("xx".into())).await else {
        panic!("promoted nobody")
    };
    assert!(reason.contains("eu-1, us-1"), "{reason}");
    assert!(matches!(world.ask(&["us-1"], Ask::Demote("us-1".into())).await, Told::Done));
    until("one votes", || eu.status().voters.len() == 1).await;
    assert!(matches!(world.ask(&["us-1"], Ask::Promote("us-1".into())).await, Told::Done));
    until("two vote", || eu.status().voters.len() == 2).await;
    assert!(matches!(world.ask(&["us-1"], Ask::Remove("eu-1".into())).await, Told::Refused(_)));
    assert!(matches!(world.ask(&["us-1"], Ask::Remove("us-1".into())).await, Told::Done));
    until("one is left", || eu.status().members.len() == 1).await;
    assert_eq!(eu.propose(flag("alone")).await.unwrap(), Reply::Done);
    us.shutdown().await.unwrap();
    // Its files are lost: it joins anew under another id.
    std::fs::remove_dir_all(world.path("us-1")).unwrap();
    let us = world.join("us-1", "eu-1").await;
    assert_eq!(us.status().id, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_join_at_once_get_ids_of_their_own() {
    let world = World::new();
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    // An answer that was lost is given again.
    let us = world.fabric(&Identity::node("acme", "us", "us-1").unwrap());
    for _ in 0..2 {
        assert_eq!(ask_for_id(&us, &["eu-1".into()], "us-1", LONG).await.unwrap(), 2);
    }
    let (us, ap, sa) = tokio::join!(
        world.join("us-1", "eu-1"),
        world.join("ap-1", "eu-1"),
        world.join("sa-1", "eu-1")
    );
    let mut ids = [us.status().id, ap.status().id, sa.status().id];
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4]);
}

/// A node that is the only one it knows may look for others before it has seen that it leads.
#[tokio::test]
async fn who_knows_no_address_is_told_so_at_once() {
    let world = World::new();
    let fabric = world.fabric(&Identity::operator("acme", "me").unwrap());
    let asked = control::ask_leader(&fabric, &[], &Ask::Status { digest: false }, LONG);
    let told = timeout(LONG / 2, asked).await.unwrap();
    assert!(matches!(told, Err(control::Error::Unreachable(_))), "{told:?}");
}

#[tokio::test]
async fn garbage_on_the_control_lane_is_refused_with_a_word() {
    let world = World::new();
    let eu = world.node("eu-1", 1, 1, &[]).await;
    let operator = world.operator();
    let lane = crate::fabric::Lane::Control;
    for garbage in [&b""[..], &[1, 9, 9, 9], &[0xff; 100]] {
        let answer = operator.ask("eu-1", 0, lane, garbage.to_vec(), LONG).await.unwrap();
        let told: Told = control::decode(&answer).unwrap();
        assert!(matches!(told, Told::Refused(_)), "{told:?}");
    }
    eu.shutdown().await.unwrap();
}
