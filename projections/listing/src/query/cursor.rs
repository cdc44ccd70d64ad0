//! Where a page ended, as opaque text.
//!
//! ```text
//!  0         1        17           18       26   34         42
//!  version   query    has value    value    id   position   check
//!  u8        16       u8           i64      i64  u64        8
//! ```
//!
//! Base64url without padding; integers are big-endian. `query` is the fingerprint of tenant, sort and filters. `value`
//! and `id` are the sort key and the row number of the last row. `check` is a hash over the rest: it finds damage and
//! careless changes, and needs no secret, for a cursor gives no access that the query doesn't.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_log::LogPosition;
use lead_domain::TenantId;

use super::{QueryError, Span};

const VERSION: u8 = 1;
const CHECKED: usize = 42;
const BYTES: usize = 50;
/// Separates these hashes from every other use of BLAKE3.
const CONTEXT: &str = "leadfold 2025-01-01 paging cursors of the listing";

/// The row that a page ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct After {
    /// Its sort key; `None` where it has none.
    pub(crate) value: Option<i64>,
    /// Its row number.
    pub(crate) id: i64,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Of which query.
    pub(crate) fingerprint: Fingerprint,
    /// Behind which row.
    pub(crate) after: After,
    /// Where the model stood at the first page.
    pub(crate) position: LogPosition,
}

/// Tells one query from another: 128 bits of BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 16]);

impl Cursor {
    /// The text for `next_cursor`.
    pub(crate) fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.fingerprint.0);
        bytes.push(u8::from(self.after.value.is_some()));
        bytes.extend_from_slice(&self.after.value.unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(&self.after.id.to_be_bytes());
        bytes.extend_from_slice(&self.position.0.to_be_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Cursor::to_text`] wrote.
    pub(crate) fn read(text: &str) -> Result<Self, QueryError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| QueryError::CursorMalformed)?;
        read_bytes(&bytes).ok_or(QueryError::CursorMalformed)
    }
}

fn read_bytes(bytes: &[u8]) -> Option<Cursor> {
    let (checked, found) = bytes.split_at_checked(CHECKED)?;
    if found != check(checked) {
        return None;
    }
    let (&version, rest) = checked.split_first()?;
    let (fingerprint, rest) = rest.split_first_chunk::<16>()?;
    let (&has_value, rest) = rest.split_first()?;
    let (value, rest) = rest.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (position, _) = rest.split_first_chunk::<8>()?;
    if version != VERSION || has_value > 1 {
        return None;
    }
    let value = (has_value == 1).then(|| i64::from_be_bytes(*value));
    Some(Cursor {
        fingerprint: Fingerprint(*fingerprint),
        after: After { value, id: i64::from_be_bytes(*id) },
        position: LogPosition(u64::from_be_bytes(*position)),
    })
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(bytes);
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}

impl Fingerprint {
    /// Of a query about these rows of a tenant.
    pub(crate) fn begin(rows: &str, tenant: TenantId) -> Self {
        let mut fingerprint = Self([0; 16]);
        fingerprint.add(rows.as_bytes());
        fingerprint.add(&tenant.0.to_be_bytes());
        fingerprint
    }

    /// Takes one more part into account.
    pub(crate) fn add(&mut self, part: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(part);
        hasher.finalize_xof().fill(&mut self.0);
    }

    /// Takes a list into account.
    pub(crate) fn add_all(&mut self, parts: &[String]) {
        self.add(&(parts.len() as u64).to_be_bytes());
        for part in parts {
            self.add(part.as_bytes());
        }
    }

    /// Takes a span into account.
    pub(crate) fn add_span(&mut self, span: &Span) {
        for bound in [span.from, span.to] {
            self.add(&bound.map_or_else(Vec::new, |bound| bound.to_be_bytes().to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            fingerprint: Fingerprint::begin("leads", TenantId(1)),
            after: After { value: Some(-7), id: 42 },
            position: LogPosition(9),
        }
    }

    #[test]
    fn cursors_read_back_and_any_changed_byte_is_found() {
        let text = cursor().to_text();
        assert_eq!(Cursor::read(&text), Ok(cursor()));
        let none = Cursor { after: After { value: None, id: 1 }, ..cursor() };
        assert_eq!(Cursor::read(&none.to_text()), Ok(none));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        assert_eq!(bytes.len(), BYTES);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(Cursor::read(&changed), Err(QueryError::CursorMalformed));
        }
        for text in ["", "!", "AAAA"] {
            assert_eq!(Cursor::read(text), Err(QueryError::CursorMalformed));
        }
    }
}
