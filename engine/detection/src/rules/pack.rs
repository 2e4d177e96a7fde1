//! The rules that are shipped: written for this project, on window fields and on other products'
//! findings. Their text is in the crate's `rules/` folder, one file per subject.

/// File name and text of every shipped rule file, in the order in which they are loaded.
pub const PACK: &[(&str, &str)] = &[
    ("scan.yml", include_str!("../../rules/scan.yml")),
    ("credentials.yml", include_str!("../../rules/credentials.yml")),
    ("command_and_control.yml", include_str!("../../rules/command_and_control.yml")),
    ("dns.yml", include_str!("../../rules/dns.yml")),
    ("exfiltration.yml", include_str!("../../rules/exfiltration.yml")),
    ("lateral_movement.yml", include_str!("../../rules/lateral_movement.yml")),
    ("insider.yml", include_str!("../../rules/insider.yml")),
    ("http.yml", include_str!("../../rules/http.yml")),
    ("findings.yml", include_str!("../../rules/findings.yml")),
];
