//! Rows of the tables as bytes. All integers are big-endian, so keys sort by value.
//!
//! ```text
//! books        visitor u64                         → format u8 | head u64 | armed i64 (MIN = none) | root 32
//!                                                    | extra count u16 | extra heads u64 … | canonical book …
//! redirects    absorbed u64                        → survivor u64
//! identifiers  kind u8 | keyed hash u128           → visitor u64 that learnt it
//! orders       keyed hash u128                     → visitor u64 | ordinal u32
//! facts        "erased/" | position u64            → visitor u64 that the record erased
//!              "suppressed/" | tenant u32 | kind u8 | keyed hash u128 → position u64 of the record that says so
//!              "seen/" | tenant u32 | seen u64 (sign flipped) | visitor u64 → (empty)
//!              "seen-armed/" | tenant u32          → (empty)
//! deadlines    tenant u32 | due u64 (sign flipped) | visitor u64 → (empty)
//! ```

use event_log::LogPosition;
use lead_domain::{Book, Identifier, IdentifierKind, LeadId, OrderKey, TenantId, Time, VisitorId};
use proto_events::stored::book::{decode_book, encode_book};

use crate::error::EngineError;
use crate::roots::BookHash;
use crate::suppression::SuppressedKey;

/// The layout of rows in the books table.
const BOOK_FORMAT: u8 = 1;
/// Times are stored with the sign bit flipped, so that negative ones sort first.
const SIGN: u64 = 1 << 63;

/// What the engine keeps about a book besides the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last record of the visitor's stream.
    pub(crate) head: LogPosition,
    /// The last records of other streams that belong to the visitor: of those merged into it, or shared before a merge
    /// was undone.
    pub(crate) extra_heads: Vec<LogPosition>,
    /// The due time of the book's row in the deadlines table, never later than its next deadline.
    pub(crate) armed: Option<Time>,
    /// What the book contributes to the state root.
    pub(crate) hash: BookHash,
}

