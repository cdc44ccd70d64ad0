//! Signed notes (C2SP signed-note) with Ed25519, and the heads in them (C2SP tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// A name and a public key, written `NAME+KEYID+BASE64(0x01 ‖ key)`.
pub(crate) struct Key {
    name: String,
    key: VerifyingKey,
}

/// The tree at one size.
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) time: String,
}

impl Key {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (_, encoded) = rest.split_once('+')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let key = VerifyingKey::from_bytes(bytes.strip_prefix(&[1])?.try_into().ok()?).ok()?;
        let key = Self { name: name.to_owned(), key };
        let id: String = key.id().iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("{name}+{id}+{encoded}") == text).then_some(key)
    }

    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(&self.name).chain_update(b"\n\x01").chain_update(self.key.as_bytes());
        digest.finalize().first_chunk().copied().unwrap_or_default()
    }

    /// The text of a note, if it has exactly one signature, which is this key's.
    pub(crate) fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let (text, rest) = note.split_at(note.rfind("\n\n")? + 1);
        let line = rest.strip_prefix("\n\u{2014} ")?.strip_suffix('\n')?;
        let (name, signed) = line.split_once(' ')?;
        let signed = STANDARD.decode(signed).ok()?;
        let (id, signature) = signed.split_first_chunk::<4>()?;
        let signature = Signature::from_slice(signature).ok()?;
        let is_ours = name == self.name && *id == self.id();
        (is_ours && self.key.verify_strict(text.as_bytes(), &signature).is_ok()).then_some(text)
    }

    /// The head in a note that this key signed for its own log.
    pub(crate) fn head(&self, note: &str) -> Option<Head> {
        let mut lines = self.open(note)?.lines();
        if lines.next()? != self.name {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let time = lines.find_map(|line| line.strip_prefix("time "))?.to_owned();
        Some(Head { size, root, time })
    }
}
