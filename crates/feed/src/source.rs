//! A file of events: CloudEvents as NDJSON, or rows of a CSV table with a mapping; plain, gzip or zstd.
//!
//! [`FileSource`] cuts the file into [`Chunk`]s in bounded memory, and a chunk is decoded wherever there is a decoder for
//! it. Everything before a damaged place is delivered before the error is.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lead_domain::{TenantId, Time};
use thiserror::Error;

use crate::compression::{Format, decompressed};
use crate::csv_rows::{HeaderError, Table};
use crate::decoder::{ClockCorrection, InteractionDecoder, NoTenant, Origin};
use crate::entry::Entry;
use crate::limits::KEPT_BYTES_MAX;
use crate::lines::{Cut, Line, LineError, Lines};
use crate::mapping::Mapping;

/// The most entries of a chunk.
const CHUNK_ENTRIES_MAX: usize = 4_096;
/// A chunk that has so many bytes takes no further line.
const CHUNK_BYTES_FULL: usize = 1 << 20;

/// Why a file can't be read, or not further.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It can't be opened.
    #[error("open \"{name}\". Check its name and whether you may read it")]
    Open {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It can't be read further.
    #[error("read \"{name}\" (after line {line}). Try again")]
    Read {
        /// The file.
        name: String,
        /// The last line that was read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A compressed file is not complete.
    #[error(
        "read \"{name}\": it ends in the middle of compressed data (after line {line}). Fetch the file once more and import it again; what was recorded counts once"
    )]
    Truncated {
        /// The file.
        name: String,
        /// The last line that was read.
        line: u64,
    },
    /// A compressed stream is damaged. What decompressing gave shortly before that showed may differ from what was sent.
    #[error(
        "read \"{name}\": its compressed data are damaged, which showed after line {line}. A stream can't be checked before it is read, so events before that line may be wrong or in quarantine. Import whole files by their names: those are checked first"
    )]
    Corrupt {
        /// The stream.
        name: String,
        /// The last line that was read.
        line: u64,
        /// What the decompressor said.
        #[source]
        source: io::Error,
    },
    /// A compressed file was checked before it was read, and it is damaged or ends in the middle.
    #[error(
        "import \"{name}\": its compressed data are damaged or not complete. Nothing of it was recorded; fetch the file once more"
    )]
    Unsound {
        /// The file.
        name: String,
        /// What the decompressor said.
        #[source]
        source: io::Error,
    },
    /// It is of a format that isn't read here.
    #[error("read \"{name}\": it is {format}. UTF-8 text is needed, plain or compressed with gzip or zstd")]
    Foreign {
        /// The file.
        name: String,
        /// What it is.
        format: &'static str,
    },
    /// There is nothing in it.
    #[error("import \"{name}\": it holds no events")]
    Empty {
        /// The file.
        name: String,
    },
    /// It is one JSON array.
    #[error(
        "import \"{name}\": it is a JSON array, but one event a line (NDJSON) is needed, such as `jq -c '.[]'` makes of it"
    )]
    JsonArray {
        /// The file.
        name: String,
    },
    /// It is a table, and there is no mapping.
    #[error("import \"{name}\": it looks like a CSV table, which needs a mapping of its columns (--mapping FILE)")]
    TableWithoutMapping {
        /// The file.
        name: String,
    },
    /// Its first line is no header that fits the mapping.
    #[error("import \"{name}\": {problem}")]
    Header {
        /// The file.
        name: String,
        /// What is wrong.
        problem: HeaderError,
    },
    /// A quote is opened and never closed.
    #[error(
        "read \"{name}\" from line {line} on: a quote is opened there and not closed again. Correct the line and import the file again; what was recorded counts once"
    )]
    QuoteNeverClosed {
        /// The file.
        name: String,
        /// The line that the row begins on.
        line: u64,
    },
}

/// How far a file has been read, in bytes as stored (compressed ones, for a compressed file).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub bytes_read: u64,
    /// There are; `None` for a pipe.
    pub bytes_total: Option<u64>,
}

/// A file that is being read.
pub struct FileSource {
    name: Arc<str>,
    lines: Lines,
    format: Format,
    mapping: Option<Mapping>,
    table: Option<Arc<Table>>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
    /// Whether anything was delivered.
    begun: bool,
    /// What comes after the chunk that was delivered last.
    ended: Option<Result<(), SourceError>>,
    /// The memory of a chunk that was given back.
    spare: (Vec<u8>, Vec<(std::ops::Range<usize>, Line)>),
}

/// Some lines of a file, not yet decoded.
pub struct Chunk {
    name: Arc<str>,
    table: Option<Arc<Table>>,
    bytes: Vec<u8>,
    lines: Vec<(std::ops::Range<usize>, Line)>,
}

