//! What every log must do: each function's name says what.

#![expect(missing_docs, reason = "the names are whole sentences")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{LogHome, batch_of, batch_of_many};
use crate::log::{EventLog, Head, LogError};
use crate::position::LogPosition;

/// More than any test waits for what must happen.
const LONG: Duration = Duration::from_secs(60);

/// Appends the batch that these facts make behind the head.
fn append(log: &impl EventLog, facts: &[&[u8]]) {
    log.append(&batch_of(log.head(), facts)).unwrap();
}

/// All records from `from` on: position, facts, personal part.
fn records(log: &impl EventLog, from: u64) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    log.read(LogPosition(from), &mut |record| {
        found.push((record.header.position.0, record.facts.to_vec(), record.personal.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// Reads the whole log and checks that it is dense and its chain unbroken up to the head.
pub fn check_chain(log: &impl EventLog) {
    let at_least = log.head();
    let mut before = Head::default();
    let last = log.read(LogPosition(1), &mut |record| {
        record.follows(before.position.next(), before.chain).unwrap();
        before = Head { position: record.header.position, chain: record.chain };
        ControlFlow::Continue(())
    });
    assert_eq!(last.unwrap(), before.position);
    assert!(before.position >= at_least.position);
}

pub fn an_empty_log_has_no_records(home: &impl LogHome) {
    let log = home.open();
    assert_eq!(log.head(), Head::default());
    assert_eq!(records(&log, 0), []);
    assert_eq!(log.read(LogPosition(1), &mut |_| ControlFlow::Continue(())).unwrap(), LogPosition::START);
    assert_eq!(log.read(LogPosition(9), &mut |_| ControlFlow::Continue(())).unwrap(), LogPosition(8));
    assert_eq!(log.get(LogPosition(0)).unwrap(), None);
    assert_eq!(log.get(LogPosition(1)).unwrap(), None);
    assert_eq!(log.meta("watermark").unwrap(), None);
}

pub fn appended_records_are_read_back_in_order(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one", b"", b"three"]);
    let personal = |position: u64| position.to_be_bytes().to_vec();
    let expected =
        [(1, b"one".to_vec(), personal(1)), (2, Vec::new(), personal(2)), (3, b"three".to_vec(), personal(3))];
    assert_eq!(records(&log, 1), expected);
    assert_eq!(records(&log, 0), expected);
    check_chain(&log);
}

pub fn positions_are_dense_over_many_batches(home: &impl LogHome) {
    let log = home.open();
    for count in 0..40 {
        let batch = batch_of_many(log.head(), count);
        log.append(&batch).unwrap();
        assert_eq!(log.head(), batch.head());
    }
    let positions: Vec<_> = records(&log, 1).into_iter().map(|(position, ..)| position).collect();
    assert_eq!(positions, (1..=780).collect::<Vec<_>>());
    check_chain(&log);
}

pub fn one_record_is_found_by_its_position(home: &impl LogHome) {
    let log = home.open();
    let batch = batch_of(log.head(), &[b"one", b"two"]);
    log.append(&batch).unwrap();
    let expected: Vec<_> = batch.records().collect();
    assert_eq!(log.get(LogPosition(0)).unwrap(), None);
    assert_eq!(log.get(LogPosition(1)).unwrap().as_deref(), Some(expected[0]));
    assert_eq!(log.get(LogPosition(2)).unwrap().as_deref(), Some(expected[1]));
    assert_eq!(log.get(LogPosition(3)).unwrap(), None);
    assert_eq!(log.get(LogPosition(u64::MAX)).unwrap(), None);
}

pub fn a_batch_that_does_not_continue_the_head_changes_nothing(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one", b"two"]);
    let head = log.head();
    for after in [0, 1, 3] {
        let mut batch = batch_of(Head { position: LogPosition(after), chain: head.chain }, &[b"elsewhere"]);
        batch.meta.push(("watermark".into(), b"elsewhere".to_vec()));
        let error = log.append(&batch).unwrap_err();
        assert!(
            matches!(error, LogError::NotAtHead { after: said, head: LogPosition(2) } if said.0 == after),
            "{error:?}"
        );
    }
    assert_eq!(log.head(), head);
    assert_eq!(records(&log, 1).len(), 2);
    assert_eq!(log.meta("watermark").unwrap(), None);
    append(&log, &[b"three"]);
    check_chain(&log);
}

pub fn a_batch_comes_back_as_a_whole_after_a_crash(home: &impl LogHome) {
    let mut log = home.open();
    for round in 1..=3_u64 {
        let mut batch = batch_of_many(log.head(), 500);
        batch.meta.push(("watermark".into(), round.to_be_bytes().to_vec()));
        log.append(&batch).unwrap();
        log = home.crash(log);
        assert_eq!(log.head(), batch.head());
        assert_eq!(log.meta("watermark").unwrap(), Some(round.to_be_bytes().to_vec()));
        assert_eq!(records(&log, 1).len() as u64, 500 * round);
    }
    check_chain(&log);
}

pub fn meta_comes_with_its_batch(home: &impl LogHome) {
    let log = home.open();
    let mut batch = batch_of(log.head(), &[b"one"]);
    batch.meta = vec![("watermark".into(), vec![1]), ("clock".into(), Vec::new())];
    log.append(&batch).unwrap();
    assert_eq!(log.meta("watermark").unwrap(), Some(vec![1]));
    assert_eq!(log.meta("clock").unwrap(), Some(Vec::new()));

    let mut batch = batch_of(log.head(), &[b"two"]);
    batch.meta = vec![("watermark".into(), vec![2])];
    log.append(&batch).unwrap();
    assert_eq!(log.meta("watermark").unwrap(), Some(vec![2]));
    assert_eq!(log.meta("clock").unwrap(), Some(Vec::new()));
    assert_eq!(log.meta("water").unwrap(), None);
}

pub fn a_batch_may_hold_meta_alone(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one"]);
    let head = log.head();
    let mut batch = batch_of(head, &[]);
    batch.meta.push(("watermark".into(), vec![7]));
    log.append(&batch).unwrap();
    assert_eq!(log.head(), head);
    let log = home.crash(log);
    assert_eq!(log.head(), head);
    assert_eq!(log.meta("watermark").unwrap(), Some(vec![7]));
}

pub fn reading_starts_in_the_middle_and_stops_when_told(home: &impl LogHome) {
    let log = home.open();
    log.append(&batch_of_many(log.head(), 3_000)).unwrap();
    assert_eq!(records(&log, 2_999).iter().map(|it| it.0).collect::<Vec<_>>(), [2_999, 3_000]);
    assert_eq!(records(&log, 3_001), []);

    let mut seen = Vec::new();
    let last = log.read(LogPosition(1_500), &mut |record| {
        seen.push(record.header.position.0);
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(last.unwrap(), LogPosition(1_502));
    assert_eq!(seen, [1_500, 1_501, 1_502]);
}

pub fn a_reader_sees_the_head_as_it_was_at_the_call(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one", b"two"]);
    let mut seen = Vec::new();
    let last = log.read(LogPosition(1), &mut |record| {
        seen.push(record.header.position.0);
        append(&log, &[b"later"]);
        ControlFlow::Continue(())
    });
    assert_eq!(last.unwrap(), LogPosition(2));
    assert_eq!(seen, [1, 2]);
    assert_eq!(log.head().position, LogPosition(4));
}

pub fn a_waiting_reader_wakes_up_when_the_head_moves(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one"]);
    assert_eq!(log.wait_beyond(LogPosition(0), LONG), log.head());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait_beyond(LogPosition(2), LONG));
        append(&log, &[b"two"]);
        append(&log, &[b"three", b"four"]);
        assert_eq!(waiting.join().unwrap().position, LogPosition(4));
    });
}

pub fn waiting_ends_when_its_limit_has_passed(home: &impl LogHome) {
    let log = home.open();
    append(&log, &[b"one"]);
    assert_eq!(log.wait_beyond(LogPosition(1), Duration::ZERO), log.head());
    assert_eq!(log.wait_beyond(LogPosition(1), Duration::from_millis(5)), log.head());
}

pub fn readers_beside_a_writer_see_no_gap(home: &impl LogHome) {
    let log = home.open();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    check_chain(&log);
                    let head = log.head();
                    if head.position > LogPosition::START {
                        assert!(log.get(head.position).unwrap().is_some());
                    }
                }
            });
        }
        for count in 0..100 {
            log.append(&batch_of_many(log.head(), count % 13)).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    check_chain(&log);
}

pub fn the_head_is_the_same_after_a_crash(home: &impl LogHome) {
    let log = home.open();
    let log = home.crash(log);
    assert_eq!(log.head(), Head::default());
    append(&log, &[b"one", b"two"]);
    let head = log.head();
    let log = home.crash(log);
    assert_eq!(log.head(), head);
    append(&log, &[b"three"]);
    assert_eq!(records(&log, 1).len(), 3);
    check_chain(&log);
}
