//! Making, listing and revoking keys.

use std::path::Path;

use chrono::{DateTime, SubsecRound, Utc};

use crate::error::AccessError;
use crate::file::AccessFile;
use crate::guard::Guard;
use crate::record::{KeyRecord, NewKey, StoredKey};
use crate::token::{KeyId, Token, TokenHash};

/// How many keys a file takes, revoked ones included: more than anybody looks after, and read in milliseconds.
pub const KEYS_MAX: usize = 10_000;

/// The keys in one folder. Any number of stores, in any number of processes, may work on one folder: changes wait for
/// each other, and none is lost.
#[derive(Clone, Debug)]
pub struct KeyStore {
    file: AccessFile,
}

impl KeyStore {
    /// The keys in the file `access.json` of a folder. A missing file means that there are no keys.
    ///
    /// # Errors
    /// When there is a file that can't be read, is damaged, or was written by a newer program.
    pub fn open(folder: &Path) -> Result<Self, AccessError> {
        let file = AccessFile::in_folder(folder);
        file.read()?;
        Ok(Self { file })
    }

    /// Makes a key, durable on return. The token can't be had again.
    ///
    /// # Errors
    /// When no such key may be, or when it can't be stored; a key may be there then that nobody has the token of.
    pub fn create(&self, new: NewKey) -> Result<(Token, KeyRecord), AccessError> {
        let lock = self.file.lock()?;
        let (_, mut keys) = self.file.read()?;
        if keys.len() >= KEYS_MAX {
            return Err(AccessError::Full);
        }
        let mut id = KeyId::random()?;
        while keys.iter().any(|key| key.record.id == id) {
            id = KeyId::random()?;
        }
        let record = new.record(id)?;
        let token = Token::random(id)?;
        keys.push(StoredKey { record: record.clone(), hash: TokenHash::of(token.expose()) });
        self.file.replace(&keys, &lock)?;
        Ok((token, record))
    }

    /// All keys, revoked ones included, in the order in which they were made.
    ///
    /// # Errors
    /// As [`KeyStore::open`].
    pub fn list(&self) -> Result<Vec<KeyRecord>, AccessError> {
        let (_, keys) = self.file.read()?;
        Ok(keys.into_iter().map(|key| key.record).collect())
    }

    /// Revokes a key, for good: durable on return, and no [`Guard`] in any process lets it pass from then on. A key
    /// that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`]; or when the change can't be stored.
    pub fn revoke(&self, id: KeyId, now: DateTime<Utc>) -> Result<KeyRecord, AccessError> {
        let lock = self.file.lock()?;
        let (_, mut keys) = self.file.read()?;
        let key = keys.iter_mut().find(|key| key.record.id == id).ok_or(AccessError::UnknownKey { id })?;
        if key.record.revoked_at.is_some() {
            return Ok(key.record.clone());
        }
        key.record.revoked_at = Some(now.trunc_subsecs(3));
        let record = key.record.clone();
        self.file.replace(&keys, &lock)?;
        Ok(record)
    }

    /// A guard over these keys.
    ///
    /// # Errors
    /// As [`KeyStore::open`].
    pub fn guard(&self) -> Result<Guard, AccessError> {
        Guard::over(self.file.clone())
    }
}
