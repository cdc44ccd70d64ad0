//! Cuts a byte stream into lines, or into table rows whose quotes may span lines, in bounded memory.

use std::io::{self, BufRead};

use thiserror::Error;

use crate::limits::KEPT_BYTES_MAX;

/// Where a scan of a table's bytes stands, by RFC 4180: a quote opens a field only at its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Quoting {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside of a quoted field: its end, or the first half of a quote in it.
    QuoteSeen,
}

impl Quoting {
    pub(crate) const fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteSeen,
            (Self::Quoted, _) | (Self::FieldStart | Self::QuoteSeen, b'"') => Self::Quoted,
            (_, byte) if byte == delimiter => Self::FieldStart,
            (Self::FieldStart | Self::Plain | Self::QuoteSeen, _) => Self::Plain,
        }
    }
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After every line.
    Lines,
    /// After lines that end outside of quotes.
    Rows {
        /// What separates fields.
        delimiter: u8,
    },
}

/// A line or row that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line that it begins on, from 1.
    pub(crate) number: u64,
    /// Its length without the line end; more than was kept, where it is longer than `KEPT_BYTES_MAX`.
    pub(crate) bytes: u64,
}

/// Why no further line can be read.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    #[error("read")]
    Read(#[source] io::Error),
    /// A row's quote, opened on this line, is not closed before the end or within the longest row.
    #[error("find the closing quote")]
    QuoteNeverClosed { line: u64 },
}

/// Reads lines.
pub(crate) struct Lines {
    bytes: Box<dyn BufRead + Send>,
    cut: Cut,
    /// Line ends passed so far.
    passed: u64,
}

impl Lines {
    pub(crate) fn new(bytes: Box<dyn BufRead + Send>, cut: Cut) -> Self {
        Self { bytes, cut, passed: 0 }
    }

    /// Lines read completely.
    pub(crate) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Appends the next line that is not blank to `out`, without its end; `None` at the end of the stream.
    ///
    /// Of a line longer than `KEPT_BYTES_MAX` only the beginning is appended and the rest is skipped.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Line>, LineError> {
        let start = out.len();
        loop {
            let Some(line) = self.next_with_blank(out)? else { return Ok(None) };
            if line.bytes > KEPT_BYTES_MAX as u64 || !is_blank(out.get(start..).unwrap_or_default()) {
                return Ok(Some(line));
            }
            out.truncate(start);
        }
    }

    fn next_with_blank(&mut self, out: &mut Vec<u8>) -> Result<Option<Line>, LineError> {
        let start = out.len();
        let number = self.passed + 1;
        let mut quoting = Quoting::default();
        let mut bytes = 0;
        loop {
            let before = out.len();
            let read = self.append_line(out, start).map_err(LineError::Read)?;
            bytes += read.bytes;
            self.passed += u64::from(read.ended);
            if let Cut::Rows { delimiter } = self.cut {
                let line = out.get(before..).unwrap_or_default();
                quoting = line.iter().fold(quoting, |quoting, byte| quoting.after(*byte, delimiter));
                if quoting == Quoting::Quoted {
                    if !read.ended || bytes >= KEPT_BYTES_MAX as u64 {
                        return Err(LineError::QuoteNeverClosed { line: number });
                    }
                    out.push(b'\n');
                    bytes += 1;
                    continue;
                }
            }
            if !read.ended && bytes == 0 {
                return Ok(None);
            }
            if !self.is_cut(bytes) && out.len() > start && out.last() == Some(&b'\r') {
                out.pop();
                bytes -= 1;
            }
            return Ok(Some(Line { number, bytes }));
        }
    }

    const fn is_cut(&self, bytes: u64) -> bool {
        bytes > KEPT_BYTES_MAX as u64
    }

    /// Appends up to the next line end, which is passed but not appended. Keeps at most `KEPT_BYTES_MAX` from `start` on.
    fn append_line(&mut self, out: &mut Vec<u8>, start: usize) -> io::Result<Read> {
        let mut bytes = 0;
        loop {
            let buffer = match self.bytes.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(Read { bytes, ended: false });
            }
            let end = memchr::memchr(b'\n', buffer);
            let line = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let room = (start + KEPT_BYTES_MAX).saturating_sub(out.len());
            out.extend_from_slice(line.get(..room).unwrap_or(line));
            bytes += line.len() as u64;
            let consumed = line.len() + usize::from(end.is_some());
            self.bytes.consume(consumed);
            if end.is_some() {
                return Ok(Read { bytes, ended: true });
            }
        }
    }
}

/// What was read up to a line end or the end of the stream.
struct Read {
    bytes: u64,
    ended: bool,
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &'static [u8], cut: Cut) -> (Vec<(u64, String)>, Option<LineError>) {
        let mut lines = Lines::new(Box::new(io::BufReader::with_capacity(3, text)), cut);
        let mut found = Vec::new();
        loop {
            let mut out = Vec::new();
            match lines.next(&mut out) {
                Ok(Some(line)) => found.push((line.number, String::from_utf8(out).unwrap())),
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    fn owned(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn lines_have_their_numbers_whatever_their_ends_and_blank_ones_are_skipped() {
        let (found, error) = cut(b"a\r\n\n  \r\nbcd\ne", Cut::Lines);
        assert_eq!(found, owned(&[(1, "a"), (4, "bcd"), (5, "e")]));
        assert!(error.is_none());
        assert_eq!(cut(b"", Cut::Lines).0, []);
    }

    #[test]
    fn a_row_spans_lines_inside_of_quotes_only() {
        let rows = Cut::Rows { delimiter: b',' };
        let (found, error) = cut(b"a,\"b\r\nc\",d\r\n5\" tv,x\n\"q\"\"\n\"\"r\",y\n", rows);
        assert_eq!(found, owned(&[(1, "a,\"b\r\nc\",d"), (3, "5\" tv,x"), (4, "\"q\"\"\n\"\"r\",y")]));
        assert!(error.is_none());
        let (found, error) = cut(b"a,b\nc,\"d\ne,f\n", rows);
        assert_eq!(found, owned(&[(1, "a,b")]));
        assert!(matches!(error, Some(LineError::QuoteNeverClosed { line: 2 })));
    }

    #[test]
    fn of_an_endless_line_only_the_beginning_is_kept() {
        let text: &'static [u8] = {
            let mut text = vec![b'x'; 3 * KEPT_BYTES_MAX];
            text.extend_from_slice(b"\nnext\n");
            text.leak()
        };
        let mut lines = Lines::new(Box::new(io::BufReader::new(text)), Cut::Lines);
        let mut out = Vec::new();
        let line = lines.next(&mut out).unwrap().unwrap();
        assert_eq!((line.number, line.bytes, out.len()), (1, 3 * KEPT_BYTES_MAX as u64, KEPT_BYTES_MAX));
        out.clear();
        let line = lines.next(&mut out).unwrap().unwrap();
        assert_eq!((line.number, out.as_slice()), (2, b"next".as_slice()));
    }
}
