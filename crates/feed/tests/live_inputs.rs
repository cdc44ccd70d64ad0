//! What channels send live, in binary mode and several at once, gives what the structured events give.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use feed::{
    BinaryEvent, ClockCorrection, Entry, InteractionDecoder, Limits, Origin, RejectedEntry, TenantRules, split_batch,
    split_lines,
};
use lead_domain::{Currency, TenantId, Time};
use proptest::prelude::*;
use proto_events::cloud_event::code;
use proto_events::stored::{CODEC, decode_personal};
use serde_json::{Value, json};

const RECEIVED_AT: Time = Time::from_millis(1_772_359_200_000); // 2026-03-01T10:00:00Z

fn decoder() -> InteractionDecoder {
    let rules = TenantRules {
        id: TenantId(1),
        name: "acme".into(),
        phone_region: "DE".to_owned(),
        blocked_identifiers: vec!["null".to_owned()],
        tested_attributes: vec!["plan".into()],
        sealed_tests: Vec::new(),
        currency: Currency::new("EUR").unwrap(),
    };
    InteractionDecoder::new(vec![rules], Some(TenantId(1)), [7; 32], Limits::default())
}

fn origin() -> Origin<'static> {
    Origin { name: "http", feed_sequence: 17, tenant: None, clock: ClockCorrection::Live }
}

fn structured(bytes: &[u8]) -> Entry {
    decoder().decode(bytes, origin(), RECEIVED_AT).unwrap()
}

fn binary(attributes: &[(&str, &str)], content_type: Option<&str>, data: &[u8]) -> Entry {
    decoder().decode_binary(&BinaryEvent { attributes, content_type, data }, origin(), RECEIVED_AT).unwrap()
}

fn rejected(entry: Entry) -> RejectedEntry {
    let Entry::Rejected(entry) = entry else { panic!("taken") };
    *entry
}

fn kept(entry: &RejectedEntry) -> Vec<u8> {
    decode_personal(CODEC, &entry.personal).unwrap().bytes.unwrap()
}

const GOOD: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("id", "1"),
    ("source", "/shop"),
    ("type", "leadfold.interaction.v1"),
    ("time", "2026-03-01T09:30:00Z"),
];

const DATA: &str = r#"{"visitor_id":"c1","channel":"web","action":"a","attributes":{"plan":1.50}}"#;

/// The good attributes with some instead or besides.
fn attributes<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let good = GOOD.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    good.chain(changes.iter().copied()).filter(|(_, value)| *value != "-").collect()
}

