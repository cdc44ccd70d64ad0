//! Order, cursors, crashes and filters.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use event_log::{Batch, EventLog, LogPosition, MemoryLog, Record};
use publisher::{
    CursorError, CursorStore, Delivery, DeliveryOptions, DeliveryState, Ended, EventFilter, Only, PublishError, Retry,
    StartAt,
};
use tokio_util::sync::CancellationToken;

use crate::story::{Notebook, Place, Then, append, header, note, refused, shop_log, visitor};

/// Runs a delivery until all records of the log have gone through it, and cancels it.
async fn drain(place: &Place, options: DeliveryOptions, notebook: Notebook) {
    let (delivery, mut handle) = Delivery::open(options, notebook).unwrap();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(delivery.run(cancel.clone()));
    let head = place.log.head().position;
    handle.until(|position, _| position == head).await;
    assert_eq!((handle.position(), handle.lag(), handle.state()), (head, 0, DeliveryState::Delivering));
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap(), Ended::Cancelled);
    assert_eq!(handle.state(), DeliveryState::Ended(Ended::Cancelled));
}

#[tokio::test]
async fn all_events_arrive_in_order_and_after_a_restart_none_comes_again() {
    let (log, ids) = shop_log();
    for batch_max in [1, 2, 256] {
        let place = Place::new(log.clone());
        let notebook = Notebook { batch_max: Some(batch_max), ..Notebook::default() };
        drain(&place, place.options("crm"), notebook.clone()).await;
        assert_eq!(notebook.arrived(), ids);
        assert_eq!(place.cursor("crm"), Some(6));
        drain(&place, place.options("crm"), notebook.clone()).await;
        assert_eq!(notebook.arrived(), ids);
    }
}

#[tokio::test]
async fn events_recorded_while_a_delivery_waits_arrive_too() {
    let (log, mut ids) = shop_log();
    let place = Place::new(log);
    let notebook = Notebook::default();
    let (delivery, mut handle) = place.open("crm", notebook.clone());
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    for (position, id) in [(7, "7-0"), (8, "8-0")] {
        handle.until(|at, _| at == LogPosition(position - 1)).await;
        append(&place.log, &[(1, vec![note(1)])]);
        handle.until(|at, _| at == LogPosition(position)).await;
        ids.push(id.to_owned());
        assert_eq!(notebook.arrived(), ids);
    }
    running.abort();
}

#[tokio::test]
async fn a_destination_gets_only_what_its_filter_lets_through() {
    let log = MemoryLog::new();
    append(&log, &[(1, vec![visitor(1), note(1)]), (2, vec![note(2), visitor(2)]), (1, vec![note(1)])]);
    append(&log, &[(2, vec![visitor(3)]), (0, vec![])]);
    let place = Place::new(log);
    for (name, tenants, events, expected) in [
        ("all", Only::All, Only::All, vec!["1-0", "1-1", "2-0", "2-1", "3-0", "4-0"]),
        ("bank", Only::these(["bank"]), Only::All, vec!["2-0", "2-1", "4-0"]),
        ("notes", Only::All, Only::these(["note_added"]), vec!["1-1", "2-0", "3-0"]),
        ("bank_notes", Only::these(["bank", "other"]), Only::these(["note_added"]), vec!["2-0"]),
        ("nothing", Only::these(["other"]), Only::All, vec![]),
    ] {
        let notebook = Notebook::default();
        let options = DeliveryOptions { filter: EventFilter { tenants, events }, ..place.options(name) };
        drain(&place, options, notebook.clone()).await;
        assert_eq!(notebook.arrived(), expected, "{name}");
        assert_eq!(place.cursor(name), Some(5), "{name}");
    }
}

#[tokio::test]
async fn a_new_destination_begins_at_the_head_of_its_first_start_even_if_it_crashes_at_once() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let from_head = || DeliveryOptions { start_at: StartAt::Head, ..place.options("crm") };
    drop(Delivery::open(from_head(), Notebook::default()).unwrap());
    append(&place.log, &[(1, vec![note(1)])]);
    let notebook = Notebook::default();
    drain(&place, from_head(), notebook.clone()).await;
    assert_eq!(notebook.arrived(), ["7-0"]);
    drain(&place, DeliveryOptions { name: "all".to_owned(), ..place.options("all") }, notebook.clone()).await;
    assert_eq!(notebook.arrived().len(), 1 + ids.len() + 1);
}

