//! Why a vault could not do what was asked.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::vault::KEY_NUMBER_MAX;

/// Why a vault could not do what was asked. None of these goes away by trying again, but [`VaultError::Storage`] may
/// after opening again.
#[derive(Debug, Error)]
pub enum VaultError {
    /// A file could not be read or written. After a failed write or sync the vault takes no more keys.
    #[error("{doing} \"{}\"", path.display())]
    Storage {
        /// What was being done: "open", "write to" …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier write or sync failed, so what is durable is unknown. Stop the process; opening again finds out.
    #[error("write to the key vault after a failed write; stop, and open it again")]
    Poisoned,
    /// The operating system gave no random bytes.
    #[error("get random bytes for a key: {reason}")]
    Randomness {
        /// What it said.
        reason: String,
    },
    /// There is a vault but no master key.
    #[error(
        "open the key vault: it holds keys, but the master key \"{}\" is missing. Restore that file, or give the \
         master key in the configuration", path.display()
    )]
    MasterMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The vault's keys are wrapped by another master key.
    #[error("open the key vault: the master key is not the one that its keys are wrapped with. Give the right one")]
    WrongMaster,
    /// A master key that isn't one.
    #[error("read the master key: it must be 64 hexadecimal digits")]
    MasterMalformed,
    /// The first block of the slot file is damaged.
    #[error("open the key vault: its header is damaged. Restore the file from its backup")]
    HeaderDamaged,
    /// Written by a newer program.
    #[error("open the key vault: its format is {found}, this program knows {known}. Use a newer program")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// A slot's bytes differ from what was written.
    #[error("read key {number}: its slot is damaged. Restore the vault from its backup")]
    SlotDamaged {
        /// Which key.
        number: u64,
    },
    /// The key was destroyed and stays so.
    #[error("make key {number}: it was destroyed")]
    Destroyed {
        /// Which key.
        number: u64,
    },
    /// A number that no key can have.
    #[error("use key {number}: keys are numbered from 1 to {KEY_NUMBER_MAX}")]
    OutOfRange {
        /// Which number.
        number: u64,
    },
    /// The same number was given twice.
    #[error("make key {number} twice at once")]
    Repeated {
        /// Which number.
        number: u64,
    },
}

/// A sealed part doesn't open: a byte was altered, or it was sealed for another place or with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("open a sealed part: it was altered, or sealed for another place or with another key")]
pub struct OpenError;
