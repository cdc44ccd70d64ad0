//! The contract suite: what every log and every tables implementation must do, as functions that panic when it doesn't.
//!
//! An implementation's tests name a home for it, a [`LogHome`] or [`TablesHome`], and call [`log_contract!`] or
//! [`tables_contract!`](crate::tables_contract), which make one test of each function.
//!
//! [`log_contract!`]: crate::log_contract

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test suite: a panic is how it reports")]

pub mod log;
pub mod tables;

use crate::log::{Batch, EventLog, Head};
use crate::record::{Header, Record, RecordKind};
use crate::tables::Tables;

/// Where a log lives: opens it for the first time, and again after a crash.
pub trait LogHome {
    /// The log.
    type Log: EventLog;

    /// Opens the log of an empty place.
    fn open(&self) -> Self::Log;

    /// Ends the log as a crash of the process would, and opens it again.
    fn crash(&self, log: Self::Log) -> Self::Log;
}

/// Where tables live: opens them for the first time, and again after a crash.
pub trait TablesHome {
    /// The tables.
    type Tables: Tables;

    /// Opens the tables of an empty place.
    fn open(&self) -> Self::Tables;

    /// Ends the tables as a crash of the process would, and opens them again.
    fn crash(&self, tables: Self::Tables) -> Self::Tables;
}

/// Makes a test of each function of [`log`], run in the home that the expression makes.
#[macro_export]
macro_rules! log_contract {
    ($home:expr) => {
        $crate::log_contract! { $home;
            an_empty_log_has_no_records
            appended_records_are_read_back_in_order
            positions_are_dense_over_many_batches
            one_record_is_found_by_its_position
            a_batch_that_does_not_continue_the_head_changes_nothing
            a_batch_comes_back_as_a_whole_after_a_crash
            meta_comes_with_its_batch
            a_batch_may_hold_meta_alone
            reading_starts_in_the_middle_and_stops_when_told
            a_reader_sees_the_head_as_it_was_at_the_call
            a_waiting_reader_wakes_up_when_the_head_moves
            waiting_ends_when_its_limit_has_passed
            readers_beside_a_writer_see_no_gap
            the_head_is_the_same_after_a_crash
        }
    };
    ($home:expr; $($name:ident)+) => {
        $(#[test]
        fn $name() {
            $crate::contract::log::$name(&$home);
        })+
    };
}

/// Makes a test of each function of [`tables`], run in the home that the expression makes.
#[macro_export]
macro_rules! tables_contract {
    ($home:expr) => {
        $crate::tables_contract! { $home;
            new_tables_stand_before_the_first_record
            a_write_back_is_visible_at_once
            rows_are_overwritten_and_deleted
            tables_keep_their_rows_apart
            several_rows_are_found_in_the_order_of_their_keys
            a_scan_keeps_its_bounds_order_and_limit
            messages_are_found_with_position_and_fingerprint
            messages_are_found_across_many_write_backs
            messages_may_come_ahead_of_their_write_back
            a_message_written_again_has_its_last_value
            no_messages_are_looked_for
            flushed_write_backs_survive_a_crash
            a_crash_leaves_what_some_write_back_left
            tables_go_on_after_a_crash
        }
    };
    ($home:expr; $($name:ident)+) => {
        $(#[test]
        fn $name() {
            $crate::contract::tables::$name(&$home);
        })+
    };
}

/// A batch of well-formed records with these facts behind `head`, chained to it. The personal part of each is its
/// position's eight bytes.
#[must_use]
pub fn batch_of(head: Head, facts: &[&[u8]]) -> Batch {
    let mut batch = Batch::after(head);
    let mut position = head.position;
    for facts in facts {
        position = position.next();
        let header = Header {
            codec: 1,
            kind: RecordKind(2),
            tenant: 3,
            position,
            visitor: position.0 % 7,
            feed_sequence: position.0,
            occurred_at: 1_700_000_000_000,
            received_at: 1_700_000_000_001,
            recorded_at: 1_700_000_000_002,
            previous: position.0.checked_sub(7).map(crate::LogPosition).unwrap_or_default(),
            key: position.0 % 7,
            facts_len: u32::try_from(facts.len()).unwrap(),
            personal_len: 8,
        };
        batch.chain = Record::write(&header, batch.chain, facts, &mut batch.bytes);
        batch.bytes.extend_from_slice(&position.to_key());
        batch.ends.push(batch.bytes.len());
    }
    batch
}

/// A batch of `count` records, each with facts of its own.
#[must_use]
pub fn batch_of_many(head: Head, count: u64) -> Batch {
    let facts: Vec<_> = (1..=count).map(|it| format!("fact {}", head.position.0 + it).into_bytes()).collect();
    batch_of(head, &facts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
