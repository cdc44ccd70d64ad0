//! The score rows are the scores of the listing, whatever was moved, taken away, cut, or given anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::{Analytics, Limits, Snapshot};
use event_log::LogPosition;
use listing::{LeadQuery, ListingReader};
use serde_json::{Value as Json, json};

use crate::agreement::assert_same;
use crate::asked::{SMALL, followed, projector, rows};
use crate::histories::{SCORING, scored_world};
use crate::world::{ACME, World, lead_id, touch};

/// Points by lead, those without any left out.
fn listed(listing: &ListingReader) -> BTreeMap<String, i64> {
    let mut query = LeadQuery::new(ACME);
    query.set("limit", "500").unwrap();
    let leads = listing.leads(&query).unwrap().items;
    let points = leads.iter().map(|lead| (lead.id.to_string(), lead.score.total));
    points.filter(|(_, points)| *points != 0).collect()
}

fn summed(snapshot: &Arc<Snapshot>) -> BTreeMap<String, i64> {
    let sums = rows(snapshot, "select lead_id, sum(points_now) as points from score_rows group by lead_id");
    let points = sums.iter().map(|row| (row["lead_id"].as_str().unwrap().to_owned(), row["points"].as_i64().unwrap()));
    points.filter(|(_, points)| *points != 0).collect()
}

fn none(snapshot: &Arc<Snapshot>, sql: &str, what: &str) {
    assert_eq!(rows(snapshot, sql), Vec::<Json>::new(), "{what}: {sql}");
}

fn assert_scores(listing: &ListingReader, snapshot: &Arc<Snapshot>, what: &str) {
    assert_same(listing, snapshot, what);
    assert_eq!(summed(snapshot), listed(listing), "{what}");
    none(snapshot, "select interaction_id from score_rows group by interaction_id, rule having count(*) > 1", what);
    let elsewhere = "select s.interaction_id, s.lead_id, i.lead_id as now from score_rows s join interactions i \
         on s.interaction_id = i.interaction_id where s.lead_id <> i.lead_id";
    none(snapshot, elsewhere, what);
    none(snapshot, "select rule from score_rows where ended_because is not null and points_now <> 0", what);
    none(snapshot, "select rule from score_rows where (cut_by is not null) and points_now = points", what);
    let kinds = "select l.lead_id from leads l left join (select lead_id, \
         sum(points_now) filter (where kind = 'fit') as fit, \
         sum(points_now) filter (where kind = 'engagement') as engagement from score_rows group by lead_id) s \
         on l.lead_id = s.lead_id where l.score_fit <> coalesce(s.fit, 0) or l.score_engagement <> coalesce(s.engagement, 0)";
    none(snapshot, kinds, what);
}

#[test]
fn the_points_of_score_rows_sum_to_the_scores_of_the_listing() {
    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..8 {
        let world = scored_world(seed, 300);
        let listing = world.followed();
        for (name, limits) in [("all in the tail", Limits::default()), ("small files", SMALL)] {
            let folder = tempfile::tempdir().unwrap();
            let mut tables = followed(&world, folder.path(), limits);
            let what = format!("history {seed}, {name}");
            assert_scores(&listing, &tables.projection().reader().snapshot(), &what);
            tables.seal().unwrap();
            drop(tables);
            let mut opened = Analytics::open_limited(folder.path(), limits).unwrap();
            assert_scores(&listing, &opened.reader().snapshot(), &format!("{what}, opened again"));
            opened.compact_fully();
            assert_scores(&listing, &opened.reader().snapshot(), &format!("{what}, put together"));
            drop(opened);
            let opened = Analytics::open_limited(folder.path(), limits).unwrap();
            let snapshot = opened.reader().snapshot();
            assert_scores(&listing, &snapshot, &format!("{what}, put together and opened again"));
            let counts =
                "select coalesce(ended_because, cut_by, 'counts') as fate, count(*) as many from score_rows group by 1";
            for row in rows(&snapshot, counts) {
                let many = usize::try_from(row["many"].as_u64().unwrap()).unwrap();
                *fates.entry(row["fate"].as_str().unwrap().to_owned()).or_default() += many;
            }
        }
    }
    let expected = ["counts", "discredited", "group", "lapsed", "rescored"];
    assert!(expected.iter().all(|fate| fates.contains_key(*fate)), "the histories have everything: {fates:?}");
}

