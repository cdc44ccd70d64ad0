//! The published schemas are those of the code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use lead_domain::event::{AttachReason, Candidates, Event};
use lead_domain::{
    Currency, Identifier, IdentifierKey, IdentifierKind, InteractionId, LeadId, Money, OrderKey, Time, VisitorId,
};
use proto_events::asyncapi::asyncapi;
use proto_events::cloud_event::interaction_schema;
use proto_events::command_document::{COMMANDS, command_schema};
use proto_events::lead_event::{LeadEvent, lead_event_schema, name};
use serde_json::{Value, json};

/// The documents that this crate publishes, and where.
fn published() -> [(&'static str, String); 4] {
    let text = |schema: schemars::Schema| serde_json::to_string_pretty(&schema).unwrap() + "\n";
    [
        ("schemas/interaction.v1.json", text(interaction_schema())),
        ("schemas/lead-event.v1.json", text(lead_event_schema())),
        ("schemas/command.v1.json", text(command_schema())),
        ("asyncapi.json", serde_json::to_string_pretty(&asyncapi()).unwrap() + "\n"),
    ]
}

fn parsed(file: &str) -> Value {
    let (_, text) = published().into_iter().find(|(published, _)| *published == file).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_published_documents_are_those_of_the_code() {
    for (file, expected) in published() {
        let path = folder().join(file);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{file} is stale: run `UPDATE_SCHEMAS=1 cargo nextest run --release -p proto-events --test schemas`"
        );
    }
}

#[test]
fn no_other_schema_is_published() {
    let known: Vec<String> = published().into_iter().map(|(file, _)| file.to_owned()).collect();
    for file in std::fs::read_dir(folder().join("schemas")).unwrap() {
        let name = format!("schemas/{}", file.unwrap().file_name().to_string_lossy());
        assert!(known.contains(&name), "nothing makes {name}: delete it");
    }
}

/// All references in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for (file, _) in published() {
        let mut found = Vec::new();
        references(&parsed(file), &mut found);
        for reference in found {
            let (other, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
            let other = other.trim_start_matches("./");
            let document = parsed(if other.is_empty() { file } else { other });
            assert!(document.pointer(pointer).is_some(), "{reference} in {file}");
        }
    }
}

#[test]
fn the_subjects_name_every_event_and_command() {
    let document = asyncapi();
    let events = document["channels"]["leadEvents"]["parameters"]["event"]["enum"].as_array().unwrap();
    assert_eq!(events.len(), lead_event_schema().to_value()["oneOf"].as_array().unwrap().len());
    assert!(events.contains(&json!(name(&Event::NoteAdded { lead: LEAD }))));
    let commands = command_schema().to_value();
    let words: Vec<&str> = commands["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ask| ask["properties"]["command"]["const"].as_str().unwrap())
        .collect();
    assert_eq!(words, COMMANDS);
}

const LEAD: LeadId = LeadId { visitor: VisitorId(42), ordinal: 1 };

#[test]
fn a_lead_event_shows_ids_times_and_money_but_no_hash() {
    let at = Time::from_millis(1_710_325_274_000);
    let hash = 0x1234_5678_9abc_def0_1234_5678_9abc_def0;
    let cases = [
        (
            Event::LeadOpened {
                lead: LEAD,
                visitor: VisitorId(42),
                lead_type: "shop".into(),
                at,
                customer: Some(IdentifierKey(hash)),
                deadline: Time::from_millis(1_710_325_274_250),
            },
            json!({ "event": "lead_opened", "lead_id": "V42-1", "visitor_id": "V42", "lead_type": "shop", "at": "2024-03-13T10:21:14Z",
                "customer_known": true, "deadline": "2024-03-13T10:21:14.250Z" }),
        ),
        (
            Event::ConversionRecorded {
                lead: LEAD,
                interaction: Some(InteractionId(7)),
                at,
                value: Some(Money { amount: 12_900, currency: Currency::new("EUR").unwrap() }),
                rgus: 2,
                order: Some(OrderKey(hash)),
            },
            json!({ "event": "conversion_recorded", "lead_id": "V42-1", "interaction_id": "I7", "at": "2024-03-13T10:21:14Z",
                "value": { "amount": 12_900, "currency": "EUR" }, "rgus": 2 }),
        ),
        (
            Event::IdentifierLearned {
                visitor: VisitorId(42),
                identifier: Identifier { kind: IdentifierKind::Email, key: IdentifierKey(hash) },
            },
            json!({ "event": "identifier_learned", "visitor_id": "V42", "identifier": "email" }),
        ),
        (
            Event::InteractionAttached {
                lead: LEAD,
                interaction: InteractionId(7),
                occurred_at: at,
                because: AttachReason::MostRecent,
                candidates: Candidates::from_slice(&[LEAD]),
                deadline: Time::MIN,
            },
            json!({ "event": "interaction_attached", "lead_id": "V42-1", "interaction_id": "I7", "occurred_at": "2024-03-13T10:21:14Z",
                "because": "most_recent", "candidates": ["V42-1"], "deadline": "-262143-01-01T00:00:00Z" }),
        ),
    ];
    for (event, expected) in cases {
        let found = serde_json::to_value(LeadEvent::from(&event)).unwrap();
        assert_eq!(found, expected);
        assert_eq!(found["event"], name(&event));
    }
}
