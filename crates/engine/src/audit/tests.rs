//! Replays and trials of generated histories.

use event_log::{Batch, Chain, EventLog, LogPosition, MemoryLog, Record};
use lead_domain::{CloseCause, Event, LeadId, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proto_events::stored::{self, Facts};

use crate::tests::{Disk, POLICY, TENANT, event, hours, small_history, submit};
use crate::{
    Change, Difference, Engine, EngineError, Figures, ReplayOptions, Request, WhatIf, WhatIfOptions, replay, what_if,
};

fn all(log: &dyn EventLog) -> ReplayOptions {
    ReplayOptions { from: LogPosition(1), to: log.head().position, tenant: None }
}

fn replayed(log: &dyn EventLog) -> crate::Replay {
    replay(log, &all(log), &mut |_| {}).expect("memory does not fail")
}

fn tried(log: &dyn EventLog, document: &str) -> WhatIf {
    let options = WhatIfOptions { document, only: None, from: None };
    what_if(log, &options, &mut |_| {}).expect("memory does not fail")
}

/// A copy of a log in which the facts of some records are others, as if it had been written so.
fn forged(log: &MemoryLog, change: impl Fn(LogPosition, &mut Facts)) -> MemoryLog {
    let copy = MemoryLog::new();
    let mut chain = Chain::default();
    let visit = &mut |record: Record<'_>| {
        let mut facts = stored::decode_facts(record.header.codec, record.facts).expect("we wrote it");
        change(record.header.position, &mut facts);
        let mut bytes = Vec::new();
        stored::encode_input(&facts.input, &mut bytes);
        stored::encode_events(&facts.events, &mut bytes);
        let mut header = record.header;
        header.facts_len = u32::try_from(bytes.len()).expect("it is short");
        let mut written = Vec::new();
        let next = Record::write(&header, chain, &bytes, &mut written);
        written.extend_from_slice(record.personal);
        let ends = vec![written.len()];
        let batch = Batch { after: copy.head().position, chain: next, bytes: written, ends, meta: Vec::new() };
        copy.append(&batch).expect("memory does not fail");
        chain = next;
        std::ops::ControlFlow::Continue(())
    };
    log.read(LogPosition(1), visit).expect("memory does not fail");
    copy
}

