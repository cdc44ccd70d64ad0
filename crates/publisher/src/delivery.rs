//! The worker that brings events to one destination.

mod cursor_keeper;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use event_log::{EventLog, LogError, LogPosition};
use proto_events::DecodeError;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use trace_context::TraceContext;
use tracing::{Instrument, Span};

use self::cursor_keeper::CursorKeeper;
use crate::back_off::BackOff;
use crate::cursor::{CursorError, CursorStore};
use crate::destination::{DeliveryError, Destination, Retry};
use crate::filter::{EventFilter, UnknownEvent};
use crate::outgoing::OutgoingEvent;
use crate::page::{Page, Source, TenantNames};
use crate::person::{PersonError, Persons};

/// How long a thread waits for new records before it looks whether the worker is still wanted.
const WAIT: Duration = Duration::from_millis(500);
/// How often the lag is measured while nothing moves.
const LAG_EVERY: Duration = Duration::from_secs(15);

/// Where a destination begins that has no cursor yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the end of the log: it gets what happens from now on.
    #[default]
    Head,
    /// At the beginning of the log.
    Beginning,
}

/// What one delivery needs besides its destination.
pub struct DeliveryOptions {
    /// Names the cursor, the metrics and the log lines. No two deliveries may have the same.
    pub name: String,
    /// Which events go there.
    pub filter: EventFilter,
    /// Where to begin the first time.
    pub start_at: StartAt,
    /// Where the events are.
    pub log: Arc<dyn EventLog>,
    /// What the tenants are called.
    pub tenants: Arc<dyn TenantNames>,
    /// Who knows whom a message is for.
    pub persons: Arc<dyn Persons>,
    /// Where the cursor is kept.
    pub cursors: Arc<dyn CursorStore>,
}

/// Why a delivery can't begin or go on. What the destination does is never a reason.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The log could not be read. Stop, and look at the log.
    #[error("follow the log")]
    Log(#[from] LogError),
    /// A record's facts can't be decoded.
    #[error("take the events of the record at position {position} to {destination}; verify the log")]
    Decode {
        /// Where to.
        destination: String,
        /// Which record.
        position: LogPosition,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Whom a message is for could not be read.
    #[error("tell {destination} whom the step of a nurture programme at position {position} is for")]
    Person {
        /// Where to.
        destination: String,
        /// Which record.
        position: LogPosition,
        /// What failed.
        #[source]
        source: PersonError,
    },
    /// The cursor could not be read, or not be made.
    #[error("deliver to {destination}")]
    Cursor {
        /// Where to.
        destination: String,
        /// What failed.
        #[source]
        source: CursorError,
    },
    /// The destination has had events that this log doesn't have.
    #[error(
        "deliver to {destination}: it has had the events up to position {cursor}, but the log ends at {head}. If the \
         log was restored from a backup, delete the destination's cursor to begin at the end of the log"
    )]
    CursorAhead {
        /// Where to.
        destination: String,
        /// Where its cursor stands.
        cursor: LogPosition,
        /// Where the log ends.
        head: LogPosition,
    },
    /// The filter would wait for ever.
    #[error("deliver to {destination}")]
    Filter {
        /// Where to.
        destination: String,
        /// What is wrong with it.
        #[source]
        source: UnknownEvent,
    },
}

/// Why a delivery ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Cancelled,
    /// The destination wants no more events. Starting the delivery again asks it again.
    Refused {
        /// What it said.
        reason: String,
    },
}

/// What a delivery is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It delivers, or waits for events.
    Delivering,
    /// It waits to try again.
    Retrying {
        /// How often in a row it failed.
        failures: u32,
        /// Why, the last time.
        reason: String,
    },
    /// It is over.
    Ended(Ended),
    /// It is over, because the log could not be read.
    Failed {
        /// What [`Delivery::run`] returned.
        reason: String,
    },
}

/// Watches a delivery. Clones watch the same one.
#[derive(Clone)]
pub struct DeliveryHandle {
    log: Arc<dyn EventLog>,
    seen: watch::Receiver<Seen>,
}

