//! What the feed hands on: one entry for each input that was read.

use lead_domain::{TenantId, Time};
use proto_events::stored::Quarantined;
use proto_events::{InteractionFacts, Personal};

use crate::hashing::conflict_key;

/// One input, taken or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An interaction to decide about.
    Interaction(Box<InteractionEntry>),
    /// An input that could not be taken, to be quarantined.
    Rejected(Box<RejectedEntry>),
}

/// An interaction, checked and normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractionEntry {
    /// Whose visitor it concerns.
    pub tenant: TenantId,
    /// When it happened, by the channel's clock, corrected.
    pub occurred_at: Time,
    /// When it reached us.
    pub received_at: Time,
    /// Its number in the feed; in a file the line that it begins on, from 1.
    pub feed_sequence: u64,
    /// What was done, without personal data.
    pub facts: InteractionFacts,
    /// The personal part, not yet sealed.
    pub personal: Personal,
}

/// An input that could not be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedEntry {
    /// In whose quarantine it belongs.
    pub tenant: TenantId,
    /// When it reached us.
    pub received_at: Time,
    /// Its number in the feed; in a file the line that it begins on, from 1.
    pub feed_sequence: u64,
    /// Why, and where it came from.
    pub facts: Quarantined,
    /// `proto_events::stored::encode_personal` with the bytes, at most [`KEPT_BYTES_MAX`](crate::limits::KEPT_BYTES_MAX)
    /// of them and then with a note of how many there were; not yet sealed.
    pub personal: Vec<u8>,
}

impl Entry {
    /// Its number in the feed.
    #[must_use]
    pub const fn feed_sequence(&self) -> u64 {
        match self {
            Self::Interaction(entry) => entry.feed_sequence,
            Self::Rejected(entry) => entry.feed_sequence,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        match self {
            Self::Interaction(entry) => entry.tenant,
            Self::Rejected(entry) => entry.tenant,
        }
    }
}

impl InteractionEntry {
    /// The message key under which this content is recorded if it conflicts with what was recorded before under the
    /// same source and id: a second such duplicate of the same content is a duplicate of the first.
    ///
    /// Computed on demand, since conflicts are rare.
    #[must_use]
    pub fn conflict_key(&self) -> u128 {
        conflict_key(self.facts.message, self.facts.fingerprint)
    }
}
