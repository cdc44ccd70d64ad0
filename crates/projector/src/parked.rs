//! Streams that a model leaves out, because one of their records doesn't fit into it.
//!
//! What happens to a person builds on what happened to them before. So behind a record that can't be taken all later ones
//! that name one of its visitors are left out too, and those of the visitors whom these name. Everybody else's flow.

use std::collections::BTreeMap;

use lead_domain::VisitorId;
use serde::{Deserialize, Serialize};

/// Streams that wait for somebody, at most. More of them mean that it isn't the records: the projection stops then.
pub const PARKED_MAX: usize = 32;

/// The streams that a model leaves out, by visitor. Kept in the model, in the same step as its checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    streams: BTreeMap<u64, ParkedStream>,
}

/// A stream that a model leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedStream {
    /// The tenant's number.
    pub tenant: u32,
    /// The first record that was left out.
    pub since: u64,
    /// The record that didn't fit; another visitor's, where this stream only touches that one.
    pub cause: u64,
    /// What didn't fit: a fixed sentence.
    pub reason: String,
    /// So many records were left out.
    pub records: u64,
    /// Why somebody decided to do without them; `None` while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<String>,
}

impl Parked {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// All of them, in order of the visitor's number.
    pub fn streams(&self) -> impl Iterator<Item = (VisitorId, &ParkedStream)> {
        self.streams.iter().map(|(visitor, stream)| (VisitorId(*visitor), stream))
    }

    /// That visitor's, if it is left out.
    #[must_use]
    pub fn stream(&self, visitor: VisitorId) -> Option<&ParkedStream> {
        self.streams.get(&visitor.0)
    }

    /// How many wait for somebody to do something about them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.streams.values().filter(|stream| stream.discarded.is_none()).count()
    }

    /// Somebody decided to do without that visitor's stream. Whether it is left out at all.
    pub fn discard(&mut self, visitor: VisitorId, reason: &str) -> bool {
        let stream = self.streams.get_mut(&visitor.0);
        stream.map(|stream| stream.discarded = Some(reason.to_owned())).is_some()
    }

    /// Leaves one more record out of that visitor's stream. `like` says where it stands and why.
    pub(crate) fn hold(&mut self, visitor: VisitorId, like: &ParkedStream) {
        self.streams.entry(visitor.0).or_insert_with(|| ParkedStream { records: 0, ..like.clone() }).records += 1;
    }
}
