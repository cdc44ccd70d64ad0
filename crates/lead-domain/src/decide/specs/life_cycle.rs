//! Domain section 6: how leads end.

use super::*;
use crate::book::{CloseCause, Status};

fn closed(cause: CloseCause, at: Time) -> Status {
    Status::Closed { cause, at }
}

#[test]
fn a_lead_closes_at_its_deadline_and_not_when_someone_noticed() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    assert_eq!(world.tick(1, hours(47)), [], "it is not due yet");
    let events = world.tick(1, hours(1_000));
    let cause = CloseCause::Inactivity;
    assert_eq!(events, [Event::LeadClosed { lead: lead(1, 1), cause, at: hours(48), reason: None }]);
    assert_eq!(world.tick(1, hours(1_000)), [], "once");
}

#[test]
fn an_interaction_exactly_at_the_deadline_finds_the_lead_closed() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(48), touch(device(70)));
    assert_eq!(world.lead(lead(1, 1)).status, closed(CloseCause::Inactivity, hours(48)));
    assert_eq!(world.lead(lead(1, 2)).opened_at, hours(48));
}

#[test]
fn leads_that_timed_out_together_close_in_order_of_their_deadlines() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).skill("contracts"));
    world.at(hours(1), touch(device(70)));
    let closings: Vec<Event> = world.tick(1, hours(100));
    let at = |event: &Event| {
        let Event::LeadClosed { lead, at, .. } = event else { panic!("not a closing: {event:?}") };
        (*lead, *at)
    };
    let closings: Vec<_> = closings.iter().map(at).collect();
    assert_eq!(closings, [(lead(1, 2), hours(49)), (lead(1, 1), hours(72))]);
}

#[test]
fn a_purchase_converts_the_lead_with_its_value() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(1), touch(device(70)).buys(12_900, 1));
    assert_eq!(names(&events), ["InteractionAttached", "ConversionRecorded", "LeadClosed"]);
    assert_eq!(world.lead(lead(1, 1)).status, closed(CloseCause::Conversion, hours(1)));
    assert_eq!(world.lead(lead(1, 1)).conversions[0].value, sale(12_900, 1).value);
}

#[test]
fn a_purchase_without_an_open_lead_opens_and_converts_one_in_the_same_decision() {
    let mut world = World::new();
    let events = world.at(hours(0), touch(device(70)).buys(500, 1));
    let expected = ["LeadOpened", "InteractionAttached", "ConversionRecorded", "LeadClosed"];
    assert_eq!(names(&events)[2..], expected);
}

#[test]
fn an_order_counts_once_even_for_another_visitor() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).buys(500, 1));
    let events = world.at(hours(1), touch(device(71)).buys(500, 1));
    let repeated = Event::ConversionRepeated { lead: lead(2, 1), order: OrderKey(1), counted_for: lead(1, 1) };
    assert_eq!(events.last(), Some(&repeated));
    assert!(world.lead(lead(2, 1)).is_open());
}

#[test]
fn a_conversion_rule_may_ask_for_a_least_value() {
    let mut world = World::new();
    let upgrade = |amount, order| Touch { sale: Some(sale(amount, order)), ..touch(device(70)).action("upgrade") };
    world.at(hours(0), upgrade(999, 1));
    assert!(world.lead(lead(1, 1)).is_open());
    world.at(hours(1), upgrade(1_000, 2));
    assert!(!world.lead(lead(1, 1)).is_open());
}

#[test]
fn a_conversion_rule_may_ask_for_an_attribute() {
    use crate::interaction::Scalar;
    let mut world = World::new();
    let rule = ConversionRule {
        action: "form.submitted".into(),
        min_value: None,
        attributes: vec![("form".into(), Scalar::Text("offer".into()))],
    };
    let place = world.policy.lead_types.iter().position(|known| known.name == "tablets").expect("the type");
    world.policy.lead_types[place].converts_on.push(rule);
    let offer = [("form".into(), Scalar::Text("offer".into()))];
    let other = [("form".into(), Scalar::Text("newsletter".into()))];
    for (id, attributes, open) in [(1, &other, true), (2, &offer, false)] {
        let interaction = Interaction {
            occurred_at: hours(0),
            identifiers: device(70),
            channel: "web",
            skill: None,
            action: "form.submitted",
            conversion: None,
            details: crate::interaction::Details::default(),
            attributes,
        };
        world.decide(&Input::Interaction(InteractionId(id), interaction)).expect("never refused");
        assert_eq!(world.lead(lead(1, 1)).is_open(), open);
    }
}

#[test]
fn a_changed_period_counts_from_the_next_event_on() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    for lead_type in &mut world.policy.lead_types {
        lead_type.close_after = Period::from_hours(10);
    }
    assert_eq!(world.tick(1, hours(20)), [], "the deadline that was set stands");
    world.at(hours(20), touch(device(70)));
    assert_eq!(world.lead(lead(1, 1)).deadline, hours(30));
}

#[test]
fn a_deadline_is_never_before_the_leads_own_last_event() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).skill("contracts"));
    for lead_type in &mut world.policy.lead_types {
        lead_type.close_after = Period::from_hours(10);
    }
    world.at(hours(20), touch(device(70)).skill("contracts"));
    assert_eq!(world.lead(lead(1, 1)).deadline, hours(20), "an absolute lifetime that is over ends with this event");
}
