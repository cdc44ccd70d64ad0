//! What operators may do, and every refusal.

use super::*;
use crate::book::{CloseCause, Status};
use crate::command::{Adoption, RecordedInteraction};
use crate::event::{AfterUnmerge, ReopenReason};

/// One visitor with one open lead of type `tablets`, opened at hour 0.
fn with_a_lead() -> World {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world
}

const LEAD: LeadId = LeadId { visitor: VisitorId(1), ordinal: 1 };

fn close(reason: &str) -> Command {
    Command::CloseLead { lead: LEAD, reason: reason.into() }
}

#[test]
fn an_operator_closes_a_lead_with_a_reason() {
    let mut world = with_a_lead();
    let events = world.command(hours(1), close("not_interested")).expect("it is open");
    let cause = CloseCause::Operator;
    assert_eq!(events, [Event::LeadClosed { lead: LEAD, cause, at: hours(1), reason: Some("not_interested".into()) }]);
    let refused = world.command(hours(2), close("not_interested"));
    assert_eq!(refused, Err(Refusal::LeadClosed { lead: LEAD, cause }));
}

#[test]
fn a_close_reason_must_be_one_of_the_tenants() {
    let refused = with_a_lead().command(hours(1), close("boredom"));
    assert_eq!(refused, Err(Refusal::UnknownCloseReason { reason: "boredom".into() }));
}

#[test]
fn a_lead_past_its_deadline_counts_as_closed_even_before_a_tick() {
    let refused = with_a_lead().command(hours(48), close("not_interested"));
    assert_eq!(refused, Err(Refusal::LeadClosed { lead: LEAD, cause: CloseCause::Inactivity }));
}

#[test]
fn an_operator_converts_a_lead_by_hand() {
    let mut world = with_a_lead();
    let events = world.command(hours(1), Command::ConvertLead { lead: LEAD, sale: sale(900, 1) }).expect("it is open");
    assert_eq!(names(&events), ["ConversionRecorded", "LeadClosed"]);
    world.at(hours(2), touch(device(70)));
    let again = Command::ConvertLead { lead: lead(1, 2), sale: sale(900, 1) };
    assert_eq!(world.command(hours(3), again), Err(Refusal::OrderCounted { counted_for: LEAD }));
}

#[test]
fn a_withdrawn_conversion_is_an_event_of_its_own_and_reopens_the_lead() {
    let mut world = with_a_lead();
    world.at(hours(1), touch(device(70)).buys(900, 1));
    let withdraw = Command::WithdrawConversion { lead: LEAD, order: Some(OrderKey(1)) };
    let events = world.command(hours(100), withdraw.clone()).expect("it was converted");
    assert_eq!(names(&events), ["ConversionWithdrawn", "LeadReopened"]);
    let found = world.lead(LEAD);
    assert_eq!(found.counted_conversions().count(), 0);
    assert_eq!(found.conversions.len(), 1, "reports count both");
    assert_eq!(found.deadline, hours(148), "the period starts anew");
    assert_eq!(world.command(hours(101), withdraw), Err(Refusal::NoConversion { lead: LEAD }));
    world.at(hours(102), touch(device(70)).buys(900, 1));
    assert_eq!(world.lead(LEAD).counted_conversions().count(), 1, "the order may count again");
}

#[test]
fn a_closed_lead_is_reopened_with_its_period_counted_anew() {
    let mut world = with_a_lead();
    assert_eq!(world.command(hours(1), Command::ReopenLead { lead: LEAD }), Err(Refusal::LeadOpen { lead: LEAD }));
    let events = world.command(hours(100), Command::ReopenLead { lead: LEAD }).expect("it timed out");
    let because = ReopenReason::Operator;
    let reopened = Event::LeadReopened { lead: LEAD, at: hours(100), because, deadline: hours(148) };
    assert_eq!(names(&events), ["LeadClosed", "LeadReopened"]);
    assert_eq!(events[1], reopened);
}

#[test]
fn merged_and_erased_leads_stay_closed() {
    for cause in [CloseCause::Merged, CloseCause::Erased] {
        let mut world = with_a_lead();
        world.shelf.evolve(TENANT, &Event::LeadClosed { lead: LEAD, cause, at: hours(1), reason: None });
        let refused = world.command(hours(2), Command::ReopenLead { lead: LEAD });
        assert_eq!(refused, Err(Refusal::LeadClosed { lead: LEAD, cause }));
    }
}

