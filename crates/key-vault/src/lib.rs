//! Keys that personal data is sealed with: one per visitor, wrapped by a master key, destroyed to erase the visitor.
//!
//! This crate knows key numbers, slots and seals. It knows no visitors and no records, and decides nothing about who
//! may read or erase.
//!
//! A vault is a folder with two files, which belong in no backup of the log: whoever holds a log, the vault and the
//! master key can read what was erased after those copies were made.

#![forbid(unsafe_code)]

mod error;
mod master;
mod slot;
mod slots;
mod subject;
mod vault;

pub use error::{OpenError, VaultError};
pub use master::{MASTER_FILE, MasterKey};
pub use slot::{KeySlot, SLOT_BYTES};
pub use subject::{SEAL_OVERHEAD, SubjectKey};
pub use vault::{KEY_NUMBER_MAX, KeyVault, VAULT_FILE};
