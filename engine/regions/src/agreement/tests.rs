use super::*;
use crate::control_log::{Client, Command, ControlLog, Request};
use proptest::prelude::*;

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn region(name: &str) -> Subject {
    Subject::Region(name.into())
}

fn regions(names: &str) -> BTreeSet<Subject> {
    names.chars().map(|c| region(&c.to_string())).collect()
}

/// Voters of one letter each, and who says of whom that it is dead, all at one time.
fn says(voters: &str, reports: &[(&str, &str)]) -> Agreement {
    let mut agreement = Agreement::new(regions(voters)).unwrap();
    for (voter, dead) in reports {
        let report = Report { voter: region(voter), number: (1, 1), dead: regions(dead) };
        agreement.hear(at(0), report).unwrap();
    }
    agreement
}

fn failed(voters: &str, reports: &[(&str, &str)]) -> BTreeSet<Subject> {
    says(voters, reports).failed(at(100))
}

#[test]
fn a_majority_of_all_voters_is_needed() {
    assert_eq!(failed("abc", &[("a", "c"), ("b", "c")]), regions("c"));
    assert_eq!(failed("abc", &[("a", "c"), ("b", "")]), regions(""));
    // Of five, two that report alone are no majority, whatever they say.
    assert_eq!(failed("abcde", &[("a", "e"), ("b", "e")]), regions(""));
    assert_eq!(failed("abcde", &[("a", "de"), ("b", "de"), ("c", "de")]), regions("de"));
}

#[test]
fn one_sick_voter_removes_only_itself() {
    // It hears nobody: what it says is not counted, even where another is about to be suspected.
    assert_eq!(failed("abc", &[("a", "bc"), ("b", ""), ("c", "")]), regions("a"));
    assert_eq!(failed("abc", &[("a", "bc"), ("b", "c"), ("c", "")]), regions("a"));
    assert_eq!(
        failed("abcde", &[("a", "bcd"), ("b", "c"), ("c", ""), ("d", "c"), ("e", "")]),
        regions("a")
    );
}

#[test]
fn links_that_carry_one_way_only_are_handled() {
    // Nobody hears a; a hears all and takes nobody for dead.
    assert_eq!(failed("abc", &[("a", ""), ("b", "a"), ("c", "a")]), regions("a"));
    // a hears nobody; all hear a. Its leases lapse, so that it counts as failed.
    assert_eq!(failed("abc", &[("a", "bc"), ("b", ""), ("c", "")]), regions("a"));
    // Only between a and b: c hears both, and none is removed.
    assert_eq!(failed("abc", &[("a", "b"), ("b", "a"), ("c", "")]), regions(""));
    assert_eq!(failed("abc", &[("a", ""), ("b", "a"), ("c", "")]), regions(""));
    // A ring in which each of five hears its neighbours alone: all hear a majority.
    let ring = [("a", "cd"), ("b", "de"), ("c", "ea"), ("d", "ab"), ("e", "bc")];
    assert_eq!(failed("abcde", &ring), regions(""));
}

#[test]
fn where_no_majority_is_sound_nobody_is_failed() {
    assert_eq!(failed("abc", &[("a", "bc"), ("b", "ac"), ("c", "")]), regions(""));
    assert_eq!(failed("abc", &[("a", "bc")]), regions(""));
    assert_eq!(failed("", &[]), regions(""));
}

#[test]
fn reports_expire_and_old_ones_change_nothing() {
    let mut agreement = says("abc", &[("a", "c"), ("b", "c")]);
    let life = REPORT_LIFE.as_millis() as u64;
    assert_eq!(agreement.failed(at(life - 1)), regions("c"));
    assert_eq!(agreement.failed(at(life)), regions(""));
    assert_eq!(agreement.view(at(life)).silent, regions("abc"));
    let mut report = Report { voter: region("a"), number: (1, 1), dead: regions("") };
    let old = agreement.hear(at(5), report.clone()).unwrap_err();
    assert_eq!(old.to_string(), "report (1, 1) of region a is not newer than (1, 1)");
    assert_eq!((agreement.turned_away(), agreement.failed(at(5))), (1, regions("c")));
    report.number = (2, 0);
    agreement.hear(at(5), report.clone()).unwrap();
    assert_eq!(agreement.failed(at(5)), regions(""));
    report.voter = region("x");
    assert_eq!(agreement.hear(at(5), report), Err(Error::Stranger(region("x"))));
}

