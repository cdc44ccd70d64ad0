//! Commands read back what they show, and a bad one names everything that is wrong with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;

use lead_domain::{Currency, InteractionId, LeadId, Money, Time, VisitorId};
use proptest::prelude::*;
use proto_events::cloud_event::code;
use proto_events::command_document::{AdoptInto, Ask, COMMANDS, CommandDocument, FAULTS_MAX};
use proto_events::stored::Value as Scalar;
use serde_json::{Value, json};

fn read(document: &Value) -> Result<CommandDocument, Vec<(String, &'static str)>> {
    read_bytes(document.to_string().as_bytes())
}

fn read_bytes(bytes: &[u8]) -> Result<CommandDocument, Vec<(String, &'static str)>> {
    CommandDocument::read(bytes).map_err(|faults| {
        assert!(faults.iter().all(|fault| fault.message.ends_with('.')), "sentences");
        faults.into_iter().map(|fault| (fault.path, fault.code)).collect()
    })
}

/// A document with these fields.
fn with(fields: &Value) -> Value {
    let mut document = json!({ "id": "key-1", "operator": "olga" });
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

const LEAD: LeadId = LeadId { visitor: VisitorId(42), ordinal: 1 };

#[test]
fn every_command_is_read_and_written_as_documented() {
    let documents = [
        json!({ "command": "open_lead", "visitor_id": "V42", "lead_type": "tablets" }),
        json!({ "command": "close_lead", "lead_id": "V42-1", "reason": "duplicate", "note": "said so\ntwice" }),
        json!({ "command": "convert_lead", "lead_id": "V42-1", "value": { "amount": 12_900, "currency": "EUR" }, "rgus": 2, "order_id": "O-1" }),
        json!({ "command": "withdraw_conversion", "lead_id": "V42-1", "order_id": "O-1" }),
        json!({ "command": "reopen_lead", "lead_id": "V42-1" }),
        json!({ "command": "change_lead_type", "lead_id": "V42-1", "lead_type": "phones" }),
        json!({ "command": "assign_lead", "lead_id": "V42-1", "owner": "otto" }),
        json!({ "command": "add_note", "lead_id": "V42-1", "text": "call back" }),
        json!({ "command": "set_attributes", "lead_id": "V42-1", "attributes": { "plan": "gold", "seats": 3, "vip": true } }),
        json!({ "command": "adopt_orphan", "interaction_id": "I1042", "lead_id": "V42-1" }),
        json!({ "command": "move_interaction", "interaction_id": "I1042", "to_lead_id": "V42-2" }),
        json!({ "command": "discredit_interaction", "interaction_id": "I1042", "note": "our own monitoring" }),
        json!({ "command": "merge_visitors", "visitor_id": "V42", "other_visitor_id": "V43" }),
        json!({ "command": "unmerge_visitor", "visitor_id": "V42", "keep_apart": true }),
        json!({ "command": "settle_duplicate", "visitor_id": "V42", "other_visitor_id": "V43" }),
        json!({ "command": "erase_visitor", "visitor_id": "V42", "reason": "asked for it" }),
        json!({ "command": "suppress", "email": "ada@example.com", "phone": "+4930123456", "reason": "objects to it" }),
        json!({ "command": "unsuppress", "visitor_id": "V42", "customer_id": "K1", "device_id": "d", "reason": "again" }),
        json!({ "command": "adopt_policy", "document": "tenant = \"acme\"\n" }),
        json!({ "command": "retry_quarantined", "position": 1_042, "event": { "id": "1", "data": {} } }),
        json!({ "command": "discard_quarantined", "position": 1_042 }),
    ];
    assert_eq!(documents.len(), COMMANDS.len());
    for (fields, name) in documents.iter().zip(COMMANDS) {
        let sent = with(fields);
        let document = read(&sent).unwrap();
        assert_eq!(document.ask.name(), name);
        assert_eq!(serde_json::from_slice::<Value>(&document.to_json()).unwrap(), sent);
        let full = with(&json!({ "at": "2026-03-01T09:30:00.250Z", "if_version": 7 }));
        let full = with(&merged(&full, fields));
        let document = read(&full).unwrap();
        assert_eq!((document.if_version, document.at.unwrap().as_millis() % 1_000), (Some(7), 250));
        assert_eq!(serde_json::from_slice::<Value>(&document.to_json()).unwrap(), full);
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut merged = one.clone();
    for (name, value) in other.as_object().unwrap() {
        merged[name] = value.clone();
    }
    merged
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let document = read(&with(&json!({ "command": "convert_lead", "lead_id": "v42-1", "value": null }))).unwrap();
    assert_eq!(document.ask, Ask::ConvertLead { lead_id: LEAD, value: None, rgus: 0, order_id: None });
    assert_eq!((document.at, document.if_version), (None, None));
    let document = read(&with(&json!({ "command": "unmerge_visitor", "visitor_id": "V42" }))).unwrap();
    assert_eq!(document.ask, Ask::UnmergeVisitor { visitor_id: VisitorId(42), keep_apart: false });
    let document = read(&with(&json!({ "command": "assign_lead", "lead_id": "V42-1", "owner": "  " }))).unwrap();
    assert_eq!(document.ask, Ask::AssignLead { lead_id: LEAD, owner: None });
}

#[test]
fn a_number_is_kept_as_it_was_written() {
    let bytes = br#"{"id":"1","operator":"o","command":"set_attributes","lead_id":"V42-1","attributes":{"x":1.50,"y":12345678901234567890}}"#;
    let document = read_bytes(bytes).unwrap();
    let Ask::SetAttributes { attributes, .. } = &document.ask else { panic!("another command") };
    assert_eq!(attributes["x"], Scalar::Decimal("1.50".into()));
    let json = String::from_utf8(document.to_json()).unwrap();
    assert!(json.contains(r#""x":1.50,"y":12345678901234567890"#), "{json}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row a fault")]
fn every_fault_is_named_at_once() {
    let name = "x".repeat(257);
    let many: Value = (0..65).map(|number| (format!("a{number}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    let cases = [
        (
            json!({}),
            vec![("id", code::MISSING_FIELD), ("operator", code::MISSING_FIELD), ("command", code::MISSING_FIELD)],
        ),
        (with(&json!({ "command": "sell_lead", "x": 1 })), vec![("command", code::UNKNOWN_COMMAND)]),
        (with(&json!({ "command": 5 })), vec![("command", code::WRONG_TYPE)]),
        (
            json!({ "id": "i".repeat(129), "operator": name, "at": "now", "if_version": -1, "command": "close_lead", "lead_id": "42", "note": "x".repeat(4_097), "emial": 1, "a@b.c": 2 }),
            vec![
                ("id", code::STRING_TOO_LONG),
                ("operator", code::STRING_TOO_LONG),
                ("at", code::BAD_TIME),
                ("if_version", code::WRONG_TYPE),
                ("lead_id", code::BAD_ID),
                ("reason", code::MISSING_FIELD),
                ("note", code::STRING_TOO_LONG),
                ("?", code::UNKNOWN_FIELD),
                ("emial", code::UNKNOWN_FIELD),
            ],
        ),
        (
            with(
                &json!({ "command": "convert_lead", "lead_id": 5, "rgus": 1.5, "value": { "amount": 1.5, "currency": "QQQ", "unit": 1 } }),
            ),
            vec![
                ("lead_id", code::WRONG_TYPE),
                ("value.amount", code::WRONG_TYPE),
                ("value.currency", code::BAD_CURRENCY),
                ("value.unit", code::UNKNOWN_FIELD),
                ("rgus", code::WRONG_TYPE),
            ],
        ),
        (
            with(&json!({ "command": "convert_lead", "lead_id": "V42-1", "value": {} })),
            vec![("value.amount", code::MISSING_FIELD), ("value.currency", code::MISSING_FIELD)],
        ),
        (
            with(&json!({ "command": "convert_lead", "lead_id": "V42-1", "value": 5 })),
            vec![("value", code::WRONG_TYPE)],
        ),
        (
            with(&json!({ "command": "set_attributes", "lead_id": "V42-1", "attributes": {} })),
            vec![("attributes", code::MISSING_FIELD)],
        ),
        (
            with(&json!({ "command": "set_attributes", "lead_id": "V42-1", "attributes": many })),
            vec![("attributes", code::TOO_MANY_ATTRIBUTES)],
        ),
        (
            with(
                &json!({ "command": "set_attributes", "lead_id": "V42-1", "attributes": { "": 1, "a": [1], "b": null, "c": "x".repeat(257), "d": "\u{0}" } }),
            ),
            vec![
                ("attributes.?", code::MISSING_FIELD),
                ("attributes.a", code::WRONG_TYPE),
                ("attributes.b", code::WRONG_TYPE),
                ("attributes.c", code::STRING_TOO_LONG),
                ("attributes.d", code::CONTROL_CHARACTER),
            ],
        ),
        (
            with(&json!({ "command": "adopt_orphan", "interaction_id": "V1", "lead_id": "V42-1", "lead_type": "t" })),
            vec![("interaction_id", code::BAD_ID), ("lead_id", code::CONTRADICTION)],
        ),
        (with(&json!({ "command": "adopt_orphan", "interaction_id": "I1" })), vec![("lead_id", code::MISSING_FIELD)]),
        (
            with(&json!({ "command": "adopt_orphan", "interaction_id": "I1", "lead_id": "V0-1" })),
            vec![("lead_id", code::BAD_ID)],
        ),
        (
            with(&json!({ "command": "add_note", "lead_id": "V42-1", "text": "a\u{7}" })),
            vec![("text", code::CONTROL_CHARACTER)],
        ),
        (
            with(&json!({ "command": "open_lead", "visitor_id": "V1", "lead_type": "a\nb" })),
            vec![("lead_type", code::CONTROL_CHARACTER)],
        ),
        (
            with(&json!({ "command": "unmerge_visitor", "visitor_id": "V1", "keep_apart": "yes" })),
            vec![("keep_apart", code::WRONG_TYPE)],
        ),
        (
            with(&json!({ "command": "retry_quarantined", "position": 0, "event": "x" })),
            vec![("position", code::WRONG_TYPE), ("event", code::WRONG_TYPE)],
        ),
        (with(&json!({ "command": "discard_quarantined" })), vec![("position", code::MISSING_FIELD)]),
    ];
    for (document, expected) in cases {
        let expected: Vec<(String, &str)> = expected.into_iter().map(|(path, code)| (path.to_owned(), code)).collect();
        assert_eq!(read(&document).unwrap_err(), expected, "{document}");
    }
}

#[test]
fn bytes_that_are_no_document_have_their_code() {
    let large = vec![b' '; 3 << 20];
    let cases: [(&[u8], &str); 8] = [
        (b"\xff", code::INVALID_UTF8),
        (b"", code::INVALID_JSON),
        (b"{\"id\":", code::INVALID_JSON),
        (b"{} {}", code::INVALID_JSON),
        (b"[]", code::WRONG_TYPE),
        (b"null", code::WRONG_TYPE),
        (&[b'['; 100_000], code::WRONG_TYPE),
        (&large, code::COMMAND_TOO_LARGE),
    ];
    for (bytes, code) in cases {
        assert_eq!(read_bytes(bytes).unwrap_err(), [(String::new(), code)]);
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_and_so_is_one_that_the_request_says_already() {
    let bytes = br#"{"id":"1","operator":"o","command":"add_note","lead_id":"V42-1","text":"a","text":"b","text":"c"}"#;
    assert_eq!(read_bytes(bytes).unwrap_err(), [("text".to_owned(), code::REPEATED_FIELD)]);
    let bytes = br#"{"id":"1","operator":"o","command":"set_attributes","lead_id":"V42-1","attributes":{"a":1,"a":2}}"#;
    assert_eq!(read_bytes(bytes).unwrap_err(), [("attributes.a".to_owned(), code::REPEATED_FIELD)]);
    let known = [("command", "close_lead"), ("lead_id", "V42-1"), ("id", "key-1"), ("operator", "olga")];
    let document = CommandDocument::read_with(br#"{ "reason": "duplicate" }"#, &known).unwrap();
    assert_eq!(
        document,
        read(&with(&json!({ "command": "close_lead", "lead_id": "V42-1", "reason": "duplicate" }))).unwrap()
    );
    let faults = CommandDocument::read_with(br#"{ "reason": "duplicate", "operator": "otto" }"#, &known).unwrap_err();
    assert_eq!((faults.len(), faults[0].path.as_str(), faults[0].code), (1, "operator", code::REPEATED_FIELD));
    let known = [("command", "discard_quarantined"), ("position", "17"), ("id", "key-1"), ("operator", "olga")];
    let document = CommandDocument::read_with(b"{}", &known).unwrap();
    assert_eq!(document.ask, Ask::DiscardQuarantined { position: 17 });
}

#[test]
fn faults_are_bounded_and_repeat_no_value() {
    let mut document =
        with(&json!({ "command": "reopen_lead", "lead_id": "geheim", "at": "geheim", "value": "geheim" }));
    for number in 0..1_000 {
        document[format!("geheim {number}")] = json!(1);
    }
    let faults = CommandDocument::read(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(faults.len(), FAULTS_MAX);
    assert!(!format!("{faults:?}").contains("geheim"));
}

#[test]
fn an_event_in_a_command_is_kept_byte_for_byte() {
    let event = r#"{ "id" : "1", "n": 1.50, "deep": [[[[{}]]]] }"#;
    let bytes = format!(r#"{{"id":"1","operator":"o","command":"retry_quarantined","position":1,"event":{event}}}"#);
    let document = read_bytes(bytes.as_bytes()).unwrap();
    let Ask::RetryQuarantined { event: Some(found), .. } = &document.ask else { panic!("another command") };
    assert_eq!(found.as_str(), event);
    assert_eq!(read_bytes(&document.to_json()).unwrap(), document);
}

fn names() -> impl Strategy<Value = String> {
    "[\\PC&&[^ ]]{1,12}( [\\PC&&[^ ]]{1,12})?".prop_filter("trimmed", |name| name.trim() == name && !name.is_empty())
}

fn visitors() -> impl Strategy<Value = VisitorId> {
    (1..=u64::MAX).prop_map(VisitorId)
}

fn leads() -> impl Strategy<Value = LeadId> {
    (visitors(), 1..=u32::MAX).prop_map(|(visitor, ordinal)| LeadId { visitor, ordinal })
}

fn values() -> impl Strategy<Value = BTreeMap<String, Scalar>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Integer),
        "-?[1-9][0-9]{0,5}\\.[0-9]{1,5}".prop_map(|number| Scalar::Decimal(number.as_str().into())),
        "\\PC{0,40}".prop_map(|text| Scalar::Text(text.as_str().into())),
    ];
    proptest::collection::btree_map(names(), value, 1..8)
}

fn asks() -> impl Strategy<Value = Ask> {
    let money = (any::<i64>(), proptest::sample::select(vec!["EUR", "JPY", "KWD"]))
        .prop_map(|(amount, code)| Money { amount, currency: Currency::new(code).unwrap() });
    let interactions = || (1..=u64::MAX).prop_map(InteractionId);
    let into = prop_oneof![leads().prop_map(AdoptInto::LeadId), names().prop_map(AdoptInto::LeadType)];
    prop_oneof![
        (visitors(), names()).prop_map(|(visitor_id, lead_type)| Ask::OpenLead { visitor_id, lead_type }),
        (leads(), names(), proptest::option::of("\\PC{0,9}[a-z]\n?"))
            .prop_map(|(lead_id, reason, note)| Ask::CloseLead { lead_id, reason, note }),
        (leads(), proptest::option::of(money), any::<u32>(), proptest::option::of(names()))
            .prop_map(|(lead_id, value, rgus, order_id)| Ask::ConvertLead { lead_id, value, rgus, order_id }),
        (leads(), values()).prop_map(|(lead_id, attributes)| Ask::SetAttributes { lead_id, attributes }),
        (interactions(), into).prop_map(|(interaction_id, into)| Ask::AdoptOrphan { interaction_id, into }),
        (interactions(), leads())
            .prop_map(|(interaction_id, to_lead_id)| Ask::MoveInteraction { interaction_id, to_lead_id }),
        (interactions(), proptest::option::of("\\PC{0,9}[a-z]\n?"))
            .prop_map(|(interaction_id, note)| Ask::DiscreditInteraction { interaction_id, note }),
        (1..=u64::MAX).prop_map(|position| Ask::DiscardQuarantined { position }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read_again(
        id in names(), operator in names(), ask in asks(),
        at in proptest::option::of(0..4_000_000_000_000_i64), if_version in proptest::option::of(any::<u32>()),
    ) {
        let document = CommandDocument { id, operator, at: at.map(Time::from_millis), if_version, ask };
        prop_assert_eq!(CommandDocument::read(&document.to_json()), Ok(document));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in 0..1_000_usize, byte in any::<u8>()) {
        let _ = CommandDocument::read(&bytes);
        let mut bytes = with(&json!({ "command": "set_attributes", "lead_id": "V42-1", "attributes": { "a": 1.5, "b": "\n" }, "at": "2026-03-01T09:30:00Z" }))
            .to_string().into_bytes();
        let place = place % bytes.len();
        bytes[place] = byte;
        let _ = CommandDocument::read(&bytes);
    }
}
