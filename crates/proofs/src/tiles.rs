//! The roots of complete tiles of 256 leaves, in a file that the log can rebuild. Knows no log.
//!
//! ```text
//! "LFTILE01"   then for each tile, in order:   root (32 bytes) ‖ check (8 bytes)
//! ```
//!
//! The check is the beginning of SHA-256(tile's number ‖ root), so a torn or damaged row is known. Such a row and all
//! behind it are left out on opening, and computed again. A tile of 256 records takes 40 bytes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::hash::Hash;

/// Leaves in a tile.
pub const TILE_LEAVES: u64 = 256;
/// The file in its folder.
pub const TILES_FILE: &str = "tiles";

const MAGIC: &[u8; 8] = b"LFTILE01";
const ROW_BYTES: usize = 40;

/// The roots, by level: of single tiles, of complete pairs of these, and so on up.
#[derive(Debug)]
pub(crate) struct Tiles {
    file: Option<File>,
    levels: Vec<Vec<Hash>>,
}

impl Tiles {
    /// Without a file.
    pub(crate) const fn in_memory() -> Self {
        Self { file: None, levels: Vec::new() }
    }

    /// Opens or makes the file in a folder; keeps at most `tiles_max` of its rows.
    pub(crate) fn open(folder: &Path, tiles_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(TILES_FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut tiles = Self { file: None, levels: Vec::new() };
        if let Some(rows) = bytes.strip_prefix(MAGIC) {
            let known = (0..tiles_max).zip(rows.chunks_exact(ROW_BYTES));
            for root in known.map_while(|(number, row)| read_row(number, row)) {
                tiles.add(root);
            }
        }
        let kept = if bytes.starts_with(MAGIC) { MAGIC.len() + tiles.count() * ROW_BYTES } else { 0 };
        file.set_len(kept as u64)?;
        file.seek(SeekFrom::End(0))?;
        if kept == 0 {
            file.write_all(MAGIC)?;
        }
        tiles.file = Some(file);
        Ok(tiles)
    }

    /// How many are known.
    pub(crate) fn count(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// All of them.
    pub(crate) fn roots(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Adds tiles, in order; to the file in one write.
    pub(crate) fn append(&mut self, roots: &[Hash]) -> io::Result<()> {
        let mut rows = Vec::with_capacity(roots.len() * ROW_BYTES);
        for (number, root) in (self.count() as u64..).zip(roots) {
            rows.extend_from_slice(&root.0);
            rows.extend_from_slice(&check(number, *root));
        }
        if let Some(file) = &mut self.file {
            file.write_all(&rows)?;
        }
        roots.iter().for_each(|root| self.add(*root));
        Ok(())
    }

    /// The root of `2^level` tiles from the one at `first`, where all are known; `first` is a multiple of their number.
    pub(crate) fn root(&self, level: u32, first: u64) -> Option<Hash> {
        let row = self.levels.get(level as usize)?;
        row.get(usize::try_from(first >> level).ok()?).copied()
    }

    fn add(&mut self, root: Hash) {
        let mut root = root;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(root);
            let Some([left, right]) = row.last_chunk::<2>().filter(|_| row.len().is_multiple_of(2)) else { return };
            root = Hash::of_node(*left, *right);
            level += 1;
        }
    }
}

fn check(number: u64, root: Hash) -> [u8; 8] {
    let digest = Sha256::new().chain_update(number.to_be_bytes()).chain_update(root.0).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

fn read_row(number: u64, row: &[u8]) -> Option<Hash> {
    let (root, found) = row.split_first_chunk::<32>()?;
    (found == check(number, Hash(*root))).then_some(Hash(*root))
}

/// A row that differs from what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFault {
    /// The tile's number, from 0; `None` for the file as a whole.
    pub tile: Option<u64>,
    /// What is wrong.
    pub fault: &'static str,
}

/// Compares the file in a folder with the roots that were computed from the log. No file is no fault, nor is one that
/// ends early.
///
/// # Errors
/// When the file can't be read.
pub fn find_tile_faults(folder: &Path, roots: &[Hash]) -> io::Result<Vec<TileFault>> {
    let bytes = match std::fs::read(folder.join(TILES_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let Some(rows) = bytes.strip_prefix(MAGIC) else {
        return Ok(vec![TileFault { tile: None, fault: "the file doesn't begin as such files do" }]);
    };
    let mut faults = Vec::new();
    for (number, row) in (0..).zip(rows.chunks(ROW_BYTES)) {
        let expected = usize::try_from(number).ok().and_then(|number| roots.get(number));
        let fault = match (read_row(number, row), expected) {
            (_, None) => "the log has no such tile",
            (None, Some(_)) => "the row is damaged",
            (Some(root), Some(expected)) if root != *expected => "the row differs from what the log says",
            (Some(_), Some(_)) => continue,
        };
        faults.push(TileFault { tile: Some(number), fault });
    }
    Ok(faults)
}
