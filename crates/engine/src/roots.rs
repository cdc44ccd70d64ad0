//! State roots: one hash over all canonical books, kept as books change.
//!
//! The root is the sum, modulo 2^256, of the BLAKE3 hashes of all canonical books: a book's old hash leaves, its new one
//! enters, in any order. (Bellare and Micciancio's AdHash, 1997.) It finds books that differ by accident or by a wrong
//! program. Against forgery the chain over the records stands, from which the books follow.

use event_log::LogPosition;
use lead_domain::Book;
use proto_events::stored::book::encode_book;

/// A state root stands at every position that is a multiple of this.
pub(crate) const ROOT_EVERY: u64 = 1 << 16;

/// Whether the record at this position is a state root.
pub(crate) const fn is_root_position(position: LogPosition) -> bool {
    position.0.is_multiple_of(ROOT_EVERY)
}

/// The hash of one canonical book; zero for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BookHash(pub(crate) [u8; 32]);

impl BookHash {
    /// Hashes a book; `scratch` saves the allocation.
    pub(crate) fn of(book: &Book, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        encode_book(book, scratch);
        Self(*blake3::hash(scratch).as_bytes())
    }
}

/// The sum of book hashes, as four 64-bit limbs, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateRoot([u64; 4]);

impl StateRoot {
    /// Lets one book's old hash leave and its new one enter.
    pub(crate) fn replace(&mut self, old: BookHash, new: BookHash) {
        self.0 = add(self.0, negated(limbs(old.0)));
        self.0 = add(self.0, limbs(new.0));
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(limbs(bytes))
    }
}

fn limbs(bytes: [u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    }
    limbs
}

fn add(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut carry = false;
    let mut sum = [0; 4];
    for ((place, x), y) in sum.iter_mut().zip(a).zip(b) {
        let (value, first) = x.overflowing_add(y);
        let (value, second) = value.overflowing_add(u64::from(carry));
        *place = value;
        carry = first || second;
    }
    sum
}

fn negated(limbs: [u64; 4]) -> [u64; 4] {
    add(limbs.map(|limb| !limb), [1, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(seed: u8) -> BookHash {
        BookHash(*blake3::hash(&[seed]).as_bytes())
    }

    #[test]
    fn books_enter_and_leave_in_any_order() {
        let none = BookHash::default();
        let mut forward = StateRoot::default();
        let mut backward = StateRoot::default();
        for seed in 0..200 {
            forward.replace(none, hash(seed));
            backward.replace(none, hash(199 - seed));
        }
        assert_eq!(forward, backward);
        assert_eq!(StateRoot::from_bytes(forward.to_bytes()), forward);
        backward.replace(hash(3), hash(4));
        assert_ne!(forward, backward);
        backward.replace(hash(4), hash(3));
        assert_eq!(forward, backward);
        for seed in 0..200 {
            forward.replace(hash(seed), none);
        }
        assert_eq!(forward, StateRoot::default());
    }
}