#[test]
fn a_changed_type_recomputes_the_deadline_from_the_same_anchor() {
    let mut world = with_a_lead();
    world.at(hours(10), touch(device(70)));
    let change = |name: &str| Command::ChangeLeadType { lead: LEAD, lead_type: name.into() };
    let events = world.command(hours(20), change("broadband")).expect("it is open");
    let (from, to) = ("tablets".into(), "broadband".into());
    assert_eq!(events, [Event::LeadTypeChanged { lead: LEAD, from, to, deadline: hours(72) }]);
    let lead_type = "broadband".into();
    assert_eq!(world.command(hours(21), change("broadband")), Err(Refusal::SameLeadType { lead: LEAD, lead_type }));
    let lead_type = "retired".into();
    assert_eq!(world.command(hours(21), change("retired")), Err(Refusal::InactiveLeadType { lead_type }));
    let lead_type = "sofas".into();
    assert_eq!(world.command(hours(21), change("sofas")), Err(Refusal::UnknownLeadType { lead_type }));
}

#[test]
fn notes_attributes_and_owners_concern_closed_leads_too() {
    let mut world = with_a_lead();
    world.command(hours(1), close("not_interested")).expect("it is open");
    let names = vec!["size".into(), "colour".into(), "size".into()];
    let set = world.command(hours(2), Command::SetAttributes { lead: LEAD, names }).expect("taken");
    assert_eq!(set, [Event::AttributesSet { lead: LEAD, names: vec!["colour".into(), "size".into()] }]);
    let noted = world.command(hours(2), Command::AddNote { lead: LEAD }).expect("taken");
    assert_eq!(noted, [Event::NoteAdded { lead: LEAD }]);
    let owner = Some("dana".into());
    let assigned = world.command(hours(2), Command::AssignLead { lead: LEAD, owner: owner.clone() }).expect("taken");
    assert_eq!(assigned, [Event::LeadAssigned { lead: LEAD, owner: owner.clone() }]);
    assert_eq!(world.lead(LEAD).owner, owner);
}

#[test]
fn a_lead_is_opened_by_hand_for_a_known_visitor() {
    let mut world = with_a_lead();
    let open = |visitor, name: &str| Command::OpenLead { visitor: VisitorId(visitor), lead_type: name.into() };
    let events = world.command(hours(1), open(1, "broadband")).expect("it may be opened");
    assert_eq!(names(&events), ["LeadOpened"]);
    assert_eq!(world.lead(lead(1, 2)).interactions, 0);
    let unknown = world.command(hours(1), open(9, "broadband"));
    assert_eq!(unknown, Err(Refusal::UnknownVisitor { visitor: VisitorId(9) }));
}

#[test]
fn a_version_that_the_caller_did_not_see_is_refused() {
    let mut world = with_a_lead();
    let found = world.lead(LEAD).version;
    world.at(hours(1), touch(device(70)));
    let command = Command::AddNote { lead: LEAD };
    let refused = world.decide(&Input::Command { at: hours(2), command, expected_version: Some(found) });
    assert_eq!(refused, Err(Refusal::VersionMismatch { lead: LEAD, expected: found, found: found + 1 }));
}

#[test]
fn another_tenants_leads_and_visitors_are_unknown() {
    let mut world = with_a_lead();
    let mut events = Vec::new();
    let command = Command::AddNote { lead: LEAD };
    let input = Input::Command { at: hours(1), command, expected_version: None };
    let refused = decide(&world.policy, TenantId(2), &mut world.shelf, &input, &mut events);
    assert_eq!(refused, Err(Refusal::UnknownLead { lead: LEAD }));
}

fn orphan(world: &mut World) -> RecordedInteraction {
    world.at(hours(1), touch(device(70)).channel("pigeon"));
    RecordedInteraction { id: InteractionId(world.inputs), occurred_at: hours(1), visitor: VisitorId(1) }
}

#[test]
fn an_orphan_is_adopted_into_an_open_lead_once() {
    let mut world = with_a_lead();
    let orphan = orphan(&mut world);
    let adopt = Command::AdoptOrphan { orphan, into: Adoption::Lead(LEAD) };
    let events = world.command(hours(2), adopt.clone()).expect("it is an orphan");
    assert_eq!(names(&events), ["InteractionAttached"]);
    assert_eq!(world.lead(LEAD).interactions, 2);
    let refused = world.command(hours(3), adopt);
    assert_eq!(refused, Err(Refusal::AlreadyAdopted { interaction: orphan.id, lead: LEAD }));
}

