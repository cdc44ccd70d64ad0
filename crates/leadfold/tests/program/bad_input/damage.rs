//! Flipped bits: always noticed where they could be believed, never a crash, and healed where the log can heal them.

use std::fs;
use std::path::PathBuf;

use super::{assert_discreet, shop};
use crate::support::kill::Dice;
use crate::support::{Folder, Run};

/// The files in a folder of the data whose names end so.
fn files(folder: &Folder, within: &str, end: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(folder.path(within)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(end));
    names.sort();
    assert!(!names.is_empty(), "no {end} in {within}");
    names.iter().map(|name| folder.path(within).join(name)).collect()
}

fn flip(file: &PathBuf, place: usize, bit: u8) {
    let mut bytes = fs::read(file).unwrap();
    bytes[place] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

/// Flips a bit of the file, at a random place.
fn flip_somewhere(file: &PathBuf, dice: &mut Dice) {
    let length = fs::metadata(file).unwrap().len();
    let bit = u8::try_from(dice.below(8)).unwrap();
    flip(file, usize::try_from(dice.below(length)).unwrap(), bit);
}

/// The run succeeded, or it ended with the code of damage and one sentence. Tells whether it did the latter.
fn noticed(run: &Run) -> bool {
    if run.code == Some(0) {
        return false;
    }
    assert_discreet(run.failed(3));
    true
}

#[test]
fn a_damaged_log_is_noticed_and_a_backup_is_asked_for() {
    let (folder, before) = shop();
    let mut dice = Dice::new(11);
    let sound = files(&folder, "data/log", ".sst").len();
    for number in 0..sound {
        for _ in 0..4 {
            let copy = folder.copied();
            flip_somewhere(&files(&copy, "data/log", ".sst")[number], &mut dice);
            let run = copy.run(["verify"]);
            if noticed(&run) {
                assert!(run.stderr.contains("backup") || run.stdout.contains("backup"), "{run:?}");
            } else {
                copy.picture().assert_same(&before);
            }
            for args in [&["leads"][..], &["import", "good.ndjson"], &["repair"]] {
                copy.write("good.ndjson", super::good_events());
                noticed(&copy.run(args.iter().copied()));
            }
        }
    }
    folder.picture().assert_same(&before);
}

#[test]
fn a_log_that_came_back_shorter_is_noticed() {
    let (folder, before) = shop();
    let newest = files(&folder, "data/log", ".sst").pop().unwrap();
    for file in [newest, folder.path("data/log/CURRENT")] {
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        for args in [&["leads"][..], &["verify"], &["repair"], &["import", "good.ndjson"]] {
            let run = folder.run(args.iter().copied());
            assert!(run.failed(3).contains("restore the folder from a backup"), "{}", run.stderr);
        }
        fs::write(file, kept).unwrap();
    }
    folder.done(["repair"]);
    folder.picture().assert_same(&before);

    fs::remove_dir_all(folder.path("data/log")).unwrap();
    fs::create_dir(folder.path("data/log")).unwrap();
    let run = folder.run(["leads"]);
    assert!(run.failed(3).contains("were durable") && run.stderr.contains("from a backup"), "{}", run.stderr);
}

#[test]
fn tables_that_lost_a_file_are_built_anew() {
    let (folder, before) = shop();
    let newest = files(&folder, "data/tables", ".sst").pop().unwrap();
    for file in [newest, folder.path("data/tables/CURRENT")] {
        fs::remove_file(&file).unwrap();
        let run = folder.run(["leads"]);
        assert!(run.failed(3).contains("`leadfold repair`"), "{}", run.stderr);
        folder.done(["repair"]);
        folder.picture().assert_same(&before);
    }
}

#[test]
fn damaged_tables_are_noticed_and_healed_by_repair() {
    let (folder, before) = shop();
    let mut dice = Dice::new(12);
    let sound = files(&folder, "data/tables", ".sst").len();
    for number in (0..sound).step_by(2) {
        let copy = folder.copied();
        flip_somewhere(&files(&copy, "data/tables", ".sst")[number], &mut dice);
        let run = copy.run(["verify"]);
        if noticed(&run) {
            let said = [run.stderr.as_str(), &run.stdout].concat();
            assert!(said.contains("`leadfold repair`"), "{said}");
        }
        copy.done(["repair"]);
        copy.picture().assert_same(&before);
    }
}

#[test]
fn a_damaged_listing_is_noticed_and_built_anew() {
    let (folder, before) = shop();
    let listing = folder.path("data/projections/listing-v7.sqlite");
    for damage in [b"not a database at all".to_vec(), Vec::new(), fs::read(&listing).unwrap()[..5_000].to_vec()] {
        let copy = folder.copied();
        fs::write(copy.path("data/projections/listing-v7.sqlite"), &damage).unwrap();
        let run = copy.run(["leads", "--json", "--limit", "1000000"]);
        if noticed(&run) {
            assert!(run.stderr.contains("`leadfold projections rebuild listing`"), "{}", run.stderr);
        } else {
            assert_eq!(run.stdout, before.leads);
        }
        copy.done(["projections", "rebuild", "listing"]);
        copy.picture().assert_same(&before);
    }
}

#[test]
fn a_damaged_key_is_found_by_verify() {
    let (folder, _) = shop();
    let vault = folder.path("data/keys/keys.vault");
    let bytes = fs::read(&vault).unwrap();
    let mut dice = Dice::new(13);
    let mut found = 0;
    for _ in 0..12 {
        let copy = folder.copied();
        let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
        let place = used[usize::try_from(dice.below(used.len() as u64)).unwrap()];
        flip(&copy.path("data/keys/keys.vault"), place, 3);
        let run = copy.run(["verify"]);
        if noticed(&run) {
            found += 1;
        }
    }
    assert!(found >= 11, "{found} of 12 found");
}

#[test]
fn what_only_helps_may_be_damaged() {
    let (folder, before) = shop();
    for file in ["data/lock", "data/log-head"] {
        let copy = folder.copied();
        copy.write(file, "?");
        copy.picture().assert_same(&before);
        fs::remove_file(copy.path(file)).unwrap();
        copy.picture().assert_same(&before);
    }
}
