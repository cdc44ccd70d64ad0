//! Verification: the log by its chain, seals and signatures, the tables by folding the log anew.

mod signed;

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use event_log::{Chain, Head, LogError, LogPosition, MemoryTables, Record, Table, Tables};
use key_vault::{KeySlot, KeyVault, VaultError};
use proto_events::stored::kind;
use rustc_hash::FxHashMap;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::library::rows::{DEADLINE_KEY_BYTES, is_about_seen, read_book, read_deadline, read_seen, read_seen_armed};
use crate::options::Parts;

/// Findings beyond this many are counted, not kept: a folder with so many is damaged as a whole.
const FINDINGS_MAX: usize = 1_000;
/// Rows compared in one go.
const COMPARED_ROWS: usize = 4_096;
/// Keys that stay in memory, at some 300 bytes each.
const KEYS_MAX: usize = 200_000;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a position of the log or a row of a table.
    pub place: String,
    /// What is wrong there; never personal data.
    pub fault: String,
    /// What to do about it.
    pub cure: &'static str,
}

const RESTORE: &str = "the log itself is damaged: restore the folder from a backup";
const REPAIR: &str = "derived data: rebuild it from the log with `leadfold repair`";

/// What a verification looked at and found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Records whose chain, position and encoding were checked.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// Personal parts that opened with their keys.
    pub sealed: u64,
    /// Personal parts whose keys were destroyed.
    pub erased: u64,
    /// Signed heads that the log gave again.
    pub signed_heads: u64,
    /// State roots that the folded books gave again.
    pub state_roots: u64,
    /// Rows of the tables that the folded log gave again.
    pub rows: u64,
    /// The end of the log.
    pub head: Head,
    /// The hash over all books at the head.
    pub state_root: [u8; 32],
    /// What is wrong, at most a thousand.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more_findings: u64,
}

impl Verification {
    /// Whether everything is as it must be.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, place: String, fault: String, cure: &'static str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place, fault, cure });
        } else {
            self.more_findings += 1;
        }
    }
}

