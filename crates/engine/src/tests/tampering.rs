//! Verification finds what was altered.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use event_log::{Batch, Head, LogError, LogPosition, Record, Table, Tables, Visit, WriteBack};

use proofs::Notary;

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
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
    let mut bits = 0;
    for position in 1..=disk.log.head().position.0 {
        let position = LogPosition(position);
        let length = disk.log.get(position).expect("memory does not fail").expect("it is there").len();
        for bit in 0..length * 8 {
            *log.flip.lock().expect("nobody panics with it") = Some((position, bit));
            let verification = engine.verify(None, &mut |_| {}).expect("damage is a finding, not an error");
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
                assert!(
                    !engine.verify(None, &mut |_| {}).expect("memory").is_whole(),
                    "an altered row of {}",
                    table.name()
                );
            }
            rewrite(table, &key, None);
            let found = engine.verify(None, &mut |_| {}).expect("memory");
            assert!(!found.is_whole(), "a missing row of {}", table.name());
            rewrite(table, &key, Some(value));
        }
    }
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
}

/// A history with open leads, a visitor who was erased, another policy, and two signed heads.
fn signed_history(disk: &Disk, tiles: &std::path::Path) -> Engine {
    let mut engine = small_history(disk);
    let notary = Notary::open(Arc::new(disk.log.clone()), tiles, &disk.vault.signing_seed()).expect("a folder");
    let sign = |engine: &mut Engine| {
        engine.flush().expect("memory does not fail");
        let (head, note) = notary.sign("2026-11-23T00:00:00.000Z", &mut |_| ()).expect("memory does not fail");
        engine.record_signed_head(head.size, &note).expect("memory does not fail");
    };
    sign(&mut engine);
    let events: Vec<String> = (0..300).map(|n| event(&format!("open-{n}"), 100 + n % 40, 99_990, "view")).collect();
    submit(&mut engine, &events);
    engine.execute(super::erasure::erase(1)).expect("the visitor is there");
    engine.adopt(&POLICY.replace("48h", "72h")).expect("a policy without faults");
    sign(&mut engine);
    engine.write_back().expect("memory does not fail");
    engine
}

/// A bit of something that is stored.
enum Bit {
    Record(LogPosition, usize),
    Row(Table, Vec<u8>, Vec<u8>, usize),
}

/// All bits of all records, policies among them, and of keys and values of all rows, the message index among them.
fn bits(disk: &Disk) -> Vec<Bit> {
    let mut bits = Vec::new();
    for position in (1..=disk.log.head().position.0).map(LogPosition) {
        let length = disk.log.get(position).expect("memory does not fail").expect("it is there").len();
        bits.extend((0..length * 8).map(|bit| Bit::Record(position, bit)));
    }
    for table in Table::ALL {
        for (key, value) in disk.tables.scan(table, &[], &[], usize::MAX).expect("memory does not fail") {
            let length = key.len() + value.len();
            bits.extend((0..length * 8).map(|bit| Bit::Row(table, key.clone(), value.clone(), bit)));
        }
    }
    bits
}

#[test]
fn a_thousand_changed_bits_in_records_policies_and_indexes_are_all_found() {
    let (disk, folder) = (Disk::new(), tempfile::tempdir().expect("a folder"));
    drop(signed_history(&disk, folder.path()));
    let log = Arc::new(Flipped { log: disk.log.clone(), flip: Mutex::new(None) });
    let parts = Parts { log: log.clone(), ..disk.parts() };
    let options = EngineOptions { clock: Clock::Fixed(hours(100_000)), ..EngineOptions::default() };
    let open = || Engine::open(parts.clone(), options.clone(), &mut |_, _| {});
    let mut engine = open().expect("the parts belong together");
    let verify = |engine: &mut Engine| {
        engine.verify(Some(folder.path()), &mut |_| {}).expect("damage is a finding, not an error")
    };
    let whole = verify(&mut engine);
    assert!(whole.is_whole() && whole.signed_heads == 2, "{whole:?}");
    let tables = disk.tables.clone();
    let rewrite = |table, key: &[u8], value: Option<&[u8]>| {
        let mut changes = WriteBack { position: tables.position(), ..WriteBack::default() };
        changes.rows.set(table, key, value);
        tables.write_back(changes).expect("memory");
    };
    let bits = bits(&disk);
    // A prime, so that no row or field is met at the same bit each time.
    let tried = 1_009;
    let mut by_table = std::collections::BTreeMap::new();
    for place in 0..tried {
        match &bits[place * bits.len() / tried] {
            Bit::Record(position, bit) => {
                *log.flip.lock().expect("nobody panics with it") = Some((*position, *bit));
                assert!(!verify(&mut engine).is_whole(), "bit {bit} of the record at position {position}");
                *log.flip.lock().expect("nobody panics with it") = None;
                *by_table.entry("log").or_insert(0) += 1;
            }
            Bit::Row(table, key, value, bit) => {
                let mut altered = [key.as_slice(), value.as_slice()].concat();
                altered[bit / 8] ^= 1 << (bit % 8);
                let (other_key, other_value) = altered.split_at(key.len());
                rewrite(*table, key, None);
                rewrite(*table, other_key, Some(other_value));
                // An open engine would write its own row again, as it read it.
                let found = match (key == b"engine").then(open) {
                    None => !verify(&mut engine).is_whole(),
                    Some(Ok(mut reopened)) => !verify(&mut reopened).is_whole(),
                    Some(Err(error)) => error.is_damage(),
                };
                assert!(found, "bit {bit} of the row {key:x?} of {}", table.name());
                rewrite(*table, other_key, None);
                rewrite(*table, key, Some(value));
                *by_table.entry(table.name()).or_insert(0) += 1;
            }
        }
    }
    assert!(verify(&mut engine).is_whole(), "all is as it was");
    assert!(by_table.len() >= 5, "{by_table:?}");
}
