//! What is on disk: leftovers, damage, rebuilding.

use std::fs;
use std::path::{Path, PathBuf};

use analytics::{Analytics, AnalyticsError, Format, Limits, QueryError, QueryLimits};
use event_log::LogPosition;
use projector::Projection;
use serde_json::json;

use crate::asked::{SMALL, followed, projector, rows, written};
use crate::histories::random_world;

const COUNTS: &str = "select (select count(*) from interactions) as interactions, \
     (select count(*) from lead_events) as events, (select count(*) from leads) as leads, \
     (select sum(version) from leads) as versions";

fn model(data: &Path) -> PathBuf {
    data.join("projections/analytics-v4")
}

fn files(data: &Path, table: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(model(data)).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{table}-"));
    entries.filter(named).collect()
}

#[test]
fn a_restart_drops_the_tail_and_leftovers_and_reads_on() {
    let world = random_world(21, 300);
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { tail_rows: 100_000, ..SMALL };
    let mut tables = projector(&world, Analytics::open_limited(folder.path(), limits).unwrap());
    let sealed = LogPosition(150);
    tables.catch_up(sealed, &mut |_| {}).unwrap();
    tables.seal().unwrap();
    tables.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    let whole = rows(&tables.projection().reader().snapshot(), COUNTS);
    assert!(tables.projection().sealed() == sealed && sealed < tables.checkpoint(), "there are files and a tail");
    drop(tables);
    let earlier = folder.path().join("projections/analytics-v2");
    fs::create_dir(&earlier).unwrap();
    fs::write(earlier.join("leads-1-9.g1.parquet"), "somebody").unwrap();
    for leftover in ["leads-1-9.g7.parquet", "manifest.unfinished", "manifest.building.json"] {
        fs::write(model(folder.path()).join(leftover), "half").unwrap();
    }
    let opened = Analytics::open_limited(folder.path(), SMALL).unwrap();
    assert_eq!(opened.checkpoint().unwrap().position, sealed);
    assert!(!earlier.exists(), "nobody reads the model of an earlier version");
    assert!(files(folder.path(), "leads").iter().all(|file| !file.ends_with("leads-1-9.g7.parquet")));
    let mut tables = projector(&world, opened);
    tables.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(rows(&tables.projection().reader().snapshot(), COUNTS), whole);
}

#[test]
fn small_files_become_few_and_rows_that_no_longer_count_go() {
    let world = random_world(22, 500);
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), Limits { pending_rows: 8, tail_rows: 8, ..SMALL });
    tables.seal().unwrap();
    let reader = tables.projection().reader();
    let (before, many) = (rows(&reader.snapshot(), COUNTS), files(folder.path(), "lead_events").len());
    let held = reader.snapshot();
    let mut tables = tables.into_projection();
    tables.compact_fully();
    assert_eq!(rows(&reader.snapshot(), COUNTS), before);
    assert_eq!(rows(&held, COUNTS), before, "who reads the old files goes on");
    drop(held);
    let few = files(folder.path(), "lead_events").len();
    assert!(few <= 8 && few < many, "{many} files became {few}");
    let leads = rows(&reader.snapshot(), "select count(*) as many from leads");
    assert_eq!(leads[0]["many"], before[0]["leads"]);
}

#[test]
fn damage_is_found_and_rebuilding_heals_it_while_reads_go_on() {
    let world = random_world(23, 300);
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), SMALL);
    tables.seal().unwrap();
    let whole = rows(&tables.projection().reader().snapshot(), COUNTS);
    drop(tables);
    // A changed byte in the middle: only the checksum tells.
    let victim = files(folder.path(), "interactions").remove(0);
    let mut bytes = fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&victim, &bytes).unwrap();
    let opened = Analytics::open(folder.path());
    if let Ok(opened) = &opened {
        let asked = written(&opened.reader().snapshot(), "acme", COUNTS, QueryLimits::default(), Format::Json);
        let error = asked.unwrap_err();
        assert!(matches!(&error, QueryError::Tables(AnalyticsError::Damaged { .. })), "{error:?}");
        assert!(error.to_string().contains("leadfold projections rebuild analytics"), "{error}");
        assert!(error.to_string().contains(victim.file_name().unwrap().to_str().unwrap()), "{error}");
    }
    drop(opened);
    let mut building = projector(&world, Analytics::begin_rebuild(folder.path()).unwrap());
    building.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(rows(&building.projection().reader().snapshot(), COUNTS), whole);
    drop(building);
    let healed = Analytics::open(folder.path()).unwrap();
    assert_eq!(healed.checkpoint().unwrap().position, event_log::EventLog::head(&world.log).position);
    assert_eq!(rows(&healed.reader().snapshot(), COUNTS), whole);
    assert!(!victim.exists(), "the old files are gone");
}

#[test]
fn missing_cut_and_foreign_files_are_named() {
    let world = random_world(24, 200);
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), SMALL);
    tables.seal().unwrap();
    drop(tables);
    let refused = |says: &str| {
        let error = Analytics::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("leadfold projections rebuild analytics"), "{error}");
    };
    let leads = files(folder.path(), "leads").remove(0);
    let bytes = fs::read(&leads).unwrap();
    fs::write(&leads, &bytes[..bytes.len() - 9]).unwrap();
    refused("bytes instead of");
    fs::remove_file(&leads).unwrap();
    refused("is missing");
    let manifest = model(folder.path()).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"format\": 1", "\"format\": 9", 1)).unwrap();
    refused("format 9");
    fs::write(&manifest, "{").unwrap();
    refused("manifest.json");
}

#[test]
fn a_rebuild_is_unseen_until_it_has_caught_up() {
    let world = random_world(25, 200);
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), SMALL);
    tables.seal().unwrap();
    let reader = tables.projection().reader();
    let before = rows(&reader.snapshot(), COUNTS);
    let mut building = projector(&world, Analytics::begin_rebuild(folder.path()).unwrap());
    assert_eq!(
        rows(&building.projection().reader().snapshot(), "select count(*) as many from leads"),
        [json!({ "many": 0 })]
    );
    building.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(rows(&reader.snapshot(), COUNTS), before, "the old files are read on");
    drop(building);
    drop(tables);
    assert_eq!(rows(&Analytics::open(folder.path()).unwrap().reader().snapshot(), COUNTS), before);
}
