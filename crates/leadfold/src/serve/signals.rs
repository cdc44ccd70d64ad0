//! Signals: the first one stops in order, the second one at once.

use std::process;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal, as shells count it for SIGTERM.
const CUT_OFF: i32 = 143;

/// Cancels `stopping` on SIGTERM or SIGINT, and ends the process on another one. That is safe at any point: only what
/// is durable was answered.
pub(crate) fn watch(stopping: CancellationToken) -> anyhow::Result<JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    Ok(tokio::spawn(async move {
        let mut seen = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if seen {
                tracing::warn!("stopped at once by a second signal; what was answered is durable");
                process::exit(CUT_OFF);
            }
            seen = true;
            tracing::info!("stopping; a second signal stops at once");
            stopping.cancel();
        }
    }))
}
