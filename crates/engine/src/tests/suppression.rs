//! Suppression: what carries an identifier that must not be collected leaves nothing, before and after a restart.

use event_log::{EventLog, LogPosition};
use feed::identifier_key;
use lead_domain::{Identifier, IdentifierKind, VisitorId};

use super::*;
use crate::{EngineError, SuppressionRequest};

fn device(engine: &Engine, value: &str) -> Identifier {
    let rules = engine.tenants()[0].rules();
    let key = identifier_key(engine.hash_key(), &rules, IdentifierKind::VisitorId, value);
    Identifier { kind: IdentifierKind::VisitorId, key: key.expect("any device id will do").expect("it is not blocked") }
}

fn request(identifiers: Vec<Identifier>, lifted: bool) -> SuppressionRequest {
    SuppressionRequest {
        tenant: TENANT,
        operator: "dana".into(),
        at: None,
        reason: "objects to it".into(),
        lifted,
        visitor: None,
        identifiers,
        key: None,
    }
}

fn is_whole(engine: &mut Engine) -> bool {
    engine.verify(None, &mut |_| {}).expect("memory does not fail").is_whole()
}

#[test]
fn what_carries_a_suppressed_identifier_is_not_recorded_and_others_are() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(POLICY).expect("a policy without faults");
    let known = submit(&mut engine, &[event("a", 1, 0, "page.viewed")]);
    let (one, stranger) = (device(&engine, "d1"), device(&engine, "d7"));
    engine.suppress(request(vec![one, stranger], false)).expect("memory does not fail");
    let head = engine.decided();
    let events = [
        event("b", 1, 1, "page.viewed"),
        event("c", 7, 1, "page.viewed"),
        // Recorded before, it is a duplicate still; with other content it is not kept as a conflict.
        event("a", 1, 0, "page.viewed"),
        event("a", 1, 0, "page.left"),
    ];
    let Outcome::Recorded(first) = known[0] else { panic!("{known:?}") };
    let found = submit(&mut engine, &events);
    assert_eq!(found, [Outcome::Suppressed, Outcome::Suppressed, Outcome::Duplicate(first), Outcome::Suppressed]);
    assert_eq!((engine.decided(), engine.counts().suppressed), (head, 3), "no record, not even of the refusal");
    assert!(matches!(submit(&mut engine, &[event("d", 2, 1, "page.viewed")])[0], Outcome::Recorded(_)));
    assert!(engine.book(TENANT, VisitorId(3)).is_err(), "nobody came but the two");
    assert!(is_whole(&mut engine));
}

#[test]
fn what_is_suppressed_is_listed_page_by_page_with_who_asked_and_why() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(POLICY).expect("a policy without faults");
    let three = ["d1", "d2", "d3"].map(|value| device(&engine, value));
    let first = engine.suppress(request(three.to_vec(), false)).expect("memory does not fail");
    let again =
        SuppressionRequest { operator: "eve".into(), reason: "asked twice".into(), ..request(vec![three[1]], false) };
    let second = engine.suppress(again).expect("memory does not fail");
    engine.suppress(request(vec![three[2]], true)).expect("memory does not fail");
    engine.write_back().expect("memory does not fail");
    drop(engine);
    let engine = disk.open(4);
    let mut expected = vec![(three[0], first.position), (three[1], second.position)];
    expected.sort_by_key(|(identifier, _)| identifier.key.0);
    let (mut found, mut after) = (Vec::new(), None);
    while let [mark] = engine.suppressions(TENANT, after, 1)[..] {
        found.push((mark.identifier, mark.position));
        after = Some(mark.identifier);
    }
    assert_eq!(found, expected);
    assert_eq!(engine.suppressions(TenantId(TENANT.0 + 1), None, 9), []);
    assert_eq!(engine.suppression(TENANT, three[2]), None, "it was lifted");
    let mark = engine.suppression(TENANT, three[1]).expect("it is suppressed");
    let source = engine.parts().suppression_source(mark.position).expect("the record is there");
    assert_eq!((source.operator.as_str(), source.reason.as_str()), ("eve", "asked twice"));
    assert!(engine.parts().suppression_source(LogPosition(1)).is_err(), "a policy suppresses nothing");
}

#[test]
fn a_suppression_outlives_restarts_with_tables_and_without() {
    for write_back_records in [1, 1 << 20] {
        let disk = Disk::new();
        let mut engine = disk.open(write_back_records);
        engine.adopt(POLICY).expect("a policy without faults");
        let one = device(&engine, "d1");
        engine.suppress(request(vec![one], false)).expect("memory does not fail");
        drop(engine);
        let disk = disk.after_a_crash();
        let mut engine = disk.open(write_back_records);
        assert!(engine.suppresses(TENANT, one));
        assert_eq!(submit(&mut engine, &[event("a", 1, 0, "page.viewed")]), [Outcome::Suppressed]);
        engine.write_back().expect("memory does not fail");
        drop(engine);
        let mut engine = disk.open(write_back_records);
        assert_eq!(submit(&mut engine, &[event("a", 1, 0, "page.viewed")]), [Outcome::Suppressed]);
        engine.suppress(request(vec![one], true)).expect("memory does not fail");
        assert!(matches!(submit(&mut engine, &[event("a", 1, 0, "page.viewed")])[0], Outcome::Recorded(_)));
        engine.write_back().expect("memory does not fail");
        drop(engine);
        let mut engine = disk.open(write_back_records);
        assert!(!engine.suppresses(TENANT, one));
        assert!(is_whole(&mut engine));
    }
}

#[test]
fn a_visitor_is_suppressed_by_all_that_it_has_and_somebody_must_be_named() {
    let disk = Disk::new();
    let mut engine = small_history(&disk);
    let named = |visitor| SuppressionRequest { visitor: Some(VisitorId(visitor)), ..request(Vec::new(), false) };
    engine.suppress(named(1)).expect("the visitor is there");
    assert_eq!(submit(&mut engine, &[event("z", 1, 90, "page.viewed")]), [Outcome::Suppressed]);
    assert!(matches!(engine.suppress(named(99)), Err(EngineError::Refused(_))));
    assert!(matches!(engine.suppress(request(Vec::new(), false)), Err(EngineError::NothingToSuppress)));
    let replay = crate::replay(
        &disk.log,
        &crate::ReplayOptions { from: LogPosition(1), to: disk.log.head().position, tenant: None },
        &mut |_| {},
    )
    .expect("it can be read");
    assert!(replay.difference.is_none(), "{replay:?}");
    assert!(disk.log.head().position > LogPosition(1));
}

#[test]
fn a_feeds_place_moves_over_what_is_not_collected() {
    let disk = Disk::new();
    let mut engine = disk.open(4);
    engine.adopt(POLICY).expect("a policy without faults");
    let one = device(&engine, "d1");
    engine.suppress(request(vec![one], false)).expect("memory does not fail");
    let mut decoder = decoder(&engine);
    let origin = Origin { name: "test", feed_sequence: 9, tenant: None, clock: ClockCorrection::History };
    let entry = decoder.decode(event("a", 1, 0, "x").as_bytes(), origin, hours(100_000)).expect("there is a tenant");
    let outcomes = engine.submit(vec![entry], Some(("feed".to_owned(), b"9".to_vec())));
    assert_eq!(outcomes.expect("memory does not fail"), [Outcome::Suppressed]);
    engine.flush().expect("memory does not fail");
    assert_eq!(disk.log.meta("feed").expect("memory does not fail"), Some(b"9".to_vec()));
}
