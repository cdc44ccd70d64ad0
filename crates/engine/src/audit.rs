//! Questions to the log that an auditor asks: whether it decides the same again, and what another policy would have decided.
//!
//! Everything here reads the log from its beginning and keeps all books in memory, about 1 KiB a visitor. It needs neither
//! tables nor keys, writes nothing, and knows no command line.

mod agenda;
mod explain;
mod records;
mod replay;
mod what_if;
mod world;

#[cfg(test)]
mod tests;

pub use explain::{Considered, Explanation, Rule, RuleOf, Verdict, explain};
pub use replay::{Decision, Difference, Replay, ReplayOptions, replay};
pub use what_if::{Change, Figures, WhatIf, WhatIfOptions, what_if};
