//! Asking for what comes next: a node of a cluster, or the state file of one that has none.

use crate::datapath::history;
use crate::datapath::message::{Ask, Told, decode_told, encode};
use actors::response::forecaster::{OUTLOOKS, Wanted};
use cluster::fabric::{Fabric, Lane};
use forecast::forecasters::Kept;
use forecast::{Forecasters, Outlook, Settings};
use std::path::Path;
use std::time::Duration;
use store::Store;

/// How long a node may take: for a question of the past it fits hundreds of models.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// What was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What comes, by subject.
    pub outlooks: Vec<Outlook>,
    /// What an event has cost, in microseconds of one core, if that is known.
    pub core_micros: Option<f64>,
    /// Minutes that people worked on a threat, if that is known.
    pub minutes_per_threat: Option<f64>,
}

/// Asks the node that listens there.
///
/// # Errors
/// Why it does not answer, in words.
pub async fn ask(fabric: &Fabric, address: &str, wanted: &Wanted) -> Result<Heard, String> {
    let body = encode(&Ask::Forecasts(wanted.clone()), &[]).map_err(|e| e.to_string())?;
    let told = fabric.ask(address, 0, Lane::Data, body, ANSWER_TIME).await;
    match decode_told(&told.map_err(|e| e.to_string())?) {
        Ok(Told::Forecasts { outlooks, core_micros, minutes_per_threat }) => {
            Ok(Heard { outlooks, core_micros, minutes_per_threat })
        }
        Ok(Told::Refused(why) | Told::Waits(why)) => Err(why),
        Ok(other) => Err(format!("it says {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Forecasts from a state file, as of the hour after the last one in it unless another is wanted.
///
/// # Errors
/// When it cannot be read, or another process has it open.
pub fn of_state(path: &Path, wanted: &Wanted) -> Result<Heard, store::Error> {
    let history = history(&Store::open(path)?, i64::MIN)?;
    let end = wanted.until.or_else(|| Some(history.last()? + 1)).unwrap_or_default();
    let mut forecasters = Forecasters::new(Settings::default(), Kept::new());
    forecasters.step(&history, end, &mut Vec::new());
    let outlooks = forecasters.outlooks(|subject| wanted.has(subject), OUTLOOKS);
    Ok(Heard { outlooks, core_micros: None, minutes_per_threat: None })
}
