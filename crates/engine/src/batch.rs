//! What was decided and is still to be written.

use std::ops::Range;

use event_log::{Chain, Header, LogPosition};
use feed::InteractionEntry;
use lead_domain::{Event, TenantId, Time, VisitorId};
use proto_events::stored::{
    self, Facts, InputFacts, InputRef, InteractionFacts, Personal, encode_input, encode_interaction, encode_personal,
};
use proto_events::{CODEC, DecodeError};

use crate::timeline::TimelineEntry;

/// The number of the key that a visitor's personal data is sealed with. Even numbers are visitors'.
pub(crate) const fn visitor_key_number(visitor: VisitorId) -> u64 {
    visitor.0 * 2
}

/// The number of the key for the `count`-th input that was not taken, from 1. Odd numbers are such inputs'.
pub(crate) const fn untaken_key_number(count: u64) -> u64 {
    count * 2 - 1
}

/// The input of a record and its personal part, not yet sealed.
#[derive(Debug)]
pub(crate) enum Body {
    /// An interaction, as its feed delivered it.
    Interaction(Box<InteractionEntry>),
    /// Anything else, both encoded; the personal part is empty for none.
    Other { input: Vec<u8>, personal: Vec<u8> },
}

impl Body {
    /// Appends the encoded input.
    pub(crate) fn encode_input(&self, out: &mut Vec<u8>) {
        match self {
            Self::Interaction(entry) => encode_interaction(&entry.facts, out),
            Self::Other { input, .. } => out.extend_from_slice(input),
        }
    }

    /// Appends the encoded personal part; nothing for none.
    pub(crate) fn encode_personal(&self, out: &mut Vec<u8>) {
        match self {
            Self::Interaction(entry) => encode_personal(&entry.personal, out),
            Self::Other { personal, .. } => out.extend_from_slice(personal),
        }
    }

    /// Input and personal part, as decoding them from the log would give them.
    fn open(&self) -> Result<FreshParts<'_>, DecodeError> {
        match self {
            Self::Interaction(entry) => Ok(FreshParts::Interaction(&entry.facts, &entry.personal)),
            Self::Other { input, personal } => {
                let personal = (!personal.is_empty()).then(|| stored::decode_personal(CODEC, personal)).transpose()?;
                Ok(FreshParts::Other(stored::decode_input(CODEC, input)?.0, personal.map(Box::new)))
            }
        }
    }
}

/// One record that waits for its position's turn to be encoded, chained and sealed.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) kind: u8,
    pub(crate) tenant: TenantId,
    pub(crate) visitor: VisitorId,
    pub(crate) feed_sequence: u64,
    pub(crate) occurred_at: Time,
    pub(crate) received_at: Time,
    pub(crate) previous: LogPosition,
    pub(crate) body: Body,
    /// Where its events stand in the batch.
    pub(crate) events: Range<usize>,
    /// The key to seal the personal part with; 0 for none.
    pub(crate) key: u64,
}

impl Pending {
    /// A record of an input without visitor, events or personal part.
    pub(crate) fn bare(input: &InputFacts, tenant: TenantId, at: Time, received_at: Time) -> Self {
        let mut bytes = Vec::new();
        encode_input(input, &mut bytes);
        Self {
            kind: input.kind(),
            tenant,
            visitor: VisitorId(0),
            feed_sequence: 0,
            occurred_at: at,
            received_at,
            previous: LogPosition::START,
            body: Body::Other { input: bytes, personal: Vec::new() },
            events: 0..0,
            key: 0,
        }
    }

    /// The same record with a personal part, to be sealed with this key.
    pub(crate) fn sealed_with(mut self, key: u64, part: Vec<u8>) -> Self {
        if let Body::Other { personal, .. } = &mut self.body {
            *personal = part;
        }
        self.key = key;
        self
    }
}

/// Records in log order that were decided together.
#[derive(Debug, Default)]
pub(crate) struct PendingBatch {
    pub(crate) records: Vec<Pending>,
    /// The events of all records, one after the other.
    pub(crate) events: Vec<Event>,
    /// Keys that records of this batch use first.
    pub(crate) new_keys: Vec<u64>,
    /// Small facts that become true with the batch, such as a feed's watermark.
    pub(crate) meta: Vec<(String, Vec<u8>)>,
}

