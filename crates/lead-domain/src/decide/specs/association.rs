//! Domain section 4: which lead takes it?

use super::*;
use crate::event::{AttachReason, OrphanReason};

fn attached(events: &[Event]) -> (LeadId, AttachReason) {
    let found = events.iter().find_map(|event| {
        let Event::InteractionAttached { lead, because, .. } = event else { return None };
        Some((*lead, *because))
    });
    found.expect("an interaction was attached")
}

fn orphaned(events: &[Event]) -> OrphanReason {
    match events.last() {
        Some(Event::InteractionOrphaned { reason, .. }) => *reason,
        other => panic!("not an orphan: {other:?}"),
    }
}

#[test]
fn the_first_interaction_opens_a_lead_of_the_default_type() {
    let mut world = World::new();
    let events = world.at(hours(5), touch(device(70)));
    assert_eq!(
        events[2..],
        [
            Event::LeadOpened {
                lead: lead(1, 1),
                visitor: VisitorId(1),
                lead_type: "tablets".into(),
                at: hours(5),
                customer: None,
                deadline: hours(53),
            },
            Event::InteractionAttached {
                lead: lead(1, 1),
                interaction: InteractionId(1),
                occurred_at: hours(5),
                because: AttachReason::Opened,
                candidates: Vec::new().into(),
                deadline: hours(53),
            },
        ]
    );
}

#[test]
fn the_only_candidate_takes_the_next_one_and_its_deadline_moves() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(10), touch(device(70)));
    assert_eq!(attached(&events), (lead(1, 1), AttachReason::OnlyCandidate));
    assert_eq!(world.lead(lead(1, 1)).deadline, hours(58));
}

#[test]
fn a_lead_with_an_absolute_lifetime_keeps_its_deadline() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).skill("contracts"));
    world.at(hours(10), touch(device(70)).skill("contracts"));
    assert_eq!(world.lead(lead(1, 1)).deadline, hours(72));
}

#[test]
fn of_several_candidates_the_most_recent_one_takes_it() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(1), touch(device(70)).skill("contracts"));
    let events = world.at(hours(2), touch(device(70)).skill("chat"));
    assert_eq!(attached(&events), (lead(1, 2), AttachReason::MostRecent));
    let candidates = events.iter().find_map(|event| {
        let Event::InteractionAttached { candidates, .. } = event else { return None };
        Some(candidates.to_vec())
    });
    assert_eq!(candidates, Some(vec![lead(1, 1), lead(1, 2)]), "the decision records what it chose from");
}

#[test]
fn ties_go_to_the_lead_opened_last_and_then_to_the_smaller_id() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(0), touch(device(70)).skill("contracts"));
    let events = world.at(hours(1), touch(device(70)).skill("sales"));
    assert_eq!(attached(&events), (lead(1, 1), AttachReason::HighestScore), "same score, same opening: the smaller id");
}

#[test]
fn the_highest_score_wins_where_the_rule_says_so() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(1), touch(device(70)).skill("contracts"));
    let mut book = world.shelf.book(VisitorId(1)).expect("a book").clone();
    book.leads[0].score = 10;
    world.shelf.load_book(book);
    let events = world.at(hours(2), touch(device(70)).skill("sales"));
    assert_eq!(attached(&events), (lead(1, 1), AttachReason::HighestScore));
}

#[test]
fn a_lead_of_a_type_that_is_not_allowed_is_no_candidate() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(1), touch(device(70)).skill("contracts"));
    assert_eq!(attached(&events), (lead(1, 2), AttachReason::Opened));
}

#[test]
fn an_unknown_skill_falls_back_to_the_channel() {
    let mut world = World::new();
    let events = world.at(hours(0), touch(device(70)).skill("unheard-of"));
    assert_eq!(attached(&events), (lead(1, 1), AttachReason::Opened));
}

#[test]
fn without_a_rule_or_a_default_type_an_interaction_stays_an_orphan() {
    let mut world = World::new();
    let events = world.at(hours(0), touch(device(70)).channel("pigeon"));
    assert_eq!(orphaned(&events), OrphanReason::UnknownEntryPoint);
    let events = world.at(hours(0), touch(device(70)).skill("support"));
    assert_eq!(orphaned(&events), OrphanReason::NoDefaultLeadType);
}

#[test]
fn an_inactive_default_type_opens_nothing() {
    let mut world = World::new();
    world.policy.channels[0].default_lead_type = Some("retired".into());
    let events = world.at(hours(0), touch(device(70)));
    assert_eq!(orphaned(&events), OrphanReason::InactiveLeadType);
}

#[test]
fn a_visitor_with_too_many_leads_gets_no_more() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).channel("pigeon"));
    let mut book = world.shelf.book(VisitorId(1)).expect("a book").clone();
    world.at(hours(0), touch(device(71)));
    let model = world.lead(lead(2, 1)).clone();
    let status = crate::Status::Closed { cause: crate::CloseCause::Operator, at: hours(0) };
    let ordinals = 1..=u32::try_from(crate::decide::LEADS_MAX).expect("small");
    book.leads = ordinals.map(|ordinal| Lead { id: lead(1, ordinal), status, ..model.clone() }).collect();
    world.shelf.load_book(book);
    let events = world.at(hours(1), touch(device(70)));
    assert_eq!(orphaned(&events), OrphanReason::TooManyLeads);
}

#[test]
fn a_lead_learns_whose_it_is() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(1), touch(customer(7, 70)));
    assert!(events.contains(&Event::CustomerLearned { lead: lead(1, 1), customer: IdentifierKey(7) }));
    assert_eq!(world.lead(lead(1, 1)).customer, Some(IdentifierKey(7)));
}

#[test]
fn strict_matching_wants_both_customer_ids_or_none() {
    let mut world = World::new();
    world.policy.customer_id_match = CustomerIdMatch::Strict;
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(1), touch(customer(7, 70)));
    assert_eq!(attached(&events), (lead(1, 2), AttachReason::Opened));
    let events = world.at(hours(2), touch(customer(7, 70)));
    assert_eq!(attached(&events), (lead(1, 2), AttachReason::OnlyCandidate));
}
