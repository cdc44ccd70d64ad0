//! The loop between feed and log: dedupe, decide, write, and everything that opening rebuilds.
//!
//! The engine knows the decider, the record format, and what a log and tables promise. It knows no database, no wire
//! format and no command line. One engine owns one log; decisions are made one after the other in the order of the feed,
//! while an own thread seals and writes what was decided.

#![forbid(unsafe_code)]

mod options;

mod engine;
mod erasure;
mod error;
mod heads;
mod intake;
mod tick;

mod deadlines;
mod library;
mod registry;
mod roots;

mod batch;
mod writer;

mod recovery;

mod audit;
mod drafts;
mod once;
mod operator;
mod past;
mod policies;
mod quarantine;
mod rescoring;
mod retention;
mod retracing;
mod score;
mod suppression;
mod timeline;
mod verify;

#[cfg(test)]
mod tests;

pub use crate::batch::{FreshBatch, FreshParts, FreshRecord};
pub use crate::engine::{Counts, Engine, Outcome};
pub use audit::{
    Change, Considered, Decision, Difference, Explanation, Figures, Replay, ReplayOptions, Rule, RuleOf, Verdict,
    WhatIf, WhatIfOptions, explain, replay, what_if,
};
pub use drafts::Preview;
pub use error::EngineError;
pub use heads::RecordedHead;
pub use operator::{Answer, Origin, Request};
pub use options::{Clock, EngineOptions, Parts};
pub use past::{Sieve, When};
pub use policies::PolicyRequest;
pub use quarantine::{Quarantine, QuarantineMark, QuarantineState, Release};
pub use registry::{Adopted, PolicyVersion, Tenant};
pub use rescoring::RescoringState;
pub use score::{RuleAccount, RuleVerdict, RulesInForce, ScoreAccount, ScoreQuery, TakenAway};
pub use suppression::{SUPPRESSED_MAX, SuppressionMark, SuppressionRequest, SuppressionSource};
pub use timeline::{TimelineEntry, TimelineQuery, facts_at, lag_seconds};
pub use verify::{Finding, Verification};
pub use writer::FreshRecords;