impl PendingBatch {
    /// An empty batch with room for about as much as `other` holds: what follows is mostly like it.
    pub(crate) fn like(other: &Self) -> Self {
        let records = Vec::with_capacity(other.records.len());
        let events = Vec::with_capacity(other.events.len() / 8 * 9);
        Self { records, events, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.meta.is_empty()
    }

    /// The record so many places before the last one, as the log will have it; `None` when it isn't in this batch.
    pub(crate) fn nth_last(&self, places: u64) -> Option<Result<DecidedRecord, DecodeError>> {
        let place = self.records.len().checked_sub(usize::try_from(places).ok()?.checked_add(1)?)?;
        let record = self.records.get(place)?;
        let events = self.events.get(record.events.clone()).unwrap_or_default();
        Some(record.body.open().map(|parts| {
            let (input, personal) = parts.into_owned();
            DecidedRecord {
                tenant: record.tenant,
                visitor: record.visitor,
                occurred_at: record.occurred_at,
                received_at: record.received_at,
                facts: Facts { input, events: events.to_vec() },
                personal,
            }
        }))
    }
}

/// A record that was decided, durable or not.
#[derive(Debug)]
pub(crate) struct DecidedRecord {
    pub(crate) tenant: TenantId,
    pub(crate) visitor: VisitorId,
    pub(crate) occurred_at: Time,
    pub(crate) received_at: Time,
    pub(crate) facts: Facts,
    pub(crate) personal: Option<Personal>,
}

impl From<TimelineEntry> for DecidedRecord {
    fn from(entry: TimelineEntry) -> Self {
        let TimelineEntry { header, facts, personal } = entry;
        Self {
            tenant: TenantId(header.tenant),
            visitor: VisitorId(header.visitor),
            occurred_at: Time::from_millis(header.occurred_at),
            received_at: Time::from_millis(header.received_at),
            facts,
            personal,
        }
    }
}

/// Records that have just become durable, still decoded and open: what a reader would get from the log, without reading,
/// decoding and opening it there.
#[derive(Debug)]
pub struct FreshBatch {
    /// Header and chain value of each record.
    written: Vec<(Header, Chain)>,
    records: Vec<Pending>,
    events: Vec<Event>,
}

impl FreshBatch {
    pub(crate) fn new(written: Vec<(Header, Chain)>, records: Vec<Pending>, events: Vec<Event>) -> Self {
        Self { written, records, events }
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The records, in log order.
    pub fn records(&self) -> impl Iterator<Item = FreshRecord<'_>> {
        self.written.iter().zip(&self.records).map(|((header, chain), record)| FreshRecord {
            header,
            chain: *chain,
            events: self.events.get(record.events.clone()).unwrap_or_default(),
            body: &record.body,
        })
    }
}

/// One record of a [`FreshBatch`].
#[derive(Clone, Copy, Debug)]
pub struct FreshRecord<'a> {
    /// The record's header.
    pub header: &'a Header,
    /// The chain value up to and including the record.
    pub chain: Chain,
    /// What was decided.
    pub events: &'a [Event],
    body: &'a Body,
}

/// Input and personal part of a [`FreshRecord`].
#[derive(Debug)]
pub enum FreshParts<'a> {
    /// Of an interaction, as it was decoded for deciding.
    Interaction(&'a InteractionFacts, &'a Personal),
    /// Of any other input.
    Other(InputFacts, Option<Box<Personal>>),
}

impl<'a> FreshRecord<'a> {
    /// Input and personal part, as decoding them from the log would give them.
    ///
    /// # Errors
    /// When what was encoded can't be decoded, which would be an error of this program.
    pub fn open(&self) -> Result<FreshParts<'a>, DecodeError> {
        self.body.open()
    }
}

impl FreshParts<'_> {
    fn into_owned(self) -> (InputFacts, Option<Personal>) {
        match self {
            Self::Interaction(facts, personal) => {
                (InputFacts::Interaction(Box::new(facts.clone())), Some(personal.clone()))
            }
            Self::Other(input, personal) => (input, personal.map(|personal| *personal)),
        }
    }

    /// The input.
    #[must_use]
    pub fn input(&self) -> InputRef<'_> {
        match self {
            Self::Interaction(facts, _) => InputRef::Interaction(facts),
            Self::Other(input, _) => input.as_input(),
        }
    }

    /// The personal part; `None` for none.
    #[must_use]
    pub fn personal(&self) -> Option<&Personal> {
        match self {
            Self::Interaction(_, personal) => Some(personal),
            Self::Other(_, personal) => personal.as_deref(),
        }
    }
}
