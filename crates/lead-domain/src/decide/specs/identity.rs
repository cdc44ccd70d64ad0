//! Domain section 3: who is it?

use super::*;
use crate::event::AfterUnmerge;

#[test]
fn an_unknown_visitor_gets_a_book_and_is_known_by_everything_it_came_with() {
    let mut world = World::new();
    let events = world.at(hours(0), touch(customer(7, 70)).channel("nowhere"));
    assert_eq!(
        events[..3],
        [
            Event::VisitorCreated { visitor: VisitorId(1) },
            Event::IdentifierLearned { visitor: VisitorId(1), identifier: identifier(IdentifierKind::CustomerId, 7) },
            Event::IdentifierLearned { visitor: VisitorId(1), identifier: identifier(IdentifierKind::VisitorId, 70) },
        ]
    );
    assert_eq!(world.shelf.last_visitor(), VisitorId(1));
}

#[test]
fn a_known_visitor_learns_new_identifiers() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.at(hours(1), touch(customer(7, 70)));
    let learnt = identifier(IdentifierKind::CustomerId, 7);
    assert_eq!(events[0], Event::IdentifierLearned { visitor: VisitorId(1), identifier: learnt });
    assert_eq!(world.shelf.visitor_of(learnt), Some(VisitorId(1)));
}

#[test]
fn an_interaction_without_a_usable_identifier_is_somebody_new_each_time() {
    let mut world = World::new();
    world.at(hours(0), touch(Identifiers::default()));
    world.at(hours(0), touch(Identifiers::default()));
    assert_eq!(world.shelf.last_visitor(), VisitorId(2));
}

#[test]
fn two_visitors_without_a_clash_merge_and_the_older_one_survives() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(1), touch(email(5)));
    let both = Identifiers { email: Some(IdentifierKey(5)), ..device(70) };
    let events = world.at(hours(2), touch(both));
    assert_eq!(events[0], Event::VisitorsMerged { survivor: VisitorId(1), absorbed: VisitorId(2) });
    assert_eq!(world.shelf.survivor(VisitorId(2)), VisitorId(1), "old ids redirect");
    let book = world.shelf.book(VisitorId(2)).expect("a book");
    assert_eq!(book.leads.len(), 2, "both visitors' leads stand in one book, under their own ids");
    assert_eq!(book.leads[1].id, lead(2, 1));
}

#[test]
fn different_customers_never_merge_and_a_device_follows_the_last_one_identified() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)));
    let events = world.at(hours(1), touch(customer(8, 70)));
    let shared = identifier(IdentifierKind::VisitorId, 70);
    assert_eq!(
        events[..4],
        [
            Event::VisitorCreated { visitor: VisitorId(2) },
            Event::IdentifierLearned { visitor: VisitorId(2), identifier: identifier(IdentifierKind::CustomerId, 8) },
            Event::DuplicateSuspected { visitor: VisitorId(2), other: VisitorId(1), identifier: shared },
            Event::IdentifierMoved { identifier: shared, from: VisitorId(1), to: VisitorId(2) },
        ]
    );
    let events = world.at(hours(2), touch(device(70)));
    assert!(names(&events).iter().all(|name| name == "InteractionAttached"), "the device is the second customer's now");
    assert_eq!(world.lead(lead(2, 1)).interactions, 2);
}

#[test]
fn a_shared_address_stays_with_who_had_it_first_and_the_clash_is_noted_once() {
    let mut world = World::new();
    let at = |customer, email| Identifiers {
        customer_id: Some(IdentifierKey(customer)),
        email: Some(IdentifierKey(email)),
        ..Identifiers::default()
    };
    world.at(hours(0), touch(at(7, 5)));
    let events = world.at(hours(1), touch(at(8, 5)));
    assert!(names(&events).contains(&"DuplicateSuspected".to_owned()));
    assert_eq!(world.shelf.visitor_of(identifier(IdentifierKind::Email, 5)), Some(VisitorId(1)));
    let events = world.at(hours(2), touch(at(8, 5)));
    assert!(!names(&events).contains(&"DuplicateSuspected".to_owned()));
}

