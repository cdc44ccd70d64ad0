//! Tests of the whole engine, in memory: no database, no files.

mod erasure;
mod histories;
mod once;
mod ordering;
mod requests;
mod rescoring;
mod retention;
mod suppression;
mod tampering;

use std::sync::Arc;

use event_log::{EventLog, MemoryLog, MemoryTables};
use feed::{ClockCorrection, Entry, InteractionDecoder, Limits, Origin};
use key_vault::{KeyVault, MasterKey};
use lead_domain::{TenantId, Time};

use crate::{Clock, Engine, EngineOptions, Outcome, Parts, Release, Tenant};

pub(crate) const POLICY: &str = r#"
tenant = "acme"
currency = "EUR"
time_zone = "UTC"
phone_region = "DE"
close_reasons = ["wrong_number"]

[[lead_type]]
name = "shop"
close_after = "48h"
converts_on = [{ action = "purchase" }]

[[channel]]
name = "web"
default_lead_type = "shop"
"#;

pub(crate) const TENANT: TenantId = TenantId(1);

/// An engine's parts in memory, which outlive the engine as disks do.
pub(crate) struct Disk {
    pub(crate) log: MemoryLog,
    tables: MemoryTables,
    vault: Arc<KeyVault>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let vault = Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32])));
        Self { log: MemoryLog::new(), tables: MemoryTables::new(), vault }
    }

    fn parts(&self) -> Parts {
        Parts { log: Arc::new(self.log.clone()), tables: Arc::new(self.tables.clone()), vault: self.vault.clone() }
    }

    /// Opens an engine with a fixed clock, so that equal inputs give equal bytes.
    pub(crate) fn open(&self, write_back_records: u64) -> Engine {
        let clock = Clock::Fixed(hours(100_000));
        let options = EngineOptions { clock, write_back_records, books_max: 16 };
        Engine::open(self.parts(), options, &mut |_, _| {}).expect("the parts belong together")
    }

    /// What is left after the process died: everything appended, and an earlier state of the tables.
    fn after_a_crash(self) -> Self {
        Self { tables: self.tables.lose_unflushed(), ..self }
    }
}

pub(crate) fn hours(hours: i64) -> Time {
    Time::from_millis(hours * 3_600_000)
}

/// An event of `device` at an hour.
pub(crate) fn event(id: &str, device: u32, hour: i64, action: &str) -> String {
    let time = proto_events::lead_event::rfc3339(hours(hour));
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/test","type":"leadfold.interaction.v1","time":"{time}",
        "data":{{"tenant":"acme","visitor_id":"d{device}","channel":"web","action":"{action}",
        "contact":{{"name":"Made Up"}},"attributes":{{"note":"{id}"}}}}}}"#
    )
}

fn decoder(engine: &Engine) -> InteractionDecoder {
    let rules = engine.tenants().iter().map(Tenant::rules);
    InteractionDecoder::new(rules.collect(), Some(TENANT), engine.hash_key(), Limits::default())
}

/// Submits events as one chunk and returns what became of them.
pub(crate) fn submit<S: AsRef<str>>(engine: &mut Engine, events: &[S]) -> Vec<Outcome> {
    let mut decoder = decoder(engine);
    let decode = |event: &S| {
        let origin = Origin { name: "test", feed_sequence: 0, tenant: None, clock: ClockCorrection::History };
        decoder.decode(event.as_ref().as_bytes(), origin, hours(100_000)).expect("there is a tenant")
    };
    let entries = events.iter().map(decode).collect();
    engine.submit(entries, None).expect("memory does not fail")
}

/// A log with leads that were opened, converted and timed out, a duplicate, a conflict and a rejected input.
pub(crate) fn small_history(disk: &Disk) -> Engine {
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    let events = [
        event("a", 1, 0, "page.viewed"),
        event("b", 2, 1, "page.viewed"),
        event("b", 2, 1, "page.viewed"),
        event("b", 2, 1, "page.left"),
        event("c", 1, 2, "purchase"),
        "{".to_owned(),
    ];
    submit(&mut engine, &events);
    engine.tick(TENANT, hours(200)).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    engine
}

