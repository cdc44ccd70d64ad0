//! What people tell a projection that follows the log: to pause, to go on, to be built anew, and whom to do without.
//!
//! A model that is built anew stands beside the one in use, on a thread of its own; the one in use goes on being followed and
//! read. Near the end of the log the new one takes its place.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use event_log::{EventLog, LogPosition};
use key_vault::KeyVault;
use lead_domain::VisitorId;
use projector::{ModelError, Parked, PauseMark, Projection, Projector, ProjectorError};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::followed::with_causes;

/// Records that a new model takes before it is looked whether to stop.
const RECORDS_AT_ONCE: u64 = 65_536;
/// With no more records than these to come, a new model is done: the rest comes with taking its place.
const NEAR_RECORDS: u64 = 10_000;

/// How a projection that follows the log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowedState {
    /// The last record in the model that is read.
    pub position: LogPosition,
    /// Whether it has caught up once since the service began. Before that its model may still be replaced.
    pub is_ready: bool,
    /// Why it doesn't follow at the moment, if so.
    pub error: Option<String>,
    /// Whether somebody paused it. Erasures are followed all the same.
    pub is_paused: bool,
    /// The last record in the model that is being built anew, while one is.
    pub rebuilding: Option<LogPosition>,
    /// Why the last one could not be built anew, if so.
    pub rebuild_error: Option<String>,
    /// The streams that are left out of the model.
    pub parked: Arc<Parked>,
}

/// What a projection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Follow no further, but for erasures. Holds until it is told to resume, also beyond the process.
    Pause,
    /// Go on.
    Resume,
    /// Build the model anew beside the one in use, then put it in its place. Where that is under way, it goes on.
    Rebuild,
    /// Do without a stream that is left out.
    Discard {
        /// Whose.
        visitor: VisitorId,
        /// Why, for people.
        reason: String,
    },
}

/// Why a projection did not do as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// There is no such stream.
    #[error("discard the stream of {visitor}: nothing of it is left out of projection {projection}")]
    NotParked {
        /// Which.
        projection: &'static str,
        /// Whose.
        visitor: VisitorId,
    },
    /// Its store failed.
    #[error("tell projection {projection}: {reason}")]
    Failed {
        /// Which.
        projection: &'static str,
        /// What its store said.
        reason: String,
    },
    /// Its thread has ended, or is about to.
    #[error("tell projection {projection} anything: the service is stopping")]
    Stopping {
        /// Which.
        projection: &'static str,
    },
}

struct Asked {
    order: Order,
    answer: oneshot::Sender<Result<(), OrderError>>,
}

/// The way to a projection that follows the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProjectionHandle {
    name: &'static str,
    version: u32,
    orders: mpsc::Sender<Asked>,
    state: watch::Receiver<FollowedState>,
}

impl ProjectionHandle {
    /// The projection's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version of its model.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// How it stands; changes as it does.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<FollowedState> {
        self.state.clone()
    }

    /// Tells it something. A rebuild has only begun on return: its state says how far it is.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn order(&self, order: Order) -> Result<(), OrderError> {
        let stopping = OrderError::Stopping { projection: self.name };
        let (answer, told) = oneshot::channel();
        self.orders.send(Asked { order, answer }).map_err(|_| stopping.clone())?;
        told.await.map_err(|_| stopping)?
    }
}

/// Where new models of a projection come from.
pub trait Models<P>: Send {
    /// An empty model beside the one in use; what an earlier one left there goes.
    ///
    /// # Errors
    /// When there is no room for it.
    fn begin(&self) -> Result<P, ModelError>;

    /// Whether a model has not taken its place yet.
    fn is_unseen(&self, model: &P) -> bool;

    /// Throws away a model that has not taken its place.
    fn abandon(&self, model: P);
}

/// What a projection that follows the log is given besides its model.
pub struct Followable<P> {
    /// The name of the projection.
    pub name: &'static str,
    /// The version of its models.
    pub version: u32,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The keys.
    pub vault: Arc<KeyVault>,
    /// Where it is kept that it is paused.
    pub pause: PauseMark,
    /// Where new models come from.
    pub models: Box<dyn Models<P>>,
    /// Changes when somebody was erased.
    pub erasures: watch::Receiver<u64>,
    /// The last erasure that was recorded before.
    pub erased_before: LogPosition,
}

/// Whether to follow now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Follow,
    Rest,
}

