//! The way to a running engine, for everybody who has something for it.

use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use engine::{Engine, EngineError, Parts, Tenant};
use event_log::{EventLog, LogPosition};
use lead_domain::Time;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::decide::Task;
use crate::followed::Readers;
use crate::input::{RawInput, Receipt, Watermark};
use crate::options::ServiceOptions;
use crate::pace::{FeedStanding, Pace};
use crate::steering::{FollowedState, ProjectionHandle};

/// What an input weighs besides its bytes.
const OVERHEAD_BYTES: usize = 512;

/// How often a wait for records looks whether storage has failed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Why a running engine could not do what was asked.
#[derive(Clone, Debug, Error)]
pub enum ServiceError {
    /// Too much is under way. Nothing of the call was taken; try again later.
    #[error("take more inputs now: {queued_bytes_max} bytes are under way. Try again in a moment")]
    Overloaded {
        /// The bound.
        queued_bytes_max: u32,
    },
    /// The process is about to end. Nothing of the call was taken, or its end is unknown: try again later.
    #[error("take anything: the service is stopping. Try again later")]
    Stopping,
    /// Storage failed, and the process ends. What became of the call is unknown: send it again later.
    #[error("record anything: storage failed, and the service stops. Send it again later")]
    Failed,
    /// The feed could not take it; what became of a part of it may be unknown. Send it again later.
    #[error("publish to the feed: {reason}")]
    Unpublished {
        /// What the feed said.
        reason: String,
    },
    /// The listing did not get there in time.
    #[error("answer at position {wanted}: the listing stands at {position}. Try again in a moment")]
    Behind {
        /// The position asked for.
        wanted: LogPosition,
        /// Where the listing stands.
        position: LogPosition,
    },
}

/// One thing for the stages to do.
pub(crate) enum Work {
    Inputs(Inputs),
    Task(Task),
    /// Nothing behind this is taken.
    Stop,
}

/// Inputs in their order, with what happens when they are durable.
pub(crate) struct Inputs {
    pub(crate) inputs: Vec<RawInput>,
    pub(crate) fed: Option<Fed>,
    pub(crate) answer: Option<oneshot::Sender<Vec<Receipt>>>,
    pub(crate) room: OwnedSemaphorePermit,
}

/// Where a feed stands behind some inputs.
#[derive(Debug)]
pub struct Fed {
    /// To be stored with what becomes of them.
    pub watermark: Watermark,
    /// Whether more was waiting when they were sent. Time then passes only as far as the last of them was received: what
    /// waits may have happened next.
    pub more: bool,
}

/// What all handles and threads share.
pub(crate) struct Shared {
    pub(crate) options: ServiceOptions,
    pub(crate) parts: Parts,
    /// Turns to read records.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) tenants: RwLock<Arc<Vec<Arc<Tenant>>>>,
    pub(crate) failure: OnceLock<String>,
    pub(crate) pace: Pace,
    pub(crate) readers: Readers,
    /// How many people were erased since the start.
    pub(crate) erasures: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn renew_tenants(&self, engine: &Engine) {
        let tenants = Arc::new(engine.tenants().iter().cloned().map(Arc::new).collect());
        if let Ok(mut place) = self.tenants.write() {
            *place = tenants;
        }
    }
}

/// The way to a running engine. Cheap to clone.
#[derive(Clone)]
pub struct ServiceHandle {
    pub(crate) queue: mpsc::Sender<Work>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listing: ProjectionHandle,
}

impl ServiceHandle {
    /// Takes inputs in their order, as a whole, and returns what became of each once all of it is durable.
    ///
    /// # Errors
    /// [`ServiceError::Overloaded`] and [`ServiceError::Stopping`] before anything was taken; [`ServiceError::Failed`] when
    /// the end is unknown.
    pub async fn submit(&self, inputs: Vec<RawInput>) -> Result<Vec<Receipt>, ServiceError> {
        let (answer, receipts) = oneshot::channel();
        let patience = Some(self.shared.options.patience);
        self.queue(inputs, None, Some(answer), patience).await?;
        receipts.await.map_err(|_| self.ended())
    }

    /// Takes inputs of a feed, to become durable together with its watermark. Returns when they are queued, waiting for
    /// room as long as it takes; their receipts come later, once they are durable.
    ///
    /// # Errors
    /// When the service stops.
    pub async fn feed(&self, inputs: Vec<RawInput>, fed: Fed) -> Result<oneshot::Receiver<Vec<Receipt>>, ServiceError> {
        let (answer, receipts) = oneshot::channel();
        self.queue(inputs, Some(fed), Some(answer), None).await?;
        Ok(receipts)
    }

