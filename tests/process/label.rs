//! Labels: what an analyst says of a finding changes the next run, and can be taken back.

use crate::command::watchfire;
use crate::conn::Conn;
use serde_json::Value;
use std::path::Path;

/// An event like no other in the benign log, of which no rule knows.
const ODD: &str = "1767600900.000000\tODD1\t10.0.0.7\t50123\t10.0.1.77\t47808\tudp\t-\t\
    4000.5\t77\t9000111\tSHR\t900\t99000\t9000\t9990000\n";

/// Where it stands in the log.
const ODD_LINE: usize = 208;

fn ran(folder: &Path, arguments: &[&str]) -> String {
    let output = watchfire(folder).args(arguments).output().unwrap();
    let (told, error) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(told).unwrap()
}

/// The finding of the odd event: its id, the bundle that judged it, and its score.
fn detect(folder: &Path, output: &str) -> (String, String, f64) {
    let run = ["detect", "--baseline", "good.log", "--state", "st", "--budget", "0.1%", "--quiet"];
    ran(folder, &[&run[..], &["--output", output, "odd.log"]].concat());
    let told = std::fs::read_to_string(folder.join(output)).unwrap();
    let findings = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let example = |f: &Value| f["unmapped"]["watchfire"]["examples"][0].clone();
    let mut ours = findings.filter(|f| example(f)["line"] == ODD_LINE);
    let finding = ours.next().unwrap();
    let (uid, example) = (&finding["finding_info"]["uid"], example(&finding));
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    assert_eq!(example["decided_by"], "ml");
    (text(uid), text(&example["bundle"]), example["score"].as_f64().unwrap())
}

#[test]
fn a_false_positive_is_learnt_from_at_once_and_the_label_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("good.log"), Conn::log(8, 0.2, false, 4_000)).unwrap();
    let odd = Conn::log(9, 0.2, false, 200) + ODD;
    assert_eq!(odd.lines().count(), ODD_LINE);
    std::fs::write(at.join("odd.log"), odd).unwrap();
    let before = detect(at, "before.ndjson");
    let (finding, bundle, score) = &before;

    let words = ran(at, &["label", finding, "fp", "--state", "st", "--budget", "0.1%"]);
    let numbers = |line: &str| -> Vec<f64> {
        let line = words.lines().find(|l| l.contains(line)).unwrap();
        line.split([' ', ',']).filter_map(|w| w.parse().ok()).collect()
    };
    let (bayes, threshold) = (numbers("Bayes:"), numbers("have to reach"));
    assert!(bayes[1] < bayes[0] && threshold[1] > threshold[0], "{words}");
    assert!(ran(at, &["label", "--list", "--state", "st"]).contains(finding.as_str()));
    let after = detect(at, "after.ndjson");
    assert!(after.2 < *score && after.1 != *bundle, "{after:?}");
    // It is explained by the models that judge it now.
    let verified = ran(at, &["explain", "--verify", finding, "--state", "st"]);
    assert!(verified.contains("verify inputs: identical"), "{verified}");
    assert!(verified.contains(after.1.as_str()), "{verified}");

    ran(at, &["label", finding, "tp", "--state", "st"]);
    assert_eq!(detect(at, "true.ndjson"), before, "a true positive moves nothing");
    ran(at, &["label", finding, "none", "--state", "st"]);
    assert!(ran(at, &["label", "--list", "--state", "st"]).contains("no labels yet"));
    assert_eq!(detect(at, "none.ndjson"), before, "the label was taken back");
}

#[test]
fn labels_of_what_is_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.log"), Conn::log(8, 0.2, false, 400)).unwrap();
    ran(folder.path(), &["detect", "--state", "st", "--quiet", "good.log"]);
    for (arguments, reason) in [
        (&["label", "3f2a9c", "fp", "--state", "nowhere"][..], "no state"),
        (&["label", "3f2a9c", "fp", "--state", "st"], "no finding begins with 3f2a9c"),
        (&["label", "3f2a9c", "maybe", "--state", "st"], "invalid value 'maybe'"),
    ] {
        let output = watchfire(folder.path()).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(reason), "{arguments:?}: {error}");
    }
}