#[test]
fn an_orphan_is_adopted_into_a_new_lead_that_lives_from_now() {
    let mut world = World::new();
    let orphan = orphan(&mut world);
    let into = Adoption::NewLead("tablets".into());
    let events = world.command(hours(500), Command::AdoptOrphan { orphan, into }).expect("it is an orphan");
    assert_eq!(names(&events), ["LeadOpened", "InteractionAttached", "LeadClosed", "LeadReopened"]);
    assert_eq!(world.lead(LEAD).deadline, hours(548));
}

#[test]
fn an_orphan_goes_to_its_own_visitor_only() {
    let mut world = with_a_lead();
    let orphan = orphan(&mut world);
    world.at(hours(1), touch(device(71)));
    let into = Adoption::Lead(lead(2, 1));
    let refused = world.command(hours(2), Command::AdoptOrphan { orphan, into });
    assert_eq!(refused, Err(Refusal::OtherVisitor { lead: lead(2, 1) }));
}

fn move_to(world: &World, to: LeadId, remaining: Option<(Time, Time)>) -> Command {
    let interaction =
        RecordedInteraction { id: InteractionId(world.inputs), occurred_at: hours(2), visitor: VisitorId(1) };
    Command::MoveInteraction { interaction, recorded_in: lead(1, 2), to, remaining }
}

/// A `tablets` lead, and a `broadband` one with interactions at hours 1 and 2.
fn with_two_leads() -> World {
    let mut world = with_a_lead();
    world.at(hours(1), touch(device(70)).skill("contracts"));
    world.at(hours(2), touch(device(70)).skill("contracts"));
    world
}

#[test]
fn a_wrongly_attached_interaction_is_moved() {
    let mut world = with_two_leads();
    let command = move_to(&world, LEAD, Some((hours(1), hours(1))));
    let events = world.command(hours(3), command.clone()).expect("it may move");
    assert_eq!(names(&events), ["InteractionMoved"]);
    let (from, to) = (world.lead(lead(1, 2)), world.lead(LEAD));
    assert_eq!((from.interactions, from.last_interaction_at), (1, hours(1)));
    assert_eq!((to.interactions, to.last_interaction_at, to.deadline), (2, hours(2), hours(50)));
    let interaction = InteractionId(world.inputs);
    assert_eq!(world.command(hours(4), command), Err(Refusal::SameLead { interaction, lead: LEAD }));
}

/// Visitor 1 with a lead and an interaction or orphan in it, merged with visitor 2, who has a lead too.
fn merged(mut world: World) -> World {
    world.at(hours(2), touch(device(71)));
    let merge = Command::MergeVisitors { one: VisitorId(1), other: VisitorId(2) };
    world.command(hours(2), merge).expect("they may merge");
    world
}

fn take_apart(world: &mut World) {
    let unmerge = Command::UnmergeVisitor { visitor: VisitorId(2), afterwards: AfterUnmerge::MayMergeAgain };
    world.command(hours(4), unmerge).expect("they were merged");
}

#[test]
fn what_moved_to_a_visitor_who_was_taken_apart_since_does_not_move_from_where_it_was() {
    let world = with_two_leads();
    let back = move_to(&world, LEAD, None);
    let there = move_to(&world, lead(2, 1), None);
    let Command::MoveInteraction { interaction: RecordedInteraction { id: interaction, .. }, .. } = back else {
        panic!("a movement");
    };
    let mut world = merged(world);
    world.command(hours(3), there.clone()).expect("it may move");
    take_apart(&mut world);
    let counted = |world: &World| [lead(1, 1), lead(1, 2), lead(2, 1)].map(|id| world.lead(id).interactions);
    let before = counted(&world);
    assert_eq!(before, [1, 1, 2]);
    for command in [back.clone(), there.clone()] {
        assert_eq!(world.command(hours(5), command), Err(Refusal::InteractionElsewhere { interaction }));
    }
    let discredit = Command::DiscreditInteraction {
        interaction: RecordedInteraction { id: interaction, occurred_at: hours(2), visitor: VisitorId(1) },
        recorded_in: Some(lead(1, 2)),
    };
    assert_eq!(world.command(hours(5), discredit), Err(Refusal::InteractionElsewhere { interaction }));
    assert_eq!(counted(&world), before);
    let merge = Command::MergeVisitors { one: VisitorId(1), other: VisitorId(2) };
    world.command(hours(6), merge).expect("they may merge again");
    world.command(hours(7), back).expect("it is found where it is");
    assert_eq!(counted(&world), [2, 1, 1]);
    take_apart(&mut world);
    let again = world.command(hours(8), there);
    assert_eq!(again, Err(Refusal::OtherVisitor { lead: lead(2, 1) }), "it is with its own visitor, as before");
}

