//! The contract of projections, and when indexes are made.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use event_log::{LogPosition, Record};
use lead_domain::{Event, VisitorId};
use listing::{LeadQuery, Listing, ListingReader, LoadLimits};
use projector::contract::{self, ModelHome, Story};
use projector::{Projector, ProjectorError, Recorded};
use proto_events::InputFacts;
use proto_events::stored;

use crate::histories::random_world;
use crate::world::{ACME, World, found, touch};

/// Models in folders of their own.
struct Folders(tempfile::TempDir, LoadLimits);

impl Folders {
    fn new(limits: LoadLimits) -> Self {
        Self(tempfile::tempdir().unwrap(), limits)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl ModelHome for Folders {
    type Projection = Listing;

    fn open(&self, name: &str) -> Listing {
        Listing::open_limited(&self.folder(name), self.1).unwrap()
    }

    fn dump(&self, listing: &Listing) -> String {
        listing.reader().unwrap().canonical_dump().unwrap()
    }
}

#[test]
fn the_listing_keeps_the_contract_of_projections() {
    let folders = Folders::new(LoadLimits::default());
    contract::holds(&folders, &random_world(3, 150).story());
    let names = std::fs::read_dir(folders.0.path()).unwrap().count();
    assert!(names > 100, "every record was crashed at: {names}");
}

/// Every model is loaded, and hardly any row fits into memory.
const LOADED: LoadLimits = LoadLimits { records_min: 1, rows_max: 3 };

#[test]
fn a_listing_that_is_loaded_keeps_the_contract_too() {
    contract::holds(&Folders::new(LOADED), &random_world(3, 100).story());
}

#[test]
fn a_loaded_model_is_the_followed_one_whatever_fits_into_memory() {
    let world = random_world(7, 600);
    let followed = world.followed().canonical_dump().unwrap();
    for rows_max in [1, 3, 40, 100_000] {
        let folder = Folders::new(LoadLimits { records_min: 1, rows_max });
        let story = world.story();
        let listing = folder.open("loaded");
        let mut projector = Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), listing).unwrap();
        projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
        assert!(folder.dump(projector.projection()) == followed, "with {rows_max} rows in memory");
    }
}

/// Hands records over up to `until`, without their personal parts.
fn take_fresh(projector: &mut Projector<Listing>, story: &Story, until: LogPosition) {
    let visit = &mut |record: Record<'_>| {
        let facts = stored::decode_facts(record.header.codec, record.facts).unwrap();
        let (header, input) = (&record.header, facts.input.as_input());
        projector.take_fresh(&Recorded { header, input, events: &facts.events, personal: None }, record.chain).unwrap();
        if record.header.position < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    story.log.read(LogPosition(1), visit).unwrap();
}

#[test]
fn a_load_that_fails_begins_anew() {
    let world = random_world(7, 200);
    let story = world.story();
    let folder = Folders::new(LOADED);
    let mut projector =
        Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), folder.open("loaded")).unwrap();
    // Some records are in the file when one comes that doesn't fit, and an erasure is never left out.
    projector.expect(1_000_000).unwrap();
    take_fresh(&mut projector, &story, LogPosition(100));
    let bytes = story.log.get(LogPosition(101)).unwrap().unwrap();
    let record = Record::read(&bytes).unwrap();
    let events = [Event::VisitorErased { visitor: VisitorId(9_999), members: vec![VisitorId(9_999)] }];
    let misfit = InputFacts::Tick;
    let recorded = Recorded { header: &record.header, input: misfit.as_input(), events: &events, personal: None };
    let unfit = projector.take_fresh(&recorded, record.chain).unwrap_err();
    assert!(matches!(unfit, ProjectorError::Unfit { position: LogPosition(101), .. }), "{unfit}");
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert!(folder.dump(projector.projection()) == world.followed().canonical_dump().unwrap());
}

#[test]
fn a_load_is_unseen_until_its_end_and_a_crash_begins_it_anew() {
    let world = random_world(7, 200);
    let story = world.story();
    let folder = Folders::new(LOADED);
    let data = folder.folder("loaded");
    let projector = || Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), folder.open("loaded")).unwrap();
    let mut cut_short = projector();
    cut_short.expect(1_000_000).unwrap();
    take_fresh(&mut cut_short, &story, LogPosition(story.log.head().position.0 / 2));
    let seen = |what: &str| {
        assert_eq!(ListingReader::open(&data).unwrap().position().unwrap(), LogPosition::START, "{what}");
    };
    seen("while it is loaded");
    drop(cut_short);
    seen("after a crash");
    let mut whole = projector();
    whole.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert!(folder.dump(whole.projection()) == world.followed().canonical_dump().unwrap());
    let files = std::fs::read_dir(data.join("projections")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains("building")), "{names:?}");
}

