//! Inputs that could not be taken: listed, and taken after all once they can be.
//!
//! ```text
//! quarantine  position u64 → released by u64 (0 = still in quarantine)
//! ```

use event_log::{LogPosition, Table};
use feed::InteractionEntry;
use lead_domain::{Name, TenantId, Time};
use proto_events::stored::{InputFacts, Quarantined, Released, RequestKey};

use crate::batch::{DecidedRecord, Pending};
use crate::engine::{Engine, Outcome};
use crate::error::EngineError;
use crate::operator::{Answer, Origin};
use crate::options::Parts;

/// Whether an input is still in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// It waits for somebody to repair or discard it.
    Held,
    /// It was taken after all, or discarded; the record says so.
    Released(LogPosition),
}

/// What the table says of an input that could not be taken; the rest stands in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineMark {
    /// Its record.
    pub position: LogPosition,
    /// Whether it still waits.
    pub state: QuarantineState,
}

/// One input that could not be taken.
#[derive(Clone, Debug)]
pub struct Quarantine {
    /// Its record.
    pub position: LogPosition,
    /// Whose it is; number 0 for nobody's.
    pub tenant: TenantId,
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

/// What ends a quarantine.
#[derive(Debug)]
pub struct Release {
    /// The record of the quarantined input.
    pub position: LogPosition,
    /// Who asks: an account name.
    pub operator: Name,
    /// The repaired input; without one it is discarded.
    pub taken: Option<Box<InteractionEntry>>,
    /// The key that this was sent under: a second request under it is answered with what the first one led to.
    pub key: Option<RequestKey>,
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
        let marks = self.quarantine_marks(after, limit)?;
        marks.into_iter().map(|mark| self.parts.quarantined(mark)).collect()
    }

    /// The same without their records, which [`Parts::quarantined`] reads.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn quarantine_marks(&mut self, after: LogPosition, limit: usize) -> Result<Vec<QuarantineMark>, EngineError> {
        // Rows of this session become visible with a write-back; listing is rare enough to afford one.
        if self.unwritten > 0 {
            self.write_back()?;
        }
        let rows = self.parts.tables.scan(Table::Quarantine, &after.next().to_key(), &[], limit)?;
        rows.into_iter().map(|(key, by)| Ok(mark(LogPosition(number(key)?), number(by)?))).collect()
    }

    /// One input that could not be taken.
    ///
    /// # Errors
    /// [`EngineError::NotQuarantined`] when none stands there.
    pub fn quarantined(&self, position: LogPosition) -> Result<Quarantine, EngineError> {
        Quarantine::of(self.quarantine_mark(position)?, self.decided_at(position)?)
    }

    /// The same without its record, which [`Parts::quarantined`] reads.
    ///
    /// # Errors
    /// [`EngineError::NotQuarantined`] when none stands there.
    pub fn quarantine_mark(&self, position: LogPosition) -> Result<QuarantineMark, EngineError> {
        let row = self.library.row(Table::Quarantine, &position.to_key())?;
        Ok(mark(position, number(row.ok_or(EngineError::NotQuarantined { position })?)?))
    }

    /// Ends a quarantine: takes the repaired input, or discards it. Durable on return; both become true together.
    ///
    /// # Errors
    /// [`EngineError::NotQuarantined`] when no input is held there.
    pub fn release(&mut self, release: Release) -> Result<Answer, EngineError> {
        let answer = self.carry_out_release(release, Origin::default())?;
        self.flush()?;
        Ok(answer)
    }

    /// Ends a quarantine as a feed asked for it. Decided on return; goes to the log with [`Engine::commit`].
    ///
    /// The answer is that of the record which the input is in now; of the release itself for one that was discarded.
    ///
    /// # Errors
    /// As [`Engine::release`], and [`EngineError::KeyReused`].
    pub fn carry_out_release(&mut self, release: Release, origin: Origin) -> Result<Answer, EngineError> {
        let Release { position, operator, taken, key } = release;
        if let Some(answer) = self.carried_out_before(key)? {
            return Ok(answer);
        }
        let held = self.quarantined(position)?;
        if held.state != QuarantineState::Held {
            return Err(EngineError::NotQuarantined { position });
        }
        let taken = taken.map(|entry| self.take_one(entry)).transpose()?;
        // What carries a suppressed identifier is set aside.
        let taken = taken.and_then(Outcome::position).map(|at| at.0);
        let released = self.next_position();
        let now = self.options.clock.now();
        let facts = Released { quarantined: position.0, operator: operator.into(), taken, request: key };
        let input = InputFacts::Released(facts);
        let mut record = Pending::bare(&input, held.tenant, now, origin.received_at.unwrap_or(now));
        record.feed_sequence = origin.feed_sequence;
        self.push(released, record);
        self.note_released(position, released);
        self.remember_request(key, released);
        self.led_to(released)
    }
}

impl Parts {
    /// The input that a mark is about, as its record has it. The record must be durable.
    ///
    /// # Errors
    /// When the log or the keys fail.
    pub fn quarantined(&self, mark: QuarantineMark) -> Result<Quarantine, EngineError> {
        Quarantine::of(mark, self.entry(mark.position)?.into())
    }
}

impl Quarantine {
    fn of(mark: QuarantineMark, record: DecidedRecord) -> Result<Self, EngineError> {
        let QuarantineMark { position, state } = mark;
        let InputFacts::Quarantined(reason) = record.facts.input else {
            return Err(EngineError::NotQuarantined { position });
        };
        let personal = record.personal.unwrap_or_default();
        Ok(Self {
            position,
            tenant: record.tenant,
            received_at: record.received_at,
            reason,
            bytes: personal.bytes,
            kept: personal.note.map(|note| note.as_str().to_owned()),
            state,
        })
    }
}

const fn mark(position: LogPosition, by: u64) -> QuarantineMark {
    let state = if by == 0 { QuarantineState::Held } else { QuarantineState::Released(LogPosition(by)) };
    QuarantineMark { position, state }
}

fn number(bytes: Vec<u8>) -> Result<u64, EngineError> {
    let bytes = bytes.try_into().map_err(|_| EngineError::Row { table: Table::Quarantine.name() })?;
    Ok(u64::from_be_bytes(bytes))
}