/// The other end of the orders, on the thread that follows.
pub(crate) struct Steering<P> {
    given: Followable<P>,
    orders: mpsc::Receiver<Asked>,
    state: watch::Sender<FollowedState>,
    stop: Arc<AtomicBool>,
    building: Option<Building<P>>,
}

impl<P: Projection + Send + 'static> Steering<P> {
    /// For a projector, or for one that could not be opened for the reason given.
    pub(crate) fn new(
        given: Followable<P>,
        projector: Result<&Projector<P>, String>,
        stop: Arc<AtomicBool>,
    ) -> (Self, ProjectionHandle) {
        let mut at = FollowedState { is_paused: given.pause.is_set(), ..FollowedState::default() };
        match projector {
            Ok(projector) => {
                at.position = projector.checkpoint();
                at.parked = Arc::new(projector.parked().clone());
                // It answers as it stands.
                at.is_ready = at.is_paused;
            }
            Err(error) => at.error = Some(error),
        }
        let (state, seen) = watch::channel(at);
        let (sender, orders) = mpsc::channel();
        let handle = ProjectionHandle { name: given.name, version: given.version, orders: sender, state: seen };
        (Self { given, orders, state, stop, building: None }, handle)
    }

    /// Does what it was told meanwhile, and says whether to follow now.
    ///
    /// # Errors
    /// As [`Projector::catch_up`].
    pub(crate) fn turn(&mut self, projector: &mut Option<Projector<P>>) -> Result<Turn, ProjectorError> {
        while let Ok(Asked { order, answer }) = self.orders.try_recv() {
            let done = self.carry_out(order, projector);
            // Who asked may have gone; that changes nothing.
            let _ = answer.send(done);
        }
        self.take_built(projector)?;
        let Some(projector) = projector else { return Ok(Turn::Rest) };
        if !self.is_paused() {
            return Ok(Turn::Follow);
        }
        if self.given.erasures.has_changed().unwrap_or(false) || projector.checkpoint() < self.given.erased_before {
            self.given.erasures.mark_unchanged();
            // What was erased must go, whatever else waits.
            let position = projector.catch_up(self.given.log.head().position, &mut |_| {})?;
            self.shows(projector, position, true);
        }
        Ok(Turn::Rest)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state.borrow().is_paused
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state.borrow().is_ready
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.state.borrow().error.is_some()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn log(&self) -> &dyn EventLog {
        &*self.given.log
    }

    /// Readers see the model as of that record.
    pub(crate) fn shows(&self, projector: &Projector<P>, position: LogPosition, is_ready: bool) {
        self.state.send_modify(|state| {
            (state.position, state.is_ready, state.error) = (position, is_ready, None);
            if *state.parked != *projector.parked() {
                state.parked = Arc::new(projector.parked().clone());
            }
        });
    }

    pub(crate) fn failed(&self, projector: Option<&Projector<P>>, error: &ProjectorError) {
        let (projection, error) = (self.given.name, with_causes(error));
        tracing::error!(projection, error, "a projection doesn't follow; what is recorded is safe");
        self.state.send_modify(|state| {
            state.error = Some(error);
            if let Some(projector) = projector {
                state.parked = Arc::new(projector.parked().clone());
            }
        });
    }

    /// Throws a model away that is being built. Its thread ends soon.
    pub(crate) fn stop_building(&mut self) {
        if let Some(built) = self.building.take().and_then(Building::finish) {
            self.given.models.abandon(built.projector.into_projection());
        }
    }

    fn carry_out(&mut self, order: Order, projector: &mut Option<Projector<P>>) -> Result<(), OrderError> {
        let projection = self.given.name;
        let failed = |reason: String| OrderError::Failed { projection, reason };
        match order {
            Order::Pause | Order::Resume => {
                let paused = order == Order::Pause;
                self.given.pause.set(paused).map_err(|error| failed(format!("cannot keep that: {error}")))?;
                tracing::info!(projection, paused, "a projection was told to pause or to go on");
                self.state.send_modify(|state| state.is_paused = paused);
                Ok(())
            }
            Order::Rebuild if self.building.is_some() => Ok(()),
            Order::Rebuild => {
                let earlier = projector.as_ref().map(Projector::parked).cloned().unwrap_or_default();
                let begun = self.begin_building(earlier).map_err(|error| failed(with_causes(&*error)))?;
                tracing::info!(projection, "a projection is being built anew");
                self.building = Some(begun);
                self.state.send_modify(|state| {
                    (state.rebuilding, state.rebuild_error) = (Some(LogPosition::START), None);
                });
                Ok(())
            }
            Order::Discard { visitor, reason } => {
                let not_parked = OrderError::NotParked { projection, visitor };
                let projector = projector.as_mut().ok_or(not_parked.clone())?;
                let discarded = projector.discard_parked(visitor, &reason);
                if !discarded.map_err(|error| failed(with_causes(&error)))? {
                    return Err(not_parked);
                }
                let parked = Arc::new(projector.parked().clone());
                self.state.send_modify(|state| (state.position, state.parked) = (projector.checkpoint(), parked));
                Ok(())
            }
        }
    }

    fn begin_building(&self, earlier: Parked) -> Result<Building<P>, Box<dyn std::error::Error>> {
        let (log, vault) = (Arc::clone(&self.given.log), Arc::clone(&self.given.vault));
        let projector = Projector::new(Arc::clone(&log), vault, self.given.models.begin()?)?.after(earlier);
        Ok(Building::begin(projector, log, self.given.name)?)
    }

    /// Puts a model that was built in the place of the one in use.
    fn take_built(&mut self, projector: &mut Option<Projector<P>>) -> Result<(), ProjectorError> {
        let Some(building) = self.building.take_if(|building| building.thread.is_finished()) else {
            if let Some(building) = &self.building {
                let reached = LogPosition(building.reached.load(Ordering::Acquire));
                self.state.send_if_modified(|state| state.rebuilding.replace(reached) != Some(reached));
            }
            return Ok(());
        };
        let error = match building.finish() {
            Some(Built { projector: built, failure: None }) => {
                // Two may not write at the same place, so the old one goes first; its files stay and are read.
                *projector = None;
                return self.put_in_place(projector.insert(built));
            }
            Some(Built { projector, failure: Some(error) }) => {
                self.given.models.abandon(projector.into_projection());
                with_causes(&error)
            }
            None => "its thread stopped unexpectedly".to_owned(),
        };
        tracing::error!(projection = self.given.name, error, "a projection could not be built anew");
        self.state.send_modify(|state| (state.rebuilding, state.rebuild_error) = (None, Some(error)));
        Ok(())
    }

    fn put_in_place(&self, built: &mut Projector<P>) -> Result<(), ProjectorError> {
        let mut position = built.catch_up(self.given.log.head().position, &mut |_| {})?;
        while self.given.models.is_unseen(built.projection()) && !self.is_stopping() {
            position = built.catch_up(self.given.log.head().position, &mut |_| {})?;
        }
        self.shows(built, position, true);
        // Who waits for this sees the new model's state.
        self.state.send_modify(|state| state.rebuilding = None);
        tracing::info!(projection = self.given.name, position = position.0, "a projection was built anew");
        Ok(())
    }
}

