//! Taking messages out of a stream for good: the server overwrites what it had stored.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::{self, ApiError};
use crate::connection::Connection;

/// A message that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unwanted {
    /// Its number.
    pub sequence: u64,
    /// When the server stored it, in milliseconds since 1970: a message of that number from another time is another one,
    /// of a stream that was made anew, and stays.
    pub published_at: i64,
}

/// What became of messages that were to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The server has overwritten them.
    pub erased: u64,
    /// They were not there any more.
    pub missing: u64,
}

/// Why messages are still there. Those before the one that failed are gone.
#[derive(Debug, Error)]
pub enum EraseError {
    /// The user may not.
    #[error("take messages out of the stream {stream}: this NATS user may not publish to {subject}. Allow it")]
    Denied {
        /// The stream.
        stream: String,
        /// What was refused.
        subject: String,
    },
    /// The server does not, because the stream denies it, or gives no answer.
    #[error("take messages out of the stream {stream}: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What the server says.
        reason: String,
    },
}

/// Takes messages out of a stream, one by one.
///
/// # Errors
/// When the server refuses one.
pub async fn erase(connection: &Connection, stream: &str, unwanted: &[Unwanted]) -> Result<Erased, EraseError> {
    let failed = |error: ApiError| match error {
        ApiError::Denied { subject } => EraseError::Denied { stream: stream.to_owned(), subject },
        error @ (ApiError::StreamMissing | ApiError::MessageMissing | ApiError::Unavailable { .. }) => {
            EraseError::Refused { stream: stream.to_owned(), reason: error.to_string() }
        }
    };
    let mut done = Erased::default();
    for message in unwanted {
        let found = api::raw_message(connection, stream, message.sequence).await.map_err(failed)?;
        let stored = found.filter(|found| found.sequence == message.sequence);
        let stored_at = stored.and_then(|found| i64::try_from(found.time.unix_timestamp_nanos() / 1_000_000).ok());
        if stored_at != Some(message.published_at) {
            done.missing += 1;
            continue;
        }
        match delete(connection, stream, message.sequence).await {
            Ok(()) => done.erased += 1,
            Err(ApiError::MessageMissing) => done.missing += 1,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(done)
}

async fn delete(connection: &Connection, stream: &str, sequence: u64) -> Result<(), ApiError> {
    #[derive(Serialize)]
    struct Question {
        seq: u64,
        /// Whether what was stored may stay until its place is needed.
        no_erase: bool,
    }
    #[derive(Deserialize)]
    struct Answer {
        success: bool,
    }
    let question = Question { seq: sequence, no_erase: false };
    let answer: Answer = api::ask(connection, format!("STREAM.MSG.DELETE.{stream}"), &question).await?;
    if answer.success { Ok(()) } else { Err(ApiError::MessageMissing) }
}
