//! The frozen shapes of version 6: what concerns erasure. Nothing here ever changes.
//!
//! ```text
//! event = u8 203 | EventV6
//! input = u8 15  | ErasureV6
//! book  = behind the ledgers of version 3, of which there may be none, where the visitor was erased: u8 1
//! ```

use bincode::{BorrowDecode, Encode};
use lead_domain::event::Event;
use lead_domain::{Command, VisitorId};

use super::v2::RequestKeyV2;
use crate::text::Text;

/// The first byte of an event of version 6.
pub const EVENT_MARK: u8 = 203;
/// What stands behind the book of an erased visitor.
pub const ERASED_MARK: u8 = 1;

/// One event about a person's data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
#[expect(missing_docs, reason = "the fields are those of lead_domain::Event, under the same names")]
pub enum EventV6 {
    VisitorErased { visitor: u64, members: Vec<u64> },
}

/// An operator's request to forget who a visitor is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ErasureV6 {
    /// Who asked: an account name.
    pub operator: Text,
    /// Who, or somebody who was merged into them.
    pub visitor: u64,
    /// Why.
    pub reason: Text,
    /// Keys of inputs that were not taken and held the person's data: they are destroyed as well.
    pub untaken_keys: Vec<u64>,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}

/// The stored form of an event about a person's data; `None` for any other.
pub(super) fn stored(event: &Event) -> Option<EventV6> {
    if let Event::VisitorErased { visitor, members } = event {
        let members = members.iter().map(|member| member.0).collect();
        return Some(EventV6::VisitorErased { visitor: visitor.0, members });
    }
    None
}

impl From<EventV6> for Event {
    fn from(event: EventV6) -> Self {
        match event {
            EventV6::VisitorErased { visitor, members } => Self::VisitorErased {
                visitor: VisitorId(visitor),
                members: members.into_iter().map(VisitorId).collect(),
            },
        }
    }
}

impl From<&ErasureV6> for Command {
    fn from(erasure: &ErasureV6) -> Self {
        Self::EraseVisitor { visitor: VisitorId(erasure.visitor), reason: erasure.reason.0.clone() }
    }
}
