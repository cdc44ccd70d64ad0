//! What was decided and is still to be written.

use std::ops::Range;

use event_log::{Chain, Header, LogPosition};
use feed::InteractionEntry;
use lead_domain::{Event, TenantId, Time, VisitorId};
use proto_events::stored::{self, Facts, InputFacts, Personal, encode_input};
use proto_events::{CODEC, DecodeError};

/// The number of the key that a visitor's personal data is sealed with. Even numbers are visitors'.
pub(crate) const fn visitor_key_number(visitor: VisitorId) -> u64 {
    visitor.0 * 2
}

/// The number of the key for the `count`-th input that was not taken, from 1. Odd numbers are such inputs'.
pub(crate) const fn untaken_key_number(count: u64) -> u64 {
    count * 2 - 1
}

/// The input of a record and its personal part, both encoded, the latter not yet sealed; empty for none.
#[derive(Debug)]
pub(crate) enum Body {
    /// An interaction, as its feed delivered it.
    Interaction(Box<InteractionEntry>),
    /// Anything else.
    Other { input: Vec<u8>, personal: Vec<u8> },
}

impl Body {
    pub(crate) fn input(&self) -> &[u8] {
        match self {
            Self::Interaction(entry) => &entry.input,
            Self::Other { input, .. } => input,
        }
    }

    pub(crate) fn personal(&self) -> &[u8] {
        match self {
            Self::Interaction(entry) => &entry.personal,
            Self::Other { personal, .. } => personal,
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
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.meta.is_empty()
    }
}

/// A record that has just become durable, still decoded and open: what a reader would get from the log, without reading,
/// decoding and opening it there.
#[derive(Debug)]
pub struct FreshRecord {
    header: Header,
    chain: Chain,
    body: Body,
    events: Vec<Event>,
}

impl FreshRecord {
    pub(crate) fn new(header: Header, chain: Chain, body: Body, events: Vec<Event>) -> Self {
        Self { header, chain, body, events }
    }

    /// The record's header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The chain value up to and including the record.
    #[must_use]
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Facts and personal part, as decoding them from the log would give them.
    ///
    /// # Errors
    /// When what was encoded can't be decoded, which would be an error of this program.
    pub fn into_parts(self) -> Result<(Facts, Option<Personal>), DecodeError> {
        let personal = self.body.personal();
        let personal = (!personal.is_empty()).then(|| stored::decode_personal(CODEC, personal)).transpose()?;
        let input = match self.body {
            Body::Interaction(entry) => InputFacts::Interaction(Box::new(entry.facts)),
            Body::Other { input, .. } => stored::decode_input(CODEC, &input)?.0,
        };
        Ok((Facts { input, events: self.events }, personal))
    }
}
