//! Signed notes as C2SP describes them (signed-note, version 1), with Ed25519. Knows no trees.
//!
//! ```text
//! text, each line with its end
//! (an empty line)
//! — NAME BASE64(key id: 4 bytes ‖ signature: 64 bytes)
//! ```
//!
//! The key id is the beginning of SHA-256(NAME ‖ 0x0A ‖ 0x01 ‖ public key); a verifier key is written as
//! `NAME+KEYID+BASE64(0x01 ‖ public key)`, as Go's checksum database does.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Ed25519, by the registry of signed notes.
const ALGORITHM: u8 = 1;

/// A note that can't be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It is no note.
    #[error("read the signed note: it has not the form of one")]
    Form,
    /// The key is none.
    #[error("read the public key: it has not the form NAME+ID+KEY")]
    Key,
    /// Nobody signed it whose key is at hand.
    #[error("trust the signed note: it is not signed by {name}")]
    Unsigned {
        /// The key's name.
        name: String,
    },
    /// The signature is not one of this text.
    #[error("trust the signed note: its signature is not one of this text")]
    Signature,
}

/// What signs. Its `Debug` form shows no secret.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: VerifyingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Who signed: a name and a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    key: ed25519_dalek::VerifyingKey,
}

impl SigningKey {
    /// The key that follows from 32 secret bytes. Its name is that of the log: `leadfold.log/` and 16 hexadecimal digits
    /// of the public key's SHA-256.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let id: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let public = VerifyingKey { name: format!("leadfold.log/{id}"), key: key.verifying_key() };
        Self { key, public }
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs a text that ends with a line end.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes());
        let signed = [self.public.id().as_slice(), &signature.to_bytes()].concat();
        format!("{text}\n\u{2014} {} {}\n", self.public.name, STANDARD.encode(signed))
    }
}

impl VerifyingKey {
    /// The log that it speaks for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads `NAME+KEYID+BASE64`.
    ///
    /// # Errors
    /// When it isn't one, or its parts don't belong together.
    pub fn read(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
        let (_, encoded) = rest.split_once('+').ok_or(NoteError::Key)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Key)?;
        let (&[ALGORITHM], key) = bytes.split_first_chunk::<1>().ok_or(NoteError::Key)? else {
            return Err(NoteError::Key);
        };
        let key = key.try_into().map_err(|_| NoteError::Key)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key)?;
        let found = Self { name: name.to_owned(), key };
        if found.to_string() == text { Ok(found) } else { Err(NoteError::Key) }
    }

    /// The text of a note that this key signed.
    ///
    /// # Errors
    /// When it has not the form of a note, or this key didn't sign it.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, rest) = note.split_at(at + 1);
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(NoteError::Form)?;
        for line in lines.split('\n') {
            let (name, signed) =
                line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' ')).ok_or(NoteError::Form)?;
            let signed = STANDARD.decode(signed).map_err(|_| NoteError::Form)?;
            let (id, signature) = signed.split_first_chunk::<4>().ok_or(NoteError::Form)?;
            if name == self.name && *id == self.id() {
                let signature = Signature::from_slice(signature).map_err(|_| NoteError::Form)?;
                let verified = self.key.verify_strict(text.as_bytes(), &signature);
                return verified.map(|()| text).map_err(|_| NoteError::Signature);
            }
        }
        Err(NoteError::Unsigned { name: self.name.clone() })
    }

    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ALGORITHM])
            .chain_update(self.key.as_bytes())
            .finalize();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = [&[ALGORITHM], self.key.as_bytes().as_slice()].concat();
        write!(formatter, "{}+{id}+{}", self.name, STANDARD.encode(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_opens_with_its_key_and_no_other() {
        let (key, other) = (SigningKey::from_seed(&[7; 32]), SigningKey::from_seed(&[8; 32]));
        let note = key.sign("one\ntwo\n");
        assert_eq!(key.public().open(&note).unwrap(), "one\ntwo\n");
        let unsigned = NoteError::Unsigned { name: other.public().name().to_owned() };
        assert_eq!(other.public().open(&note), Err(unsigned));
        let altered = note.replace("one", "own");
        assert_eq!(key.public().open(&altered), Err(NoteError::Signature));
        for broken in ["", "one", "one\n\n", "one\n\n\u{2014} x", &note[..note.len() - 9]] {
            assert_eq!(key.public().open(broken), Err(NoteError::Form), "{broken:?}");
        }
    }

    /// The example of Go's package golang.org/x/mod/sumdb/note.
    #[test]
    fn notes_of_others_open() {
        let key = VerifyingKey::read("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(key.open(&note).unwrap(), text);
    }

    #[test]
    fn a_public_key_reads_back() {
        let key = SigningKey::from_seed(&[7; 32]);
        let text = key.public().to_string();
        assert_eq!(&VerifyingKey::read(&text).unwrap(), key.public());
        for bad in ["", "a+b", "a+00000000+AAAA", &text[1..], &format!("{text}=")] {
            assert_eq!(VerifyingKey::read(bad), Err(NoteError::Key), "{bad}");
        }
    }
}
