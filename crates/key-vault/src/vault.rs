//! The vault: makes, finds and destroys keys by their number.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::master::{MasterKey, create_whole, fill_randomly};
use crate::slot::{self, Block, KeySlot, Nonce, VaultId};
use crate::slots::Slots;
use crate::subject::SubjectKey;

/// The slot file in the vault's folder.
pub const VAULT_FILE: &str = "keys.vault";
/// The highest key number: its slot ends at 8 TiB, within what ext4 takes in one file.
pub const KEY_NUMBER_MAX: u64 = (1 << 36) - 1;
/// How many random bytes a new key takes: a nonce to wrap it with, and the key.
const RANDOM_BYTES: usize = 24 + 32;

/// Numbered keys, wrapped by a master key. Safe to use from several threads; one process at a time.
///
/// Its `Debug` form shows no key.
pub struct KeyVault {
    id: VaultId,
    cipher: XChaCha20Poly1305,
    identifier_key: Zeroizing<[u8; 32]>,
    signing_seed: Zeroizing<[u8; 32]>,
    slots: Slots,
    /// For errors.
    path: PathBuf,
    /// Set by writes, taken by the next sync.
    unsynced: AtomicBool,
    /// Held while writing slots: slots between new ones are written again as they are.
    writing: Mutex<()>,
    /// Held while syncing, so that nobody takes another thread's sync in progress for done.
    syncing: Mutex<()>,
    poisoned: AtomicBool,
}

impl KeyVault {
    /// Opens the vault in a folder, or makes an empty one there.
    ///
    /// # Errors
    /// When the vault is of another master key or a newer format, damaged, or can't be read or made.
    pub fn open(folder: &Path, master: MasterKey) -> Result<Self, VaultError> {
        let path = folder.join(VAULT_FILE);
        let storage = |doing, source| VaultError::Storage { doing, path: path.clone(), source };
        let cipher = master.cipher();
        if !path.exists() {
            let mut random = [0; 40];
            fill_randomly(&mut random)?;
            let (id, nonce) = split(&random);
            let header = slot::new_header(&cipher, VaultId(id), Nonce(nonce))?;
            fs::create_dir_all(folder).map_err(|error| storage("create", error))?;
            create_whole(&path, &header).map_err(|error| storage("create", error))?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| storage("open", error))?;
        let slots = Slots::Disk(file);
        let header = slots.read(0, 1).map_err(|error| storage("read", error))?;
        let header = header.first().ok_or(VaultError::HeaderDamaged)?;
        let id = slot::read_header(&cipher, header)?;
        Ok(Self::of(&master, id, slots, path))
    }

    /// An empty vault in memory, for tests and trials.
    #[must_use]
    pub fn in_memory(master: MasterKey) -> Self {
        Self::of(&master, VaultId([0; 16]), Slots::Memory(Mutex::new(BTreeMap::new())), PathBuf::from("memory"))
    }

    fn of(master: &MasterKey, id: VaultId, slots: Slots, path: PathBuf) -> Self {
        Self {
            id,
            cipher: master.cipher(),
            identifier_key: Zeroizing::new(master.identifier_key()),
            signing_seed: Zeroizing::new(master.signing_seed()),
            slots,
            path,
            unsynced: AtomicBool::new(false),
            writing: Mutex::new(()),
            syncing: Mutex::new(()),
            poisoned: AtomicBool::new(false),
        }
    }

    /// Makes new random keys with these numbers and returns them in that order. Call [`KeyVault::sync`] before a
    /// record that uses one of them becomes durable.
    ///
    /// A key that is there is replaced: only for numbers that no durable record uses, as after a crash between making
    /// keys and writing records.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`], [`VaultError::OutOfRange`] and [`VaultError::Repeated`] without effect. After a
    /// failed write the vault takes no more keys.
    pub fn create_many(&self, numbers: &[u64]) -> Result<Vec<SubjectKey>, VaultError> {
        let mut random = Zeroizing::new(vec![[0; RANDOM_BYTES]; numbers.len()]);
        fill_randomly(random.as_flattened_mut())?;
        let mut keys = Vec::with_capacity(numbers.len());
        let mut blocks = Vec::with_capacity(numbers.len());
        for (number, random) in numbers.iter().zip(random.iter()) {
            check_range(*number)?;
            let (nonce, key) = split(random);
            let key = Zeroizing::new(key);
            keys.push(SubjectKey::from_bytes(&key));
            blocks.push((*number, slot::live(&self.cipher, self.id, *number, (&Nonce(nonce), &key))));
        }
        blocks.sort_unstable_by_key(|(number, _)| *number);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for (first, blocks) in self.filled(&blocks)? {
            self.write(first, &blocks)?;
        }
        Ok(keys)
    }