#[derive(Clone)]
struct Seen {
    position: LogPosition,
    state: DeliveryState,
}

impl DeliveryHandle {
    /// The last record whose events have all arrived, or were not for the destination.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.seen.borrow().position
    }

    /// How many records the log has behind it.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.log.head().position.0.saturating_sub(self.position().0)
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> DeliveryState {
        self.seen.borrow().state.clone()
    }

    /// Waits until position or state is what is wanted, or the delivery is gone.
    pub async fn until(&mut self, mut wanted: impl FnMut(LogPosition, &DeliveryState) -> bool) {
        // An error means that it is gone.
        let _ = self.seen.wait_for(|seen| wanted(seen.position, &seen.state)).await;
    }
}

/// Brings the events of a log to one destination: in order, each at least once, going on where it stood.
///
/// An event that the destination doesn't take is tried again for ever, and all behind it wait. After a crash the
/// destination gets some events again: at most those of the last second, or the last thousand.
pub struct Delivery<D> {
    destination: D,
    source: Arc<Source>,
    cursor: CursorKeeper,
    /// The last record whose events have all arrived.
    position: LogPosition,
    back_off: BackOff,
    seen: watch::Sender<Seen>,
}

impl<D: Destination> Delivery<D> {
    /// Finds where the destination stands; for a new one makes a cursor, durable on return. Blocks on files.
    ///
    /// # Errors
    /// When the cursor can't be read or made, is not of this log, or the filter names events that don't exist.
    pub fn open(options: DeliveryOptions, destination: D) -> Result<(Self, DeliveryHandle), PublishError> {
        let DeliveryOptions { name, filter, start_at, log, tenants, persons, cursors } = options;
        let failed = |source| PublishError::Cursor { destination: name.clone(), source };
        filter.check().map_err(|source| PublishError::Filter { destination: name.clone(), source })?;
        let head = log.head().position;
        let position = match (cursors.load(&name).map_err(failed)?, start_at) {
            (Some(cursor), _) if cursor > head => {
                return Err(PublishError::CursorAhead { destination: name, cursor, head });
            }
            (Some(cursor), _) => cursor,
            (None, start_at) => {
                let start = if start_at == StartAt::Head { head } else { LogPosition::START };
                // Kept before anything is delivered: otherwise a crash now would begin at a later head, with a gap.
                cursors.store(&name, start).map_err(failed)?;
                start
            }
        };
        let (seen, watching) = watch::channel(Seen { position, state: DeliveryState::Delivering });
        let handle = DeliveryHandle { log: Arc::clone(&log), seen: watching };
        let destination_name: Arc<str> = name.into();
        let cursor = CursorKeeper::new(cursors, Arc::clone(&destination_name), position);
        let source = Arc::new(Source { destination: destination_name, log, tenants, filter, persons });
        Ok((Self { destination, source, cursor, position, back_off: BackOff::default(), seen }, handle))
    }

