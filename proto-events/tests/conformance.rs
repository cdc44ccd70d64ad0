//! Our reader of CloudEvents and the one of the CNCF agree about envelopes: which to accept, and what they say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use cloudevents::{AttributesReader, Event};
use proto_events::cloud_event::{self, CloudEvent, Str, read_envelope};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// What both readers say of an accepted event: id, source, type, and the time in milliseconds.
type Said = (String, String, String, Option<i64>);

fn ours(bytes: &[u8]) -> Option<Said> {
    let event: CloudEvent<'_, IgnoredAny> = read_envelope(bytes).ok()?;
    let text = |text: &Option<Str<'_>>| text.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default();
    let time = event.time.as_ref().map(|time| cloud_event::time(time.as_str()).unwrap().as_millis());
    Some((text(&event.id), text(&event.source), text(&event.event_type), time))
}

fn theirs(bytes: &[u8]) -> Option<Said> {
    let event: Event = serde_json::from_slice(bytes).ok()?;
    let time = event.time().map(chrono::DateTime::timestamp_millis);
    Some((event.id().to_owned(), event.source().to_string(), event.ty().to_owned(), time))
}

fn event(changes: Value) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "leadfold.interaction.v1",
        "time": "2026-03-01T09:30:00Z",
        "data": { "visitor_id": "c1", "channel": "web", "action": "product.viewed" }
    });
    for (key, value) in changes.as_object().unwrap() {
        event[key] = value.clone();
    }
    event.to_string()
}

#[test]
fn both_readers_accept_and_refuse_the_same_events() {
    let accepted = [
        json!({}),
        json!({ "id": "ä-π-🦀", "source": "https://example.com/ü", "subject": "\u{1f980}" }),
        json!({ "id": "a\"b\\c\n" }),
        json!({ "source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66" }),
        json!({ "time": "2026-03-01T09:30:00.123456+05:30" }),
        json!({ "time": "2026-03-01t09:30:00z" }),
        json!({ "time": null }),
        json!({ "subject": null, "datacontenttype": null, "dataschema": null }),
        json!({ "datacontenttype": "application/json" }),
        json!({ "datacontenttype": "application/json; charset=utf-8" }),
        json!({ "datacontenttype": "application/vnd.shop+json" }),
        json!({ "dataschema": "https://example.com/schema" }),
        json!({ "traceparent": "00-1-2-01", "partitionkey": "k", "sampled": true, "sequence": 5, "empty": null }),
        json!({ "sequence": -9_223_372_036_854_775_808_i64 }),
        json!({ "data": null }),
        json!({ "data": [1, 2] }),
        json!({ "data": "text" }),
    ];
    let refused = [
        json!({ "specversion": null }),
        json!({ "specversion": "2.0" }),
        json!({ "specversion": 1.0 }),
        json!({ "id": null }),
        json!({ "id": 7 }),
        json!({ "source": null }),
        json!({ "source": ["/shop"] }),
        json!({ "type": null }),
        json!({ "type": {} }),
        json!({ "time": "yesterday" }),
        json!({ "time": "2026-03-01T09:30:00" }),
        json!({ "time": 1_772_359_200 }),
        json!({ "subject": 5 }),
        json!({ "datacontenttype": 5 }),
        json!({ "dataschema": 5 }),
        json!({ "extension": {} }),
        json!({ "extension": [1] }),
        json!({ "extension": 1.5 }),
        json!({ "extension": 18_446_744_073_709_551_615_u64 }),
        json!({ "data_base64": "e30=" }),
    ];
    for (changes, accept) in accepted.iter().map(|case| (case, true)).chain(refused.iter().map(|case| (case, false))) {
        let bytes = event(changes.clone());
        assert_eq!(theirs(bytes.as_bytes()).is_some(), accept, "theirs: {changes}");
        assert_eq!(ours(bytes.as_bytes()), theirs(bytes.as_bytes()), "{changes}");
    }
}

#[test]
fn both_readers_take_the_same_bytes() {
    let base64 =
        |data: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":{data}}}"#);
    let cases = [
        (base64(r#""e30=""#), true),
        (base64(r#""aGVsbG8=""#), true),
        (base64(r#""""#), true),
        (base64(r#""not base64""#), false),
        (base64("5"), false),
        ("{".to_owned(), false),
        ("[]".to_owned(), false),
        (String::new(), false),
        ("null".to_owned(), false),
        (r#"{"specversion":"1.0","id":"\ud800","source":"/s","type":"t"}"#.to_owned(), false),
        (r#"{"specversion":"1.0","id":"\u0041","source":"/s","type":"t"}"#.to_owned(), true),
        (r#" {"type":"t" , "source":"/s","id":"1","specversion":"1.0"} "#.to_owned(), true),
        (r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"} x"#.to_owned(), false),
    ];
    for (bytes, accept) in cases {
        assert_eq!(theirs(bytes.as_bytes()).is_some(), accept, "theirs: {bytes}");
        assert_eq!(ours(bytes.as_bytes()), theirs(bytes.as_bytes()), "{bytes}");
    }
    assert_eq!((ours(b"\xff"), theirs(b"\xff")), (None, None));
}

/// Where we are stricter, on purpose.
#[test]
fn the_known_differences_are_these() {
    let stricter = [
        ("the specification wants id, source and type not to be empty", event(json!({ "id": "" }))),
        ("the contract is of version 1.0", event(json!({ "specversion": "0.3" }))),
        ("the contract's data are JSON", event(json!({ "datacontenttype": "text/plain", "data": "text" }))),
        (
            "a key that stands twice has no meaning (RFC 8259)",
            r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#.to_owned(),
        ),
    ];
    for (reason, bytes) in stricter {
        assert!(ours(bytes.as_bytes()).is_none() && theirs(bytes.as_bytes()).is_some(), "{reason}");
    }
    let looser = ("we leave dataschema alone", event(json!({ "dataschema": "no URI" })));
    assert!(ours(looser.1.as_bytes()).is_some() && theirs(looser.1.as_bytes()).is_none(), "{}", looser.0);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 1_000, failure_persistence: None, ..Default::default() })]
    #[test]
    fn they_agree_about_any_texts(id in "\\PC{1,20}", kind in "[a-z.]{1,20}", subject in "\\PC{0,20}", value in "\\PC{0,20}") {
        proptest::prop_assume!(!id.trim().is_empty());
        let bytes = event(json!({ "id": id, "type": kind, "subject": subject, "extension": value }));
        assert_eq!(ours(bytes.as_bytes()), theirs(bytes.as_bytes()));
    }
}
