//! Erasing: what stays readable, what not, and that no crash leaves half of it.

use std::sync::Arc;

use event_log::LogPosition;
use key_vault::KeySlot;
use lead_domain::{Command, Refusal, VisitorId};

use super::*;
use crate::batch::{untaken_key_number, visitor_key_number};
use crate::{EngineError, Request, TimelineQuery};

pub(super) fn erase(visitor: u64) -> Request {
    Request {
        tenant: TENANT,
        operator: "dana".into(),
        at: None,
        command: Command::EraseVisitor { visitor: VisitorId(visitor), reason: "asked for it".into() },
        expected_version: None,
        personal: None,
        key: None,
    }
}

fn opened(engine: &mut Engine, visitor: u64) -> (usize, usize) {
    let all = TimelineQuery { visitor: VisitorId(visitor), lead: None, limit: usize::MAX, before: None };
    let entries = engine.timeline(&all).expect("memory does not fail");
    (entries.iter().filter(|entry| entry.personal.is_some()).count(), entries.len())
}

fn is_destroyed(disk: &Disk, key: u64) -> bool {
    matches!(disk.vault.get(key).expect("memory does not fail"), KeySlot::Destroyed)
}

#[test]
fn nothing_of_an_erased_visitor_opens_any_more_and_the_log_is_whole() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    assert_eq!(opened(&mut engine, 1).0, 2);
    engine.execute(erase(1)).expect("the visitor is there");
    let (open, all) = opened(&mut engine, 1);
    assert!(open == 0 && all >= 3, "{open} of {all}");
    assert_eq!(opened(&mut engine, 2).0, 1, "somebody else's records are as they were");
    let found = engine.verify(None, &mut |_| {}).expect("memory does not fail");
    assert!(found.is_whole() && found.erased == 2, "{found:?}");
    let refused = engine.execute(erase(1));
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::VisitorErased { .. }))));
    assert!(matches!(engine.execute(erase(77)), Err(EngineError::Refused(Refusal::UnknownVisitor { .. }))));
    drop(engine);
    let mut engine = disk.after_a_crash().open(4);
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
    assert_eq!(opened(&mut engine, 1).0, 0);
}

#[test]
fn somebody_who_returns_is_new_before_and_after_the_tables_follow() {
    for write_back_records in [1, 1 << 20] {
        let disk = Disk::new();
        let mut engine = disk.open(write_back_records);
        engine.adopt(POLICY).expect("a policy without faults");
        submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
        engine.write_back().expect("memory does not fail");
        engine.execute(erase(1)).expect("the visitor is there");
        submit(&mut engine, &[event("b", 1, 1, "page.viewed")]);
        assert!(engine.book(TENANT, VisitorId(2)).is_ok(), "a new visitor");
        engine.write_back().expect("memory does not fail");
        drop(engine);
        let mut engine = disk.open(write_back_records);
        submit(&mut engine, &[event("c", 1, 2, "page.viewed")]);
        assert!(engine.book(TENANT, VisitorId(3)).is_err(), "known by then");
        assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
    }
}

#[test]
fn a_conflict_and_a_quarantined_input_with_the_persons_identifier_go_too() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let broken = |device: &str| format!(r#"{{"specversion":"1.0","data":{{"visitor_id":"{device}"}}}}"#);
    submit(&mut engine, &[broken("device-2"), broken("device-22"), event("d", 9, 3, "page.viewed")]);
    // The conflict of `small_history` is that of device d2; a short identifier is sought in no broken input.
    engine.execute(erase(2)).expect("the visitor is there");
    let gone: Vec<bool> = (1..=4).map(|count| is_destroyed(&disk, untaken_key_number(count))).collect();
    assert_eq!(gone, [true, false, false, false]);
    let named = r#"{"specversion":"1.0","id":"n","source":"/test","type":"leadfold.interaction.v1",
        "time":"1970-01-02T00:00:00Z","data":{"tenant":"acme","visitor_id":"device-22","channel":"web","action":"x"}}"#;
    submit(&mut engine, &[named.to_owned()]);
    let visitor = engine.decided();
    let visitor = engine.read_entry(visitor).map(|entry| entry.header.visitor);
    engine.flush().expect("memory does not fail");
    let visitor = visitor.or_else(|_| engine.read_entry(engine.decided()).map(|entry| entry.header.visitor));
    engine.execute(erase(visitor.expect("it is recorded"))).expect("the visitor is there");
    let gone: Vec<bool> = (1..=4).map(|count| is_destroyed(&disk, untaken_key_number(count))).collect();
    assert_eq!(gone, [true, false, false, true]);
    assert!(engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole());
}

#[test]
fn an_erasure_that_a_crash_cut_off_behind_its_record_is_finished_on_opening() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let answer = engine.execute(erase(1)).expect("the visitor is there");
    drop(engine);
    // The same log with a vault in which nothing was destroyed yet.
    let vault = Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32])));
    vault.create_many(&[1, 2, 3, 4]).expect("memory does not fail");
    let disk = Disk { vault, ..disk };
    assert!(!is_destroyed(&disk, visitor_key_number(VisitorId(1))));
    let engine = disk.open(4);
    assert!(is_destroyed(&disk, visitor_key_number(VisitorId(1))));
    assert!(!is_destroyed(&disk, visitor_key_number(VisitorId(2))));
    assert_eq!(engine.erasures().expect("memory does not fail"), [(answer.position, VisitorId(1))]);
    assert!(answer.position > LogPosition(1));
}
