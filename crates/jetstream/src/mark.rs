//! How far a stream was read, together with what tells this stream from another of the same name.
//!
//! ```text
//! 0         1       5            13         21            53
//! version   epoch   created_ns   sequence   fingerprint   stream
//! u8 = 1    u32     u64          u64        32            UTF-8, up to the end
//! ```
//!
//! Integers are big-endian. The taker stores the mark in one write with what it made of the messages; this module
//! stores nothing.

use std::fmt;

use thiserror::Error;

use crate::api::{self, StreamState};
use crate::connection::Connection;
use crate::feed::FeedError;
use crate::message::Message;

const VERSION: u8 = 1;
/// The epoch of a stream that is read for the first time.
const FIRST_EPOCH: u32 = 1;

/// What tells a message from any other that may once have its number: BLAKE3 over subject, time, headers and payload.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of no message: a mark before the first one has it.
    pub const NONE: Self = Self([0; 32]);

    /// Of this message, which the server stored at `published_ns`, in nanoseconds since 1970.
    pub(crate) fn of(message: &Message, published_ns: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut put = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        };
        put(message.subject.as_bytes());
        put(&published_ns.to_be_bytes());
        put(&message.payload);
        for (name, value) in message.headers.iter() {
            put(name.as_bytes());
            put(value.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The last message taken, and the stream it was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedMark {
    /// The stream's name.
    pub stream: String,
    /// When the stream was created, in nanoseconds since 1970.
    pub created_ns: u64,
    /// Counts from 1 up whenever an operator says that reading starts anew.
    pub epoch: u32,
    /// The number of the last message taken; 0 where none was.
    pub sequence: u64,
    /// That message's, or [`Fingerprint::NONE`].
    pub fingerprint: Fingerprint,
}

/// Where a new epoch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochStart {
    /// At the first message that the stream still has.
    FirstAvailable,
    /// At the message of this number, from 1.
    Sequence(u64),
}

/// Why bytes are no mark.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MarkError {
    /// Written by a newer program.
    #[error("read the feed's mark: it has version {found}, known is {VERSION}. Start the program that wrote it")]
    Version {
        /// What the bytes say.
        found: u8,
    },
    /// Too short, or the name is no text.
    #[error("read the feed's mark: its bytes are damaged")]
    Damaged,
}

impl FeedMark {
    /// A mark in the stream that is there now, for an operator who has looked at what was lost and goes on. Nothing is
    /// stored: the taker writes the mark in place of the old one.
    ///
    /// `previous` is the mark that can't be followed any more; the epoch becomes one more than its.
    ///
    /// # Errors
    /// When the stream is missing, the server doesn't answer, or the messages at the start are not in the stream.
    pub async fn new_epoch(
        connection: &Connection,
        stream: &str,
        previous: Option<&Self>,
        start: EpochStart,
    ) -> Result<Self, FeedError> {
        let state = api::stream_state(connection, stream).await.map_err(|error| FeedError::asking(stream, error))?;
        let mut mark = Self::before_first(stream, &state);
        mark.epoch = previous.map_or(FIRST_EPOCH, |it| it.epoch.saturating_add(1));
        if let EpochStart::Sequence(sequence) = start {
            mark.sequence = sequence.saturating_sub(1);
        }
        crate::feed::check_mark(&mark, &state)?;
        Ok(mark)
    }

    /// In front of everything that is in the stream.
    pub(crate) fn before_first(stream: &str, state: &StreamState) -> Self {
        Self {
            stream: stream.into(),
            created_ns: state.created_ns,
            epoch: FIRST_EPOCH,
            sequence: state.first.saturating_sub(1),
            fingerprint: Fingerprint::NONE,
        }
    }

    /// The bytes that [`FeedMark::read`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (epoch, created, sequence) =
            (self.epoch.to_be_bytes(), self.created_ns.to_be_bytes(), self.sequence.to_be_bytes());
        [&[VERSION][..], &epoch, &created, &sequence, &self.fingerprint.0, self.stream.as_bytes()].concat()
    }

    /// Reads a mark.
    ///
    /// # Errors
    /// When the bytes are none, or of a newer version.
    pub fn read(bytes: &[u8]) -> Result<Self, MarkError> {
        let (&version, rest) = bytes.split_first().ok_or(MarkError::Damaged)?;
        if version != VERSION {
            return Err(MarkError::Version { found: version });
        }
        let (epoch, rest) = rest.split_first_chunk().ok_or(MarkError::Damaged)?;
        let (created, rest) = rest.split_first_chunk().ok_or(MarkError::Damaged)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or(MarkError::Damaged)?;
        let (fingerprint, name) = rest.split_first_chunk().ok_or(MarkError::Damaged)?;
        let stream = std::str::from_utf8(name).ok().filter(|it| !it.is_empty()).ok_or(MarkError::Damaged)?;
        Ok(Self {
            stream: stream.into(),
            created_ns: u64::from_be_bytes(*created),
            epoch: u32::from_be_bytes(*epoch),
            sequence: u64::from_be_bytes(*sequence),
            fingerprint: Fingerprint(*fingerprint),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;
    use bytes::Bytes;

    fn mark() -> FeedMark {
        FeedMark {
            stream: "LEADFOLD_IN".into(),
            created_ns: 0x0102_0304_0506_0708,
            epoch: 3,
            sequence: 77,
            fingerprint: Fingerprint([9; 32]),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let bytes = mark().to_bytes();
        let head = [1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 77];
        assert_eq!(bytes, [&head[..], &[9; 32], b"LEADFOLD_IN"].concat());
        assert_eq!(FeedMark::read(&bytes), Ok(mark()));
    }

    #[test]
    fn bytes_that_are_no_mark_are_refused() {
        let bytes = mark().to_bytes();
        for len in 0..=53 {
            assert_eq!(FeedMark::read(&bytes[..len]), Err(MarkError::Damaged), "{len} bytes");
        }
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(FeedMark::read(&newer), Err(MarkError::Version { found: 2 }));
        assert_eq!(FeedMark::read(&[&bytes[..], &[0xff]].concat()), Err(MarkError::Damaged));
    }

    #[test]
    fn any_part_of_a_message_changes_its_fingerprint() {
        let message = |subject: &str, header: (&str, &str), payload: &'static [u8]| Message {
            sequence: 1,
            subject: subject.into(),
            headers: [header].into_iter().collect(),
            payload: Bytes::from_static(payload),
            published_at: 0,
        };
        let base = message("a", ("n", "v"), b"xy");
        let all = [
            (base.clone(), 1),
            (base.clone(), 2),
            (message("b", ("n", "v"), b"xy"), 1),
            (message("a", ("m", "v"), b"xy"), 1),
            (message("a", ("n", "w"), b"xy"), 1),
            (message("a", ("n", "v"), b"xyz"), 1),
            (Message { headers: Headers::new(), ..base }, 1),
        ];
        let prints: std::collections::HashSet<_> =
            all.iter().map(|(message, at)| *Fingerprint::of(message, *at).as_bytes()).collect();
        assert_eq!(prints.len(), all.len());
    }
}
