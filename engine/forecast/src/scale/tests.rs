use super::*;

#[test]
fn the_least_value_decides() {
    assert_eq!(Scale::of(&[3.0, 0.5]), Scale::Log);
    assert_eq!(Scale::of(&[3.0, 0.0]), Scale::Root);
    assert_eq!(Scale::of(&[3.0, -0.5]), Scale::Identity);
}

#[test]
fn values_go_there_and_back() {
    assert_eq!(Scale::Root.to(9.0), 3.0);
    assert_eq!(Scale::Root.from(3.0), 9.0);
    assert_eq!(Scale::Log.to(1.0), 0.0);
    assert!((Scale::Log.from(2.0) - 7.389_056_098_930_65).abs() < 1e-12);
    assert_eq!(Scale::Identity.to(-4.0), -4.0);
    assert_eq!(Scale::Identity.from(-4.0), -4.0);
}

#[test]
fn what_has_no_place_goes_to_the_nearest() {
    assert_eq!(Scale::Root.to(-4.0), 0.0);
    assert_eq!(Scale::Root.from(-2.0), 0.0);
    assert_eq!(Scale::Log.to(0.0), f64::MIN_POSITIVE.ln());
    assert!(Scale::Log.from(1e9).is_finite());
}

#[test]
fn a_scale_holds_its_values_only() {
    assert!(Scale::Log.holds(&[1.0, 1e-9]) && !Scale::Log.holds(&[1.0, 0.0]));
    assert!(Scale::Root.holds(&[0.0]) && !Scale::Root.holds(&[-1e-9]));
    assert!(Scale::Identity.holds(&[-1.0]));
}
