//! Open leads scored anew: whatever comes in between, they end up as if the policy had been in force from the start.

use std::time::Duration;

use event_log::LogPosition;
use lead_domain::{LeadId, Ledger, VisitorId};
use proptest::collection::vec;
use proptest::prelude::*;
use proto_events::command_document::Rescore;
use proto_events::stored::{self, InputFacts, Rescoring};

use super::*;
use crate::retracing::Questions;
use crate::{Adopted, EngineError, ReplayOptions, RescoringState};

/// Scoring by which a history begins.
fn before() -> String {
    POLICY.to_owned()
        + r#"
[scoring]
total_cap = 60

[[scoring.group]]
name = "behaviour"
kind = "engagement"

[[scoring.rule]]
name = "looked"
group = "behaviour"
points = 3
when = { action = "page.viewed" }

[[scoring.rule]]
name = "comes back"
group = "behaviour"
points = 6
when = { action_prefix = "page.", at_least = 4, within = "2d" }
limit = { times = 1, within = "1d" }

[temperature]
warm = 10
hot = 30
hysteresis = 2
"#
}

/// The scoring that follows: it asks about an attribute that stands sealed until then.
fn after() -> String {
    before()
        .replace("points = 3", "points = 7\ndecay = { every = \"9h\", percent = 30 }")
        .replace("at_least = 4", "at_least = 2")
        .replace("hot = 30", "hot = 25")
        + r#"
[[scoring.rule]]
name = "noted"
group = "behaviour"
points = 11
when = { attributes.note = { equals = "e7" } }
"#
}

fn events(ids: std::ops::Range<u32>, most: usize) -> impl Strategy<Value = Vec<String>> {
    let one = (ids, 1_u32..8, 0_i64..100)
        .prop_map(|(id, device, hour)| event(&format!("e{id}"), device, hour, "page.viewed"));
    vec(one, 1..most)
}

/// Scores anew until nothing is under way.
fn finish(engine: &mut Engine) -> RescoringState {
    while engine.is_rescoring() {
        engine.rescore(Duration::ZERO).expect("memory does not fail");
    }
    engine.flush().expect("memory does not fail");
    engine.rescoring(TENANT).expect("memory does not fail").expect("it was chosen")
}

fn steps(disk: &Disk) -> Vec<Rescoring> {
    let mut steps = Vec::new();
    let visit = &mut |record: event_log::Record<'_>| {
        let facts = stored::decode_facts(record.header.codec, record.facts).expect("we wrote it");
        if let InputFacts::Rescoring(step) = facts.input {
            steps.push(step);
        }
        std::ops::ControlFlow::Continue(())
    };
    disk.log.read(LogPosition(1), visit).expect("memory does not fail");
    steps
}

/// The ledgers of all open leads, as they are and as the policy in force would have given them from the start.
fn ledgers(engine: &mut Engine) -> Vec<(LeadId, Option<Ledger>, Option<Ledger>)> {
    let policy = engine.tenants()[0].policy().clone();
    let questions = Questions::of(&policy, TENANT, engine.hash_key());
    let mut found = Vec::new();
    for visitor in (1..=engine.last_visitor().0).map(VisitorId) {
        let Ok(book) = engine.book(TENANT, visitor).cloned() else { continue };
        let scored = engine.retraced(&policy, &questions, TENANT, visitor).expect("memory does not fail").shelf;
        for lead in book.open_leads() {
            let then = scored.book(visitor).and_then(|book| book.lead(lead.id)).expect("it is there");
            let ledger = |lead: &lead_domain::Lead| lead.ledger.as_deref().cloned();
            found.push((lead.id, ledger(lead), ledger(then)));
        }
    }
    found
}

/// Leads that are closed: they keep the scores of their ends, also when something late reopens them.
fn closed(engine: &mut Engine) -> Vec<LeadId> {
    let mut closed = Vec::new();
    for visitor in (1..=engine.last_visitor().0).map(VisitorId) {
        let Ok(book) = engine.book(TENANT, visitor) else { continue };
        closed.extend(book.leads.iter().filter(|lead| !lead.is_open()).map(|lead| lead.id));
    }
    closed
}

