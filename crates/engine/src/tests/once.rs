//! Policies and releases under a key count once, through crashes too, and go to the log whole.

use event_log::{EventLog, LogPosition};
use feed::{ClockCorrection, Entry, InteractionEntry};
use proto_events::command_document::Rescore;
use proto_events::stored::RequestKey;

use super::{Disk, POLICY, TENANT, decoder, event, hours, small_history, submit};
use crate::{Answer, Engine, EngineError, Origin, PolicyRequest, QuarantineState, Release, Verification};

/// The position of the input that `small_history` has in quarantine.
fn held(engine: &mut Engine) -> LogPosition {
    let held = engine.quarantine(LogPosition::START, 10).expect("memory does not fail");
    held.first().expect("one input is in quarantine").position
}

fn key(message: u128, fingerprint: u64) -> Option<RequestKey> {
    Some(RequestKey { message, fingerprint })
}

fn longer(hours: u32) -> String {
    POLICY.replace("48h", &format!("{hours}h"))
}

fn adopt(engine: &mut Engine, document: &str, key: Option<RequestKey>) -> Result<Answer, EngineError> {
    engine.carry_out_policy(
        &PolicyRequest { document, only: Some("acme"), key, rescore: Rescore::None },
        Origin::default(),
    )
}

fn version(engine: &Engine) -> u32 {
    engine.tenant("acme").expect("it has a policy").version
}

fn repaired(engine: &Engine) -> Box<InteractionEntry> {
    let origin = feed::Origin { name: "test", feed_sequence: 0, tenant: None, clock: ClockCorrection::History };
    let event = event("z", 5, 300, "page.viewed");
    match decoder(engine).decode(event.as_bytes(), origin, hours(300)).expect("there is a tenant") {
        Entry::Interaction(entry) => entry,
        Entry::Rejected(_) => panic!("nothing is wrong with it"),
    }
}

fn let_go(engine: &mut Engine, release: Release) -> Result<Answer, EngineError> {
    engine.carry_out_release(release, Origin::default())
}

fn verified(engine: &mut Engine) -> Verification {
    engine.verify(None, &mut |_| {}).expect("memory does not fail")
}

#[test]
fn a_policy_under_a_known_key_is_not_adopted_again_though_another_one_is_in_force() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let first = adopt(&mut engine, &longer(24), key(7, 8)).expect("a policy without faults");
    adopt(&mut engine, &longer(12), key(8, 8)).expect("a policy without faults");
    // Once while it waits for its commit, once when it is durable, once when it is all that is left.
    let check = |engine: &mut Engine| {
        let again = adopt(engine, &longer(24), key(7, 8)).expect("it was adopted before");
        assert!(again.repeated && !first.repeated);
        assert_eq!((again.position, again.at), (first.position, first.at));
        let reused = adopt(engine, &longer(36), key(7, 9));
        assert!(matches!(reused, Err(EngineError::KeyReused { position }) if position == first.position));
        assert_eq!(version(engine), 3);
    };
    check(&mut engine);
    engine.flush().expect("memory does not fail");
    check(&mut engine);
    engine.write_back().expect("memory does not fail");
    check(&mut engine);
    drop(engine);
    let mut engine = disk.after_a_crash().open(1 << 20);
    check(&mut engine);
    assert!(verified(&mut engine).is_whole());
}

#[test]
fn a_faulty_policy_and_one_that_is_in_force_already_leave_their_keys_free() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let decided = engine.decided();
    assert!(adopt(&mut engine, &POLICY.replace("48h", "soon"), key(7, 8)).is_err());
    assert!(adopt(&mut engine, POLICY, key(7, 9)).expect("it is in force").repeated);
    assert_eq!(engine.decided(), decided);
    assert!(!adopt(&mut engine, &longer(24), key(7, 10)).expect("a policy without faults").repeated);
}