    /// Delivers until it is cancelled or the destination wants no more.
    ///
    /// # Errors
    /// When the log can't be read. What was delivered before counts.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<Ended, PublishError> {
        let name = Arc::clone(&self.source.destination);
        tracing::info!(destination = %name, position = self.position.0, "delivering events");
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(Ended::Cancelled),
            ended = self.follow() => ended,
        };
        self.cursor.keep(self.position).await;
        self.show(match &ended {
            Ok(ended) => DeliveryState::Ended(ended.clone()),
            Err(error) => DeliveryState::Failed { reason: error.to_string() },
        });
        ended
    }

    async fn follow(&mut self) -> Result<Ended, PublishError> {
        loop {
            let page = self.read().await?;
            let waiting = page.events.is_empty() && page.through == self.position;
            let nameless = page.nameless;
            let ended = self.deliver(page).await;
            if let Some(ended) = ended {
                return Ok(ended);
            }
            if waiting {
                match nameless {
                    Some(tenant) => {
                        let reason = format!("tenant {} has no name yet", tenant.0);
                        self.failed(DeliveryError { retry: Retry::BackOff, reason }).await;
                    }
                    None => self.wait_for_records().await,
                }
            }
            self.cursor.keep_when_due(self.position).await;
        }
    }

    async fn read(&mut self) -> Result<Page, PublishError> {
        let (source, after) = (Arc::clone(&self.source), self.position);
        blocking(move || source.page(after)).await
    }

    async fn wait_for_records(&mut self) {
        let (source, after) = (Arc::clone(&self.source), self.position);
        self.measure_lag();
        blocking(move || source.log.wait_beyond(after, WAIT)).await;
    }

    /// Delivers all events of a page, however long it takes.
    async fn deliver(&mut self, page: Page) -> Option<Ended> {
        let mut rest = page.events.as_slice();
        while !rest.is_empty() {
            let most = self.destination.batch_events_max().clamp(1, rest.len());
            let (batch, behind) = rest.split_at(most);
            let trace = TraceContext::root();
            let span = self.span(batch, &trace);
            match self.destination.deliver(batch, &trace).instrument(span.clone()).await {
                Ok(()) => {
                    span.in_scope(|| tracing::debug!(events = batch.len(), "delivered"));
                    self.arrived(batch.len());
                    rest = behind;
                    if let Some(next) = rest.first() {
                        self.advance(LogPosition(next.position.0.saturating_sub(1)));
                        self.cursor.keep_when_due(self.position).await;
                    }
                }
                Err(error) => {
                    if let Some(ended) = self.failed(error).instrument(span).await {
                        return Some(ended);
                    }
                }
            }
        }
        self.advance(page.through);
        None
    }

    /// The span of one call of the destination: its log lines name the trace that the events go out with.
    fn span(&self, batch: &[OutgoingEvent], trace: &TraceContext) -> Span {
        let position = |event: Option<&OutgoingEvent>| event.map(|event| event.position.0);
        tracing::info_span!(
            "delivery",
            destination = %self.source.destination,
            position = position(batch.first()),
            last_position = position(batch.last()),
            trace_id = trace.trace_id(),
            span_id = trace.span_id(),
        )
    }

    fn arrived(&mut self, events: usize) {
        let name = &self.source.destination;
        metrics::counter!("leadfold_publisher_events_total", "destination" => name.to_string())
            .increment(events as u64);
        self.cursor.count(events);
        self.recovered();
    }

    fn advance(&mut self, position: LogPosition) {
        if position > self.position {
            self.position = position;
            self.recovered();
            self.measure_lag();
            self.show(DeliveryState::Delivering);
        }
    }

    fn recovered(&mut self) {
        if self.back_off.failures() > 0 {
            tracing::info!(destination = %self.source.destination, "events can be delivered again");
            self.back_off = BackOff::default();
            self.show(DeliveryState::Delivering);
        }
    }

    /// Waits until it is time to try again.
    async fn failed(&mut self, error: DeliveryError) -> Option<Ended> {
        let name = Arc::clone(&self.source.destination);
        metrics::counter!("leadfold_publisher_failures_total", "destination" => name.to_string()).increment(1);
        let DeliveryError { retry, reason } = error;
        let Some(wait) = self.back_off.after_failure(retry) else {
            tracing::warn!(destination = %name, reason, "the destination wants no more events; it gets none until restart");
            return Some(Ended::Refused { reason });
        };
        let failures = self.back_off.failures();
        tracing::warn!(destination = %name, reason, failures, wait_s = wait.as_secs(), "events could not be delivered");
        self.show(DeliveryState::Retrying { failures, reason });
        self.cursor.keep(self.position).await;
        let until = Instant::now() + wait;
        while Instant::now() < until {
            self.measure_lag();
            sleep(LAG_EVERY.min(until - Instant::now())).await;
        }
        None
    }

    fn measure_lag(&self) {
        let lag = self.source.log.head().position.0.saturating_sub(self.position.0);
        metrics::gauge!("leadfold_publisher_lag_records", "destination" => self.source.destination.to_string())
            .set(lag as f64);
    }

    fn show(&self, state: DeliveryState) {
        self.seen.send_replace(Seen { position: self.position, state });
    }
}

/// Does on a thread of its own what may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is going down, and this task with it.
        Err(_) => std::future::pending().await,
    }
}
