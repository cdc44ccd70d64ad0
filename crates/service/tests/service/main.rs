//! The running engine over a log in memory: order, answers, bounds, failure.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

mod steering;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use engine::{Clock, Engine, EngineError, EngineOptions, Outcome, Parts, TimelineQuery};
use event_log::{EventLog, LogPosition, MemoryLog, MemoryTables};
use key_vault::{KeyVault, MasterKey};
use lead_domain::{Time, VisitorId};
use listing::{LeadQuery, Listing};
use projector::Projector;
use service::{CommandError, Fed, Form, RawInput, Receipt, Service, ServiceError, ServiceOptions};
use tempfile::TempDir;

const POLICY: &str = r#"
tenant = "acme"
currency = "EUR"
time_zone = "UTC"
phone_region = "DE"
lateness = "0s"
close_reasons = ["wrong_number"]

[[lead_type]]
name = "shop"
close_after = "48h"

[[channel]]
name = "web"
default_lead_type = "shop"
"#;

struct Running {
    service: Service,
    log: MemoryLog,
    vault: Arc<KeyVault>,
    folder: TempDir,
}

fn start(options: ServiceOptions) -> Running {
    start_on(MemoryLog::new(), Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32]))), options)
}

/// Starts on what is left of a service whose process has died: its log and its keys.
fn start_on(log: MemoryLog, vault: Arc<KeyVault>, options: ServiceOptions) -> Running {
    start_in(tempfile::tempdir().unwrap(), log, vault, options)
}

/// The same, with the read models that it left in a folder.
fn start_in(folder: TempDir, log: MemoryLog, vault: Arc<KeyVault>, options: ServiceOptions) -> Running {
    let parts = Parts { log: Arc::new(log.clone()), tables: Arc::new(MemoryTables::new()), vault: vault.clone() };
    let engine_options = EngineOptions { clock: options.clock, ..EngineOptions::default() };
    let mut engine = Engine::open(parts, engine_options, &mut |_, _| {}).unwrap();
    if engine.tenants().is_empty() {
        engine.adopt(POLICY).unwrap();
    }
    let listing = Listing::open(folder.path()).unwrap();
    let projector = Projector::new(Arc::new(log.clone()), vault.clone(), listing).unwrap();
    let service = Service::start(engine, projector, folder.path(), options).unwrap();
    Running { service, log, vault, folder }
}

fn hours(hours: i64) -> Time {
    Time::from_millis(hours * 3_600_000)
}

/// Where a feed stands, with nothing behind it.
fn fed(watermark: (String, Vec<u8>)) -> Fed {
    Fed { watermark, more: false }
}

fn at_hour(hour: i64) -> ServiceOptions {
    ServiceOptions { clock: Clock::Fixed(hours(hour)), ..ServiceOptions::default() }
}

fn event(id: &str, hour: i64, channel: &str) -> RawInput {
    let time = proto_events::lead_event::rfc3339(hours(hour));
    let event = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/t","type":"leadfold.interaction.v1","time":"{time}",
        "data":{{"visitor_id":"{id}","channel":"{channel}","action":"page.viewed"}}}}"#
    );
    input(Form::Structured, event)
}

fn command(text: &str) -> RawInput {
    input(Form::Command, text.to_owned())
}

fn input(form: Form, bytes: String) -> RawInput {
    RawInput {
        tenant: Some("acme".into()),
        origin: Cow::Borrowed("test"),
        feed_sequence: 0,
        received_at: hours(100),
        form,
        bytes: bytes.into(),
    }
}

fn outcome(receipt: &Receipt) -> Outcome {
    let Receipt::Event(receipt) = receipt else { panic!("the receipt of an event") };
    receipt.outcome
}