#[test]
fn a_model_of_another_log_is_refused() {
    let mut world = World::new();
    world.happens(touch(1).cookie("a"));
    world.followed();
    let mut other = World::new();
    other.happens(touch(2).cookie("b"));
    let listing = Listing::open(world.folder.path()).unwrap();
    let refused = Projector::new(Arc::new(other.log.clone()), Arc::clone(&other.vault), listing).err().unwrap();
    assert!(matches!(refused, ProjectorError::OtherLog { .. }));
    assert!(refused.to_string().contains("leadfold projections rebuild listing"), "{refused}");
}

#[test]
fn a_wrong_key_vault_is_named_and_nothing_is_lost() {
    let mut world = World::new();
    world.happens(touch(1).cookie("a").email("anna@example.com"));
    let empty = Arc::new(key_vault::KeyVault::in_memory(key_vault::MasterKey::from_bytes([1; 32])));
    let listing = Listing::open(world.folder.path()).unwrap();
    let mut projector = Projector::new(Arc::new(world.log.clone()), empty, listing).unwrap();
    let error = projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ProjectorError::KeyMissing { position: LogPosition(2), key: 1 }), "{error}");
    drop(projector);
    assert_eq!(found(&world.followed(), &[]), ["V1-1"]);
}

#[test]
fn a_rebuild_stands_beside_and_then_takes_the_place() {
    let mut world = World::new();
    world.happens(touch(1).cookie("a").email("anna@example.com"));
    let before = world.followed();
    world.happens(touch(2).cookie("b"));
    let story = world.story();
    let data = world.folder.path();
    let rebuilt = Listing::begin_rebuild(data).unwrap();
    let mut projector = Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), rebuilt).unwrap();
    assert_eq!(ListingReader::open(data).unwrap().position().unwrap(), LogPosition(2), "the old one is in use");
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(projector.projection().position(), story.log.head().position);
    assert_eq!(found(&ListingReader::open(data).unwrap(), &[]), ["V2-1", "V1-1"]);
    assert_eq!(found(&before, &[]), ["V1-1"], "who has the old one open reads on");
    let files: Vec<_> = std::fs::read_dir(data.join("projections")).unwrap().collect();
    assert!(files.iter().all(|file| !file.as_ref().unwrap().file_name().to_string_lossy().contains("building")));
}

/// Makes the file what it is in the middle of loading many records.
fn take_indexes_away(world: &World) {
    let file = world.folder.path().join("projections/listing-v7.sqlite");
    let connection = rusqlite::Connection::open(file).unwrap();
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%INDEX%' AND name <> 'duplicates_by_other'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(names.len() > 5);
    for name in names {
        connection.execute_batch(&format!("DROP INDEX {name}")).unwrap();
    }
    let rest = "DROP TRIGGER contact_search_insert; DROP TRIGGER contact_search_update; DROP TABLE contact_search;
                UPDATE state SET phase = 'loading'";
    connection.execute_batch(rest).unwrap();
}

#[test]
fn a_load_that_was_cut_short_answers_the_same_and_gets_its_indexes_later() {
    let mut world = random_world(5, 300);
    let reader = world.followed();
    let leads = reader.leads(&LeadQuery::new(ACME)).unwrap().items;
    let email = leads.iter().find_map(|lead| lead.contact.email.clone()).unwrap();
    let queries: [&[(&str, &str)]; 5] = [
        &[("limit", "500")],
        &[("q", &email[1..9])],
        &[("email", &email)],
        &[("sort", "value"), ("lead_type", "tablets"), ("limit", "500")],
        &[("sort", "-closed_at"), ("channel", "web"), ("limit", "500")],
    ];
    let answers = |reader: &ListingReader| queries.map(|query| found(reader, query));
    let indexed = answers(&reader);
    assert!(indexed.iter().all(|answer| !answer.is_empty()));
    take_indexes_away(&world);
    assert_eq!(answers(&ListingReader::open(world.folder.path()).unwrap()), indexed);
    world.happens(touch(2_000).channel("fax").cookie("new").named("Berta the second"));
    assert_eq!(answers(&world.followed()), indexed);
    world.happens(touch(2_001).channel("web").cookie("new"));
    assert_eq!(found(&world.followed(), &[("q", "berta the second")]).len(), 1);
}
