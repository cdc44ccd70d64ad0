//! Logs with events in them, and destinations that note what they get.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use event_log::{Batch, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use lead_domain::{Event, LeadId, TenantId, VisitorId};
use proto_events::InputFacts;
use proto_events::stored;
use publisher::{
    CursorStore, Delivery, DeliveryError, DeliveryHandle, DeliveryOptions, Destination, EventFilter, FileCursors,
    OutgoingEvent, PublishError, Retry, StartAt,
};
use tempfile::TempDir;
use tokio::time::Instant;
use trace_context::TraceContext;

/// Milliseconds of 2023-11-14T22:13:20Z.
pub(crate) const OCCURRED_AT: i64 = 1_700_000_000_000;

pub(crate) fn visitor(number: u64) -> Event {
    Event::VisitorCreated { visitor: VisitorId(number) }
}

pub(crate) fn note(number: u64) -> Event {
    Event::NoteAdded { lead: LeadId { visitor: VisitorId(number), ordinal: 1 } }
}

/// The header of a record without facts.
pub(crate) fn header(tenant: u32, position: u64) -> Header {
    Header {
        codec: stored::CODEC,
        kind: RecordKind(stored::kind::TICK),
        tenant,
        position: LogPosition(position),
        visitor: 0,
        feed_sequence: 0,
        occurred_at: OCCURRED_AT,
        received_at: OCCURRED_AT,
        recorded_at: OCCURRED_AT + 1_250,
        previous: LogPosition::START,
        key: 0,
        facts_len: 0,
        personal_len: 0,
    }
}

/// Appends records, each with the number of its tenant and its events.
pub(crate) fn append(log: &MemoryLog, records: &[(u32, Vec<Event>)]) {
    let mut batch = Batch::after(log.head());
    for (tenant, events) in records {
        let mut facts = Vec::new();
        stored::encode_input(&InputFacts::Tick, &mut facts);
        stored::encode_events(events, &mut facts);
        let facts_len = u32::try_from(facts.len()).unwrap();
        let header = Header { facts_len, ..header(*tenant, batch.head().position.next().0) };
        batch.chain = Record::write(&header, batch.chain, &facts, &mut batch.bytes);
        batch.ends.push(batch.bytes.len());
    }
    log.append(&batch).unwrap();
}

/// Nine events in six records of the shop: some with several, some with none.
pub(crate) fn shop_log() -> (MemoryLog, Vec<String>) {
    let log = MemoryLog::new();
    let record = |events: u64| (1, (0..events).map(note).collect());
    append(&log, &[1, 0, 3, 1, 0, 4].map(record));
    let ids = ["1-0", "3-0", "3-1", "3-2", "4-0", "6-0", "6-1", "6-2", "6-3"];
    (log, ids.map(str::to_owned).to_vec())
}

pub(crate) fn tenant_name(tenant: TenantId) -> Option<Arc<str>> {
    match tenant.0 {
        1 => Some("shop".into()),
        2 => Some("bank".into()),
        _ => None,
    }
}

/// A log, and a folder with cursors.
pub(crate) struct Place {
    pub(crate) log: MemoryLog,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new(log: MemoryLog) -> Self {
        Self { log, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn cursors(&self) -> FileCursors {
        FileCursors::in_folder(self.folder.path())
    }

    pub(crate) fn cursor(&self, name: &str) -> Option<u64> {
        self.cursors().load(name).unwrap().map(|position| position.0)
    }

    /// From the beginning, without a filter.
    pub(crate) fn options(&self, name: &str) -> DeliveryOptions {
        DeliveryOptions {
            name: name.to_owned(),
            filter: EventFilter::default(),
            start_at: StartAt::Beginning,
            log: Arc::new(self.log.clone()),
            persons: Arc::new(publisher::NoPersons),
            tenants: Arc::new(tenant_name),
            cursors: Arc::new(self.cursors()),
        }
    }

    pub(crate) fn open<D: Destination>(&self, name: &str, destination: D) -> (Delivery<D>, DeliveryHandle) {
        Delivery::open(self.options(name), destination).unwrap()
    }
}

/// What a delivery can't begin with.
pub(crate) fn refused(options: DeliveryOptions) -> PublishError {
    Delivery::open(options, Notebook::default()).map(drop).unwrap_err()
}

/// What a destination does with the next batch.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    Take,
    /// Takes the events, but says nothing for ever.
    TakeSilently,
    Fail(Retry),
}

/// Notes the ids of what arrives. Clones share the notes and the plan; without a plan everything is taken.
#[derive(Clone, Default)]
pub(crate) struct Notebook {
    pub(crate) batch_max: Option<usize>,
    pub(crate) arrived: Arc<Mutex<Vec<String>>>,
    pub(crate) asked_at: Arc<Mutex<Vec<Instant>>>,
    pub(crate) plan: Arc<Mutex<VecDeque<Then>>>,
}

impl Notebook {
    pub(crate) fn planned(plan: impl IntoIterator<Item = Then>) -> Self {
        Self { plan: Arc::new(Mutex::new(plan.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }

    /// Seconds between the calls.
    pub(crate) fn waits(&self) -> Vec<u64> {
        let asked_at = self.asked_at.lock().unwrap();
        asked_at.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect()
    }
}

impl Destination for Notebook {
    fn batch_events_max(&self) -> usize {
        self.batch_max.unwrap_or(256)
    }

    async fn deliver(&mut self, batch: &[OutgoingEvent], _: &TraceContext) -> Result<(), DeliveryError> {
        self.asked_at.lock().unwrap().push(Instant::now());
        let then = self.plan.lock().unwrap().pop_front().unwrap_or(Then::Take);
        if let Then::Fail(retry) = then {
            return Err(DeliveryError { retry, reason: "planned".to_owned() });
        }
        self.arrived.lock().unwrap().extend(batch.iter().map(|event| event.id.clone()));
        if matches!(then, Then::TakeSilently) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
