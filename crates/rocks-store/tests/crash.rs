//! What is left when the process is killed or the disk is full.
//!
//! Each test runs itself again as a child, which finds the folder to work in in its environment.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use event_log::contract::batch_of_many;
use event_log::contract::log::check_chain;
use event_log::contract::tables::{check_whole, step};
use event_log::{EventLog, LogError, LogPosition, Tables};
use rocks_store::{LogOptions, RocksLog, RocksTables, TablesOptions};
use tempfile::tempdir;

const FOLDER: &str = "LEADFOLD_TEST_FOLDER";
const KILLS: u64 = 24;

fn open_log(folder: &Path) -> RocksLog {
    RocksLog::open(&folder.join("log"), &LogOptions { memtable_bytes: 1 << 20, ..LogOptions::default() }).unwrap()
}

/// Seals messages from 300 on, so that both ways of writing them are met.
fn open_tables(folder: &Path) -> RocksTables {
    let options = TablesOptions { ingest_messages_min: 300, ..TablesOptions::default() };
    RocksTables::open(&folder.join("tables"), &options).unwrap()
}

/// The command that runs one test of this program as a child, in a shell that did `before`.
fn child(test: &str, folder: &Path, before: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder).stdout(Stdio::piped());
    command
}

/// The numbers that the child reports as done.
fn reports(child: &mut Child) -> impl Iterator<Item = u64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("done ")?.parse().ok())
}

/// Appends and writes back without end, and reports each appended position.
fn work_for_ever(folder: &Path) {
    let (log, tables) = (open_log(folder), open_tables(folder));
    for round in 0_u64.. {
        let mut batch = batch_of_many(log.head(), 1 + round * 37 % 211);
        batch.meta.push(("watermark".into(), batch.head().position.to_key().to_vec()));
        log.append(&batch).unwrap();
        println!("done {}", log.head().position);
        if round % 3 == 2 {
            tables.write_back(step(tables.position().0, log.head().position.0)).unwrap();
        }
    }
}

#[test]
fn a_killed_process_leaves_a_dense_log_and_whole_tables() {
    if let Some(folder) = env::var_os(FOLDER) {
        return work_for_ever(Path::new(&folder));
    }
    let folder = tempdir().unwrap();
    let mut followed = 0;
    for kill in 0..KILLS {
        let mut child =
            child("a_killed_process_leaves_a_dense_log_and_whole_tables", folder.path(), "").spawn().unwrap();
        let survived = 1 + usize::try_from(kill * 7_919 % 41).unwrap();
        let reported = reports(&mut child).take(survived).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let log = open_log(folder.path());
        let head = log.head().position;
        assert!(head.0 >= reported, "{head} after {reported}");
        assert_eq!(log.meta("watermark").unwrap(), Some(head.to_key().to_vec()));
        check_chain(&log);
        let tables = open_tables(folder.path());
        assert!(tables.position() <= head, "tables at {} of {head}", tables.position());
        followed += u64::from(tables.position() > LogPosition::START);
        check_whole(&tables);
    }
    assert!(followed > KILLS / 2, "tables followed {followed} times");
}

/// Appends until the disk takes no more.
fn work_until_refused(folder: &Path) {
    let log = open_log(folder);
    let batch = loop {
        let batch = batch_of_many(log.head(), 1_000);
        match log.append(&batch) {
            Ok(()) => println!("done {}", log.head().position),
            Err(error) => {
                assert!(matches!(error, LogError::Storage { doing: "write to", .. }), "{error:?}");
                break batch;
            }
        }
    };
    let head = log.head();
    assert!(matches!(log.append(&batch), Err(LogError::Poisoned)));
    assert_eq!(log.head(), head);
    println!("done {}", head.position);
    println!("refused as it must be");
}

#[test]
fn a_full_disk_poisons_the_log_and_loses_nothing() {
    if let Some(folder) = env::var_os(FOLDER) {
        return work_until_refused(Path::new(&folder));
    }
    let folder = tempdir().unwrap();
    drop(open_log(folder.path()));
    let limit = "trap '' XFSZ; ulimit -f 1000;";
    let output = child("a_full_disk_poisons_the_log_and_loses_nothing", folder.path(), limit).output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("refused as it must be"), "{output}");
    let reported = output.lines().filter_map(|line| line.strip_prefix("done ")?.parse::<u64>().ok()).max().unwrap();

    let log = open_log(folder.path());
    assert!(log.head().position.0 >= reported);
    check_chain(&log);
    log.append(&batch_of_many(log.head(), 5_000)).unwrap();
    check_chain(&log);
}
