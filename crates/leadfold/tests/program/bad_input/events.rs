//! Single events that can't be taken: each goes to quarantine, from where it is retried, repaired or discarded.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{SECRET, assert_discreet, quarantined, shop};
use crate::support::event::{Event, hour};
use crate::support::{Folder, Run};

/// An input, and the code and path that it is quarantined with.
struct Case {
    bytes: Vec<u8>,
    code: &'static str,
    path: &'static str,
}

fn good(number: usize) -> Event {
    let device = format!("{SECRET}-new-{number}");
    Event::page(&format!("case-{number}"), &hour(1_000), &device).with("email", format!("{SECRET}{number}@example.com"))
}

/// The good event with something of the envelope replaced.
fn envelope(field: &'static str, value: Value) -> impl Fn(Event) -> Vec<u8> {
    move |mut event| {
        event.0[field] = value.clone();
        event.0.to_string().into_bytes()
    }
}

/// The good event with something of its data replaced.
fn data(field: &'static str, value: Value) -> impl Fn(Event) -> Vec<u8> {
    move |event| event.with(field, value.clone()).0.to_string().into_bytes()
}

/// The good event with one text replaced in its bytes.
fn bytes(from: &'static str, to: &'static [u8]) -> impl Fn(Event) -> Vec<u8> {
    move |event| {
        let text = event.0.to_string();
        let (before, after) = text.split_once(from).expect("the text is there");
        [before.as_bytes(), to, after.as_bytes()].concat()
    }
}

fn cases() -> Vec<Case> {
    let many: serde_json::Map<String, Value> = (0..65).map(|number| (format!("a{number}"), json!(number))).collect();
    let sale = |value: Value| json!({ "value": value });
    type Broken = Box<dyn Fn(Event) -> Vec<u8>>;
    let broken: Vec<(Broken, &str, &str)> = vec![
        (Box::new(|_| format!("{{\"id\":\"{SECRET}").into_bytes()), "invalid_json", ""),
        (Box::new(|_| format!("{SECRET},1,2").into_bytes()), "invalid_json", ""),
        (Box::new(|_| format!("\"{SECRET}\"").into_bytes()), "wrong_type", ""),
        (Box::new(|_| [b"{\"a\":".to_vec(), b"[".repeat(60_000)].concat()), "invalid_json", ""),
        (Box::new(bytes("page.viewed", b"page\xff\xfeviewed")), "invalid_utf8", ""),
        (Box::new(bytes("page.viewed", b"page\\u0000viewed")), "control_character", "data.action"),
        (Box::new(bytes("page.viewed", b"page\0viewed")), "invalid_json", ""),
        (Box::new(bytes("page.viewed", b"page\\ud800viewed")), "invalid_json", ""),
        (Box::new(data("visitor_id", json!(42))), "wrong_type", "data.visitor_id"),
        (Box::new(data("attributes", json!({ "plan": { "name": SECRET } }))), "wrong_type", "data.attributes.plan"),
        (Box::new(data("colour", json!(SECRET))), "unknown_field", "data.colour"),
        (Box::new(data("channel", json!(" "))), "missing_field", "data.channel"),
        (Box::new(data("tenant", json!(SECRET))), "unknown_tenant", "data.tenant"),
        (Box::new(data("email", json!(SECRET))), "bad_email", "data.email"),
        (Box::new(data("phone", json!(SECRET))), "bad_phone", "data.phone"),
        (Box::new(data("attributes", json!(many))), "too_many_attributes", "data.attributes"),
        (Box::new(data("attributes", json!({ "a": SECRET.repeat(40) }))), "string_too_long", "data.attributes.a"),
        (Box::new(data("attributes", json!({ "a": "x".repeat(10 << 20) }))), "event_too_large", ""),
        (
            Box::new(data("conversion", sale(json!({ "amount": 1, "currency": "EURO" })))),
            "bad_currency",
            "data.conversion.value.currency",
        ),
        (
            Box::new(data("conversion", sale(json!({ "amount": 1.5, "currency": "EUR" })))),
            "wrong_type",
            "data.conversion.value.amount",
        ),
        (Box::new(envelope("time", json!("yesterday"))), "bad_time", "time"),
        (Box::new(envelope("time", json!("2099-01-01T00:00:00Z"))), "time_ahead", "time"),
        (Box::new(envelope("id", json!(""))), "missing_field", "id"),
        (Box::new(envelope("specversion", json!("0.3"))), "wrong_specversion", "specversion"),
        (Box::new(envelope("type", json!(SECRET))), "wrong_event_type", "type"),
        (
            Box::new(|event| event.without("visitor_id").without("email").0.to_string().into_bytes()),
            "missing_identifier",
            "data",
        ),
    ];
    let case = |(number, (make, code, path)): (usize, (Broken, &'static str, &'static str))| Case {
        bytes: [make(good(number)), b"\n".to_vec()].concat(),
        code,
        path,
    };
    broken.into_iter().enumerate().map(case).collect()
}

