//! Why a feed has ended, for the one who must decide how to go on.

use thiserror::Error;

use super::SinkError;
use crate::api::ApiError;

/// Why a feed can't go on. A lost connection is none of these: it is waited for.
///
/// What concerns the stream is said after it was seen twice. Starting again gives the same error; an operator looks at
/// what happened and then sets a new epoch.
#[derive(Debug, Error)]
pub enum FeedError {
    /// There is no stream of that name.
    #[error(
        "read the stream {stream}: it does not exist. Restore it from its backup; if it is gone for good, create it \
         and run `leadfold feed new-epoch`"
    )]
    StreamMissing {
        /// Its name.
        stream: String,
    },
    /// There is one, but it isn't the one that was read.
    #[error(
        "go on reading the stream {stream} behind message {sequence}: it was deleted and created again since. What the \
         old one still held and was not read is lost. Find out why, then run `leadfold feed new-epoch`"
    )]
    StreamReplaced {
        /// Its name.
        stream: String,
        /// The last message taken.
        sequence: u64,
    },
    /// The stream has fewer messages than were read.
    #[error(
        "go on reading the stream {stream} behind message {mark}: it ends at {last}. The server has lost messages {} \
         to {mark}, which are recorded here, and will give their numbers to new ones. Find out why, then run \
         `leadfold feed new-epoch`", last + 1
    )]
    RolledBack {
        /// Its name.
        stream: String,
        /// The last message taken.
        mark: u64,
        /// The last message there is.
        last: u64,
    },
    /// The last message taken is another one now.
    #[error(
        "go on reading the stream {stream} behind message {sequence}: the message of that number is not the one that \
         was read. The server has lost messages and given their numbers to new ones; those up to {sequence} would \
         never be read. Find out why, then run `leadfold feed new-epoch`"
    )]
    Diverged {
        /// Its name.
        stream: String,
        /// The number of the message.
        sequence: u64,
    },
    /// Messages were removed before they were read.
    #[error(
        "go on reading the stream {stream}: messages {lost_from} to {lost_to} were removed before they were read, by \
         a limit of the stream or by hand. Find out why, then run `leadfold feed new-epoch`"
    )]
    Overtaken {
        /// Its name.
        stream: String,
        /// The first message that is lost.
        lost_from: u64,
        /// The last message that is lost.
        lost_to: u64,
    },
    /// The server doesn't allow it.
    #[error("read the stream {stream}: this NATS user may not publish to {subject}. Allow it, then start again")]
    Denied {
        /// Its name.
        stream: String,
        /// What was refused.
        subject: String,
    },
    /// The mark is of another stream than the options name.
    #[error("read the stream {stream}: the mark stored here is of the stream {marked}. Correct the setting")]
    OtherStream {
        /// The stream in the options.
        stream: String,
        /// The stream of the mark.
        marked: String,
    },
    /// The server did not answer an operator's question; a running feed waits instead.
    #[error("ask about the stream {stream}: {reason}. Try again when the server answers")]
    Unavailable {
        /// Its name.
        stream: String,
        /// What happened instead of an answer.
        reason: String,
    },
    /// The taker has failed. The mark that it stored last is where to start again.
    #[error("take messages of the stream {stream}")]
    Sink {
        /// Its name.
        stream: String,
        /// What it said.
        #[source]
        source: SinkError,
    },
}

impl FeedError {
    pub(crate) fn asking(stream: &str, error: ApiError) -> Self {
        let stream = stream.to_owned();
        match error {
            ApiError::Denied { subject } => Self::Denied { stream, subject },
            ApiError::StreamMissing => Self::StreamMissing { stream },
            error @ (ApiError::MessageMissing | ApiError::Unavailable { .. }) => {
                Self::Unavailable { stream, reason: error.to_string() }
            }
        }
    }

    /// Whether it is about the stream, where a server that is just shutting down may have said something wrong.
    pub(super) const fn deserves_a_second_look(&self) -> bool {
        match self {
            Self::StreamMissing { .. }
            | Self::StreamReplaced { .. }
            | Self::RolledBack { .. }
            | Self::Diverged { .. }
            | Self::Overtaken { .. } => true,
            Self::Denied { .. } | Self::OtherStream { .. } | Self::Unavailable { .. } | Self::Sink { .. } => false,
        }
    }
}
