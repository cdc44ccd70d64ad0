//! Erasing a person: the record first, then the keys. What was begun is finished when the engine is opened.
//!
//! Knows only keys. Whoever keeps what was sealed with them, opened, lets go of it when the record reaches them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use event_log::{Header, LogPosition, Record};
use key_vault::KeySlot;
use lead_domain::{Command, Event, TenantId, VisitorId};
use proto_events::stored::{self, InputFacts, Personal, kind};

use crate::batch::visitor_key_number;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::operator::Request;
use crate::options::Parts;
use crate::timeline::{TimelineEntry, TimelineQuery, facts_at};

/// Shorter identifiers are looked for in no input that was not taken: they would be found in anybody's.
const SOUGHT_BYTES_MIN: usize = 4;

impl Engine {
    /// Where erasures stand in the log, in order, with whom they erased.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn erasures(&self) -> Result<Vec<(LogPosition, VisitorId)>, EngineError> {
        self.library.erasures()
    }

    /// Destroys what an erasure that was recorded has left, because the process died on its way.
    pub(crate) fn finish_erasures(&self) -> Result<(), EngineError> {
        for (position, _) in self.erasures()? {
            self.destroy_keys(position)?;
        }
        Ok(())
    }

    /// Makes the record of an erasure durable, and destroys the keys that it names. Nothing for other commands.
    pub(crate) fn destroy_keys_of(&mut self, command: &Command, position: LogPosition) -> Result<(), EngineError> {
        if !matches!(command, Command::EraseVisitor { .. }) {
            return Ok(());
        }
        self.flush()?;
        self.destroy_keys(position)?;
        self.counts.erased += 1;
        Ok(())
    }

    pub(crate) fn destroy_keys(&self, position: LogPosition) -> Result<(), EngineError> {
        let Some((_, facts)) = facts_at(&*self.parts.log, position)? else { return Ok(()) };
        let mut keys = Vec::new();
        if let InputFacts::Erasure(erasure) = &facts.input {
            keys.clone_from(&erasure.untaken_keys);
        }
        for event in &facts.events {
            if let Event::VisitorErased { members, .. } = event {
                keys.extend(members.iter().map(|member| visitor_key_number(*member)));
            }
        }
        for key in &keys {
            if !matches!(self.parts.vault.get(*key)?, KeySlot::Destroyed) {
                self.parts.vault.destroy(*key)?;
            }
        }
        self.writer.forget(keys)
    }

    /// The keys of inputs that were not taken and hold an identifier of the visitor whom the request erases.
    pub(crate) fn untaken_keys(&mut self, request: &Request) -> Result<Vec<u64>, EngineError> {
        let Command::EraseVisitor { visitor, .. } = &request.command else { return Ok(Vec::new()) };
        let is_there =
            self.library.shelf.book(*visitor).is_some_and(|book| book.tenant == request.tenant && !book.erased);
        if !is_there || self.untaken == 0 {
            return Ok(Vec::new());
        }
        let all = TimelineQuery { visitor: *visitor, lead: None, limit: usize::MAX, before: None };
        let entries = self.timeline(&all)?;
        let untaken = self.parts.untaken_of(request.tenant, &entries)?;
        Ok(untaken.iter().map(|entry| entry.header.key).collect())
    }
}

