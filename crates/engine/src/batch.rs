//! What was decided and is still to be written.

use std::ops::Range;

use lead_domain::{Event, TenantId, Time, VisitorId};
use proto_events::stored::{InputFacts, encode_input};

/// The number of the key that a visitor's personal data is sealed with. Even numbers are visitors'.
pub(crate) const fn visitor_key_number(visitor: VisitorId) -> u64 {
    visitor.0 * 2
}

/// The number of the key for the `count`-th input that was not taken, from 1. Odd numbers are such inputs'.
pub(crate) const fn untaken_key_number(count: u64) -> u64 {
    count * 2 - 1
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
    pub(crate) previous: event_log::LogPosition,
    /// The encoded input.
    pub(crate) input: Vec<u8>,
    /// Where its events stand in the batch.
    pub(crate) events: Range<usize>,
    /// The encoded personal part, not yet sealed; empty for none.
    pub(crate) personal: Vec<u8>,
    /// The key to seal it with; 0 for none.
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
            previous: event_log::LogPosition::START,
            input: bytes,
            events: 0..0,
            personal: Vec::new(),
            key: 0,
        }
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
