//! Pasts that a running service keeps for a while: the second page and the second question are quick, and so is a later
//! time. Few of them, within a bound of bytes; what was not asked for longest goes first.
//!
//! One is built at a time, on a thread of its own that gives way to what comes in. An erasure throws all of them away.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{EngineError, Parts, When};
use event_log::LogPosition;
use projector::Projection;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::base::Base;
use super::{Build, Maker, Past, PastError};
use crate::handle::{ServiceError, ServiceHandle};

/// How long building gives way where inputs are under way, every few thousand records.
const GIVE_WAY: Duration = Duration::from_millis(20);

/// How many pasts are kept.
#[derive(Clone, Copy, Debug)]
pub struct PastLimits {
    /// Pasts of one kind.
    pub pasts_max: usize,
    /// Models of one kind to build later ones from.
    pub bases_max: usize,
    /// Bytes of files of one kind; the one that was asked for last stays in any case.
    pub bytes_max: u64,
}

impl Default for PastLimits {
    fn default() -> Self {
        Self { pasts_max: 8, bases_max: 2, bytes_max: 4 << 30 }
    }
}

/// Why there is no answer about the past.
#[derive(Debug, Error)]
pub enum PastsError {
    /// It is being built, or others are in front of it. Ask again.
    #[error("answer about that time yet: its model is being built. Ask again in a moment")]
    Building,
    /// The service stops.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It could not be built.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The log could not be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no thread for it.
    #[error("start a thread to build a model of the past")]
    Thread(#[source] std::io::Error),
}

/// The pasts of one kind of model. Cheap to clone.
pub struct Pasts<P, R>(Arc<Shared<P, R>>);

impl<P, R> Clone for Pasts<P, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<P, R> {
    service: ServiceHandle,
    maker: Maker<P, R>,
    scratch: PathBuf,
    limits: PastLimits,
    /// Whose turn it is to build; shared among kinds.
    turn: Arc<Semaphore>,
    kept: Mutex<Kept<R>>,
    /// How often everything was thrown away: what was begun before must not be kept.
    generation: AtomicU64,
    stopped: AtomicBool,
}

/// The latest ones last.
struct Kept<R> {
    pasts: Vec<(When, Arc<Past<R>>, u64)>,
    bases: Vec<Arc<Base>>,
}

impl<R> Kept<R> {
    fn find(&mut self, when: When) -> Option<Arc<Past<R>>> {
        let place = self.pasts.iter().position(|(known, _, _)| *known == when)?;
        let found = self.pasts.remove(place);
        let past = Arc::clone(&found.1);
        self.pasts.push(found);
        Some(past)
    }

    /// The largest that fits.
    fn base(&mut self, when: When) -> Option<Arc<Base>> {
        let fitting = self.bases.iter().enumerate().filter(|(_, base)| base.fits(when));
        let (place, _) = fitting.max_by_key(|(_, base)| base.position)?;
        let found = self.bases.remove(place);
        self.bases.push(Arc::clone(&found));
        Some(found)
    }

    fn bound(&mut self, limits: PastLimits) {
        self.pasts.drain(..self.pasts.len().saturating_sub(limits.pasts_max));
        self.bases.drain(..self.bases.len().saturating_sub(limits.bases_max));
        let bytes = |kept: &Self| {
            let pasts: u64 = kept.pasts.iter().map(|(_, _, bytes)| *bytes).sum();
            pasts + kept.bases.iter().map(|base| base.bytes).sum::<u64>()
        };
        while bytes(self) > limits.bytes_max && !self.bases.is_empty() {
            self.bases.remove(0);
        }
        while bytes(self) > limits.bytes_max && self.pasts.len() > 1 {
            self.pasts.remove(0);
        }
    }
}

impl<P: Projection + 'static, R: Send + Sync + 'static> Pasts<P, R> {
    /// Keeps none yet. `scratch` is a folder that holds nothing else, `turn` a semaphore of one permit.
    #[must_use]
    pub fn new(service: ServiceHandle, maker: Maker<P, R>, scratch: PathBuf, turn: Arc<Semaphore>) -> Self {
        Self(Arc::new(Shared {
            service,
            maker,
            scratch,
            limits: PastLimits::default(),
            turn,
            kept: Mutex::new(Kept { pasts: Vec::new(), bases: Vec::new() }),
            generation: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }))
    }

