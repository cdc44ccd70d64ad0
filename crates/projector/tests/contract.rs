//! The projector and its contract suite, with a model in memory: one that keeps the contract, and some that don't.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use event_log::{Batch, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use key_vault::{KeyVault, MasterKey};
use projector::contract::{self, ModelHome, Story};
use projector::{Checkpoint, FoldError, ModelError, Park, Projection, Projector, ProjectorError, Recorded};
use proto_events::InputFacts;
use proto_events::stored::{self, InputRef};

/// How a counter goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The checkpoint is stored, but what was folded before is stored with the next commit.
    CheckpointFirst,
    /// What was folded is in the model before it is committed.
    WritesWhileFolding,
}

#[derive(Clone, Default)]
struct Stored {
    checkpoint: Checkpoint,
    ticks: u64,
}

/// Counts ticks.
struct Counter {
    disk: Arc<Mutex<Stored>>,
    folded: u64,
    unwritten: u64,
    fault: Fault,
}

struct Disks {
    disks: Mutex<BTreeMap<String, Arc<Mutex<Stored>>>>,
    fault: Fault,
}

impl ModelHome for Disks {
    type Projection = Counter;

    fn open(&self, name: &str) -> Counter {
        let disk = Arc::clone(self.disks.lock().unwrap().entry(name.to_owned()).or_default());
        Counter { disk, folded: 0, unwritten: 0, fault: self.fault }
    }

    fn dump(&self, counter: &Counter) -> String {
        format!("ticks={}", counter.disk.lock().unwrap().ticks)
    }
}

impl Projection for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn version(&self) -> u32 {
        1
    }

    fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        Ok(self.disk.lock().unwrap().checkpoint)
    }

    fn wants_personal(&self, _: &Header, _: InputRef<'_>) -> bool {
        false
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError> {
        if recorded.input != InputFacts::Tick.as_input() {
            return Err(Park { reason: "it is no tick" }.into());
        }
        if self.fault == Fault::WritesWhileFolding {
            self.disk.lock().unwrap().ticks += 1;
        } else {
            self.folded += 1;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.folded >= 4
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError> {
        let mut disk = self.disk.lock().unwrap();
        disk.checkpoint = checkpoint;
        disk.ticks += self.unwritten;
        self.unwritten = 0;
        if self.fault == Fault::CheckpointFirst {
            self.unwritten = self.folded;
        } else {
            disk.ticks += self.folded;
        }
        self.folded = 0;
        Ok(())
    }

    fn discard(&mut self) {
        self.folded = 0;
    }
}

fn log_of(inputs: &[InputFacts]) -> Story {
    let log = MemoryLog::new();
    let mut batch = Batch::after(log.head());
    for input in inputs {
        let mut facts = Vec::new();
        stored::encode_input(input, &mut facts);
        stored::encode_events(&[], &mut facts);
        let header = Header {
            codec: stored::CODEC,
            kind: RecordKind(input.kind()),
            tenant: 1,
            position: batch.head().position.next(),
            visitor: 0,
            feed_sequence: 0,
            occurred_at: 0,
            received_at: 0,
            recorded_at: 0,
            previous: LogPosition::START,
            key: 0,
            facts_len: u32::try_from(facts.len()).unwrap(),
            personal_len: 0,
        };
        batch.chain = Record::write(&header, batch.chain, &facts, &mut batch.bytes);
        batch.ends.push(batch.bytes.len());
    }
    log.append(&batch).unwrap();
    let vault = Arc::new(KeyVault::in_memory(MasterKey::from_bytes([1; 32])));
    Story { log: Arc::new(log), vault }
}

fn disks(fault: Fault) -> Disks {
    Disks { disks: Mutex::default(), fault }
}

fn projector(story: &Story, counter: Counter) -> Projector<Counter> {
    Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), counter).unwrap()
}

#[test]
fn a_projection_that_keeps_the_contract_passes_and_broken_ones_are_found() {
    let story = log_of(&vec![InputFacts::Tick; 30]);
    contract::holds(&disks(Fault::None), &story);
    for fault in [Fault::CheckpointFirst, Fault::WritesWhileFolding] {
        let broken = disks(fault);
        assert!(catch_unwind(AssertUnwindSafe(|| contract::holds(&broken, &story))).is_err());
    }
}

#[test]
fn a_record_that_does_not_fit_is_named_and_what_was_committed_before_stays() {
    let mut inputs = vec![InputFacts::Tick; 6];
    inputs.push(InputFacts::Deadline);
    let story = log_of(&inputs);
    let home = disks(Fault::None);
    let mut projector = projector(&story, home.open("a"));
    let error = projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ProjectorError::Parked { position: LogPosition(7), .. }), "{error}");
    assert!(error.to_string().contains("leadfold projections rebuild counter"), "{error}");
    assert_eq!((projector.checkpoint(), projector.lag()), (LogPosition(4), 3));
    assert_eq!(home.dump(projector.projection()), "ticks=4");
    projector.catch_up(LogPosition(6), &mut |_| {}).unwrap();
    assert_eq!(home.dump(projector.projection()), "ticks=6");
}
