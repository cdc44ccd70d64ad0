//! A projection that follows the log on a thread of its own, and that nothing else depends on: what fails in it stays there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::{EventLog, LogPosition};
use projector::{Projection, Projector, ProjectorError};
use tokio::sync::watch;

use crate::followed::with_causes;

/// How often it looks whether the log has grown.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a projection that failed is left alone before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Records that are taken before it is looked whether to stop.
const RECORDS_AT_ONCE: u64 = 262_144;

/// How far a projection has followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowedState {
    /// The last record in it.
    pub position: LogPosition,
    /// Whether it has caught up once since it was started.
    pub is_ready: bool,
    /// Why it doesn't follow at the moment, if so.
    pub error: Option<String>,
}

/// A projection that follows the log.
#[derive(Debug)]
pub struct LogFollower {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    state: watch::Receiver<FollowedState>,
}

impl LogFollower {
    /// Begins to follow.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<P: Projection + Send + 'static>(
        projector: Projector<P>,
        log: Arc<dyn EventLog>,
    ) -> Result<Self, io::Error> {
        let name = projector.projection().name();
        let at = FollowedState { position: projector.checkpoint(), ..FollowedState::default() };
        let (told, state) = watch::channel(at);
        let stop = Arc::new(AtomicBool::new(false));
        let follower = Follower { projector, log, state: told, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || follower.run())?;
        Ok(Self { thread, stop, state })
    }

    /// How far it has followed; changes as it does.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<FollowedState> {
        self.state.clone()
    }

    /// Follows to the end of the log, makes everything durable and ends. Returns how far it came.
    #[must_use]
    pub fn finish(self) -> FollowedState {
        let Self { thread, stop, state } = self;
        stop.store(true, Ordering::Release);
        let ended = thread.join();
        let mut last = state.borrow().clone();
        if ended.is_err() {
            last.error = Some("it stopped unexpectedly".to_owned());
        }
        last
    }
}

struct Follower<P> {
    projector: Projector<P>,
    log: Arc<dyn EventLog>,
    state: watch::Sender<FollowedState>,
    stop: Arc<AtomicBool>,
}

impl<P: Projection> Follower<P> {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.follow() {
                Ok(()) => self.pause(LOOK_EVERY),
                Err(error) => {
                    self.failed(&error);
                    self.pause(RETRY_AFTER);
                }
            }
        }
        if let Err(error) = self.follow().and_then(|()| self.projector.seal()) {
            self.failed(&error);
        }
    }

    /// Takes everything from the log.
    fn follow(&mut self) -> Result<(), ProjectorError> {
        loop {
            let head = self.log.head().position;
            if self.projector.checkpoint() >= head && self.state.borrow().is_ready {
                return Ok(());
            }
            let until = LogPosition(self.projector.checkpoint().0.saturating_add(RECORDS_AT_ONCE)).min(head);
            let position = self.projector.catch_up(until, &mut |_| {})?;
            let is_ready = position >= head || self.state.borrow().is_ready;
            self.state.send_replace(FollowedState { position, is_ready, error: None });
            if position >= head {
                return Ok(());
            }
        }
    }

    fn failed(&self, error: &ProjectorError) {
        let error = with_causes(error);
        let projection = self.projector.projection().name();
        tracing::error!(projection, error, "a projection doesn't follow; what is recorded is safe");
        self.state.send_modify(|state| state.error = Some(error));
    }

    fn pause(&self, mut left: Duration) {
        while left > Duration::ZERO && !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(LOOK_EVERY.min(left));
            left = left.saturating_sub(LOOK_EVERY);
        }
    }
}
