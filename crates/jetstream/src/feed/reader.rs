//! One consumer on one connection: makes it, takes what arrives, and notices when it can't be trusted any more.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{self, MessagesError, MessagesErrorKind};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::FeedOptions;
use crate::api::{self, ApiError};
use crate::connection::Connection;
use crate::mark::{FeedMark, Fingerprint};
use crate::message::{Headers, Message};
use crate::signals::Counts;

/// How long one request for messages stands before it is renewed.
const EXPIRES: Duration = Duration::from_secs(30);
/// When the server clears away a consumer that nobody asks anything of.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(60);
/// After so many heartbeats without a message, where some are known to be there, a consumer is given up. The server may
/// refuse each request, for example for a message that is longer than what it may send ahead.
const STALL_HEARTBEATS: u32 = 4;
/// How long a clean end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a consumer is given up.
#[derive(Debug)]
pub(super) enum Loss {
    Reconnected,
    ConsumerDeleted,
    Silent,
    Dropped,
    Stalled { pending: u64 },
    Ended,
    Skipped { expected: u64, found: u64 },
    OutOfOrder { sequence: u64 },
    Unreadable,
    Unavailable { reason: String },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reconnected => f.write_str("the connection was established again"),
            Self::ConsumerDeleted => f.write_str("the server has deleted the consumer"),
            Self::Silent => f.write_str("nothing was heard from the server"),
            Self::Dropped => f.write_str("messages were dropped because they were not taken in time"),
            Self::Stalled { pending } => write!(f, "{pending} messages are there and none of them comes"),
            Self::Ended => f.write_str("the subscription has ended"),
            Self::Skipped { expected, found } => write!(f, "delivery {expected} is missing before {found}"),
            Self::OutOfOrder { sequence } => write!(f, "message {sequence} came out of order"),
            Self::Unreadable => f.write_str("a message came without its numbers"),
            Self::Unavailable { reason } => f.write_str(reason),
        }
    }
}

/// What opening led to.
pub(super) enum Opened {
    Reader(Box<Reader>),
    Lost(Loss),
}

/// Messages, not yet handed over.
#[derive(Default)]
pub(super) struct Batch {
    /// In order.
    pub(super) messages: Vec<Message>,
    /// Behind the last one.
    pub(super) pending: u64,
    /// Of all payloads.
    pub(super) bytes: usize,
    /// Of the last one, where a consumer can be asked for it again.
    pub(super) stored_ns: Option<u64>,
}

/// What came next.
pub(super) enum Gathered {
    Batch(Batch),
    /// Numbers are missing before `next`, which comes with the next call.
    Gap {
        next: u64,
    },
    /// The message at the mark is another one.
    Diverged {
        sequence: u64,
    },
    Lost(Loss),
    Cancelled,
}

pub(super) struct Reader {
    connection: Connection,
    messages: pull::Stream,
    stream: String,
    consumer: String,
    /// The connection that all of it belongs to.
    connects: u64,
    counts: watch::Receiver<Counts>,
    /// What the connection had dropped before.
    drops: u64,
    /// The consumer's number of the last delivery.
    delivery: u64,
    /// The last message's number.
    sequence: u64,
    /// How many messages are known to be behind it.
    pending: u64,
    /// What the message at the mark must be, until that is clear.
    expected: Option<Fingerprint>,
    /// Found while gathering, and still to be told.
    held: Option<Held>,
}

/// A message with what the server says about it.
struct Delivery {
    message: Message,
    delivery: u64,
    pending: u64,
    stored_ns: u64,
}

enum Held {
    /// Comes after a gap, which is to be told first.
    Behind(Delivery),
    /// Comes after a gap that was told.
    Next(Delivery),
    Loss(Loss),
}

impl Reader {
    /// Makes a consumer that begins with the message at the mark, so that it can be seen to be the same, or behind it
    /// where the mark has no fingerprint.
    pub(super) async fn open(
        connection: &Connection,
        options: &FeedOptions,
        mark: &FeedMark,
        connects: u64,
    ) -> Result<Opened, ApiError> {
        let mut counts = connection.counts();
        let drops = counts.borrow_and_update().drops;
        let expected = Some(mark.fingerprint).filter(|it| *it != Fingerprint::NONE && mark.sequence > 0);
        let start = if expected.is_some() { mark.sequence } else { mark.sequence + 1 };
        let consumer =
            api::create_consumer(connection, &options.stream, consumer_config(connection.unique_name(), start)).await?;
        let info = consumer.cached_info();
        let (name, pending) = (info.name.clone(), info.num_pending.saturating_sub(u64::from(expected.is_some())));
        super::set_lag(pending);
        let messages = consumer
            .stream()
            .max_messages_per_batch(options.batch_messages_max)
            .max_bytes_per_batch(options.ahead_bytes_max)
            .heartbeat(options.heartbeat)
            .expires(EXPIRES.max(options.heartbeat * 2))
            .messages()
            .await
            .map_err(|error| ApiError::Unavailable { reason: error.to_string() })?;
        // The mark was checked on that connection. Another one may lead to a server that knows less.
        if connection.connects() != connects {
            return Ok(Opened::Lost(Loss::Reconnected));
        }
        tracing::info!(stream = options.stream, sequence = mark.sequence, pending, "reading with a new consumer");
        Ok(Opened::Reader(Box::new(Self {
            connection: connection.clone(),
            messages,
            stream: options.stream.clone(),
            consumer: name,
            connects,
            counts,
            drops,
            delivery: 0,
            sequence: mark.sequence,
            pending,
            expected,
            held: None,
        })))
    }

    /// How many messages wait in the stream, as the server last said.
    pub(super) const fn pending(&self) -> u64 {
        self.pending
    }

