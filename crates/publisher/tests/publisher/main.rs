//! Events go out in order, at least once, and go on where they stood; webhooks are called as specified.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod story;

mod delivery;
mod metrics;
mod outgoing;
mod times;

mod receiver;
mod webhook;