#[tokio::test]
async fn what_is_answered_is_durable_and_each_input_has_its_receipt() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let inputs = vec![event("a", 99, "web"), event("a", 99, "web"), input(Form::Structured, "{".to_owned())];
    let receipts = handle.submit(inputs).await.unwrap();
    let position = LogPosition;
    let expected = [Outcome::Recorded(position(2)), Outcome::Duplicate(position(2)), Outcome::Quarantined(position(3))];
    assert_eq!(receipts.iter().map(outcome).collect::<Vec<_>>(), expected);
    let Receipt::Event(last) = &receipts[2] else { panic!("the receipt of an event") };
    assert_eq!(last.reason.as_ref().unwrap().code, "invalid_json");
    assert_eq!(running.log.head().position, position(3), "it was durable when it was answered");
    handle.wait_listed(position(3), Duration::from_secs(30)).await.unwrap();
    let tenant = handle.tenant("acme").unwrap().id;
    let page = handle.read_listing(move |reader| reader.leads(&LeadQuery::new(tenant))).await.unwrap().unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn calls_are_decided_in_their_order_also_across_a_change_of_the_policy() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let document =
        serde_json::to_string(&format!("{POLICY}[[channel]]\nname = \"chat\"\ndefault_lead_type = \"shop\"\n"));
    let adopt = format!(r#"{{"id":"k1","operator":"olga","command":"adopt_policy","document":{}}}"#, document.unwrap());
    let inputs = vec![event("before", 99, "chat"), command(&adopt), event("after", 99, "chat")];
    let receipts = handle.submit(inputs).await.unwrap();
    let lead_of = |receipt: &Receipt| {
        let Outcome::Recorded(position) = outcome(receipt) else { panic!("it is recorded") };
        position
    };
    let (before, after) = (lead_of(&receipts[0]), lead_of(&receipts[2]));
    assert!(matches!(&receipts[1], Receipt::Command(Ok(_))));
    let events = handle
        .with_engine(move |engine| {
            [before, after].map(|position| engine.read_entry(position).unwrap().facts.events.len())
        })
        .await
        .unwrap();
    assert!(events[0] < events[1], "only the one behind the new policy opened a lead");
    assert_eq!(handle.tenant("acme").unwrap().version, 2);
}

#[tokio::test]
async fn a_command_is_carried_out_once_under_its_key_and_faults_are_told() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    handle.submit(vec![event("a", 99, "web")]).await.unwrap();
    let note = r#"{"id":"k1","operator":"olga","command":"add_note","lead_id":"V1-1","text":"hello"}"#;
    let receipts = handle.submit(vec![command(note), command(note)]).await.unwrap();
    let repeated: Vec<bool> = receipts
        .iter()
        .map(|receipt| match receipt {
            Receipt::Command(Ok(answer)) => answer.repeated,
            Receipt::Command(Err(_)) | Receipt::Event(_) => panic!("it is carried out"),
        })
        .collect();
    assert_eq!(repeated, [false, true]);
    let receipts = handle.submit(vec![command("{}")]).await.unwrap();
    assert!(matches!(&receipts[0], Receipt::Command(Err(CommandError::Malformed { faults })) if faults.len() > 1));
}

/// The command that adopts the policy with leads of so many hours.
fn adoption(key: &str, hours: u32) -> RawInput {
    let document = serde_json::to_string(&POLICY.replace("48h", &format!("{hours}h"))).unwrap();
    let text = format!(r#"{{"id":"{key}","operator":"olga","command":"adopt_policy","document":{document}}}"#);
    RawInput { feed_sequence: 7, ..command(&text) }
}

/// Whether each of these commands had been carried out before.
fn repeated(receipts: &[Receipt]) -> Vec<bool> {
    let repeated = |receipt: &Receipt| match receipt {
        Receipt::Command(answer) => answer.as_ref().unwrap().repeated,
        Receipt::Event(_) => panic!("the receipt of a command"),
    };
    receipts.iter().map(repeated).collect()
}

#[tokio::test]
async fn policies_of_a_feed_that_come_again_after_a_crash_are_not_adopted_again() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let mut last = Vec::new();
    for (place, hours) in [(1, 24), (2, 12)] {
        let inputs = vec![adoption(&format!("k{place}"), hours)];
        last = handle.feed(inputs, fed(("feed/x".to_owned(), vec![place]))).await.unwrap().await.unwrap();
    }
    assert_eq!(repeated(&last), [false]);
    // As if the watermark behind them had been lost: the feed brings both once more, now in one batch.
    let running = start_on(running.log.clone(), running.vault.clone(), at_hour(100));
    let handle = running.service.handle();
    let both = vec![adoption("k1", 24), adoption("k2", 12)];
    let receipts = handle.feed(both, fed(("feed/x".to_owned(), vec![2]))).await.unwrap().await.unwrap();
    assert_eq!(repeated(&receipts), [true, true]);
    assert_eq!(handle.tenant("acme").unwrap().version, 3);
    let other = handle.submit(vec![adoption("k1", 36)]).await.unwrap();
    assert!(matches!(&other[0], Receipt::Command(Err(CommandError::Engine(EngineError::KeyReused { .. })))));
}

#[tokio::test]
async fn the_first_policy_of_a_tenant_counts_once_under_its_key() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let adoption = || {
        let adoption = adoption("k1", 48);
        let text = String::from_utf8(adoption.bytes.to_vec()).unwrap().replace("acme", "globex");
        RawInput { tenant: Some("globex".into()), bytes: text.into(), ..adoption }
    };
    // The tenant isn't there yet when the first is read.
    let receipts = handle.submit(vec![adoption(), adoption()]).await.unwrap();
    assert_eq!(repeated(&receipts), [false, true]);
    let head = running.log.head().position;
    assert_eq!(repeated(&handle.submit(vec![adoption()]).await.unwrap()), [true]);
    assert_eq!((handle.tenant("globex").unwrap().version, running.log.head().position), (1, head));
}

