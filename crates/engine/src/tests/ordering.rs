//! The tables never stand ahead of the durable log.

use std::time::Duration;

use event_log::{Batch, Head, LogError, LogPosition, Message, Rows, Table, TableError, Tables, Visit, WriteBack};

use super::*;

/// A log on a slow disk: whoever doesn't wait for an append is ahead of it.
struct Slow(MemoryLog);

impl EventLog for Slow {
    fn append(&self, batch: &Batch) -> Result<(), LogError> {
        std::thread::sleep(Duration::from_millis(5));
        self.0.append(batch)
    }

    fn head(&self) -> Head {
        self.0.head()
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        self.0.read(from, visit)
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        self.0.get(position)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.0.meta(key)
    }

    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head {
        self.0.wait_beyond(position, limit)
    }
}

/// Tables that refuse to be brought to a position that the log hasn't reached.
struct Watchful {
    tables: MemoryTables,
    log: MemoryLog,
}

impl Tables for Watchful {
    fn position(&self) -> LogPosition {
        self.tables.position()
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.tables.get(table, key)
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, TableError> {
        self.tables.get_many(table, keys)
    }

    fn scan(&self, table: Table, from: &[u8], until: &[u8], limit: usize) -> Result<Rows, TableError> {
        self.tables.scan(table, from, until, limit)
    }

    fn find_messages(&self, keys: &[u128]) -> Result<Vec<Option<Message>>, TableError> {
        self.tables.find_messages(keys)
    }

    fn write_back(&self, changes: WriteBack) -> Result<(), TableError> {
        let durable = self.log.head().position;
        assert!(changes.position <= durable, "the tables go to {}, the log stands at {durable}", changes.position);
        self.tables.write_back(changes)
    }

    fn flush(&self) -> Result<(), TableError> {
        self.tables.flush()
    }
}

#[test]
fn tables_are_brought_only_to_what_is_durable() {
    let disk = Disk::new();
    let tables = Watchful { tables: disk.tables.clone(), log: disk.log.clone() };
    let parts = Parts { log: Arc::new(Slow(disk.log.clone())), tables: Arc::new(tables), vault: disk.vault.clone() };
    let options = EngineOptions { clock: Clock::Fixed(hours(100_000)), write_back_records: 7, books_max: 4 };
    let mut engine = Engine::open(parts, options, &mut |_, _| {}).expect("the parts belong together");
    engine.adopt(POLICY).expect("a policy without faults");
    for from in (0..60).step_by(5) {
        let events: Vec<_> =
            (from..from + 5).map(|id| event(&format!("e{id}"), id % 9, id.into(), "page.viewed")).collect();
        submit(&mut engine, &events);
    }
    engine.tick(TENANT, hours(400)).expect("memory does not fail");
    assert!(disk.tables.position() > LogPosition(50), "there were write-backs before the last one");
    engine.close().expect("memory does not fail");
    assert_eq!(disk.tables.position(), disk.log.head().position);
}
