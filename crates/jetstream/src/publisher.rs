//! Publishes to a stream and waits for the server's word that the message is stored.

use std::error::Error as _;
use std::time::Duration;

use async_nats::header::{HeaderName, HeaderValue};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, client};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use thiserror::Error;

use crate::connection::Connection;
use crate::message::Headers;
use crate::signals::Denial;
use crate::subject::Subject;

/// A message to publish.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Where to; [`crate::Subject::to_published`] makes it.
    pub subject: String,
    /// What goes with it.
    pub headers: Headers,
    /// The message itself.
    pub payload: Bytes,
    /// The same id again within the stream's duplicate window is not stored again, whatever the subject: begin it with
    /// the tenant, so that no tenant can use up another's ids.
    pub message_id: Option<String>,
}

/// The server has stored the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number in the stream; of the first one, if it is a duplicate.
    pub sequence: u64,
    /// Whether a message of this id was stored before, and this one wasn't.
    pub duplicate: bool,
}

/// Why a message is not known to be stored.
#[derive(Debug, Error)]
pub enum PublishError {
    /// It may be stored, or not. Publishing again with the same message id is safe within the duplicate window.
    #[error("learn whether a message to {subject} was stored: {reason}. Publish it again with the same message id")]
    Unknown {
        /// Where to.
        subject: String,
        /// What happened instead of an acknowledgement.
        reason: String,
    },
    /// Nothing was sent. Publish it again when the connection is back.
    #[error("publish to {subject}: there is no connection to NATS now. Try again")]
    Disconnected {
        /// Where to.
        subject: String,
    },
    /// The stream takes no more until old messages expire or its limits are raised.
    #[error("publish to {subject}: the stream is full ({reason}). Raise its limits, or wait until messages expire")]
    StreamFull {
        /// Where to.
        subject: String,
        /// Which limit.
        reason: String,
    },
    /// The user may not publish there.
    #[error("publish to {subject}: this NATS user may not. Allow it")]
    Denied {
        /// Where to.
        subject: String,
    },
    /// No stream takes that subject.
    #[error("publish to {subject}: no stream takes it. Create the stream first")]
    NoStream {
        /// Where to.
        subject: String,
    },
    /// Longer than the server or the stream takes. It never will be taken.
    #[error("publish {bytes} bytes to {subject}: server or stream take no message of that length")]
    TooLarge {
        /// Where to.
        subject: String,
        /// Of the payload.
        bytes: usize,
    },
    /// The subject or a header can't be sent. It never will be taken.
    #[error("publish to a subject or with a header that has characters which can't be there: {reason}")]
    Invalid {
        /// Where they are.
        reason: &'static str,
    },
    /// The server says no for another reason. Nothing is stored.
    #[error("publish to {subject}: the server refuses it ({reason})")]
    Refused {
        /// Where to.
        subject: String,
        /// What the server says.
        reason: String,
    },
}

/// Publishes over one connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Publisher {
    connection: Connection,
}

/// Sent, and not acknowledged yet.
struct Sent {
    ack: PublishAckFuture,
    denial: Denial,
    timeout: Duration,
    subject: String,
    bytes: usize,
}

impl Publisher {
    /// Over that connection, which should not be the one that reads in bulk.
    #[must_use]
    pub const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Returns once a server is connected.
    pub async fn connected(&self) {
        self.connection.connected().await;
    }

    /// Publishes one message. On return the server has stored it, as durably as the stream is.
    ///
    /// # Errors
    /// Each says whether the message may be stored, and whether to publish it again.
    pub async fn publish(
        &self,
        subject: &str,
        headers: &Headers,
        payload: Bytes,
        message_id: Option<&str>,
    ) -> Result<Published, PublishError> {
        let message_id = message_id.map(str::to_owned);
        let outgoing = Outgoing { subject: subject.into(), headers: headers.clone(), payload, message_id };
        self.send(outgoing, None).await?.acknowledged().await
    }

    /// Publishes messages in order, with up to `window` of them not yet acknowledged. Returns their results in order.
    ///
    /// Nothing more is sent once one has failed, so there may be fewer results than messages: those without a result
    /// were not sent. Those behind the failed one that were under way may be stored. To keep order, publish again from
    /// the failed one with the same message ids.
    pub async fn publish_many(
        &self,
        messages: impl IntoIterator<Item = Outgoing, IntoIter: Send> + Send,
        window: usize,
    ) -> Vec<Result<Published, PublishError>> {
        let mut results = Vec::new();
        let mut waiting = FuturesOrdered::new();
        let mut failed = false;
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next().filter(|_| !failed) {
            if waiting.len() >= window.max(1) {
                let result: Option<Result<Published, PublishError>> = waiting.next().await;
                failed = result.as_ref().is_some_and(Result::is_err);
                results.extend(result);
            }
            if failed {
                break;
            }
            match self.send(message, None).await {
                Ok(sent) => waiting.push_back(sent.acknowledged()),
                Err(error) => {
                    results.extend(waiting.collect::<Vec<_>>().await);
                    results.push(Err(error));
                    return results;
                }
            }
        }
        results.extend(waiting.collect::<Vec<_>>().await);
        results
    }