/// Imports each case from a file of its own, in the middle of a good event's repetition.
fn import_cases(folder: &Folder, cases: &[Case]) {
    let repeated = super::good_events();
    let (first, second) = repeated.split_at(repeated.find('\n').expect("there are lines") + 1);
    for (number, case) in cases.iter().enumerate() {
        let name = format!("case-{number}.ndjson");
        folder.write(&name, [first.as_bytes(), &case.bytes, second.as_bytes()].concat());
        let run = folder.run(["import", &name, "--json"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", case.code);
        let counts: Value = serde_json::from_str(&run.stdout).expect("counts");
        let found = ["read", "recorded", "duplicates", "quarantined"].map(|name| counts[name].as_u64().unwrap());
        assert_eq!(found, [41, 0, 40, 1], "{}", case.code);
    }
}

#[test]
fn what_breaks_the_schema_is_quarantined_with_its_code_and_path_and_changes_nothing_else() {
    let (folder, before) = shop();
    let cases = cases();
    import_cases(&folder, &cases);
    let held = quarantined(&folder, "held");
    assert_eq!(held.len(), cases.len());
    for (number, (held, case)) in held.iter().zip(&cases).enumerate() {
        let found = ["code", "path", "origin"].map(|name| held[name].as_str().unwrap().to_owned());
        assert_eq!(found, [case.code.to_owned(), case.path.to_owned(), format!("case-{number}.ndjson:2")]);
        assert!(!held["message"].as_str().unwrap().is_empty());
    }
    let table = folder.done(["quarantine", "--limit", "1000"]);
    assert_eq!(table.lines().count(), cases.len() + 1);
    assert_discreet(&table);
    folder.picture().assert_same_leads(&before);

    import_cases_again(&folder, &cases);
    assert_eq!(quarantined(&folder, "held"), held);
}

fn import_cases_again(folder: &Folder, cases: &[Case]) {
    let head = folder.log_position();
    let names: Vec<String> = (0..cases.len()).map(|number| format!("case-{number}.ndjson")).collect();
    let counts = folder.json_one(["import"].into_iter().chain(names.iter().map(String::as_str)));
    assert_eq!((&counts["recorded"], &counts["quarantined"]), (&json!(0), &json!(0)));
    assert_eq!(folder.log_position(), head);
}

/// Runs a command on one quarantined input.
fn on(folder: &Folder, id: u64, args: &[&str]) -> Run {
    let id = id.to_string();
    let run = folder.run(["quarantine", &id].into_iter().chain(args.iter().copied()));
    assert_discreet(&run.stderr);
    run
}

#[test]
fn a_quarantined_input_is_shown_retried_repaired_or_discarded_once() {
    let (folder, before) = shop();
    let cases: Vec<Case> = cases().into_iter().take(12).collect();
    import_cases(&folder, &cases);
    for (number, held) in quarantined(&folder, "held").iter().enumerate() {
        let id = held["id"].as_u64().unwrap();
        let (path, message) = (held["path"].as_str().unwrap(), held["message"].as_str().unwrap());
        let again = on(&folder, id, &["retry"]);
        let place = if path.is_empty() { String::new() } else { format!(" {path}:") };
        assert_eq!(again.failed(1), format!("error: cannot take input {id}:{place} {message}"));
        let shown = folder.command(["quarantine", &id.to_string(), "show"]).output().unwrap().stdout;
        assert_eq!(shown, cases[number].bytes);
        match number % 3 {
            0 => assert_eq!(on(&folder, id, &["discard"]).code, Some(0)),
            1 => {
                folder.write("repaired.json", good(number).0.to_string());
                assert_eq!(on(&folder, id, &["retry", "--with", "repaired.json", "--json"]).code, Some(0));
            }
            _ => {
                folder.write("repaired.json", "{}");
                on(&folder, id, &["retry", "--with", "repaired.json"]).failed(1);
                on(&folder, id, &["retry", "--with", "nowhere.json"]).failed(1);
                continue;
            }
        }
        for args in [&["discard"][..], &["retry"]] {
            let sentence = format!("error: no quarantined input stands at position {id}");
            assert_eq!(on(&folder, id, args).failed(1), sentence);
        }
    }
    let after = folder.picture();
    let taken = (0..cases.len()).filter(|number| number % 3 == 1).count();
    assert_eq!(after.leads.lines().count(), before.leads.lines().count() + taken);
    let held = (0..cases.len()).filter(|number| number % 3 == 2).count();
    assert_eq!(quarantined(&folder, "held").len(), held);
    assert_eq!(quarantined(&folder, "released").len(), cases.len() - held);
    import_cases_again(&folder, &cases);
    folder.picture().assert_same(&after);
}

/// Whether a file of the folder or below it holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.any(|path| {
        if path.is_dir() {
            return holds(&path, bytes);
        }
        fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn an_input_that_was_kept_in_part_is_not_retried_as_if_it_were_whole() {
    let (folder, _) = shop();
    let long = good(0).with("attributes", json!({ "a": "x".repeat(3 << 20) }));
    folder.write("long.ndjson", crate::support::event::lines([long]));
    folder.import("long.ndjson");
    let id = quarantined(&folder, "held")[0]["id"].as_u64().unwrap();
    let sentence = on(&folder, id, &["retry"]).failed(1).to_owned();
    assert!(sentence.contains("only the first 1048576 of 3") && sentence.contains("--with"), "{sentence}");
    folder.write("repaired.json", good(1).0.to_string());
    assert_eq!(on(&folder, id, &["retry", "--with", "repaired.json"]).code, Some(0));
}

#[test]
fn personal_data_stand_unsealed_in_the_listing_only_and_in_no_log_line() {
    let (folder, _) = shop();
    let cases = cases();
    import_cases(&folder, &cases[..20]);
    let name = format!("Anna {SECRET}");
    let sale = good(99).with("contact", json!({ "name": name })).with("conversion", json!({ "order_id": SECRET }));
    folder.write("sale.ndjson", crate::support::event::lines([sale]));
    let mut command = folder.command(["import", "sale.ndjson", "--json", "-vv"]);
    let run = Run::of(command.env("LEADFOLD_LOG", "trace"));
    assert_eq!(run.code, Some(0));
    assert_discreet(&run.stderr);
    folder.done(["lead", "V21-1", "close", "--reason", "duplicate", "--note", SECRET]);
    folder.done(["lead", "V21-1", "set", &format!("plan={SECRET}")]);
    let found =
        ["log", "tables", "keys", "projections"].map(|name| holds(&folder.path("data").join(name), SECRET.as_bytes()));
    assert_eq!(found, [false, false, false, true]);
}

#[test]
fn a_repaired_input_that_stands_in_the_log_already_is_a_duplicate() {
    let (folder, before) = shop();
    folder.write("bad.ndjson", "{\n");
    folder.import("bad.ndjson");
    let id = quarantined(&folder, "held")[0]["id"].to_string();
    let first = super::good_events().lines().next().unwrap().to_owned();
    folder.write("repaired.json", first);
    let answer = folder.json_one(["quarantine", &id, "retry", "--with", "repaired.json"]);
    let stands = folder.json(["visitor", "V1", "--timeline"]).pop().unwrap();
    assert_eq!((&answer["position"], &answer["events"]), (&stands["position"], &stands["events"]));
    assert_eq!(quarantined(&folder, "held"), Vec::<Value>::new());
    folder.picture().assert_same_leads(&before);
}