fn act(engine: &mut Engine, hour: i64, command: lead_domain::Command) {
    let request = Request {
        tenant: TENANT,
        operator: "olga".into(),
        at: Some(hours(hour)),
        command,
        expected_version: None,
        personal: None,
        key: None,
    };
    // A history may make an act impossible.
    match engine.execute(request) {
        Ok(_) | Err(EngineError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

fn lead(visitor: u64, ordinal: u32) -> LeadId {
    LeadId { visitor: lead_domain::VisitorId(visitor), ordinal }
}

#[test]
fn a_replay_decides_what_is_recorded() {
    let disk = Disk::new();
    let engine = small_history(&disk);
    let found = replayed(&disk.log);
    assert_eq!(found.difference, None);
    assert_eq!((found.position, found.records), (engine.head().position, engine.head().position.0));
    assert_eq!(found.decided, 4, "three interactions and a deadline");
}

#[test]
fn a_replay_names_the_first_record_that_differs_and_both_decisions() {
    let disk = Disk::new();
    small_history(&disk);
    // The lead that timed out is said to have been closed an hour later, by a log whose chain is whole.
    let forged = forged(&disk.log, |_, facts| {
        for event in &mut facts.events {
            if let Event::LeadClosed { cause: CloseCause::Inactivity, at, .. } = event {
                *at = hours(50);
            }
        }
    });
    let Some(Difference::Decision { position, recorded, decided, policy_version, .. }) = replayed(&forged).difference
    else {
        panic!("it differs");
    };
    let decided = decided.expect("deadlines are never refused");
    assert_eq!((position, policy_version), (forged.head().position, 1));
    assert_ne!(recorded.events, decided.events);
    assert_eq!(recorded.visitor, decided.visitor);
    let earlier = ReplayOptions { to: LogPosition(position.0 - 1), ..all(&forged) };
    assert_eq!(replay(&forged, &earlier, &mut |_| {}).expect("memory").difference, None);
    let behind = ReplayOptions { from: position.next(), ..all(&forged) };
    assert_eq!(replay(&forged, &behind, &mut |_| {}).expect("memory").difference, None, "it was not asked for");
    let nobody = ReplayOptions { tenant: Some("nobody".to_owned()), ..all(&forged) };
    assert!(matches!(replay(&forged, &nobody, &mut |_| {}), Err(EngineError::UnknownTenant { .. })));
}

#[test]
fn a_deadline_that_was_passed_over_is_found() {
    let disk = Disk::new();
    small_history(&disk);
    let passed_over = forged(&disk.log, |_, facts| {
        facts.events.retain(|event| !matches!(event, Event::LeadClosed { cause: CloseCause::Inactivity, .. }));
        if facts.input == stored::InputFacts::Deadline {
            facts.input = stored::InputFacts::Tick;
        }
    });
    assert!(matches!(replayed(&passed_over).difference, Some(Difference::Unfired { .. })));
}

#[test]
fn other_points_tell_who_would_have_been_hot_and_when_and_who_of_them_bought() {
    let rules = "[scoring]\n[[scoring.group]]\nname = \"behaviour\"\nkind = \"engagement\"\n[[scoring.rule]]\nname = \"looked\"\n\
        group = \"behaviour\"\npoints = 30\nwhen = { action = \"page.viewed\" }\n[temperature]\nwarm = 25\nhot = 60\n";
    let policy = format!("{POLICY}{rules}");
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(&policy).expect("a policy without faults");
    let pages = |name: &str, visitor, hours: &[i64]| -> Vec<_> {
        hours.iter().map(|hour| event(&format!("{name}{hour}"), visitor, *hour, "page.viewed")).collect()
    };
    submit(&mut engine, &[pages("a", 1, &[0, 1, 2]), vec![event("b", 1, 5, "purchase")], pages("c", 2, &[3])].concat());
    engine.flush().expect("memory does not fail");
    let found = tried(&disk.log, &policy.replace("points = 30", "points = 60"));
    let base = Figures { became_warm: 2, became_hot: 1, hot_and_sold: 1, ..found.recorded };
    assert_eq!(found.recorded, base);
    assert_eq!(found.other, Figures { became_hot: 2, ..base });
    let hot: Vec<_> = found.changes.iter().map(|change| (change.recorded_hot_at, change.other_hot_at)).collect();
    assert_eq!(hot, [(Some(hours(1)), Some(hours(0))), (None, Some(hours(3)))]);
}

#[test]
fn a_shorter_period_times_leads_out_that_converted() {
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    // With 48 hours one lead, with 24 hours two: one times out, and the purchase opens another one.
    let events = [event("a", 1, 0, "page.viewed"), event("b", 1, 30, "purchase"), event("c", 2, 30, "page.viewed")];
    submit(&mut engine, &events);
    engine.tick(TENANT, hours(60)).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    let found = tried(&disk.log, &POLICY.replace("48h", "24h"));
    let base = Figures { leads: 2, open: 1, converted: 1, sales: 1, attached: 3, ..Figures::default() };
    assert_eq!(found.recorded, base);
    let expected = Figures { leads: 3, open: 0, timed_out: 2, timed_out_converted_later: 1, ..base };
    assert_eq!((found.other, found.at), (expected, Some(hours(60))));
    let [Change { recorded: Some(one), other: Some(two), .. }, Change { recorded: None, other: Some(new), .. }, third] =
        found.changes.as_slice()
    else {
        panic!("three leads differ: {:?}", found.changes);
    };
    assert!(matches!(one.status, Status::Closed { cause: CloseCause::Conversion, .. }));
    assert_eq!(two.status, Status::Closed { cause: CloseCause::Inactivity, at: hours(24) });
    assert_eq!(new.status, Status::Closed { cause: CloseCause::Conversion, at: hours(30) });
    assert_eq!(third.recorded.as_ref().map(|lead| lead.status), Some(Status::Open));
    let later = WhatIfOptions { document: &POLICY.replace("48h", "24h"), only: None, from: Some(hours(1)) };
    let later = what_if(&disk.log, &later, &mut |_| {}).expect("memory does not fail");
    assert_eq!(later.changes.len(), 1, "only what happened since counts by the other policy: {:?}", later.changes);
}

#[test]
fn a_trial_of_another_tenants_or_a_faulty_policy_is_refused() {
    let disk = Disk::new();
    small_history(&disk);
    let ask = |document: &str, only| what_if(&disk.log, &WhatIfOptions { document, only, from: None }, &mut |_| {});
    assert!(matches!(ask("tenant = 5", None), Err(EngineError::Policy { .. })));
    assert!(matches!(ask(POLICY, Some("other")), Err(EngineError::Policy { .. })));
    let unknown = POLICY.replace("\"acme\"", "\"zeta\"");
    assert!(matches!(ask(&unknown, None), Err(EngineError::UnknownTenant { .. })));
}

/// What happens in a generated history, besides interactions.
#[derive(Clone, Debug)]
enum Step {
    Event(String),
    Act(i64, lead_domain::Command),
    Policy(u8),
    Tick(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use lead_domain::Command::{CloseLead, ConvertLead, MergeVisitors, ReopenLead, UnmergeVisitor};
    use lead_domain::VisitorId;
    use lead_domain::interaction::Sale;
    let action = prop_oneof![4 => Just("page.viewed"), 1 => Just("purchase")];
    let one = (0_u32..200, 1_u32..8, 0_i64..300, action)
        .prop_map(|(id, device, hour, action)| Step::Event(event(&format!("e{id}"), device, hour, action)));
    let visitor = || (1_u64..8).prop_map(VisitorId);
    let some_lead = || (1_u64..8, 1_u32..3).prop_map(|(visitor, ordinal)| lead(visitor, ordinal));
    let no_value = Sale { value: None, rgus: 1, order: None };
    let command = prop_oneof![
        some_lead().prop_map(|lead| CloseLead { lead, reason: "wrong_number".into() }),
        some_lead().prop_map(move |lead| ConvertLead { lead, sale: no_value }),
        some_lead().prop_map(|lead| ReopenLead { lead }),
        (visitor(), visitor()).prop_map(|(one, other)| MergeVisitors { one, other }),
        visitor().prop_map(|visitor| UnmergeVisitor {
            visitor,
            afterwards: lead_domain::event::AfterUnmerge::MayMergeAgain
        }),
    ];
    let step = prop_oneof![
        12 => one,
        2 => (0_i64..300, command).prop_map(|(hour, command)| Step::Act(hour, command)),
        1 => (20_u8..60).prop_map(Step::Policy),
        1 => (0_i64..300).prop_map(Step::Tick),
    ];
    vec(step, 1..100)
}

fn live(engine: &mut Engine, steps: &[Step]) {
    engine.adopt(POLICY).expect("a policy without faults");
    for step in steps {
        match step {
            Step::Event(event) => {
                submit(engine, &[event]);
            }
            Step::Act(hour, command) => act(engine, *hour, command.clone()),
            Step::Policy(hours) => {
                engine.adopt(&POLICY.replace("48h", &format!("{hours}h"))).expect("a policy without faults");
            }
            Step::Tick(hour) => engine.tick(TENANT, hours(*hour)).expect("memory does not fail"),
        }
    }
    engine.flush().expect("memory does not fail");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_is_decided_the_same_again(steps in steps(), from in 1_u64..100) {
        let disk = Disk::new();
        let mut engine = disk.open(7);
        live(&mut engine, &steps);
        let found = replayed(&disk.log);
        prop_assert_eq!(found.difference, None);
        let verified = engine.verify(None, &mut |_| {}).expect("memory does not fail");
        prop_assert_eq!(found.state_root, verified.state_root);
        let later = ReplayOptions { from: LogPosition(from), ..all(&disk.log) };
        let later = replay(&disk.log, &later, &mut |_| {}).expect("memory does not fail");
        prop_assert_eq!((later.difference, later.state_root), (None, verified.state_root));
    }

    #[test]
    fn the_policy_in_force_gives_a_zero_diff(steps in steps(), last in 20_u8..60) {
        let disk = Disk::new();
        let mut engine = disk.open(7);
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Policy(_))).collect();
        live(&mut engine, &steps);
        let found = tried(&disk.log, POLICY);
        prop_assert_eq!(&found.changes, &[]);
        prop_assert_eq!((found.recorded, found.acts_dropped), (found.other, 0));
        // Another one stays consistent with itself.
        let other = tried(&disk.log, &POLICY.replace("48h", &format!("{last}h"))).other;
        prop_assert_eq!(other.open + other.converted + other.closed_by_operator + other.timed_out, other.leads);
        prop_assert_eq!(other.attached + other.orphans, found.recorded.attached + found.recorded.orphans);
    }
}
