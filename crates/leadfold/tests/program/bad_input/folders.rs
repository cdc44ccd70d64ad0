//! Data folders that are missing, held by another process, not to be written to, or of another version.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rocksdb::{DB, Options};

use super::{good_events, shop};
use crate::support::{Folder, Run, shop_policy};

const READERS: [&[&str]; 6] =
    [&["leads"], &["orphans"], &["quarantine"], &["verify"], &["projections"], &["policy", "history"]];

#[test]
fn a_folder_without_data_is_wrong_usage_and_is_not_made() {
    let folder = Folder::empty();
    folder.write("good.ndjson", good_events());
    let others: [&[&str]; 5] =
        [&["import", "good.ndjson"], &["lead", "V1-1"], &["visitor", "V1"], &["repair"], &["policy", "show"]];
    for args in READERS.into_iter().chain(others) {
        let run = folder.run(args.iter().copied());
        let sentence = run.failed(2);
        assert!(sentence.starts_with("error: there is no data in data yet; adopt a policy first"), "{sentence}");
    }
    assert!(!folder.path("data").exists());
    folder.write("a-file", "");
    let policy = shop_policy();
    let run = folder.run(["--data", "a-file", "policy", "adopt", policy.to_str().unwrap()]);
    assert!(run.failed(1).contains("a-file"), "{}", run.stderr);
}

#[test]
fn a_folder_that_another_process_holds_is_refused_with_its_number() {
    let (folder, before) = shop();
    let mut importing = folder.start(["import", "-"]);
    let holder = importing.id().to_string();
    while fs::read_to_string(folder.path("data/lock")).unwrap() != holder {
        assert!(importing.try_wait().unwrap().is_none(), "an import waits for its input");
        std::thread::yield_now();
    }
    let policy = shop_policy();
    let writers: [&[&str]; 3] = [&["policy", "adopt", policy.to_str().unwrap()], &["repair"], &["import", "-"]];
    for args in READERS.into_iter().chain(writers) {
        let run = folder.run(args.iter().copied());
        let sentence = format!("error: cannot open the data folder data: process {holder} holds it");
        assert!(run.failed(1).starts_with(&sentence), "{}", run.stderr);
    }
    let mut input = importing.stdin.take().unwrap();
    input.write_all(good_events().as_bytes()).unwrap();
    drop(input);
    assert!(importing.wait().unwrap().success());
    folder.picture().assert_same(&before);
}

fn set_format(database: &std::path::Path, format: u32) {
    let options = Options::default();
    let families = DB::list_cf(&options, database).unwrap();
    DB::open_cf(&options, database, families).unwrap().put("format", format.to_be_bytes()).unwrap();
}

#[test]
fn a_newer_format_is_refused_and_older_tables_are_rebuilt_by_repair() {
    let (folder, before) = shop();
    set_format(&folder.path("data/tables"), 7);
    for args in READERS {
        let run = folder.run(args.iter().copied());
        assert!(run.failed(3).contains("the tables: their format is 7, this program knows 1"), "{}", run.stderr);
        assert!(run.stderr.contains("newer program"), "{}", run.stderr);
    }
    folder.done(["repair"]);
    folder.picture().assert_same(&before);

    set_format(&folder.path("data/log"), 7);
    for args in READERS.into_iter().chain([&["repair"][..]]) {
        let run = folder.run(args.iter().copied());
        assert!(run.failed(3).contains("the log: its format is 7, this program knows 1"), "{}", run.stderr);
    }
    set_format(&folder.path("data/log"), 1);
    folder.picture().assert_same(&before);
}

#[test]
fn another_master_key_or_none_opens_nothing_and_spoils_nothing() {
    let (folder, before) = shop();
    let with_key = |file: &str| folder.run(["leads", "--master-key-file", file]);
    folder.write("other.key", "ff".repeat(32));
    assert!(with_key("other.key").failed(1).contains("not the one that its keys are wrapped with"));
    folder.write("short.key", "ff");
    assert!(with_key("short.key").failed(1).contains("short.key"));
    assert!(with_key("nowhere.key").failed(1).contains("nowhere.key"));
    let run = Run::of(folder.command(["leads"]).env_remove("LEADFOLD_MASTER_KEY_FILE"));
    assert!(run.failed(1).contains("master.key\" is missing"), "{}", run.stderr);
    folder.picture().assert_same(&before);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_left_as_it_is() {
    let (folder, before) = shop();
    let script = "mount --bind data data && mount -o remount,ro,bind data && exec \"$0\" \"$@\"";
    let run = |args: &[&str]| {
        let mut command = Command::new("unshare");
        folder.prepare(&mut command);
        command.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_leadfold")]).args(args).stderr(Stdio::piped());
        Run::of(&mut command)
    };
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        return println!("skipped: this machine lets nobody mount a folder read-only (unshare -rm)");
    }
    let policy = shop_policy();
    let writers: [&[&str]; 3] =
        [&["import", "good.ndjson"], &["policy", "adopt", policy.to_str().unwrap()], &["lead", "V1-1", "reopen"]];
    for args in READERS.into_iter().chain(writers) {
        let run = run(args);
        assert!(run.failed(1).contains("Read-only file system"), "{}", run.stderr);
    }
    folder.picture().assert_same(&before);
}