#[tokio::test]
async fn a_quarantined_input_is_released_once_under_its_key_also_in_the_batch_that_brought_it() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let broken = input(Form::Structured, "{".to_owned());
    let event = String::from_utf8(event("a", 99, "web").bytes.to_vec()).unwrap();
    let retry = |key: &str, position: u64| {
        command(&format!(
            r#"{{"id":"{key}","operator":"olga","command":"retry_quarantined","position":{position},"event":{event}}}"#
        ))
    };
    let inputs = vec![broken, retry("k1", 2), retry("k1", 2)];
    let receipts = handle.feed(inputs, fed(("feed/x".to_owned(), vec![1]))).await.unwrap().await.unwrap();
    assert_eq!(outcome(&receipts[0]), Outcome::Quarantined(LogPosition(2)));
    assert_eq!(repeated(&receipts[1..]), [false, true]);
    let answers = receipts[1..].iter().map(|receipt| match receipt {
        Receipt::Command(answer) => (answer.as_ref().unwrap().position, answer.as_ref().unwrap().events.clone()),
        Receipt::Event(_) => panic!("the receipt of a command"),
    });
    let answers: Vec<_> = answers.collect();
    assert!(answers[0] == answers[1] && answers[0].0 == LogPosition(3) && !answers[0].1.is_empty());
    let other = handle.submit(vec![retry("k1", 3), retry("k2", 2)]).await.unwrap();
    assert!(matches!(&other[0], Receipt::Command(Err(CommandError::Engine(EngineError::KeyReused { .. })))));
    assert!(matches!(&other[1], Receipt::Command(Err(CommandError::Engine(EngineError::NotQuarantined { .. })))));
}

#[tokio::test]
async fn a_command_of_a_feed_that_cannot_be_read_is_kept_in_quarantine() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let inputs = vec![RawInput { feed_sequence: 7, ..command("nonsense") }, event("a", 99, "web")];
    let receipts = handle.feed(inputs, fed(("feed/x".to_owned(), vec![42]))).await.unwrap().await.unwrap();
    assert!(matches!(outcome(&receipts[0]), Outcome::Quarantined(_)));
    assert!(matches!(outcome(&receipts[1]), Outcome::Recorded(_)));
    assert_eq!(running.log.meta("feed/x").unwrap(), Some(vec![42]), "the watermark is as durable as its inputs");
}

#[tokio::test]
async fn what_belongs_to_no_tenant_is_kept_for_nobody() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let stranger = RawInput { tenant: Some("other".into()), ..event("a", 99, "web") };
    let receipts = handle.submit(vec![stranger]).await.unwrap();
    let Outcome::Quarantined(position) = outcome(&receipts[0]) else { panic!("it is in quarantine") };
    let tenant = handle.with_engine(move |engine| engine.read_entry(position).unwrap().header.tenant).await.unwrap();
    assert_eq!(tenant, 0);
}

#[tokio::test]
async fn an_event_of_nobody_is_kept_whole_with_its_own_reason() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let attributes = [("specversion", "1.0"), ("id", "a"), ("source", "/t"), ("type", "leadfold.interaction.v1")];
    let attributes = attributes.iter().chain([&("time", "1970-01-05T03:00:00Z")]);
    let attributes = attributes.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let form = Form::Binary { attributes, content_type: Some("application/json".to_owned()) };
    let data = r#"{"visitor_id":"a","channel":"web","action":"page.viewed"}"#;
    let nobodys = RawInput { tenant: None, ..input(form, data.to_owned()) };
    let faulty = String::from_utf8(event("b", 99, "web").bytes.to_vec()).unwrap();
    let faulty = faulty.replace(r#""data":{"#, r#""data":{"tenant":"acme","email":"none","#);
    let faulty = RawInput { tenant: None, ..input(Form::Structured, faulty) };
    let receipts = handle.submit(vec![nobodys, faulty]).await.unwrap();
    let reasons: Vec<_> = receipts
        .iter()
        .map(|receipt| match receipt {
            Receipt::Event(receipt) => receipt.reason.as_ref().unwrap().code.to_string(),
            Receipt::Command(_) => panic!("the receipt of an event"),
        })
        .collect();
    assert_eq!(reasons, ["unknown_tenant", "bad_email"]);
    let Outcome::Quarantined(position) = outcome(&receipts[0]) else { panic!("it is in quarantine") };
    let held = handle.with_engine(move |engine| engine.quarantined(position)).await.unwrap().unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&held.bytes.unwrap()).unwrap();
    assert_eq!((&kept["id"], &kept["data"]["visitor_id"]), (&"a".into(), &"a".into()), "its attributes too");
}

