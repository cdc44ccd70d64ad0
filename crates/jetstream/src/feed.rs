//! Reads a stream in order, for ever, and hands it over in batches with a mark. Stores nothing and acknowledges
//! nothing: where to start is what the taker stored.
//!
//! One consumer lives on one connection and is thrown away with the first doubt: the connection came back, a number is
//! missing, nothing was heard for a while. The next one starts at the mark, after the stream's identity was looked at.

mod error;
mod reader;
mod rescue;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::error::FeedError;
use self::reader::{Batch, Gathered, Loss, Opened, Reader};
use crate::api::{self, StreamState};
use crate::connection::Connection;
use crate::mark::{FeedMark, Fingerprint};
use crate::message::Message;
use crate::subject::LEADFOLD_IN;

/// The pause before the second consumer in a row that gave nothing; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How many consumers in a row may give nothing before messages are read one by one.
const FRUITLESS_MAX: u32 = 2;
/// The pause before a bad finding about the stream is checked again.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// What a taker failed with.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What takes the messages.
pub trait FeedSink: Send {
    /// Takes the next batch. Returns when there is room for more: the feed reads only little ahead meanwhile. Whether
    /// anything is durable then is the taker's affair; it stores the batch's mark with what it made of the batch.
    ///
    /// An error ends the feed.
    fn take(&mut self, batch: FeedBatch) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Told whenever reading begins or breaks off. In between, each batch says what is behind it.
    fn stands(&mut self, standing: FeedStanding) {
        let _ = standing;
    }
}

/// What is known of what waits in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStanding {
    /// Everything that was in it when the server was asked has been taken.
    CaughtUp,
    /// Messages wait; they come next.
    Behind,
    /// The server can't be asked now.
    Unknown,
}

impl<S: FeedSink> FeedSink for &mut S {
    fn take(&mut self, batch: FeedBatch) -> impl Future<Output = Result<(), SinkError>> + Send {
        (**self).take(batch)
    }

    fn stands(&mut self, standing: FeedStanding) {
        (**self).stands(standing);
    }
}

/// Messages in the order of the stream.
#[derive(Clone, Debug)]
pub struct FeedBatch {
    /// At least one.
    pub messages: Vec<Message>,
    /// Of the last one.
    pub mark: FeedMark,
    /// How many were in the stream behind the last one when the server sent it: the lag.
    pub pending: u64,
}

/// What to read, and how much at once.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The stream's name.
    pub stream: String,
    /// The most messages of a batch, and how many the server sends ahead.
    pub batch_messages_max: usize,
    /// The most payload of a batch, in bytes; one message may be longer.
    pub batch_bytes_max: usize,
    /// How many bytes the server sends ahead. Should be well above the longest message of the
    /// stream: a longer one comes only after a pause.
    pub ahead_bytes_max: usize,
    /// How often the server says that it is there. Twice this in silence is taken as the consumer's end.
    pub heartbeat: Duration,
}

impl FeedOptions {
    /// Reads the stream with up to 4,000 messages or 2 MiB a batch and 8 MiB ahead.
    #[must_use]
    pub fn new(stream: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            batch_messages_max: 4_000,
            batch_bytes_max: 2 << 20,
            ahead_bytes_max: 8 << 20,
            heartbeat: Duration::from_secs(5),
        }
    }
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self::new(LEADFOLD_IN)
    }
}

/// Reads the stream behind `from` and hands everything to `sink`, until `cancel` is called. Without a mark it starts at
/// the first message that the stream has.
///
/// Messages that a consumer can't deliver, because their headers are none, are read through the API.
///
/// A batch is whatever has arrived, up to the limits; nothing waits for a batch to fill. Lost connections, restarted
/// servers and deleted consumers are waited for and gone on from the last batch handed over. A batch handed over is not
/// handed over again.
///
/// # Errors
/// When the stream is not the one that the mark is of, has lost what was read or what was not read yet, or when the
/// sink fails. See [`FeedError`]: none of them goes away by starting again.
pub async fn run_feed<S: FeedSink>(
    connection: Connection,
    options: FeedOptions,
    from: Option<FeedMark>,
    mut sink: S,
    cancel: CancellationToken,
) -> Result<(), FeedError> {
    if let Some(mark) = from.as_ref().filter(|it| it.stream != options.stream) {
        return Err(FeedError::OtherStream { stream: options.stream, marked: mark.stream.clone() });
    }
    let mut feed = Feed { connection, options, mark: from, cancel, delivered: false, fruitless: 0 };
    let done = feed.run(&mut sink).await;
    match &done {
        Ok(()) => tracing::info!(stream = feed.options.stream, sequence = feed.sequence(), "the feed is stopped"),
        Err(error) => {
            tracing::error!(stream = feed.options.stream, sequence = feed.sequence(), %error, "the feed cannot go on");
        }
    }
    done
}

