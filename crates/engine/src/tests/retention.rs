//! Retention: who was quiet for long enough is erased, and nobody else, whatever crashes on the way.

use std::sync::Arc;

use event_log::EventLog;
use key_vault::KeySlot;
use lead_domain::{Event, VisitorId};
use proto_events::stored::InputFacts;

use super::*;
use crate::batch::visitor_key_number;
use crate::facts_at;

/// Two days open, then ten days quiet.
fn policy(days: u32) -> String {
    format!("{POLICY}\n[retention]\nerase_after = \"{days}d\"\n")
}

/// An orphan: no channel of the policy.
fn orphan(id: &str, device: u32, hour: i64) -> String {
    event(id, device, hour, "page.viewed").replace("\"web\"", "\"kiosk\"")
}

fn is_destroyed(disk: &Disk, visitor: u64) -> bool {
    let slot = disk.vault.get(visitor_key_number(VisitorId(visitor))).expect("memory does not fail");
    matches!(slot, KeySlot::Destroyed)
}

fn erased(disk: &Disk, visitors: u64) -> Vec<u64> {
    (1..=visitors).filter(|visitor| is_destroyed(disk, *visitor)).collect()
}

fn ticked(engine: &mut Engine, hour: i64) {
    engine.tick(TENANT, hours(hour)).expect("memory does not fail");
    engine.finish_retention(TENANT).expect("memory does not fail");
}

fn is_same_again(disk: &Disk) -> bool {
    let options = crate::ReplayOptions { from: event_log::LogPosition(1), to: disk.log.head().position, tenant: None };
    let replay = crate::replay(&disk.log, &options, &mut |_| {}).expect("the log can be read");
    replay.difference.is_none()
}

#[test]
fn who_was_quiet_for_so_long_is_erased_at_that_time_and_nobody_else() {
    for write_back_records in [1, 1 << 20] {
        let disk = Disk::new();
        let mut engine = disk.open(write_back_records);
        engine.adopt(&policy(10)).expect("a policy without faults");
        submit(&mut engine, &[event("a", 1, 0, "page.viewed"), orphan("b", 2, 0), event("c", 3, 0, "page.viewed")]);
        // Heard of again: one by its lead, one by another orphan.
        submit(&mut engine, &[event("d", 3, 100, "page.viewed"), orphan("e", 4, 0), orphan("f", 4, 120)]);
        ticked(&mut engine, 239);
        assert_eq!(erased(&disk, 4), [0_u64; 0], "an hour before");
        ticked(&mut engine, 240);
        assert_eq!(erased(&disk, 4), [1, 2]);
        assert_eq!(engine.counts().erased, 2);
        ticked(&mut engine, 341);
        assert_eq!(erased(&disk, 4), [1, 2, 3]);
        ticked(&mut engine, 360);
        assert_eq!(erased(&disk, 4), [1, 2, 3, 4]);
        let (position, _) = engine.erasures().expect("memory does not fail")[0];
        let (header, facts) = facts_at(&disk.log, position).expect("it can be read").expect("it is there");
        assert_eq!(header.occurred_at, hours(240).as_millis());
        let InputFacts::Erasure(record) = facts.input else { panic!("{facts:?}") };
        let said = (record.operator.as_str(), record.reason.as_str());
        assert_eq!(said, ("retention", "retention, policy version 1"));
        assert!(matches!(facts.events.as_slice(), [Event::VisitorErased { .. }]), "its lead had ended");
        assert!(is_same_again(&disk));
        let found = engine.verify(None, &mut |_| {}).expect("memory does not fail");
        assert!(found.is_whole(), "{found:?}");
        assert!(!engine.is_due(TENANT, hours(100_000)).expect("memory does not fail"), "nobody is left");
    }
}

#[test]
fn an_open_lead_keeps_its_visitor_until_it_has_ended() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    let long = policy(1).replace("48h", "960h");
    engine.adopt(&long).expect("a policy without faults");
    submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
    ticked(&mut engine, 959);
    assert!(!is_destroyed(&disk, 1));
    ticked(&mut engine, 960);
    assert!(is_destroyed(&disk, 1), "it closed, and the visitor was quiet all the time");
}

#[test]
fn a_policy_that_comes_later_or_changes_counts_for_everybody_who_is_there() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(POLICY).expect("a policy without faults");
    let all: Vec<String> = (1..=600).map(|device| event(&format!("a{device}"), device, 0, "page.viewed")).collect();
    submit(&mut engine, &all);
    ticked(&mut engine, 500);
    assert_eq!(engine.preview_retention(TENANT, lead_domain::Period::from_days(10)).expect("it is read"), 600);
    assert_eq!(engine.preview_retention(TENANT, lead_domain::Period::from_days(30)).expect("it is read"), 0);
    engine.adopt(&policy(30)).expect("a policy without faults");
    ticked(&mut engine, 500);
    assert_eq!(erased(&disk, 600).len(), 0);
    engine.adopt(&policy(10)).expect("a policy without faults");
    // One tick takes some of them; the next ones go on.
    engine.tick(TENANT, hours(501)).expect("memory does not fail");
    let some = erased(&disk, 600).len();
    assert!((1..600).contains(&some), "{some}");
    drop(engine);
    let disk = disk.after_a_crash();
    let mut engine = disk.open(4);
    engine.finish_retention(TENANT).expect("memory does not fail");
    assert_eq!(erased(&disk, 600).len(), 600);
    assert_eq!(engine.erasures().expect("memory does not fail").len(), 600, "nobody twice");
    assert!(is_same_again(&disk));
}

#[test]
fn merged_and_unmerged_visitors_go_by_what_became_of_them() {
    use lead_domain::Command;
    use lead_domain::event::AfterUnmerge;
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(&policy(10)).expect("a policy without faults");
    submit(&mut engine, &[event("a", 1, 0, "page.viewed"), event("b", 2, 100, "page.viewed")]);
    ticked(&mut engine, 110);
    let ask = |command| crate::Request {
        tenant: TENANT,
        operator: "dana".into(),
        at: None,
        command,
        expected_version: None,
        personal: None,
        key: None,
    };
    let (one, other) = (VisitorId(1), VisitorId(2));
    engine.execute(ask(Command::MergeVisitors { one, other })).expect("both are there");
    ticked(&mut engine, 260);
    assert_eq!(erased(&disk, 2), [0_u64; 0], "as one they were heard of at 100");
    let afterwards = AfterUnmerge::KeepApart;
    engine.execute(ask(Command::UnmergeVisitor { visitor: other, afterwards })).expect("they are merged");
    ticked(&mut engine, 400);
    assert_eq!(erased(&disk, 2), [1, 2]);
    assert!(is_same_again(&disk));
}

#[test]
fn keys_that_a_crash_left_are_destroyed_on_opening() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(&policy(10)).expect("a policy without faults");
    submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
    ticked(&mut engine, 300);
    drop(engine);
    let vault = Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32])));
    vault.create_many(&[1, 2]).expect("memory does not fail");
    let disk = Disk { vault, ..disk };
    disk.open(4);
    assert!(is_destroyed(&disk, 1));
}