/// A model that is being built beside the one in use.
struct Building<P> {
    thread: JoinHandle<Built<P>>,
    stop: Arc<AtomicBool>,
    reached: Arc<AtomicU64>,
}

/// A model as far as it was built.
struct Built<P> {
    projector: Projector<P>,
    /// Why no further.
    failure: Option<ProjectorError>,
}

impl<P: Projection + Send + 'static> Building<P> {
    fn begin(mut projector: Projector<P>, log: Arc<dyn EventLog>, name: &'static str) -> io::Result<Self> {
        let (stop, reached) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, told) = (Arc::clone(&stop), Arc::clone(&reached));
        let run = move || {
            let mut build = || {
                // Again behind the second, for what came in the meantime.
                for prepares in [true, false] {
                    while !stopping.load(Ordering::Acquire) && projector.lag() > NEAR_RECORDS {
                        let until = projector.checkpoint().0.saturating_add(RECORDS_AT_ONCE).min(log.head().position.0);
                        let position = projector.build_up(LogPosition(until), &mut |_| {})?;
                        told.store(position.0, Ordering::Release);
                    }
                    if prepares && !stopping.load(Ordering::Acquire) {
                        projector.stand_by()?;
                    }
                }
                Ok(())
            };
            let failure = build().err();
            Built { projector, failure }
        };
        let thread = std::thread::Builder::new().name(format!("{name} anew")).spawn(run)?;
        Ok(Self { thread, stop, reached })
    }

    /// Waits for the thread; one that is under way ends soon. `None` where it has panicked.
    fn finish(self) -> Option<Built<P>> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().ok()
    }
}
