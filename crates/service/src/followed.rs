//! The listing that follows the log, and the connections that read it.

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::{FreshBatch, FreshRecord, FreshRecords};
use event_log::LogPosition;
pub use listing::ListingError;
use listing::{Listing, ListingReader, ListingReaders};
use projector::{ModelError, Projection, Projector, ProjectorError, Recorded};
use tokio::sync::Semaphore;

use crate::handle::{ServiceError, ServiceHandle};
use crate::steering::{Models, Steering, Turn};

/// How often a wait for records looks whether the service stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest rest between two commits, as long as they are small.
const REST_MAX: Duration = Duration::from_millis(80);
/// From so many records on a commit is a large one: freshness gives way to throughput.
const LARGE_RECORDS: usize = 8_192;
/// The longest rest behind a large commit.
const LARGE_REST_MAX: Duration = Duration::from_secs(1);
/// Records that may wait for the listing in memory; one that is further behind reads the log.
pub(crate) const FRESH_MAX: usize = 65_536;
/// How long a listing that failed is left alone before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The thread that keeps the listing up to date.
///
/// It takes records from the writer's memory as they become durable, and from the log what it missed there.
pub(crate) struct Follower {
    pub(crate) projector: Option<Projector<Listing>>,
    pub(crate) fresh: FreshRecords,
    pub(crate) steering: Steering<Listing>,
    /// How long to rest behind the last commit.
    pub(crate) rest: Duration,
}

impl Follower {
    /// Follows until it is told to stop, and then, unless it is paused, to the end of the log.
    pub(crate) fn run(mut self) {
        let mut behind = true;
        while !self.steering.is_stopping() {
            let followed = match self.steering.turn(&mut self.projector) {
                Ok(Turn::Follow) if behind => self.catch_up().map(|()| false),
                Ok(Turn::Follow) => self.take_fresh().map(|()| false),
                Ok(Turn::Rest) => {
                    self.let_pass();
                    Ok(true)
                }
                Err(error) => Err(error),
            };
            behind = followed.as_ref().copied().unwrap_or(true);
            if let Err(error) = followed {
                self.steering.failed(self.projector.as_ref(), &error);
                self.pause();
            }
        }
        self.steering.stop_building();
        if !self.steering.is_paused()
            && let Err(error) = self.catch_up()
        {
            self.steering.failed(self.projector.as_ref(), &error);
        }
    }

    /// Takes everything from the log.
    fn catch_up(&mut self) -> Result<(), ProjectorError> {
        let Some(projector) = &mut self.projector else { return Ok(()) };
        let position = projector.catch_up(self.steering.log().head().position, &mut |_| {})?;
        self.shows(position);
        Ok(())
    }

    /// Takes what has just become durable, and commits it.
    ///
    /// A commit costs about the same for one change of a lead as for several, so after a long one the next waits as long:
    /// under load that writes each row less often, and without load there is nothing to wait for.
    fn take_fresh(&mut self) -> Result<(), ProjectorError> {
        let Some(projector) = &mut self.projector else { return Ok(()) };
        let until = Instant::now() + self.rest;
        let mut wait = LOOK_EVERY;
        let mut records = 0;
        // A stream of records that never pauses must not put the commit off for ever.
        while records < FRESH_MAX {
            match self.fresh.next(wait) {
                Ok(batches) => {
                    take_fresh(projector, &batches)?;
                    records += batches.iter().map(FreshBatch::len).sum::<usize>();
                    wait = until.saturating_duration_since(Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => break,
                // The writer has ended, and soon this thread is told to.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(wait);
                    break;
                }
            }
        }
        if records == 0 {
            self.rest = Duration::ZERO;
            // What was missed, and nothing came behind it.
            let is_behind = projector.checkpoint() < self.steering.log().head().position;
            return if is_behind { self.catch_up() } else { Ok(()) };
        }
        let started = Instant::now();
        let position = projector.commit_fresh()?;
        self.rest = rest_after(records, started.elapsed());
        self.shows(position);
        Ok(())
    }

    /// Lets go of what has become durable: it is read from the log later.
    fn let_pass(&self) {
        if let Err(RecvTimeoutError::Disconnected) = self.fresh.next(LOOK_EVERY).map(drop) {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn shows(&self, position: LogPosition) {
        if let Some(projector) = &self.projector {
            self.steering.shows(projector, position, true);
        }
        metrics::gauge!("leadfold_listing_position_records").set(position.0 as f64);
    }

    fn pause(&self) {
        let mut left = RETRY_AFTER;
        while left > Duration::ZERO && !self.steering.is_stopping() {
            std::thread::sleep(LOOK_EVERY);
            left = left.saturating_sub(LOOK_EVERY);
        }
    }
}

/// New models of the listing of a data folder.
pub(crate) struct ListingModels {
    pub(crate) data: PathBuf,
    pub(crate) readers: ListingReaders,
}

impl Models<Listing> for ListingModels {
    fn begin(&self) -> Result<Listing, ModelError> {
        Listing::begin_rebuild_for(&self.data, self.readers.clone()).map_err(|error| ModelError(Box::new(error)))
    }

    fn is_unseen(&self, model: &Listing) -> bool {
        model.is_unseen()
    }

    fn abandon(&self, model: Listing) {
        model.abandon();
    }
}

/// Takes records that have just become durable into a projection, from the writer's memory.
///
/// # Errors
/// As [`Projector::take_fresh`].
pub fn take_fresh<P: Projection>(projector: &mut Projector<P>, batches: &[FreshBatch]) -> Result<(), ProjectorError> {
    let projection = projector.projection().name();
    for record in batches.iter().flat_map(FreshBatch::records) {
        let FreshRecord { header, chain, events, .. } = record;
        let decoding = |source| ProjectorError::Decode { projection, position: header.position, source };
        let opened = record.open().map_err(decoding)?;
        let recorded = Recorded { header, input: opened.input(), events, personal: opened.personal() };
        projector.take_fresh(&recorded, chain)?;
    }
    Ok(())
}

/// How long to rest behind a commit that took so long.
fn rest_after(records: usize, took: Duration) -> Duration {
    if records >= LARGE_RECORDS { (took * 4).min(LARGE_REST_MAX) } else { took.min(REST_MAX) }
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
    source: ListingReaders,
    free: Mutex<Vec<ListingReader>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(source: ListingReaders, most: usize) -> Self {
        Self { source, free: Mutex::new(Vec::new()), turns: Arc::new(Semaphore::new(most)) }
    }

    fn take(&self) -> Result<ListingReader, ListingError> {
        loop {
            let free = self.free.lock().ok().and_then(|mut free| free.pop());
            match free {
                // Those of a model whose place another one took read the old one.
                Some(reader) if !self.source.is_current(&reader) => {}
                Some(reader) => return Ok(reader),
                None => return self.source.open(),
            }
        }
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
