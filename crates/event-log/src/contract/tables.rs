//! What every implementation of tables must do: each function's name says what.

#![expect(missing_docs, reason = "the names are whole sentences")]

use super::TablesHome;
use crate::position::LogPosition;
use crate::tables::{Message, RowChanges, Table, Tables, WriteBack};

/// A row to put or to delete, borrowed.
type Change<'a> = (Table, &'a [u8], Option<&'a [u8]>);

/// A write-back that brings the tables to `position` with these rows.
fn write_back(position: u64, rows: &[Change<'_>]) -> WriteBack {
    let mut write_back = WriteBack { position: LogPosition(position), ..WriteBack::default() };
    for (table, key, value) in rows {
        write_back.rows.set(*table, key, *value);
    }
    write_back
}

/// The key of the `number`th message: spread over the whole range, as hashes are.
#[must_use]
pub fn message_key(number: u64) -> u128 {
    let spread = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    spread ^ (spread >> 61)
}

/// The messages of the positions from `first` to `last`, sorted by key.
#[must_use]
pub fn messages(first: u64, last: u64) -> Vec<(u128, Message)> {
    let message = |it: u64| (message_key(it), Message { position: LogPosition(it), fingerprint: !it });
    let mut messages: Vec<_> = (first..=last).map(message).collect();
    messages.sort_unstable_by_key(|(key, _)| *key);
    messages
}

/// The positions that the messages of `first` to `last` are known with.
fn known(tables: &impl Tables, first: u64, last: u64) -> Vec<Option<u64>> {
    let keys: Vec<_> = (first..=last).map(message_key).collect();
    tables.find_messages(&keys).unwrap().into_iter().map(|it| it.map(|it| it.position.0)).collect()
}

pub fn new_tables_stand_before_the_first_record(home: &impl TablesHome) {
    let tables = home.open();
    assert_eq!(tables.position(), LogPosition::START);
    for table in Table::ALL {
        assert_eq!(tables.get(table, b"key").unwrap(), None);
        assert_eq!(tables.scan(table, b"", b"", 10).unwrap(), []);
    }
    assert_eq!(tables.find_messages(&[0, u128::MAX]).unwrap(), [None, None]);
    tables.flush().unwrap();
}

pub fn a_write_back_is_visible_at_once(home: &impl TablesHome) {
    let tables = home.open();
    tables.write_back(write_back(3, &[(Table::Books, b"a", Some(b"1")), (Table::Facts, b"", Some(b""))])).unwrap();
    assert_eq!(tables.position(), LogPosition(3));
    assert_eq!(tables.get(Table::Books, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(tables.get(Table::Facts, b"").unwrap().as_deref(), Some(&b""[..]));
    tables.write_back(write_back(4, &[])).unwrap();
    assert_eq!(tables.position(), LogPosition(4));
}

pub fn rows_are_overwritten_and_deleted(home: &impl TablesHome) {
    let tables = home.open();
    tables.write_back(write_back(1, &[(Table::Books, b"a", Some(b"1")), (Table::Books, b"b", Some(b"1"))])).unwrap();
    let changes = [(Table::Books, &b"a"[..], Some(&b"2"[..])), (Table::Books, b"b", None), (Table::Books, b"c", None)];
    tables.write_back(write_back(2, &changes)).unwrap();
    assert_eq!(tables.get(Table::Books, b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(tables.get(Table::Books, b"b").unwrap(), None);
    assert_eq!(tables.get(Table::Books, b"c").unwrap(), None);
    assert_eq!(tables.scan(Table::Books, b"", b"", 10).unwrap().len(), 1);
    tables.write_back(write_back(3, &[(Table::Books, b"b", Some(b"3"))])).unwrap();
    assert_eq!(tables.get(Table::Books, b"b").unwrap().as_deref(), Some(&b"3"[..]));
}

pub fn tables_keep_their_rows_apart(home: &impl TablesHome) {
    let tables = home.open();
    let own = Table::ALL.into_iter().filter(|table| *table != Table::Messages);
    let rows: Vec<_> = own.clone().map(|table| (table, &b"key"[..], Some(table.name().as_bytes()))).collect();
    tables.write_back(write_back(1, &rows)).unwrap();
    for table in own {
        assert_eq!(tables.get(table, b"key").unwrap().as_deref(), Some(table.name().as_bytes()));
        assert_eq!(tables.scan(table, b"", b"", 10).unwrap().len(), 1);
    }
}

pub fn several_rows_are_found_in_the_order_of_their_keys(home: &impl TablesHome) {
    let tables = home.open();
    let keys: Vec<_> = (0..500_u32).map(|it| (it * 2).to_be_bytes()).collect();
    let rows: Vec<_> = keys.iter().map(|key| (Table::Identifiers, &key[..], Some(&key[..]))).collect();
    tables.write_back(write_back(1, &rows)).unwrap();

    let wanted: Vec<_> = (0..1_000_u32).rev().chain([4, 4]).map(u32::to_be_bytes).collect();
    let found = tables.get_many(Table::Identifiers, &wanted.iter().map(|it| &it[..]).collect::<Vec<_>>()).unwrap();
    let expected = wanted.iter().map(|it| (u32::from_be_bytes(*it) % 2 == 0).then(|| it.to_vec()));
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert_eq!(tables.get_many(Table::Identifiers, &[]).unwrap(), Vec::<Option<Vec<u8>>>::new());
}

pub fn a_scan_keeps_its_bounds_order_and_limit(home: &impl TablesHome) {
    let tables = home.open();
    let rows = [&b"c"[..], b"a", b"ba", b"b", b"\xff\xff"].map(|key| (Table::Deadlines, key, Some(&b""[..])));
    tables.write_back(write_back(1, &rows)).unwrap();
    let scan = |from: &[u8], until: &[u8], limit| {
        let rows = tables.scan(Table::Deadlines, from, until, limit).unwrap();
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(scan(b"", b"", 10), [&b"a"[..], b"b", b"ba", b"c", b"\xff\xff"]);
    assert_eq!(scan(b"b", b"c", 10), [&b"b"[..], b"ba"]);
    assert_eq!(scan(b"b\0", b"", 2), [&b"ba"[..], b"c"]);
    assert_eq!(scan(b"", b"c", 1), [&b"a"[..]]);
    assert_eq!(scan(b"", b"", 0), Vec::<Vec<u8>>::new());
    assert_eq!(scan(b"b", b"b", 10), Vec::<Vec<u8>>::new());
    assert_eq!(scan(b"c", b"a", 10), Vec::<Vec<u8>>::new());
    assert_eq!(scan(b"d", b"e", 10), Vec::<Vec<u8>>::new());
}

pub fn messages_are_found_with_position_and_fingerprint(home: &impl TablesHome) {
    let tables = home.open();
    let extremes = [(0, 1, u64::MAX), (7, u64::MAX, 0), (u128::MAX, 3, 4)];
    let message = |(key, position, fingerprint)| (key, Message { position: LogPosition(position), fingerprint });
    let messages = extremes.map(message);
    let changes = WriteBack { position: LogPosition(3), rows: RowChanges::default(), messages: messages.to_vec() };
    tables.write_back(changes).unwrap();
    let found = tables.find_messages(&[u128::MAX, 1, 7, 0, 7]).unwrap();
    assert_eq!(found, [Some(messages[2].1), None, Some(messages[1].1), Some(messages[0].1), Some(messages[1].1)]);
}

pub fn messages_are_found_across_many_write_backs(home: &impl TablesHome) {
    let tables = home.open();
    let mut last = 0;
    for count in [1, 10, 2_000, 0, 3, 130_000, 1, 110_000, 500, 1, 1, 1] {
        let messages = messages(last + 1, last + count);
        last += count;
        tables.write_back(WriteBack { position: LogPosition(last), rows: RowChanges::default(), messages }).unwrap();
        assert_eq!(known(&tables, last, last + 1), [(last > 0).then_some(last), None]);
    }
    assert_eq!(known(&tables, 1, last), (1..=last).map(Some).collect::<Vec<_>>());
    assert_eq!(known(&tables, last + 1, 2 * last), vec![None; usize::try_from(last).unwrap()]);
}

pub fn messages_may_come_ahead_of_their_write_back(home: &impl TablesHome) {
    let tables = home.open();
    let mut last = 0;
    for count in [1, 0, 2_000, 120_000, 1] {
        let messages = tables.add_messages(messages(last + 1, last + count)).unwrap();
        assert_eq!(tables.position(), LogPosition(last), "only a write-back moves the position");
        last += count;
        tables.write_back(WriteBack { position: LogPosition(last), rows: RowChanges::default(), messages }).unwrap();
        assert_eq!(known(&tables, 1, last + 1), (1..=last).map(Some).chain([None]).collect::<Vec<_>>());
    }
}

pub fn a_message_written_again_has_its_last_value(home: &impl TablesHome) {
    let tables = home.open();
    for position in 1..=4 {
        let message = Message { position: LogPosition(position), fingerprint: position };
        let messages = vec![(5, message), (6, message)];
        tables
            .write_back(WriteBack { position: LogPosition(position), rows: RowChanges::default(), messages })
            .unwrap();
        assert_eq!(tables.find_messages(&[6, 5]).unwrap(), [Some(message), Some(message)]);
    }
}

pub fn no_messages_are_looked_for(home: &impl TablesHome) {
    let tables = home.open();
    let changes = WriteBack { position: LogPosition(1), rows: RowChanges::default(), messages: messages(1, 1) };
    tables.write_back(changes).unwrap();
    assert_eq!(tables.find_messages(&[]).unwrap(), []);
}

pub fn flushed_write_backs_survive_a_crash(home: &impl TablesHome) {
    let tables = home.open();
    let mut changes = write_back(9, &[(Table::Books, b"a", Some(b"1")), (Table::Orders, b"b", Some(b"2"))]);
    changes.messages = messages(1, 9);
    tables.write_back(changes).unwrap();
    tables.flush().unwrap();
    let tables = home.crash(tables);
    assert_eq!(tables.position(), LogPosition(9));
    assert_eq!(tables.get(Table::Books, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(tables.get(Table::Orders, b"b").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(known(&tables, 1, 10), (1..=9).map(Some).chain([None]).collect::<Vec<_>>());
}

/// Writes back five records at a time, from the tables' position up to `until`. After it every row of every table
/// holds the position, and every message up to it is known.
pub fn write_back_until(tables: &impl Tables, until: LogPosition) {
    let mut position = tables.position().0;
    while position < until.0 {
        let next = (position + 5).min(until.0);
        tables.write_back(step(position, next)).unwrap();
        position = next;
    }
}

/// The changes between two positions: as [`check_whole`] expects them.
#[must_use]
pub fn step(from: u64, to: u64) -> WriteBack {
    let own = Table::ALL.into_iter().filter(|table| *table != Table::Messages);
    let mut rows = RowChanges::default();
    own.for_each(|table| rows.set(table, b"at", Some(&to.to_be_bytes())));
    rows.set(Table::Deadlines, &to.to_be_bytes(), Some(&[]));
    rows.set(Table::Deadlines, &from.to_be_bytes(), None);
    WriteBack { position: LogPosition(to), rows, messages: messages(from + 1, to) }
}

/// Checks that the tables are exactly as the [`step`]s up to their position left them.
pub fn check_whole(tables: &impl Tables) {
    let position = tables.position().0;
    let expected = (position > 0).then(|| position.to_be_bytes().to_vec());
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Messages) {
        assert_eq!(tables.get(table, b"at").unwrap(), expected, "{} at {position}", table.name());
    }
    let deadlines = tables.scan(Table::Deadlines, &[0], &[1], usize::MAX).unwrap();
    let expected: Vec<_> = expected.into_iter().map(|key| (key, Vec::new())).collect();
    assert_eq!(deadlines, expected);
    assert_eq!(known(tables, 1, position), (1..=position).map(Some).collect::<Vec<_>>());
}

pub fn a_crash_leaves_what_some_write_back_left(home: &impl TablesHome) {
    let mut tables = home.open();
    let mut flushed = LogPosition::START;
    for round in 1..=6 {
        write_back_until(&tables, LogPosition(round * 40 - 17));
        if round % 2 == 0 {
            tables.flush().unwrap();
            flushed = tables.position();
        }
        write_back_until(&tables, LogPosition(round * 40));
        check_whole(&tables);
        tables = home.crash(tables);
        assert!(tables.position() >= flushed);
        check_whole(&tables);
    }
}

pub fn tables_go_on_after_a_crash(home: &impl TablesHome) {
    let tables = home.open();
    write_back_until(&tables, LogPosition(100));
    let tables = home.crash(tables);
    write_back_until(&tables, LogPosition(150));
    tables.flush().unwrap();
    let tables = home.crash(tables);
    assert_eq!(tables.position(), LogPosition(150));
    check_whole(&tables);
}
