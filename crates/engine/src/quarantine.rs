//! Inputs that could not be taken: listed, and taken after all once they can be.
//!
//! ```text
//! quarantine  position u64 → released by u64 (0 = still in quarantine)
//! ```

use event_log::{LogPosition, Table};
use feed::Entry;
use lead_domain::{Name, Time};
use proto_events::stored::{InputFacts, Personal, Quarantined, Released};

use crate::batch::Pending;
use crate::engine::{Engine, Outcome};
use crate::error::EngineError;

/// Whether an input is still in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// It waits for somebody to repair or discard it.
    Held,
    /// It was taken after all, or discarded; the record says so.
    Released(LogPosition),
}

/// One input that could not be taken.
#[derive(Clone, Debug)]
pub struct Quarantine {
    /// Its record.
    pub position: LogPosition,
    /// When it arrived.
    pub received_at: Time,
    /// Why it could not be taken.
    pub reason: Quarantined,
    /// Its bytes; `None` when their key was destroyed.
    pub bytes: Option<Vec<u8>>,
    /// Which part of it was kept, for one that was far too long; for people.
    pub kept: Option<String>,
    /// Whether it still waits.
    pub state: QuarantineState,
}

impl Engine {
    pub(crate) fn note_quarantined(&mut self, position: LogPosition, _reason: &Quarantined) {
        self.library.put_row(Table::Quarantine, position.to_key().to_vec(), Some(0_u64.to_be_bytes().to_vec()));
    }

    pub(crate) fn note_released(&mut self, quarantined: LogPosition, by: LogPosition) {
        self.library.put_row(Table::Quarantine, quarantined.to_key().to_vec(), Some(by.to_key().to_vec()));
    }

    /// Inputs that could not be taken, oldest first, behind `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn quarantine(&mut self, after: LogPosition, limit: usize) -> Result<Vec<Quarantine>, EngineError> {
        // Rows of this session become visible with a write-back; listing is rare enough to afford one.
        if self.unwritten > 0 {
            self.write_back()?;
        }
        let rows = self.parts.tables.scan(Table::Quarantine, &after.next().to_key(), &[], limit)?;
        let position = |(key, _): (Vec<u8>, Vec<u8>)| key.try_into().ok().map(u64::from_be_bytes).map(LogPosition);
        let positions = rows.into_iter().map(position);
        positions
            .map(|position| self.quarantined(position.ok_or(EngineError::Row { table: Table::Quarantine.name() })?))
            .collect()
    }

    /// One input that could not be taken.
    ///
    /// # Errors
    /// [`EngineError::NotQuarantined`] when none stands there.
    pub fn quarantined(&self, position: LogPosition) -> Result<Quarantine, EngineError> {
        let row = self.library.row(Table::Quarantine, &position.to_key())?;
        let row = row.ok_or(EngineError::NotQuarantined { position })?;
        let by = row.try_into().map(u64::from_be_bytes);
        let by = by.map_err(|_| EngineError::Row { table: Table::Quarantine.name() })?;
        let entry = self.read_entry(position)?;
        let InputFacts::Quarantined(reason) = entry.facts.input else {
            return Err(EngineError::NotQuarantined { position });
        };
        let personal = entry.personal.unwrap_or_else(Personal::default);
        Ok(Quarantine {
            position,
            received_at: Time::from_millis(entry.header.received_at),
            reason,
            bytes: personal.bytes,
            kept: personal.note.map(|note| note.as_str().to_owned()),
            state: if by == 0 { QuarantineState::Held } else { QuarantineState::Released(LogPosition(by)) },
        })
    }

    /// Ends a quarantine: takes the repaired input, or discards it when `entry` is `None`. Durable on return; both become
    /// true together.
    ///
    /// # Errors
    /// [`EngineError::NotQuarantined`] when no input is held there.
    pub fn release(
        &mut self,
        position: LogPosition,
        operator: Name,
        entry: Option<Entry>,
    ) -> Result<Option<Outcome>, EngineError> {
        let held = self.quarantined(position)?;
        if held.state != QuarantineState::Held {
            return Err(EngineError::NotQuarantined { position });
        }
        let outcome = match entry {
            Some(entry @ Entry::Rejected(_)) => {
                return Ok(self.submit(vec![entry], None)?.into_iter().next());
            }
            Some(Entry::Interaction(entry)) => Some(self.take_one(entry)?),
            None => None,
        };
        let released = self.next_position();
        let now = self.options.clock.now();
        let tenant = lead_domain::TenantId(self.read_entry(position)?.header.tenant);
        let facts = Released { quarantined: position.0, operator: operator.into(), taken: None, request: None };
        let input = InputFacts::Released(facts);
        self.push(released, Pending::bare(&input, tenant, now, now));
        self.note_released(position, released);
        self.flush()?;
        Ok(outcome)
    }
}
