//! The master key: wraps all other keys, and the secret behind identifier hashes.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::vault::VAULT_FILE;

/// The master key's file in the vault's folder: 64 hexadecimal digits and a line feed.
pub const MASTER_FILE: &str = "master.key";
/// Readable and writable for the owner alone.
const OWNER_ONLY: u32 = 0o600;
/// What separates signatures from every other use of the master key. Never to be changed.
const SIGNING_CONTEXT: &str = "leadfold 2026-11-23 signatures of log heads";
/// What separates identifier hashes from every other use of the master key. Never to be changed.
const IDENTIFIER_CONTEXT: &str = "leadfold 2025-01-01 keyed hashes of identifiers";

/// 32 secret bytes, wiped from memory when dropped. Its `Debug` form shows none of them.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// The key with these bytes, which should be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 64 hexadecimal digits; space around them is ignored.
    ///
    /// # Errors
    /// [`VaultError::MasterMalformed`] for anything else.
    pub fn from_hex(digits: &str) -> Result<Self, VaultError> {
        let digits = digits.trim().as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let mut bytes = Zeroizing::new([0; 32]);
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(VaultError::MasterMalformed);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(VaultError::MasterMalformed) };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }

    /// The key in the file `master.key` of a vault's folder. Where there is neither that file nor a vault, makes a
    /// new one from the operating system's randomness, readable for the owner alone and durable on return.
    ///
    /// # Errors
    /// [`VaultError::MasterMissing`] where there is a vault without the file; or when the file can't be read or made.
    pub fn in_folder(folder: &Path) -> Result<Self, VaultError> {
        let path = folder.join(MASTER_FILE);
        let storage = |doing, source| VaultError::Storage { doing, path: path.clone(), source };
        match fs::read(&path).map(Zeroizing::new) {
            Ok(text) => Self::from_hex(str::from_utf8(&text).map_err(|_| VaultError::MasterMalformed)?),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage("read", error)),
            Err(_) if folder.join(VAULT_FILE).exists() => Err(VaultError::MasterMissing { path }),
            Err(_) => {
                let mut bytes = Zeroizing::new([0; 32]);
                fill_randomly(bytes.as_mut_slice())?;
                let mut text = Zeroizing::new(String::with_capacity(65));
                for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
                    text.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
                }
                text.push('\n');
                fs::create_dir_all(folder).map_err(|error| storage("create", error))?;
                create_whole(&path, text.as_bytes()).map_err(|error| storage("create", error))?;
                Ok(Self(bytes))
            }
        }
    }

    /// The secret for hashing identifiers: the same for the same master key, and of no use to find that key.
    pub(crate) fn identifier_key(&self) -> [u8; 32] {
        blake3::derive_key(IDENTIFIER_CONTEXT, self.0.as_slice())
    }

    /// The secret that the log's signing key follows from: the same for the same master key, and of no use to find that.
    pub(crate) fn signing_seed(&self) -> [u8; 32] {
        blake3::derive_key(SIGNING_CONTEXT, self.0.as_slice())
    }

    /// The cipher that wraps keys.
    pub(crate) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Fills `bytes` with the operating system's randomness.
pub(crate) fn fill_randomly(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|error| VaultError::Randomness { reason: error.to_string() })
}

/// Creates a file that is there with all its bytes or not at all, durable on return.
pub(crate) fn create_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
