//! Requests under a key count once, through crashes too.

use event_log::{EventLog, LogPosition};
use lead_domain::{Command, LeadId, VisitorId};
use proto_events::Personal;
use proto_events::stored::RequestKey;

use super::{Disk, POLICY, TENANT, event, hours, submit};
use crate::{Engine, EngineError, Request};

const LEAD: LeadId = LeadId { visitor: VisitorId(1), ordinal: 1 };

fn note(text: &str, key: RequestKey) -> Request {
    Request {
        tenant: TENANT,
        operator: "olga".into(),
        at: Some(hours(2)),
        command: Command::AddNote { lead: LEAD },
        expected_version: None,
        personal: Some(Personal { note: Some(text.into()), ..Personal::default() }),
        key: Some(key),
    }
}

fn head(disk: &Disk) -> LogPosition {
    disk.log.head().position
}

fn with_a_lead(disk: &Disk) -> Engine {
    let mut engine = disk.open(4);
    engine.adopt(POLICY).expect("a policy without faults");
    submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
    engine
}

#[test]
fn a_request_under_a_known_key_is_answered_with_what_the_first_one_led_to() {
    let disk = Disk::new();
    let mut engine = with_a_lead(&disk);
    let key = RequestKey { message: 7, fingerprint: 8 };
    let first = engine.execute(note("hello", key)).expect("the lead is there");
    let second = engine.execute(note("hello", key)).expect("it was carried out before");
    assert!(!first.repeated && second.repeated);
    assert_eq!((first.position, &first.events), (second.position, &second.events));
    assert_eq!(head(&disk), first.position, "nothing was recorded the second time");
    let third = engine.execute(note("hello", RequestKey { message: 9, fingerprint: 8 })).expect("another key");
    assert!(third.position > first.position);
}

#[test]
fn another_request_under_a_known_key_is_refused_and_changes_nothing() {
    let disk = Disk::new();
    let mut engine = with_a_lead(&disk);
    let first = engine.execute(note("hello", RequestKey { message: 7, fingerprint: 8 })).expect("the lead is there");
    let refused = engine.execute(note("other", RequestKey { message: 7, fingerprint: 9 }));
    assert!(matches!(refused, Err(EngineError::KeyReused { position }) if position == first.position));
    assert_eq!(head(&disk), first.position);
}

#[test]
fn a_key_is_known_after_a_crash_that_lost_the_tables() {
    let disk = Disk::new();
    let key = RequestKey { message: 7, fingerprint: 8 };
    let first = with_a_lead(&disk).execute(note("hello", key)).expect("the lead is there");
    let disk = disk.after_a_crash();
    let mut engine = disk.open(4);
    let again = engine.execute(note("hello", key)).expect("it was carried out before");
    assert!(again.repeated);
    assert_eq!((again.position, again.leads.len()), (first.position, 1));
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
}

#[test]
fn a_refused_request_leaves_its_key_free() {
    let disk = Disk::new();
    let mut engine = with_a_lead(&disk);
    let key = RequestKey { message: 7, fingerprint: 8 };
    let refused = engine.execute(Request { expected_version: Some(99), ..note("hello", key) });
    assert!(matches!(refused, Err(EngineError::Refused(_))));
    assert!(!engine.execute(note("hello", key)).expect("the lead is there").repeated);
}

#[test]
fn inputs_and_requests_of_one_commit_become_durable_together_with_their_watermark() {
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
    engine.flush().expect("memory does not fail");
    let before = head(&disk);
    engine.accept(Vec::new()).expect("memory does not fail");
    engine
        .carry_out(note("hello", RequestKey { message: 7, fingerprint: 8 }), crate::Origin::default())
        .expect("it is there");
    engine
        .carry_out(note("again", RequestKey { message: 8, fingerprint: 8 }), crate::Origin::default())
        .expect("it is there");
    assert_eq!(head(&disk), before, "nothing goes to the log before the commit");
    disk.log.fail_next_append();
    engine.commit(Some(("feed/x".to_owned(), vec![1]))).expect("the writer finds out later");
    assert!(engine.flush().is_err());
    drop(engine);
    let log = disk.log.reopened();
    assert_eq!(log.meta("feed/x").expect("memory does not fail"), None);
    assert_eq!(log.head().position, before, "none of it is there");
}