#[test]
fn a_binary_event_is_its_structured_form() {
    let event = format!(
        r#"{{"specversion":"1.0","id":"Euro € 😀","source":"/shop","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:00Z","data":{DATA}}}"#
    );
    let attributes = attributes(&[
        ("ID", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("id", "-"),
        ("time", "\"2026-03-01T10:30:00+01:00\""),
        ("traceparent", "00-1-2-01"),
    ]);
    let found = binary(&attributes, Some("application/json; charset=utf-8"), DATA.as_bytes());
    assert!(matches!(found, Entry::Interaction(_)));
    assert_eq!(found, structured(event.as_bytes()));
    assert_eq!(found, binary(&attributes, None, DATA.as_bytes()));
    assert_eq!(found, binary(&attributes, Some("application/vnd.shop+json"), DATA.as_bytes()));
}

/// A name, attributes, content type, data, and the code and path that they have.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Option<&'a str>, &'a [u8], &'a str, &'a str);

#[test]
fn every_bad_binary_event_has_its_code_and_can_be_tried_again() {
    let json = Some("application/json");
    let cases: [Case<'_>; 15] = [
        ("no id", attributes(&[("id", "-")]), json, DATA.as_bytes(), code::MISSING_FIELD, "id"),
        ("bad UTF-8", attributes(&[("id", "%FF")]), json, DATA.as_bytes(), code::BAD_HEADER, "id"),
        ("bad escape", attributes(&[("subject", "100%")]), json, DATA.as_bytes(), code::BAD_HEADER, "subject"),
        ("bad extension", attributes(&[("x", "%FF")]), json, DATA.as_bytes(), code::BAD_HEADER, "x"),
        (
            "twice",
            attributes(&[("time", "2026-03-01T09:30:00Z"), ("Time", "2026-03-01T09:30:00Z")]),
            json,
            DATA.as_bytes(),
            code::REPEATED_FIELD,
            "time",
        ),
        (
            "version",
            attributes(&[("specversion", "0.3")]),
            json,
            DATA.as_bytes(),
            code::WRONG_SPECVERSION,
            "specversion",
        ),
        ("type", attributes(&[("type", "t")]), json, DATA.as_bytes(), code::WRONG_EVENT_TYPE, "type"),
        ("time", attributes(&[("time", "now")]), json, DATA.as_bytes(), code::BAD_TIME, "time"),
        ("content type", attributes(&[]), Some("text/plain"), b"hello", code::WRONG_CONTENT_TYPE, "datacontenttype"),
        (
            "another content type",
            attributes(&[("datacontenttype", "text/plain")]),
            json,
            DATA.as_bytes(),
            code::REPEATED_FIELD,
            "datacontenttype",
        ),
        ("data twice", attributes(&[("data", "{}")]), json, DATA.as_bytes(), code::REPEATED_FIELD, "data"),
        ("no data", attributes(&[]), json, b" ", code::MISSING_FIELD, "data"),
        ("no JSON", attributes(&[]), json, b"{\"channel\"", code::INVALID_JSON, "data"),
        ("no UTF-8", attributes(&[]), json, b"\xff", code::INVALID_UTF8, "data"),
        (
            "bad data",
            attributes(&[]),
            json,
            br#"{"channel":"web","action":"a","emial":1.50}"#,
            code::UNKNOWN_FIELD,
            "data.emial",
        ),
    ];
    for (name, attributes, content_type, data, code, path) in cases {
        let entry = rejected(binary(&attributes, content_type, data));
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path), "{name}");
        let kept = kept(&entry);
        let event: Value = serde_json::from_slice(&kept).unwrap();
        assert!(data == b" " || event.get("data").is_some() != event.get("data_base64").is_some(), "{name}: {event}");
        if !["bad escape", "bad extension", "twice", "another content type", "data twice"].contains(&name) {
            rejected(structured(&kept));
        }
    }
    let data = br#"{"channel":"web","action":"a","emial":1.50}"#;
    let kept = kept(&rejected(binary(&attributes(&[]), None, data)));
    let repaired = String::from_utf8(kept).unwrap();
    assert!(repaired.contains("\"emial\":1.50"), "{repaired}");
    let repaired = repaired.replace("\"emial\":1.50", "\"visitor_id\":\"c1\"");
    assert!(matches!(structured(repaired.as_bytes()), Entry::Interaction(_)));
}

