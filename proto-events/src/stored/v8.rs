//! The frozen shapes of version 8: what concerns suppression. Nothing here ever changes.
//!
//! ```text
//! input = u8 16 | SuppressionV8
//! ```

use bincode::{BorrowDecode, Encode};

use super::v2::RequestKeyV2;
use crate::text::Text;

/// An operator's request that nothing which carries these identifiers is collected any more, or may be again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct SuppressionV8 {
    /// Who asked: an account name.
    pub operator: Text,
    /// Why.
    pub reason: Text,
    /// Whether it may be collected again.
    pub lifted: bool,
    /// Kind (1 customer id, 2 e-mail, 3 phone, 4 visitor id of a channel) and keyed hash of each.
    pub identifiers: Vec<(u8, u128)>,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}
