//! Random histories: the leads table is the listing, whatever is in files, in the tail and in memory.

use std::sync::Arc;

use analytics::{Analytics, Limits, Snapshot};
use event_log::LogPosition;
use lead_domain::{Command, Time, VisitorId};
use listing::{LeadQuery, LeadRow, ListingReader};
use proto_events::Personal;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

use crate::asked::{SMALL, followed, projector, rows};
use crate::histories::{any_command, random_world, someone_comes};
use crate::world::{ACME, World};

/// A listed lead as the table should have it.
fn expected(lead: &LeadRow) -> Json {
    let shown = serde_json::to_value(lead).unwrap();
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attributes: Vec<Json> = lead.attributes.iter().map(|(name, value)| json!([name, text(value)])).collect();
    json!({
        "lead_id": shown["id"], "visitor_id": shown["visitor_id"], "lead_type": shown["lead_type"],
        "status": shown["status"], "close_cause": shown["close_cause"], "close_reason": shown["close_reason"],
        "opened_at": lead.opened_at.as_millis(), "closed_at": lead.closed_at.map(Time::as_millis), "deadline": lead.deadline.as_millis(),
        "first_interaction_at": lead.first_interaction_at.as_millis(), "last_interaction_at": lead.last_interaction_at.as_millis(),
        "interactions": shown["interactions"], "skill": shown["skill"], "channel": shown["channel"],
        "campaign": shown["campaign"]["name"], "campaign_source": shown["campaign"]["source"],
        "sale_value": shown["sale_value"]["amount"], "sale_currency": shown["sale_value"]["currency"],
        "rgus": shown["rgus"], "conversions": shown["conversions"], "owner": shown["owner"],
        "device_type": shown["device"]["type"], "device_browser": shown["device"]["browser"],
        "last_product_name": shown["last_product"]["name"],
        "grade": shown["grade"], "score": shown["score"]["total"],
        "score_fit": shown["score"]["fit"], "score_engagement": shown["score"]["engagement"], "version": shown["version"],
        "position": lead.changed_at.0, "attributes": attributes,
    })
}

const LEADS: &str = "select lead_id, visitor_id, lead_type, status, close_cause, close_reason, \
     arrow_cast(opened_at, 'Int64') as opened_at, arrow_cast(closed_at, 'Int64') as closed_at, \
     arrow_cast(deadline, 'Int64') as deadline, \
     arrow_cast(first_interaction_at, 'Int64') as first_interaction_at, \
     arrow_cast(last_interaction_at, 'Int64') as last_interaction_at, interactions, skill, channel, campaign, \
     campaign_source, sale_value, sale_currency, rgus, conversions, owner, device_type, device_browser, \
     last_product_name, grade, score, score_fit, score_engagement, version, position, map_entries(attributes) as attributes from leads order by lead_id";

fn pairs(mut row: Json) -> Json {
    let entries = row["attributes"].as_array().cloned().unwrap_or_default();
    row["attributes"] = entries.iter().map(|entry| json!([entry["key"], entry["value"]])).collect();
    row
}

pub(crate) fn assert_same(listing: &ListingReader, snapshot: &Arc<Snapshot>, what: &str) {
    let mut query = LeadQuery::new(ACME);
    query.set("limit", "500").unwrap();
    let mut listed: Vec<LeadRow> = listing.leads(&query).unwrap().items;
    assert!(!listed.is_empty(), "{what}");
    listed.sort_by_key(|lead| lead.id.to_string());
    let table: Vec<Json> = rows(snapshot, LEADS).into_iter().map(pairs).collect();
    assert_eq!(table.len(), listed.len(), "{what}: one row a lead");
    for (row, lead) in table.iter().zip(&listed) {
        assert_eq!(row, &expected(lead), "{what}: {}", lead.id);
    }
    let apart = "select l.lead_id, l.interactions, i.many from leads l left join \
         (select lead_id, count(*) as many from interactions where lead_id is not null group by lead_id) i \
         on l.lead_id = i.lead_id where l.interactions <> coalesce(i.many, 0)";
    assert_eq!(rows(snapshot, apart), Vec::<Json>::new(), "{what}: every interaction is where its lead counts it");
    let orphans = rows(snapshot, "select count(*) as many from interactions where is_orphan");
    assert_eq!(orphans[0]["many"], json!(listing.counts(ACME).unwrap().0.orphans), "{what}: orphans");
}

