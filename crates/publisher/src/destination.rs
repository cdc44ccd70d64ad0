//! What a destination promises.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use trace_context::TraceContext;

use crate::outgoing::OutgoingEvent;

/// Somewhere that events go to.
pub trait Destination: Send {
    /// How many events one call of [`deliver`](Self::deliver) takes. A failed call is made again with the same events,
    /// so one that can't take several as a whole says 1.
    fn batch_events_max(&self) -> usize {
        256
    }

    /// Sends the events in order. On `Ok` all of them are there for good. Dropping the future gives up; the events may
    /// be there then, and are sent again later with the same ids.
    ///
    /// `trace` is the span of this call, for the destination to pass on.
    fn deliver(
        &mut self,
        batch: &[OutgoingEvent],
        trace: &TraceContext,
    ) -> impl Future<Output = Result<(), DeliveryError>> + Send;
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// By the usual schedule: after 1 s, 5 s, 30 s, 2 min, 10 min, then every 30 min.
    BackOff,
    /// As soon as the destination asked for, but after one second at least and one day at most.
    After(Duration),
    /// Not at all: the destination wants no more events.
    Never,
}

/// Why events could not be delivered: fits after "cannot deliver to …:".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct DeliveryError {
    /// When to try again.
    pub retry: Retry,
    /// What happened; for logs, so without secrets and personal data.
    pub reason: String,
}
