//! The tree over a log's records: its roots, and proofs that a record is in it and that it only ever grew.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use event_log::{EventLog, LogError, LogPosition, Record};
use thiserror::Error;

use crate::hash::{Hash, leaf_of};
use crate::tiles::{TILE_LEAVES, Tiles};

/// Tiles written to the file in one go: a quarter of a million records.
const TILES_AT_ONCE: usize = 1_024;

/// Why there is no root or proof.
#[derive(Debug, Error)]
pub enum TreeError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file of tiles failed.
    #[error("keep the tiles of the tree")]
    Tiles(#[from] io::Error),
    /// Asked for more records than there are, or for none.
    #[error("prove something about {asked} in a tree of {size} records")]
    OutOfRange {
        /// The record or number of records.
        asked: u64,
        /// How many records the tree has.
        size: u64,
    },
}

/// The tree over one log.
///
/// It keeps the roots of complete tiles of 256 records, 40 bytes each on disk and about 64 in memory, and reads what is
/// inside a tile from the log when it is asked for.
pub struct LogTree {
    log: Arc<dyn EventLog>,
    tiles: Tiles,
}

impl LogTree {
    /// Opens the tree of a log whose tiles are kept in a folder, which is made where it isn't there.
    ///
    /// # Errors
    /// When the folder can't be read or made.
    pub fn open(log: Arc<dyn EventLog>, folder: &Path) -> Result<Self, TreeError> {
        let tiles = Tiles::open(folder, log.head().position.0 / TILE_LEAVES)?;
        Ok(Self { log, tiles })
    }

    /// The tree of a log, without a file: it begins with the first record.
    #[must_use]
    pub const fn in_memory(log: Arc<dyn EventLog>) -> Self {
        Self { log, tiles: Tiles::in_memory() }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The roots of the complete tiles that were taken in, in order.
    #[must_use]
    pub fn tiles(&self) -> &[Hash] {
        self.tiles.roots()
    }

    /// Takes in the records up to the end of the log, or as many as `progress` lets: it is told the position reached, some
    /// hundred thousand records apart, and says whether to go on.
    ///
    /// # Errors
    /// When the log or the file fails; what was taken in stays.
    pub fn extend(&mut self, progress: &mut dyn FnMut(LogPosition) -> ControlFlow<()>) -> Result<(), TreeError> {
        let whole = self.log.head().position.0 / TILE_LEAVES;
        loop {
            let known = self.tiles.count() as u64;
            let wanted = whole.saturating_sub(known).min(TILES_AT_ONCE as u64);
            if wanted == 0 {
                return Ok(());
            }
            let leaves = self.leaves(known * TILE_LEAVES..(known + wanted) * TILE_LEAVES)?;
            let per_tile = usize::try_from(TILE_LEAVES).unwrap_or(usize::MAX);
            let roots: Vec<Hash> = leaves.chunks(per_tile).map(root_of).collect();
            self.tiles.append(&roots)?;
            if progress(LogPosition((known + wanted) * TILE_LEAVES)).is_break() {
                return Ok(());
            }
        }
    }

    /// The root over the first `size` records.
    ///
    /// # Errors
    /// When the log ends before, or fails.
    pub fn root(&self, size: u64) -> Result<Hash, TreeError> {
        self.check(size, size)?;
        if size == 0 { Ok(Hash::of_nothing()) } else { self.hash(0..size) }
    }

    /// The hashes beside the way from the record at `position` up to the root over the first `size` records, from below
    /// (RFC 9162, section 2.1.3).
    ///
    /// # Errors
    /// When the record is not among them, or the log fails.
    pub fn inclusion(&self, position: LogPosition, size: u64) -> Result<Vec<Hash>, TreeError> {
        let index = position.0.checked_sub(1).filter(|index| *index < size);
        let index = index.ok_or(TreeError::OutOfRange { asked: position.0, size })?;
        self.check(size, size)?;
        let mut path = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.hash(middle..end)?);
                end = middle;
            } else {
                path.push(self.hash(start..middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The hashes that show that the tree over `size` records begins with the one over `earlier` (RFC 9162, section 2.1.4).
    ///
    /// # Errors
    /// When `earlier` is none or more than `size`, or the log fails.
    pub fn consistency(&self, earlier: u64, size: u64) -> Result<Vec<Hash>, TreeError> {
        self.check(size, size)?;
        self.check(earlier, size)?;
        if earlier == 0 {
            return Err(TreeError::OutOfRange { asked: 0, size });
        }
        let mut proof = Vec::new();
        let (mut start, mut end) = (0, size);
        // The earlier tree ends at `earlier`; once that is the end of the part looked at, the part is one of its own.
        while earlier != end {
            let middle = start + split(end - start);
            if earlier <= middle {
                proof.push(self.hash(middle..end)?);
                end = middle;
            } else {
                proof.push(self.hash(start..middle)?);
                start = middle;
            }
        }
        if start > 0 {
            proof.push(self.hash(start..end)?);
        }
        proof.reverse();
        Ok(proof)
    }

    fn check(&self, asked: u64, size: u64) -> Result<(), TreeError> {
        let known = self.log.head().position.0;
        if asked <= size && size <= known {
            Ok(())
        } else {
            Err(TreeError::OutOfRange { asked, size: known.min(size) })
        }
    }

    /// The hash over leaves; a range that came of splitting a tree, so long ones begin at a tile.
    fn hash(&self, range: Range<u64>) -> Result<Hash, TreeError> {
        let length = range.end - range.start;
        if length.is_power_of_two() && length >= TILE_LEAVES {
            let level = (length / TILE_LEAVES).trailing_zeros();
            if let Some(root) = self.tiles.root(level, range.start / TILE_LEAVES) {
                return Ok(root);
            }
        }
        if length <= TILE_LEAVES {
            return Ok(root_of(&self.leaves(range)?));
        }
        let middle = range.start + split(length);
        Ok(Hash::of_node(self.hash(range.start..middle)?, self.hash(middle..range.end)?))
    }

    /// The leaves of the records behind `range.start`, up to the one at `range.end`.
    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, TreeError> {
        let mut leaves = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
        let mut take = |record: Record<'_>| {
            if record.header.position.0 > range.end {
                return ControlFlow::Break(());
            }
            leaves.push(leaf_of(&record));
            if record.header.position.0 == range.end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.log.read(LogPosition(range.start + 1), &mut take)?;
        let found = range.start + leaves.len() as u64;
        if found == range.end { Ok(leaves) } else { Err(LogError::Missing { position: LogPosition(found + 1) }.into()) }
    }
}

/// The largest power of two below `leaves`, of which there are at least two.
const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The root over leaves.
pub(crate) fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_nothing(),
        [leaf] => *leaf,
        _ => {
            let at = usize::try_from(split(leaves.len() as u64)).unwrap_or(usize::MAX);
            let (left, right) = leaves.split_at_checked(at).unwrap_or((leaves, &[]));
            Hash::of_node(root_of(left), root_of(right))
        }
    }
}

#[cfg(test)]
mod tests;
