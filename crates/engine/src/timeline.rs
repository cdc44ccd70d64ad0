//! A visitor's records, newest first: walked back from record to record, without an index by stream.

use std::collections::BTreeSet;

use event_log::{EventLog, Header, LogError, LogPosition, Record};
use key_vault::KeySlot;
use lead_domain::{Book, Event, LeadId, Time, VisitorId};
use proto_events::stored::{self, Facts, Personal};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::options::Parts;

/// Which records to walk.
#[derive(Clone, Copy, Debug)]
pub struct TimelineQuery {
    /// Whose stream, after merges.
    pub visitor: VisitorId,
    /// Only records with an event about this lead.
    pub lead: Option<LeadId>,
    /// The most records to return.
    pub limit: usize,
    /// Only records in front of this one; all where absent.
    pub before: Option<LogPosition>,
}

/// One record of a timeline.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// Its header.
    pub header: Header,
    /// Input and events.
    pub facts: Facts,
    /// The personal part; `None` where there is none or its key was destroyed.
    pub personal: Option<Personal>,
}

impl Engine {
    /// A visitor's book, after merges. Ids of other tenants are unknown ones.
    ///
    /// # Errors
    /// [`EngineError::UnknownVisitor`].
    pub fn book(&mut self, tenant: lead_domain::TenantId, visitor: VisitorId) -> Result<&Book, EngineError> {
        if visitor <= self.library.shelf.last_visitor() {
            self.library.load_visitors(vec![visitor])?;
        }
        let book = self.library.shelf.book(visitor).filter(|book| book.tenant == tenant);
        book.ok_or(EngineError::UnknownVisitor { visitor })
    }

    /// The newest record of every stream that was ever the visitor's, itself and whoever merged into it: where
    /// [`Parts::timeline`] begins. The log may not hold them yet.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn stream_heads(&mut self, visitor: VisitorId) -> Result<Vec<LogPosition>, EngineError> {
        self.library.load_visitors(vec![visitor])?;
        Ok(self.library.heads(visitor))
    }

    /// The visitor's records, newest first, with all streams that were ever theirs merged by position.
    ///
    /// # Errors
    /// When the log or the keys fail.
    pub fn timeline(&mut self, query: &TimelineQuery) -> Result<Vec<TimelineEntry>, EngineError> {
        self.flush()?;
        let heads = self.stream_heads(query.visitor)?;
        self.parts.timeline(heads, query)
    }

    /// Reads one record, with its personal part where that can be opened.
    ///
    /// # Errors
    /// When the record is missing or damaged.
    pub fn read_entry(&self, position: LogPosition) -> Result<TimelineEntry, EngineError> {
        self.parts.entry(position)
    }
}

/// Reading what is durable, from any thread: nothing here waits for decisions, and none waits for it.
impl Parts {
    /// The records of streams that end at `heads`, newest first, merged by position.
    ///
    /// # Errors
    /// When the log or the keys fail, also when it doesn't hold one of `heads` yet.
    pub fn timeline(&self, heads: Vec<LogPosition>, query: &TimelineQuery) -> Result<Vec<TimelineEntry>, EngineError> {
        let mut heads: BTreeSet<LogPosition> = heads.into_iter().collect();
        heads.remove(&LogPosition::START);
        let mut entries = Vec::new();
        while let Some(position) = heads.pop_last() {
            let entry = self.entry(position)?;
            if entry.header.previous > LogPosition::START {
                heads.insert(entry.header.previous);
            }
            let wanted = query.before.is_none_or(|before| position < before);
            if wanted && query.lead.is_none_or(|lead| concerns(&entry.facts.events, lead)) {
                entries.push(entry);
                if entries.len() >= query.limit {
                    break;
                }
            }
        }
        Ok(entries)
    }

    /// One record, with its personal part where that can be opened.
    ///
    /// # Errors
    /// When the record is missing or damaged.
    pub fn entry(&self, position: LogPosition) -> Result<TimelineEntry, EngineError> {
        let bytes = self.log.get(position)?.ok_or(LogError::Missing { position })?;
        let (record, facts) = read(position, &bytes)?;
        Ok(TimelineEntry { header: record.header, facts, personal: self.open_personal(&record)? })
    }

    /// Opens a record's personal part; `None` where there is none or its key was destroyed.
    ///
    /// # Errors
    /// When the keys fail, or the part was altered.
    pub fn open_personal(&self, record: &Record<'_>) -> Result<Option<Personal>, EngineError> {
        let position = record.header.position;
        if record.personal.is_empty() {
            return Ok(None);
        }
        let KeySlot::Live(key) = self.vault.get(record.header.key)? else { return Ok(None) };
        let opened = key.open(&record.chain.0, record.personal).map_err(|_| EngineError::Sealed { position })?;
        let personal = stored::decode_personal(record.header.codec, &opened);
        personal.map(Some).map_err(|source| EngineError::Record { position, source })
    }
}

/// What one record says without its personal part, which stays closed; `None` beyond the log's end.
///
/// # Errors
/// When the record can't be read or is damaged.
pub fn facts_at(log: &dyn EventLog, position: LogPosition) -> Result<Option<(Header, Facts)>, EngineError> {
    let Some(bytes) = log.get(position)? else { return Ok(None) };
    let (record, facts) = read(position, &bytes)?;
    Ok(Some((record.header, facts)))
}

/// For how long the first record behind `reached` has been recorded: how old a model is that stands there. In whole
/// seconds; 0 where nothing is behind it.
///
/// # Errors
/// When the log can't be read.
pub fn lag_seconds(log: &dyn EventLog, reached: LogPosition, now: Time) -> Result<u64, EngineError> {
    let position = reached.next();
    let Some(bytes) = log.get(position)? else { return Ok(0) };
    let record = Record::read(&bytes).map_err(|fault| LogError::Damaged { position, fault })?;
    Ok(u64::try_from(now.as_millis().saturating_sub(record.header.recorded_at) / 1_000).unwrap_or_default())
}

fn read(position: LogPosition, bytes: &[u8]) -> Result<(Record<'_>, Facts), EngineError> {
    let record = Record::read(bytes).map_err(|fault| LogError::Damaged { position, fault })?;
    let facts = stored::decode_facts(record.header.codec, record.facts)
        .map_err(|source| EngineError::Record { position, source })?;
    Ok((record, facts))
}

fn concerns(events: &[Event], lead: LeadId) -> bool {
    events.iter().any(|event| event.leads().contains(&lead))
}

#[cfg(test)]
mod tests {
    use lead_domain::Period;

    use super::*;
    use crate::tests::{Disk, hours, small_history};

    #[test]
    fn a_model_is_as_old_as_the_first_record_that_it_lacks() {
        let engine = small_history(&Disk::new());
        let (log, head) = (&*engine.parts().log, engine.head().position);
        let recorded = hours(100_000);
        let later = recorded.after(Period::from_millis(90_500));
        let lag = |reached, now| lag_seconds(log, reached, now).expect("memory does not fail");
        assert_eq!(lag(LogPosition::START, later), 90);
        assert_eq!(lag(LogPosition(head.0 - 1), later), 90, "only the last one is missing");
        assert_eq!(lag(head, later), 0, "nothing is missing");
        assert_eq!(lag(LogPosition::START, recorded.before(Period::from_millis(1))), 0, "a clock that was set back");
    }
}
