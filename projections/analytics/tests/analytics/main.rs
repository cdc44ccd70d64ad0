//! The analytics tables against logs that the decider wrote: what rows hold, what crashes leave behind, what SQL may do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm, reason = "tests")]

mod agreement;
mod asked;
mod erasure;
mod files;
mod following;
mod funnel;
#[path = "../../../listing/tests/listing/histories.rs"]
#[allow(dead_code, reason = "the listing's tests use more of it")]
mod histories;
mod queries;
mod reports;
mod scores;
#[path = "../../../listing/tests/listing/world.rs"]
#[allow(dead_code, reason = "the listing's tests use more of it")]
mod world;
