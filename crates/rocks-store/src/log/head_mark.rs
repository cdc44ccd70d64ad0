//! The head mark: where the log ended after the last synced append, in a small file beside its folder.
//!
//! ```text
//!  0        8        12         16         24      56      72
//!  magic    format   reserved   position   chain   check
//!  8        u32      0          u64        32      16
//! ```
//!
//! Integers are big-endian; `check` is the first 16 bytes of BLAKE3(bytes 0..56). The file is written in place after
//! each append and not synced: it says at least what was durable when the system last wrote it out, and never more. A
//! missing mark says nothing, and so does one that can't be read.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use event_log::{Chain, Head, LogError, LogPosition};

use super::storage;

const MAGIC: &[u8; 8] = b"LFHEAD\n\0";
const FORMAT: u32 = 1;
const CHECKED_BYTES: usize = 56;
const MARK_BYTES: usize = 72;

/// The open file.
pub(super) struct HeadMark {
    file: File,
    /// Whether a failed write was already reported.
    reported: bool,
}

/// Where the mark of a log in `folder` is: `<folder>-head`.
fn path(folder: &Path) -> PathBuf {
    let mut path = OsString::from(folder);
    path.push("-head");
    PathBuf::from(path)
}

/// What the mark says; `None` when it is missing or torn.
pub(super) fn read(folder: &Path) -> Result<Option<Head>, LogError> {
    let path = path(folder);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage("read the head mark of")(error)),
    };
    let head = decode(&bytes);
    if head.is_none() {
        tracing::warn!(path = %path.display(), "the head mark can't be read; it is written anew");
    }
    Ok(head)
}

impl HeadMark {
    /// Opens the mark's file and writes the head into it.
    pub(super) fn open(folder: &Path, head: Head) -> Result<Self, LogError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path(folder));
        let mut mark = Self { file: file.map_err(storage("open the head mark of"))?, reported: false };
        mark.set(head);
        Ok(mark)
    }

    /// Writes where the log ends now. A failure costs no record, so it is only reported, once.
    pub(super) fn set(&mut self, head: Head) {
        let written = self.file.write_all_at(&encode(head), 0);
        if let Err(error) = written
            && !self.reported
        {
            tracing::warn!(%error, "the head mark can't be written; a shortened log may go unnoticed");
            self.reported = true;
        }
    }
}

fn encode(head: Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MARK_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&head.position.to_key());
    bytes.extend_from_slice(&head.chain.0);
    let check = check(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Head> {
    let (checked, found) = bytes.split_at_checked(CHECKED_BYTES)?;
    if found != check(checked) {
        return None;
    }
    let rest = checked.strip_prefix(MAGIC)?.strip_prefix(&FORMAT.to_be_bytes())?.strip_prefix(&[0; 4])?;
    let (position, rest) = rest.split_first_chunk()?;
    let chain = rest.try_into().ok()?;
    Some(Head { position: LogPosition(u64::from_be_bytes(*position)), chain: Chain(chain) })
}

fn check(checked: &[u8]) -> [u8; 16] {
    blake3::hash(checked).as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_was_written_and_no_flipped_bit_passes() {
        let head = Head { position: LogPosition(0x0102_0304), chain: Chain([7; 32]) };
        let bytes = encode(head);
        assert_eq!(bytes.len(), MARK_BYTES);
        assert_eq!(decode(&bytes), Some(head));
        for bit in 0..MARK_BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(decode(&bytes[..40]), None);
        assert_eq!(decode(&[]), None);
    }
}
