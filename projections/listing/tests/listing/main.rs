//! The listing against logs that the decider wrote: what rows hold, what queries find, what crashes leave behind.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm, reason = "tests")]

mod agreement;
mod combining;
mod files;
mod following;
mod histories;
mod paging;
mod rows;
mod searching;
mod world;
