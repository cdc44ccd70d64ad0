//! Every act comes to the same through a service as in a folder, and is told in the same words.

use serde_json::Value;

use crate::commands::refusals::REFUSALS;
use crate::commands::small_shop;
use crate::support::event::{Event, hour, lines};
use crate::support::service::Service;
use crate::support::{Folder, shop_policy};

const ACTS: &[&[&str]] = &[
    &["lead", "V1-1", "assign", "piet"],
    &["lead", "V1-1", "assign"],
    &["lead", "V1-1", "note", "call back on \"Tuesday\" — früh", "--if-version", "8"],
    &["lead", "V1-1", "set", "plan=pro", "seats=3", "vip=true", "from=a=b"],
    &["lead", "V1-1", "type", "tablets"],
    &["lead", "V1-1", "close", "--reason", "not_interested", "--note", "bought elsewhere"],
    &["lead", "V1-1", "reopen"],
    &["lead", "V1-1", "convert", "--value", "12900", "--currency", "USD", "--rgus", "2", "--order", "A-1"],
    &["lead", "V1-1", "withdraw", "--order", "A-1"],
    &["lead", "V1-1", "convert", "--value", "500", "--order", "A-1", "--at", "2026-01-01T06:30:00Z"],
    &["orphan", "I3", "adopt", "--lead", "V1-2"],
    &["orphan", "I10", "adopt", "--lead-type", "tablets"],
    &["interaction", "I4", "move", "--to", "V1-3"],
    &["interaction", "I4", "discredit", "--note", "a bot"],
    &["interaction", "I5", "discredit"],
    &["visitor", "V3", "merge", "V2"],
    &["visitor", "V3", "unmerge", "--keep-apart"],
    &["visitor", "V5", "settle", "V4"],
    &["visitor", "V2", "open", "phones"],
];

/// Makes `V1-3`, which the acts move something to.
fn prepared() -> Folder {
    let folder = small_shop();
    folder.done(["visitor", "V1", "open", "phones"]);
    folder
}

#[test]
fn every_act_is_told_and_comes_to_the_same_through_a_service() {
    for json in [None, Some("--json")] {
        let here = prepared();
        let there = here.copied();
        let service = Service::start_at(&there, &hour(7));
        for act in ACTS {
            let args = || act.iter().copied().chain(json);
            assert_eq!(service.done(args()), here.done(args()), "{act:?}");
        }
        service.stop();
        // The logs differ by the keys that requests carry.
        there.picture().assert_same_leads(&here.picture());
    }
}

#[test]
fn what_must_not_be_is_refused_through_a_service_in_the_same_words() {
    let folder = small_shop();
    folder.done(["lead", "V2-1", "close", "--reason", "duplicate"]);
    folder.done(["lead", "V3-1", "convert", "--order", "A-1"]);
    let before = folder.picture();
    let service = Service::start_at(&folder, &hour(7));
    for (args, sentence) in REFUSALS {
        let run = service.run(args.iter().copied());
        assert_eq!(run.failed(1), format!("error: {sentence}"), "{args:?}");
    }
    let stale = service.run(["lead", "V1-1", "note", "x", "--if-version", "1"]);
    assert_eq!(stale.failed(1), "error: lead V1-1 is at version 6, not 1; read it again and decide anew");
    service.stop();
    folder.picture().assert_same(&before);
}

#[test]
fn an_operator_is_recorded_whoever_serves() {
    let folder = small_shop();
    let service = Service::start_at(&folder, &hour(7));
    service.done(["lead", "V1-1", "note", "x", "--operator", "zoë"]);
    assert_eq!(service.json(["lead", "V1-1", "--timeline"])[0]["input"]["operator"], "zoë");
}

/// The version and the document, without when it was adopted.
fn without_time(mut shown: Value) -> Value {
    let time = shown["adopted_at"].take();
    assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
    shown
}

