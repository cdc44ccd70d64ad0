//! The projector and its contract suite, with a model in memory: one that keeps the contract, and some that don't.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use event_log::{Batch, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use key_vault::{KeyVault, MasterKey};
use lead_domain::VisitorId;
use projector::contract::{self, ModelHome, Story};
use projector::{
    Checkpoint, FoldError, ModelError, PARKED_MAX, Park, Parked, Projection, Projector, ProjectorError, Recorded,
};
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
    /// Who is left out is known until the process ends.
    ForgetsParked,
}

#[derive(Clone, Default)]
struct Stored {
    checkpoint: Checkpoint,
    ticks: u64,
    parked: Parked,
}

/// Counts ticks.
struct Counter {
    disk: Arc<Mutex<Stored>>,
    folded: u64,
    unwritten: u64,
    parked: Option<Parked>,
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
        Counter { disk, folded: 0, unwritten: 0, parked: None, fault: self.fault }
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

    fn wants_personal(_: &Header, _: InputRef<'_>) -> bool {
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
        if let Some(parked) = self.parked.take().filter(|_| self.fault != Fault::ForgetsParked) {
            disk.parked = parked;
        }
        Ok(())
    }

    fn discard(&mut self) {
        self.folded = 0;
        self.parked = None;
    }

    fn parked(&self) -> Result<Parked, ModelError> {
        Ok(self.disk.lock().unwrap().parked.clone())
    }

    fn park(&mut self, parked: &Parked) -> bool {
        self.parked = Some(parked.clone());
        true
    }
}

fn log_of(inputs: &[InputFacts]) -> Story {
    log_of_visitors(inputs, |_| 0)
}

/// A log of inputs, and whose each is.
fn log_of_visitors(inputs: &[InputFacts], visitor: impl Fn(LogPosition) -> u64) -> Story {
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
            visitor: visitor(batch.head().position.next()),
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
    let story = log_of_visitors(&vec![InputFacts::Tick; 30], |position| position.0 % 5);
    contract::holds(&disks(Fault::None), &story);
    for fault in [Fault::CheckpointFirst, Fault::WritesWhileFolding, Fault::ForgetsParked] {
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
    // It is nobody's, so there is nobody's stream to leave out.
    let error = projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ProjectorError::Unfit { position: LogPosition(7), .. }), "{error}");
    assert!(error.to_string().contains("leadfold projections rebuild counter"), "{error}");
    assert_eq!((projector.checkpoint(), projector.lag()), (LogPosition(4), 3));
    assert_eq!(home.dump(projector.projection()), "ticks=4");
    projector.catch_up(LogPosition(6), &mut |_| {}).unwrap();
    assert_eq!(home.dump(projector.projection()), "ticks=6");
}

/// Ticks of some visitors, where every tenth record is none.
fn ticks_and_others(visitors: u64) -> Story {
    let inputs: Vec<InputFacts> =
        (1..=200).map(|at| if at % 10 == 0 { InputFacts::Deadline } else { InputFacts::Tick }).collect();
    log_of_visitors(&inputs, |position| position.0 * 7 % visitors + 1)
}

#[test]
fn who_has_a_record_that_does_not_fit_is_left_out_from_there_on_and_everybody_else_is_not() {
    let story = ticks_and_others(30);
    let home = disks(Fault::None);
    let mut whole = projector(&story, home.open("a"));
    assert_eq!(whole.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap(), LogPosition(200));
    // By another road: who is left out, from where, and what is in the model.
    let (mut left, mut ticks) = (BTreeMap::new(), 0);
    for at in 1..=200_u64 {
        let visitor = at * 7 % 30 + 1;
        if at % 10 == 0 || left.contains_key(&visitor) {
            left.entry(visitor).or_insert((at, 0)).1 += 1;
        } else {
            ticks += 1;
        }
    }
    assert_eq!(home.dump(whole.projection()), format!("ticks={ticks}"));
    let found = whole.parked().streams().map(|(visitor, stream)| {
        assert_eq!((stream.tenant, stream.since, stream.reason.as_str()), (1, stream.cause, "it is no tick"));
        (visitor.0, (stream.since, stream.records))
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), left);
    assert_eq!(left.len(), 3);
}

#[test]
fn too_many_streams_that_do_not_fit_stop_the_projection_unless_somebody_does_without_them() {
    let story = log_of_visitors(&vec![InputFacts::Deadline; 40], |position| position.0);
    let home = disks(Fault::None);
    let mut stopped = projector(&story, home.open("a"));
    let error = stopped.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ProjectorError::TooManyParked { position: LogPosition(33), .. }), "{error}");
    assert!(error.to_string().contains("leadfold projections parked counter"), "{error}");
    // Those in front of it are known, so that somebody can look at them.
    assert_eq!(stopped.checkpoint(), LogPosition(32));
    let parked: Vec<_> = stopped.parked().streams().map(|(visitor, _)| visitor).collect();
    assert_eq!(parked.len(), PARKED_MAX);
    for visitor in parked {
        assert!(stopped.discard_parked(visitor, "a test").unwrap());
    }
    assert!(!stopped.discard_parked(VisitorId(77), "a test").unwrap(), "nothing of it is left out");
    assert_eq!(stopped.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap(), LogPosition(40));
    assert_eq!(stopped.parked().waiting(), 8);
    // A new model has to leave out the same ones: what was decided about them holds.
    let earlier = stopped.parked().clone();
    let mut anew = projector(&story, home.open("b")).after(earlier.clone());
    anew.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(anew.parked(), &earlier);
}

#[test]
fn records_from_memory_are_left_out_as_those_from_the_log() {
    let story = ticks_and_others(30);
    let home = disks(Fault::None);
    let mut followed = projector(&story, home.open("a"));
    story
        .log
        .read(LogPosition(1), &mut |record| {
            let facts = stored::decode_facts(record.header.codec, record.facts).unwrap();
            let (header, input, events) = (&record.header, facts.input.as_input(), facts.events.as_slice());
            followed.take_fresh(&Recorded { header, input, events, personal: None }, record.chain).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    followed.commit_fresh().unwrap();
    let mut read = projector(&story, home.open("b"));
    read.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(home.dump(followed.projection()), home.dump(read.projection()));
    assert_eq!(followed.parked(), read.parked());
}