    /// Waits for a message, and takes what else has arrived already.
    pub(super) async fn gather(&mut self, options: &FeedOptions, cancel: &CancellationToken) -> Gathered {
        let mut batch = Batch::default();
        loop {
            let next = match self.held.take() {
                Some(Held::Next(delivery)) => Ok(delivery),
                Some(Held::Loss(loss)) => return Gathered::Lost(loss),
                Some(Held::Behind(delivery)) => {
                    let next = delivery.message.sequence;
                    self.held = Some(Held::Next(delivery));
                    return Gathered::Gap { next };
                }
                None if batch.messages.is_empty() => tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Gathered::Cancelled,
                    // What came over the old connection is as good as any.
                    next = self.messages.next() => self.read(next),
                    _ = self.counts.changed() => {
                        // The last messages may be among the dropped, with none behind them to show the gap.
                        if self.counts.borrow().drops != self.drops {
                            return Gathered::Lost(Loss::Dropped);
                        }
                        // The event of the connection that is in use may come late.
                        if self.connection.connects() == self.connects {
                            continue;
                        }
                        Err(Loss::Reconnected)
                    }
                    () = tokio::time::sleep(options.heartbeat * STALL_HEARTBEATS), if self.pending > 0 => {
                        Err(Loss::Stalled { pending: self.pending })
                    }
                },
                // Out of the runtime's budget, which would pretend that nothing is there after 128 messages.
                None => match tokio::task::unconstrained(self.messages.next()).now_or_never() {
                    Some(next) => self.read(next),
                    None => break,
                },
            };
            match next.and_then(|delivery| self.check(delivery)) {
                Ok(Checked::Next(delivery)) => batch.push(delivery),
                Ok(Checked::AtMark { same: true }) => continue,
                Ok(Checked::AtMark { same: false }) => return Gathered::Diverged { sequence: self.sequence },
                Ok(Checked::BehindGap(delivery)) => self.held = Some(Held::Behind(delivery)),
                Err(loss) => self.held = Some(Held::Loss(loss)),
            }
            let full = batch.messages.len() >= options.batch_messages_max || batch.bytes >= options.batch_bytes_max;
            if full || (self.held.is_some() && !batch.messages.is_empty()) {
                break;
            }
        }
        Gathered::Batch(batch)
    }

    /// Lets the server forget the consumer at once. If that fails, it does so by itself after a minute.
    pub(super) async fn close(self) {
        let Self { connection, stream, consumer, messages, connects, .. } = self;
        drop(messages);
        if connection.connects() == connects && connection.is_connected() {
            let deleting = connection.context().delete_consumer_from_stream(&consumer, &stream);
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, deleting).await;
        }
    }

    fn read(&self, next: Option<Result<jetstream::Message, MessagesError>>) -> Result<Delivery, Loss> {
        let message = next.ok_or(Loss::Ended)?.map_err(|error| loss_of(&error))?;
        Delivery::of(message).ok_or(Loss::Unreadable)
    }

    /// Checks that nothing is missing before the delivery.
    fn check(&mut self, it: Delivery) -> Result<Checked, Loss> {
        let sequence = it.message.sequence;
        // A delivery held back behind a gap was counted when it came.
        if it.delivery != self.delivery {
            if it.delivery != self.delivery + 1 {
                return Err(Loss::Skipped { expected: self.delivery + 1, found: it.delivery });
            }
            self.delivery = it.delivery;
            if let Some(expected) = self.expected.take().filter(|_| sequence == self.sequence) {
                return Ok(Checked::AtMark { same: expected == Fingerprint::of(&it.message, it.stored_ns) });
            }
            if sequence <= self.sequence {
                return Err(Loss::OutOfOrder { sequence });
            }
            if sequence > self.sequence + 1 {
                return Ok(Checked::BehindGap(it));
            }
        }
        (self.sequence, self.pending) = (sequence, it.pending);
        Ok(Checked::Next(it))
    }
}

enum Checked {
    Next(Delivery),
    AtMark { same: bool },
    BehindGap(Delivery),
}

impl Batch {
    fn push(&mut self, it: Delivery) {
        self.bytes += it.message.payload.len();
        self.pending = it.pending;
        self.stored_ns = Some(it.stored_ns);
        self.messages.push(it.message);
    }
}

impl Delivery {
    fn of(message: jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let stored_ns = u64::try_from(info.published.unix_timestamp_nanos()).ok()?;
        let (delivery, pending, sequence) = (info.consumer_sequence, info.pending, info.stream_sequence);
        let (message, _) = message.split();
        let published_at = i64::try_from(stored_ns / 1_000_000).ok()?;
        let headers = Headers::of(message.headers.as_ref());
        let (subject, payload): (String, Bytes) = (message.subject.into_string(), message.payload);
        Some(Self {
            message: Message { sequence, subject, headers, payload, published_at },
            delivery,
            pending,
            stored_ns,
        })
    }
}

fn consumer_config(name: String, start_sequence: u64) -> pull::Config {
    pull::Config {
        name: Some(name),
        description: Some("Leadfold reads this stream; acknowledges nothing".into()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        inactive_threshold: INACTIVE_THRESHOLD,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    }
}

fn loss_of(error: &MessagesError) -> Loss {
    match error.kind() {
        MessagesErrorKind::MissingHeartbeat => Loss::Silent,
        MessagesErrorKind::ConsumerDeleted => Loss::ConsumerDeleted,
        MessagesErrorKind::Pull
        | MessagesErrorKind::PushBasedConsumer
        | MessagesErrorKind::NoResponders
        | MessagesErrorKind::RequestLimitExceeded
        | MessagesErrorKind::Other => Loss::Unavailable { reason: error.to_string() },
    }
}
