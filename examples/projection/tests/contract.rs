//! The contract that every projection keeps, and what this one counts.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;

use event_log::{Batch, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use example_projection::ByChannel;
use key_vault::{KeyVault, MasterKey};
use lead_domain::{Event, InteractionId, LeadId, Time, VisitorId};
use projector::Projector;
use projector::contract::{self, ModelHome, Story};
use proto_events::stored::{self, InputFacts, InteractionFacts};

const DAY: i64 = 86_400_000;

struct Folders(tempfile::TempDir);

impl ModelHome for Folders {
    type Projection = ByChannel;

    fn open(&self, name: &str) -> ByChannel {
        let folder: PathBuf = self.0.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        ByChannel::open(&folder).unwrap()
    }

    fn dump(&self, model: &ByChannel) -> String {
        model.rows().unwrap().iter().map(|row| format!("{row:?}\n")).collect()
    }
}

fn touch(channel: &str) -> InputFacts {
    let facts = InteractionFacts { channel: channel.into(), action: "purchase".into(), ..InteractionFacts::default() };
    InputFacts::Interaction(Box::new(facts))
}

fn sale(position: LogPosition) -> Event {
    let visitor = VisitorId(1);
    let (lead, interaction) = (LeadId { visitor, ordinal: 1 }, Some(InteractionId(position.0)));
    Event::ConversionRecorded { lead, interaction, at: Time::from_millis(0), value: None, rgus: 1, order: None }
}

/// A log of inputs that happened at these times; every third interaction sells something.
fn story(inputs: &[(i64, InputFacts)]) -> Story {
    let log = MemoryLog::new();
    let mut batch = Batch::after(log.head());
    for (occurred_at, input) in inputs {
        let position = batch.head().position.next();
        let events = if position.0.is_multiple_of(3) { vec![sale(position)] } else { Vec::new() };
        let mut facts = Vec::new();
        stored::encode_input(input, &mut facts);
        stored::encode_events(&events, &mut facts);
        let header = Header {
            codec: stored::CODEC,
            kind: RecordKind(input.kind()),
            tenant: 1,
            position,
            visitor: 1,
            feed_sequence: 0,
            occurred_at: *occurred_at,
            received_at: *occurred_at,
            recorded_at: *occurred_at,
            previous: LogPosition::START,
            key: 0,
            facts_len: u32::try_from(facts.len()).unwrap(),
            personal_len: 0,
        };
        batch.chain = Record::write(&header, batch.chain, &facts, &mut batch.bytes);
        batch.ends.push(batch.bytes.len());
    }
    log.append(&batch).unwrap();
    Story { log: Arc::new(log), vault: Arc::new(KeyVault::in_memory(MasterKey::from_bytes([1; 32]))) }
}

#[test]
fn it_keeps_the_contract_of_projections() {
    let inputs: Vec<(i64, InputFacts)> =
        (0..60).map(|number| (number * DAY / 7, touch(if number % 4 == 0 { "chat" } else { "web" }))).collect();
    contract::holds(&Folders(tempfile::tempdir().unwrap()), &story(&inputs));
}

#[test]
fn interactions_and_sales_count_on_their_day_and_channel_and_ticks_do_not() {
    let inputs = [
        (0, touch("web")),
        (DAY - 1, touch("web")),
        (DAY - 1, touch("chat")),
        (DAY, touch("web")),
        (DAY, InputFacts::Tick),
    ];
    let (home, story) = (Folders(tempfile::tempdir().unwrap()), story(&inputs));
    let mut projector = Projector::new(story.log, story.vault, home.open("days")).unwrap();
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    let row = |day: &str, channel: &str, interactions, sales| (day.to_owned(), channel.to_owned(), interactions, sales);
    let expected = [row("1970-01-01", "chat", 1, 1), row("1970-01-01", "web", 2, 0), row("1970-01-02", "web", 1, 0)];
    assert_eq!(projector.projection().rows().unwrap(), expected);
}
