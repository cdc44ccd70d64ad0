//! What callers bring, and what they get.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;
use engine::{Answer, Outcome};
use feed::segment::Call;
use lead_domain::Time;

use crate::command::CommandError;

/// The name of a feed and the place in it behind some inputs, in the feed's own format.
pub type Watermark = (String, Vec<u8>);

/// One input as it arrived: bytes, and what their transport knows about them.
#[derive(Clone, Debug)]
pub struct RawInput {
    /// Whose it is, by name: from the subject or the API key. `None` when the event itself says so.
    pub tenant: Option<CompactString>,
    /// Where it came from, for people: a subject, or `http`. No personal data.
    pub origin: Cow<'static, str>,
    /// Its number in the feed; 0 where there is none.
    pub feed_sequence: u64,
    /// When it reached us.
    pub received_at: Time,
    /// How to read the bytes.
    pub form: Form,
    /// What was sent.
    pub bytes: Bytes,
}

/// How an input is to be read.
#[derive(Clone, Debug)]
pub enum Form {
    /// A CloudEvent in structured JSON.
    Structured,
    /// The data of a CloudEvent whose attributes travelled apart, without their `ce-`.
    Binary {
        /// Name and value of each.
        attributes: Vec<(String, String)>,
        /// What the data is.
        content_type: Option<String>,
    },
    /// A message of Segment's SDKs: one call, or for `None` a batch of one.
    Segment(Option<Call>),
    /// A command document.
    Command,
}

/// What became of an input.
#[derive(Debug)]
pub enum Receipt {
    /// Of an event.
    Event(EventReceipt),
    /// Of a command.
    Command(Result<Box<Answer>, CommandError>),
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReceipt {
    /// Recorded, known, in conflict or in quarantine, and where.
    pub outcome: Outcome,
    /// Why it could not be taken, if so.
    pub reason: Option<Reason>,
}

/// Why an input could not be taken. Holds no value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable word, such as `missing_identifier`.
    pub code: CompactString,
    /// Where in the input, such as `data.email`.
    pub path: CompactString,
    /// What would be right, for people.
    pub message: CompactString,
}
