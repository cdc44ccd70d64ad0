//! The frozen shapes of version 2, where they differ from version 1. Nothing here ever changes.

use bincode::{BorrowDecode, Encode};

use crate::stored::v1::{AskV1, CommandV1, PolicyV1, ReleasedV1};
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

/// A policy that may have been adopted under a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct PolicyV2 {
    /// From 1, for each tenant.
    pub version: u32,
    /// The tenant's name.
    pub tenant: Text,
    /// The document, as adopted.
    pub document: String,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}

/// The end of a quarantine, which may have been asked for under a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ReleasedV2 {
    /// The quarantined record's position.
    pub quarantined: u64,
    /// Who released it: an account name.
    pub operator: Text,
    /// The position of the record that the input is in now; `None` for one that was discarded, and where version 1 didn't
    /// say.
    pub taken: Option<u64>,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}

impl From<PolicyV1> for PolicyV2 {
    fn from(policy: PolicyV1) -> Self {
        let PolicyV1 { version, tenant, document } = policy;
        Self { version, tenant, document, request: None }
    }
}

impl From<ReleasedV1> for ReleasedV2 {
    fn from(released: ReleasedV1) -> Self {
        let ReleasedV1 { quarantined, operator } = released;
        Self { quarantined, operator, taken: None, request: None }
    }
}

impl From<CommandV1> for CommandV2 {
    fn from(command: CommandV1) -> Self {
        let CommandV1 { operator, expected_version, ask } = command;
        Self { operator, expected_version, ask, request: None }
    }
}