#[test]
fn score_rows_are_those_of_the_listing_after_every_record_too() {
    let whole = scored_world(77, 120);
    let folder = tempfile::tempdir().unwrap();
    let mut tables = projector(&whole, Analytics::open_limited(folder.path(), SMALL).unwrap());
    let mut listing = whole.projector();
    for position in 1..=whole.log_head() {
        tables.catch_up(LogPosition(position), &mut |_| {}).unwrap();
        listing.catch_up(LogPosition(position), &mut |_| {}).unwrap();
        let reader = ListingReader::open(whole.folder.path()).unwrap();
        assert_eq!(summed(&tables.projection().reader().snapshot()), listed(&reader), "position {position}");
    }
}

#[test]
fn a_score_row_says_what_was_given_what_is_left_and_why() {
    let mut world = World::with(SCORING);
    let first = world.happens(touch(0).cookie("anna"));
    let chat = world.happens(touch(1).cookie("anna").channel("chat"));
    let snapshot = |world: &World| {
        let folder = tempfile::tempdir().unwrap();
        (followed(world, folder.path(), SMALL).projection().reader().snapshot(), folder)
    };
    let asked = "select interaction_id, lead_id, visitor_id, rule, policy_version, rule_group, kind, points, points_now, \
         cut_by, arrow_cast(lapses_at, 'Int64') as lapses_at, ended_because, discredited_by from score_rows \
         order by interaction_id, rule";
    let (given, _kept) = snapshot(&world);
    let row = &rows(&given, asked)[0];
    let expected = json!({
        "interaction_id": first.to_string(), "lead_id": lead_id(1, 1).to_string(), "visitor_id": "V1",
        "rule": "was here", "policy_version": 0, "rule_group": "behaviour", "kind": "engagement", "points": 7,
        "points_now": 7, "cut_by": null, "lapses_at": 6 * 24 * 3_600_000, "ended_because": null, "discredited_by": null,
    });
    assert_eq!(row, &expected);
    let command = lead_domain::Command::DiscreditInteraction {
        interaction: world.recorded(chat),
        recorded_in: Some(lead_id(1, 1)),
    };
    world.commanded(2, command);
    let (taken, _kept) = snapshot(&world);
    let mine = rows(&taken, asked).into_iter().filter(|row| row["interaction_id"] == json!(chat.to_string()));
    let mine: Vec<Json> = mine.collect();
    assert!(!mine.is_empty());
    for row in mine {
        assert_eq!((&row["points_now"], &row["ended_because"]), (&json!(0), &json!("discredited")), "{row}");
        assert_eq!(row["discredited_by"], "operator");
    }
}

#[test]
fn points_are_reported_by_rule_and_by_fields_of_their_leads() {
    let world = scored_world(4, 200);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let question = json!({ "source": "score", "measures": ["count", "sum:points", "sum:points_now"],
        "dimensions": ["rule", "lead.status"], "order": ["rule", "lead.status"], "date_origin": "opened" });
    let report = crate::reports::report(&snapshot, &question);
    let counted = "select s.rule, l.status as \"lead.status\", count(*) as count, sum(s.points) as sum_points, \
         sum(s.points_now) as sum_points_now from score_rows s join leads l on s.lead_id = l.lead_id \
         group by 1, 2 order by 1, 2";
    let counted = rows(&snapshot, counted);
    assert!(counted.len() > 4);
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), counted.len());
    for (item, row) in items.iter().zip(&counted) {
        for (name, value) in row.as_object().unwrap() {
            let shown = item.get(name).or_else(|| item.get(name.replace('.', "_"))).unwrap();
            assert_eq!(shown.as_f64(), value.as_f64(), "{name}: {item} {row}");
            assert_eq!(shown.as_str(), value.as_str(), "{name}: {item} {row}");
        }
    }
}
