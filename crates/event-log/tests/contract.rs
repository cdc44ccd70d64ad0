//! The in-memory log and tables pass the contract suite.

use event_log::contract::{LogHome, TablesHome};
use event_log::{MemoryLog, MemoryTables};

struct InMemory;

impl LogHome for InMemory {
    type Log = MemoryLog;

    fn open(&self) -> MemoryLog {
        MemoryLog::new()
    }

    fn crash(&self, log: MemoryLog) -> MemoryLog {
        log.reopened()
    }
}

impl TablesHome for InMemory {
    type Tables = MemoryTables;

    fn open(&self) -> MemoryTables {
        MemoryTables::new()
    }

    fn crash(&self, tables: MemoryTables) -> MemoryTables {
        tables.lose_unflushed()
    }
}

mod log {
    event_log::log_contract! { super::InMemory }
}

mod tables {
    event_log::tables_contract! { super::InMemory }
}

mod memory {
    use event_log::contract::batch_of;
    use event_log::{EventLog, LogError, MemoryLog};

    #[test]
    fn a_failed_append_poisons_the_log_until_it_is_reopened() {
        let log = MemoryLog::new();
        log.fail_next_append();
        let batch = batch_of(log.head(), &[b"one"]);
        assert!(matches!(log.append(&batch), Err(LogError::Storage { .. })));
        assert!(matches!(log.append(&batch), Err(LogError::Poisoned)));
        let log = log.reopened();
        assert_eq!(log.head().position.0, 0);
        log.append(&batch).unwrap();
    }
}
