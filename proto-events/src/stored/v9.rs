//! The frozen shapes of version 9: signed heads of the log. Nothing here ever changes.
//!
//! ```text
//! input = u8 18 | SignedHeadV9
//! ```

use bincode::{BorrowDecode, Encode};

use crate::text::Text;

/// The Merkle root over all records up to one in front of this, signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct SignedHeadV9 {
    /// The record of the signed head before; 0 for none.
    pub previous: u64,
    /// How many records it covers.
    pub size: u64,
    /// The signed note: a checkpoint as C2SP describes it.
    pub note: Text,
}
