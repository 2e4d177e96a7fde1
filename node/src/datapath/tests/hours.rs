//! What nodes counted by hour: told to others, and forecast from.

use super::*;
use crate::datapath::hours::{Counted, history};
use crate::datapath::limits::KEEP_TIME;
use crate::datapath::message::{Ask, Told};
use actors::response::forecaster::{Hours, Wanted};
use cluster::fabric::Lane;
use forecast::{Measure, Subject};

/// 10 January 2026, 10 o'clock, in hours since the epoch.
const HOUR: i64 = 491_122;

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_counted_reaches_one_that_was_not_there_and_replays_count_once() {
    let world = World::new(&[(1, "eu"), (2, "us")]);
    let nodes = [world.start(1).await, world.start(2).await];
    let log = log(3_000);
    for to in [1, 2] {
        assert!(world.send(&log, &[to], Durability::Local, &mut Sent::default()).await);
    }
    let store = Arc::new(world.store(9));
    let fabric = world.fabric(&Identity::node("acme", "ap", "n-9").unwrap());
    fabric.is_node(9);
    let view: Arc<dyn ClusterView> = Arc::new(View { me: 9, log: world.log.clone() });
    let counted = Counted::of(&store, &fabric, &view, Threads::default());
    for _ in 0..2 {
        // The second time there is nothing to be learnt.
        counted.learn().await;
    }
    let history = history(&store, i64::MIN).unwrap();
    let events = |region: Option<&str>| {
        let subject =
            Subject { region: region.map(str::to_owned), ..Subject::all(Measure::Events(None)) };
        history.series(&subject, HOUR + 1).map(|series| series.values().iter().sum::<f64>())
    };
    assert_eq!(events(None), Some(3_000.0));
    let shares = [events(Some("eu")).unwrap(), events(Some("us")).unwrap()];
    assert!(shares[0] > 0.0 && shares[1] > 0.0 && shares[0] + shares[1] == 3_000.0, "{shares:?}");
    let threats = history.series(&Subject::all(Measure::Threats(None)), HOUR + 1).unwrap();
    assert!(threats.values().iter().sum::<f64>() >= 1.0);
    for node in nodes {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hears_what_comes_and_no_stranger_what_was_counted() {
    let world = World::new(&[(1, "eu")]);
    let node = world.start(1).await;
    assert!(world.send(&log(500), &[1], Durability::Local, &mut Sent::default()).await);
    let operator = world.fabric(&Identity::operator("acme", "me").unwrap());
    let asked = async |ask: &Ask| {
        let body = crate::datapath::message::encode(ask, &[]).unwrap();
        let told = operator.ask("1", 0, Lane::Data, body, 10 * KEEP_TIME).await.unwrap();
        crate::datapath::message::decode_told(&told).unwrap()
    };
    let wanted = Wanted { until: Some(HOUR + 1), ..Wanted::default() };
    let Told::Forecasts { outlooks, .. } = asked(&Ask::Forecasts(wanted)).await else { panic!() };
    let events = outlooks.iter().find(|o| o.subject == Subject::all(Measure::Events(None)));
    let events = events.unwrap();
    assert_eq!(events.series.values(), [500.0]);
    assert!(events.forecast.as_ref().unwrap_err().contains("too few"), "{:?}", events.forecast);
    for ask in [Ask::HourHeads { after: None }, Ask::Hours(vec![(HOUR, 1)])] {
        let told = asked(&ask).await;
        assert!(matches!(&told, Told::Refused(why) if why.contains("between nodes")), "{told:?}");
    }
    node.kill().await;
}
