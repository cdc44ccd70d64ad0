//! Retention by policy: an import of history erases whoever was quiet for too long, everywhere.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::event::{Event, hour, lines};
use crate::support::kill::{Dice, kill_when, looks};
use crate::support::{Folder, shop_policy};

/// Stands in everything that the person's events say, and nowhere else.
const SECRET: &str = "quillfeather";

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

fn places(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    holding(&folder.path("data"), &mut found);
    found
}

#[test]
fn who_was_quiet_for_too_long_is_erased_everywhere_by_the_next_import() {
    let folder = Folder::with_policy(shop_policy());
    let person = Event::page(&format!("{SECRET}-1"), &hour(0), &format!("{SECRET}-device"))
        .with("contact", json!({ "name": SECRET }))
        .with("attributes", json!({ "favourite": format!("{SECRET}-red") }));
    folder.write("events.ndjson", lines([person, Event::page("ben", &hour(0), "ben")]));
    folder.import("events.ndjson");
    fs::remove_file(folder.path("events.ndjson")).unwrap();
    folder.done(["sql", "select count(*) from interactions"]);
    folder.write("later.ndjson", lines([Event::page("ben-2", &hour(24 * 60), "ben")]));
    folder.import("later.ndjson");
    assert!(!places(&folder).is_empty());
    let policy = fs::read_to_string(shop_policy()).unwrap() + "\n[retention]\nerase_after = \"60d\"\n";
    folder.write("retaining.toml", &policy);
    let preview = folder.json_one(["policy", "preview", "retaining.toml"]);
    assert_eq!(preview["visitors_erased"], 1, "{preview}");
    assert!(folder.done(["policy", "preview", "retaining.toml"]).contains("1 visitors would be erased"));
    folder.done(["policy", "adopt", "retaining.toml"]);
    folder.write("latest.ndjson", lines([Event::page("ben-3", &hour(24 * 60 + 1), "ben")]));
    folder.import("latest.ndjson");
    assert_eq!(places(&folder), Vec::<String>::new());
    let export = folder.done(["visitor", "V1", "export"]);
    assert!(export.contains("retention, policy version 2"), "{export}");
    assert_eq!(folder.json_one(["lead", "V1-1"])["close_cause"], "inactivity");
    assert_eq!(folder.json_one(["verify"])["whole"], true);
    assert_eq!(folder.json_one(["replay"])["same"], true);
    let ben = folder.json_one(["visitor", "V2"]);
    assert_eq!(ben["identifiers"][0]["value"], "ben", "{ben}");
}

/// A folder of several hundred people who were quiet for too long, whom the next import erases in several ticks.
fn due() -> Folder {
    const PEOPLE: u32 = 700;
    let folder = Folder::with_policy(shop_policy());
    let person = |number: u32| {
        Event::page(&format!("{SECRET}-{number}"), &hour(number % 50), &format!("{SECRET}-device-{number}"))
            .with("contact", json!({ "name": SECRET }))
            .with("attributes", json!({ "favourite": format!("{SECRET}-{number}-red") }))
    };
    folder.write("events.ndjson", lines((0..PEOPLE).map(person).chain([Event::page("ben", &hour(0), "ben")])));
    folder.import("events.ndjson");
    fs::remove_file(folder.path("events.ndjson")).unwrap();
    folder.done(["sql", "select count(*) from interactions"]);
    folder.write("later.ndjson", lines([Event::page("ben-2", &hour(24 * 60), "ben")]));
    folder.import("later.ndjson");
    let policy = fs::read_to_string(shop_policy()).unwrap() + "\n[retention]\nerase_after = \"50d\"\n";
    folder.write("retaining.toml", &policy);
    folder.done(["policy", "adopt", "retaining.toml"]);
    folder
}

/// A copy of such a folder, and what it is about to import.
fn due_again(begun: &Folder) -> Folder {
    let folder = begun.copied();
    folder.write("latest.ndjson", lines([Event::page("ben-3", &hour(24 * 60 + 1), "ben")]));
    folder
}

#[test]
fn a_retention_that_is_killed_again_and_again_ends_as_one_that_was_not() {
    let begun = due();
    let undisturbed = due_again(&begun);
    undisturbed.import("latest.ndjson");
    assert_eq!(places(&undisturbed), Vec::<String>::new());
    let expected = undisturbed.picture();
    let mut dice = Dice::new(50);
    let mut killed = 0;
    for _ in 0..4 {
        let folder = due_again(&begun);
        for _ in 0..4 {
            let head = folder.log_position();
            let target = head + dice.below(expected.head + 1 - head.min(expected.head));
            let mut any_moment = looks(dice.below(20_000));
            let has_come = || if target > expected.head { any_moment() } else { folder.log_position() >= target };
            killed += u64::from(kill_when(folder.start(["import", "latest.ndjson"]), has_come));
        }
        folder.import("latest.ndjson");
        folder.picture().assert_same(&expected);
        assert_eq!(places(&folder), Vec::<String>::new());
        assert_eq!(folder.json_one(["verify"])["whole"], true);
    }
    assert!(killed >= 8, "{killed} of 16 imports were still running");
}

#[test]
fn a_retention_that_makes_no_sense_is_refused_by_its_path() {
    let folder = Folder::empty();
    let policy = fs::read_to_string(shop_policy()).unwrap();
    for (line, fault) in [
        ("erase_after = \"12h\"", "retention.erase_after"),
        ("erase_after = \"soon\"", "retention.erase_after"),
        ("erase_after = 730", "retention.erase_after"),
        ("", "retention.erase_after"),
        ("erase_after = \"730d\"\nkeep = true", "retention.keep"),
    ] {
        folder.write("policy.toml", format!("{policy}\n[retention]\n{line}\n"));
        let run = folder.run(["policy", "check", "policy.toml"]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(run.code == Some(1) && said.contains(fault), "{line}: {said}");
    }
}
