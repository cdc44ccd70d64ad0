//! Read models that are paused, built anew beside a service, and that leave somebody out.

use std::fs;

use serde_json::{Value, json};

use super::{ids, small_shop};
use crate::support::event::{Event, hour, lines};
use crate::support::service::Service;
use crate::support::{Folder, Run};

/// How a projection stands.
fn state(folder: &Folder, name: &str) -> Value {
    let found = folder.run(["projections", "--json"]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    let mut states = crate::support::objects(&found.stdout).into_iter();
    states.find(|state| state["name"] == name).unwrap()
}

/// One more visitor comes.
fn one_more(folder: &Folder, id: &str) {
    folder.write("more.ndjson", lines([Event::page(id, &hour(7), id)]));
    let run = folder.run(["import", "more.ndjson"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_paused_listing_is_read_as_it_stands_and_says_so() {
    let folder = small_shop();
    let before = folder.done(["leads"]);
    assert_eq!(
        folder.done(["projections", "pause", "listing"]),
        "listing: paused, but for erasures, until it is resumed\n"
    );
    one_more(&folder, "late");
    let paused = folder.run(["leads"]);
    assert_eq!((paused.code, &paused.stdout), (Some(0), &before));
    assert!(paused.stderr.contains("paused at position 11 of") && paused.stderr.contains("projections resume listing"));
    let shown = state(&folder, "listing");
    assert_eq!((&shown["state"], &shown["checkpoint"]), (&json!("paused"), &json!(11)));
    assert!(shown["lag"].as_u64().unwrap() > 0);
    // Whoever verifies is told that it was left out, and finds no fault.
    assert_eq!(folder.run(["verify"]).code, Some(0));
    // A service holds to it.
    let service = Service::start_at(&folder, &hour(7));
    let paused = service.run(["leads"]);
    assert_eq!((paused.code, &paused.stdout), (Some(0), &before));
    assert!(paused.stderr.contains("listing is paused at position 11"), "{}", paused.stderr);
    assert_eq!(service.done(["projections", "resume", "listing"]), "listing: goes on\n");
    service.stop();
    assert_eq!((folder.json(["leads"]).len(), &state(&folder, "listing")["state"]), (7, &json!("following")));
}

#[test]
fn who_is_erased_goes_from_a_paused_model_too() {
    let folder = small_shop();
    folder.done(["sql", "select 1 as one"]);
    for name in ["listing", "analytics"] {
        folder.done(["projections", "pause", name]);
    }
    folder.done(["visitor", "V2", "erase", "--reason", "asked for it"]);
    for name in ["listing", "analytics"] {
        let state = state(&folder, name);
        assert_eq!((&state["state"], &state["lag"]), (&json!("paused"), &json!(0)), "{name}");
    }
    let listing = fs::read_dir(folder.path("data/projections")).unwrap().map(|file| file.unwrap().path());
    for file in listing.filter(|path| path.is_file()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(3).any(|bytes| bytes == b"Ben"), "{}", file.display());
    }
}

/// A shop whose listing has lost Anna's leads, by other hands, and to whose visitors more has happened since.
fn damaged_shop() -> Folder {
    let folder = small_shop();
    let file = rusqlite::Connection::open(folder.path("data/projections/listing-v7.sqlite")).unwrap();
    assert_eq!(file.execute("DELETE FROM leads WHERE visitor = 1", []).unwrap(), 2);
    drop(file);
    folder.write("more.ndjson", lines([Event::page("10", &hour(7), "a"), Event::page("11", &hour(7), "b")]));
    assert_eq!(folder.run(["import", "more.ndjson"]).code, Some(0));
    folder
}

#[test]
fn who_does_not_fit_is_shown_left_out_discarded_and_tried_again_by_a_rebuild() {
    let folder = damaged_shop();
    let leads = folder.run(["leads", "--json"]);
    assert!(leads.stderr.contains("1 visitors are left out of projection listing"), "{}", leads.stderr);
    assert_eq!(crate::support::objects(&leads.stdout).len(), 4);
    let parked = folder.json_one(["projections", "parked", "listing"]);
    let expected = json!({
        "visitor_id": "V1", "tenant": "acme", "since": 12, "cause": 12, "records": 1,
        "reason": "it names a lead that was never opened", "discarded": null,
    });
    assert_eq!(parked, expected);
    assert!(folder.done(["projections", "parked", "listing"]).contains("never opened"));
    assert_eq!(folder.done(["projections", "parked", "analytics"]), "nobody is left out of projection analytics\n");
    let nobody = folder.run(["projections", "discard", "listing", "V2", "--reason", "x"]);
    assert!(nobody.failed(1).contains("no such visitor among those"), "{}", nobody.stderr);
    for wrong in [&["discard", "listing", "Anna", "--reason", "x"][..], &["discard", "listing", "V1", "--reason", " "]]
    {
        folder.run(["projections"].iter().chain(wrong).copied()).failed(2);
    }
    folder.done(["projections", "discard", "listing", "V1", "--reason", "we know"]);
    assert_eq!(folder.json(["leads"]).len(), 4, "nothing more is said of it");
    assert_eq!(folder.json_one(["projections", "parked", "listing"])["discarded"], "we know");
    folder.done(["projections", "rebuild", "listing"]);
    assert!(folder.json(["projections", "parked", "listing"]).is_empty());
    assert_eq!(folder.json(["leads"]).len(), 6);
    folder.picture();
}

#[test]
fn a_service_leaves_out_discards_and_builds_anew_while_it_goes_on() {
    let folder = damaged_shop();
    let service = Service::start_at(&folder, &hour(8));
    let parked = service.json_one(["projections", "parked", "listing"]);
    assert_eq!(
        (&parked["visitor_id"], &parked["tenant"], &parked["records"]),
        (&json!("V1"), &json!("acme"), &json!(1))
    );
    assert_eq!(state(&service, "listing")["parked"], 1);
    let nobody = service.run(["projections", "discard", "listing", "V2", "--reason", "x"]);
    assert!(nobody.failed(1).contains("no such visitor among those"), "{}", nobody.stderr);
    service.done(["projections", "discard", "listing", "V1", "--reason", "we know"]);
    assert_eq!(service.json_one(["projections", "parked", "listing"])["discarded"], "we know");
    for name in ["listing", "analytics"] {
        let rebuilt = service.run(["projections", "rebuild", name, "--json"]);
        assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.stderr);
        assert_eq!(crate::support::objects(&rebuilt.stdout)[0]["name"], name);
    }
    assert_eq!(ids(&service.json(["leads", "--sort", "opened_at"])).len(), 6);
    assert!(service.json(["projections", "parked", "listing"]).is_empty());
    service.stop();
    folder.picture();
}

#[test]
fn damaged_analytics_tables_are_built_anew_while_the_service_goes_on() {
    let folder = small_shop();
    let count = ["sql", "select count(*) as many from interactions"];
    let before = folder.done(count);
    let tables = folder.path("data/projections/analytics-v4/manifest.json");
    fs::write(&tables, "{").unwrap();
    let service = Service::start_at(&folder, &hour(7));
    let refused: Run = service.run(count);
    assert!(refused.failed(1).contains("leadfold projections rebuild analytics"), "{}", refused.stderr);
    assert_eq!(state(&service, "analytics")["state"], "failed");
    assert_eq!(service.json(["leads"]).len(), 6, "everything else goes on");
    let rebuilt = service.run(["projections", "rebuild", "analytics"]);
    assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.stderr);
    assert_eq!(service.done(count), before);
    assert_eq!(state(&service, "analytics")["state"], "following");
    service.stop();
    folder.picture();
}

/// The listing in a folder as text, once it has come to that record.
fn dump_at(folder: &Folder, models: &str, position: u64) -> String {
    let data = folder.path(models);
    loop {
        if let Ok(reader) = listing::ListingReader::open(&data)
            && reader.position().is_ok_and(|reached| reached.0 >= position)
        {
            return reader.canonical_dump().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_model_in_a_process_of_its_own_is_that_of_the_folder() {
    let folder = small_shop();
    let told = folder.json_one(["project", "listing", "--into", "models", "--once"]);
    assert_eq!((&told["position"], &told["records"], &told["parked"]), (&json!(11), &json!(11), &json!(0)));
    assert!(dump_at(&folder, "models", 11) == dump_at(&folder, "data", 11));
    let again = folder.json_one(["project", "listing", "--into", "models", "--once", "--rebuild"]);
    assert_eq!(again["records"], 11);
    assert!(dump_at(&folder, "models", 11) == dump_at(&folder, "data", 11));
    let said = folder.done(["project", "analytics", "--into", "models", "--once"]);
    assert!(said.starts_with("analytics: at position 11, 11 records in "), "{said}");
    let query = "select * from leads order by lead_id";
    assert_eq!(folder.json(["sql", query, "--tables", "models"]), folder.json(["sql", query]));
    assert!(folder.run(["sql", query, "--tables", "nowhere"]).failed(2).contains("project analytics --into"));
    assert!(folder.run(["sql", query, "--tables", "models", "--tenant", "x"]).failed(2).contains("no tenant \"x\""));
    assert!(folder.run(["project", "listing", "--into", "data", "--once"]).failed(2).contains("is a data folder"));
    assert!(folder.run(["project", "nothing", "--into", "models"]).failed(2).contains("there are: listing, analytics"));
}

#[test]
fn a_process_of_its_own_follows_a_service_is_killed_anywhere_and_forgets_who_is_erased() {
    let folder = small_shop();
    let service = Service::start_at(&folder, &hour(7));
    let mut killed = 0;
    for number in 0..12 {
        let mut following = folder.start(["project", "listing", "--into", "models"]);
        let name = format!("late-{number}");
        folder.write("more.ndjson", lines([Event::page(&name, &hour(7), &name)]));
        service.done(["import", "more.ndjson"]);
        std::thread::sleep(std::time::Duration::from_millis(number * 17));
        following.kill().unwrap();
        following.wait().unwrap();
        killed += 1;
    }
    assert_eq!(killed, 12);
    let mut following = folder.start(["project", "listing", "--into", "models"]);
    service.done(["visitor", "V2", "erase", "--reason", "asked for it"]);
    let head = folder.log_position();
    let dump = dump_at(&folder, "models", head);
    assert!(!dump.contains("Ben") && dump.contains("Anna"));
    let second = folder.run(["project", "listing", "--into", "models", "--once"]);
    assert!(second.failed(1).contains("cannot keep a read model in models"), "{}", second.stderr);
    service.stop();
    let stopped = std::process::Command::new("kill").arg(following.id().to_string()).status().unwrap();
    assert!(stopped.success() && following.wait().unwrap().success(), "a signal ends it in order");
    folder.done(["project", "listing", "--into", "models", "--once"]);
    let head = folder.log_position();
    assert!(dump_at(&folder, "models", head) == dump_at(&folder, "data", head));
}
