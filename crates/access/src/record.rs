//! Keys as they are made, listed and stored.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::error::AccessError;
use crate::role::Role;
use crate::scope::Scope;
use crate::token::{KeyId, TokenHash};

/// The longest name of a key, in bytes: enough for a sentence.
const NAME_BYTES_MAX: usize = 200;

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What it may be used for.
    pub role: Role,
    /// Which tenants it reaches; all of them only for [`Role::Admin`].
    pub tenant: Scope,
    /// What people call it: who or what holds it.
    pub name: Option<String>,
    /// The time now.
    pub now: DateTime<Utc>,
}

/// What may be shown of a key. Neither token nor hash is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Names the key.
    pub id: KeyId,
    /// What it may be used for.
    pub role: Role,
    /// Which tenants it reaches.
    pub tenant: Scope,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// When it was revoked, to the millisecond; it opens nothing since then. `None` as long as it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    #[serde(flatten)]
    pub(crate) record: KeyRecord,
    pub(crate) hash: TokenHash,
}

impl NewKey {
    /// The record of this key under an id.
    pub(crate) fn record(self, id: KeyId) -> Result<KeyRecord, AccessError> {
        let Self { role, tenant, name, now } = self;
        if tenant == Scope::All && role != Role::Admin {
            return Err(AccessError::AllTenants { role });
        }
        if let Scope::One(name) = &tenant
            && name.parse() != Ok(tenant.clone())
        {
            return Err(AccessError::BadTenant);
        }
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control)) {
            return Err(AccessError::BadName { bytes_max: NAME_BYTES_MAX });
        }
        Ok(KeyRecord { id, role, tenant, name, created_at: now.trunc_subsecs(3), revoked_at: None })
    }
}