impl Parts {
    /// Inputs that were not taken, conflicting duplicates too, with an identifier of the visitor whose timeline this is.
    /// Nobody knows whose such inputs are, so all of them are opened and looked at; the whole log is read for that.
    ///
    /// # Errors
    /// When the log or the keys fail.
    pub fn untaken_of(&self, tenant: TenantId, timeline: &[TimelineEntry]) -> Result<Vec<TimelineEntry>, EngineError> {
        let (traces, mut found, mut failed) = (Traces::of(timeline), Vec::new(), None);
        self.log.read(LogPosition(1), &mut |record| match self.untaken(tenant, &record) {
            Ok(entry) => {
                found.extend(entry.filter(|entry| traces.are_of(entry)));
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(found), Err)
    }

    /// The keys of inputs that were not taken and hold an identifier of these people, of each of them. The log is read once.
    pub(crate) fn untaken_keys_of(&self, tenant: TenantId, people: &[&Traces]) -> Result<Vec<Vec<u64>>, EngineError> {
        let (mut found, mut failed) = (vec![Vec::new(); people.len()], None);
        self.log.read(LogPosition(1), &mut |record| match self.untaken(tenant, &record) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(entry)) => {
                let theirs = found.iter_mut().zip(people).filter(|(_, traces)| traces.are_of(&entry));
                theirs.for_each(|(keys, _)| keys.push(entry.header.key));
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(found), Err)
    }

    /// The headers of inputs that were not taken and are sealed with these keys; the whole log is read for them.
    ///
    /// # Errors
    /// When the log fails.
    pub fn untaken_under(&self, tenant: TenantId, keys: &[u64]) -> Result<Vec<Header>, EngineError> {
        let mut found = Vec::new();
        if keys.is_empty() {
            return Ok(found);
        }
        self.log.read(LogPosition(1), &mut |record| {
            let header = record.header;
            let is_theirs = keys.contains(&header.key) && [tenant.0, 0].contains(&header.tenant);
            found.extend((header.visitor == 0 && is_theirs).then_some(header));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// An input that was not taken, opened; `None` for any other record.
    fn untaken(&self, tenant: TenantId, record: &Record<'_>) -> Result<Option<TimelineEntry>, EngineError> {
        let header = &record.header;
        let is_untaken = matches!(header.kind.0, kind::QUARANTINED | kind::CONFLICT);
        // What arrived for no tenant is nobody's.
        if !is_untaken || (header.tenant != tenant.0 && header.tenant != 0) {
            return Ok(None);
        }
        let Some(personal) = self.open_personal(record)? else { return Ok(None) };
        let position = header.position;
        let facts = stored::decode_facts(header.codec, record.facts);
        let facts = facts.map_err(|source| EngineError::Record { position, source })?;
        Ok(Some(TimelineEntry { header: record.header, facts, personal: Some(personal) }))
    }
}

/// What a person is found by in inputs that belong to nobody.
pub(crate) struct Traces {
    positions: BTreeSet<u64>,
    /// Lower case.
    texts: BTreeSet<String>,
}

/// The identifiers in a personal part, as sent and normalised.
fn identifiers(personal: &Personal) -> impl Iterator<Item = &str> {
    let Personal { customer_id, email, email_raw, phone, phone_raw, visitor_id, .. } = personal;
    let all = [customer_id, email, email_raw, phone, phone_raw, visitor_id];
    all.into_iter().flatten().map(|text| text.as_str().trim()).filter(|text| !text.is_empty())
}

impl Traces {
    pub(crate) fn of(entries: &[TimelineEntry]) -> Self {
        let personal = entries.iter().filter_map(|entry| entry.personal.as_ref());
        Self {
            positions: entries.iter().map(|entry| entry.header.position.0).collect(),
            texts: personal.flat_map(identifiers).map(str::to_lowercase).collect(),
        }
    }

    /// Whether an input that was not taken is one of theirs, or holds an identifier of them.
    fn are_of(&self, entry: &TimelineEntry) -> bool {
        let conflicts = matches!(&entry.facts.input, InputFacts::Conflict(it) if self.positions.contains(&it.original));
        conflicts || entry.personal.as_ref().is_some_and(|personal| self.are_in(personal))
    }

    fn are_in(&self, personal: &Personal) -> bool {
        let named = identifiers(personal).any(|text| self.texts.contains(&text.to_lowercase()));
        let kept = personal.bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).to_lowercase());
        let mut sought = self.texts.iter().filter(|text| text.len() >= SOUGHT_BYTES_MIN);
        named || kept.is_some_and(|kept| sought.any(|text| stands_alone(&kept, text)))
    }
}

/// Whether a text stands in another one, and is no part of a longer word or number there.
fn stands_alone(kept: &str, text: &str) -> bool {
    kept.match_indices(text).any(|(from, found)| {
        let before = kept.get(..from).and_then(|before| before.chars().next_back());
        let behind = kept.get(from + found.len()..).and_then(|behind| behind.chars().next());
        ![before, behind].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_found_where_it_is_no_part_of_a_longer_one() {
        assert!(stands_alone(r#"{"customer_id":"k-77"}"#, "k-77"));
        assert!(stands_alone("k-77", "k-77"));
        assert!(!stands_alone(r#"{"customer_id":"k-771"}"#, "k-77"));
        assert!(!stands_alone("mask-77", "k-77"));
    }
}
