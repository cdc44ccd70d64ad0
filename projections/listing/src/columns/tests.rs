//! Many chunks, changed at random, against a plain evaluation.

use std::collections::BTreeMap;

use event_log::LogPosition;
use lead_domain::Name;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::chunk::CHUNK_ROWS;
use super::*;
use crate::query::{After, Direction, LeadSort, Span};

const KEYS: [SortKey; 5] =
    [SortKey::LastInteractionAt, SortKey::Score, SortKey::OpenedAt, SortKey::ClosedAt, SortKey::Value];
const WORDS: [&str; 5] = ["red", "green", "blue", "yellow", "white"];

fn any_entry(random: &mut ChaCha8Rng, id: i64) -> Entry<Name> {
    // Few numbers, so that ties are many, and numbers that grow with the id, so that chunks can be passed over.
    let mut number = |at: i64| random.random_bool(0.8).then(|| at + random.random_range(-9..9));
    let numbers = [number(id), number(0), number(id / 100), number(-id), number(7)];
    let texts = [(); TEXTS].map(|()| random.random_bool(0.8).then(|| Name::from(*WORDS.choose(random).unwrap())));
    Entry { id, visitor: id / 3, tenant: u32::from(random.random_bool(0.9)), numbers, texts }
}

fn plainly(rows: &BTreeMap<i64, Entry<Name>>, wanted: &Wanted) -> Vec<Entry<Name>> {
    let matches = |entry: &&Entry<Name>| {
        let text = |column: TextColumn| entry.texts[column as usize].as_deref();
        let within = |(key, span): &(SortKey, Span)| {
            entry.numbers[*key as usize].is_some_and(|number| {
                span.from.is_none_or(|from| number >= from) && span.to.is_none_or(|to| number < to)
            })
        };
        entry.tenant == wanted.tenant
            && wanted.is_open.is_none_or(|is_open| text(TextColumn::CloseCause).is_none() == is_open)
            && wanted
                .texts
                .iter()
                .all(|(column, values)| text(*column).is_some_and(|text| values.iter().any(|value| value == text)))
            && wanted.ranges.iter().all(within)
            && wanted.visitors.as_ref().is_none_or(|visitors| visitors.contains(&entry.visitor))
    };
    rows.values().filter(matches).cloned().collect()
}

fn any_wanted(random: &mut ChaCha8Rng, rows: i64) -> Wanted {
    let mut wanted = Wanted { tenant: 1, ..Wanted::default() };
    if random.random_bool(0.5) {
        let columns = [TextColumn::LeadType, TextColumn::Campaign, TextColumn::Temperature, TextColumn::CloseCause];
        let values = ["red", "green", "black", "blue"].into_iter().take(random.random_range(1..5));
        wanted.texts.push((*columns.choose(random).unwrap(), values.map(ToOwned::to_owned).collect()));
    }
    wanted.is_open = *[None, None, Some(true), Some(false)].choose(random).unwrap();
    if random.random_bool(0.5) {
        let (from, to) = (random.random_range(-rows..rows), random.random_range(-rows..rows));
        let span = Span { from: random.random_bool(0.5).then_some(from), to: random.random_bool(0.5).then_some(to) };
        wanted.ranges.push((*KEYS.choose(random).unwrap(), span));
    }
    if random.random_bool(0.2) {
        wanted.visitors = Some((0..rows / 3).filter(|visitor| visitor % 7 == 0).collect());
    }
    wanted
}