    /// A past, kept or built. What is being built when `patience` ends is built on, and kept for who asks again.
    ///
    /// # Errors
    /// [`PastsError::Building`] when that takes longer.
    pub async fn get(&self, when: When, patience: Duration) -> Result<Arc<Past<R>>, PastsError> {
        let end = Instant::now() + patience;
        if let Some(kept) = self.still_kept(when).await? {
            return Ok(kept);
        }
        let turn = tokio::time::timeout_at(end, Arc::clone(&self.0.turn).acquire_owned());
        let turn = turn.await.map_err(|_| PastsError::Building)?.map_err(|_| ServiceError::Stopping)?;
        // Whoever was in front may have asked for the same.
        if let Some(kept) = self.still_kept(when).await? {
            return Ok(kept);
        }
        match tokio::time::timeout_at(end, self.start(when, turn)?).await {
            Ok(Ok(built)) => built,
            Ok(Err(_)) => Err(ServiceError::Stopping.into()),
            Err(_) => Err(PastsError::Building),
        }
    }

    /// The one that is kept, unless something of it was recorded since.
    async fn still_kept(&self, when: When) -> Result<Option<Arc<Past<R>>>, PastsError> {
        let Some(kept) = self.0.kept().find(when) else { return Ok(None) };
        let head = self.0.service.head();
        let asked = Arc::clone(&kept);
        let holds = self.0.service.read_records(head, move |parts| asked.still_holds(parts)).await??;
        if !holds {
            self.0.kept().pasts.retain(|(known, _, _)| *known != when);
        }
        Ok(holds.then_some(kept))
    }

    fn start(&self, when: When, turn: OwnedSemaphorePermit) -> Result<oneshot::Receiver<Built<R>>, PastsError> {
        let (answer, built) = oneshot::channel();
        let shared = Arc::clone(&self.0);
        let run = move || {
            let built = shared.build(when);
            drop(turn);
            // Who asked may have gone; it is kept all the same.
            let _ = answer.send(built);
        };
        let thread = std::thread::Builder::new().name("past".to_owned()).spawn(run);
        thread.map_err(PastsError::Thread)?;
        Ok(built)
    }

    /// Throws everything away, also what is being built, and returns when that is gone. What is being read goes with its
    /// readers.
    pub async fn forget(&self) {
        self.forget_kept();
        // Whoever builds gives up soon; nothing that is begun from now on holds what was erased.
        drop(self.0.turn.acquire().await);
        self.forget_kept();
    }

    fn forget_kept(&self) {
        let mut kept = self.0.kept();
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        (kept.pasts, kept.bases) = (Vec::new(), Vec::new());
    }

    /// Ends what is being built, and builds nothing more.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.forget_kept();
    }
}

type Built<R> = Result<Arc<Past<R>>, PastsError>;

impl<P: Projection, R> Shared<P, R> {
    fn kept(&self) -> MutexGuard<'_, Kept<R>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, when: When) -> Built<R> {
        let generation = self.generation.load(Ordering::Acquire);
        let is_wanted =
            || generation == self.generation.load(Ordering::Acquire) && !self.stopped.load(Ordering::Acquire);
        let parts: &Parts = self.service.parts();
        let base = self.kept().base(when);
        let build = Build { parts, when, scratch: &self.scratch, base: base.as_deref() };
        let mut progress = |_: LogPosition| {
            if self.service.queued_bytes() > 0 {
                std::thread::sleep(GIVE_WAY);
            }
            if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let mut keep = |base: Base| {
            let mut kept = self.kept();
            if is_wanted() {
                kept.bases.push(Arc::new(base));
                kept.bound(self.limits);
            }
        };
        let started = std::time::Instant::now();
        let past = match Past::with_base(build, self.maker, &mut progress, &mut keep) {
            Ok(past) => Arc::new(past),
            Err(PastError::Unwanted) => return Err(PastsError::Building),
            Err(error) => return Err(error.into()),
        };
        metrics::histogram!("leadfold_past_build_seconds").record(started.elapsed().as_secs_f64());
        let mut kept = self.kept();
        if !is_wanted() {
            return Err(PastsError::Building);
        }
        kept.pasts.push((when, Arc::clone(&past), past.bytes()));
        kept.bound(self.limits);
        Ok(past)
    }
}
