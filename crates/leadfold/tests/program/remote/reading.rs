//! Every reading command says the same through a service as in its folder.

use serde_json::Value;

use crate::commands::small_shop;
use crate::support::event::hour;
use crate::support::service::Service;
use crate::support::{Folder, Run, shop_policy};

/// A shop with more leads than a page holds, and some inputs in quarantine.
fn busy_shop() -> Folder {
    let folder = Folder::with_policy(shop_policy());
    let run = folder.run(["generate", "--visitors", "600", "--interactions", "6000", "--seed", "4"]);
    assert_eq!(run.code, Some(0));
    folder.write("traffic.ndjson", format!("{}{{\n{{\"broken\":\n", run.stdout));
    assert_eq!(folder.import("traffic.ndjson")["quarantined"], 2);
    folder
}

const READERS: &[&[&str]] = &[
    &["leads"],
    &["leads", "--limit", "100000", "--count"],
    &["leads", "--limit", "501", "--sort=-value", "--status", "closed"],
    &["leads", "--limit", "100000", "--lead-type", "tablets, broadband", "--opened-from", "2026-01-10"],
    &["leads", "--attr", "scroll_percent=50", "--q", "example.com", "--count"],
    &["leads", "--owner", "nobody"],
    &["leads", "--limit", "0"],
    &["lead", "V1-1"],
    &["lead", "V1-1", "--timeline"],
    &["lead", "V1-1", "--timeline", "--limit", "2"],
    &["lead", "V1-1", "--score"],
    &["lead", "V1-1", "--score", "--as-of", "2030-01-01T00:00:00Z"],
    &["visitor", "V1"],
    &["visitor", "V1", "--timeline", "--limit", "100000"],
    &["orphans", "--limit", "100000"],
    &["orphans", "--channel", "voice", "--limit", "3"],
    &["duplicates", "--limit", "100000"],
    &["duplicates", "--limit", "1"],
    &["duplicates", "--settled"],
    &["quarantine"],
    &["quarantine", "--state", "all", "--limit", "1"],
    &["quarantine", "--state", "released"],
    &["policy", "show"],
    &["policy", "show", "--number", "1"],
    &["policy", "history"],
    &["keys", "list"],
];

/// What every reader says, as a table and in JSON.
fn said(folder: &Folder) -> Vec<Run> {
    let quarantined: Vec<String> = folder.json(["quarantine"]).iter().map(|row| row["id"].to_string()).collect();
    let one = [vec!["quarantine", &quarantined[0]], vec!["quarantine", &quarantined[1], "show"]];
    let all = READERS.iter().map(|args| args.to_vec()).chain(one);
    let both = all.flat_map(|args| [args.clone(), args.into_iter().chain(["--json"]).collect()]);
    both.map(|args| {
        let run = folder.run(args.iter().copied());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        run
    })
    .collect()
}

#[test]
fn every_reader_says_through_a_service_what_it_says_in_the_folder() {
    let folder = busy_shop();
    // At a time when nothing has happened yet, nothing times out between two readers.
    let service = Service::start_at(&folder, &hour(0));
    let through_service = said(&service);
    let lags: Vec<Value> = service.json(["projections"]).iter().map(|state| state["lag"].clone()).collect();
    assert_eq!(lags[0], Value::from(0), "the listing has caught up");
    service.stop();
    let in_folder = said(&folder);
    assert!(in_folder[2].stdout.lines().count() > 500);
    for (through_service, in_folder) in through_service.iter().zip(&in_folder) {
        assert!(through_service.stdout == in_folder.stdout, "{}\n{}", through_service.stdout, in_folder.stdout);
    }
    let state = |folder: &Folder| folder.json(["projections"]).remove(0);
    let after = state(&folder);
    let service = Service::start_at(&folder, &hour(0));
    assert_eq!(state(&service), after);
    assert!(service.done(["projections"]).contains("listing"));
}

#[test]
fn what_is_wrong_or_not_there_is_told_in_the_same_words() {
    let folder = small_shop();
    let copy = folder.copied();
    let service = Service::start_at(&folder, &hour(7));
    let cases: &[&[&str]] = &[
        &["lead", "V9-1"],
        &["lead", "V9-1", "--timeline"],
        &["lead", "V9-1", "--score"],
        &["visitor", "V9"],
        &["visitor", "V9", "--timeline"],
        &["quarantine", "2"],
        &["quarantine", "2", "discard"],
        &["quarantine", "discard"],
        &["leads", "--status", "sleeping"],
        &["leads", "--tenant", "nobody"],
        &["lead", "V1-1", "--tenant", "nobody"],
        &["leads", "--attr", "plan"],
        &["orphans", "--from", "noon"],
        &["policy", "show", "--number", "7"],
        &["policy", "adopt", "nowhere.toml"],
        &["import", "nowhere.ndjson"],
        &["lead", "V1-1", "note", ""],
    ];
    for args in cases {
        let (there, here) = (service.run(args.iter().copied()), copy.run(args.iter().copied()));
        assert_eq!(there.failed(here.code.unwrap()), here.failed(here.code.unwrap()), "{args:?}");
    }
}