fn assert_finds_the_same(columns: &LeadColumns, rows: &BTreeMap<i64, Entry<Name>>, random: &mut ChaCha8Rng) {
    let wanted = any_wanted(random, i64::try_from(rows.len()).unwrap());
    let key = *KEYS.choose(random).unwrap();
    let direction = *[Direction::Ascending, Direction::Descending].choose(random).unwrap();
    let mut expected: Vec<After> = plainly(rows, &wanted)
        .into_iter()
        .map(|entry| After { value: entry.numbers[key as usize], id: entry.id })
        .collect();
    let turn = if direction == Direction::Ascending { 1 } else { -1 };
    expected.sort_by_key(|row| (row.value.is_none(), row.value.unwrap_or_default() * turn, row.id * turn));
    assert_eq!(columns.count(&wanted), expected.len() as u64, "{wanted:?}");
    let sort = LeadSort { key, direction };
    let most = random.random_range(1..60);
    // The first page, and one from somewhere on.
    for from in [0, random.random_range(0..=expected.len())] {
        let after = from.checked_sub(1).map(|last| expected[last]);
        let found = columns.first(&wanted, Place { sort, after }, most);
        let page = expected.iter().skip(from).take(most).copied().collect::<Vec<_>>();
        assert_eq!(found, page, "{wanted:?} {sort:?} from {from}");
    }
}

#[test]
fn a_pass_over_the_columns_finds_what_a_plain_evaluation_finds() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut columns = LeadColumns::at(LogPosition(1));
    let mut rows = BTreeMap::new();
    for id in (0..2 * CHUNK_ROWS as i64 + 100).map(|number| number * 2) {
        let entry = any_entry(&mut random, id);
        columns.read(&entry);
        rows.insert(id, entry);
    }
    for commit in 1..40 {
        let ids = (0..400).map(|_| random.random_range(0..20_000)).collect::<Vec<i64>>();
        let entries: Vec<_> = ids.into_iter().map(|id| any_entry(&mut random, id)).collect();
        rows.extend(entries.iter().map(|entry| (entry.id, entry.clone())));
        let (after, position) = (LogPosition(commit), LogPosition(commit + 1));
        columns.apply(&Change { after, position, entries });
        for _ in 0..8 {
            assert_finds_the_same(&columns, &rows, &mut random);
        }
    }
    assert!(columns.chunks.len() > 4, "some leads are new");
    assert_eq!(columns.chunks.iter().map(Chunk::len).sum::<usize>(), rows.len());
}

#[test]
fn whoever_sees_a_commit_first_takes_it_in_and_a_missed_one_is_read_anew() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let shared = SharedColumns::default();
    let never = || -> Result<LeadColumns, ()> { panic!("the columns are known") };
    let change = |after: u64, random: &mut ChaCha8Rng| Change {
        after: LogPosition(after),
        position: LogPosition(after + 1),
        entries: vec![Entry { tenant: 1, ..any_entry(random, after.cast_signed()) }],
    };
    let all = Wanted { tenant: 1, ..Wanted::default() };
    assert_eq!(shared.at(LogPosition::START, never).unwrap().unwrap().count(&all), 0);
    assert!(!shared.is_wanted());
    // A reader sees the commit before the writer is back from it.
    shared.announce(change(0, &mut random));
    assert_eq!(shared.at(LogPosition(1), never).unwrap().unwrap().count(&all), 1);
    shared.settle();
    assert_eq!(shared.at(LogPosition(1), never).unwrap().unwrap().count(&all), 1);
    // The writer is first, and a transaction from before the commit is outrun.
    shared.announce(change(1, &mut random));
    shared.settle();
    assert!(shared.at(LogPosition(1), never).unwrap().is_none());
    assert_eq!(shared.at(LogPosition(2), never).unwrap().unwrap().count(&all), 2);
    // A commit that failed leaves everything as it was.
    shared.announce(change(2, &mut random));
    shared.withdraw();
    assert_eq!(shared.at(LogPosition(2), never).unwrap().unwrap().count(&all), 2);
    // One that was not announced is read.
    let read = || Ok::<_, ()>(LeadColumns::at(LogPosition(3)));
    assert_eq!(shared.at(LogPosition(3), read).unwrap().unwrap().count(&all), 0);
    assert!(shared.is_wanted());
    shared.announce(change(4, &mut random));
    shared.settle();
    let read = || Ok::<_, ()>(LeadColumns::at(LogPosition(5)));
    assert_eq!(shared.at(LogPosition(5), read).unwrap().unwrap().count(&all), 0, "it missed a commit");
}
