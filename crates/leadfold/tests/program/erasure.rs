//! A person is erased: not one byte of the data says who it was, and what counts is as before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::event::{Event, hour, lines};
use crate::support::kill::{Dice, kill_when, looks};
use crate::support::{Folder, shop_policy};

/// What tells who it is, each of them in no one else's data.
const TEXTS: [&str; 14] = [
    "anna.quillfeather",
    "Anna.Quillfeather@Example.com",
    "301234567",
    "K-7788-ANNA",
    "Quillfeather",
    "cookie-anna-1",
    "cookie-anna-2",
    "crimson-preference",
    "anna-order-1",
    "/products/annas-page",
    "annas-referrer",
    "AnnaBrowser/7.1",
    "she likes mornings",
    "anna-event",
];

/// A person on two devices, with everything that a channel may send; and somebody else.
fn events() -> String {
    let anna = |id: &str, at: u32, device: &str| {
        Event::page(&format!("anna-event-{id}"), &hour(at), device)
            .with("email", "Anna.Quillfeather@Example.com")
            .with("phone", "030 1234567")
            .with("contact", json!({ "name": "Anna Quillfeather" }))
            .with(
                "page",
                json!({ "url": "https://shop.example.com/products/annas-page",
                "referrer": "https://annas-referrer.example.com/" }),
            )
            .with("device", json!({ "user_agent": "AnnaBrowser/7.1 (X11; Linux)" }))
            .with("attributes", json!({ "favourite": "crimson-preference", "visits": 77 }))
    };
    let second = Event::page("anna-event-second", &hour(1), "cookie-anna-2")
        .with("attributes", json!({ "favourite": "crimson-preference" }));
    let order = json!({ "value": { "amount": 12_900, "currency": "EUR" }, "rgus": 2, "order_id": "anna-order-1" });
    let bought = Event::new("anna-event-bought", &hour(3), "web", "purchase").with("visitor_id", "cookie-anna-1");
    let orphan = Event::new("anna-event-orphan", &hour(4), "kiosk", "touched").with("customer_id", "K-7788-ANNA");
    let ben = |id: &str, at: u32| {
        let event = Event::page(id, &hour(at), "cookie-ben").with("email", "ben.other@example.com");
        event.with("contact", json!({ "name": "Ben Other" })).with("attributes", json!({ "favourite": "teal" }))
    };
    let mut conflict = anna("first", 0, "cookie-anna-1");
    conflict.0["data"]["action"] = json!("page.left");
    lines([
        anna("first", 0, "cookie-anna-1"),
        second,
        // Whoever logs in on both is one person.
        anna("login", 2, "cookie-anna-1").with("customer_id", "K-7788-ANNA"),
        Event::page("anna-event-both", &hour(2), "cookie-anna-2").with("customer_id", "K-7788-ANNA"),
        bought.with("conversion", order),
        orphan.with("attributes", json!({ "favourite": "crimson-preference" })),
        conflict,
        anna("later", 100, "cookie-anna-1").without("phone"),
        ben("ben-1", 0),
        ben("ben-2", 5),
    ]) + "{\"email\":\"anna.quillfeather@example.com\", this is broken\n"
}

/// A folder in which everything that can hold the person does.
fn lived_in() -> Folder {
    let folder = Folder::with_policy(shop_policy());
    folder.write("events.ndjson", events());
    folder.import("events.ndjson");
    let lead = folder.json_one(["visitor", "V1"])["leads"][0]["id"].as_str().unwrap().to_owned();
    folder.done(["lead", &lead, "note", "she likes mornings"]);
    folder.done(["lead", &lead, "set", "favourite=crimson-preference"]);
    folder.done(["leads"]);
    folder.done(["sql", "select count(*) from leads"]);
    folder
}

/// Where each text stands in the files of a folder: in clear, or where Parquet has packed it, as a query shows it.
fn places(folder: &Folder, data: &str) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut look = |path: &Path, bytes: &[u8]| {
        let lower = bytes.to_ascii_lowercase();
        for text in TEXTS {
            let wanted = text.to_ascii_lowercase().into_bytes();
            if lower.windows(wanted.len()).any(|window| window == wanted) {
                found.entry(text).or_default().push(path.display().to_string());
            }
        }
    };
    walk(&folder.path(data), &mut look);
    found
}

fn walk(path: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, look) } else { look(&path, &fs::read(&path).unwrap()) }
    }
}

#[track_caller]
fn assert_gone(folder: &Folder) {
    let found = places(folder, "data");
    assert!(found.is_empty(), "{found:#?}");
    let asked = [
        "select count(*) as many from interactions where attributes['favourite'] = 'crimson-preference'",
        "select count(*) as many from leads where attributes['favourite'] = 'crimson-preference'",
    ];
    for sql in asked {
        assert_eq!(folder.json_one(["sql", sql])["many"], 0, "{sql}");
    }
}

/// What counts: leads by how they stand, sales, points, and rows.
fn figures(folder: &Folder) -> Vec<Value> {
    let asked = [
        "select count(*) as leads, sum(sale_value) as value, sum(rgus) as rgus, sum(conversions) as conversions, \
         sum(score) as score, sum(interactions) as interactions from leads",
        "select count(*) as interactions, count(lead_id) as attached, sum(conversion_value) as value from interactions",
        "select event, count(*) as many from lead_events where event not in ('lead_closed', 'visitor_erased', \
         'note_added', 'attributes_set') group by 1 order by 1",
    ];
    asked.into_iter().flat_map(|sql| folder.json(["sql", sql])).collect()
}

