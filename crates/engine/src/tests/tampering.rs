//! Verification finds what was altered.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use event_log::{Batch, Head, LogError, LogPosition, Record, Table, Tables, Visit, WriteBack};

use super::*;

/// A log that returns one record with one bit flipped.
struct Flipped {
    log: MemoryLog,
    flip: Mutex<Option<(LogPosition, usize)>>,
}

impl Flipped {
    fn bytes(&self, position: LogPosition, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if let Some((flipped, bit)) = *self.flip.lock().expect("nobody panics with it")
            && flipped == position
        {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes
    }
}

impl EventLog for Flipped {
    fn append(&self, batch: &Batch) -> Result<(), LogError> {
        self.log.append(batch)
    }

    fn head(&self) -> Head {
        self.log.head()
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        let mut position = from;
        while let Some(bytes) = self.get(position)? {
            let record = Record::read(&bytes).map_err(|fault| LogError::Damaged { position, fault })?;
            if visit(record) == ControlFlow::Break(()) {
                return Ok(position);
            }
            position = position.next();
        }
        Ok(LogPosition(position.0 - 1))
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.log.get(position)?.map(|bytes| self.bytes(position, &bytes)))
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.log.meta(key)
    }

    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head {
        self.log.wait_beyond(position, limit)
    }
}

#[test]
fn every_single_flipped_bit_of_every_record_is_found() {
    let disk = Disk::new();
    drop(small_history(&disk));
    let log = Arc::new(Flipped { log: disk.log.clone(), flip: Mutex::new(None) });
    let parts = Parts { log: log.clone(), ..disk.parts() };
    let options = EngineOptions { clock: Clock::Fixed(hours(100_000)), ..EngineOptions::default() };
    let mut engine = Engine::open(parts, options, &mut |_, _| {}).expect("the parts belong together");
    assert!(engine.verify(&mut |_| {}).expect("memory does not fail").is_whole());
    let mut bits = 0;
    for position in 1..=disk.log.head().position.0 {
        let position = LogPosition(position);
        let length = disk.log.get(position).expect("memory does not fail").expect("it is there").len();
        for bit in 0..length * 8 {
            *log.flip.lock().expect("nobody panics with it") = Some((position, bit));
            let verification = engine.verify(&mut |_| {}).expect("damage is a finding, not an error");
            assert!(!verification.is_whole(), "bit {bit} of the record at position {position}");
            bits += 1;
        }
    }
    assert!(bits > 10_000, "the history is large enough to mean something");
}

#[test]
fn every_altered_row_of_the_tables_is_found() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    engine.write_back().expect("memory does not fail");
    let tables = disk.tables.clone();
    let rewrite = |table, key: &[u8], value: Option<Vec<u8>>| {
        let mut changes = WriteBack { position: tables.position(), ..WriteBack::default() };
        changes.rows.set(table, key, value.as_deref());
        tables.write_back(changes).expect("memory");
    };
    for table in [Table::Books, Table::Identifiers, Table::Quarantine, Table::Deadlines] {
        for (key, value) in tables.scan(table, &[], &[], usize::MAX).expect("memory does not fail") {
            let mut altered = value.clone();
            if let Some(last) = altered.last_mut() {
                *last ^= 1;
                rewrite(table, &key, Some(altered));
                assert!(!engine.verify(&mut |_| {}).expect("memory").is_whole(), "an altered row of {}", table.name());
            }
            rewrite(table, &key, None);
            let found = engine.verify(&mut |_| {}).expect("memory");
            // Every lead of this history is closed, so a deadline row may be there or not.
            assert_eq!(found.is_whole(), table == Table::Deadlines, "a missing row of {}", table.name());
            rewrite(table, &key, Some(value));
        }
    }
    assert!(engine.verify(&mut |_| {}).expect("memory does not fail").is_whole());
}