    /// Makes every key created so far durable. Costs nothing when they are.
    ///
    /// # Errors
    /// When the sync fails; the process must stop, for what is durable is unknown.
    pub fn sync(&self) -> Result<(), VaultError> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_sound()?;
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.slots.sync().map_err(|source| self.poison("sync", source))
    }

    /// What is in the place of a key number.
    ///
    /// # Errors
    /// When the slot is damaged or can't be read, or the number is out of range.
    pub fn get(&self, number: u64) -> Result<KeySlot, VaultError> {
        check_range(number)?;
        let found = self.slots.read(number, 1).map_err(|source| self.storage("read", source))?;
        let found = found.first().ok_or(VaultError::SlotDamaged { number })?;
        slot::read(&self.cipher, self.id, number, found)
    }

    /// Destroys a key for good, whether or not it is there. Durable on return. Copies of the key that are in use
    /// elsewhere are the caller's to drop.
    ///
    /// # Errors
    /// When the slot can't be written; it may be destroyed or not, so destroy it again after opening again.
    pub fn destroy(&self, number: u64) -> Result<(), VaultError> {
        check_range(number)?;
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(number, &[slot::destroyed()])?;
        drop(writing);
        self.sync()
    }

    /// The secret for keyed hashes of identifiers. The same for the same master key.
    #[must_use]
    pub fn identifier_key(&self) -> [u8; 32] {
        *self.identifier_key
    }

    /// The secret that the log's signing key follows from. The same for the same master key.
    #[must_use]
    pub fn signing_seed(&self) -> Zeroizing<[u8; 32]> {
        self.signing_seed.clone()
    }

    /// The parts of the file that the new slots stand in, with them, once it is clear that no number is there twice and
    /// none was destroyed.
    fn filled(&self, new: &[(u64, Block)]) -> Result<Vec<(u64, Vec<Block>)>, VaultError> {
        let mut parts = Vec::new();
        for span in spans(new) {
            let (Some((first, _)), Some((last, _))) = (span.first(), span.last()) else { continue };
            let length = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            let mut blocks = self.slots.read(*first, length).map_err(|source| self.storage("read", source))?;
            let mut wanted = span.iter().peekable();
            for (number, place) in (*first..).zip(&mut blocks) {
                if let Some((_, block)) = wanted.next_if(|(wanted, _)| *wanted == number) {
                    if slot::is_destroyed(place) {
                        return Err(VaultError::Destroyed { number });
                    }
                    *place = *block;
                }
            }
            if let Some((number, _)) = wanted.next() {
                return Err(VaultError::Repeated { number: *number });
            }
            parts.push((*first, blocks));
        }
        Ok(parts)
    }

    /// Writes slots from `first` on. Whoever calls it holds `writing`.
    fn write(&self, first: u64, blocks: &[Block]) -> Result<(), VaultError> {
        self.check_sound()?;
        self.slots.write(first, blocks).map_err(|source| self.poison("write to", source))?;
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }

    fn check_sound(&self) -> Result<(), VaultError> {
        if self.poisoned.load(Ordering::Acquire) { Err(VaultError::Poisoned) } else { Ok(()) }
    }

    fn poison(&self, doing: &'static str, source: io::Error) -> VaultError {
        self.poisoned.store(true, Ordering::Release);
        self.storage(doing, source)
    }

    fn storage(&self, doing: &'static str, source: io::Error) -> VaultError {
        VaultError::Storage { doing, path: self.path.clone(), source }
    }
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The parts whose numbers stand so close that one write takes them all: visitors' numbers are every second one.
fn spans(blocks: &[(u64, Block)]) -> impl Iterator<Item = &[(u64, Block)]> {
    blocks.chunk_by(|(number, _), (next, _)| next - number <= 2)
}

fn check_range(number: u64) -> Result<(), VaultError> {
    if (1..=KEY_NUMBER_MAX).contains(&number) { Ok(()) } else { Err(VaultError::OutOfRange { number }) }
}

/// The first and the last bytes of random ones.
fn split<const A: usize, const B: usize>(random: &[u8]) -> ([u8; A], [u8; B]) {
    let first = random.first_chunk().copied().unwrap_or([0; A]);
    let last = random.last_chunk().copied().unwrap_or([0; B]);
    (first, last)
}
