//! Damaged, foreign and busy files.

use std::fs;
use std::path::PathBuf;

use listing::{Listing, ListingError, ListingReader};

use crate::world::{ACME, World, found, touch};

fn file_of(world: &World) -> PathBuf {
    world.folder.path().join("projections/listing-v7.sqlite")
}

fn some_world() -> World {
    let mut world = World::new();
    for number in 0..400 {
        world.happens(touch(number).cookie(&format!("cookie {number}")).email(&format!("{number}@example.com")));
    }
    drop(world.followed());
    world
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_the_error_says_what_to_do() {
    let world = some_world();
    fs::write(file_of(&world), b"this is no database, and it is long enough to be read as a header of one".repeat(9))
        .unwrap();
    for error in
        [Listing::open(world.folder.path()).unwrap_err(), ListingReader::open(world.folder.path()).unwrap_err()]
    {
        assert!(matches!(error, ListingError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("leadfold projections rebuild listing"), "{error}");
    }
}

#[test]
fn damage_in_the_middle_is_found_when_it_is_read() {
    let world = some_world();
    let mut bytes = fs::read(file_of(&world)).unwrap();
    let length = bytes.len();
    for place in (8_192..length).step_by(512) {
        bytes[place..(place + 256).min(length)].fill(0xA5);
    }
    fs::write(file_of(&world), bytes).unwrap();
    let opened = ListingReader::open(world.folder.path());
    let error = opened.and_then(|reader| reader.canonical_dump()).unwrap_err();
    assert!(matches!(error, ListingError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_truncated_file_is_damaged() {
    let world = some_world();
    let file = fs::OpenOptions::new().write(true).open(file_of(&world)).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let opened = ListingReader::open(world.folder.path());
    let error = opened.and_then(|reader| reader.canonical_dump()).unwrap_err();
    assert!(matches!(error, ListingError::Damaged { .. }), "{error:?}");
}

#[test]
fn foreign_and_other_versions_databases_are_not_touched() {
    let world = World::new();
    let path = file_of(&world);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    drop(foreign);
    let error = Listing::open(world.folder.path()).unwrap_err();
    assert!(matches!(error, ListingError::Foreign { .. }), "{error:?}");
    fs::remove_file(&path).unwrap();
    drop(Listing::open(world.folder.path()).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Listing::open(world.folder.path()).unwrap_err();
    assert!(matches!(error, ListingError::OtherVersion { found: 99, .. }), "{error:?}");
}

#[test]
fn a_missing_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = ListingReader::open(folder.path()).unwrap_err();
    assert!(matches!(error, ListingError::Missing { .. }), "{error:?}");
}

#[test]
fn a_reader_sees_commits_while_the_writer_goes_on() {
    let mut world = World::new();
    let mut projector = world.projector();
    world.happens(touch(1).cookie("a"));
    projector.catch_up(world.story().log.head().position, &mut |_| {}).unwrap();
    let reader = ListingReader::open(world.folder.path()).unwrap();
    assert_eq!(found(&reader, &[]), ["V1-1"]);
    world.happens(touch(2).cookie("b"));
    assert_eq!(projector.lag(), 1);
    projector.catch_up(world.story().log.head().position, &mut |_| {}).unwrap();
    assert_eq!(found(&reader, &[]), ["V2-1", "V1-1"]);
    assert_eq!(reader.counts(ACME).unwrap().1, projector.checkpoint());
}

#[test]
fn what_earlier_versions_left_is_removed_and_the_model_is_built_from_the_log() {
    let mut world = World::new();
    world.happens(touch(1).cookie("a"));
    let folder = world.folder.path().join("projections");
    fs::create_dir_all(&folder).unwrap();
    let earlier = [
        "listing-v1.sqlite",
        "listing-v1.sqlite-wal",
        "listing-v2.sqlite",
        "listing-v2.building.sqlite",
        "listing-v3.sqlite",
    ];
    for name in earlier {
        fs::write(folder.join(name), b"of an earlier version").unwrap();
    }
    assert_eq!(found(&world.followed(), &[]), ["V1-1"]);
    let names = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| !name.starts_with("listing-v7.sqlite")).collect();
    assert_eq!(left, Vec::<String>::new());
}
