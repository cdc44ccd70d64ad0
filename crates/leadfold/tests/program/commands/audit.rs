//! What auditors ask for, in a folder and beside a running service.

use std::fs;

use serde_json::{Value, json};

use super::small_shop;
use crate::support::event::{Event, hour, lines};
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

#[test]
fn a_record_is_explained_by_its_rule_and_by_what_each_lead_had_to_do_with_it() {
    let folder = small_shop();
    let verdicts = |explained: &Value| -> Vec<(String, String)> {
        let leads = explained["leads"].as_array().unwrap().iter();
        let text = |lead: &Value, field: &str| lead[field].as_str().unwrap().to_owned();
        leads.map(|lead| (text(lead, "lead_id"), text(lead, "verdict"))).collect()
    };
    let pair = |lead: &str, verdict: &str| (lead.to_owned(), verdict.to_owned());

    let attached = folder.json_one(["explain", "5"]);
    assert_eq!(verdicts(&attached), [pair("V1-1", "took"), pair("V1-2", "type_not_allowed")]);
    assert_eq!((&attached["rule"]["of"], &attached["rule"]["name"]), (&json!("channel"), &json!("web")));
    assert_eq!((&attached["policy_version"], &attached["visitor_id"]), (&json!(1), &json!("V1")));
    assert_eq!(attached["events"][0]["event"], "interaction_attached");
    let by_skill = folder.json_one(["explain", "4"]);
    assert_eq!((&by_skill["rule"]["of"], &by_skill["rule"]["name"]), (&json!("skill"), &json!("voice-sales")));
    let orphan = folder.json_one(["explain", "3"]);
    assert_eq!((&orphan["rule"], verdicts(&orphan)), (&json!(null), vec![pair("V1-1", "no_rule")]));
    let closing = folder.json_one(["lead", "V1-1", "close", "--reason", "duplicate"])["position"].to_string();
    let closed = folder.json_one(["explain", &closing]);
    assert_eq!((&closed["input"]["kind"], &closed["leads"]), (&json!("command"), &json!([])));
    folder.write("later.ndjson", lines([Event::page("20", &hour(8), "a")]));
    folder.import("later.ndjson");
    let text = folder.done(["explain", "13"]);
    assert!(text.contains("lead     V1-1 shopping: it ended at 2026-01-01T07:00:00Z (operator)"), "{text}");

    for (position, lead, verdict) in [
        ("5", "V1-2", "type_not_allowed"),
        ("5", "V2-1", "not_yet_opened"),
        ("6", "V2-1", "opened_for_it"),
        ("6", "V1-1", "other_visitor"),
        ("13", "V1-1", "closed"),
    ] {
        let explained = folder.json_one(["explain", position, "--why-not", lead]);
        assert_eq!(explained["why_not"]["verdict"], verdict, "{position} {lead}");
    }
    a_service_explains_the_same(&folder);
    assert!(folder.run(["explain", "1", "--why-not", "V1-1"]).failed(2).contains("is no interaction"));
    assert!(folder.run(["explain", "99"]).failed(2).contains("there is no record 99"));
    assert!(folder.run(["explain", "5", "--tenant", "zeta"]).failed(2).contains("there is no record 5"));
}

fn a_service_explains_the_same(folder: &Folder) {
    let service = Service::start_at(folder, &hour(9));
    let url = service.url();
    for asked in [&["explain", "1"][..], &["explain", "5"], &["explain", "13"], &["explain", "5", "--why-not", "V1-2"]]
    {
        let remote = |more: &[&'static str]| -> String {
            let server = ["--server", url.as_str()];
            folder.done(server.into_iter().chain(asked.iter().copied()).chain(more.iter().copied()))
        };
        let here = |more: &[&'static str]| folder.done(asked.iter().copied().chain(more.iter().copied()));
        assert_eq!(remote(&[]), here(&[]), "{asked:?}");
        assert_eq!(remote(&["--json"]), here(&["--json"]), "{asked:?}");
    }
    let missing = folder.run(["--server", &url, "explain", "99"]);
    assert!(missing.failed(2).contains("there is no record 99"));
    let none = folder.run(["--server", &url, "explain", "1", "--why-not", "V1-1"]);
    assert!(none.failed(2).contains("is no interaction"));
    service.stop();
}
