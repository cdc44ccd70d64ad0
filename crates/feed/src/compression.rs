//! Opens a byte stream that may be compressed; its first bytes decide, not its name. Counts the bytes read underneath.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// Bytes read at once: large enough that a call costs nothing beside decompressing what it brings.
const BUFFER_BYTES: usize = 256 << 10;
/// The longest beginning by which a format is known.
const MAGIC_BYTES: usize = 6;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
    /// Something that can't be read here, by its name.
    Foreign(&'static str),
}

impl Format {
    fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'K', 3, 4, ..] => Self::Foreign("a ZIP archive"),
            [b'B', b'Z', b'h', ..] => Self::Foreign("compressed with bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Self::Foreign("compressed with xz"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Foreign("UTF-16 text"),
            _ => Self::Plain,
        }
    }

    pub(crate) const fn is_compressed(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }
}

/// A stream of decompressed bytes.
pub(crate) struct Decompressed {
    pub(crate) bytes: Box<dyn BufRead + Send>,
    pub(crate) format: Format,
    /// Bytes read so far, before decompressing.
    pub(crate) read: Arc<AtomicU64>,
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Looks at the first bytes and decompresses what follows. A gzip file may have several members, a zstd file several frames.
pub(crate) fn decompressed(reader: impl Read + Send + 'static) -> io::Result<Decompressed> {
    let read = Arc::new(AtomicU64::new(0));
    let mut counted = Counted { inner: reader, read: Arc::clone(&read) };
    let mut beginning = Vec::with_capacity(MAGIC_BYTES);
    counted.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut beginning)?;
    let format = Format::of(&beginning);
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(beginning).chain(counted));
    let bytes: Box<dyn BufRead + Send> = match format {
        Format::Plain | Format::Foreign(_) => Box::new(whole),
        Format::Gzip => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole))),
        Format::Zstd => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::stream::read::Decoder::with_buffer(whole)?))
        }
    };
    Ok(Decompressed { bytes, format, read })
}