#[test]
fn a_large_binary_event_is_rejected_and_kept() {
    let data = format!(r#"{{"visitor_id":"{}"}}"#, "x".repeat(65_536));
    let entry = rejected(binary(&attributes(&[]), None, data.as_bytes()));
    assert_eq!(entry.facts.code.as_str(), code::EVENT_TOO_LARGE);
    assert_eq!(
        serde_json::from_slice::<Value>(&kept(&entry)).unwrap()["data"]["visitor_id"].as_str().unwrap().len(),
        65_536
    );
}

#[test]
fn a_batch_is_cut_into_its_events() {
    let batch = br#" [ {"a":[1,{"b":"]"}]} , 5,"x" ] "#;
    let expected: [&[u8]; 3] = [br#"{"a":[1,{"b":"]"}]}"#, b"5", br#""x""#];
    assert_eq!(split_batch(batch, 3).unwrap(), expected);
    assert_eq!(split_batch(b"[]", 0).unwrap(), Vec::<&[u8]>::new());
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(split_batch(deep.as_bytes(), 1).unwrap().len(), 1);
    rejected(structured(split_batch(deep.as_bytes(), 1).unwrap()[0]));
    let cases: [(&[u8], &str); 9] = [
        (batch, code::TOO_MANY_EVENTS),
        (b"{}", code::WRONG_TYPE),
        (b"null", code::WRONG_TYPE),
        (b"", code::INVALID_JSON),
        (b"[1,]", code::INVALID_JSON),
        (b"[1", code::INVALID_JSON),
        (b"[1] [2]", code::INVALID_JSON),
        (b"[\xff]", code::INVALID_UTF8),
        (b"[\"\n\"]", code::INVALID_JSON),
    ];
    for (bytes, code) in cases {
        assert_eq!(split_batch(bytes, 2).unwrap_err().code, code, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn lines_are_cut_whatever_their_ends() {
    let lines: Vec<&[u8]> = split_lines(b"{\"a\":1}\r\n\n  \r\n\xff\n{}").collect();
    let expected: [&[u8]; 3] = [b"{\"a\":1}", b"\xff", b"{}"];
    assert_eq!(lines, expected);
    assert_eq!(split_lines(b"").count(), 0);
}

/// Text as it must stand in a header.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b' ' | b'"' | b'%' => format!("{encoded}%{byte:02X}"),
        0x21..=0x7e => format!("{encoded}{}", char::from(byte)),
        _ => format!("{encoded}%{byte:02x}"),
    })
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![4 => "\\PC{0,12}".prop_map(Value::from), 1 => Just(Value::Null), 1 => any::<i64>().prop_map(Value::from)]
}

/// Data of which most are good.
fn data() -> impl Strategy<Value = Value> {
    let attributes = proptest::collection::hash_map("[a-z]{1,4}", texts(), 0..4);
    let times = prop_oneof![Just(Value::Null), Just(json!("2026-03-01T09:59:00Z")), Just(json!("now"))];
    (texts(), texts(), "[a-z.]{0,6}", attributes, proptest::option::of(any::<i64>()), times).prop_map(
        |(visitor_id, name, action, attributes, amount, sent_at)| {
            json!({
                "visitor_id": visitor_id, "channel": "web", "action": action, "contact": { "name": name },
                "attributes": attributes, "conversion": { "value": amount.map(|amount| json!({ "amount": amount })) },
                "sent_at": sent_at,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn binary_and_structured_give_the_same_entry(
        id in "\\PC{0,20}", source in "[/a-zé %\"]{0,10}", time in prop_oneof![3 => Just("2026-03-01T09:30:00.5Z"), 1 => Just("x")],
        extension in "\\PC{0,20}", data in data(),
    ) {
        let event = json!({
            "specversion": "1.0", "type": "leadfold.interaction.v1", "id": id, "source": source, "time": time,
            "extension": extension, "data": data,
        });
        let values = [percent_encoded(&id), percent_encoded(&source), percent_encoded(&extension)];
        let attributes = [("specversion", "1.0"), ("type", "leadfold.interaction.v1"), ("id", &values[0]), ("source", &values[1]), ("time", time), ("extension", &values[2])];
        let found = binary(&attributes, Some("application/json"), data.to_string().as_bytes());
        match (found, structured(event.to_string().as_bytes())) {
            (Entry::Rejected(found), Entry::Rejected(expected)) => {
                prop_assert_eq!(&found.facts.code, &expected.facts.code);
                prop_assert_eq!(&found.facts.path, &expected.facts.path);
                prop_assert_eq!(&found.facts.message_text, &expected.facts.message_text);
                let again = rejected(structured(&kept(&found)));
                prop_assert_eq!(again.facts, found.facts);
            }
            (found, expected) => prop_assert_eq!(found, expected),
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        attributes in proptest::collection::vec(("[a-z_]{0,12}", "\\PC{0,12}"), 0..8), content_type in proptest::option::of("\\PC{0,20}"),
        data in proptest::collection::vec(any::<u8>(), 0..60), batch in "[\\[\\]{},:\"0-9a\\\\ ]{0,40}",
    ) {
        let attributes: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        binary(&attributes, content_type.as_deref(), &data);
        let _ = split_batch(&data, 3);
        let _ = split_batch(batch.as_bytes(), 3);
        for line in split_lines(&data) {
            structured(line);
        }
    }
}
