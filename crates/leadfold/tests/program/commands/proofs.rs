//! Signed heads and bundles, checked by the program that shares nothing with ours.

use std::fs;

use leadfold_check::{Checked, Known, check};
use serde_json::{Value, json};

use super::small_shop;
use crate::support::event::{Event, hour, lines};
use crate::support::service::Service;
use crate::support::{Folder, shop_policy};

/// Checks a bundle in the folder against the key and a head that were kept.
#[track_caller]
fn checked(folder: &Folder, bundle: &str, key: &str, head: Option<&str>) -> Checked {
    check(&folder.path(bundle), Known { key: Some(key), head }).unwrap()
}

fn text(head: &Value, field: &str) -> String {
    head[field].as_str().unwrap().to_owned()
}

#[test]
fn what_became_of_a_lead_is_proven_offline() {
    let folder = small_shop();
    let signed = folder.json_one(["heads", "--sign"]);
    let (key, held) = (text(&signed, "key"), text(&signed, "note"));
    assert_eq!((&signed["size"], &signed["id"]), (&json!(11), &json!(12)));
    folder.write("held.note", &held);
    folder.done(["lead", "V1-1", "note", "quillfeather called"]);
    let policy = fs::read_to_string(shop_policy()).unwrap();
    folder.write("second.toml", format!("{policy}\n# the second one\n"));
    folder.done(["policy", "adopt", "second.toml"]);
    folder.done(["lead", "V1-1", "close", "--reason", "duplicate"]);

    folder.done(["prove", "--lead", "V1-1", "--out", "proof", "--since", "held.note"]);
    let whole = checked(&folder, "proof", &key, Some(&held));
    assert_eq!((whole.size, whole.policies, whole.earlier, whole.left_out), (15, 2, 1, 0));
    let readable = fs::read_to_string(folder.path("proof/records.ndjson")).unwrap();
    let closed: Value = serde_json::from_str(readable.lines().next_back().unwrap()).unwrap();
    assert_eq!(closed["events"][0]["event"], "lead_closed");
    assert!(!readable.contains("quillfeather"));

    folder.done(["prove", "--lead", "V1-1", "--out", "redacted", "--redact"]);
    let redacted = checked(&folder, "redacted", &key, Some(&held));
    assert_eq!(redacted.records, whole.records);
    assert!(redacted.left_out > 1);

    // Erasing the person takes nothing from what is proven.
    folder.done(["visitor", "V1", "erase", "--reason", "asked for it"]);
    folder.done(["prove", "--lead", "V1-1", "--out", "erased"]);
    assert_eq!(checked(&folder, "erased", &key, Some(&held)).size, 16);
    checked(&folder, "proof", &key, Some(&held));
    assert_eq!(folder.json_one(["verify"])["signed_heads"], 1);
}

#[test]
fn a_service_signs_and_proves() {
    let folder = small_shop();
    let first = folder.json_one(["heads", "--sign"]);
    let service = Service::start_at(&folder, &hour(7));
    let second = folder.json_one(["heads", "--sign"]);
    assert_eq!((&second["size"], &second["key"]), (&json!(12), &first["key"]));
    let listed = folder.json(["heads"]);
    assert_eq!(listed, [second.clone(), first.clone()]);
    assert_eq!(folder.json_one(["heads", "--limit", "1"]), second);
    folder.write("held.note", text(&first, "note"));
    folder.done(["prove", "--lead", "V2-1", "--out", "proof", "--since", "held.note"]);
    assert!(folder.run(["prove", "--lead", "V99-1", "--out", "other"]).failed(1).contains("V99-1"));
    folder.write("none.note", "nobody signed this\n");
    let refused = folder.run(["prove", "--lead", "V2-1", "--out", "other", "--since", "none.note"]);
    assert!(refused.failed(2).contains("it has not the form of one"), "{}", refused.stderr);
    service.stop();
    let proven = checked(&folder, "proof", &text(&first, "key"), Some(&text(&first, "note")));
    assert_eq!((proven.earlier, proven.size), (2, 13));
    checked(&folder, "proof", &text(&first, "key"), Some(&text(&second, "note")));
    assert_eq!(folder.json(["heads"]), listed);
}