/// What decoding a chunk needs to know besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    /// The tenant that the file belongs to; an event that names another one is rejected.
    pub tenant: Option<TenantId>,
    /// Whether the channel's clock is to be corrected.
    pub clock: ClockCorrection,
    /// When the file reached us.
    pub received_at: Time,
}

impl FileSource {
    /// Opens a file, or standard input for `-`. With a mapping it is a CSV table, without one NDJSON.
    ///
    /// # Errors
    /// When the file can't be opened or is of a foreign format.
    pub fn open(path: &Path, mapping: Option<Mapping>) -> Result<Self, SourceError> {
        if path.as_os_str() == "-" {
            return Self::from_reader(io::stdin(), "standard input", None, mapping);
        }
        let name = path.display().to_string();
        let failed = |source| SourceError::Open { name: name.clone(), source };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let short = path.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
        Self::from_reader(file, &short, about.is_file().then_some(about.len()), mapping)
    }

    /// Checks a compressed file to its end, since a damaged one may give wrong bytes before the damage shows. Anything
    /// else than a compressed file passes: a pipe can be read only once, and a plain file has no checksum.
    ///
    /// # Errors
    /// [`SourceError::Unsound`], and when the file can't be opened.
    pub fn check(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), SourceError> {
        let name = path.display().to_string();
        let failed = |source| SourceError::Open { name: name.clone(), source };
        // Opening a pipe would take what is in it.
        if path.as_os_str() == "-" || !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Ok(());
        }
        let file = File::open(path).map_err(failed)?;
        let bytes_total = file.metadata().map_err(failed)?.len();
        let mut stream = decompressed(file).map_err(failed)?;
        while stream.format.is_compressed() {
            let bytes = match stream.bytes.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => bytes.len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(SourceError::Unsound { name, source }),
            };
            stream.bytes.consume(bytes);
            progress(Progress { bytes_read: stream.read.load(Ordering::Relaxed), bytes_total: Some(bytes_total) });
        }
        Ok(())
    }

    /// Reads from anything. `name` is for people and stands in reasons; `bytes_total` is for the progress.
    ///
    /// # Errors
    /// When the beginning can't be read or is of a foreign format.
    pub fn from_reader(
        reader: impl Read + Send + 'static,
        name: &str,
        bytes_total: Option<u64>,
        mapping: Option<Mapping>,
    ) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Read { name: name.to_owned(), line: 0, source };
        let stream = decompressed(reader).map_err(failed)?;
        if let Format::Foreign(format) = stream.format {
            return Err(SourceError::Foreign { name: name.to_owned(), format });
        }
        let cut = mapping.as_ref().map_or(Cut::Lines, |mapping| Cut::Rows { delimiter: mapping.delimiter() });
        Ok(Self {
            name: name.into(),
            lines: Lines::new(stream.bytes, cut),
            format: stream.format,
            mapping,
            table: None,
            bytes_read: stream.read,
            bytes_total,
            begun: false,
            ended: None,
            spare: (Vec::with_capacity(CHUNK_BYTES_FULL), Vec::with_capacity(CHUNK_ENTRIES_MAX)),
        })
    }

    /// How far the file has been read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { bytes_read: self.bytes_read.load(Ordering::Relaxed), bytes_total: self.bytes_total }
    }

    /// The next lines; `None` at the end of the file, once and for all.
    ///
    /// # Errors
    /// When the file can't be read further: damaged, not complete, without events, or with a quote that never closes.
    /// Whatever stands before such a place was delivered before.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, SourceError> {
        let next = match self.ended.take() {
            None => self.advance(),
            Some(ended) => ended.map(|()| None),
        };
        if !matches!(next, Ok(Some(_))) {
            self.ended = Some(Ok(()));
        }
        next
    }

    /// Takes a chunk back that was decoded, to use its memory again.
    pub fn recycle(&mut self, chunk: Chunk) {
        self.spare = (chunk.bytes, chunk.lines);
        self.spare.0.clear();
        self.spare.1.clear();
    }

    fn advance(&mut self) -> Result<Option<Chunk>, SourceError> {
        if let (Some(mapping), None) = (self.mapping.take(), &self.table) {
            self.table = Some(Arc::new(self.header(mapping)?));
        }
        let chunk = self.read_chunk();
        self.check_beginning(&chunk)?;
        if !chunk.is_empty() {
            return Ok(Some(chunk));
        }
        self.ended.take().unwrap_or(Ok(())).map(|()| None)
    }

    fn read_chunk(&mut self) -> Chunk {
        let (bytes, lines) = std::mem::take(&mut self.spare);
        let mut chunk = Chunk { name: Arc::clone(&self.name), table: self.table.clone(), bytes, lines };
        while chunk.lines.len() < CHUNK_ENTRIES_MAX && chunk.bytes.len() < CHUNK_BYTES_FULL {
            let start = chunk.bytes.len();
            match self.lines.next(&mut chunk.bytes) {
                Ok(Some(line)) => chunk.lines.push((start..chunk.bytes.len(), line)),
                Ok(None) => {
                    self.ended = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    self.ended = Some(Err(self.failed(error)));
                    break;
                }
            }
        }
        chunk
    }

    /// Checks the first chunk for files that are something else than they should be.
    fn check_beginning(&mut self, chunk: &Chunk) -> Result<(), SourceError> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let name = || self.name.to_string();
        let firsts = || chunk.lines.iter().filter_map(|(range, _)| first_letter(chunk.bytes.get(range.clone())?));
        match (firsts().next(), &self.table) {
            (None, _) if matches!(self.ended, Some(Ok(()))) => Err(SourceError::Empty { name: name() }),
            (Some(b'['), None) => Err(SourceError::JsonArray { name: name() }),
            (Some(_), None) if firsts().all(|first| first != b'{') && looks_like_table(chunk) => {
                Err(SourceError::TableWithoutMapping { name: name() })
            }
            _ => Ok(()),
        }
    }

    fn header(&mut self, mapping: Mapping) -> Result<Table, SourceError> {
        let mut header = Vec::new();
        let line = self.lines.next(&mut header).map_err(|error| self.failed(error))?;
        let name = self.name.to_string();
        if line.is_none() {
            return Err(SourceError::Empty { name });
        }
        Table::new(&header, mapping).map_err(|problem| SourceError::Header { name, problem })
    }

    fn failed(&self, error: LineError) -> SourceError {
        let (name, line) = (self.name.to_string(), self.lines.passed());
        match error {
            LineError::QuoteNeverClosed { line } => SourceError::QuoteNeverClosed { name, line },
            LineError::Read(source) if !self.format.is_compressed() => SourceError::Read { name, line, source },
            LineError::Read(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                SourceError::Truncated { name, line }
            }
            LineError::Read(source) => SourceError::Corrupt { name, line, source },
        }
    }
}

