//! The listing that follows the log, and the connections that read it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_log::{EventLog, LogPosition};
pub use listing::ListingError;
use listing::{Listing, ListingReader};
use projector::Projector;
use tokio::sync::{Semaphore, watch};

use crate::handle::{ServiceError, ServiceHandle};

/// How often a wait for records looks whether the service stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a listing that failed is left alone before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How far the listing has followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListingState {
    /// The last record in it.
    pub position: LogPosition,
    /// Whether it has caught up once since the service began. Before that its file may still be replaced.
    pub is_ready: bool,
    /// Why it doesn't follow at the moment, if so.
    pub error: Option<String>,
}

/// Follows the log until `stop`, and then once more.
pub(crate) fn follow(
    mut projector: Projector<Listing>,
    log: &Arc<dyn EventLog>,
    state: &watch::Sender<ListingState>,
    stop: &AtomicBool,
) {
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let head = log.head().position;
        match projector.catch_up(head, &mut |_| {}) {
            Ok(position) => {
                state.send_replace(ListingState { position, is_ready: true, error: None });
                metrics::gauge!("leadfold_listing_position_records").set(position.0 as f64);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "the listing doesn't follow; what is recorded is safe");
                state.send_modify(|state| state.error = Some(error));
                if stopping {
                    return;
                }
                pause(stop);
                continue;
            }
        }
        if stopping {
            return;
        }
        log.wait_beyond(projector.checkpoint(), LOOK_EVERY);
    }
}

fn pause(stop: &AtomicBool) {
    let mut left = RETRY_AFTER;
    while left > Duration::ZERO && !stop.load(Ordering::Acquire) {
        std::thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
}

/// An error and its causes, as one sentence.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = format!("cannot {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !sentence.contains(&text) {
            sentence = format!("{sentence}: {text}");
        }
        cause = error.source();
    }
    sentence
}

/// Connections that read the listing, used one after the other.
pub(crate) struct Readers {
    data: PathBuf,
    free: Mutex<Vec<ListingReader>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(data: PathBuf, most: usize) -> Self {
        Self { data, free: Mutex::new(Vec::new()), turns: Arc::new(Semaphore::new(most)) }
    }

    fn take(&self) -> Result<ListingReader, ListingError> {
        let free = self.free.lock().ok().and_then(|mut free| free.pop());
        free.map_or_else(|| ListingReader::open(&self.data), Ok)
    }

    fn put(&self, reader: ListingReader) {
        if let Ok(mut free) = self.free.lock() {
            free.push(reader);
        }
    }
}

impl ServiceHandle {
    /// Waits until the listing holds the record at `position`.
    ///
    /// # Errors
    /// [`ServiceError::Behind`] when it doesn't get there within `limit`.
    pub async fn wait_listed(&self, position: LogPosition, limit: Duration) -> Result<(), ServiceError> {
        let mut listing = self.listing();
        let there = listing.wait_for(|state| state.position >= position);
        match tokio::time::timeout(limit, there).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ServiceError::Stopping),
            Err(_) => {
                let at = self.listing().borrow().position;
                Err(ServiceError::Behind { wanted: position, position: at })
            }
        }
    }

    /// Asks the listing something, on a thread that may wait.
    ///
    /// # Errors
    /// When the service stops; the inner one is the listing's own.
    pub async fn read_listing<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&ListingReader) -> Result<T, ListingError> + Send + 'static,
    ) -> Result<Result<T, ListingError>, ServiceError> {
        let shared = Arc::clone(&self.shared);
        let turns = Arc::clone(&shared.readers.turns);
        let turn = turns.acquire_owned().await.map_err(|_| ServiceError::Stopping)?;
        let asked = tokio::task::spawn_blocking(move || {
            let reader = shared.readers.take()?;
            let answer = ask(&reader);
            // A reader that failed may be of a file that is gone: the next one is opened anew.
            if !matches!(answer, Err(ListingError::Damaged { .. } | ListingError::Store { .. })) {
                shared.readers.put(reader);
            }
            drop(turn);
            answer
        });
        asked.await.map_err(|_| ServiceError::Stopping)
    }
}