#[tokio::test]
async fn a_caller_is_turned_away_when_too_much_is_under_way() {
    let options = ServiceOptions { queued_bytes_max: 2_000, patience: Duration::from_millis(50), ..at_hour(100) };
    let running = start(options);
    let handle = running.service.handle();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.with_engine(move |_| held.recv()).await }
    });
    let first = tokio::spawn({
        let handle = handle.clone();
        async move { handle.submit(vec![event("a", 99, "web"), event("b", 99, "web")]).await }
    });
    while handle.queued_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let turned_away = handle.submit(vec![event("c", 99, "web")]).await;
    assert!(matches!(turned_away, Err(ServiceError::Overloaded { .. })));
    hold.send(()).unwrap();
    assert!(blocked.await.unwrap().unwrap().is_ok());
    assert_eq!(first.await.unwrap().unwrap().len(), 2);
    assert_eq!(handle.submit(vec![event("c", 99, "web")]).await.unwrap().len(), 1, "there is room again");
}

#[tokio::test]
async fn records_are_read_while_the_engine_is_busy_and_once_they_are_durable() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    handle.submit(vec![event("a", 98, "web"), event("a-2", 98, "web")]).await.unwrap();
    let visitor = VisitorId(1);
    let heads = handle.with_engine(move |engine| engine.stream_heads(visitor)).await.unwrap().unwrap();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.with_engine(move |_| held.recv()).await }
    });
    let query = TimelineQuery { visitor, lead: None, limit: 9, before: None };
    let read = handle.read_records(heads[0], move |parts| parts.timeline(heads, &query));
    let entries = read.await.unwrap().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].personal.as_ref().unwrap().id.as_str(), "a");
    let next = handle.head().next();
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.read_records(next, move |parts| engine::facts_at(&*parts.log, next)).await }
    });
    hold.send(()).unwrap();
    assert!(blocked.await.unwrap().unwrap().is_ok());
    handle.submit(vec![event("b", 99, "web")]).await.unwrap();
    let (header, _) = waiting.await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!((header.position, header.visitor), (next, 3));
}

#[tokio::test]
async fn a_failed_append_answers_nobody_and_ends_the_service() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    running.log.fail_next_append();
    let lost = handle.submit(vec![event("a", 99, "web")]).await;
    assert!(matches!(lost, Err(ServiceError::Failed | ServiceError::Stopping)));
    running.service.ended().await;
    assert!(handle.failure().is_some());
    assert!(handle.submit(vec![event("b", 99, "web")]).await.is_err());
    let never = handle.read_records(handle.head().next(), |_| Ok(())).await;
    assert!(matches!(never, Err(ServiceError::Failed)), "nobody waits for what never becomes durable");
    let stopped = tokio::task::spawn_blocking(move || running.service.stop()).await.unwrap();
    assert!(stopped.is_err());
}

#[tokio::test]
async fn stopping_finishes_what_is_queued_and_takes_nothing_more() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    let mut calls = Vec::new();
    for number in 0..50 {
        let handle = handle.clone();
        calls.push(tokio::spawn(async move { handle.submit(vec![event(&format!("e{number}"), 99, "web")]).await }));
    }
    while running.log.head().position < LogPosition(5) {
        tokio::task::yield_now().await;
    }
    let log = running.log.clone();
    tokio::task::spawn_blocking(move || running.service.stop()).await.unwrap().unwrap();
    let mut answered = 0;
    for call in calls {
        answered += u64::from(call.await.unwrap().is_ok());
    }
    assert!(log.head().position.0 > answered, "everything answered is in the log");
    assert!(matches!(handle.submit(vec![event("z", 99, "web")]).await, Err(ServiceError::Stopping)));
}

#[tokio::test]
async fn time_passes_without_inputs_and_closes_leads_at_their_deadlines() {
    // Beyond the deadline of the lead, by the clock of the service.
    let running = start(ServiceOptions { tick_every: Duration::from_millis(20), ..at_hour(200) });
    let handle = running.service.handle();
    handle.submit(vec![event("a", 99, "web")]).await.unwrap();
    let tenant = handle.tenant("acme").unwrap().id;
    let mut listing = handle.listing();
    loop {
        let read = handle.read_listing(move |reader| reader.leads(&LeadQuery::new(tenant))).await.unwrap().unwrap();
        if let Some(closed_at) = read.items.first().and_then(|lead| lead.closed_at) {
            assert_eq!(closed_at, hours(99 + 48));
            break;
        }
        listing.changed().await.unwrap();
    }
}
