//! Requests that count once: what stands recorded under a key, also while its record waits for the disk.
//!
//! Knows only what was recorded. A refusal is not, and neither is a policy that was in force already: their keys stay free.

use event_log::LogPosition;
use lead_domain::Event;
use proto_events::stored::{InputFacts, RequestKey};

use crate::batch::DecidedRecord;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::operator::Answer;

impl Engine {
    /// What the first request under this key led to; `None` for one that is new, and without a key.
    ///
    /// # Errors
    /// [`EngineError::KeyReused`] when the first one asked for something else; anything else when the storage fails.
    pub fn carried_out_before(&mut self, key: Option<RequestKey>) -> Result<Option<Answer>, EngineError> {
        let Some(key) = key else { return Ok(None) };
        let Some(known) = self.library.find_messages(&[key.message])?.into_iter().next().flatten() else {
            return Ok(None);
        };
        if known.fingerprint != key.fingerprint {
            return Err(EngineError::KeyReused { position: known.position });
        }
        let answer = self.led_to(known.position)?;
        Ok(Some(Answer { repeated: true, ..answer }))
    }

    /// Remembers the key of a request, if it has one.
    pub(crate) fn remember_request(&mut self, key: Option<RequestKey>, position: LogPosition) {
        if let Some(key) = key {
            self.remember(key.message, position, key.fingerprint);
        }
    }

    /// What the request that is recorded there led to.
    pub(crate) fn led_to(&mut self, position: LogPosition) -> Result<Answer, EngineError> {
        let request = self.decided_at(position)?;
        let at = request.occurred_at;
        let taken = taken(&request.facts.input);
        let record = taken.map_or(Ok(request), |taken| self.decided_at(taken))?;
        let events = record.facts.events;
        self.library.load_visitors(events.iter().flat_map(Event::leads).map(|lead| lead.visitor).collect())?;
        let leads = self.leads_of(&events);
        let position = taken.unwrap_or(position);
        Ok(Answer { position, visitor: record.visitor, at, events, leads, repeated: false })
    }

    /// A record that was decided. Waits for what the writer has, but sends nothing after it: a batch that is not committed
    /// yet stays whole.
    pub(crate) fn decided_at(&self, position: LogPosition) -> Result<DecidedRecord, EngineError> {
        let waiting = self.decided.0.checked_sub(position.0).and_then(|places| self.batch.nth_last(places));
        if let Some(record) = waiting {
            return record.map_err(|source| EngineError::Record { position, source });
        }
        if position > self.head().position {
            self.writer.flush()?;
        }
        Ok(self.read_entry(position)?.into())
    }
}

/// Where a quarantined input is now, when this took it.
const fn taken(input: &InputFacts) -> Option<LogPosition> {
    if let InputFacts::Released(released) = input
        && let Some(position) = released.taken
    {
        return Some(LogPosition(position));
    }
    None
}
