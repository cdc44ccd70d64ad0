//! One visitor's key, and what it seals.

use std::fmt;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use zeroize::Zeroizing;

use crate::error::OpenError;

/// How many bytes a sealed part is longer than what is sealed: the authentication tag.
pub const SEAL_OVERHEAD: usize = 16;

/// One key for sealing personal data. Wiped from memory when dropped; its `Debug` form shows nothing of it.
///
/// A seal is AES-256-GCM: the ciphertext, as long as the plaintext, then 16 bytes of tag. The nonce is the first 12 bytes
/// of the record's chain value; the associated data is the whole chain value. So a sealed part opens only in its own
/// record.
///
/// A nonce can't meet a second plaintext under one key. The chain value hashes the record's position, its times and its
/// facts, which hold a fingerprint of an interaction's whole content. Within a log every position is written once. After a
/// crash that lost unsynced records a position may be written again: the same content gives the same bytes, other
/// content (or a later time) another chain value and so another nonce, but for a collision of 96 bits of BLAKE3.
///
/// The key schedule is made for each seal: it costs less than keeping it, at ten times the key's size, for every visitor.
#[derive(Clone)]
pub struct SubjectKey {
    bytes: Zeroizing<[u8; 32]>,
}

impl SubjectKey {
    /// The key with these bytes, which must be random and stay secret.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self { bytes: Zeroizing::new(*bytes) }
    }

    /// Appends the sealed `plaintext` to `out`: [`SEAL_OVERHEAD`] bytes more than it. `chain` is the chain value of
    /// its record.
    #[expect(clippy::expect_used, reason = "only refused beyond 256 GiB, which no record's length field can state")]
    pub fn seal_into(&self, chain: &[u8; 32], plaintext: &[u8], out: &mut Vec<u8>) {
        out.reserve(plaintext.len() + SEAL_OVERHEAD);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let (_, sealed) = out.split_at_mut(start);
        let tag = self.cipher().encrypt_in_place_detached(&nonce(chain), chain, sealed);
        out.extend_from_slice(&tag.expect("a plaintext is shorter than 256 GiB"));
    }

    /// Opens what was sealed for the record with this chain value.
    ///
    /// # Errors
    /// When a byte was altered, or the record or the key is another.
    pub fn open(&self, chain: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (text, tag) = sealed.split_last_chunk::<SEAL_OVERHEAD>().ok_or(OpenError)?;
        let mut text = text.to_vec();
        let opened = self.cipher().decrypt_in_place_detached(&nonce(chain), chain, &mut text, Tag::from_slice(tag));
        opened.map(|()| text).map_err(|_| OpenError)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.bytes).into())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// The first 12 bytes of the chain value.
fn nonce(chain: &[u8; 32]) -> Nonce<aes_gcm::aead::consts::U12> {
    Nonce::from_iter(chain.iter().take(12).copied())
}
