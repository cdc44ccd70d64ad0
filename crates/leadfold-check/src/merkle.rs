//! Merkle proofs as RFC 9162 verifies them, in sections 2.1.3.2 and 2.1.4.2.

use sha2::{Digest, Sha256};

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// The hash of bytes, without a prefix.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// A leaf, from a record without its sealed part and the hash of that part.
pub(crate) fn leaf(open: &[u8], sealed: Hash) -> Hash {
    Sha256::new().chain_update([0]).chain_update(open).chain_update(sealed).finalize().into()
}

fn node(left: Hash, right: Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Whether `leaf` is the one at `index` (from 0) of the tree of `size` leaves with this root.
pub(crate) fn is_included(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            hash = node(*beside, hash);
            while place.is_multiple_of(2) && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            hash = node(hash, *beside);
        }
        (place, last) = (place / 2, last / 2);
    }
    last == 0 && hash == root
}

/// Whether the tree of `size` leaves with root `root` begins with the one of `earlier` leaves with root `earlier_root`.
pub(crate) fn is_consistent(earlier: u64, earlier_root: Hash, size: u64, root: Hash, proof: &[Hash]) -> bool {
    if earlier == size {
        return proof.is_empty() && earlier_root == root;
    }
    if earlier == 0 || earlier > size {
        return false;
    }
    let own = earlier.is_power_of_two().then_some(earlier_root);
    let mut hashes = own.iter().chain(proof).copied();
    let Some(first) = hashes.next() else { return false };
    let (mut place, mut last) = (earlier - 1, size - 1);
    while place % 2 == 1 {
        (place, last) = (place / 2, last / 2);
    }
    let (mut old, mut new) = (first, first);
    for beside in hashes {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            (old, new) = (node(beside, old), node(beside, new));
            while place.is_multiple_of(2) && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            new = node(new, beside);
        }
        (place, last) = (place / 2, last / 2);
    }
    last == 0 && old == earlier_root && new == root
}
