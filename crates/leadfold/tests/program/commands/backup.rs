//! Backups and what is made of them again, also of those that are not whole.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::small_shop;
use crate::support::event::{Event, hour, lines};
use crate::support::service::Service;
use crate::support::{Folder, Run};

/// A folder that a backup can be restored into, and the places of backups and keys.
struct Places {
    backups: PathBuf,
    keys: PathBuf,
    elsewhere: Folder,
}

impl Places {
    fn beside(folder: &Folder) -> Self {
        Self { backups: folder.path("backups"), keys: folder.path("keys"), elsewhere: Folder::empty() }
    }

    fn restore(&self, more: &[&str]) -> Run {
        let (backups, keys) = (self.backups.to_str().unwrap(), self.keys.to_str().unwrap());
        self.elsewhere.run(["restore", backups, "--keys", keys].into_iter().chain(more.iter().copied()))
    }

    fn whole(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(&self.backups).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    }
}

const BACKUP: [&str; 4] = ["backup", "backups", "--keys", "keys"];

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_of(&path) } else { vec![path] }).collect()
}

#[test]
fn a_restored_backup_is_what_was_backed_up() {
    let folder = small_shop();
    let places = Places::beside(&folder);
    let made = folder.json_one(BACKUP);
    assert_eq!((&made["position"], &made["keys"], &made["files_shared"]), (&json!(11), &json!(true), &json!(0)));
    assert!(!folder.path("data/checkpoint").exists() && !folder.path("data/checkpoint.beside").exists());
    let before = folder.picture();
    let again = folder.json_one(BACKUP);
    assert_eq!((&again["position"], &again["files"]), (&json!(11), &json!(0)), "nothing has come since");

    folder.write("more.ndjson", lines([Event::page("10", &hour(8), "z")]));
    folder.import("more.ndjson");
    let later = folder.json_one(BACKUP);
    let shared = later["files_shared"].as_u64().unwrap();
    assert!(later["position"].as_u64().unwrap() > 11 && shared > 0, "{later}");
    let linked = files_of(&places.whole()[1]).iter().filter(|file| fs::metadata(file).unwrap().nlink() > 1).count();
    assert_eq!(linked as u64, shared);

    assert_eq!(places.restore(&["--at", "11"]).code, Some(0));
    places.elsewhere.picture().assert_same(&before);
    let newest = Places { elsewhere: Folder::empty(), ..places };
    let run = newest.restore(&[]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    newest.elsewhere.picture().assert_same(&folder.picture());
    assert_eq!(newest.elsewhere.json_one(["replay"])["same"], true);
    // The folder lives now.
    assert!(newest.restore(&[]).failed(2).contains("data is not empty"));
}

#[test]
fn a_service_goes_on_while_it_is_backed_up() {
    let folder = small_shop();
    let places = Places::beside(&folder);
    let service = Service::start_at(&folder, &hour(7));
    folder.done(["lead", "V2-1", "note", "before"]);
    let made = folder.json_one(BACKUP);
    assert_eq!(made["position"], 12);
    folder.done(["lead", "V2-1", "note", "after"]);
    let outside = service.url();
    assert!(folder.run(["backup", "backups", "--server", &outside]).failed(2).contains("leave --server out"));
    service.stop();
    assert_eq!(places.restore(&[]).code, Some(0));
    let lead = places.elsewhere.json_one(["lead", "V2-1"]);
    assert_eq!(lead["notes"].as_array().unwrap().len(), 1);
    assert!(!folder.path("data/checkpoint").exists());
}

#[test]
fn a_backup_that_is_not_whole_is_not_restored() {
    let folder = small_shop();
    let places = Places::beside(&folder);
    folder.json_one(BACKUP);
    let whole = places.whole().remove(0);
    let files = files_of(&whole);
    assert!(files.len() > 3, "{files:?}");
    for file in &files {
        let bytes = fs::read(file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let mut flipped = bytes.clone();
        let place = bytes.len() / 2;
        flipped[place] ^= 1;
        // In the manifest's text any other place may be a name of no weight.
        if !file.ends_with("manifest.json") {
            fs::write(file, &flipped).unwrap();
            assert!(places.restore(&[]).failed(3).contains("is not the file that was backed up"));
        }
        fs::remove_file(file).unwrap();
        places.restore(&[]).failed(3);
        fs::write(file, bytes).unwrap();
    }
    assert!(!places.elsewhere.path("data").exists());
    let manifest = fs::read_to_string(whole.join("manifest.json")).unwrap();
    for (from, to) in [("\"position\": 11", "\"position\": 10"), ("log/CURRENT", "../../CURRENT"), ("{", "[")] {
        fs::write(whole.join("manifest.json"), manifest.replacen(from, to, 1)).unwrap();
        places.restore(&[]).failed(3);
    }
    fs::write(whole.join("manifest.json"), manifest).unwrap();
    assert_eq!(places.restore(&[]).code, Some(0), "nothing was left in the way");
}

#[test]
fn a_backup_that_was_cut_off_is_recognised_and_made_anew() {
    let folder = small_shop();
    let places = Places::beside(&folder);
    assert!(places.restore(&[]).failed(1).contains("cannot read the backups"));
    folder.json_one(BACKUP);
    let whole = places.whole().remove(0);
    let partial = whole.with_extension("partial");
    fs::rename(&whole, &partial).unwrap();
    assert!(places.restore(&[]).failed(2).contains("only one that was cut off"));
    assert!(places.restore(&["--at", "11"]).failed(2).contains("no whole backup of position 11"));
    folder.json_one(BACKUP);
    assert_eq!(places.whole(), [whole]);
    assert!(!partial.exists());
    fs::create_dir_all(places.elsewhere.path("data.restoring/log")).unwrap();
    assert_eq!(places.restore(&[]).code, Some(0), "also over a restore that was cut off");
}

#[test]
fn keys_are_kept_apart_from_backups_and_needed_with_them() {
    let folder = small_shop();
    let places = Places::beside(&folder);
    assert!(folder.done(["backup", "backups"]).contains("the keys are not part of it"));
    assert!(places.restore(&[]).failed(2).contains("there is no copy of the keys"));
    assert!(folder.run(["backup", "data/here"]).failed(2).contains("outside of the data folder"));
    let run = folder.run(["backup", "backups", "--keys", "backups/keys"]);
    assert!(run.failed(2).contains("apart from the backups"));
    let names: Vec<PathBuf> = files_of(&places.backups);
    assert!(names.iter().all(|name| !name.ends_with("keys.vault") && !name.ends_with("master.key")));
}
