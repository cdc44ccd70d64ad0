//! Proofs that a log holds what it is said to hold: a Merkle tree over its records, signed heads of it, and bundles that
//! others check offline.
//!
//! This crate knows records as bytes. It knows no leads and no policies, and decides nothing about who may have a proof.
//!
//! ```text
//! leaf n   = SHA-256(0x00 ‖ header and chain of record n + 1 ‖ its facts ‖ SHA-256(its sealed part))
//! node     = SHA-256(0x01 ‖ left ‖ right), split at the largest power of two below the number of leaves
//! head     = a C2SP checkpoint: a signed note with origin, number of leaves and root
//! ```
//!
//! This is the tree of RFC 9162 (Certificate Transparency) section 2.1, which is a Merkle mountain range whose peaks are
//! joined from the right; so its published algorithms and other people's programs check our proofs. Sealed parts go in
//! by their hash: a proof can leave them out, and erasing a person's key changes nothing.

#![forbid(unsafe_code)]

mod bundle;
mod hash;
mod head;
mod notary;
mod note;
mod tiles;
mod tree;

pub use bundle::{Bundle, BundleFile, BundlePolicy, BundleRecord, EarlierHead};
pub use hash::{Hash, leaf_of};
pub use head::{HeadError, TreeHead};
pub use notary::Notary;
pub use note::{NoteError, SigningKey, VerifyingKey};
pub use tiles::{TILE_LEAVES, TILES_FILE, TileFault, find_tile_faults};
pub use tree::{LogTree, TreeError};