#[test]
fn policies_are_adopted_and_kept_through_a_service() {
    let first = std::fs::read_to_string(shop_policy()).unwrap();
    let second = first.replace("\"no_answer\"]", "\"no_answer\", \"bored\"]");
    let here = small_shop();
    let there = here.copied();
    let service = Service::start_at(&there, &hour(7));
    for folder in [&here, &there] {
        folder.write("second.toml", &second);
        folder.write("third.toml", first.replace("EUR", "EURO"));
    }
    for args in [&["policy", "adopt", "second.toml"][..], &["policy", "adopt", "second.toml", "--json"]] {
        assert_eq!(service.done(args.iter().copied()), here.done(args.iter().copied()));
    }
    for args in [&["policy", "adopt", "third.toml"][..], &["policy", "check", "third.toml"]] {
        let (there, here) = (service.run(args.iter().copied()), here.run(args.iter().copied()));
        assert_eq!((there.code, there.stderr), (here.code, here.stderr));
    }
    assert_eq!(service.done(["policy", "show"]).trim_end(), second.trim_end());
    for number in ["1", "2"] {
        let args = ["policy", "show", "--number", number];
        assert_eq!(service.done(args), here.done(args));
        // The two were adopted one after the other.
        assert_eq!(without_time(service.json_one(args)), without_time(here.json_one(args)));
    }
    service.done(["lead", "V1-1", "close", "--reason", "bored"]);
    service.stop();
    assert_eq!(there.json(["policy", "history"]).len(), 2);
}

#[test]
fn a_first_policy_makes_the_tenant_through_a_service() {
    let folder = Folder::empty();
    let service = Service::start(&folder, []);
    assert!(service.run(["leads"]).failed(2).starts_with("error: there is no tenant yet; adopt a policy first"));
    let policy = shop_policy();
    let adopted = service.done(["policy", "adopt", policy.to_str().unwrap()]);
    assert_eq!(adopted, "tenant acme: policy version 1 is in force\n");
    assert_eq!(service.done(["leads"]), "no leads\n");
    service.write("zeta.toml", std::fs::read_to_string(policy).unwrap().replace("\"acme\"", "\"zeta\""));
    service.done(["policy", "adopt", "zeta.toml"]);
    let several = service.run(["leads"]);
    assert_eq!(several.failed(2), "error: there are several tenants; name one with --tenant");
    assert_eq!(service.done(["leads", "--tenant", "zeta"]), "no leads\n");
}

#[test]
fn quarantined_inputs_are_retried_repaired_and_discarded_through_a_service() {
    let here = small_shop();
    here.write("bad.ndjson", "{\n{\"a\":\n[]\n");
    here.import("bad.ndjson");
    let there = here.copied();
    let service = Service::start_at(&there, &hour(7));
    let event = lines([Event::page("repaired", &hour(6), "new")]);
    for folder in [&here, &there] {
        folder.write("repaired.json", &event);
        folder.write("faulty.json", "{}");
    }
    let ids: Vec<String> = here.json(["quarantine"]).iter().map(|row| row["id"].to_string()).collect();
    for retry in [&["retry"][..], &["retry", "--with", "faulty.json"], &["retry", "--with", "nowhere.json"]] {
        let args = || ["quarantine", &ids[0]].into_iter().chain(retry.iter().copied());
        assert_eq!(service.run(args()).failed(1), here.run(args()).failed(1));
    }
    for act in [
        &["quarantine", &ids[0], "retry", "--with", "repaired.json"][..],
        &["quarantine", &ids[1], "retry", "--with", "repaired.json"],
        &["quarantine", &ids[2], "discard"],
        &["quarantine", "--state", "all"],
    ] {
        assert_eq!(service.done(act.iter().copied()), here.done(act.iter().copied()), "{act:?}");
    }
    for (act, folder) in [("discard", &here), ("discard", &there)] {
        let again = folder.run(["quarantine", &ids[2], act]);
        let sentence = format!("error: no quarantined input stands at position {}", ids[2]);
        assert_eq!(again.failed(1), sentence);
    }
    service.stop();
    there.picture().assert_same_leads(&here.picture());
    assert_eq!(there.json(["quarantine"]), Vec::<Value>::new());
}
