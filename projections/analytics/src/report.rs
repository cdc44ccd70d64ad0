//! Figures over the tables: a document says what to measure, and the answer is rows at one position.
//!
//! Reads a document with all its faults at once, makes SQL of it, and works out what SQL doesn't: shares, formulas, variation.
//! Writes nothing and knows no tenant: the session does.

mod answer;
mod attribution;
mod bucket;
mod calendar;
mod cell;
mod document;
mod fault;
mod field;
mod figures;
mod filter;
mod formula;
mod function;
mod funnel;
mod ids;
mod measure;
mod pair;
mod plan;
mod run;
mod words;

pub use answer::{Column, Note, Report, ShownPeriod};
pub use document::{Question, Setting};
pub use fault::Fault;
pub use funnel::{Funnel, FunnelGroup, FunnelReport, FunnelStep};
