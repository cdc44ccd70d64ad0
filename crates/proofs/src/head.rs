//! The head of the tree at a size, as a C2SP checkpoint (tlog-checkpoint) with two lines of our own. Knows no keys but the
//! one that it is given.
//!
//! ```text
//! ORIGIN
//! SIZE, the number of records, in decimal digits
//! BASE64(root)
//! chain HEX, the chain value of the last record
//! time RFC 3339, when it was signed
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_log::Chain;
use thiserror::Error;

use crate::hash::Hash;
use crate::note::{NoteError, SigningKey, VerifyingKey};

/// The tree at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The log, by the name of its key.
    pub origin: String,
    /// How many records it covers: those at the positions 1 to this.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The chain value of the last of them.
    pub chain: Chain,
    /// When it was signed (RFC 3339, UTC).
    pub time: String,
}

/// Why a head can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed, but no head.
    #[error("read the signed head: {what} is missing or has another form")]
    Form {
        /// Which part.
        what: &'static str,
    },
}

impl TreeHead {
    /// The head as a signed note.
    #[must_use]
    pub fn signed(&self, key: &SigningKey) -> String {
        let Self { origin, size, root, chain, time } = self;
        let root = STANDARD.encode(root.0);
        key.sign(&format!("{origin}\n{size}\n{root}\nchain {}\ntime {time}\n", chain.digits()))
    }

    /// Reads a note that `key` signed.
    ///
    /// # Errors
    /// When the key didn't sign it, or it is no head.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Self, HeadError> {
        let mut lines = key.open(note)?.lines();
        let mut next = |what| lines.next().ok_or(HeadError::Form { what });
        let origin = next("the origin")?.to_owned();
        let size = next("the size")?.parse().map_err(|_| HeadError::Form { what: "the size" })?;
        let root = STANDARD.decode(next("the root")?).ok().and_then(|root| root.try_into().ok());
        let root = Hash(root.ok_or(HeadError::Form { what: "the root" })?);
        let chain = next("the chain")?.strip_prefix("chain ").and_then(read_hex).map(Chain);
        let chain = chain.ok_or(HeadError::Form { what: "the chain" })?;
        let time = next("the time")?.strip_prefix("time ").ok_or(HeadError::Form { what: "the time" })?.to_owned();
        Ok(Self { origin, size, root, chain, time })
    }
}

fn read_hex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (place, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_from_its_note() {
        let key = SigningKey::from_seed(&[1; 32]);
        let head = TreeHead {
            origin: key.public().name().to_owned(),
            size: 12,
            root: Hash([3; 32]),
            chain: Chain([0xab; 32]),
            time: "2026-11-23T01:00:00.000Z".to_owned(),
        };
        let note = head.signed(&key);
        assert_eq!(TreeHead::open(&note, key.public()).unwrap(), head);
        let other = key.sign("leadfold.log/0\nmany\n");
        assert_eq!(TreeHead::open(&other, key.public()), Err(HeadError::Form { what: "the size" }));
    }
}