fn check(disk: &Disk, engine: &mut Engine, but: &[LeadId]) {
    // What came late is brought to the tenant's time first, as a history that is retraced is.
    let clock = engine.tenants()[0].clock;
    engine.tick(TENANT, clock).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    for (lead, now, then) in ledgers(engine).into_iter().filter(|(lead, ..)| !but.contains(lead)) {
        assert_eq!(now, then, "{lead}");
    }
    let verification = engine.verify(None, &mut |_| {}).expect("memory does not fail");
    assert_eq!(verification.findings, [], "what the log says is what the tables hold");
    let options = ReplayOptions { from: LogPosition(1), to: LogPosition(u64::MAX), tenant: None };
    let replay = crate::replay(&disk.log, &options, &mut |_| {}).expect("memory does not fail");
    assert_eq!(replay.difference, None, "the same is decided again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_policy_that_scores_open_leads_anew_equals_one_from_the_start(
        history in events(0..30, 50),
        between in events(30..60, 20),
        later in events(60..90, 30),
        ticks in (0_i64..150, 0_i64..150),
        crashes in vec(0_usize..6, 0..3),
        write_back_records in 1_u64..40,
    ) {
        let mut disk = Disk::new();
        let mut engine = disk.open(write_back_records);
        engine.adopt(&before()).expect("a policy without faults");
        submit(&mut engine, &history);
        engine.tick(TENANT, hours(ticks.0)).expect("memory does not fail");
        let mut ended = closed(&mut engine);
        engine.adopt_and_rescore(&after(), Rescore::Open).expect("a policy without faults");
        for turns in crashes {
            for _ in 0..turns {
                engine.rescore(Duration::ZERO).expect("memory does not fail");
            }
            drop(engine);
            disk = disk.after_a_crash();
            engine = disk.open(write_back_records);
        }
        for events in between.chunks(5) {
            submit(&mut engine, events);
            engine.rescore(Duration::ZERO).expect("memory does not fail");
        }
        let state = finish(&mut engine);
        prop_assert_eq!(state.policy_version, 2);
        ended.append(&mut closed(&mut engine));
        check(&disk, &mut engine, &ended);
        submit(&mut engine, &later);
        engine.tick(TENANT, hours(ticks.0.max(ticks.1))).expect("memory does not fail");
        engine.flush().expect("memory does not fail");
        check(&disk, &mut engine, &ended);

        let mut members: Vec<u64> = Vec::new();
        let mut ends = 0;
        for step in steps(&disk) {
            match step {
                Rescoring::Visitor { member, .. } => members.push(member),
                Rescoring::Done { leads, changed, .. } => {
                    ends += 1;
                    prop_assert_eq!((leads, changed), (state.leads, state.changed));
                }
                Rescoring::Chosen { .. } | Rescoring::Answered { .. } => {}
            }
        }
        prop_assert_eq!(ends, 1);
        let steps = members.len();
        members.sort_unstable();
        members.dedup();
        prop_assert_eq!(members.len(), steps, "nobody twice");
        let document = after();
        let other = crate::WhatIfOptions { document: &document, only: None, from: None };
        crate::what_if(&disk.log, &other, &mut |_| {}).expect("steps of scoring anew are no obstacle");
    }
}

fn small(disk: &Disk) -> Engine {
    let mut engine = disk.open(1 << 20);
    engine.adopt(&before()).expect("a policy without faults");
    let events: Vec<String> =
        (0..8).map(|id| event(&format!("e{id}"), 1 + id % 4, i64::from(id), "page.viewed")).collect();
    submit(&mut engine, &events);
    engine
}

#[test]
fn another_policy_waits_until_leads_are_scored_anew_or_begins_it_again() {
    let disk = Disk::new();
    let mut engine = small(&disk);
    engine.adopt_and_rescore(&after(), Rescore::Open).expect("a policy without faults");
    engine.rescore(Duration::ZERO).expect("memory does not fail");
    let next = after().replace("points = 7", "points = 8");
    let refused = engine.adopt(&next);
    assert!(matches!(refused, Err(EngineError::RescoringUnderWay { version: 2 })));
    let adopted = engine.adopt_and_rescore(&next, Rescore::Open).expect("it begins anew").1;
    assert_eq!(adopted, Adopted::Version(3));
    let state = finish(&mut engine);
    assert_eq!((state.policy_version, state.leads, state.changed), (3, 4, 4));
    check(&disk, &mut engine, &[]);
    let head = engine.head();
    assert_eq!(engine.adopt(&next).expect("it is in force").1, Adopted::Unchanged(3));
    assert_eq!(engine.head(), head);
    engine.adopt_and_rescore(&next, Rescore::Open).expect("it may be chosen afterwards");
    let state = finish(&mut engine);
    assert_eq!((state.policy_version, state.leads, state.changed), (3, 4, 0), "nothing is left to change");
    assert_eq!(engine.head().position.0, head.position.0 + 2, "only the choice and its end are recorded");
}

#[test]
fn a_lead_whose_person_was_erased_is_scored_by_what_the_log_still_says() {
    let disk = Disk::new();
    let mut engine = small(&disk);
    engine.flush().expect("memory does not fail");
    disk.vault.destroy(crate::batch::visitor_key_number(VisitorId(1))).expect("memory does not fail");
    engine.adopt_and_rescore(&after(), Rescore::Open).expect("a policy without faults");
    let state = finish(&mut engine);
    assert_eq!((state.leads, state.changed), (4, 4), "the erased one has its other points");
    check(&disk, &mut engine, &[]);
    // Of the others, the answer stands in the log: it is there after their erasure too.
    let noted = |engine: &mut Engine| {
        let found = ledgers(engine)
            .into_iter()
            .filter(|(_, now, _)| now.as_ref().is_some_and(|ledger| ledger.rows.iter().any(|row| row.rule == "noted")));
        found.map(|(lead, _, _)| lead.visitor.0).collect::<Vec<_>>()
    };
    assert_eq!(noted(&mut engine), [4]);
    disk.vault.destroy(crate::batch::visitor_key_number(VisitorId(4))).expect("memory does not fail");
    check(&disk, &mut engine, &[]);
}
