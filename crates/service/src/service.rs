//! The stages, started and brought to rest.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Engine, EngineError, Tenant};
use event_log::LogPosition;
use listing::Listing;
use projector::{PauseMark, Projection, Projector};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::answers;
use crate::decide::Decider;
use crate::decode::{self, DecoderSource};
use crate::followed::{FRESH_MAX, Follower, ListingModels, Readers, with_causes};
use crate::handle::{ServiceHandle, Shared, Work};
use crate::options::ServiceOptions;
use crate::pace::Pace;
use crate::steering::{Followable, Steering};

/// Calls that may wait for the decoder besides what the bound in bytes allows.
const CALLS_QUEUED_MAX: usize = 4_096;
/// Decoded calls that may wait for the decider: enough to keep it busy.
const JOBS_QUEUED_MAX: usize = 64;

/// Why the stages could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system gives no thread.
    #[error("start a thread")]
    Thread(#[from] io::Error),
    /// The engine has failed already.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A thread whose name shows in the system's lists.
fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// What the listing is followed with.
fn followable(shared: &Shared, listing: &Listing, data: &Path, erased_before: LogPosition) -> Followable<Listing> {
    Followable {
        name: Listing::NAME,
        version: listing.version(),
        log: shared.parts.log.clone(),
        vault: shared.parts.vault.clone(),
        pause: PauseMark::of(data, Listing::NAME),
        models: Box::new(ListingModels { data: data.to_owned(), readers: listing.readers() }),
        erasures: shared.erasures.subscribe(),
        erased_before,
    }
}

/// A running engine: its threads.
pub struct Service {
    handle: ServiceHandle,
    decoder: JoinHandle<()>,
    decider: JoinHandle<Result<(), EngineError>>,
    answers: JoinHandle<()>,
    listing: JoinHandle<()>,
    stop_listing: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
}

impl Service {
    /// Starts the stages around an engine and the projector of its listing, whose model is in the folder `data`.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(
        engine: Engine,
        projector: Projector<Listing>,
        data: &Path,
        options: ServiceOptions,
    ) -> Result<Self, StartError> {
        let fresh = engine.follow_loosely(FRESH_MAX)?;
        let parts = engine.parts().clone();
        let log = parts.log.clone();
        let shared = Arc::new(Shared {
            options,
            parts,
            turns: Arc::new(Semaphore::new(options.readers_max)),
            room: Arc::new(Semaphore::new(options.queued_bytes_max as usize)),
            tenants: RwLock::default(),
            failure: OnceLock::new(),
            pace: Pace::new(options.fed),
            readers: Readers::new(projector.projection().readers(), options.readers_max),
            erasures: watch::Sender::new(0),
        });
        shared.renew_tenants(&engine);
        let (queue, calls) = tokio::sync::mpsc::channel(CALLS_QUEUED_MAX);
        let (jobs, decoded) = mpsc::sync_channel(JOBS_QUEUED_MAX);
        let (renewed, renewals) = mpsc::channel();
        let (completions, completed) = mpsc::channel();
        let (ended_now, ended) = watch::channel(false);
        let hash_key = engine.hash_key();
        let source = || DecoderSource { hash_key, limits: options.limits };
        let known = engine.tenants().iter().map(Tenant::rules).collect();
        let failed = engine.failed();
        let erased_before = engine.erasures()?.last().map(|(position, _)| *position).unwrap_or_default();
        let decider_source = source();
        let decider = Decider {
            engine,
            shared: Arc::clone(&shared),
            source: decider_source,
            completions,
            renewed,
            failed: Arc::clone(&failed),
            received: None,
        };
        let stop_listing = Arc::new(AtomicBool::new(false));
        let given = followable(&shared, projector.projection(), data, erased_before);
        let (steering, listing) = Steering::new(given, Ok(&projector), Arc::clone(&stop_listing));
        let source = source();
        let decoder = spawn("decode", move || decode::run(calls, &jobs, &renewals, &source, known))?;
        let decider = {
            let shared = Arc::clone(&shared);
            spawn("decide", move || {
                let run = decider.run(&decoded);
                if let Err(error) = &run {
                    // Said before the queue is closed, so that whoever waits learns why.
                    let _ = shared.failure.set(with_causes(error));
                }
                drop(decoded);
                shared.room.close();
                ended_now.send_replace(true);
                run
            })?
        };
        let answers = {
            let log = log.clone();
            spawn("answers", move || answers::run(&completed, &log, &failed))?
        };
        let follower = {
            let follower = Follower { projector: Some(projector), fresh, steering, rest: Duration::ZERO };
            spawn("listing", move || follower.run())?
        };
        let handle = ServiceHandle { queue, shared, listing };
        Ok(Self { handle, decoder, decider, answers, listing: follower, stop_listing, ended })
    }

    /// The way to it.
    #[must_use]
    pub fn handle(&self) -> ServiceHandle {
        self.handle.clone()
    }

    /// Returns when the engine has ended by itself, which it does only when storage failed.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // The sender lives as long as the thread; when it has gone, the thread has ended too.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Takes nothing more, finishes what is queued, makes it durable, lets the listing catch up, and closes the tables.
    ///
    /// # Errors
    /// Why the engine stopped, when storage failed.
    pub fn stop(self) -> Result<(), EngineError> {
        let Self { handle, decoder, decider, answers, listing, stop_listing, ended: _ } = self;
        handle.shared.room.close();
        // Fails when the decoder has ended already.
        let _ = handle.queue.blocking_send(Work::Stop);
        // A thread that panicked has printed why; the log is what counts.
        let _ = decoder.join();
        let decided = decider.join().unwrap_or(Err(EngineError::WriterStopped));
        let _ = answers.join();
        stop_listing.store(true, Ordering::Release);
        let _ = listing.join();
        decided
    }
}
