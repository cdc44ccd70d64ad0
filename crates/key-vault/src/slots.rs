//! Where slots are kept: in a file, or in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::slot::{Block, EMPTY, SLOT_BYTES};

/// Slots by key number.
#[derive(Debug)]
pub(crate) enum Slots {
    /// Block `n` of a file.
    Disk(File),
    /// Blocks in memory.
    Memory(Mutex<BTreeMap<u64, Block>>),
}

impl Slots {
    /// The `count` blocks from `first` on. Blocks behind the end, and one that the end cuts, are empty.
    pub(crate) fn read(&self, first: u64, count: usize) -> io::Result<Vec<Block>> {
        match self {
            Self::Disk(file) => read_blocks(file, first, count),
            Self::Memory(slots) => {
                let slots = lock(slots);
                Ok((first..).take(count).map(|number| slots.get(&number).copied().unwrap_or(EMPTY)).collect())
            }
        }
    }

    /// Writes blocks from `first` on. Not durable on return.
    pub(crate) fn write(&self, first: u64, blocks: &[Block]) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.write_all_at(blocks.as_flattened(), offset(first)),
            Self::Memory(slots) => {
                lock(slots).extend((first..).zip(blocks.iter().copied()));
                Ok(())
            }
        }
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.sync_data(),
            Self::Memory(_) => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a block begins in the file.
fn offset(number: u64) -> u64 {
    number * SLOT_BYTES as u64
}

fn read_blocks(file: &File, first: u64, count: usize) -> io::Result<Vec<Block>> {
    let mut blocks = vec![EMPTY; count];
    let bytes = blocks.as_flattened_mut();
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset(first) + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = filled - filled % SLOT_BYTES;
    bytes.iter_mut().skip(whole).for_each(|byte| *byte = 0);
    Ok(blocks)
}
