//! What an engine is built from, and its settings.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use event_log::{EventLog, Tables};
use key_vault::KeyVault;
use lead_domain::Time;

/// The parts that an engine puts together. Nobody else may write to them while the engine lives.
#[derive(Clone)]
pub struct Parts {
    /// The log: the truth.
    pub log: Arc<dyn EventLog>,
    /// The tables that follow it.
    pub tables: Arc<dyn Tables>,
    /// The keys that personal parts are sealed with.
    pub vault: Arc<KeyVault>,
}

/// Settings, each with a default for a two-core machine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where "now" comes from.
    pub clock: Clock,
    /// After how many records the tables are brought up to date. Bounds the replay on opening, and the memory for message
    /// ids (48 bytes each).
    pub write_back_records: u64,
    /// How many books may stay in memory after a write-back, which comes at the latest when there are a quarter more.
    /// About 1 KiB each.
    pub books_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { clock: Clock::System, write_back_records: 1 << 20, books_max: 200_000 }
    }
}

/// Where "now" comes from. Decisions never ask: times are part of their inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always this time; for tests that compare logs byte for byte.
    Fixed(Time),
}

impl Clock {
    /// The time now.
    #[must_use]
    pub fn now(self) -> Time {
        match self {
            Self::Fixed(time) => time,
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }
}