    /// Publishes messages in order, each only if the one in front of it is the last in the stream, and waits for the
    /// acknowledgement of the last one: the server has stored that one only if it has stored them all. The first follows
    /// whatever is there. Each should have a message id, by which the next one names it.
    ///
    /// One acknowledgement for all costs server and client a fraction of one for each.
    ///
    /// # Errors
    /// Any number of the first messages may be stored then. With [`PublishError::Refused`] one of them was not, or
    /// somebody else published in between: [`publish_many`](Self::publish_many) tells which.
    pub async fn publish_chain(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        let mut before: Option<String> = None;
        let mut messages = messages.into_iter().peekable();
        while let Some(message) = messages.next() {
            let follows = before.take();
            before.clone_from(&message.message_id);
            if messages.peek().is_none() {
                return self.send(message, follows.as_deref()).await?.acknowledged().await.map(|_| ());
            }
            self.cast(message, follows.as_deref()).await?;
        }
        Ok(())
    }

    /// Sends a message for which no acknowledgement comes.
    async fn cast(&self, outgoing: Outgoing, follows: Option<&str>) -> Result<(), PublishError> {
        self.check(&outgoing)?;
        let Outgoing { subject, headers, payload, message_id } = outgoing;
        let (bytes, headers) = (payload.len(), wire_headers(&headers, message_id, follows)?);
        let sent = self.connection.client().publish_with_headers(subject.clone(), headers, payload).await;
        sent.map_err(|error| match error.kind() {
            client::PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge { subject, bytes },
            client::PublishErrorKind::InvalidSubject => PublishError::Invalid { reason: "subject" },
            client::PublishErrorKind::Send => PublishError::Disconnected { subject },
        })
    }

    fn check(&self, outgoing: &Outgoing) -> Result<(), PublishError> {
        if Subject::Other(&outgoing.subject).to_published().is_err() {
            return Err(PublishError::Invalid { reason: "subject" });
        }
        if !self.connection.is_connected() {
            return Err(PublishError::Disconnected { subject: outgoing.subject.clone() });
        }
        Ok(())
    }

    async fn send(&self, outgoing: Outgoing, follows: Option<&str>) -> Result<Sent, PublishError> {
        self.check(&outgoing)?;
        let Outgoing { subject, headers, payload, message_id } = outgoing;
        let bytes = payload.len();
        let publish = PublishMessage::build().payload(payload).headers(wire_headers(&headers, message_id, follows)?);
        let (denial, timeout) = (self.connection.denial(&subject), self.connection.request_timeout());
        match self.connection.context().send_publish(subject.clone(), publish).await {
            Ok(ack) => Ok(Sent { ack, denial, timeout, subject, bytes }),
            Err(error) => Err(error_of(&error, subject, bytes)),
        }
    }
}

impl Sent {
    async fn acknowledged(self) -> Result<Published, PublishError> {
        let Self { ack, denial, timeout, subject, bytes } = self;
        let ack = tokio::time::timeout(timeout, ack.into_future());
        let acknowledged = tokio::select! {
            acknowledged = ack => acknowledged,
            () = denial.wait() => return Err(PublishError::Denied { subject }),
        };
        match acknowledged {
            Ok(Ok(ack)) => Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate }),
            Ok(Err(error)) => Err(error_of(&error, subject, bytes)),
            Err(_) => Err(PublishError::Unknown { subject, reason: format!("no answer came within {timeout:?}") }),
        }
    }
}

fn wire_headers(
    headers: &Headers,
    message_id: Option<String>,
    follows: Option<&str>,
) -> Result<HeaderMap, PublishError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let parsed = name.parse::<HeaderName>().ok().filter(|_| !name.is_empty());
        let name = parsed.ok_or(PublishError::Invalid { reason: "name of a header" })?;
        map.append(name, header_value(value)?);
    }
    if let Some(id) = message_id {
        map.insert(async_nats::header::NATS_MESSAGE_ID, header_value(&id)?);
    }
    if let Some(id) = follows {
        map.insert(async_nats::header::NATS_EXPECTED_LAST_MESSAGE_ID, header_value(id)?);
    }
    Ok(map)
}

fn header_value(value: &str) -> Result<HeaderValue, PublishError> {
    value.parse().map_err(|_| PublishError::Invalid { reason: "value of a header" })
}

fn error_of(error: &async_nats::jetstream::context::PublishError, subject: String, bytes: usize) -> PublishError {
    match error.kind() {
        PublishErrorKind::StreamNotFound => PublishError::NoStream { subject },
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge { subject, bytes },
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
            PublishError::Unknown { subject, reason: error.to_string() }
        }
        PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::Other => {
            let said = error.source().and_then(|it| it.downcast_ref::<async_nats::jetstream::Error>());
            said.map_or_else(
                || PublishError::Unknown { subject: subject.clone(), reason: error.to_string() },
                |said| refused(said, subject.clone(), bytes),
            )
        }
    }
}

/// What JetStream itself said about a message that it did not store.
fn refused(said: &async_nats::jetstream::Error, subject: String, bytes: usize) -> PublishError {
    let reason = said.to_string();
    let code = said.error_code();
    let full = [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
    ];
    if [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM].contains(&code) {
        return PublishError::TooLarge { subject, bytes };
    }
    // A store that failed for another reason than a limit has the same code.
    if full.contains(&code) && (code != ErrorCode::STREAM_STORE_FAILED || reason.contains("exceeded")) {
        return PublishError::StreamFull { subject, reason };
    }
    PublishError::Refused { subject, reason }
}
