//! The hashes of leaves and nodes, as RFC 9162 has them. Knows no tree.

use std::fmt;

use event_log::Record;
use sha2::{Digest, Sha256};

/// A SHA-256 value. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The root of a tree without leaves.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self::of_bytes(&[])
    }

    /// The hash of some bytes, without a prefix.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of two neighbours.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The leaf of a record. The sealed part enters by its hash alone.
#[must_use]
pub fn leaf_of(record: &Record<'_>) -> Hash {
    let sealed = Sha256::digest(record.personal);
    let leaf = Sha256::new().chain_update([0]).chain_update(record.header_bytes()).chain_update(record.chain.0);
    Hash(leaf.chain_update(record.facts).chain_update(sealed).finalize().into())
}
