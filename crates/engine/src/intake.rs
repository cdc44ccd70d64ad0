//! Inputs of a feed: dedupe, decide, record.

use event_log::{LogPosition, Message};
use feed::{Entry, InteractionEntry, RejectedEntry};
use lead_domain::{Event, Identifier, Input, InteractionId, decide};
use proto_events::stored::{Conflict, InputFacts, encode_personal, kind};

use crate::batch::{Body, Pending, untaken_key_number, visitor_key_number};
use crate::engine::{Engine, Outcome};
use crate::error::EngineError;

impl Engine {
    /// Takes inputs in the order of their feed and says what became of each. They are decided on return; they are durable
    /// after [`Engine::flush`].
    ///
    /// `watermark` names the place in the feed behind these inputs; it becomes durable together with them.
    ///
    /// # Errors
    /// When the storage fails. The process must stop then: opening again finds out what is durable.
    pub fn submit(
        &mut self,
        entries: Vec<Entry>,
        watermark: Option<(String, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, EngineError> {
        let outcomes = self.accept(entries)?;
        self.commit(watermark)?;
        Ok(outcomes)
    }

    /// Gives everything decided since the last commit to the writer: it becomes durable as one, with the watermark.
    /// Durable after [`Engine::flush`], or once the log's head has reached [`Engine::decided`].
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn commit(&mut self, watermark: Option<(String, Vec<u8>)>) -> Result<(), EngineError> {
        self.batch.meta.extend(watermark);
        self.hand_over()?;
        self.maybe_write_back()
    }

    /// The last position that was decided; the log may not hold it yet.
    #[must_use]
    pub const fn decided(&self) -> LogPosition {
        self.decided
    }

    /// Takes inputs in the order of their feed. Decided on return; they go to the log with [`Engine::commit`].
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn accept(&mut self, entries: Vec<Entry>) -> Result<Vec<Outcome>, EngineError> {
        let known = self.prefetch(&entries)?;
        let mut outcomes = Vec::with_capacity(entries.len());
        for (entry, known) in entries.into_iter().zip(known) {
            self.counts.read += 1;
            outcomes.push(match entry {
                Entry::Interaction(entry) => self.take(entry, known)?,
                Entry::Rejected(entry) => self.quarantine_entry(*entry, known),
            });
        }
        Ok(outcomes)
    }

    /// Loads what the entries can touch, and what is known of their messages.
    fn prefetch(&mut self, entries: &[Entry]) -> Result<Vec<Option<Message>>, EngineError> {
        let mut keys = Vec::with_capacity(entries.len());
        let mut identifiers: Vec<Identifier> = Vec::with_capacity(entries.len() * 2);
        for entry in entries {
            match entry {
                Entry::Interaction(entry) => {
                    keys.push(entry.facts.message);
                    identifiers.extend(entry.facts.identifiers().strongest_first());
                    if let Some(order) = entry.facts.order() {
                        self.library.load_order(order)?;
                    }
                }
                Entry::Rejected(entry) => keys.push(entry.facts.message),
            }
        }
        self.library.load_identifiers(&identifiers)?;
        self.library.find_messages(&keys)
    }

    /// Takes one interaction into the batch, which is not handed over yet.
    pub(crate) fn take_one(&mut self, entry: Box<InteractionEntry>) -> Result<Outcome, EngineError> {
        let entries = [Entry::Interaction(entry)];
        let known = self.prefetch(&entries)?.into_iter().next().flatten();
        let [Entry::Interaction(entry)] = entries else { return Err(EngineError::WriterStopped) };
        self.take(entry, known)
    }

    fn take(&mut self, entry: Box<InteractionEntry>, known: Option<Message>) -> Result<Outcome, EngineError> {
        let known = known.or_else(|| self.library.recent_message(entry.facts.message));
        match known {
            Some(known) if known.fingerprint == entry.facts.fingerprint => {
                self.counts.duplicates += 1;
                Ok(Outcome::Duplicate(known.position))
            }
            _ if self.is_suppressed(&entry) => {
                self.counts.suppressed += 1;
                Ok(Outcome::Suppressed)
            }
            None => Ok(Outcome::Recorded(self.record_interaction(entry))),
            Some(known) => self.record_conflict(&entry, known),
        }
    }

    /// Decides about an interaction that is new. Its visitors and order must be loaded, and its tenant known.
    pub(crate) fn record_interaction(&mut self, entry: Box<InteractionEntry>) -> LogPosition {
        let position = self.next_position();
        let first = self.batch.events.len();
        let mut attributes = std::mem::take(&mut self.attributes);
        let interaction = entry.facts.as_decided(entry.occurred_at, &mut attributes);
        let input = Input::Interaction(InteractionId(position.0), interaction);
        let Some(tenant) = self.registry.get(entry.tenant) else {
            // Feeds decode for tenants that this engine gave them, so this is out of reach.
            debug_assert!(false, "an entry of an unknown tenant");
            return position;
        };
        let decided = decide(tenant.policy(), entry.tenant, &mut self.library.shelf, &input, &mut self.batch.events);
        debug_assert!(decided.is_ok(), "interactions are never refused");
        let visitor = decided.unwrap_or_default();
        self.attributes = attributes;
        let events = first..self.batch.events.len();
        let stated = self.batch.events.get(events.clone()).unwrap_or_default();
        self.counts.recorded += 1;
        self.counts.add_events(stated);
        if let Some(Event::VisitorCreated { visitor }) = stated.first() {
            self.batch.new_keys.push(visitor_key_number(*visitor));
        }
        let previous = self.library.note(entry.tenant, visitor, position, stated);
        self.remember(entry.facts.message, position, entry.facts.fingerprint);
        self.push(
            position,
            Pending {
                kind: kind::INTERACTION,
                tenant: entry.tenant,
                visitor,
                feed_sequence: entry.feed_sequence,
                occurred_at: entry.occurred_at,
                received_at: entry.received_at,
                previous,
                body: Body::Interaction(entry),
                events,
                key: visitor_key_number(visitor),
            },
        );
        position
    }

    /// Notes an interaction that conflicts with a recorded one, once for each content.
    fn record_conflict(&mut self, entry: &InteractionEntry, original: Message) -> Result<Outcome, EngineError> {
        self.counts.conflicting += 1;
        let key = entry.conflict_key();
        let noted = self.library.find_messages(&[key])?.into_iter().next().flatten();
        if noted.is_some() {
            return Ok(Outcome::Conflict(original.position));
        }
        let position = self.next_position();
        let fingerprint = entry.facts.fingerprint;
        let input = InputFacts::Conflict(Conflict { message: key, original: original.position.0, fingerprint });
        self.remember(key, position, fingerprint);
        let mut record = Pending::bare(&input, entry.tenant, entry.occurred_at, entry.received_at);
        record.feed_sequence = entry.feed_sequence;
        let mut personal = Vec::new();
        encode_personal(&entry.personal, &mut personal);
        let record = record.sealed_with(self.untaken_key(), personal);
        self.push(position, record);
        Ok(Outcome::Conflict(original.position))
    }

    fn quarantine_entry(&mut self, entry: RejectedEntry, known: Option<Message>) -> Outcome {
        let known = known.or_else(|| self.library.recent_message(entry.facts.message));
        if let Some(known) = known {
            self.counts.duplicates += 1;
            return Outcome::Duplicate(known.position);
        }
        self.counts.quarantined += 1;
        let position = self.next_position();
        self.remember(entry.facts.message, position, 0);
        self.note_quarantined(position, &entry.facts);
        let input = InputFacts::Quarantined(entry.facts);
        let mut record = Pending::bare(&input, entry.tenant, entry.received_at, entry.received_at);
        record.feed_sequence = entry.feed_sequence;
        let record = record.sealed_with(self.untaken_key(), entry.personal);
        self.push(position, record);
        Outcome::Quarantined(position)
    }

    /// A key of its own for an input that was not taken: nobody knows whose data it holds.
    fn untaken_key(&mut self) -> u64 {
        self.untaken += 1;
        let number = untaken_key_number(self.untaken);
        self.batch.new_keys.push(number);
        number
    }
}
