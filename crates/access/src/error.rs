//! Why keys could not be kept or found.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::role::Role;
use crate::scope::BadScope;
use crate::store::KEYS_MAX;
use crate::token::KeyId;

/// Why keys could not be kept or found. Only [`AccessError::Storage`] may go away by trying again.
#[derive(Debug, Error)]
pub enum AccessError {
    /// A file could not be read or written. After a failed write the keys are those from before, or with the change.
    #[error("{doing} \"{}\"", path.display())]
    Storage {
        /// What was being done: "read", "lock" …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file isn't as it was written.
    #[error("read the API keys: \"{}\" is damaged: {fault}. Restore it from a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        fault: String,
    },
    /// Written by a newer program.
    #[error("read the API keys: \"{}\" has format {found}, this program knows {known}. Use a newer program", path.display())]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// There were keys while this process ran, and now there are none.
    #[error(
        "read the API keys: \"{}\" held some and is gone or empty now. Restore it from a backup; or restart to go on \
         without API keys", path.display()
    )]
    Gone {
        /// Which file.
        path: PathBuf,
    },
    /// There is no key with that id.
    #[error("find the API key {id}; see `leadfold keys list`")]
    UnknownKey {
        /// The id.
        id: KeyId,
    },
    /// A text that is no key's id.
    #[error("tell which API key is meant: an id is the 8 characters behind lf_; see `leadfold keys list`")]
    BadId,
    /// Only admins reach all tenants.
    #[error("create a key of the role {role} for all tenants; name one tenant, or make it an admin's")]
    AllTenants {
        /// The role asked for.
        role: Role,
    },
    /// A tenant's name that none can have.
    #[error("{}", BadScope)]
    BadTenant,
    /// A name that would spoil lists.
    #[error(
        "give the key that name; it must be at most {bytes_max} bytes without line feeds or other control characters"
    )]
    BadName {
        /// The longest one, in bytes.
        bytes_max: usize,
    },
    /// The file is full.
    #[error("create another API key: there are {KEYS_MAX} already, revoked ones included")]
    Full,
    /// The operating system gave no random bytes.
    #[error("get random bytes for an API key: {reason}")]
    Randomness {
        /// What it said.
        reason: String,
    },
}
