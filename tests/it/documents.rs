//! What the documents point at is there.

use crate::workspace::{files, root, text};

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in files().into_iter().filter(|f| f.ends_with(".md")) {
        let folder = root().join(&path).parent().unwrap().to_path_buf();
        for link in text(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            seen += 1;
            if !folder.join(target).exists() {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 10, "only {seen} links were found");
}

#[test]
fn invariants_name_tests_that_exist() {
    let all = crate::workspace::sources();
    let architecture = text("ARCHITECTURE.md");
    let (_, table) = architecture.split_once("\n## Invariants").expect("the invariants");
    let table = table.split("\n## ").next().unwrap_or_default();
    let names: Vec<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.contains('_') && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
        })
        .collect();
    assert!(names.len() > 10, "only {} tests were found", names.len());
    for name in names {
        let function = format!("fn {name}(");
        assert!(all.iter().any(|(_, text)| text.contains(&function)), "there is no test {name}");
    }
}