#[test]
fn a_release_under_a_known_key_is_answered_with_what_the_first_one_led_to() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let position = held(&mut engine);
    let entry = repaired(&engine);
    let release = |key| Release { position, operator: "dana".into(), taken: Some(entry.clone()), key };
    let first = let_go(&mut engine, release(key(7, 8))).expect("it is held");
    assert!(!first.repeated && !first.events.is_empty());
    let check = |engine: &mut Engine| {
        let again = let_go(engine, release(key(7, 8))).expect("it was released before");
        assert!(again.repeated);
        assert_eq!((again.position, again.at, &again.events), (first.position, first.at, &first.events));
        assert_eq!(again.leads, first.leads);
        assert!(matches!(let_go(engine, release(key(7, 9))), Err(EngineError::KeyReused { .. })));
        assert!(matches!(let_go(engine, release(key(9, 8))), Err(EngineError::NotQuarantined { .. })));
    };
    check(&mut engine);
    engine.flush().expect("memory does not fail");
    check(&mut engine);
    drop(engine);
    let mut engine = disk.after_a_crash().open(1 << 20);
    check(&mut engine);
    assert!(verified(&mut engine).is_whole());
}

#[test]
fn a_discarded_input_stays_discarded_under_its_key() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let position = held(&mut engine);
    let discard = || Release { position, operator: "dana".into(), taken: None, key: key(7, 8) };
    let first = engine.release(discard()).expect("it is held");
    drop(engine);
    let mut engine = disk.after_a_crash().open(1 << 20);
    let again = engine.release(discard()).expect("it was discarded before");
    assert!(again.repeated && again.events.is_empty());
    assert_eq!(again.position, first.position);
    let state = engine.quarantined(position).expect("it stays listed").state;
    assert_eq!(state, QuarantineState::Released(first.position));
}

#[test]
fn policies_that_a_feed_brings_again_after_a_crash_before_its_watermark_are_not_adopted_again() {
    let disk = Disk::new();
    let bring = |engine: &mut Engine| {
        let both = [(longer(24), key(7, 8)), (longer(12), key(8, 8))];
        both.map(|(document, key)| adopt(engine, &document, key).expect("a policy without faults").repeated)
    };
    let mut engine = disk.open(1 << 20);
    assert_eq!(bring(&mut engine), [false, false]);
    engine.flush().expect("memory does not fail");
    drop(engine);
    let disk = disk.after_a_crash();
    let mut engine = disk.open(1 << 20);
    assert_eq!(bring(&mut engine), [true, true]);
    assert_eq!(version(&engine), 2);
    engine.commit(Some(("feed/x".to_owned(), vec![1]))).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    assert_eq!(disk.log.head().position, LogPosition(2));
}

#[test]
fn a_policy_and_a_release_go_to_the_log_with_the_commit_that_they_are_part_of() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let before = disk.log.head().position;
    // The input in quarantine and its release are of one batch too.
    let outcomes = engine.accept(vec![rejected(&engine)]).expect("memory does not fail");
    let [crate::Outcome::Quarantined(position)] = outcomes.as_slice() else { panic!("it makes no sense") };
    let entry = repaired(&engine);
    let release = Release { position: *position, operator: "dana".into(), taken: Some(entry), key: key(7, 8) };
    assert!(!let_go(&mut engine, release).expect("it is held").events.is_empty());
    adopt(&mut engine, &longer(24), key(8, 8)).expect("a policy without faults");
    adopt(&mut engine, &longer(24), key(8, 8)).expect("it was adopted before");
    assert_eq!(disk.log.head().position, before, "nothing goes to the log before the commit");
    disk.log.fail_next_append();
    engine.commit(Some(("feed/x".to_owned(), vec![1]))).expect("the writer finds out later");
    assert!(engine.flush().is_err());
    drop(engine);
    let disk = Disk { log: disk.log.reopened(), ..disk };
    assert_eq!((disk.log.meta("feed/x").expect("memory does not fail"), disk.log.head().position), (None, before));
    let mut engine = disk.open(1 << 20);
    assert_eq!(version(&engine), 1);
    assert_eq!(submit(&mut engine, &["nonsense"]).as_slice(), outcomes, "it is taken as if for the first time");
    assert_eq!(TENANT, engine.tenant("acme").expect("it has a policy").id);
}

/// An input that can't be taken.
fn rejected(engine: &Engine) -> Entry {
    let origin = feed::Origin { name: "test", feed_sequence: 0, tenant: None, clock: ClockCorrection::History };
    decoder(engine).decode(b"nonsense", origin, hours(100_000)).expect("there is a tenant")
}