#[test]
fn not_one_byte_says_who_it_was_and_what_counts_is_as_before() {
    let folder = lived_in();
    let before = places(&folder, "data");
    assert!(before.contains_key("Quillfeather") && before.contains_key("she likes mornings"), "{before:#?}");
    let (counted, ben) = (figures(&folder), folder.json_one(["visitor", "V3"]));
    assert_eq!(ben["contact"]["name"], "Ben Other");

    let erased = folder.json_one(["visitor", "V1", "erase", "--reason", "asked for it"]);
    let names: Vec<&str> =
        erased["events"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(names.last(), Some(&"visitor_erased"), "{erased}");
    assert_gone(&folder);
    let verified = folder.json_one(["verify"]);
    assert_eq!(verified["whole"], true, "{verified}");
    assert_eq!(figures(&folder), counted);
    assert_eq!(folder.json_one(["visitor", "V3"]), ben, "somebody else is as before");
    assert_gone(&folder);

    // Also in a model that is built anew, in files that are put together, and in a copy of the log.
    folder.done(["projections", "rebuild", "listing"]);
    folder.done(["projections", "rebuild", "analytics"]);
    folder.done(["backup", "backups", "--keys", "keys"]);
    assert_gone(&folder);
    assert!(places(&folder, "backups").is_empty() && places(&folder, "keys").is_empty());
    folder.done(["replay"]);
    let shown = folder.json_one(["visitor", "V1"]);
    assert_eq!(
        (shown["identifiers"].as_array().unwrap().len(), &shown["contact"]["name"]),
        (0, &Value::Null),
        "{shown}"
    );
    let leads = shown["leads"].as_array().unwrap();
    assert!(leads.iter().all(|lead| lead["status"] == "closed" && lead["notes"] == json!([])), "{shown}");
}

#[test]
fn somebody_is_erased_once_with_everyone_who_was_merged_and_nobody_who_is_not_there() {
    let folder = lived_in();
    let unknown = folder.run(["visitor", "V99", "erase", "--reason", "asked for it"]);
    assert!(unknown.failed(1).contains("there is no visitor V99"));
    assert_eq!(folder.run(["visitor", "V1", "erase"]).code, Some(2), "without a reason");
    // V2 was merged into V1: they are one person.
    let erased = folder.json_one(["visitor", "V2", "erase", "--reason", "asked for it"]);
    let event = erased["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&event["visitor_id"], &event["member_ids"]), (&json!("V1"), &json!(["V1", "V2"])));
    for id in ["V1", "V2"] {
        let again = folder.run(["visitor", id, "erase", "--reason", "asked for it"]);
        assert!(again.failed(1).contains("V1 was erased"), "{again:?}");
    }
    assert_gone(&folder);
}

#[test]
fn an_export_has_everything_and_afterwards_says_when_and_why_it_went() {
    let folder = lived_in();
    folder.done(["visitor", "V1", "export", "--out", "anna.json"]);
    let text = fs::read_to_string(folder.path("anna.json")).unwrap();
    for wanted in TEXTS {
        let wanted = if wanted == "301234567" { "1234567" } else { wanted };
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(!text.contains("Ben Other") && !text.contains("cookie-ben"));
    let export: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(export["untaken"].as_array().unwrap().len(), 2, "a conflict and a broken line");
    assert_eq!(export["erased"], Value::Null);
    folder.done(["visitor", "V1", "erase", "--reason", "asked for it"]);
    let left = folder.done(["visitor", "V1", "export"]);
    let export: Value = serde_json::from_str(&left).unwrap();
    let erased = &export["erased"];
    assert_eq!((&erased["operator"], &erased["reason"]), (&json!("olga"), &json!("asked for it")));
    assert!(export["records"].as_array().unwrap().iter().all(|record| record["personal"].is_null()));
    for text in TEXTS {
        assert!(!left.contains(text), "{text}");
    }
}

#[test]
fn a_killed_erasure_is_finished_or_never_began() {
    let first = lived_in();
    let reason = ["visitor", "V1", "erase", "--reason", "asked for it"];
    let mut dice = Dice::new(11);
    let (mut finished, mut killed) = (0_u32, 0_u32);
    for round in 0..60 {
        // On a busy machine a kill comes too late more often; it takes some that come in time.
        if round >= 10 && finished > 2 && killed > 4 {
            break;
        }
        let folder = first.copied();
        let head = folder.log_position();
        let (mut any_moment, recorded) = (looks(dice.below(60_000)), round % 2 == 0);
        let mut after = looks(dice.below(20_000));
        let has_come = || if recorded { folder.log_position() > head && after() } else { any_moment() };
        killed += u32::from(kill_when(folder.start(reason), has_come));
        // Once it is recorded it is finished, whoever opens the folder next; the read models follow when they are asked.
        let run = folder.run(reason);
        if run.code != Some(0) {
            finished += 1;
            assert!(run.failed(1).contains("V1 was erased"));
            folder.done(["leads"]);
            folder.done(["sql", "select count(*) from leads"]);
        }
        assert_gone(&folder);
        assert_eq!(folder.json_one(["verify"])["whole"], true);
    }
    assert!(finished > 2 && killed > 4, "{finished} {killed}");
}