/// How a round with one consumer ended, other than by an error.
enum End {
    Cancelled,
    Lost(Loss),
}

struct Feed {
    connection: Connection,
    options: FeedOptions,
    /// Of what was handed over.
    mark: Option<FeedMark>,
    cancel: CancellationToken,
    /// Whether the present consumer has given anything.
    delivered: bool,
    /// How many consumers in a row have given nothing.
    fruitless: u32,
}

impl Feed {
    async fn run<S: FeedSink>(&mut self, sink: &mut S) -> Result<(), FeedError> {
        let cancel = self.cancel.clone();
        let mut pause = Duration::ZERO;
        let mut doubted = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.connection.connected() => {}
            }
            self.delivered = false;
            let ended = self.round(sink).await;
            if self.delivered {
                pause = Duration::ZERO;
                self.fruitless = 0;
            }
            match ended {
                Ok(End::Cancelled) => return Ok(()),
                Ok(End::Lost(loss)) => {
                    doubted = false;
                    let answered = !matches!(loss, Loss::Unavailable { .. });
                    self.fruitless = self.fruitless.saturating_add(u32::from(answered && !self.delivered));
                    metrics::counter!("leadfold_feed_consumer_recreations_total").increment(1);
                    let (stream, sequence) = (&self.options.stream, self.sequence());
                    tracing::info!(stream, sequence, reason = %loss, "going on with a new consumer");
                }
                Err(error) if error.deserves_a_second_look() && (self.delivered || !doubted) => {
                    tracing::warn!(stream = self.options.stream, %error, "something is wrong; looking again");
                    (pause, doubted) = (SECOND_LOOK, true);
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).clamp(RETRY_FIRST, RETRY_MAX),
            }
        }
    }

    /// Reads with one consumer until it is lost.
    async fn round<S: FeedSink>(&mut self, sink: &mut S) -> Result<End, FeedError> {
        if self.fruitless >= FRUITLESS_MAX
            && let Some(loss) = self.rescue(sink).await?
        {
            return Ok(End::Lost(loss));
        }
        let cancel = self.cancel.clone();
        let opened = tokio::select! {
            () = cancel.cancelled() => return Ok(End::Cancelled),
            opened = self.open() => opened?,
        };
        let mut reader = match opened {
            Opened::Reader(reader) => reader,
            Opened::Lost(loss) => return Ok(End::Lost(loss)),
        };
        sink.stands(if reader.pending() == 0 { FeedStanding::CaughtUp } else { FeedStanding::Behind });
        let ended = loop {
            let batch = match reader.gather(&self.options, &self.cancel).await {
                Gathered::Batch(batch) => batch,
                Gathered::Gap { next } => match self.check_gap(self.sequence() + 1, next).await? {
                    None => continue,
                    Some(loss) => break End::Lost(loss),
                },
                Gathered::Diverged { sequence } => {
                    return Err(FeedError::Diverged { stream: self.options.stream.clone(), sequence });
                }
                Gathered::Lost(loss) => break End::Lost(loss),
                Gathered::Cancelled => break End::Cancelled,
            };
            self.hand_over(batch, sink).await?;
        };
        sink.stands(FeedStanding::Unknown);
        reader.close().await;
        Ok(ended)
    }

    /// Checks the stream's identity and makes a consumer behind the mark.
    async fn open(&mut self) -> Result<Opened, FeedError> {
        let connects = self.connection.connects();
        let state = match api::stream_state(&self.connection, &self.options.stream).await {
            Ok(state) => state,
            Err(error) => return self.not_answered(error).map(Opened::Lost),
        };
        let stream = &self.options.stream;
        let mark = self.mark.get_or_insert_with(|| FeedMark::before_first(stream, &state));
        check_mark(mark, &state)?;
        match Reader::open(&self.connection, &self.options, mark, connects).await {
            Ok(opened) => Ok(opened),
            Err(error) => self.not_answered(error).map(Opened::Lost),
        }
    }

    /// Reads the next messages one by one, in case they are what no consumer gets past.
    async fn rescue<S: FeedSink>(&mut self, sink: &mut S) -> Result<Option<Loss>, FeedError> {
        let stream = self.options.stream.clone();
        let Some(mark) = self.mark.clone() else { return Ok(None) };
        let state = match api::stream_state(&self.connection, &stream).await {
            Ok(state) => state,
            Err(error) => return self.not_answered(error).map(Some),
        };
        check_mark(&mark, &state)?;
        let rescued = match rescue::read_on(&self.connection, &mark, &state).await {
            Ok(rescued) => rescued,
            // Without the permission the feed goes on as well as it can.
            Err(error) => {
                tracing::warn!(stream, sequence = mark.sequence, %error, "consumers got stuck, and reading singly fails");
                return Ok(None);
            }
        };
        if !rescued.same {
            return Err(FeedError::Diverged { stream, sequence: mark.sequence });
        }
        if let Some((missing, next)) = rescued.gap
            && let Some(loss) = self.check_gap(missing, next).await?
        {
            return Ok(Some(loss));
        }
        let count = rescued.batch.messages.len();
        if count > 0 {
            metrics::counter!("leadfold_feed_rescued_messages_total").increment(count as u64);
            tracing::warn!(stream, sequence = mark.sequence, count, "consumers got stuck; messages were read singly");
        }
        self.hand_over(rescued.batch, sink).await.map(|()| None)
    }

    /// The numbers from `missing` up to `next` are missing. That is legal where single messages were deleted, but not where
    /// the stream's limits or a purge removed them.
    async fn check_gap(&self, missing: u64, next: u64) -> Result<Option<Loss>, FeedError> {
        let state = match api::stream_state(&self.connection, &self.options.stream).await {
            Ok(state) => state,
            Err(error) => return self.not_answered(error).map(Some),
        };
        if state.first > missing {
            let (stream, lost_to) = (self.options.stream.clone(), state.first.min(next) - 1);
            return Err(FeedError::Overtaken { stream, lost_from: missing, lost_to });
        }
        Ok(None)
    }

    async fn hand_over<S: FeedSink>(&mut self, batch: Batch, sink: &mut S) -> Result<(), FeedError> {
        let Batch { messages, pending, bytes, stored_ns } = batch;
        let Some((mark, last)) = self.mark.as_mut().zip(messages.last()) else { return Ok(()) };
        let mut next = mark.clone();
        next.sequence = last.sequence;
        next.fingerprint = stored_ns.map_or(Fingerprint::NONE, |it| Fingerprint::of(last, it));
        let count = messages.len();
        let taken = sink.take(FeedBatch { messages, mark: next.clone(), pending }).await;
        taken.map_err(|source| FeedError::Sink { stream: self.options.stream.clone(), source })?;
        tracing::debug!(stream = next.stream, sequence = next.sequence, messages = count, pending, "a batch is taken");
        metrics::counter!("leadfold_feed_messages_total").increment(count as u64);
        metrics::counter!("leadfold_feed_bytes_total").increment(bytes as u64);
        set_lag(pending);
        *mark = next;
        self.delivered = true;
        Ok(())
    }

    /// A question to the API had no answer: try again, unless it never will have one.
    fn not_answered(&self, error: api::ApiError) -> Result<Loss, FeedError> {
        if let api::ApiError::Unavailable { reason } = error {
            return Ok(Loss::Unavailable { reason });
        }
        Err(FeedError::asking(&self.options.stream, error))
    }

    fn sequence(&self) -> u64 {
        self.mark.as_ref().map_or(0, |it| it.sequence)
    }
}

fn set_lag(messages: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 messages are beyond any stream")]
    metrics::gauge!("leadfold_feed_lag_messages").set(messages as f64);
}

/// Whether the stream can be read on behind the mark. What is left to check is the message at the mark itself: the
/// consumer starts with it.
pub(crate) fn check_mark(mark: &FeedMark, state: &StreamState) -> Result<(), FeedError> {
    let (stream, sequence) = (mark.stream.clone(), mark.sequence);
    if mark.created_ns != state.created_ns {
        return Err(FeedError::StreamReplaced { stream, sequence });
    }
    if state.last < sequence {
        return Err(FeedError::RolledBack { stream, mark: sequence, last: state.last });
    }
    if state.first > sequence + 1 {
        return Err(FeedError::Overtaken { stream, lost_from: sequence + 1, lost_to: state.first - 1 });
    }
    Ok(())
}
