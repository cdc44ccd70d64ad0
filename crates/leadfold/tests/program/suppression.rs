//! Somebody must not be collected again: nothing of what comes is kept, whether the person was erased or never came.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, shop_policy};

/// Stands in everything that the person's events say, and nowhere else.
const SECRET: &str = "quillfeather";

fn anna(id: &str, at: u32) -> Event {
    Event::page(&format!("{SECRET}-{id}"), &hour(at), &format!("{SECRET}-device"))
        .with("email", format!("{SECRET}@example.com"))
        .with("contact", json!({ "name": SECRET }))
}

/// Files of the folder that hold the person in clear.
fn holding(path: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, found);
        } else if fs::read(&path).unwrap_or_default().windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

fn imported(folder: &Folder, events: impl IntoIterator<Item = Event>) -> Value {
    folder.write("events.ndjson", lines(events));
    folder.import("events.ndjson")
}

#[test]
fn an_erased_person_and_a_stranger_are_not_collected() {
    let folder = Folder::with_policy(shop_policy());
    assert_eq!(imported(&folder, [anna("one", 0), Event::page("ben", &hour(0), "ben")])["recorded"], 2);
    folder.done(["visitor", "V1", "erase", "--reason", "asked for it"]);
    // In another way of writing, as the person would say it.
    let email = format!("  {}@Example.com ", SECRET.to_uppercase());
    folder.done(["suppress", "--email", &email, "--reason", "asked for it"]);
    folder.done(["suppress", "--phone", "030 1234567", "--reason", "asked for it"]);
    let listed = folder.json(["suppressions"]);
    let kinds: Vec<&Value> = listed.iter().map(|row| &row["kind"]).collect();
    assert_eq!(kinds, ["email", "phone"]);
    assert_eq!(folder.json(["suppressions", "--email", &email]), listed[..1]);
    assert_eq!(folder.json(["suppressions", "--device-id", "ben"]), Vec::<Value>::new());
    let stranger = Event::page("stranger", &hour(1), "other-device").with("phone", "+49301234567");
    let came = imported(&folder, [anna("two", 1), stranger, Event::page("ben-2", &hour(1), "ben")]);
    assert_eq!((&came["recorded"], &came["suppressed"], &came["quarantined"]), (&json!(1), &json!(2), &json!(0)));
    let again = imported(&folder, [anna("two", 1), Event::page("ben-2", &hour(1), "ben")]);
    assert_eq!((&again["suppressed"], &again["duplicates"]), (&json!(1), &json!(1)));
    fs::remove_file(folder.path("events.ndjson")).unwrap();
    let mut found = Vec::new();
    holding(&folder.path("data"), &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(folder.json(["leads"]).len(), 2, "no lead but those from before");
    assert_eq!(folder.json_one(["verify"])["whole"], true);
    assert_eq!(folder.json_one(["replay"])["same"], true);
    // A new folder is told the same by the same log.
    folder.done(["repair"]);
    assert_eq!(imported(&folder, [anna("two", 1)])["suppressed"], 1);

    folder.done(["unsuppress", "--email", &format!("{SECRET}@example.com"), "--reason", "consents again"]);
    assert_eq!(imported(&folder, [anna("two", 1)])["recorded"], 1);
    assert_eq!(folder.json_one(["visitor", "V3"])["contact"]["name"], SECRET, "somebody new");
}

#[test]
fn a_visitor_is_suppressed_by_everything_that_it_is_known_by() {
    let folder = Folder::with_policy(shop_policy());
    imported(&folder, [anna("one", 0)]);
    folder.done(["visitor", "V1", "suppress", "--reason", "objects"]);
    let by_device = Event::page("d", &hour(1), &format!("{SECRET}-device"));
    let by_email = Event::page("e", &hour(1), "another").with("email", format!("{SECRET}@example.com"));
    assert_eq!(imported(&folder, [by_device.clone(), by_email])["suppressed"], 2);
    assert_eq!(folder.json_one(["lead", "V1-1"])["interactions"], 1, "what was recorded stays");
    folder.done(["visitor", "V1", "unsuppress", "--reason", "consents"]);
    assert_eq!(imported(&folder, [by_device])["recorded"], 1);
    let explained = folder.done(["explain", "3"]);
    assert!(!explained.contains(SECRET), "{explained}");
}

#[test]
fn whom_to_suppress_must_be_said_and_be_right() {
    let folder = Folder::with_policy(shop_policy());
    assert_eq!(folder.run(["suppress", "--reason", "x"]).code, Some(2));
    let faulty = folder.run(["suppress", "--email", "quill", "--reason", "x"]);
    let sentence = faulty.failed(2);
    assert!(sentence.contains("email") && !sentence.contains("quill"), "{sentence}");
    assert!(folder.run(["visitor", "V9", "suppress", "--reason", "x"]).failed(1).contains("there is no visitor V9"));
}