fn damaged(table: &'static str) -> EngineError {
    EngineError::Row { table }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

pub(crate) fn visitor_key(visitor: VisitorId) -> [u8; 8] {
    visitor.0.to_be_bytes()
}

pub(crate) fn read_visitor(table: &'static str, mut bytes: &[u8]) -> Result<VisitorId, EngineError> {
    take::<8>(&mut bytes).map(|bytes| VisitorId(u64::from_be_bytes(bytes))).ok_or(damaged(table))
}

pub(crate) fn identifier_key(identifier: Identifier) -> [u8; 17] {
    let mut key = [0; 17];
    let kind = match identifier.kind {
        IdentifierKind::CustomerId => 1,
        IdentifierKind::Email => 2,
        IdentifierKind::Phone => 3,
        IdentifierKind::VisitorId => 4,
    };
    let (first, rest) = key.split_at_mut(1);
    first.copy_from_slice(&[kind]);
    rest.copy_from_slice(&identifier.key.0.to_be_bytes());
    key
}

/// What rows about erasures begin with.
const ERASED: &[u8; 7] = b"erased/";

pub(crate) fn erased_key(position: LogPosition) -> [u8; 15] {
    let mut key = [0; 15];
    let (first, rest) = key.split_at_mut(ERASED.len());
    first.copy_from_slice(ERASED);
    rest.copy_from_slice(&position.0.to_be_bytes());
    key
}

pub(crate) fn read_erased(key: &[u8], value: &[u8]) -> Result<(LogPosition, VisitorId), EngineError> {
    let position = key.strip_prefix(ERASED).and_then(|position| position.try_into().ok());
    let position = LogPosition(u64::from_be_bytes(position.ok_or(damaged("facts"))?));
    Ok((position, read_visitor("facts", value)?))
}

/// What rows about suppressed identifiers begin with.
const SUPPRESSED: &[u8; 11] = b"suppressed/";

pub(crate) fn suppressed_key(tenant: TenantId, kind: u8, hash: u128) -> [u8; 32] {
    let mut key = [0; 32];
    let bytes = SUPPRESSED.iter().copied().chain(tenant.0.to_be_bytes()).chain([kind]).chain(hash.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

/// Before the first of these rows, and behind the last one.
pub(crate) fn suppressed_range() -> ([u8; 32], [u8; 32]) {
    (suppressed_key(TenantId(0), 0, 0), suppressed_key(TenantId(u32::MAX), u8::MAX, u128::MAX))
}

pub(crate) fn read_suppressed(key: &[u8], mut value: &[u8]) -> Result<(SuppressedKey, LogPosition), EngineError> {
    let read = |mut bytes: &[u8]| {
        let tenant = TenantId(u32::from_be_bytes(take::<4>(&mut bytes)?));
        let [kind] = take::<1>(&mut bytes)?;
        let hash = u128::from_be_bytes(take::<16>(&mut bytes)?);
        Some(((tenant, kind, hash), LogPosition(u64::from_be_bytes(take::<8>(&mut value)?))))
    };
    key.strip_prefix(SUPPRESSED).and_then(read).ok_or(damaged("facts"))
}

/// What rows about who was heard of when begin with.
const SEEN: &[u8; 5] = b"seen/";
/// What rows about tenants all of whose visitors have one begin with.
const SEEN_ARMED: &[u8; 11] = b"seen-armed/";

/// Whether a row of the facts says when a visitor was heard of, or for which tenants there are such rows.
pub(crate) fn is_about_seen(key: &[u8]) -> bool {
    key.starts_with(SEEN) || key.starts_with(SEEN_ARMED)
}

pub(crate) fn seen_key(tenant: TenantId, seen: Time, visitor: VisitorId) -> [u8; 25] {
    let mut key = [0; 25];
    let bytes = SEEN.iter().copied().chain(deadline_key(tenant, seen, visitor));
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

pub(crate) fn read_seen(key: &[u8]) -> Result<(Time, VisitorId), EngineError> {
    let place = key.strip_prefix(SEEN).ok_or(damaged("facts"))?;
    read_deadline(place).map(|(_, seen, visitor)| (seen, visitor))
}

pub(crate) fn seen_armed_key(tenant: TenantId) -> [u8; 15] {
    let mut key = [0; 15];
    let bytes = SEEN_ARMED.iter().copied().chain(tenant.0.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

pub(crate) fn read_seen_armed(key: &[u8]) -> Result<TenantId, EngineError> {
    let tenant = key.strip_prefix(SEEN_ARMED).and_then(|tenant| tenant.try_into().ok());
    tenant.map(|tenant| TenantId(u32::from_be_bytes(tenant))).ok_or(damaged("facts"))
}

pub(crate) fn order_key(order: OrderKey) -> [u8; 16] {
    order.0.to_be_bytes()
}

pub(crate) fn lead_value(lead: LeadId) -> Vec<u8> {
    let mut value = lead.visitor.0.to_be_bytes().to_vec();
    value.extend_from_slice(&lead.ordinal.to_be_bytes());
    value
}

pub(crate) fn read_lead(mut bytes: &[u8]) -> Result<LeadId, EngineError> {
    let mut read = || {
        let visitor = VisitorId(u64::from_be_bytes(take::<8>(&mut bytes)?));
        Some(LeadId { visitor, ordinal: u32::from_be_bytes(take::<4>(&mut bytes)?) })
    };
    read().ok_or(damaged("orders"))
}

/// Tenant, time, visitor.
pub(crate) const DEADLINE_KEY_BYTES: usize = 20;

pub(crate) fn deadline_key(tenant: TenantId, due: Time, visitor: VisitorId) -> [u8; DEADLINE_KEY_BYTES] {
    let mut key = [0; DEADLINE_KEY_BYTES];
    let (first, rest) = key.split_at_mut(4);
    let (middle, last) = rest.split_at_mut(8);
    first.copy_from_slice(&tenant.0.to_be_bytes());
    middle.copy_from_slice(&(due.as_millis().cast_unsigned() ^ SIGN).to_be_bytes());
    last.copy_from_slice(&visitor.0.to_be_bytes());
    key
}

pub(crate) fn read_deadline(mut bytes: &[u8]) -> Result<(TenantId, Time, VisitorId), EngineError> {
    let mut read = || {
        let tenant = TenantId(u32::from_be_bytes(take::<4>(&mut bytes)?));
        let due = Time::from_millis((u64::from_be_bytes(take::<8>(&mut bytes)?) ^ SIGN).cast_signed());
        Some((tenant, due, VisitorId(u64::from_be_bytes(take::<8>(&mut bytes)?))))
    };
    read().ok_or(damaged("deadlines"))
}

pub(crate) fn write_book(book: &Book, mark: &Mark, value: &mut Vec<u8>) {
    value.push(BOOK_FORMAT);
    value.extend_from_slice(&mark.head.0.to_be_bytes());
    value.extend_from_slice(&mark.armed.map_or(i64::MIN, Time::as_millis).to_be_bytes());
    value.extend_from_slice(&mark.hash.0);
    let extra = u16::try_from(mark.extra_heads.len()).unwrap_or(u16::MAX);
    value.extend_from_slice(&extra.to_be_bytes());
    for head in mark.extra_heads.iter().take(usize::from(extra)) {
        value.extend_from_slice(&head.0.to_be_bytes());
    }
    encode_book(book, value);
}

pub(crate) fn read_book(mut bytes: &[u8]) -> Result<(Book, Mark), EngineError> {
    let mark = read_mark(&mut bytes).ok_or(damaged("books"))?;
    let book = decode_book(bytes).map_err(|_| damaged("books"))?;
    Ok((book, mark))
}

fn read_mark(bytes: &mut &[u8]) -> Option<Mark> {
    let [format] = take::<1>(bytes)?;
    if format != BOOK_FORMAT {
        return None;
    }
    let head = LogPosition(u64::from_be_bytes(take::<8>(bytes)?));
    let armed = i64::from_be_bytes(take::<8>(bytes)?);
    let hash = BookHash(take::<32>(bytes)?);
    let extra = u16::from_be_bytes(take::<2>(bytes)?);
    let mut extra_heads = Vec::with_capacity(usize::from(extra));
    for _ in 0..extra {
        extra_heads.push(LogPosition(u64::from_be_bytes(take::<8>(bytes)?)));
    }
    Some(Mark { head, extra_heads, armed: (armed != i64::MIN).then(|| Time::from_millis(armed)), hash })
}
