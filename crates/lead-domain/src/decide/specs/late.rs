//! Domain section 7: interactions that come late.

use super::*;
use crate::book::{CloseCause, Status};
use crate::event::ReopenReason;

#[test]
fn a_late_interaction_reopens_the_lead_that_a_tick_has_closed() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.tick(1, hours(60));
    let events = world.at(hours(40), touch(device(70)));
    let because = ReopenReason::LateInteraction;
    assert_eq!(events[0], Event::LeadReopened { lead: lead(1, 1), at: hours(40), because, deadline: hours(48) });
    assert_eq!(world.lead(lead(1, 1)).status, Status::Open);
    assert_eq!(world.lead(lead(1, 1)).deadline, hours(88), "as if it had come on time");
}

#[test]
fn it_joins_the_history_when_a_newer_lead_of_that_type_was_opened_since() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(60), touch(device(70)));
    let events = world.at(hours(40), touch(device(70)));
    assert_eq!(names(&events), ["InteractionAttached"]);
    let old = world.lead(lead(1, 1));
    assert_eq!((old.interactions, old.last_interaction_at), (2, hours(40)));
    assert_eq!(old.status, Status::Closed { cause: CloseCause::Inactivity, at: hours(48) });
    assert_eq!(world.lead(lead(1, 2)).interactions, 1);
}

#[test]
fn it_joins_the_history_of_a_lead_that_was_converted_since() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(2), touch(device(70)).buys(500, 1));
    let events = world.at(hours(1), touch(device(70)));
    assert_eq!(names(&events), ["InteractionAttached"], "on time it would have been in that lead");
    assert_eq!(world.lead(lead(1, 1)).interactions, 3);
}

#[test]
fn it_opens_a_new_lead_when_it_came_after_the_end() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)).buys(500, 1));
    let events = world.at(hours(1), touch(device(70)));
    assert_eq!(names(&events), ["LeadOpened", "InteractionAttached"]);
}

#[test]
fn an_interaction_from_before_the_lead_moves_its_first_time_and_not_its_last() {
    let mut world = World::new();
    world.at(hours(10), touch(device(70)));
    world.at(hours(5), touch(device(70)));
    let found = world.lead(lead(1, 1));
    assert_eq!((found.first_interaction_at, found.last_interaction_at), (hours(5), hours(10)));
    assert_eq!(found.deadline, hours(58));
}

#[test]
fn a_late_sale_converts_the_lead_that_seemed_to_have_timed_out() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(60), touch(device(70)));
    let events = world.at(hours(40), touch(device(70)).buys(500, 1));
    assert_eq!(names(&events), ["InteractionAttached", "LeadReopened", "ConversionRecorded", "LeadClosed"]);
    let status = Status::Closed { cause: CloseCause::Conversion, at: hours(40) };
    assert_eq!(world.lead(lead(1, 1)).status, status);
}

#[test]
fn a_second_late_sale_counts_for_the_converted_lead() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(2), touch(device(70)).buys(500, 2));
    world.at(hours(1), touch(device(70)).buys(300, 1));
    let found = world.lead(lead(1, 1));
    assert_eq!(found.counted_conversions().count(), 2);
    assert_eq!(found.status, Status::Closed { cause: CloseCause::Conversion, at: hours(2) });
}

#[test]
fn arrival_order_within_the_life_of_a_lead_does_not_matter() {
    let times = [0, 10, 20, 30];
    let mut on_time = World::new();
    times.iter().for_each(|hour| drop(on_time.at(hours(*hour), touch(device(70)))));
    let mut shuffled = World::new();
    [0, 30, 10, 20].iter().for_each(|hour| drop(shuffled.at(hours(*hour), touch(device(70)))));
    assert_eq!(on_time.lead(lead(1, 1)), shuffled.lead(lead(1, 1)));
}
