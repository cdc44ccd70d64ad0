//! Domain section 10: a person is forgotten, and what counts stays.

use super::*;
use crate::book::{CloseCause, Status};
use crate::event::AfterUnmerge;

fn erase(visitor: u64) -> Command {
    Command::EraseVisitor { visitor: VisitorId(visitor), reason: "asked for it".into() }
}

#[test]
fn open_leads_end_and_identifiers_leave_while_counts_and_sales_stay() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)).buys(12_900, 5));
    world.at(hours(1), touch(customer(7, 70)));
    let events = world.command(hours(2), erase(1)).expect("the visitor is there");
    let closed = Event::LeadClosed { lead: lead(1, 2), cause: CloseCause::Erased, at: hours(2), reason: None };
    let erased = Event::VisitorErased { visitor: VisitorId(1), members: vec![VisitorId(1)] };
    assert_eq!(events, [closed, erased]);
    let book = world.shelf.book(VisitorId(1)).expect("the book stays");
    assert!(book.erased && book.identifiers.is_empty() && book.customer().is_none());
    assert!(book.leads.iter().all(|lead| lead.customer.is_none() && !lead.is_open()));
    assert_eq!(book.leads[0].status, Status::Closed { cause: CloseCause::Conversion, at: hours(0) });
    assert_eq!((book.leads[0].counted_conversions().count(), book.leads[1].interactions), (1, 1));
}

#[test]
fn somebody_who_returns_is_somebody_new_and_an_order_counts_once_all_the_same() {
    let mut world = World::new();
    world.at(hours(0), touch(customer(7, 70)).buys(12_900, 5));
    world.command(hours(1), erase(1)).expect("the visitor is there");
    let events = world.at(hours(2), touch(customer(7, 70)).buys(12_900, 5));
    assert_eq!(events[0], Event::VisitorCreated { visitor: VisitorId(2) });
    assert!(names(&events).contains(&"ConversionRepeated".to_owned()), "{events:?}");
    assert_eq!(world.shelf.visitor_of(identifier(IdentifierKind::CustomerId, 7)), Some(VisitorId(2)));
}

#[test]
fn everyone_who_was_merged_goes_whoever_of_them_is_named() {
    for named in [1, 2] {
        let mut world = World::new();
        world.at(hours(0), touch(device(70)));
        world.at(hours(1), touch(email(5)));
        let merge = Command::MergeVisitors { one: VisitorId(1), other: VisitorId(2) };
        world.command(hours(2), merge).expect("they may merge");
        let events = world.command(hours(3), erase(named)).expect("the visitor is there");
        let members = vec![VisitorId(1), VisitorId(2)];
        assert_eq!(events.last(), Some(&Event::VisitorErased { visitor: VisitorId(1), members }));
        for left in [identifier(IdentifierKind::VisitorId, 70), identifier(IdentifierKind::Email, 5)] {
            assert_eq!(world.shelf.visitor_of(left), None);
        }
    }
}

#[test]
fn an_erased_visitor_can_not_be_changed_and_an_unknown_one_not_erased() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    world.at(hours(0), touch(device(71)));
    assert_eq!(world.command(hours(1), erase(3)), Err(Refusal::UnknownVisitor { visitor: VisitorId(3) }));
    world.command(hours(1), erase(1)).expect("the visitor is there");
    let (visitor, id) = (VisitorId(1), lead(1, 1));
    for command in [
        erase(1),
        Command::OpenLead { visitor, lead_type: "tablets".into() },
        Command::ReopenLead { lead: id },
        Command::AddNote { lead: id },
        Command::SetAttributes { lead: id, names: vec!["plan".into()] },
        Command::WithdrawConversion { lead: id, order: None },
        Command::MergeVisitors { one: VisitorId(2), other: visitor },
        Command::UnmergeVisitor { visitor, afterwards: AfterUnmerge::KeepApart },
        Command::SettleDuplicate { one: VisitorId(2), other: visitor },
    ] {
        assert_eq!(world.command(hours(2), command), Err(Refusal::VisitorErased { visitor }));
    }
}

#[test]
fn what_timed_out_before_the_erasure_keeps_its_cause() {
    let mut world = World::new();
    world.at(hours(0), touch(device(70)));
    let events = world.command(hours(100), erase(1)).expect("the visitor is there");
    assert_eq!(names(&events), ["LeadClosed", "VisitorErased"]);
    let timed_out = Status::Closed { cause: CloseCause::Inactivity, at: hours(48) };
    assert_eq!(world.lead(lead(1, 1)).status, timed_out);
}