#[test]
fn every_input_is_recorded_once_and_answers_say_where() {
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    let events =
        [event("a", 1, 0, "page.viewed"), event("a", 1, 0, "page.viewed"), event("a", 1, 0, "other"), "?".into()];
    let outcomes = submit(&mut engine, &events);
    let position = event_log::LogPosition;
    let expected = [
        Outcome::Recorded(position(2)),
        Outcome::Duplicate(position(2)),
        Outcome::Conflict(position(2)),
        Outcome::Quarantined(position(4)),
    ];
    assert_eq!(outcomes, expected);
    let again = submit(&mut engine, &events);
    let expected = [
        Outcome::Duplicate(position(2)),
        Outcome::Duplicate(position(2)),
        Outcome::Conflict(position(2)),
        Outcome::Duplicate(position(4)),
    ];
    assert_eq!(again, expected, "nothing is recorded twice, however late it comes");
    engine.flush().expect("memory does not fail");
    assert_eq!(disk.log.head().position, position(4));
}

#[test]
fn ticks_close_leads_at_their_deadlines_in_that_order() {
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    let events: Vec<String> = [(1, 30), (2, 10), (3, 20), (2, 40)]
        .map(|(device, hour)| event(&format!("{device}{hour}"), device, hour, "p"))
        .into();
    submit(&mut engine, &events);
    engine.tick(TENANT, hours(80)).expect("memory does not fail");
    assert_eq!(engine.counts().closed, 2, "one lead had a later interaction and is not due yet");
    engine.tick(TENANT, hours(70)).expect("memory does not fail");
    engine.tick(TENANT, hours(500)).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    let mut closed = Vec::new();
    let visit = &mut |record: event_log::Record<'_>| {
        let facts = proto_events::stored::decode_facts(record.header.codec, record.facts).expect("we wrote it");
        closed.extend(facts.events.iter().filter_map(|event| {
            let lead_domain::Event::LeadClosed { lead, at, .. } = event else { return None };
            Some((lead.visitor.0, *at))
        }));
        std::ops::ControlFlow::Continue(())
    };
    disk.log.read(event_log::LogPosition(1), visit).expect("memory does not fail");
    assert_eq!(closed, [(3, hours(68)), (1, hours(78)), (2, hours(88))]);
}

#[test]
fn a_repaired_input_leaves_quarantine_once() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let held = engine.quarantine(event_log::LogPosition::START, 10).expect("memory does not fail");
    let [held] = held.as_slice() else { panic!("one input is in quarantine") };
    assert_eq!((held.reason.code.as_str(), held.bytes.as_deref()), ("invalid_json", Some(&b"{"[..])));
    let position = held.position;
    let origin = Origin { name: "test", feed_sequence: 0, tenant: None, clock: ClockCorrection::History };
    let repaired = event("z", 5, 300, "page.viewed");
    let entry = decoder(&engine).decode(repaired.as_bytes(), origin, hours(300)).expect("there is a tenant");
    let Entry::Interaction(entry) = entry else { panic!("nothing is wrong with it") };
    let release = || Release { position, operator: "dana".into(), taken: Some(entry.clone()), key: None };
    let answer = engine.release(release()).expect("it is held");
    assert!(!answer.events.is_empty() && !answer.repeated);
    assert!(engine.release(release()).is_err());
    drop(engine);
    let mut engine = disk.after_a_crash().open(1 << 20);
    let held = engine.quarantined(position).expect("it stays listed");
    assert!(matches!(held.state, crate::QuarantineState::Released(_)), "also after the tables were lost");
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
}

#[test]
fn a_failed_append_stops_the_engine_and_loses_nothing_recorded() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let head = disk.log.head();
    disk.log.fail_next_append();
    submit(&mut engine, &[event("x", 9, 300, "page.viewed")]);
    assert!(engine.flush().is_err());
    assert!(engine.adopt(&POLICY.replace("48h", "49h")).is_err(), "nothing more is taken");
    drop(engine);
    assert_eq!(disk.log.head(), head);
    let log = disk.log.reopened();
    let disk = Disk { log, ..disk };
    let mut engine = disk.open(1 << 20);
    let outcomes = submit(&mut engine, &[event("x", 9, 300, "page.viewed")]);
    assert_eq!(outcomes, [Outcome::Recorded(head.position.next())]);
}

#[test]
fn an_unchanged_policy_is_not_adopted_again_and_a_faulty_one_not_at_all() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let head = engine.head();
    assert_eq!(engine.adopt(POLICY).expect("it is in force").1, crate::Adopted::Unchanged(1));
    let refused = engine.adopt(&POLICY.replace("name = \"shop\"", "name = \"other\""));
    assert!(matches!(refused, Err(crate::EngineError::Policy { faults }) if !faults.is_empty()));
    assert_eq!(engine.head(), head);
    let adopted = engine.adopt(&POLICY.replace("48h", "24h")).expect("a policy without faults");
    assert_eq!(adopted, (TENANT, crate::Adopted::Version(2)));
}
