//! Random histories, decided by the decider: the listing and the decider's books agree about every lead.

use std::fmt::Debug;

use lead_domain::{Status, VisitorId};
use listing::ListingReader;
use proto_events::Personal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::histories::{any_command, random_world, scored_world, someone_comes};
use crate::world::{ACME, World};

fn assert_agrees(world: &World, reader: &ListingReader) {
    let mut leads = 0;
    for visitor in world.shelf.visitors() {
        let book = world.shelf.book(visitor).unwrap();
        for known in &book.leads {
            let row = reader.lead(ACME, known.id).unwrap().0.unwrap();
            let same = |what: &str, listed: &dyn Debug, decided: &dyn Debug| {
                assert_eq!(format!("{listed:?}"), format!("{decided:?}"), "{what} of {}", known.id);
            };
            same("visitor", &row.visitor_id, &book.visitor);
            same("lead type", &row.lead_type, &known.lead_type);
            let (cause, at) = match known.status {
                Status::Open => (None, None),
                Status::Closed { cause, at } => (Some(cause.code()), Some(at)),
            };
            same("status", &(row.close_cause.as_deref(), row.closed_at), &(cause, at));
            same("opening", &row.opened_at, &known.opened_at);
            same("deadline", &row.deadline, &known.deadline);
            same("first", &row.first_interaction_at, &known.first_interaction_at);
            same("last", &row.last_interaction_at, &known.last_interaction_at);
            same("interactions", &row.interactions, &known.interactions);
            same("owner", &row.owner, &known.owner);
            same("version", &row.version, &known.version);
            let ledger = known.ledger.as_deref().cloned().unwrap_or_default();
            let score = &row.score;
            let parts = (score.total, score.fit, score.engagement);
            same("score", &parts, &(known.score, ledger.score.fit, ledger.score.engagement));
            same("customer", &row.customer_id.is_some(), &known.customer.is_some());
            let sales: Vec<_> = known.counted_conversions().collect();
            same("conversions", &row.conversions, &sales.len());
            same("rgus", &row.rgus, &sales.iter().map(|sale| sale.rgus).sum::<u32>());
            let value: i64 = sales.iter().filter_map(|sale| sale.value).map(|value| value.amount).sum();
            same("value", &row.sale_value.map_or(0, |value| value.amount), &value);
            leads += 1;
        }
        let row = reader.visitor(ACME, visitor).unwrap().0.unwrap();
        let members: Vec<VisitorId> =
            book.members.iter().map(|member| member.visitor).filter(|member| *member != visitor).collect();
        assert_eq!(row.members, members, "members of {visitor}");
        assert_eq!(row.identifiers.len(), book.identifiers.len(), "identifiers of {visitor}");
        assert_eq!(row.merged_into, None);
    }
    let orphans = world.touched.keys().filter(|id| !world.placed.contains_key(id)).count();
    let counts = reader.counts(ACME).unwrap().0;
    assert_eq!((counts.opened, counts.orphans), (leads, orphans as u64));
}

#[test]
fn the_listing_agrees_with_the_books_about_every_lead() {
    for seed in 0..24 {
        let world = random_world(seed, 400);
        assert_agrees(&world, &world.followed());
    }
    for seed in 0..6 {
        let world = scored_world(seed, 300);
        assert_agrees(&world, &world.followed());
    }
}

#[test]
fn the_listing_agrees_after_every_record_too() {
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let mut world = World::new();
    let mut projector = world.projector();
    for step in 0..150 {
        someone_comes(&mut world, &mut random, step);
        if let Some(command) = any_command(&world, &mut random) {
            let _ = world.asked(step * 3, command, Personal::default());
        }
        projector.catch_up(event_log::LogPosition(u64::MAX), &mut |_| {}).unwrap();
        assert_agrees(&world, &projector.projection().reader().unwrap());
    }
}
