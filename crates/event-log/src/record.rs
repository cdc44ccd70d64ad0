//! One record as bytes: `header | facts | personal`, and the chain that ties it to the record before.
//!
//! ```text
//!  0        1       2      3          4        8          16        24              32            40
//!  format   codec   kind   reserved   tenant   position   visitor   feed_sequence   occurred_at   received_at
//!  u8       u8      u8     0          u32      u64        u64       u64             i64           i64
//!
//!  48            56         64    72          76             80      112     112 + facts_len
//!  recorded_at   previous   key   facts_len   personal_len   chain   facts   personal
//!  i64           u64        u64   u32         u32            32      …       …
//! ```
//!
//! All integers are big-endian. Times are milliseconds since the epoch. `chain` is
//! BLAKE3(previous record's chain ‖ header bytes 0..80 ‖ facts): it covers the length of the personal part, not its
//! bytes, so it is the same on every replica and survives the erasure of a key.

use thiserror::Error;

use crate::position::LogPosition;

/// The length of a header, in bytes.
pub const HEADER_BYTES: usize = 112;
/// Where the chain value begins; the bytes before it are hashed.
const CHAIN_AT: usize = 80;
/// The format of headers that this program writes; it reads no newer one.
const FORMAT: u8 = 1;

/// The hash that ties a record to all records before it. All zeros before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The first 16 hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// All 64 hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The chain value of a record that follows one with this value.
    fn next(self, header: &[u8], facts: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(header).update(facts);
        Self(*hasher.finalize().as_bytes())
    }
}

/// What a record's facts are; the log itself attaches no meaning to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u8);

/// The fixed-width part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How the facts and the personal part are encoded.
    pub codec: u8,
    /// What the facts are.
    pub kind: RecordKind,
    /// The tenant's number; 0 where the record concerns none.
    pub tenant: u32,
    /// The record's own place.
    pub position: LogPosition,
    /// The visitor's number; 0 where the record concerns none.
    pub visitor: u64,
    /// The input's number in the feed that it came from; 0 where the feed has none.
    pub feed_sequence: u64,
    /// When it happened, in milliseconds since the epoch.
    pub occurred_at: i64,
    /// When we received it, in milliseconds since the epoch.
    pub received_at: i64,
    /// When it was recorded, in milliseconds since the epoch; never less than in the record before.
    pub recorded_at: i64,
    /// The visitor's record before this one; [`LogPosition::START`] where there is none.
    pub previous: LogPosition,
    /// The number of the key that the personal part is sealed with; 0 where there is no such part.
    pub key: u64,
    /// The length of the facts, in bytes.
    pub facts_len: u32,
    /// The length of the sealed personal part, in bytes.
    pub personal_len: u32,
}

/// A record that can't be read or doesn't follow the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Fewer bytes than the header announces, or more.
    #[error("has {found} bytes where its header says {expected}")]
    Length {
        /// What the header says; the length of a header where not even that is there.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// A format that this program doesn't know.
    #[error("has record format {found}; this program reads format {FORMAT}. Use a newer program")]
    Format {
        /// The format found.
        found: u8,
    },
    /// A reserved byte is in use.
    #[error("has a reserved byte set")]
    Reserved,
    /// The record says that it stands somewhere else.
    #[error("says that it stands at position {found}")]
    Position {
        /// What it says.
        found: LogPosition,
    },
    /// The chain value doesn't follow from the record before and this record's bytes.
    #[error("breaks the chain: its header or facts differ from what was written")]
    Chain,
}

impl Header {
    /// The bytes that the chain covers.
    fn hashed_bytes(&self) -> [u8; CHAIN_AT] {
        let mut bytes = [0; CHAIN_AT];
        let fields: [(usize, &[u8]); 13] = [
            (0, &[FORMAT, self.codec, self.kind.0, 0]),
            (4, &self.tenant.to_be_bytes()),
            (8, &self.position.0.to_be_bytes()),
            (16, &self.visitor.to_be_bytes()),
            (24, &self.feed_sequence.to_be_bytes()),
            (32, &self.occurred_at.to_be_bytes()),
            (40, &self.received_at.to_be_bytes()),
            (48, &self.recorded_at.to_be_bytes()),
            (56, &self.previous.0.to_be_bytes()),
            (64, &self.key.to_be_bytes()),
            (72, &self.facts_len.to_be_bytes()),
            (76, &self.personal_len.to_be_bytes()),
            (CHAIN_AT, &[]),
        ];
        for (start, field) in fields {
            if let Some(place) = bytes.get_mut(start..start + field.len()) {
                place.copy_from_slice(field);
            }
        }
        bytes
    }
}

