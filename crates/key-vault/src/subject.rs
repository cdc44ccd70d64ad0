//! One visitor's key, and what it seals.

use std::fmt;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

use crate::error::OpenError;

/// How many bytes a sealed part is longer than what is sealed: the authentication tag.
pub const SEAL_OVERHEAD: usize = 16;

/// One key for sealing personal data. Wiped from memory when dropped; its `Debug` form shows nothing of it.
///
/// A seal is XChaCha20-Poly1305: the ciphertext, as long as the plaintext, then 16 bytes of tag. The nonce is the
/// record's position (8 bytes, big-endian) and the first 16 bytes of its chain value; the associated data is the whole
/// chain value. So a sealed part opens only in its own record.
///
/// A nonce can't meet a second plaintext. Within a log every position is written once. After a crash that lost
/// unsynced records a position may be written again, but then either with the same content, which gives the same
/// bytes, or with another: a record's facts hold a fingerprint of its whole content, the chain value hashes the facts,
/// so the chain value and with it the nonce differs, but for a collision of 128 bits of BLAKE3.
#[derive(Clone)]
pub struct SubjectKey {
    cipher: XChaCha20Poly1305,
}

impl SubjectKey {
    /// The key with these bytes, which must be random and stay secret.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(bytes.into()) }
    }

    /// Appends the sealed `plaintext` to `out`: [`SEAL_OVERHEAD`] bytes more than it. `chain` is the chain value of
    /// the record at `position` whose facts hold a fingerprint of the plaintext.
    #[expect(clippy::expect_used, reason = "only refused beyond 256 GiB, which no record's length field can state")]
    pub fn seal_into(&self, position: u64, chain: &[u8; 32], plaintext: &[u8], out: &mut Vec<u8>) {
        out.reserve(plaintext.len() + SEAL_OVERHEAD);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let (_, sealed) = out.split_at_mut(start);
        let tag = self.cipher.encrypt_in_place_detached(&nonce(position, chain), chain, sealed);
        out.extend_from_slice(&tag.expect("a plaintext is shorter than 256 GiB"));
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// When a byte was altered, or the place or the key is another.
    pub fn open(&self, position: u64, chain: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (text, tag) = sealed.split_last_chunk::<SEAL_OVERHEAD>().ok_or(OpenError)?;
        let mut text = text.to_vec();
        let opened =
            self.cipher.decrypt_in_place_detached(&nonce(position, chain), chain, &mut text, Tag::from_slice(tag));
        opened.map(|()| text).map_err(|_| OpenError)
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// `position u64 big-endian | first 16 bytes of the chain value`.
fn nonce(position: u64, chain: &[u8; 32]) -> XNonce {
    let place = position.to_be_bytes();
    XNonce::from_iter(place.iter().chain(chain.iter().take(16)).copied())
}
