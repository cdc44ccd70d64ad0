//! Reads messages one by one through the API, where no consumer gets past them.
//!
//! Servers store whatever was published. Headers or subjects that are no text make the client end the connection, so a
//! feed would stand still before them for ever, at the will of any publisher. Through the API they come packed in JSON.

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;

use super::reader::Batch;
use crate::api::{self, ApiError, StreamState};
use crate::connection::Connection;
use crate::mark::{FeedMark, Fingerprint};
use crate::message::{Headers, Message};

/// How many messages are read at most before a consumer is tried again.
const RESCUED_MAX: usize = 200;

/// What reading one by one led to.
pub(super) struct Rescued {
    /// What comes behind the mark; may be empty.
    pub(super) batch: Batch,
    /// The first number missing, and the one found in its place.
    pub(super) gap: Option<(u64, u64)>,
    /// Whether the message at the mark is the one that was read, or not there any more.
    pub(super) same: bool,
}

/// Reads on behind the mark.
pub(super) async fn read_on(
    connection: &Connection,
    mark: &FeedMark,
    state: &StreamState,
) -> Result<Rescued, ApiError> {
    let mut rescued = Rescued { batch: Batch::default(), gap: None, same: true };
    if mark.fingerprint != Fingerprint::NONE
        && let Some((message, stored_ns)) = next(connection, &mark.stream, mark.sequence).await?
        && message.sequence == mark.sequence
    {
        rescued.same = Fingerprint::of(&message, stored_ns) == mark.fingerprint;
    }
    let mut expected = mark.sequence + 1;
    while rescued.same && rescued.batch.messages.len() < RESCUED_MAX {
        let Some((message, _)) = next(connection, &mark.stream, expected).await? else { break };
        if message.sequence > expected {
            rescued.gap = rescued.gap.or(Some((expected, message.sequence)));
        }
        expected = message.sequence + 1;
        rescued.batch.pending = state.last.saturating_sub(message.sequence);
        rescued.batch.bytes += message.payload.len();
        rescued.batch.messages.push(message);
    }
    Ok(rescued)
}

/// The first message of that number or a later one, and when it was stored in nanoseconds since 1970.
async fn next(connection: &Connection, stream: &str, sequence: u64) -> Result<Option<(Message, u64)>, ApiError> {
    let raw = api::raw_message(connection, stream, sequence).await?;
    let unreadable = || ApiError::Unavailable { reason: format!("message {sequence} or a later one can't be read") };
    raw.map(|raw| unpack(raw).ok_or_else(unreadable)).transpose()
}

fn unpack(raw: RawMessage) -> Option<(Message, u64)> {
    let (sequence, subject) = (raw.sequence, raw.subject.clone());
    let stored_ns = u64::try_from(raw.time.unix_timestamp_nanos()).ok()?;
    let published_at = i64::try_from(stored_ns / 1_000_000).ok()?;
    // The client unpacks a payload as it is, so the headers are given to it as one.
    let packed = RawMessage { payload: raw.headers.clone().unwrap_or_default(), headers: None, ..raw.clone() };
    let headers = StreamMessage::try_from(packed).ok()?.payload;
    let payload = StreamMessage::try_from(RawMessage { headers: None, ..raw }).ok()?.payload;
    Some((Message { sequence, subject, headers: read_headers(&headers), payload, published_at }, stored_ns))
}

/// What can be read as headers. Lines that can't be are left out, and what is no text is replaced.
fn read_headers(bytes: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(bytes);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in text.lines().skip(1) {
        if let (true, Some((_, value))) = (line.starts_with(char::is_whitespace), pairs.last_mut()) {
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            pairs.push((name.into(), value.into()));
        }
    }
    pairs.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_far_as_they_are_some() {
        let bytes = b"NATS/1.0 409 Consumer Deleted\r\nce-id: 1\r\nno colon\r\n\xff: x\r\nlong:  a\r\n b \r\n\r\n";
        let pairs = [("ce-id", "1"), ("long", "a b"), ("\u{fffd}", "x")];
        assert_eq!(read_headers(bytes), pairs.into_iter().collect());
        assert_eq!(read_headers(b""), Headers::new());
    }
}
