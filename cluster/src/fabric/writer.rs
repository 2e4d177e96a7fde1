//! The writing half of a connection.

use super::frame::{self, Frame};
use super::limits::{FRAME_BYTES, SILENCE};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes that gather before they are written.
const GATHERED: usize = 64 << 10;

/// Writes frames in their order, each not before `delay` has gone by since it was handed over, and
/// flushes when no more is there. Ends when its queue does, or the connection, or when the other
/// side takes nothing for too long.
pub(super) async fn run(
    writing: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<(Instant, Frame)>,
    delay: Duration,
) {
    let mut writing = BufWriter::with_capacity(GATHERED, writing);
    while let Some((handed, frame)) = frames.recv().await {
        let due = handed + delay;
        if due > Instant::now() {
            // What was to go before is on its way.
            if writing.flush().await.is_err() {
                return;
            }
            sleep_until(due).await;
        }
        let more = !frames.is_empty();
        let written = timeout(SILENCE, async {
            frame::write(&mut writing, &frame, FRAME_BYTES).await?;
            if !more {
                writing.flush().await?;
            }
            Ok::<(), super::error::Error>(())
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(SILENCE, writing.shutdown()).await;
}