/// The first letter of a line, behind the mark that some programs put at the beginning of UTF-8 files.
fn first_letter(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether the first two lines have separators; a damaged second row may have fewer or more than the header.
fn looks_like_table(chunk: &Chunk) -> bool {
    let separators = |(range, _): &(std::ops::Range<usize>, Line)| {
        let line = chunk.bytes.get(range.clone()).unwrap_or_default();
        line.iter().filter(|byte| b",;\t".contains(byte)).count()
    };
    match chunk.lines.as_slice() {
        [header, row, ..] => separators(header) > 0 && separators(row) > 0,
        _ => false,
    }
}

impl Chunk {
    /// How many entries it makes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Never so for a chunk that a source delivered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines as they came, without their ends, for a service that decodes them itself. One that is far too long is
    /// cut off.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|(range, line)| {
            let bytes = self.bytes.get(range.clone()).unwrap_or_default();
            bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line.number == 1).unwrap_or(bytes)
        })
    }

    /// Appends the entry of every line to `entries`, in order.
    ///
    /// # Errors
    /// When a line can't be taken and there is no tenant to whose quarantine it could go.
    pub fn decode(
        &self,
        decoder: &mut InteractionDecoder,
        reception: Reception,
        entries: &mut Vec<Entry>,
    ) -> Result<(), NoTenant> {
        entries.reserve(self.lines.len());
        for (range, line) in &self.lines {
            let bytes = self.bytes.get(range.clone()).unwrap_or_default();
            entries.push(self.decode_line(bytes, *line, decoder, reception)?);
        }
        Ok(())
    }

    fn decode_line(
        &self,
        bytes: &[u8],
        line: Line,
        decoder: &mut InteractionDecoder,
        reception: Reception,
    ) -> Result<Entry, NoTenant> {
        let Reception { tenant, clock, received_at } = reception;
        let origin = Origin { name: &self.name, feed_sequence: line.number, tenant, clock };
        if line.bytes > KEPT_BYTES_MAX as u64 {
            return decoder.decode_cut(bytes, line.bytes, origin, received_at);
        }
        let Some(table) = &self.table else {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line.number == 1).unwrap_or(bytes);
            return decoder.decode(bytes, origin, received_at);
        };
        let mut values = Vec::with_capacity(table.columns());
        let id = table.derived_id(line.number, bytes);
        let event = table.event(bytes, &id, &mut values);
        decoder.decode_event(event, bytes, origin, received_at)
    }
}