#[test]
fn an_orphan_that_went_to_a_visitor_who_was_taken_apart_since_is_not_adopted_again() {
    let mut world = with_a_lead();
    let orphan = orphan(&mut world);
    let mut world = merged(world);
    let adopt = |into| Command::AdoptOrphan { orphan, into: Adoption::Lead(into) };
    world.command(hours(3), adopt(lead(2, 1))).expect("it is an orphan");
    take_apart(&mut world);
    let refused = world.command(hours(5), adopt(LEAD));
    assert_eq!(refused, Err(Refusal::InteractionElsewhere { interaction: orphan.id }));
    let into = Adoption::NewLead("tablets".into());
    let refused = world.command(hours(5), Command::AdoptOrphan { orphan, into });
    assert_eq!(refused, Err(Refusal::InteractionElsewhere { interaction: orphan.id }));
}

#[test]
fn an_interaction_that_converted_its_lead_stays() {
    let mut world = with_a_lead();
    world.at(hours(1), touch(device(70)).skill("contracts"));
    world.at(hours(2), touch(device(70)).skill("contracts").buys(10, 1));
    let refused = world.command(hours(3), move_to(&world, LEAD, None));
    let interaction = InteractionId(world.inputs);
    assert_eq!(refused, Err(Refusal::InteractionConverted { interaction, lead: lead(1, 2) }));
}

#[test]
fn visitors_merge_by_hand_unless_they_are_different_customers_or_the_same() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)));
    world.at(hours(0), touch(customer(8, 71)));
    world.at(hours(0), touch(device(72)));
    let merge = |one, other| Command::MergeVisitors { one: VisitorId(one), other: VisitorId(other) };
    let (one, other) = (VisitorId(1), VisitorId(2));
    assert_eq!(world.command(hours(1), merge(1, 2)), Err(Refusal::DifferentCustomers { one, other }));
    let events = world.command(hours(1), merge(3, 1)).expect("they may merge");
    assert_eq!(events, [Event::VisitorsMerged { survivor: one, absorbed: VisitorId(3) }]);
    let other = VisitorId(3);
    assert_eq!(world.command(hours(1), merge(1, 3)), Err(Refusal::SameVisitor { one, other }));
    let unmerge = Command::UnmergeVisitor { visitor: one, afterwards: AfterUnmerge::MayMergeAgain };
    assert_eq!(world.command(hours(1), unmerge), Err(Refusal::NotMerged { visitor: one }));
}

#[test]
fn only_suspected_duplicates_can_be_settled() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(0), touch(device(71)));
    let (one, other) = (VisitorId(1), VisitorId(2));
    let refused = world.command(hours(1), Command::SettleDuplicate { one, other });
    assert_eq!(refused, Err(Refusal::NotSuspected { one, other }));
}

#[test]
fn bounds_are_refused_by_name() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(0), touch(device(71)));
    let mut book = world.shelf.book(VisitorId(1)).expect("a book").clone();
    let member = book.members[0];
    book.members = vec![member; crate::decide::MEMBERS_MAX];
    world.shelf.load_book(book.clone());
    let merge = Command::MergeVisitors { one: VisitorId(1), other: VisitorId(2) };
    assert_eq!(world.command(hours(1), merge), Err(Refusal::TooManyMembers { visitor: VisitorId(1) }));
    book.members = vec![member];
    book.leads = vec![book.leads[0].clone(); crate::decide::LEADS_MAX];
    world.shelf.load_book(book);
    let open = Command::OpenLead { visitor: VisitorId(1), lead_type: "tablets".into() };
    assert_eq!(world.command(hours(1), open), Err(Refusal::TooManyLeads { visitor: VisitorId(1) }));
}

#[test]
fn every_refusal_reads_as_a_sentence_and_has_a_code() {
    let refusal = Refusal::VersionMismatch { lead: LEAD, expected: 1, found: 2 };
    assert_eq!(refusal.to_string(), "lead V1-1 is at version 2, not 1; read it again and decide anew");
    assert_eq!(refusal.code(), "version_mismatch");
    assert_eq!(Status::Open, with_a_lead().lead(LEAD).status);
}
