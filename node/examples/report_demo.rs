//! Writes reports of made-up findings to a folder, to look at the page and the summary:
//! `cargo run -p node --example report_demo -- FOLDER`.

#[path = "../tests/support/mod.rs"]
#[allow(missing_docs, dead_code, reason = "shared with the tests, which use other parts of it")]
mod support;

use node::report::{RunReport, page};
use node::summary::{Style, text};
use std::path::Path;

fn write(folder: &Path, name: &str, report: &RunReport) -> std::io::Result<()> {
    let html = page(report);
    println!("{name}.html: {} bytes", html.len());
    std::fs::write(folder.join(format!("{name}.html")), html)
}

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    write(folder, "one", &support::one())?;
    write(folder, "mixed", &support::mixed())?;
    write(folder, "many", &support::many(10_000))?;
    write(folder, "learning", &support::learning())?;
    print!("{}", text(&support::mixed(), &Style { colour: true, width: 100 }));
    Ok(())
}