    async fn queue(
        &self,
        inputs: Vec<RawInput>,
        fed: Option<Fed>,
        answer: Option<oneshot::Sender<Vec<Receipt>>>,
        patience: Option<Duration>,
    ) -> Result<(), ServiceError> {
        let room = self.room(&inputs, patience).await?;
        let work = Work::Inputs(Inputs { inputs, fed, answer, room });
        self.queue.send(work).await.map_err(|_| self.ended())
    }

    async fn room(
        &self,
        inputs: &[RawInput],
        patience: Option<Duration>,
    ) -> Result<OwnedSemaphorePermit, ServiceError> {
        let most = self.shared.options.queued_bytes_max;
        let bytes: usize = inputs.iter().map(|input| input.bytes.len() + OVERHEAD_BYTES).sum();
        // A single call that is larger than the bound waits until it is alone.
        let permits = u32::try_from(bytes).unwrap_or(most).min(most);
        let room = Arc::clone(&self.shared.room).acquire_many_owned(permits);
        let overloaded = ServiceError::Overloaded { queued_bytes_max: most };
        match patience {
            None => room.await.map_err(|_| self.ended()),
            Some(patience) => match tokio::time::timeout(patience, room).await {
                Ok(room) => room.map_err(|_| self.ended()),
                Err(_) => Err(overloaded),
            },
        }
    }

    /// Does something with the engine, between two calls of others. For what can't be had without it, and quick.
    ///
    /// # Errors
    /// When the service stops.
    pub async fn with_engine<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (answer, result) = oneshot::channel();
        let task: Task = Box::new(move |engine| {
            // Who asked may have gone; that changes nothing.
            let _ = answer.send(task(engine));
        });
        self.queue.send(Work::Task(task)).await.map_err(|_| self.ended())?;
        result.await.map_err(|_| self.ended())
    }

    /// Reads records on a thread that may wait, once the log has reached `until`: deciding goes on meanwhile.
    ///
    /// # Errors
    /// When the service stops; the inner one is that of the reading.
    pub async fn read_records<T: Send + 'static>(
        &self,
        until: LogPosition,
        read: impl FnOnce(&Parts) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<Result<T, EngineError>, ServiceError> {
        let turns = Arc::clone(&self.shared.turns);
        let turn = turns.acquire_owned().await.map_err(|_| ServiceError::Stopping)?;
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            let log = &shared.parts.log;
            let mut head = log.head().position;
            while head < until {
                if shared.failure.get().is_some() {
                    return Err(ServiceError::Failed);
                }
                head = log.wait_beyond(LogPosition(until.0 - 1), LOOK_EVERY).position;
            }
            let answer = read(&shared.parts);
            drop(turn);
            Ok(answer)
        });
        task.await.map_err(|_| ServiceError::Stopping)?
    }

    /// Tells how the feed stands. Time passes only as far as it was read: no lead times out and no message becomes due over
    /// what waits in it.
    pub fn feed_stands(&self, standing: FeedStanding) {
        self.shared.pace.set(standing);
    }

    fn ended(&self) -> ServiceError {
        if self.shared.failure.get().is_some() { ServiceError::Failed } else { ServiceError::Stopping }
    }

    /// All tenants with the policies in force.
    #[must_use]
    pub fn tenants(&self) -> Arc<Vec<Arc<Tenant>>> {
        self.shared.tenants.read().map(|tenants| Arc::clone(&tenants)).unwrap_or_default()
    }

    /// The tenant of that name.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants().iter().find(|tenant| tenant.name == name).cloned()
    }

    /// The last durable record.
    #[must_use]
    pub fn head(&self) -> LogPosition {
        self.shared.parts.log.head().position
    }

    /// Log and keys, to read.
    pub(crate) fn parts(&self) -> &Parts {
        &self.shared.parts
    }

    /// How many people were erased since the start; changes when their keys are gone.
    #[must_use]
    pub fn erasures(&self) -> watch::Receiver<u64> {
        self.shared.erasures.subscribe()
    }

    /// The log, to read.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.shared.parts.log)
    }

    /// For how long the first record that a model lacks has been recorded, in whole seconds, if it stands at `reached`. 0
    /// where it lacks none, or the log can't be read: what stops then says so itself.
    #[must_use]
    pub fn lag_seconds(&self, reached: LogPosition) -> u64 {
        engine::lag_seconds(&*self.shared.parts.log, reached, self.now()).unwrap_or_default()
    }

    /// The time now, by the engine's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.shared.options.clock.now()
    }

    /// What stopped the engine, if something did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure.get().map(String::as_str)
    }

    /// How far the listing has followed; changes as it does.
    #[must_use]
    pub fn listing(&self) -> watch::Receiver<FollowedState> {
        self.listing.state()
    }

    /// The way to the listing's projection.
    #[must_use]
    pub const fn listing_projection(&self) -> &ProjectionHandle {
        &self.listing
    }

    /// Bytes of inputs that are under way.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let most = self.shared.options.queued_bytes_max as usize;
        most.saturating_sub(self.shared.room.available_permits())
    }
}