#[test]
fn the_leads_table_is_the_listing() {
    for seed in 0..8 {
        let world = random_world(seed, 400);
        let listing = world.followed();
        for (name, limits) in [("all in the tail", Limits::default()), ("small files", SMALL)] {
            let folder = tempfile::tempdir().unwrap();
            let mut tables = followed(&world, folder.path(), limits);
            let what = format!("history {seed}, {name}");
            assert_same(&listing, &tables.projection().reader().snapshot(), &what);
            tables.seal().unwrap();
            drop(tables);
            let mut opened = Analytics::open_limited(folder.path(), limits).unwrap();
            assert_same(&listing, &opened.reader().snapshot(), &format!("{what}, opened again"));
            opened.compact_fully();
            assert_same(&listing, &opened.reader().snapshot(), &format!("{what}, put together"));
            drop(opened);
            let opened = Analytics::open_limited(folder.path(), limits).unwrap();
            assert_same(&listing, &opened.reader().snapshot(), &format!("{what}, put together and opened again"));
        }
    }
}

#[test]
fn the_leads_table_is_the_listing_of_erased_people_too() {
    for seed in 0..4 {
        let mut world = random_world(seed, 300);
        let mut erased = 0;
        for visitor in (1..30).step_by(3).map(VisitorId) {
            // Some were merged into somebody who is erased already.
            let erase = Command::EraseVisitor { visitor, reason: "asked for it".into() };
            erased += u32::from(world.asked(2_000, erase, Personal::default()).is_ok());
        }
        assert!(erased > 1, "{erased}");
        let listing = world.followed();
        for (name, limits) in [("all in the tail", Limits::default()), ("small files", SMALL)] {
            let folder = tempfile::tempdir().unwrap();
            let mut tables = followed(&world, folder.path(), limits);
            let what = format!("history {seed}, {name}");
            assert_same(&listing, &tables.projection().reader().snapshot(), &what);
            tables.seal().unwrap();
            drop(tables);
            let opened = Analytics::open_limited(folder.path(), limits).unwrap();
            assert_same(&listing, &opened.reader().snapshot(), &format!("{what}, opened again"));
        }
    }
}

/// A history in which people are erased in the midst of it, and what they did goes on being moved, merged and undone.
fn forgetful_world(seed: u64, steps: i64) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new();
    let mut erased = 0;
    for step in 0..steps {
        match random.random_range(0..100) {
            0..55 => someone_comes(&mut world, &mut random, step),
            55..95 => {
                if let Some(command) = any_command(&world, &mut random) {
                    let _ = world.asked(step * 3, command, Personal::default());
                }
            }
            95..98 => {
                let visitor = VisitorId(random.random_range(1..=world.shelf.last_visitor().0.max(1)));
                let erase = Command::EraseVisitor { visitor, reason: "asked for it".into() };
                erased += u32::from(world.asked(step * 3, erase, Personal::default()).is_ok());
            }
            _ => world.ticks(step * 3),
        }
    }
    assert!(erased > 2, "{erased}");
    world
}

#[test]
fn the_leads_table_is_the_listing_whoever_is_erased_meanwhile() {
    for seed in 0..24 {
        let world = forgetful_world(seed, 500);
        let listing = world.followed();
        for (name, limits) in [("all in the tail", Limits::default()), ("small files", SMALL)] {
            let folder = tempfile::tempdir().unwrap();
            let mut tables = followed(&world, folder.path(), limits);
            assert_same(&listing, &tables.projection().reader().snapshot(), &format!("history {seed}, {name}"));
            tables.seal().unwrap();
        }
    }
}

#[test]
fn the_leads_table_is_the_listing_after_every_record_too() {
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let mut tables = projector(&world, Analytics::open_limited(folder.path(), SMALL).unwrap());
    for step in 0..120 {
        someone_comes(&mut world, &mut random, step);
        if let Some(command) = any_command(&world, &mut random) {
            let _ = world.asked(step * 3, command, Personal::default());
        }
        tables.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
        if step > 5 {
            assert_same(&world.followed(), &tables.projection().reader().snapshot(), &format!("step {step}"));
        }
    }
}