/// A record's bytes, split into its parts. The parts have the lengths that the header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The fixed-width part.
    pub header: Header,
    /// The chain value up to and including this record.
    pub chain: Chain,
    /// The input and its events, without personal data.
    pub facts: &'a [u8],
    /// The sealed personal part.
    pub personal: &'a [u8],
    hashed: &'a [u8],
}

impl<'a> Record<'a> {
    /// Splits a record's bytes.
    ///
    /// # Errors
    /// When the bytes are too few or too many, or of another format. The chain is not looked at: see [`Record::follows`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let short = RecordError::Length { expected: HEADER_BYTES, found: bytes.len() };
        let (hashed, rest) = bytes.split_at_checked(CHAIN_AT).ok_or(short.clone())?;
        let (chain, body) = rest.split_first_chunk::<32>().ok_or(short.clone())?;
        let (header, format, reserved) = read_header(hashed).ok_or(short)?;
        if format != FORMAT {
            return Err(RecordError::Format { found: format });
        }
        if reserved != 0 {
            return Err(RecordError::Reserved);
        }
        let expected = header.facts_len as usize + header.personal_len as usize;
        if body.len() != expected {
            return Err(RecordError::Length { expected: HEADER_BYTES + expected, found: bytes.len() });
        }
        let (facts, personal) = body.split_at(header.facts_len as usize);
        Ok(Self { header, chain: Chain(*chain), facts, personal, hashed })
    }

    /// Checks that the record stands at `position` and follows a record with the chain value `before`.
    ///
    /// # Errors
    /// When a bit of its header or facts differs from what was written, or when it belongs elsewhere.
    pub fn follows(&self, position: LogPosition, before: Chain) -> Result<(), RecordError> {
        if self.header.position != position {
            return Err(RecordError::Position { found: self.header.position });
        }
        let expected = before.next(self.hashed, self.facts);
        if expected == self.chain { Ok(()) } else { Err(RecordError::Chain) }
    }

    /// The first 80 bytes of the record: what the chain covers of the header.
    #[must_use]
    pub const fn header_bytes(&self) -> &'a [u8] {
        self.hashed
    }

    /// Appends header and facts of a new record to `out` and returns its chain value. The caller appends the sealed
    /// personal part of exactly `header.personal_len` bytes next; sealing it may use the chain value.
    pub fn write(header: &Header, before: Chain, facts: &[u8], out: &mut Vec<u8>) -> Chain {
        let hashed = header.hashed_bytes();
        let chain = before.next(&hashed, facts);
        out.extend_from_slice(&hashed);
        out.extend_from_slice(&chain.0);
        out.extend_from_slice(facts);
        chain
    }
}

/// Header, format and reserved byte.
fn read_header(bytes: &[u8]) -> Option<(Header, u8, u8)> {
    let (&[format, codec, kind, reserved], rest) = bytes.split_first_chunk::<4>()?;
    let (tenant, mut rest) = rest.split_first_chunk::<4>()?;
    let mut words = [0_u64; 8];
    for word in &mut words {
        let (bytes, tail) = rest.split_first_chunk::<8>()?;
        *word = u64::from_be_bytes(*bytes);
        rest = tail;
    }
    let [position, visitor, feed_sequence, occurred_at, received_at, recorded_at, previous, key] = words;
    let (facts_len, rest) = rest.split_first_chunk::<4>()?;
    let (personal_len, _) = rest.split_first_chunk::<4>()?;
    let header = Header {
        codec,
        kind: RecordKind(kind),
        tenant: u32::from_be_bytes(*tenant),
        position: LogPosition(position),
        visitor,
        feed_sequence,
        occurred_at: occurred_at.cast_signed(),
        received_at: received_at.cast_signed(),
        recorded_at: recorded_at.cast_signed(),
        previous: LogPosition(previous),
        key,
        facts_len: u32::from_be_bytes(*facts_len),
        personal_len: u32::from_be_bytes(*personal_len),
    };
    Some((header, format, reserved))
}

#[cfg(test)]
mod tests;
