//! Letting in those who hold a key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::error::AccessError;
use crate::file::{AccessFile, Identity};
use crate::record::StoredKey;
use crate::role::{Permission, Role};
use crate::scope::Scope;
use crate::token::{self, KeyId, TokenHash};

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The key that came with it.
    pub key_id: KeyId,
    /// What the key may be used for.
    pub role: Role,
    /// Which tenants it reaches.
    pub tenant: Scope,
}

impl Principal {
    /// Whether the key may be used for it, at a tenant that it [reaches](Principal::reaches).
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.role.allows(permission)
    }

    /// Whether the key reaches the tenant of that name.
    #[must_use]
    pub fn reaches(&self, tenant: &str) -> bool {
        self.tenant.reaches(tenant)
    }
}

/// Why nobody is let in with a token. No variant says which part of it was wrong.
#[derive(Debug, Error)]
pub enum Denied {
    /// It is no token, or not that of any key. Send the right one.
    #[error("let in with this API key: there is no such key")]
    Unknown,
    /// The key was revoked. Ask for a new one.
    #[error("let in with the API key {id}: it was revoked")]
    Revoked {
        /// The key's id.
        id: KeyId,
    },
    /// The keys can't be read, so nobody is let in until they can.
    #[error("let in anybody, because the API keys can't be read")]
    Unreadable {
        /// Why.
        #[source]
        source: AccessError,
    },
}

/// Lets in those who hold a key. Clones are cheap and share what was read.
///
/// Each call asks the system whether the file has changed, which takes about a microsecond, so a key revoked by another
/// process is refused from that moment on. If the file can't be read any more, nobody is let in.
#[derive(Clone)]
pub struct Guard {
    shared: Arc<Shared>,
}

struct Shared {
    file: AccessFile,
    loaded: ArcSwap<Loaded>,
    /// Held while reading the file again, so that one caller does it for all who wait.
    reloading: Mutex<()>,
}

/// The keys of one state of the file.
struct Loaded {
    identity: Identity,
    keys: HashMap<KeyId, StoredKey>,
}

impl Guard {
    /// A guard over the keys in the file `access.json` of a folder. A missing file means that there are no keys.
    ///
    /// # Errors
    /// When there is a file that can't be read, is damaged, or was written by a newer program.
    pub fn open(folder: &Path) -> Result<Self, AccessError> {
        Self::over(AccessFile::in_folder(folder))
    }

    pub(crate) fn over(file: AccessFile) -> Result<Self, AccessError> {
        let loaded = ArcSwap::from_pointee(Loaded::read(&file)?);
        Ok(Self { shared: Arc::new(Shared { file, loaded, reloading: Mutex::default() }) })
    }

    /// Says whose token it is.
    ///
    /// # Errors
    /// When it is nobody's, or nobody's any more; or when the keys can't be read.
    pub fn authenticate(&self, token: &str) -> Result<Principal, Denied> {
        let loaded = self.shared.current().map_err(|source| Denied::Unreadable { source })?;
        let id = token::id_in(token).ok_or(Denied::Unknown)?;
        let hash = TokenHash::of(token);
        let StoredKey { record, .. } = loaded.keys.get(&id).filter(|key| key.hash.is(&hash)).ok_or(Denied::Unknown)?;
        if record.revoked_at.is_some() {
            return Err(Denied::Revoked { id });
        }
        Ok(Principal { key_id: id, role: record.role, tenant: record.tenant.clone() })
    }

    /// Whether no key was ever made, so that there is nobody to tell from anybody else. Keys that are all revoked are
    /// keys, and a file that can't be read may hold some.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.current().is_ok_and(|loaded| loaded.keys.is_empty())
    }
}

impl Shared {
    /// The keys as the file has them now.
    fn current(&self) -> Result<Arc<Loaded>, AccessError> {
        let identity = Identity::at(self.file.path())?;
        let loaded = self.loaded.load();
        if loaded.identity == identity {
            return Ok(Arc::clone(&loaded));
        }
        self.reload()
    }

    fn reload(&self) -> Result<Arc<Loaded>, AccessError> {
        let _reloading = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.loaded.load_full();
        if known.identity == Identity::at(self.file.path())? {
            return Ok(known);
        }
        let found = Loaded::read(&self.file)?;
        // Keys are never taken out: a file that was lost must not let everybody in.
        if found.keys.is_empty() && !known.keys.is_empty() {
            return Err(AccessError::Gone { path: self.file.path().to_owned() });
        }
        let found = Arc::new(found);
        self.loaded.store(Arc::clone(&found));
        Ok(found)
    }
}

impl Loaded {
    fn read(file: &AccessFile) -> Result<Self, AccessError> {
        let (identity, keys) = file.read()?;
        Ok(Self { identity, keys: keys.into_iter().map(|key| (key.record.id, key)).collect() })
    }
}
