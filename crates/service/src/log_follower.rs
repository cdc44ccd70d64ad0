//! A projection that follows the log on a thread of its own, and that nothing else depends on: what fails in it stays there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::LogPosition;
use projector::{Projection, Projector, ProjectorError};

use crate::steering::{Followable, FollowedState, ProjectionHandle, Steering, Turn};

/// How often it looks whether the log has grown.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a projection that failed is left alone before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Records that are taken before it is looked whether it was told something.
const RECORDS_AT_ONCE: u64 = 262_144;

/// A projection that follows the log.
#[derive(Debug)]
pub struct LogFollower {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    handle: ProjectionHandle,
}

impl LogFollower {
    /// Begins to follow. A model that could not be opened, for the reason given, is followed once it was built anew.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<P: Projection + Send + 'static>(
        projector: Result<Projector<P>, String>,
        given: Followable<P>,
    ) -> Result<Self, io::Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = given.name;
        let (steering, handle) = Steering::new(given, projector.as_ref().map_err(Clone::clone), Arc::clone(&stop));
        let follower = Follower { projector: projector.ok(), steering };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || follower.run())?;
        Ok(Self { thread, stop, handle })
    }

    /// The way to it.
    #[must_use]
    pub fn handle(&self) -> ProjectionHandle {
        self.handle.clone()
    }

    /// Follows to the end of the log, unless it is paused, makes everything durable and ends. Returns how far it came.
    #[must_use]
    pub fn finish(self) -> FollowedState {
        let Self { thread, stop, handle } = self;
        stop.store(true, Ordering::Release);
        let ended = thread.join();
        let mut last = handle.state().borrow().clone();
        if ended.is_err() {
            last.error = Some("it stopped unexpectedly".to_owned());
        }
        last
    }
}

struct Follower<P> {
    projector: Option<Projector<P>>,
    steering: Steering<P>,
}

impl<P: Projection + Send + 'static> Follower<P> {
    fn run(mut self) {
        while !self.steering.is_stopping() {
            match self.round() {
                Ok(true) => {}
                Ok(false) => self.rest(LOOK_EVERY),
                Err(error) => {
                    self.steering.failed(self.projector.as_ref(), &error);
                    self.rest(RETRY_AFTER);
                }
            }
        }
        self.steering.stop_building();
        let Some(projector) = &mut self.projector else { return };
        let mut done = Ok(());
        if !self.steering.is_paused() {
            done = projector.catch_up(self.steering.log().head().position, &mut |_| {}).map(|position| {
                self.steering.shows(projector, position, true);
            });
        }
        if let Err(error) = done.and_then(|()| projector.seal()) {
            self.steering.failed(Some(projector), &error);
        }
    }

    /// Takes some records from the log. Whether there is more.
    fn round(&mut self) -> Result<bool, ProjectorError> {
        if self.steering.turn(&mut self.projector)? == Turn::Rest {
            return Ok(false);
        }
        let Some(projector) = &mut self.projector else { return Ok(false) };
        let head = self.steering.log().head().position;
        let has_failed = self.steering.has_failed();
        if projector.checkpoint() >= head && self.steering.is_ready() && !has_failed {
            return Ok(false);
        }
        let until = LogPosition(projector.checkpoint().0.saturating_add(RECORDS_AT_ONCE)).min(head);
        let position = projector.catch_up(until, &mut |_| {})?;
        self.steering.shows(projector, position, position >= head || self.steering.is_ready());
        Ok(position < head)
    }

    fn rest(&self, mut left: Duration) {
        while left > Duration::ZERO && !self.steering.is_stopping() {
            std::thread::sleep(LOOK_EVERY.min(left));
            left = left.saturating_sub(LOOK_EVERY);
        }
    }
}
