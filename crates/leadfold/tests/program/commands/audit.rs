//! What auditors ask for, in a folder and beside a running service.

use std::fs;

use serde_json::json;

use super::small_shop;
use crate::support::event::hour;
use crate::support::service::Service;
use crate::support::{Folder, shop_policy};

#[test]
fn a_replay_and_a_trial_read_the_log_beside_a_running_service() {
    let folder = small_shop();
    folder.done(["lead", "V1-1", "close", "--reason", "duplicate", "--note", "twice"]);
    let alone = folder.json_one(["replay"]);
    assert_eq!((&alone["same"], &alone["position"], &alone["difference"]), (&json!(true), &json!(12), &json!(null)));
    let policy = shop_policy();
    let trial = ["what-if", "--policy", policy.to_str().unwrap()];
    let before = folder.json_one(trial);
    assert_eq!((&before["leads_differing"], &before["acts_dropped"]), (&json!(0), &json!(0)));
    assert_eq!((&before["recorded"]["leads"], &before["recorded"]["closed_by_operator"]), (&json!(6), &json!(1)));

    let service = Service::start_at(&folder, &hour(7));
    folder.done(["lead", "V2-1", "note", "while it serves"]);
    let beside = folder.json_one(["replay"]);
    assert_eq!((&beside["same"], &beside["position"]), (&json!(true), &json!(13)));
    assert_eq!(folder.json_one(trial)["recorded"], before["recorded"]);
    service.stop();
}

#[test]
fn a_replay_takes_the_records_that_it_is_asked_for() {
    let folder = small_shop();
    let part = folder.json_one(["replay", "--from", "5", "--to", "8", "--tenant", "acme"]);
    assert_eq!((&part["decided"], &part["position"], &part["same"]), (&json!(4), &json!(8), &json!(true)));
    assert!(folder.done(["replay"]).ends_with(": the same\n"));
    let sentence = "error: the log has the records 1 to 11; --from and --to must be among them, and in this order";
    for args in [["replay", "--from", "9", "--to", "8"], ["replay", "--from", "1", "--to", "12"]] {
        assert_eq!(folder.run(args).failed(2), sentence);
    }
    assert!(folder.run(["replay", "--tenant", "zeta"]).failed(1).contains("there is no tenant \"zeta\""));
    assert!(Folder::empty().run(["replay"]).failed(2).starts_with("error: there is no data in data yet"));
    assert!(folder.run(["replay", "--server", "http://127.0.0.1:1"]).failed(2).contains("leave --server out"));
}

#[test]
fn a_trial_of_a_policy_with_faults_names_them() {
    let folder = small_shop();
    let policy = fs::read_to_string(shop_policy()).unwrap();
    folder.write("faulty.toml", policy.replace("close_after", "closes_after"));
    folder.write("zeta.toml", policy.replace("tenant = \"acme\"", "tenant = \"zeta\""));
    let run = folder.run(["what-if", "--policy", "faulty.toml"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("close_after") && run.stderr.contains("see above"), "{}", run.stderr);
    let run = folder.run(["what-if", "--policy", "zeta.toml"]);
    assert!(run.failed(1).contains("there is no tenant \"zeta\""));
    let run = folder.run(["what-if", "--policy", "zeta.toml", "--tenant", "acme"]);
    assert!(run.code == Some(1) && run.stderr.contains("must be \"acme\" here"), "{}", run.stderr);
    assert!(folder.run(["what-if", "--policy", "none.toml"]).failed(1).contains("cannot read the policy none.toml"));
}
