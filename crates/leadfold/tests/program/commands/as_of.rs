//! The past as it was shown then, and what is known of it now.

use std::fs;

use serde_json::Value;

use super::small_shop;
use crate::support::event::{Event, hour, lines};
use crate::support::kill::Dice;
use crate::support::service::Service;
use crate::support::{Folder, shop_policy};

/// What was shown at a time of a history.
struct Shown {
    /// How far things had happened.
    happened: String,
    /// How far they were recorded.
    recorded: String,
    leads: Vec<String>,
    /// The ledgers of some leads, each at the time of `happened`.
    scores: Vec<(String, Value)>,
    /// Figures over the analytics tables.
    figures: Vec<String>,
}

/// When things that happened at an hour are recorded.
fn recorded(at: u64) -> String {
    hour(u32::try_from(at).unwrap()).replace(":00:00Z", ":30:00Z")
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

const ALL: [&str; 3] = ["leads", "--limit", "100000"];

/// Everything that a report of leads can count without a clock.
const QUERY: &str = r#"{"source": "leads", "measures": ["count", "sum:interactions", "sum:sale_value", "max:closed_at"],
    "dimensions": ["lead_type", "status", "close_cause", "stage"]}"#;

/// The rows of a report, whose order among equals means nothing.
fn figures(report: &Value) -> Vec<String> {
    let mut rows: Vec<String> = report["items"].as_array().unwrap().iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

/// A history of a few people over some weeks, with merges, sales, acts, changes of policy and, if wanted, late events.
/// Also says how many interactions were moved.
fn lived(dice: &mut Dice, is_late: bool) -> (Folder, Vec<Shown>, usize) {
    let folder = Folder::empty();
    let policy = fs::read_to_string(shop_policy()).unwrap();
    folder.write("policy.toml", &policy);
    let clock = recorded(0);
    folder.done(["policy", "adopt", "policy.toml", "--clock", &clock]);
    let (mut now, mut number, mut shown, mut moves) = (0, 0, Vec::new(), 0);
    for step in 0..9 {
        let before = now + 1;
        now += 20 + dice.below(60);
        let mut events = Vec::new();
        for _ in 0..=dice.below(8) {
            number += 1;
            let from = if is_late { before.saturating_sub(100) } else { before };
            let at = hour(u32::try_from(from + dice.below(now - from)).unwrap());
            let device = ["a", "b", "c", "d", "e"][usize::try_from(dice.below(5)).unwrap()];
            let action = if dice.below(5) == 0 { "purchase" } else { "page.viewed" };
            let mut event = Event::new(&number.to_string(), &at, "web", action).with("visitor_id", device);
            if dice.below(4) == 0 {
                event =
                    event.with("email", ["x@example.com", "y@example.com"][usize::try_from(dice.below(2)).unwrap()]);
            }
            events.push((at, event));
        }
        number += 1;
        let last = hour(u32::try_from(now).unwrap());
        events.push((last.clone(), Event::page(&number.to_string(), &last, "z")));
        if !is_late {
            events.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        folder.write("events.ndjson", lines(events.into_iter().map(|(_, event)| event)));
        let clock = recorded(now);
        folder.done(["import", "events.ndjson", "--clock", &clock]);
        let visitor = 1 + dice.below(4);
        let lead = format!("V{visitor}-1");
        // A history may make an act impossible.
        match dice.below(9) {
            0 => drop(folder.run(["lead", &lead, "close", "--reason", "duplicate", "--clock", &clock])),
            1 => drop(folder.run(["lead", &lead, "reopen", "--clock", &clock])),
            2 => drop(folder.run(["lead", &lead, "note", "a note", "--clock", &clock])),
            3 => drop(folder.run(["visitor", "V1", "merge", &format!("V{}", visitor + 1), "--clock", &clock])),
            4 => drop(folder.run(["visitor", &format!("V{}", visitor + 1), "unmerge", "--clock", &clock])),
            5 => drop(folder.run(["lead", &lead, "convert", "--value", "700", "--clock", &clock])),
            6 | 7 => {
                let interaction = format!("I{}", 2 + dice.below(number));
                let to = format!("V{visitor}-{}", 1 + dice.below(2));
                let moved = ["interaction", &interaction, "move", "--to", &to];
                moves += usize::from(folder.run(moved.into_iter().chain(["--clock", &clock])).code == Some(0));
            }
            _ => {
                let days = format!("close_after = \"{}d\"", 1 + step % 3);
                folder.write("policy.toml", policy.replace("close_after = \"7d\"", &days));
                folder.done(["policy", "adopt", "policy.toml", "--clock", &clock]);
            }
        }
        let leads = sorted(&folder.done(ALL.into_iter().chain(["--json", "--clock", &clock])));
        let score = |line: &String| {
            let id = serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
            let ledger = folder.json_one(["lead", &id, "--score", "--as-of", &last, "--clock", &clock]);
            (id, ledger)
        };
        let scores = leads.iter().rev().take(3).map(score).collect();
        let figures = figures(&folder.json_one(["analytics", QUERY, "--clock", &clock]));
        shown.push(Shown { happened: last, recorded: clock, leads, scores, figures });
    }
    (folder, shown, moves)
}

#[test]
fn what_was_shown_then_is_what_is_told_of_then() {
    let mut moved = 0;
    for (seed, is_late) in [(1, false), (3, true), (5, false), (8, true)] {
        let (folder, shown, moves) = lived(&mut Dice::new(seed), is_late);
        moved += moves;
        assert_eq!(folder.json_one(["replay"])["same"], true);
        for Shown { happened, recorded, leads, scores, figures: shown } in &shown {
            let known = ["as-of", happened, "--known-at", recorded];
            let told = sorted(&folder.done(known.into_iter().chain(ALL).chain(["--json"])));
            assert_eq!(&told, leads, "seed {seed}, known at {recorded}");
            let told = figures(&folder.json_one(known.into_iter().chain(["analytics", QUERY])));
            assert_eq!(&told, shown, "seed {seed}, known at {recorded}");
            for (id, ledger) in scores {
                let told = folder.json_one(known.into_iter().chain(["score", id]));
                assert_eq!(&told, ledger, "seed {seed}, known at {recorded}");
            }
            if !is_late {
                for (id, ledger) in scores {
                    let told = folder.json_one(["as-of", happened, "score", id]);
                    assert_eq!(&told, ledger, "seed {seed}, as of {happened}");
                }
                let told = figures(&folder.json_one(["as-of", happened, "analytics", QUERY]));
                assert_eq!(&told, shown, "seed {seed}, as of {happened}");
                let told = sorted(&folder.done(["as-of", happened].into_iter().chain(ALL).chain(["--json"])));
                assert_eq!(&told, leads, "seed {seed}, as of {happened}");
            }
            // A lead by itself says the same.
            let Some(line) = leads.last() else { continue };
            let lead: Value = serde_json::from_str(line).unwrap();
            let id = lead["id"].as_str().unwrap();
            let alone = folder.json_one(["lead", id, "--as-of", happened, "--known-at", recorded]);
            assert_eq!(alone, lead, "seed {seed}, known at {recorded}");
        }
        a_service_tells_the_same(&folder, &shown);
    }
    assert!(moved > 0, "the histories have everything");
}

/// What a service tells of all those times is what was shown then, whatever it has kept by then.
fn a_service_tells_the_same(folder: &Folder, shown: &[Shown]) {
    let service = Service::start(folder, []);
    let url = service.url();
    for Shown { happened, recorded, leads, scores, figures: shown } in shown {
        let known = ["--server", &url, "as-of", happened, "--known-at", recorded];
        for _ in 0..2 {
            let told = sorted(&folder.done(known.into_iter().chain(ALL).chain(["--json"])));
            assert_eq!(&told, leads, "known at {recorded}");
        }
        let told = figures(&folder.json_one(known.into_iter().chain(["analytics", QUERY])));
        assert_eq!(&told, shown, "known at {recorded}");
        for (id, ledger) in scores {
            assert_eq!(&folder.json_one(known.into_iter().chain(["score", id])), ledger, "known at {recorded}");
        }
    }
    service.stop();
}

#[test]
fn a_service_tells_of_the_past_what_its_folder_tells() {
    let folder = small_shop();
    let past = ["lead", "V1-1", "--as-of", &hour(1)];
    let (before, list) = (folder.json_one(past), folder.done(["as-of", &hour(3), "leads", "--status", "open"]));
    assert_eq!(before["interactions"], 1, "a later one had not happened");
    assert_eq!(list.lines().count(), 4, "{list}");
    let service = Service::start_at(&folder, &hour(7));
    assert_eq!(folder.json_one(past), before);
    assert_eq!(folder.done(["as-of", &hour(3), "leads", "--status", "open"]), list);
    let sentence = folder.run(["lead", "V2-1", "--as-of", &hour(0)]);
    assert_eq!(sentence.failed(1), "error: there is no lead V2-1");
    assert!(folder.run(["lead", "V1-1", "--as-of", "2999-01-01T00:00:00Z"]).failed(2).contains("future"));
    assert_eq!(fs::read_dir(folder.path("data/past")).unwrap().count(), 0, "nothing stays behind");
    service.stop();
}

#[test]
fn a_past_that_is_none_is_refused() {
    let folder = small_shop();
    assert_eq!(folder.done(["as-of", "1999-01-01T00:00:00Z", "leads"]), "no leads\n");
    let run = folder.run(["as-of", &hour(1), "--known-at", "1999-01-01T00:00:00Z", "leads"]);
    assert_eq!(run.failed(2), "error: nothing was recorded by then");
    assert!(folder.run(["as-of", "2999-01-01T00:00:00Z", "leads"]).failed(2).contains("lies in the future"));
    assert!(folder.run(["as-of", "noon", "leads"]).stderr.contains("2026-01-31T12:00:00Z"));
    assert_eq!(folder.run(["lead", "V99-1", "--as-of", &hour(1)]).failed(1), "error: there is no lead V99-1");
    assert_eq!(folder.run(["lead", "V2-1", "--as-of", &hour(0)]).failed(1), "error: there is no lead V2-1");
}