impl Engine {
    /// Walks the whole log and compares what it folds to with the tables. Memory grows with the number of visitors.
    ///
    /// `tiles` is the folder with the kept hashes of the tree, if there is one. `progress` is told the position reached,
    /// now and then.
    ///
    /// # Errors
    /// When the storage fails; damage is a finding, not an error.
    pub fn verify(
        &mut self,
        tiles: Option<&Path>,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<Verification, EngineError> {
        self.write_back()?;
        let mut found = Verification { head: self.head(), ..Verification::default() };
        let newest = self.newest_signed_head()?;
        let tables = Arc::new(MemoryTables::new());
        let (parts, options) = (self.parts.clone(), self.options.clone());
        let folded = Parts { tables: tables.clone(), ..parts.clone() };
        let (walked, signed, shadow) = std::thread::scope(|scope| {
            let walking = scope.spawn(|| walk_log(&parts, &mut found));
            let hashing = scope.spawn(|| signed::verify(&parts, newest, tiles));
            let shadow = Self::replayed(folded, options, &mut |position, _| progress(position));
            (walking.join(), hashing.join(), shadow)
        });
        // A thread that panicked has printed why.
        walked.map_err(|_| EngineError::WriterStopped)??;
        let signed = signed.map_err(|_| EngineError::WriterStopped)??;
        found.signed_heads = signed.heads;
        found.findings.extend(signed.findings);
        // What a damaged log folds to says nothing more.
        if !found.is_whole() {
            return Ok(found);
        }
        let mut shadow = match shadow {
            Ok(shadow) => shadow,
            Err(error) if error.is_damage() => {
                found.find("the log's fold".to_owned(), error.to_string(), RESTORE);
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        found.state_root = shadow.library.root().to_bytes();
        shadow.write_back()?;
        compare_tables(tables.as_ref(), self.parts.tables.as_ref(), &mut found)?;
        Ok(found)
    }
}

/// Walks the log: chain, positions, seals. That facts can be decoded the fold finds out.
fn walk_log(parts: &Parts, found: &mut Verification) -> Result<(), EngineError> {
    let mut walk = Walk { next: LogPosition(1), chain: Chain::default(), keys: FxHashMap::default() };
    while walk.next <= found.head.position {
        let mut failed = None;
        let read = parts.log.read(walk.next, &mut |record| match walk_record(parts, &mut walk, &record, found) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        match (read, failed) {
            (_, Some(error)) => return Err(error),
            (Ok(_), None) => return Ok(()),
            (Err(LogError::Damaged { position, fault }), None) => {
                found.find(format!("position {position}"), format!("the record {fault}"), RESTORE);
                walk.skip(position);
            }
            (Err(LogError::Missing { position }), None) => {
                found.find(format!("position {position}"), "the record is missing".to_owned(), RESTORE);
                walk.skip(position);
            }
            (Err(error), None) => return Err(error.into()),
        }
    }
    Ok(())
}

fn walk_record(
    parts: &Parts,
    walk: &mut Walk,
    record: &Record<'_>,
    found: &mut Verification,
) -> Result<(), EngineError> {
    let position = walk.next;
    let place = || format!("position {position}");
    found.records += 1;
    found.bytes += (event_log::HEADER_BYTES + record.facts.len() + record.personal.len()) as u64;
    if let Err(fault) = record.follows(position, walk.chain) {
        found.find(place(), format!("the record {fault}"), RESTORE);
    }
    if record.header.kind.0 == kind::STATE_ROOT {
        found.state_roots += 1;
    }
    if !record.personal.is_empty() {
        match walk.key(&parts.vault, record.header.key) {
            Ok(KeySlot::Live(key)) if key.open(&record.chain.0, record.personal).is_ok() => found.sealed += 1,
            Ok(KeySlot::Destroyed) => found.erased += 1,
            Ok(KeySlot::Live(_)) => {
                found.find(place(), "the personal part doesn't open: it was altered".to_owned(), RESTORE);
            }
            Ok(KeySlot::Empty) | Err(VaultError::OutOfRange { .. }) => {
                found.find(place(), "the personal part's key is missing".to_owned(), RESTORE);
            }
            Err(error @ VaultError::SlotDamaged { .. }) => {
                found.find(place(), error.to_string(), RESTORE);
            }
            Err(error) => return Err(error.into()),
        }
    }
    (walk.next, walk.chain) = (position.next(), record.chain);
    Ok(())
}

/// Where a walk along the chain stands.
struct Walk {
    next: LogPosition,
    chain: Chain,
    /// Keys that were met: visitors come again.
    keys: FxHashMap<u64, KeySlot>,
}

impl Walk {
    fn key(&mut self, vault: &KeyVault, number: u64) -> Result<&KeySlot, VaultError> {
        if self.keys.len() >= KEYS_MAX {
            self.keys.clear();
        }
        match self.keys.entry(number) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(vault.get(number)?)),
        }
    }

    /// Goes on behind a record that can't be read. The next record's chain can't be checked then, so it is a finding too.
    fn skip(&mut self, position: LogPosition) {
        self.next = position.next();
    }
}

/// Compares every table. Ticks may be armed at other times without harm, so they are compared with the books.
fn compare_tables(folded: &dyn Tables, stored: &dyn Tables, found: &mut Verification) -> Result<(), EngineError> {
    for table in Table::ALL {
        match table {
            Table::Deadlines => check_deadlines(stored, found)?,
            Table::Facts => {
                compare_table(folded, stored, table, found)?;
                check_seen(stored, found)?;
            }
            Table::Books
            | Table::Redirects
            | Table::Identifiers
            | Table::Orders
            | Table::Quarantine
            | Table::Messages => compare_table(folded, stored, table, found)?,
        }
    }
    Ok(())
}

fn compare_table(
    folded: &dyn Tables,
    stored: &dyn Tables,
    table: Table,
    found: &mut Verification,
) -> Result<(), EngineError> {
    let (mut expected, mut actual) = (Rows::new(folded, table), Rows::new(stored, table));
    loop {
        let (left, right) = (expected.peek()?, actual.peek()?);
        match (left, right) {
            (None, None) => return Ok(()),
            (Some((key, value)), Some((other_key, other_value))) if key == other_key => {
                found.rows += 1;
                if let Some(fault) = differs(table, stored, &value, &other_value)? {
                    found.find(row_place(table, &key), fault, REPAIR);
                }
                expected.advance();
                actual.advance();
            }
            (Some((key, _)), other) if other.as_ref().is_none_or(|(other_key, _)| key < *other_key) => {
                found.find(row_place(table, &key), "the row is missing".to_owned(), REPAIR);
                expected.advance();
            }
            // Only ticks make these, so they are compared with the books.
            (_, Some((key, _))) if table == Table::Facts && is_about_seen(&key) => actual.advance(),
            (_, Some((key, _))) => {
                found.find(row_place(table, &key), "the log knows no such row".to_owned(), REPAIR);
                actual.advance();
            }
            (Some(_), None) => expected.advance(),
        }
    }
}

/// A row of a table by its key, which holds no personal data.
fn row_place(table: Table, key: &[u8]) -> String {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("table {}, row {key}", table.name())
}

fn differs(table: Table, stored: &dyn Tables, expected: &[u8], actual: &[u8]) -> Result<Option<String>, EngineError> {
    if table != Table::Books {
        return Ok((expected != actual).then(|| "the row differs from what the log says".to_owned()));
    }
    let (book, mark) = read_book(expected)?;
    let Ok((other, other_mark)) = read_book(actual) else { return Ok(Some("the row can't be read".to_owned())) };
    if book != other || mark.hash != other_mark.hash {
        return Ok(Some("the book differs from what the log says".to_owned()));
    }
    if mark.head != other_mark.head || mark.extra_heads != other_mark.extra_heads {
        return Ok(Some("the head of the visitor's stream differs from what the log says".to_owned()));
    }
    let is_late = |deadline| other_mark.armed.is_none_or(|armed| armed > deadline);
    if other.next_deadline().is_some_and(is_late) {
        return Ok(Some("no tick is armed for an open lead".to_owned()));
    }
    let Some(armed) = other_mark.armed else { return Ok(None) };
    let key = crate::library::rows::deadline_key(other.tenant, armed, other.visitor);
    let present = stored.get(Table::Deadlines, &key)?.is_some();
    Ok((!present).then(|| "the armed tick is missing".to_owned()))
}

/// Every visitor of a tenant with retention has a row that says when it was heard of, and nobody else has one.
fn check_seen(stored: &dyn Tables, found: &mut Verification) -> Result<(), EngineError> {
    let (mut armed, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Rows::new(stored, Table::Facts);
    while let Some((key, value)) = rows.peek()? {
        if is_about_seen(&key) {
            match (read_seen_armed(&key), read_seen(&key)) {
                (Ok(tenant), _) if value.is_empty() => drop(armed.insert(tenant)),
                (_, Ok((_, visitor))) if value.is_empty() => drop(seen.insert(visitor)),
                (_, _) => found.find(row_place(Table::Facts, &key), "the row can't be read".to_owned(), REPAIR),
            }
        }
        rows.advance();
    }
    let mut rows = Rows::new(stored, Table::Books);
    while let Some((key, value)) = rows.peek()? {
        if let Ok((book, _)) = read_book(&value)
            && armed.contains(&book.tenant)
            && !book.erased
            && !seen.contains(&book.visitor)
        {
            let fault = "no row says when the visitor was heard of";
            found.find(row_place(Table::Books, &key), fault.to_owned(), REPAIR);
        }
        rows.advance();
    }
    Ok(())
}

/// Every armed tick is the one that its book names.
fn check_deadlines(stored: &dyn Tables, found: &mut Verification) -> Result<(), EngineError> {
    let mut rows = Rows::new(stored, Table::Deadlines);
    while let Some((key, value)) = rows.peek()? {
        let named = match read_deadline(&key) {
            Ok((tenant, due, visitor)) => {
                let book = stored.get(Table::Books, &visitor.0.to_be_bytes())?;
                let read = book.and_then(|book| read_book(&book).ok());
                key.len() == DEADLINE_KEY_BYTES
                    && read.is_some_and(|(book, mark)| book.tenant == tenant && mark.armed == Some(due))
            }
            Err(_) => false,
        };
        if !named || !value.is_empty() {
            found.find(row_place(Table::Deadlines, &key), "no book names the armed tick".to_owned(), REPAIR);
        }
        rows.advance();
    }
    Ok(())
}

/// Key and value.
type Row = (Vec<u8>, Vec<u8>);

/// A table's rows, read some thousand at a time.
struct Rows<'a> {
    tables: &'a dyn Tables,
    table: Table,
    rows: std::vec::IntoIter<Row>,
    current: Option<Row>,
    last: Option<Vec<u8>>,
    ended: bool,
}

impl<'a> Rows<'a> {
    fn new(tables: &'a dyn Tables, table: Table) -> Self {
        Self { tables, table, rows: Vec::new().into_iter(), current: None, last: None, ended: false }
    }

    fn peek(&mut self) -> Result<Option<Row>, EngineError> {
        if self.current.is_none() && !self.ended {
            self.current = self.rows.next();
            if self.current.is_none() {
                // The smallest key behind the last one is that key with a zero byte added.
                let from = self.last.as_ref().map(|last| [last.as_slice(), &[0]].concat()).unwrap_or_default();
                self.rows = self.tables.scan(self.table, &from, &[], COMPARED_ROWS)?.into_iter();
                self.current = self.rows.next();
                self.ended = self.current.is_none();
            }
        }
        Ok(self.current.clone())
    }

    fn advance(&mut self) {
        self.last = self.current.take().map(|(key, _)| key);
    }
}
