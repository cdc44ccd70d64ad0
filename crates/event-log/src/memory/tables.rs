//! Tables in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::position::LogPosition;
use crate::tables::{Message, Rows, Table, TableError, Tables, WriteBack};

/// How many write-backs can be lost; older ones have become durable. Bounds the memory that they are kept in.
const PENDING_MAX: usize = 64;

/// Tables in memory; clones are handles of the same tables.
///
/// Write-backs count as durable after [`Tables::flush`], or once 64 newer ones came; [`MemoryTables::lose_unflushed`]
/// is the crash that takes the others away.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables {
    place: Arc<Mutex<Place>>,
}

#[derive(Debug, Default)]
struct Place {
    visible: Content,
    durable: Content,
    /// What is visible and not yet durable, oldest first.
    pending: VecDeque<WriteBack>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    position: LogPosition,
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryTables {
    /// Empty tables that stand before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every write-back that isn't durable, as a crash may. Returns the tables as they are found afterwards.
    #[must_use]
    pub fn lose_unflushed(&self) -> Self {
        let mut place = lock(&self.place);
        place.visible = place.durable.clone();
        place.pending.clear();
        drop(place);
        self.clone()
    }
}

impl Place {
    /// Makes the oldest write-backs durable until `keep` are left.
    fn settle(&mut self, keep: usize) {
        while self.pending.len() > keep {
            if let Some(changes) = self.pending.pop_front() {
                self.durable.apply(changes);
            }
        }
    }
}

impl Content {
    fn apply(&mut self, changes: WriteBack) {
        for (table, key, value) in changes.rows.iter() {
            let rows = self.tables.entry(table).or_default();
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        let messages = self.tables.entry(Table::Messages).or_default();
        messages
            .extend(changes.messages.into_iter().map(|(key, it)| (key.to_be_bytes().to_vec(), it.to_bytes().to_vec())));
        self.position = changes.position;
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<&Vec<u8>> {
        self.tables.get(&table)?.get(key)
    }
}

impl Tables for MemoryTables {
    fn position(&self) -> LogPosition {
        lock(&self.place).visible.position
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(lock(&self.place).visible.get(table, key).cloned())
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, TableError> {
        let place = lock(&self.place);
        Ok(keys.iter().map(|key| place.visible.get(table, key).cloned()).collect())
    }

    fn scan(&self, table: Table, from: &[u8], until: &[u8], limit: usize) -> Result<Rows, TableError> {
        if !until.is_empty() && from >= until {
            return Ok(Rows::new());
        }
        let end = if until.is_empty() { Bound::Unbounded } else { Bound::Excluded(until) };
        let place = lock(&self.place);
        let Some(rows) = place.visible.tables.get(&table) else { return Ok(Rows::new()) };
        let found = rows.range::<[u8], _>((Bound::Included(from), end)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn find_messages(&self, keys: &[u128]) -> Result<Vec<Option<Message>>, TableError> {
        let place = lock(&self.place);
        let found = keys.iter().map(|key| match place.visible.get(Table::Messages, &key.to_be_bytes()) {
            Some(bytes) => Message::read(bytes).map(Some),
            None => Ok(None),
        });
        found.collect()
    }

    fn write_back(&self, changes: WriteBack) -> Result<(), TableError> {
        let mut place = lock(&self.place);
        place.visible.apply(changes.clone());
        place.pending.push_back(changes);
        place.settle(PENDING_MAX);
        Ok(())
    }

    fn flush(&self) -> Result<(), TableError> {
        lock(&self.place).settle(0);
        Ok(())
    }
}
