//! The thread that answers once records are durable, so that deciding never waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use event_log::{EventLog, LogPosition};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::input::Receipt;

/// How often a wait looks whether the writer has failed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An answer that waits until the log has reached a position.
pub(crate) struct Completion {
    pub(crate) position: LogPosition,
    pub(crate) answer: Option<oneshot::Sender<Vec<Receipt>>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) room: OwnedSemaphorePermit,
}

/// Answers in order until nothing more can come, or the writer has failed: then nobody is answered any more, because what
/// is durable is unknown.
pub(crate) fn run(completions: &Receiver<Completion>, log: &Arc<dyn EventLog>, failed: &AtomicBool) {
    let mut head = log.head().position;
    for completion in completions {
        let Completion { position, answer, receipts, room } = completion;
        while head < position {
            head = log.wait_beyond(LogPosition(position.0 - 1), LOOK_EVERY).position;
            if head < position && failed.load(Ordering::Acquire) {
                return;
            }
        }
        drop(room);
        if let Some(answer) = answer {
            // Who asked may have gone; it is recorded all the same.
            let _ = answer.send(receipts);
        }
    }
}
