//! The keyed hashes of single values, for whoever looks something up by what people know it by.

use lead_domain::{IdentifierKey, IdentifierKind, OrderKey, TenantId};
use proto_events::cloud_event::Fault;
use proto_events::stored::RequestKey;

use crate::decoder::TenantRules;
use crate::hashing::Hasher;
use crate::normalise::Normaliser;

/// The key of a tenant's order, as events with this order id carry it.
#[must_use]
pub fn order_key(hash_key: [u8; 32], tenant: TenantId, order_id: &str) -> OrderKey {
    OrderKey(Hasher::new(hash_key).order(tenant, order_id.trim()))
}

/// What a request is remembered by: the key that its sender gave it, and what it asks.
#[must_use]
pub fn request_key(hash_key: [u8; 32], tenant: TenantId, key: &str, content: &[u8]) -> RequestKey {
    let mut hasher = Hasher::new(hash_key);
    RequestKey { message: hasher.request(tenant, key), fingerprint: hasher.request_content(tenant, content) }
}

/// The key of an identifier, as events with this value carry it; `None` for a blocked or empty one, which nobody is known by.
///
/// # Errors
/// When the value is no e-mail address or phone number, where it should be one.
pub fn identifier_key(
    hash_key: [u8; 32],
    rules: &TenantRules,
    kind: IdentifierKind,
    value: &str,
) -> Result<Option<IdentifierKey>, Fault> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    let mut normaliser = Normaliser::new(&rules.phone_region, &rules.blocked_identifiers);
    let normalised = match kind {
        IdentifierKind::CustomerId | IdentifierKind::VisitorId => normaliser.plain(value),
        IdentifierKind::Email => normaliser.email(value)?,
        IdentifierKind::Phone => normaliser.phone(value)?,
    };
    let value = normalised.value.filter(|_| !normalised.blocked);
    Ok(value.map(|value| IdentifierKey(Hasher::new(hash_key).identifier(rules.id, kind, &value))))
}
