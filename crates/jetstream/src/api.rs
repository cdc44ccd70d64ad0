//! Questions to JetStream's API, with what can go wrong told apart.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{ConsumerErrorKind, Info, RawMessage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::connection::{Connection, Denied};

/// Why JetStream gave no answer, or not the one wanted.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// The user may not ask this.
    #[error("this NATS user may not publish to {subject}")]
    Denied { subject: String },
    /// No such stream.
    #[error("the stream is not there")]
    StreamMissing,
    /// No such message.
    #[error("the message is not there")]
    MessageMissing,
    /// Nobody answers; ask again later.
    #[error("{reason}")]
    Unavailable { reason: String },
}

/// What matters of a stream's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// Nanoseconds since 1970.
    pub(crate) created_ns: u64,
    /// The first message it still has; the next one to come where it is empty.
    pub(crate) first: u64,
    /// The last number given.
    pub(crate) last: u64,
}

/// How the stream stands.
pub(crate) async fn stream_state(connection: &Connection, stream: &str) -> Result<StreamState, ApiError> {
    let info = stream_info(connection, stream).await?;
    let created_ns = u64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default();
    let last = info.state.last_sequence;
    // A stream that never had a message says 0.
    let first = if info.state.messages == 0 { last + 1 } else { info.state.first_sequence };
    Ok(StreamState { created_ns, first, last })
}

/// Configuration and state.
pub(crate) async fn stream_info(connection: &Connection, stream: &str) -> Result<Info, ApiError> {
    ask(connection, format!("STREAM.INFO.{stream}"), &()).await
}

/// The message of that number, or the next one; `None` behind the last.
pub(crate) async fn raw_message(
    connection: &Connection,
    stream: &str,
    sequence: u64,
) -> Result<Option<RawMessage>, ApiError> {
    #[derive(Serialize)]
    struct Question {
        seq: u64,
        next_by_subj: &'static str,
    }
    #[derive(Deserialize)]
    struct Answer {
        message: RawMessage,
    }
    let question = Question { seq: sequence, next_by_subj: ">" };
    match ask::<_, Answer>(connection, format!("STREAM.MSG.GET.{stream}"), &question).await {
        Ok(answer) => Ok(Some(answer.message)),
        Err(ApiError::MessageMissing) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks one thing of the API; `subject` without the API's prefix.
pub(crate) async fn ask<T: Serialize, V: DeserializeOwned>(
    connection: &Connection,
    subject: String,
    question: &T,
) -> Result<V, ApiError> {
    let full = format!("$JS.API.{subject}");
    let answer = connection.unless_denied(&full, connection.context().request(subject, question)).await;
    let answer: Response<V> = match answer {
        Err(Denied) => return Err(ApiError::Denied { subject: full }),
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            return Err(ApiError::Unavailable {
                reason: "JetStream is not enabled on the server, or not ready".into(),
            });
        }
        Ok(Err(error)) => return Err(ApiError::Unavailable { reason: error.to_string() }),
        Ok(Ok(answer)) => answer,
    };
    match answer {
        Response::Ok(value) => Ok(value),
        Response::Err { error } => Err(refused(&error)),
    }
}

/// Makes a consumer.
pub(crate) async fn create_consumer(
    connection: &Connection,
    stream: &str,
    config: pull::Config,
) -> Result<Consumer<pull::Config>, ApiError> {
    let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{}", config.name.as_deref().unwrap_or_default());
    let creating = connection.context().create_consumer_on_stream(config, stream);
    match connection.unless_denied(&subject, creating).await {
        Err(Denied) => Err(ApiError::Denied { subject }),
        Ok(Ok(consumer)) => Ok(consumer),
        Ok(Err(error)) => match error.kind() {
            ConsumerErrorKind::JetStream(error) => Err(refused(&error)),
            ConsumerErrorKind::TimedOut
            | ConsumerErrorKind::Request
            | ConsumerErrorKind::InvalidConsumerType
            | ConsumerErrorKind::InvalidName
            | ConsumerErrorKind::Other => Err(ApiError::Unavailable { reason: error.to_string() }),
        },
    }
}

fn refused(error: &async_nats::jetstream::Error) -> ApiError {
    if error.error_code() == ErrorCode::STREAM_NOT_FOUND {
        return ApiError::StreamMissing;
    }
    if [ErrorCode::NO_MESSAGE_FOUND, ErrorCode::SEQUENCE_NOT_FOUND].contains(&error.error_code()) {
        return ApiError::MessageMissing;
    }
    ApiError::Unavailable { reason: error.to_string() }
}
