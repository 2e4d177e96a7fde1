//! The `watchfire` command.
fn main() {}
