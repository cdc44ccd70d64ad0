//! A log in memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::lock;
use crate::log::{Batch, EventLog, Head, LogError, Visit};
use crate::position::LogPosition;
use crate::record::{Record, RecordError};

/// How many records a reader takes along at once, so that it holds the lock shortly and visits without it.
const PAGE_RECORDS: usize = 1_024;

/// A log in memory. What is appended counts as durable; clones are handles of the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    place: Arc<Place>,
}

#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Arc<[u8]>>,
    meta: BTreeMap<String, Vec<u8>>,
    head: Head,
    health: Health,
}

#[derive(Clone, Copy, Debug, Default)]
enum Health {
    #[default]
    Sound,
    /// The next append fails.
    Failing,
    Poisoned,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next append fail without effect, as a full disk would; later ones are refused as poisoned until the
    /// log is [reopened](Self::reopened).
    pub fn fail_next_append(&self) {
        lock(&self.place.state).health = Health::Failing;
    }

    /// The log as it is found when it is opened again: the same records, able to append.
    #[must_use]
    pub fn reopened(&self) -> Self {
        lock(&self.place.state).health = Health::Sound;
        self.clone()
    }

    /// The records behind `before` up to `until`, or the first of them.
    fn page(&self, before: LogPosition, until: LogPosition) -> Vec<Arc<[u8]>> {
        let skipped = usize::try_from(before.0).unwrap_or(usize::MAX);
        let wanted = usize::try_from(until.0.saturating_sub(before.0)).unwrap_or(usize::MAX);
        let state = lock(&self.place.state);
        state.records.iter().skip(skipped).take(wanted.min(PAGE_RECORDS)).cloned().collect()
    }
}

impl State {
    fn check(&mut self, batch: &Batch) -> Result<(), LogError> {
        match self.health {
            Health::Poisoned => return Err(LogError::Poisoned),
            Health::Failing => {
                self.health = Health::Poisoned;
                return Err(LogError::Storage { doing: "write to", source: "an append was made to fail".into() });
            }
            Health::Sound => {}
        }
        if batch.after != self.head.position {
            return Err(LogError::NotAtHead { after: batch.after, head: self.head.position });
        }
        Ok(())
    }
}

impl EventLog for MemoryLog {
    fn append(&self, batch: &Batch) -> Result<(), LogError> {
        let mut state = lock(&self.place.state);
        state.check(batch)?;
        state.records.extend(batch.records().map(Arc::from));
        state.meta.extend(batch.meta.iter().cloned());
        state.head = batch.head();
        drop(state);
        self.place.grown.notify_all();
        Ok(())
    }

    fn head(&self) -> Head {
        lock(&self.place.state).head
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        let until = self.head().position;
        let mut last = LogPosition(from.0.saturating_sub(1));
        while last < until {
            let page = self.page(last, until);
            if page.is_empty() {
                return Err(LogError::Missing { position: last.next() });
            }
            for bytes in page {
                let flow = visit(read_at(last.next(), &bytes)?);
                last = last.next();
                if flow == ControlFlow::Break(()) {
                    return Ok(last);
                }
            }
        }
        Ok(last)
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        let before = LogPosition(position.0.saturating_sub(1));
        Ok(self.page(before, position).first().map(|bytes| bytes.to_vec()))
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        Ok(lock(&self.place.state).meta.get(key).cloned())
    }

    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head {
        let state = lock(&self.place.state);
        let waited = self.place.grown.wait_timeout_while(state, limit, |state| state.head.position <= position);
        waited.unwrap_or_else(PoisonError::into_inner).0.head
    }
}

/// Splits the record found at `position`.
fn read_at(position: LogPosition, bytes: &[u8]) -> Result<Record<'_>, LogError> {
    let record = Record::read(bytes).map_err(|fault| LogError::Damaged { position, fault })?;
    let found = record.header.position;
    if found != position {
        return Err(LogError::Damaged { position, fault: RecordError::Position { found } });
    }
    Ok(record)
}
