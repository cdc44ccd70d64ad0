//! JetStream as Leadfold uses it: a feed read in order with a watermark, and messages published with an answer.
//!
//! The only crate that knows NATS. It knows no engine, no log and no lead: it hands over messages as they are, and
//! what a payload says is not its affair. Nothing is acknowledged to the server; what was taken is known by the
//! [`FeedMark`] that the taker stores together with what it made of the messages.
//!
//! What a NATS user must be allowed, each with an inbox prefix of its own (`subscribe: _INBOX_<name>.>`):
//!
//! - to read: `publish` to `$JS.API.STREAM.INFO.<stream>`, `$JS.API.STREAM.MSG.GET.<stream>`,
//!   `$JS.API.CONSUMER.CREATE.<stream>.>`, and `$JS.API.CONSUMER.INFO.<stream>.*`, `….MSG.NEXT.<stream>.*`,
//!   `….DELETE.<stream>.*`;
//! - to take messages of erased people out: `publish` to `$JS.API.STREAM.MSG.DELETE.<stream>` and
//!   `$JS.API.STREAM.MSG.GET.<stream>`;
//! - to publish: the subjects alone, `leadfold.in.<tenant>.>` for a tenant's channels. Nothing of the API;
//! - to make the streams: `$JS.API.STREAM.INFO.<stream>` and `$JS.API.STREAM.CREATE.<stream>`.

#![forbid(unsafe_code)]

mod api;
mod connection;
mod erase;
mod feed;
mod mark;
mod message;
mod publisher;
mod signals;
mod stream;
mod subject;

pub use connection::{ConnectError, Connection, ConnectionOptions, Credentials, TlsFiles};
pub use erase::{EraseError, Erased, Unwanted, erase};
pub use feed::{FeedBatch, FeedError, FeedOptions, FeedSink, FeedStanding, SinkError, run_feed};
pub use mark::{EpochStart, FeedMark, Fingerprint, MarkError};
pub use message::{Headers, Message};
pub use publisher::{Outgoing, PublishError, Published, Publisher};
pub use stream::{Difference, ProvisionError, StreamSettings, provision};
pub use subject::{LEADFOLD_IN, LEADFOLD_OUT, Subject, SubjectError};
