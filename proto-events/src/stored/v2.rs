//! The frozen shapes of version 2, where they differ from version 1. Nothing here ever changes.

use bincode::{BorrowDecode, Encode};

use crate::stored::v1::{AskV1, CommandV1};
use crate::text::Text;

/// An operator's request that may have been sent with a key of its own, so that sending it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct CommandV2 {
    /// Who asked: an account name.
    pub operator: Text,
    /// The lead's version that the caller had seen.
    pub expected_version: Option<u32>,
    /// What was asked.
    pub ask: AskV1,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}

/// The key of a request, and what was asked under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct RequestKeyV2 {
    /// Keyed hash of tenant and key: what makes a second request a repetition.
    pub message: u128,
    /// Hash of the request's content, to tell another request under the same key.
    pub fingerprint: u64,
}

impl From<CommandV1> for CommandV2 {
    fn from(command: CommandV1) -> Self {
        let CommandV1 { operator, expected_version, ask } = command;
        Self { operator, expected_version, ask, request: None }
    }
}
