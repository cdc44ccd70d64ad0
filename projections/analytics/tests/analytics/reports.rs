//! Reports: leads counted again row by row from the listing, currencies that don't mix, limits, and tenants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use analytics::{QueryError, QueryLimits, Question, Session, Setting, Snapshot};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use listing::{LeadQuery, LeadRow};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

use crate::asked::{SMALL, followed};
use crate::histories::{any_command, random_world, someone_comes};
use crate::world::{ACME, World, hours, touch};

fn setting() -> Setting {
    Setting { now: hours(10_000).as_millis(), zone: "UTC".to_owned() }
}

fn asked(snapshot: &Arc<Snapshot>, tenant: &str, question: &Json, limits: QueryLimits) -> Result<Json, QueryError> {
    let question = Question::read(question.to_string().as_bytes(), &setting());
    let question = question.unwrap_or_else(|faults| panic!("{faults:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report =
        runtime.block_on(async { Session::new(Arc::clone(snapshot), tenant, limits)?.report(&question).await })?;
    Ok(serde_json::to_value(report).unwrap())
}

pub(crate) fn report(snapshot: &Arc<Snapshot>, question: &Json) -> Json {
    asked(snapshot, "acme", question, QueryLimits::default()).unwrap()
}

fn paths(question: &Json) -> Vec<String> {
    let faults = Question::read(question.to_string().as_bytes(), &setting()).unwrap_err();
    faults.into_iter().map(|fault| fault.path).collect()
}

/// All rows of the listing.
fn listed(world: &World) -> Vec<LeadRow> {
    let reader = world.followed();
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let mut query = LeadQuery::new(ACME);
        query.set("limit", "500").unwrap();
        query.cursor = cursor;
        let page = reader.leads(&query).unwrap();
        rows.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return rows,
        }
    }
}