#[test]
fn limits_hold_and_voters_change() {
    let many: BTreeSet<_> = (0..=VOTERS as u64).map(Subject::Node).collect();
    assert_eq!(Agreement::new(many.clone()).unwrap_err(), Error::Voters(VOTERS + 1));
    let mut agreement = says("abc", &[("a", "c"), ("b", "c")]);
    assert!(agreement.set_voters(many).is_err());
    let dead = (0..=SUBJECTS as u64).map(Subject::Node).collect();
    let report = Report { voter: region("a"), number: (9, 9), dead };
    assert_eq!(agreement.hear(at(0), report), Err(Error::TooMany(SUBJECTS + 1)));
    agreement.set_voters(regions("abcde")).unwrap();
    assert_eq!(agreement.failed(at(0)), regions(""));
    agreement.set_voters(regions("bcd")).unwrap();
    assert_eq!(agreement.view(at(0)).said, [(region("c"), 1)].into());
}

#[test]
fn a_region_is_dead_when_all_its_admitted_nodes_are() {
    let mut log = ControlLog::default();
    let mut commands: Vec<_> =
        ["a", "b", "c"].map(|r| Command::AddRegion { region: r.into() }).into();
    for (node, region, admitted) in
        [(1, "a", true), (2, "a", true), (3, "a", false), (4, "b", true)]
    {
        let (name, address) = (format!("n{node}").into(), "h:1".into());
        let region = region.into();
        commands.push(Command::JoinNode { node, name, region, address, incarnation: 1 });
        commands.extend(admitted.then_some(Command::AdmitNode { node }));
    }
    for (n, command) in (1..).zip(commands) {
        let request = Request { client: Client::default(), sequence: n, command };
        assert_eq!(log.apply(n, &request).refusal(), None);
    }
    let dead = |ids: &[u64]| dead_subjects(log.nodes(), &ids.iter().copied().collect());
    let node = Subject::Node;
    assert_eq!(dead(&[1, 9]), [node(1)].into());
    assert_eq!(dead(&[1, 2]), [region("a"), node(1), node(2)].into());
    assert_eq!(dead(&[4]), [region("b"), node(4)].into());
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        (0u64..12).prop_map(Subject::Node),
        (0u8..5).prop_map(|n| Subject::Region(["a", "b", "c", "d", "e"][usize::from(n)].into())),
    ]
}

proptest! {
    /// Less than a majority of liars, who say anything at any time: no voter or node that the
    /// others hear is removed.
    #[test]
    fn a_minority_of_liars_removes_nobody_else(
        lies in prop::collection::vec(
            (0usize..2, prop::collection::btree_set(subject(), 0..17), 0u64..6_000), 0..40,
        ),
        now in 0u64..6_000,
    ) {
        let mut agreement = Agreement::new(regions("abcde")).unwrap();
        let liars = [region("a"), region("b")];
        for (n, (who, dead, when)) in (1..).zip(lies) {
            let report = Report { voter: liars[who].clone(), number: (0, n), dead };
            agreement.hear(at(when), report).unwrap();
        }
        for voter in ["c", "d", "e"] {
            let report = Report { voter: region(voter), number: (0, 1), dead: regions("") };
            agreement.hear(at(now), report).unwrap();
        }
        let failed = agreement.failed(at(now));
        prop_assert!(failed.iter().all(|s| liars.contains(s)), "{:?}", failed);
    }

    /// Whatever is said: who is failed without being deaf was said to be dead by a majority.
    #[test]
    fn the_failed_are_deaf_or_agreed_on(
        reports in prop::collection::vec(
            (0u8..5, prop::collection::btree_set(subject(), 0..8)), 0..6,
        ),
    ) {
        let mut agreement = Agreement::new(regions("abcde")).unwrap();
        let names = ["a", "b", "c", "d", "e"];
        for (n, (who, dead)) in (1..).zip(reports) {
            let voter = region(names[usize::from(who)]);
            agreement.hear(at(0), Report { voter, number: (n, 0), dead }).unwrap();
        }
        let view = agreement.view(at(0));
        for subject in &view.failed {
            let agreed = view.said.get(subject).is_some_and(|n| *n >= 3);
            prop_assert!(agreed || view.deaf.contains(subject));
        }
    }
}
