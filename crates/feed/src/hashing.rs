//! Keyed hashes: what stands in the log instead of identifiers, and what makes a duplicate.
//!
//! Each is keyed BLAKE3 over
//!
//! ```text
//! u8 tag | u32 tenant | part*         part = length | bytes; length = u8, or 255 and u32 from 255 on
//! ```
//!
//! with little-endian numbers, so that no two kinds of hash, no two tenants and no two ways to cut the parts ever meet.
//! Most inputs fit into one block of 64 bytes, which halves the time that decoding spends here.

use lead_domain::{IdentifierKind, TenantId};

/// What is hashed. The numbers stand in logs and never change.
#[derive(Clone, Copy)]
enum Tag {
    Message = 1,
    Order = 2,
    Rejected = 3,
    Content = 4,
    CustomerId = 5,
    Email = 6,
    Phone = 7,
    VisitorId = 8,
    Request = 9,
    RequestContent = 10,
    Page = 11,
}

impl From<IdentifierKind> for Tag {
    fn from(kind: IdentifierKind) -> Self {
        match kind {
            IdentifierKind::CustomerId => Self::CustomerId,
            IdentifierKind::Email => Self::Email,
            IdentifierKind::Phone => Self::Phone,
            IdentifierKind::VisitorId => Self::VisitorId,
        }
    }
}

/// Hashes with one key and one buffer.
pub(crate) struct Hasher {
    key: [u8; 32],
    buffer: Vec<u8>,
}

impl Hasher {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, buffer: Vec::with_capacity(1_024) }
    }

    /// What makes a second event with the same source and id a duplicate.
    pub(crate) fn message(&mut self, tenant: TenantId, source: &str, id: &str) -> u128 {
        self.hash(Tag::Message, tenant, &[source.as_bytes(), id.as_bytes()])
    }

    /// What the decider knows an identifier by. `value` is normalised.
    pub(crate) fn identifier(&mut self, tenant: TenantId, kind: IdentifierKind, value: &str) -> u128 {
        self.hash(kind.into(), tenant, &[value.as_bytes()])
    }

    /// What makes an order count once.
    pub(crate) fn order(&mut self, tenant: TenantId, order_id: &str) -> u128 {
        self.hash(Tag::Order, tenant, &[order_id.as_bytes()])
    }

    /// What makes a second request under the same key a repetition.
    pub(crate) fn request(&mut self, tenant: TenantId, key: &str) -> u128 {
        self.hash(Tag::Request, tenant, &[key.as_bytes()])
    }

    /// The first 64 bits over what a request asks.
    pub(crate) fn request_content(&mut self, tenant: TenantId, content: &[u8]) -> u64 {
        self.hash(Tag::RequestContent, tenant, &[content]) as u64
    }

    /// What a limit for each page counts by: the first 64 bits over the page's address.
    pub(crate) fn page(&mut self, tenant: TenantId, url: &str) -> u64 {
        self.hash(Tag::Page, tenant, &[url.as_bytes()]) as u64
    }

    /// What makes a second rejected input with the same bytes a duplicate.
    pub(crate) fn rejected(&mut self, tenant: TenantId, bytes: &[u8]) -> u128 {
        self.hash(Tag::Rejected, tenant, &[bytes])
    }

    /// The first 64 bits over a content that `write` appends to a buffer.
    pub(crate) fn content(&mut self, tenant: TenantId, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        self.begin(Tag::Content, tenant);
        write(&mut self.buffer);
        self.finish() as u64
    }

    fn hash(&mut self, tag: Tag, tenant: TenantId, parts: &[&[u8]]) -> u128 {
        self.begin(tag, tenant);
        for part in parts {
            push_part(&mut self.buffer, part);
        }
        self.finish()
    }

    fn begin(&mut self, tag: Tag, tenant: TenantId) {
        self.buffer.clear();
        self.buffer.push(tag as u8);
        self.buffer.extend_from_slice(&tenant.0.to_le_bytes());
    }

    /// The first 128 bits, read as a little-endian number.
    fn finish(&self) -> u128 {
        first_128(&blake3::keyed_hash(&self.key, &self.buffer))
    }
}

/// The key of a conflicting duplicate. Its parts are keyed hashes already.
pub(crate) fn conflict_key(message: u128, fingerprint: u64) -> u128 {
    let mut bytes = b"conflict\0".to_vec();
    bytes.extend_from_slice(&message.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.to_le_bytes());
    first_128(&blake3::hash(&bytes))
}

/// Appends a part with its length, so that parts can't run into each other.
pub(crate) fn push_part(buffer: &mut Vec<u8>, part: &[u8]) {
    match u8::try_from(part.len()) {
        Ok(length) if length < u8::MAX => buffer.push(length),
        _ => {
            buffer.push(u8::MAX);
            buffer.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    buffer.extend_from_slice(part);
}

fn first_128(hash: &blake3::Hash) -> u128 {
    let (first, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_different_kinds_tenants_and_cuts_differ() {
        let mut hasher = Hasher::new([7; 32]);
        let one = TenantId(1);
        let hashes = [
            hasher.message(one, "ab", "c"),
            hasher.message(one, "a", "bc"),
            hasher.message(TenantId(2), "ab", "c"),
            hasher.identifier(one, IdentifierKind::Email, "a@b.c"),
            hasher.identifier(one, IdentifierKind::CustomerId, "a@b.c"),
            hasher.order(one, "a@b.c"),
            hasher.rejected(one, b"a@b.c"),
            conflict_key(1, 2),
            conflict_key(2, 1),
            Hasher::new([8; 32]).message(one, "ab", "c"),
        ];
        for (place, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..place].contains(hash), "{place}");
        }
        assert_eq!(hashes[0], hasher.message(one, "ab", "c"));
    }

    #[test]
    fn hashes_stay_what_they_are_in_the_logs_that_exist() {
        let mut hasher = Hasher::new([7; 32]);
        let input = [6, 1, 0, 0, 0, 5, b'a', b'@', b'b', b'.', b'c'];
        let expected = blake3::keyed_hash(&[7; 32], &input);
        let found = hasher.identifier(TenantId(1), IdentifierKind::Email, "a@b.c");
        assert_eq!(found.to_le_bytes(), expected.as_bytes()[..16]);
    }
}
