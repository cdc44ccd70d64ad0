//! What the made-up traffic promises to those who read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clap::Parser;
use serde_json::Value;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: GenerateArgs,
}

fn parse(line: &str) -> Result<GenerateArgs, clap::Error> {
    Line::try_parse_from(["generate"].into_iter().chain(line.split_whitespace())).map(|line| line.args)
}

fn generate(line: &str) -> (Summary, String) {
    let mut out = Vec::new();
    let summary = run(&parse(line).unwrap(), &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_every_release() {
    let (_, text) = generate("--visitors 200 --interactions 5000 --seed 7");
    assert_eq!(
        blake3::hash(text.as_bytes()).to_hex().as_str(),
        "4071de391f8edfa4418ebd48340d34797275fe50c1c6e2d85ef6f72bd3bdece5"
    );
    let (_, other) = generate("--visitors 200 --interactions 5000 --seed 8");
    assert_ne!(text, other);
}

#[test]
fn exactly_the_wanted_number_of_lines_is_written_and_counted() {
    for line in [
        "--visitors 1 --interactions 1 --seed 1",
        "--visitors 1000 --interactions 10 --seed 1",
        "--visitors 1 --interactions 3000 --seed 2 --days 1",
        "--visitors 50 --interactions 4001 --seed 3 --duplicates 50 --days 3660",
        "--visitors 50 --interactions 999 --seed 4 --duplicates 0",
    ] {
        let args = parse(line).unwrap();
        let (summary, text) = generate(line);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len() as u64, args.interactions, "{line}");
        assert_eq!(summary.interactions, args.interactions, "{line}");
        assert_eq!(summary.distinct + summary.duplicates + summary.conflicting, args.interactions, "{line}");
        assert_eq!(summary.duplicates + summary.conflicting, args.interactions * args.duplicates / 100, "{line}");
        assert_eq!(summary.bytes, text.len() as u64, "{line}");
        assert!(summary.visitors <= args.visitors, "{line}");
    }
}

#[test]
fn repetitions_come_after_what_they_repeat_and_conflicts_differ() {
    let (summary, text) = generate("--visitors 500 --interactions 8000 --seed 11 --duplicates 10");
    let (mut first, mut duplicates, mut conflicts) = (HashMap::new(), 0, 0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let key = (event["source"].to_string(), event["id"].to_string());
        let before: &mut &str = first.entry(key).or_insert(line);
        if std::ptr::eq(*before, line) {
            continue;
        }
        if *before == line {
            duplicates += 1;
        } else {
            conflicts += 1;
            let mut original: Value = serde_json::from_str(before).unwrap();
            original["data"]["attributes"]["revision"] = 2.into();
            assert_eq!(event, original);
        }
    }
    assert_eq!((summary.duplicates, summary.conflicting), (duplicates, conflicts));
    assert_eq!((duplicates, conflicts), (796, 4));
    assert_eq!(summary.distinct, first.len() as u64);
}

#[test]
fn late_lines_are_few_and_the_others_are_in_order() {
    let (summary, text) = generate("--visitors 500 --interactions 20000 --seed 5 --duplicates 0");
    let mut latest = String::new();
    let mut behind = 0;
    for event in events(&text) {
        let time = event["time"].as_str().unwrap().to_owned();
        if time < latest {
            behind += 1;
        } else {
            latest = time;
        }
    }
    assert!((300..=500).contains(&summary.late), "{summary}");
    assert!(behind <= summary.late && behind > summary.late * 8 / 10, "{behind} of {}", summary.late);
}

#[test]
fn lines_are_of_a_realistic_size_and_show_who_it_may_be() {
    let (summary, text) = generate("--visitors 500 --interactions 20000 --seed 5");
    assert!(text.lines().all(|line| (200..=1_000).contains(&line.len())));
    assert!((300..=500).contains(&(summary.bytes / summary.interactions)));
    for event in events(&text) {
        let data = &event["data"];
        let shown = ["visitor_id", "customer_id", "email", "phone"].iter().any(|name| data[name].is_string());
        assert!(shown, "{event}");
        assert!(chrono::DateTime::parse_from_rfc3339(event["time"].as_str().unwrap()).is_ok(), "{event}");
        let sells = ["purchase", "contract.signed", "subscription.started"].contains(&data["action"].as_str().unwrap());
        assert_eq!(sells, data["conversion"]["value"]["amount"].is_u64(), "{event}");
    }
}

#[test]
fn people_differ_in_how_often_they_come_and_link_their_identifiers() {
    let (summary, text) = generate("--visitors 3000 --interactions 40000 --seed 9");
    assert!(summary.visitors >= 2900, "{summary}");
    let (mut touches, mut devices_of, mut customers_of) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut actions = BTreeSet::new();
    for event in events(&text) {
        let data = &event["data"];
        actions.insert(data["action"].as_str().unwrap().to_owned());
        let text_of = |name: &str| data[name].as_str().map(str::to_ascii_lowercase);
        let device = text_of("visitor_id");
        *touches.entry(device.clone()).or_insert(0) += 1;
        if let Some(email) = text_of("email") {
            devices_of.entry(email.clone()).or_insert_with(BTreeSet::new).extend(device);
            let customer = text_of("customer_id").filter(|customer| customer != "unknown");
            customers_of.entry(email).or_insert_with(BTreeSet::new).extend(customer);
        }
    }
    touches.remove(&None);
    let mut counts: Vec<i32> = touches.into_values().collect();
    counts.sort_unstable();
    assert!(counts[counts.len() - 1] > 10 * counts[counts.len() / 2], "{counts:?}");
    assert!(actions.len() > 20, "{actions:?}");
    let several = |sets: &BTreeMap<String, BTreeSet<String>>| sets.values().filter(|set| set.len() > 1).count();
    assert!(devices_of.len() > 600 && several(&devices_of) > 30, "{} {}", devices_of.len(), several(&devices_of));
    assert!(several(&customers_of) > 0);
}

#[test]
fn absurd_arguments_are_refused_by_name() {
    for (line, word) in [
        ("--visitors 0 --interactions 10 --seed 1", "--visitors"),
        ("--visitors 10 --interactions 0 --seed 1", "--interactions"),
        ("--visitors 10 --interactions 10 --seed 1 --duplicates 51", "--duplicates"),
        ("--visitors 10 --interactions 10 --seed 1 --days 0", "--days"),
        ("--visitors 10 --interactions 10 --seed 1 --start yesterday", "--start"),
        ("--visitors 10 --interactions 10 --seed 1 --start 9999-01-01T00:00:00Z", "--start"),
        ("--visitors 10 --interactions 10 --seed 1 --tenant A\"b", "--tenant"),
        ("--visitors 10 --interactions 10", "--seed"),
    ] {
        let refusal = parse(line).unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
    let missing = parse("--visitors 1 --interactions 1 --seed 1 -o /nowhere/at/all").unwrap();
    let error = run(&missing, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "cannot create /nowhere/at/all");
}

#[test]
fn every_line_keeps_the_published_contract() {
    let (_, text) = generate("--visitors 500 --interactions 20000 --seed 5");
    let mut decoded = Vec::new();
    for line in text.lines() {
        let read = proto_events::cloud_event::read(line.as_bytes(), &mut decoded);
        assert!(read.is_ok(), "{line}");
    }
}

/// A file of the shop example.
fn example(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shop/");
    std::fs::read_to_string(format!("{folder}{name}")).unwrap()
}

#[test]
fn the_shop_example_is_what_its_readme_says() {
    let (_, text) = generate("--visitors 400 --interactions 3000 --seed 1 --days 42");
    assert!(example("interactions.ndjson") == text, "the example differs: generate it again");
}

#[test]
fn the_shop_policy_is_valid_and_knows_all_skills_and_channels_but_the_kiosk() {
    let policy = proto_events::policy_document::read(&example("policy.toml"), None).unwrap().policy;
    let mut unknown = BTreeSet::new();
    for event in events(&example("interactions.ndjson")) {
        let (skill, channel) = (event["data"]["skill"].as_str(), event["data"]["channel"].as_str().unwrap());
        if policy.entry_point(skill, "").is_none() && policy.entry_point(None, channel).is_none() {
            unknown.insert(channel.to_owned());
        }
        assert!(skill.is_none() || policy.entry_point(skill, "").is_some(), "{event}");
    }
    assert_eq!(unknown, BTreeSet::from(["kiosk".to_owned()]));
}
