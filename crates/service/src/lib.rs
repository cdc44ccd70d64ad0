//! The engine at work in a running process: one queue in, one thread for each stage, answers once a record is durable.
//!
//! ```text
//! callers ──▶ queue (bounded in bytes) ──▶ decode ──▶ decide ──▶ the engine's writer ──▶ log
//!                                                       │ ticks                           │ head
//!                                                       └─────────── answers ◀────────────┤
//!                                                                    listing ◀────────────┘
//! ```
//!
//! Knows no HTTP and no NATS: both give it the bytes that they got, in an order, and get receipts. Whoever calls may go
//! away at any time; what was queued is decided all the same.

#![forbid(unsafe_code)]

mod options;

mod input;

mod handle;

mod service;

mod decode;

mod decide;

mod command;

mod meaning;

mod answers;

mod followed;

mod past;

mod pace;

mod person;

mod log_follower;

mod steering;

pub use command::CommandError;
pub use followed::{ListingError, take_fresh};
pub use handle::{Fed, ServiceError, ServiceHandle};
pub use input::{EventReceipt, Form, RawInput, Reason, Receipt, Watermark};
pub use log_follower::LogFollower;
pub use meaning::{Meaning, Suppression, identifiers, meaning, suppressed};
pub use options::ServiceOptions;
pub use pace::FeedStanding;
pub use past::{Base, Build, LISTINGS, Maker, Past, PastError, PastLimits, Pasts, PastsError, Progress, Streams};
pub use service::{Service, StartError};
pub use steering::{Followable, FollowedState, Models, Order, OrderError, ProjectionHandle};