#[test]
fn an_anonymous_device_merges_into_the_customer_who_logs_in_on_it() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)));
    world.at(hours(1), touch(device(71)));
    let events = world.at(hours(2), touch(customer(7, 71)));
    assert_eq!(events[0], Event::VisitorsMerged { survivor: VisitorId(1), absorbed: VisitorId(2) });
}

#[test]
fn unmerging_gives_back_exactly_what_was_merged() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(1), touch(email(5)));
    let before: Vec<_> = [1, 2].map(|visitor| world.shelf.book(VisitorId(visitor)).cloned()).into();
    let merge = Command::MergeVisitors { one: VisitorId(2), other: VisitorId(1) };
    world.command(hours(2), merge).expect("they may merge");
    let afterwards = AfterUnmerge::MayMergeAgain;
    let unmerge = Command::UnmergeVisitor { visitor: VisitorId(2), afterwards };
    let events = world.command(hours(3), unmerge).expect("it was merged");
    let restored = VisitorId(2);
    assert_eq!(events, [Event::VisitorsUnmerged { survivor: VisitorId(1), restored, afterwards }]);
    let after: Vec<_> = [1, 2].map(|visitor| world.shelf.book(VisitorId(visitor)).cloned()).into();
    assert_eq!(before, after);
}

#[test]
fn visitors_that_were_taken_apart_for_good_do_not_merge_again() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(1), touch(email(5)));
    let both = Identifiers { email: Some(IdentifierKey(5)), ..device(70) };
    world.at(hours(2), touch(both));
    let unmerge = Command::UnmergeVisitor { visitor: VisitorId(2), afterwards: AfterUnmerge::KeepApart };
    world.command(hours(3), unmerge).expect("it was merged");
    let events = world.at(hours(4), touch(both));
    assert!(!names(&events).contains(&"VisitorsMerged".to_owned()));
    assert_eq!(world.shelf.survivor(VisitorId(2)), VisitorId(2));
}

#[test]
fn a_merge_of_merged_visitors_comes_apart_with_everyone_who_came_along() {
    let mut world = World::new();
    for (hour, identifiers) in [(0, device(70)), (1, device(71)), (2, device(72))] {
        world.at(hours(hour), touch(identifiers));
    }
    let merge = |one, other| Command::MergeVisitors { one: VisitorId(one), other: VisitorId(other) };
    world.command(hours(3), merge(2, 3)).expect("they may merge");
    world.command(hours(4), merge(1, 2)).expect("they may merge");
    assert_eq!(world.shelf.survivor(VisitorId(3)), VisitorId(1));
    let afterwards = AfterUnmerge::MayMergeAgain;
    world.command(hours(5), Command::UnmergeVisitor { visitor: VisitorId(2), afterwards }).expect("it was merged");
    assert_eq!(world.shelf.survivor(VisitorId(3)), VisitorId(2));
    assert_eq!(world.shelf.book(VisitorId(2)).expect("a book").leads.len(), 2);
    assert_eq!(world.shelf.book(VisitorId(1)).expect("a book").leads.len(), 1);
}

#[test]
fn a_settled_duplicate_is_not_suspected_again() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)));
    world.at(hours(1), touch(customer(8, 70)));
    let settle = Command::SettleDuplicate { one: VisitorId(1), other: VisitorId(2) };
    let events = world.command(hours(2), settle).expect("they are suspected");
    assert_eq!(events, [Event::DuplicateSettled { visitor: VisitorId(1), other: VisitorId(2) }]);
    let settled = |visitor| world.shelf.book(VisitorId(visitor)).expect("a book").suspected[0].settled;
    assert!(settled(1) && settled(2));
}