#[test]
fn leads_by_local_days_are_those_of_the_listing_whatever_is_in_files_and_memory() {
    // Half a year from January 1970: New York put its clocks forward on 26 April, Rome on 31 May.
    let mut world = random_world(3, 400);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for step in 400..1_400 {
        someone_comes(&mut world, &mut random, step);
        if let Some(command) = any_command(&world, &mut random).filter(|_| step % 7 == 0) {
            let _ = world.asked(step * 3, command, proto_events::Personal::default());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let rows = listed(&world);
    assert!(rows.len() > 100, "{}", rows.len());
    for zone in [Tz::UTC, Tz::America__New_York, Tz::Europe__Rome, Tz::Asia__Kathmandu] {
        let mut expected: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for row in &rows {
            let at = DateTime::<Utc>::from_timestamp_millis(row.opened_at.as_millis()).unwrap().with_timezone(&zone);
            let entry = expected.entry((at.date_naive().to_string(), row.lead_type.clone())).or_default();
            *entry = (entry.0 + 1, entry.1 + u64::from(row.interactions));
        }
        let answer = report(
            &snapshot,
            &json!({ "source": "leads", "measures": ["count", "sum:interactions"],
            "dimensions": ["day", "lead_type"], "zone": zone.name(), "limit": 10_000 }),
        );
        let found = answer["items"].as_array().unwrap().iter().map(|item| {
            let key = (item["day"].as_str().unwrap()[..10].to_owned(), item["lead_type"].as_str().unwrap().to_owned());
            (key, (item["count"].as_u64().unwrap(), item["sum_interactions"].as_u64().unwrap()))
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{zone}");
        assert_eq!(answer["position"], world.log_head());
    }
}

/// Two sales in euros and one in dollars, of another tenant besides.
fn sales() -> (World, tempfile::TempDir, Arc<Snapshot>) {
    let mut world = World::new();
    let other = lead_domain::TenantId(2);
    world.adopt("berta", other);
    world.happens(
        touch(1).cookie("a").campaign("spring").attribute("plan", proto_events::stored::Value::Text("pro".into())),
    );
    world.happens(touch(3).cookie("a").campaign("summer"));
    world.happens(touch(5).cookie("a").purchase(1_000, *b"EUR", Some(1)));
    world.happens(touch(2).cookie("b"));
    world.happens(touch(49).cookie("b").purchase(500, *b"EUR", Some(2)));
    world.happens(touch(60).cookie("c").purchase(700, *b"USD", Some(3)));
    world.happens(touch(70).cookie("d"));
    world.happens_to(other, touch(1).cookie("z").purchase(9_999, *b"EUR", Some(4)));
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    (world, folder, snapshot)
}

#[test]
fn money_of_several_currencies_is_never_added() {
    let (_world, _folder, snapshot) = sales();
    let measures = json!(["sum:sale_value", "max:sale_value", "percentage:sale_value",
        { "name": "euros", "function": "sum", "field": "sale_value", "filters": [{ "field": "sale_currency", "is": "EUR" }] }]);
    let all = report(&snapshot, &json!({ "source": "leads", "measures": measures }));
    let nothing =
        json!({ "sum_sale_value": null, "max_sale_value": null, "percentage_sale_value": null, "euros": 1_500 });
    assert_eq!(all["items"], json!([nothing]));
    assert!(all["notes"].as_array().unwrap().iter().all(|note| note["code"] == "several_currencies"), "{all}");
    let by = report(
        &snapshot,
        &json!({ "source": "leads", "measures": ["sum:sale_value"], "dimensions": ["sale_currency"],
        "order": ["sale_currency"] }),
    );
    assert_eq!(
        by["items"],
        json!([{ "sale_currency": "EUR", "sum_sale_value": 1_500 },
        { "sale_currency": "USD", "sum_sale_value": 700 }, { "sale_currency": null, "sum_sale_value": null }])
    );
    let euros = report(
        &snapshot,
        &json!({ "source": "leads", "measures": ["sum:sale_value"],
        "filters": [{ "field": "sale_currency", "is": "EUR" }] }),
    );
    assert_eq!(euros["columns"][0]["currency"], "EUR");
    assert_eq!(euros["items"], json!([{ "sum_sale_value": 1_500 }]));
}

#[test]
fn a_sale_is_shared_among_its_touches() {
    let (_world, _folder, snapshot) = sales();
    let shared = |attribution: Json| {
        let answer = report(
            &snapshot,
            &json!({ "source": "attribution", "measures": ["sum:credited_value", "sum:credit"],
            "dimensions": ["touch"], "order": ["touch"], "attribution": attribution,
            "filters": [{ "field": "sale_currency", "is": "EUR" }] }),
        );
        let items = answer["items"].as_array().unwrap().clone();
        let row =
            |item: &Json| (item["touch"].as_str().map(str::to_owned), item["sum_credited_value"].as_f64().unwrap());
        items.iter().map(row).collect::<Vec<_>>()
    };
    let named = |name: &str, value: f64| (Some(name.to_owned()), value);
    let nobody = (None, 500.0);
    assert_eq!(shared(json!({ "model": "first_touch" })), [named("spring", 1_000.0), nobody.clone()]);
    assert_eq!(shared(json!({ "model": "last_touch" })), [named("summer", 1_000.0), nobody.clone()]);
    for model in ["linear", "position"] {
        assert_eq!(shared(json!({ "model": model })), [named("spring", 500.0), named("summer", 500.0), nobody.clone()]);
    }
    let decayed = shared(json!({ "model": "time_decay", "half_life": "2h" }));
    assert!((decayed[0].1 - 1_000.0 / 3.0).abs() < 1e-6 && (decayed[1].1 - 2_000.0 / 3.0).abs() < 1e-6, "{decayed:?}");
    assert_eq!(shared(json!({ "model": "linear", "look_back": "3h" })), [named("summer", 1_000.0), nobody.clone()]);
}

#[test]
fn another_tenants_rows_are_in_no_report() {
    let (_world, _folder, snapshot) = sales();
    let question = json!({ "source": "interactions", "measures": ["count", "sum:conversion_value"],
        "dimensions": ["lead.sale_currency"], "filters": [{ "field": "currency", "is": "EUR" }] });
    let of = |tenant: &str| asked(&snapshot, tenant, &question, QueryLimits::default()).unwrap()["items"].clone();
    assert_eq!(of("acme"), json!([{ "count": 2, "lead.sale_currency": "EUR", "sum_conversion_value": 1_500 }]));
    assert_eq!(of("berta"), json!([{ "count": 1, "lead.sale_currency": "EUR", "sum_conversion_value": 9_999 }]));
    assert_eq!(of("nobody"), json!([]));
}

#[test]
fn the_time_before_is_compared_in_percent_and_missing_groups_are_none() {
    let (_world, _folder, snapshot) = sales();
    let question = json!({ "source": "leads", "measures": ["count", { "name": "a_day", "function": "average_per", "per": "day" }],
        "dimensions": ["attr.plan"], "period": { "from": "1970-01-03", "to": "1970-01-05" }, "compare": "previous_period" });
    let answer = report(&snapshot, &question);
    assert_eq!(answer["previous_period"], json!({ "from": "1970-01-01T00:00:00Z", "to": "1970-01-03T00:00:00Z" }));
    let rows = json!([
        { "attr.plan": null, "count": 2, "count_previous": 1, "count_variation": 100.0, "a_day": 1.0, "a_day_previous": 0.5, "a_day_variation": 100.0 },
        { "attr.plan": "pro", "count": 0, "count_previous": 1, "count_variation": -100.0, "a_day": 0, "a_day_previous": 0.5, "a_day_variation": -100.0 },
    ]);
    assert_eq!(answer["items"], rows, "{answer}");
    let nothing_before = json!({ "source": "leads", "measures": ["count"], "compare": { "from": "1960-01-01", "to": "1960-02-01" },
        "period": { "from": "1970-01-01", "to": "1970-02-01" } });
    let answer = report(&snapshot, &nothing_before);
    assert_eq!(answer["items"], json!([{ "count": 4, "count_previous": 0, "count_variation": null }]));
    assert_eq!(answer["notes"][0]["column"], "count_variation");
}

#[test]
fn rows_come_in_the_order_and_number_that_were_asked_for() {
    let (_world, _folder, snapshot) = sales();
    let asked = |order: Json, limit: u64| {
        let answer = report(
            &snapshot,
            &json!({ "source": "leads", "measures": ["count", "sum:interactions"],
            "dimensions": ["lead_id"], "order": order, "limit": limit }),
        );
        let names: Vec<String> =
            answer["items"].as_array().unwrap().iter().map(|it| it["lead_id"].as_str().unwrap().to_owned()).collect();
        (names, answer["truncated"].as_bool().unwrap(), answer["groups"].as_u64().unwrap())
    };
    let (names, truncated, groups) = asked(json!(["-sum_interactions", "-lead_id"]), 2);
    assert!(truncated && groups == 4, "{names:?}");
    let (all, truncated, _) = asked(json!(["-sum_interactions", "-lead_id"]), 10);
    assert!(!truncated && all[..2] == names[..], "{all:?}");
    let (rising, ..) = asked(json!(["lead_id"]), 10);
    assert!(rising.is_sorted(), "{rising:?}");
}

#[test]
fn a_report_has_limits() {
    let world = random_world(11, 400);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let limited = |question: Json, limits| asked(&snapshot, "acme", &question, limits).unwrap_err();
    let each = json!({ "source": "interactions", "measures": ["count"], "dimensions": ["interaction_id"] });
    let few = QueryLimits { rows: 10, ..QueryLimits::default() };
    assert!(matches!(limited(each.clone(), few), QueryError::TooManyGroups { limit: 10 }));
    let short = QueryLimits { time: Duration::ZERO, ..QueryLimits::default() };
    assert!(matches!(limited(each.clone(), short), QueryError::TooLong { .. }));
    let small = QueryLimits { memory: 1 << 10, ..QueryLimits::default() };
    assert!(matches!(limited(each, small), QueryError::TooMuchMemory));
    let wide = json!({ "source": "leads", "measures": ["count"], "dimensions": ["hour"],
        "period": { "from": "0001-01-01", "to": "9999-01-01" } });
    assert!(matches!(limited(wide, QueryLimits::default()), QueryError::TooManyUnits { unit: "hour", .. }));
}

#[test]
fn absurd_documents_are_faults() {
    let with = |key: &str, value: Json| {
        let mut question = json!({ "source": "leads", "measures": ["count"] });
        question[key] = value;
        question
    };
    for (question, path) in [
        (with("limit", json!(0)), "limit"),
        (with("limit", json!(1e300)), "limit"),
        (with("measures", json!([])), "measures"),
        (with("measures", json!(vec!["count"; 40])), "measures"),
        (with("measures", json!(["count", "count"])), "measures[1].name"),
        (with("measures", json!([{ "name": "x", "formula": "x + 1" }])), "measures[0].formula"),
        (with("measures", json!([{ "function": "average_per", "per": "day" }])), "measures[0].per"),
        (with("measures", json!(["p101:interactions"])), "measures[0]"),
        (with("measures", json!(["sum"])), "measures[0]"),
        (with("dimensions", json!(vec!["status"; 9])), "dimensions"),
        (with("dimensions", json!([{ "field": "age", "bands": ["3d", "1d"] }])), "dimensions[0].bands"),
        (with("dimensions", json!([{ "field": "opened_at", "by": "day", "zone": "Mars/Base" }])), "dimensions[0].zone"),
        (with("dimensions", json!(["_state"])), "dimensions[0]"),
        (with("dimensions", json!(["tenant"])), "dimensions[0]"),
        (with("compare", json!("previous_period")), "compare"),
        (with("compare", json!("last_year")), "compare"),
        (with("period", json!({ "from": "2026-02-01", "to": "2026-01-01" })), "period.to"),
        (with("period", json!({ "from": "+262142-12-31" })), "period.from"),
        (with("order", json!(["-x"])), "order[0]"),
        (with("attribution", json!({ "model": "linear" })), "attribution"),
        (with("source", json!("attribution")), "attribution"),
        (with("source", json!(7)), "source"),
        (with("filters", json!([{ "field": "age", "at_least": "5 parsecs" }])), "filters[0].at_least"),
        (with("filters", json!([{ "field": "attr.x", "in": ["a", 5] }])), "filters[0].in"),
        (
            with("filters", json!([{ "any": [{ "any": [{ "any": [{ "any": [{ "any": [] }] }] }] }] }])),
            "filters[0].any[0].any[0].any[0].any[0].any",
        ),
    ] {
        let found = paths(&question);
        assert!(found.iter().any(|found| found == path), "{path}: {found:?} of {question}");
    }
    assert_eq!(Question::read(b"{", &setting()).unwrap_err()[0].code, "invalid_body");
    assert_eq!(Question::read(&vec![b' '; 70_000], &setting()).unwrap_err()[0].code, "too_long");
    let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(Question::read(nested.as_bytes(), &setting()).unwrap_err()[0].code, "invalid_body");
}
