//! The published schemas are those of the code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use lead_domain::event::{AttachReason, Candidates, Event};
use lead_domain::{
    Currency, Identifier, IdentifierKey, IdentifierKind, InteractionId, LeadId, Money, OrderKey, Time, VisitorId,
};
use proto_events::cloud_event::interaction_schema;
use proto_events::command_document::command_schema;
use proto_events::lead_event::{LeadEvent, lead_event_schema, name};
use serde_json::json;

fn check(file: &str, schema: &schemars::Schema) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(file);
    let expected = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "schemas/{file} is stale: run `UPDATE_SCHEMAS=1 cargo nextest run --release -p proto-events --test schemas`"
    );
}

#[test]
fn the_interaction_schema_is_published() {
    check("interaction.v1.json", &interaction_schema());
}

#[test]
fn the_lead_event_schema_is_published() {
    check("lead-event.v1.json", &lead_event_schema());
}

#[test]
fn the_command_schema_is_published() {
    check("command.v1.json", &command_schema());
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