/// The arrivals without those that came before.
fn first_arrivals(arrived: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    arrived.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

#[tokio::test]
async fn whenever_it_crashes_every_event_arrives_and_without_repetitions_in_order() {
    let (log, ids) = shop_log();
    for batch_max in [1, 2, 256] {
        for calls in 0..=ids.len() {
            let place = Place::new(log.clone());
            let plan = std::iter::repeat_n(Then::Take, calls).chain([Then::TakeSilently]);
            let notebook = Notebook { batch_max: Some(batch_max), ..Notebook::planned(plan) };
            let (delivery, handle) = place.open("crm", notebook.clone());
            let running = tokio::spawn(delivery.run(CancellationToken::new()));
            while !notebook.plan.lock().unwrap().is_empty() && handle.lag() > 0 {
                tokio::task::yield_now().await;
            }
            // Nothing is said to the worker: it has no chance to keep its cursor.
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
            notebook.plan.lock().unwrap().clear();
            drain(&place, place.options("crm"), notebook.clone()).await;
            assert_eq!(first_arrivals(notebook.arrived()), ids, "{batch_max} {calls}");
        }
    }
}

#[tokio::test]
async fn destinations_that_are_dead_delay_nobody() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let silent = Notebook::planned([Then::TakeSilently]);
    let failing = Notebook::planned(vec![Then::Fail(Retry::BackOff); 50]);
    let cancel = CancellationToken::new();
    let mut running = Vec::new();
    let (delivery, _) = place.open("silent", silent);
    running.push(tokio::spawn(delivery.run(cancel.clone())));
    let (delivery, mut handle) = place.open("failing", failing);
    running.push(tokio::spawn(delivery.run(cancel.clone())));
    handle.until(|_, state| matches!(state, DeliveryState::Retrying { failures: 1, .. })).await;
    let notebook = Notebook::default();
    drain(&place, place.options("alive"), notebook.clone()).await;
    assert_eq!(notebook.arrived(), ids);
    assert_eq!((handle.position(), handle.lag()), (LogPosition(0), 6));
    cancel.cancel();
    for running in running {
        assert_eq!(running.await.unwrap().unwrap(), Ended::Cancelled);
    }
    assert_eq!((place.cursor("silent"), place.cursor("failing"), place.cursor("alive")), (Some(0), Some(0), Some(6)));
}

#[tokio::test]
async fn a_destination_that_wants_no_more_gets_none_until_restart() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let plan = [Then::Take, Then::Take, Then::Fail(Retry::Never)];
    let notebook = Notebook { batch_max: Some(1), ..Notebook::planned(plan) };
    let (delivery, handle) = place.open("crm", notebook.clone());
    let ended = delivery.run(CancellationToken::new()).await.unwrap();
    assert_eq!(ended, Ended::Refused { reason: "planned".to_owned() });
    assert_eq!((handle.state(), handle.position()), (DeliveryState::Ended(ended), LogPosition(2)));
    assert_eq!(place.cursor("crm"), Some(2));
    drain(&place, place.options("crm"), notebook.clone()).await;
    let expected = [&ids[..2], &ids[1..]].concat();
    assert_eq!(notebook.arrived(), expected, "the events of a record that was not through come again");
}

/// Counts how often cursors are stored; the first time it fails.
#[derive(Default)]
struct Counting {
    stored: AtomicUsize,
    position: Mutex<Option<LogPosition>>,
}

impl CursorStore for Counting {
    fn load(&self, _: &str) -> Result<Option<LogPosition>, CursorError> {
        Ok(Some(self.position.lock().unwrap().unwrap_or_default()))
    }

    fn store(&self, name: &str, position: LogPosition) -> Result<(), CursorError> {
        if self.stored.fetch_add(1, Ordering::Relaxed) == 0 {
            let source = std::io::Error::other("planned");
            return Err(CursorError::Storage { doing: "write", path: name.into(), source });
        }
        *self.position.lock().unwrap() = Some(position);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_cursor_is_kept_once_in_a_thousand_events_and_a_failure_to_keep_it_stops_nothing() {
    let log = MemoryLog::new();
    append(&log, &vec![(1, vec![note(1)]); 5_000]);
    let place = Place::new(log);
    let cursors = Arc::new(Counting::default());
    let notebook = Notebook { batch_max: Some(1), ..Notebook::default() };
    let cursors_kept = Arc::clone(&cursors);
    let options = DeliveryOptions { cursors: cursors_kept, ..place.options("crm") };
    drain(&place, options, notebook.clone()).await;
    assert_eq!(notebook.arrived().len(), 5_000);
    assert_eq!(*cursors.position.lock().unwrap(), Some(LogPosition(5_000)));
    let stored = cursors.stored.load(Ordering::Relaxed);
    assert!((5..=8).contains(&stored), "{stored}");
}

#[tokio::test]
async fn a_delivery_that_cannot_be_right_does_not_begin() {
    let (log, _) = shop_log();
    let place = Place::new(log);
    let filter = EventFilter { events: Only::these(["lead_open"]), ..EventFilter::default() };
    let error = refused(DeliveryOptions { filter, ..place.options("crm") });
    assert!(matches!(error, PublishError::Filter { .. }), "{error}");
    assert_eq!(place.cursor("crm"), None, "nothing was begun");
    place.cursors().store("crm", LogPosition(7)).unwrap();
    let error = refused(place.options("crm"));
    assert!(error.to_string().contains("up to position 7, but the log ends at 6"), "{error}");
    fs::write(place.folder.path().join("crm.cursor"), "").unwrap();
    assert!(matches!(refused(place.options("crm")), PublishError::Cursor { .. }));
    assert!(matches!(refused(place.options("../crm")), PublishError::Cursor { .. }));
}

#[tokio::test]
async fn a_damaged_record_stops_the_delivery_behind_what_came_before() {
    let log = MemoryLog::new();
    append(&log, &[(1, vec![note(1)])]);
    let mut batch = Batch::after(log.head());
    let damaged = event_log::Header { facts_len: 1, ..header(1, 2) };
    batch.chain = Record::write(&damaged, batch.chain, &[99], &mut batch.bytes);
    batch.ends.push(batch.bytes.len());
    log.append(&batch).unwrap();
    let place = Place::new(log);
    let notebook = Notebook::default();
    let (delivery, handle) = place.open("crm", notebook.clone());
    let error = delivery.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, PublishError::Decode { position: LogPosition(2), .. }), "{error}");
    assert_eq!(handle.state(), DeliveryState::Failed { reason: error.to_string() });
    assert_eq!((notebook.arrived(), place.cursor("crm")), (vec!["1-0".to_owned()], Some(1)));
}
