//! Moves what the journal holds into the database, an area at a time, beside whoever appends.

use super::log_disk::{LogDisk, Write};
use super::log_store::Memory;
use crate::consensus::types::LogId;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use store::{Error, Result};

/// What an area held, and the generation up to which the database has everything with it.
pub(super) struct Area {
    writes: Vec<Write>,
    next: u64,
}

pub(super) struct Fold {
    disk: Arc<LogDisk>,
    memory: Arc<Mutex<Memory>>,
}

impl Fold {
    fn fold(&self, area: &Area) -> Result<()> {
        self.disk.fold(&area.writes, area.next)?;
        let appended = area.writes.iter().filter_map(|write| match write {
            Write::Append(entries) => Some(entries),
            _ => None,
        });
        let ids: Vec<LogId> = appended.flatten().map(|(id, _)| *id).collect();
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).folded(&ids);
        Ok(())
    }
}

/// Folds one area at a time.
pub(super) enum Folding {
    /// On a thread; whether it has one now.
    Thread { areas: mpsc::Sender<Area>, done: mpsc::Receiver<Result<()>>, busy: bool },
    /// At once, in simulations.
    Inline(Fold),
}

impl Folding {
    pub fn new(disk: Arc<LogDisk>, memory: Arc<Mutex<Memory>>, on_thread: bool) -> Self {
        let fold = Fold { disk, memory };
        if !on_thread {
            return Self::Inline(fold);
        }
        let (areas, waiting) = mpsc::channel::<Area>();
        let (tell, done) = mpsc::channel();
        thread::spawn(move || {
            for area in waiting {
                // Who appends may be gone: the journal has it still.
                let _ = tell.send(fold.fold(&area));
            }
        });
        Self::Thread { areas, done, busy: false }
    }

    /// Waits until the last area is folded.
    pub fn wait(&mut self) -> Result<()> {
        match self {
            Self::Thread { done, busy, .. } if *busy => {
                *busy = false;
                done.recv().unwrap_or_else(|_| Err(gone()))
            }
            _ => Ok(()),
        }
    }

    /// Folds an area; the last one is folded.
    pub fn start(&mut self, writes: Vec<Write>, next: u64) -> Result<()> {
        let area = Area { writes, next };
        match self {
            Self::Thread { areas, busy, .. } => {
                *busy = true;
                areas.send(area).map_err(|_| gone())
            }
            Self::Inline(fold) => fold.fold(&area),
        }
    }
}

/// The thread has panicked.
fn gone() -> Error {
    Error::Corrupt { what: "what moves the journal into the log has ended".into() }
}