#[test]
fn a_bundle_that_can_not_be_made_is_refused_with_a_reason() {
    let folder = small_shop();
    let refused = folder.run(["prove", "--lead", "V1-1", "--out", "data"]);
    assert_eq!(refused.failed(2), "error: --out data is there already and not an empty folder; name another");
    assert!(folder.run(["prove", "--lead", "V99-1", "--out", "proof"]).failed(1).contains("V99-1"));
    assert!(!folder.path("proof").exists());
    // A head of a log that went on elsewhere covers more than this one has.
    let other = folder.copied();
    other.write("later.ndjson", lines([Event::page("20", &hour(8), "a"), Event::page("21", &hour(9), "a")]));
    other.import("later.ndjson");
    let ahead = other.json_one(["heads", "--sign"]);
    folder.write("ahead.note", text(&ahead, "note"));
    let refused = folder.run(["prove", "--lead", "V1-1", "--out", "proof", "--since", "ahead.note"]);
    let sentence = format!("error: cannot prove something about {} in a tree of 11 records", ahead["size"]);
    assert_eq!(refused.failed(1), sentence);
}

#[test]
fn verification_finds_altered_hashes_and_repair_makes_them_anew() {
    let folder = small_shop();
    let events = (0..600).map(|number| Event::page(&format!("more-{number}"), &hour(8), "b"));
    folder.write("more.ndjson", lines(events));
    folder.import("more.ndjson");
    let signed = folder.json_one(["heads", "--sign"]);
    let path = folder.path("data/proofs/tiles");
    let mut tiles = fs::read(&path).unwrap();
    tiles[20] ^= 1;
    fs::write(&path, tiles).unwrap();
    let found = folder.run(["verify"]);
    assert_eq!(found.code, Some(3));
    assert!(found.stdout.starts_with("proofs/tiles, tile 0: the row is damaged; derived data"), "{}", found.stdout);
    folder.done(["repair"]);
    assert_eq!(folder.json_one(["verify"])["signed_heads"], 1);
    folder.done(["prove", "--lead", "V1-1", "--out", "proof"]);
    checked(&folder, "proof", &text(&signed, "key"), Some(&text(&signed, "note")));
}

/// The first file below a folder whose name begins and ends so.
fn file_in(folder: &std::path::Path, (start, end): (&str, &str)) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let name = |file: &std::path::PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    files.retain(|file| name(file).starts_with(start) && name(file).ends_with(end));
    files.sort();
    files.into_iter().next().unwrap()
}

#[test]
fn verification_recounts_both_read_models() {
    let folder = small_shop();
    folder.done(["sql", "select count(*) from leads"]);
    let whole = folder.json_one(["verify"]);
    let leads = &whole["leads_listed"];
    assert_eq!((leads, &whole["leads_analysed"]), (&json!(6), &json!(6)));
    assert_eq!(folder.json_one(["verify", "--skip-models"])["leads_listed"], 0);

    let listing =
        rusqlite::Connection::open(file_in(&folder.path("data/projections"), ("listing", ".sqlite"))).unwrap();
    listing.execute("UPDATE leads SET version = version + 1 WHERE id = (SELECT min(id) FROM leads)", []).unwrap();
    drop(listing);
    let found = folder.run(["verify"]);
    assert_eq!(found.code, Some(3));
    let finding = "listing, lead V1-1: the lead differs from what the log says; derived data: rebuild it with \
        `leadfold projections rebuild listing`\n";
    assert!(found.stdout.starts_with(finding), "{}", found.stdout);
    folder.done(["projections", "rebuild", "listing"]);

    let tables = file_in(&folder.path("data/projections"), ("leads-", ".parquet"));
    let mut bytes = fs::read(&tables).unwrap();
    bytes.truncate(bytes.len() - 100);
    fs::write(&tables, bytes).unwrap();
    let found = folder.run(["verify"]);
    assert_eq!(found.code, Some(3), "{} {}", found.stdout, found.stderr);
    assert!(found.stdout.contains("rebuild it with `leadfold projections rebuild analytics`"), "{}", found.stdout);
    folder.done(["projections", "rebuild", "analytics"]);
    assert_eq!(folder.json_one(["verify"])["whole"], true);
}
