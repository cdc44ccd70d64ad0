//! Looking after the data: policies and their history, projections, repair, several tenants.

use std::fs;

use serde_json::{Value, json};

use super::{ids, small_shop};
use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, shop_policy};

#[test]
fn every_policy_that_was_in_force_is_kept_and_shown() {
    let first = fs::read_to_string(shop_policy()).unwrap();
    let second = first.replace("\"no_answer\"]", "\"no_answer\", \"bored\"]");
    let folder = small_shop();
    folder.write("second.toml", &second);
    let checked = folder.done(["policy", "check", "second.toml"]);
    assert_eq!(checked, "second.toml: no faults; a policy of tenant acme\n");
    let adopted = folder.json_one(["policy", "adopt", "second.toml"]);
    assert_eq!(adopted, json!({ "tenant": "acme", "version": 2, "changed": true }));
    let again = folder.json_one(["policy", "adopt", "second.toml"]);
    assert_eq!(again, json!({ "tenant": "acme", "version": 2, "changed": false }));
    folder.done(["lead", "V1-1", "close", "--reason", "bored"]);

    let history = folder.json(["policy", "history"]);
    let found: Vec<_> = history.iter().map(|version| (&version["version"], &version["position"])).collect();
    assert_eq!(found, [(&json!(1), &json!(1)), (&json!(2), &json!(12))]);
    assert_eq!(folder.done(["policy", "history"]).lines().count(), 3);
    assert_eq!(folder.done(["policy", "show"]).trim_end(), second.trim_end());
    assert_eq!(folder.done(["policy", "show", "--number", "1"]).trim_end(), first.trim_end());
    assert_eq!(folder.json_one(["policy", "show", "--number", "1"])["document"], first);
    let sentence = "error: there is no policy version 3; see `leadfold policy history`";
    assert_eq!(folder.run(["policy", "show", "--number", "3"]).failed(2), sentence);
    let before = folder.picture();
    folder.done(["repair"]);
    assert_eq!(folder.json(["policy", "history"]), history);
    folder.picture().assert_same(&before);
}

#[test]
fn a_rebuilt_listing_and_a_repair_give_the_same_leads() {
    let folder = small_shop();
    let before = folder.picture();
    let shown = folder.json(["projections"]);
    let stands = |shown: &Value| (shown["name"].clone(), shown["checkpoint"].clone(), shown["lag"].clone());
    assert!(shown.iter().all(|state| state["lag_seconds"] == 0), "{shown:?}");
    let expected = ["listing", "analytics"].map(|name| (json!(name), json!(11), json!(0)));
    assert_eq!(shown.iter().map(stands).collect::<Vec<_>>(), expected);
    let rebuilt = folder.json_one(["projections", "rebuild", "listing"]);
    assert_eq!((&rebuilt["name"], &rebuilt["position"]), (&json!("listing"), &json!(11)));
    folder.picture().assert_same(&before);
    for folders in [&["projections"][..], &["tables"], &["projections", "tables"]] {
        for name in folders {
            fs::remove_dir_all(folder.path("data").join(name)).unwrap();
        }
        folder.picture().assert_same(&before);
    }
    assert_eq!(folder.json_one(["repair"])["position"], 11);
    folder.picture().assert_same(&before);
}

#[test]
fn two_tenants_share_a_folder_and_nothing_else() {
    let folder = small_shop();
    let policy = fs::read_to_string(shop_policy()).unwrap().replace("tenant = \"acme\"", "tenant = \"zeta\"");
    folder.write("zeta.toml", policy);
    folder.done(["policy", "adopt", "zeta.toml"]);
    let run = folder.run(["leads"]);
    assert_eq!(run.failed(2), "error: there are several tenants (acme, zeta); name one with --tenant");
    let same_person = Event::page("1", &hour(0), "a").with("tenant", "zeta").with("email", "shared@example.com");
    folder.write("zeta.ndjson", lines([same_person]));
    folder.done(["import", "zeta.ndjson"]);
    assert_eq!(ids(&folder.json(["leads", "--tenant", "zeta"])), ["V6-1"]);
    assert_eq!(folder.json(["leads", "--tenant", "acme"]).len(), 6);
    for args in [["lead", "V6-1"], ["visitor", "V6"], ["lead", "V1-1"]] {
        let tenant = if args[1] == "V1-1" { "zeta" } else { "acme" };
        let run = folder.run(args.into_iter().chain(["--tenant", tenant]));
        assert!(run.failed(1).starts_with("error: there is no "), "{}", run.stderr);
    }
    let act = ["--tenant", "acme", "lead", "V6-1", "close", "--reason", "duplicate"];
    assert_eq!(folder.run(act).failed(1), "error: there is no lead V6-1");
    // A file that is given to one tenant quarantines what names another.
    let counts = folder.json_one(["import", "zeta.ndjson", "--tenant", "acme"]);
    assert_eq!(counts["quarantined"], 1);
    assert_eq!(folder.json(["quarantine", "--tenant", "acme"])[0]["code"], "tenant_mismatch");
}

#[test]
fn settings_come_from_flags_the_environment_and_a_file_in_this_order() {
    let folder = small_shop();
    folder.write("config.toml", "data = \"data\"\ntenant = \"acme\"\noperator = \"from-file\"\n");
    let operator = |folder: &Folder| {
        folder.json(["lead", "V1-1", "--timeline"])[0]["input"]["operator"].as_str().unwrap().to_owned()
    };
    let act = ["lead", "V1-1", "note", "x", "--config", "config.toml"];
    let mut command = folder.command(act);
    assert!(command.env_remove("LEADFOLD_OPERATOR").env_remove("LEADFOLD_DATA").output().unwrap().status.success());
    assert_eq!(operator(&folder), "from-file");
    folder.done(act);
    assert_eq!(operator(&folder), "olga");
    folder.done(act.into_iter().chain(["--operator", "from-flag"]));
    assert_eq!(operator(&folder), "from-flag");
}
