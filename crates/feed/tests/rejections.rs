//! Every kind of bad input is rejected with its own code, at the right path, without a word of what was sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use feed::{
    ClockCorrection, Entry, InteractionDecoder, InteractionEntry, Limits, NoTenant, Origin, RejectedEntry, TenantRules,
};
use lead_domain::{Currency, IdentifierKind, TenantId, Time};
use proto_events::cloud_event::code;
use proto_events::stored::{CODEC, decode_personal};
use serde_json::{Value, json};

const RECEIVED_AT: Time = Time::from_millis(1_772_359_200_000); // 2026-03-01T10:00:00Z

fn rules(id: u32, name: &str) -> TenantRules {
    TenantRules {
        id: TenantId(id),
        name: name.into(),
        phone_region: "DE".to_owned(),
        blocked_identifiers: ["null", "none@example.com"].map(str::to_owned).to_vec(),
        tested_attributes: vec!["plan".into(), "amount".into()],
        sealed_tests: Vec::new(),
        currency: Currency::new("EUR").unwrap(),
    }
}

fn decoder() -> InteractionDecoder {
    InteractionDecoder::new(vec![rules(1, "acme"), rules(2, "other")], Some(TenantId(1)), [7; 32], Limits::default())
}

fn origin(clock: ClockCorrection) -> Origin<'static> {
    Origin { name: "events.ndjson", feed_sequence: 17, tenant: None, clock }
}

fn decode(bytes: &[u8]) -> Entry {
    decoder().decode(bytes, origin(ClockCorrection::History), RECEIVED_AT).unwrap()
}

fn taken(event: &Value) -> InteractionEntry {
    match decode(event.to_string().as_bytes()) {
        Entry::Interaction(entry) => *entry,
        Entry::Rejected(entry) => panic!("{:?}", entry.facts),
    }
}

fn rejected(bytes: &[u8]) -> RejectedEntry {
    match decode(bytes) {
        Entry::Rejected(entry) => *entry,
        Entry::Interaction(_) => panic!("taken: {}", String::from_utf8_lossy(bytes)),
    }
}

/// A small good event, with changes: `path` is dotted, `Null` removes.
fn event(changes: &[(&str, Value)]) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "leadfold.interaction.v1",
        "time": "2026-03-01T09:30:00Z",
        "data": { "visitor_id": "c1", "channel": "web", "action": "product.viewed" }
    });
    for (path, value) in changes {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(slot) = event.pointer_mut(&pointer) {
            *slot = value.clone();
            continue;
        }
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    event
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row a fault")]
fn every_bad_event_has_its_code_and_path() {
    let long = "x".repeat(257);
    let many: Value = (0..65).map(|number| (format!("a{number}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    let all_in_order =
        json!([null, "c1", null, null, null, "web", null, "x", null, null, null, null, null, null, {}, null]);
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("no version", json!({ "specversion": null }), code::MISSING_FIELD, "specversion"),
        ("another version", json!({ "specversion": "0.3" }), code::WRONG_SPECVERSION, "specversion"),
        ("no id", json!({ "id": null }), code::MISSING_FIELD, "id"),
        ("an empty source", json!({ "source": " " }), code::MISSING_FIELD, "source"),
        ("a number for an id", json!({ "id": 7 }), code::WRONG_TYPE, "id"),
        ("another type", json!({ "type": "com.example" }), code::WRONG_EVENT_TYPE, "type"),
        ("no time", json!({ "time": null }), code::MISSING_FIELD, "time"),
        ("no offset", json!({ "time": "2026-03-01T09:30:00" }), code::BAD_TIME, "time"),
        ("too far ahead", json!({ "time": "2026-03-01T10:05:01Z" }), code::TIME_AHEAD, "time"),
        ("not JSON data", json!({ "datacontenttype": "text/xml" }), code::WRONG_CONTENT_TYPE, "datacontenttype"),
        ("an extension of a wrong type", json!({ "trace": {} }), code::WRONG_TYPE, "trace"),
        ("no data", json!({ "data": null }), code::MISSING_FIELD, "data"),
        ("both kinds of data", json!({ "data_base64": "e30=" }), code::BAD_DATA_BASE64, "data_base64"),
        ("broken base64", json!({ "data": null, "data_base64": "?" }), code::BAD_DATA_BASE64, "data_base64"),
        ("base64 of no JSON", json!({ "data": null, "data_base64": "eA==" }), code::INVALID_JSON, "data_base64"),
        ("empty data", json!({ "data": null, "data_base64": "e30=" }), code::MISSING_FIELD, "data.channel"),
        ("data of a wrong type", json!({ "data": [] }), code::WRONG_TYPE, "data"),
        ("data as an array", json!({ "data": all_in_order }), code::WRONG_TYPE, "data"),
        ("contact as an array", json!({ "data.contact": ["Ada", null, "GB"] }), code::WRONG_TYPE, "data.contact"),
        (
            "an amount as an array",
            json!({ "data.conversion": { "value": [100, "EUR"] } }),
            code::WRONG_TYPE,
            "data.conversion.value",
        ),
        ("no channel", json!({ "data.channel": null }), code::MISSING_FIELD, "data.channel"),
        ("an empty channel", json!({ "data.channel": "" }), code::MISSING_FIELD, "data.channel"),
        ("no action", json!({ "data.action": null }), code::MISSING_FIELD, "data.action"),
        ("nobody", json!({ "data.visitor_id": null }), code::MISSING_IDENTIFIER, "data"),
        ("an empty identifier", json!({ "data.visitor_id": "  " }), code::MISSING_IDENTIFIER, "data"),
        ("a typing error", json!({ "data.emial": "a@b.c" }), code::UNKNOWN_FIELD, "data.emial"),
        ("a value as a key", json!({ "data": { "a@b.c": 1 } }), code::UNKNOWN_FIELD, "data.?"),
        ("a typing error below", json!({ "data.contact": { "nam": "x" } }), code::UNKNOWN_FIELD, "data.contact.nam"),
        ("a number for a text", json!({ "data.skill": 5 }), code::WRONG_TYPE, "data.skill"),
        (
            "a decimal amount",
            json!({ "data.conversion": { "value": { "amount": 1.5 } } }),
            code::WRONG_TYPE,
            "data.conversion.value.amount",
        ),
        ("negative units", json!({ "data.conversion": { "rgus": -1 } }), code::WRONG_TYPE, "data.conversion.rgus"),
        (
            "no amount",
            json!({ "data.conversion": { "value": {} } }),
            code::MISSING_FIELD,
            "data.conversion.value.amount",
        ),
        (
            "no such currency",
            json!({ "data.conversion": { "value": { "amount": 1, "currency": "QQQ" } } }),
            code::BAD_CURRENCY,
            "data.conversion.value.currency",
        ),
        (
            "no such currency of a price",
            json!({ "data.product": { "price": { "amount": 1, "currency": "eur" } } }),
            code::BAD_CURRENCY,
            "data.product.price.currency",
        ),
        (
            "an attribute that is none",
            json!({ "data.attributes": { "a": [1] } }),
            code::WRONG_TYPE,
            "data.attributes.a",
        ),
        ("attributes that are none", json!({ "data.attributes": 1 }), code::WRONG_TYPE, "data.attributes"),
        ("many attributes", json!({ "data.attributes": many }), code::TOO_MANY_ATTRIBUTES, "data.attributes"),
        (
            "an attribute without a name",
            json!({ "data.attributes": { "": 1 } }),
            code::MISSING_FIELD,
            "data.attributes",
        ),
        ("a long text", json!({ "data.skill": long }), code::STRING_TOO_LONG, "data.skill"),
        ("a long attribute", json!({ "data.attributes": { "a": long } }), code::STRING_TOO_LONG, "data.attributes.a"),
        (
            "a long address",
            json!({ "data.page": { "url": "x".repeat(2_049) } }),
            code::STRING_TOO_LONG,
            "data.page.url",
        ),
        ("a zero byte", json!({ "data.channel": "we\u{0}b" }), code::CONTROL_CHARACTER, "data.channel"),
        ("no address", json!({ "data.email": "nobody" }), code::BAD_EMAIL, "data.email"),
        ("no number", json!({ "data.phone": "call me" }), code::BAD_PHONE, "data.phone"),
        ("a bad sent_at", json!({ "data.sent_at": "now" }), code::BAD_TIME, "data.sent_at"),
        ("no such tenant", json!({ "data.tenant": "nobody" }), code::UNKNOWN_TENANT, "data.tenant"),
        ("too large", json!({ "data.attributes": { "a": "x".repeat(65_536) } }), code::EVENT_TOO_LARGE, ""),
    ];
    for (name, changes, code, path) in cases {
        let changes: Vec<(&str, Value)> =
            changes.as_object().unwrap().iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
        let bytes = event(&changes).to_string();
        let entry = rejected(bytes.as_bytes());
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path), "{name}");
        assert!(entry.facts.message_text.as_str().ends_with('.'), "{name}: a sentence");
        assert_eq!(entry.facts.origin.as_str(), "events.ndjson:17");
        let personal = decode_personal(CODEC, &entry.personal).unwrap();
        assert_eq!(personal.bytes.as_deref(), Some(bytes.as_bytes()), "{name}");
    }
}

#[test]
fn bytes_that_are_no_event_have_their_code() {
    let cases: [(&[u8], &str); 8] = [
        (b"\xff\xfe", code::INVALID_UTF8),
        (b"{\"specversion\":\"1.0", code::INVALID_JSON),
        (b"{}{}", code::INVALID_JSON),
        (b"", code::INVALID_JSON),
        (b"[]", code::WRONG_TYPE),
        (b"{\"id\":\"1\",\"id\":\"2\"}", code::MISSING_FIELD),
        (b"{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"leadfold.interaction.v1\",\"id\":\"1\",\"id\":\"2\"}", code::REPEATED_FIELD),
        (&[b'['; 5_000], code::INVALID_JSON),
    ];
    for (bytes, code) in cases {
        assert_eq!(rejected(bytes).facts.code.as_str(), code, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_repeated_field_is_named_with_the_object_that_it_stands_in() {
    let envelope = r#""specversion":"1.0","id":"1","source":"/shop","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:00Z""#;
    let data = r#""channel":"web","action":"a","visitor_id":"c""#;
    let cases = [
        (format!(r#"{{{envelope},"id":"2","data":{{{data}}}}}"#), "id"),
        (format!(r#"{{{envelope},"data":{{{data},"visitor_id":"d"}}}}"#), "data.visitor_id"),
        (format!(r#"{{{envelope},"data":{{{data},"product":{{"id":"1","id":"2"}}}}}}"#), "data.product.id"),
        (format!(r#"{{{envelope},"data":{{{data},"attributes":{{"plan":1,"plan":2}}}}}}"#), "data.attributes.plan"),
        (
            format!(r#"{{{envelope},"data":{{{data},"attributes":{{"a@b.example":1,"a@b.example":2}}}}}}"#),
            "data.attributes.?",
        ),
    ];
    for (event, path) in cases {
        let facts = rejected(event.as_bytes()).facts;
        assert_eq!((facts.code.as_str(), facts.path.as_str()), (code::REPEATED_FIELD, path));
    }
}

#[test]
fn reasons_never_repeat_what_was_sent() {
    let secret = "geheim-4711";
    for path in [
        "specversion",
        "type",
        "time",
        "data.email",
        "data.phone",
        "data.sent_at",
        "data.tenant",
        "data.contact",
        "data.attributes",
    ] {
        let entry = rejected(event(&[(path, json!(secret))]).to_string().as_bytes());
        let facts = format!("{:?}", entry.facts);
        assert!(!facts.contains("geheim"), "{path}: {facts}");
    }
}

#[test]
fn an_event_of_another_tenant_than_its_channel_is_rejected_there() {
    let bytes = event(&[("data.tenant", json!("other"))]).to_string();
    let bound = Origin { tenant: Some(TenantId(1)), ..origin(ClockCorrection::History) };
    let Entry::Rejected(entry) = decoder().decode(bytes.as_bytes(), bound, RECEIVED_AT).unwrap() else {
        panic!("taken")
    };
    assert_eq!((entry.tenant, entry.facts.code.as_str()), (TenantId(1), code::TENANT_MISMATCH));
    assert_eq!(taken(&event(&[("data.tenant", json!("other"))])).tenant, TenantId(2));
}

#[test]
fn without_a_tenant_for_it_a_rejection_is_the_callers() {
    let mut decoder = InteractionDecoder::new(vec![rules(1, "acme")], None, [7; 32], Limits::default());
    let clock = ClockCorrection::History;
    let nobody = decoder.decode(event(&[]).to_string().as_bytes(), origin(clock), RECEIVED_AT);
    assert_eq!(nobody, Err(NoTenant { feed_sequence: 17 }));
    let named = event(&[("data.tenant", json!("acme"))]).to_string();
    assert!(decoder.decode(named.as_bytes(), origin(clock), RECEIVED_AT).is_ok());
}

#[test]
fn a_live_channels_clock_is_corrected_and_historys_is_not() {
    let event = event(&[("data.sent_at", json!("2026-03-01T09:31:00Z"))]).to_string();
    let times = [ClockCorrection::Live, ClockCorrection::History].map(|clock| {
        match decoder().decode(event.as_bytes(), origin(clock), RECEIVED_AT).unwrap() {
            Entry::Interaction(entry) => entry.occurred_at,
            Entry::Rejected(entry) => panic!("{:?}", entry.facts),
        }
    });
    let minutes = |minutes: i64| Time::from_millis(RECEIVED_AT.as_millis() - minutes * 60_000);
    assert_eq!(times, [minutes(1), minutes(30)]);
}

#[test]
fn the_same_content_has_the_same_fingerprint_however_it_is_written() {
    let one = br#"{"specversion":"1.0","id":"1","source":"/shop","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:00Z","data":{"visitor_id":"c1","channel":"web","action":"a","attributes":{"plan":"x","z":1.50},"skill":null}}"#;
    let other = br#" { "data" : { "sent_at":"2026-03-01T09:30:05Z", "attributes": {"z":1.50, "plan":"x", "gone":null}, "action":"\u0061",
        "tenant":"acme", "channel":" web ", "visitor_id":"c1"}, "type":"leadfold.interaction.v1", "traceparent":"t",
        "time":"2026-03-01T10:30:00+01:00", "source":"/shop", "id":"1", "specversion":"1.0" } "#;
    let (Entry::Interaction(one), Entry::Interaction(other)) = (decode(one), decode(other)) else { panic!("rejected") };
    assert_eq!(one.facts, other.facts);
    assert_eq!(one.personal, other.personal);
    let base = taken(&event(&[]));
    for (path, value) in [
        ("time", json!("2026-03-01T09:30:01Z")),
        ("data.action", json!("b")),
        ("data.page", json!({ "url": "https://x" })),
        ("data.attributes", json!({ "a": "1" })),
        ("data.attributes", json!({ "a": 1 })),
        ("data.conversion", json!({ "rgus": 1 })),
        ("data.product", json!({ "price": { "amount": 1 } })),
        ("data.email", json!("none@example.com")),
    ] {
        let changed = taken(&event(&[(path, value)]));
        assert_eq!(changed.facts.message, base.facts.message, "{path}");
        assert_ne!(changed.facts.fingerprint, base.facts.fingerprint, "{path}");
        assert_ne!(changed.conflict_key(), base.conflict_key(), "{path}");
    }
}

#[test]
fn another_policy_does_not_make_an_old_event_conflict() {
    let event = event(&[("data.attributes", json!({ "plan": "x", "b": 1 })), ("data.phone", json!("030 123456"))]);
    let changed = TenantRules {
        tested_attributes: vec!["b".into()],
        sealed_tests: Vec::new(),
        phone_region: "CH".to_owned(),
        blocked_identifiers: vec!["c1".to_owned()],
        ..rules(1, "acme")
    };
    let mut newer = InteractionDecoder::new(vec![changed], Some(TenantId(1)), [7; 32], Limits::default());
    let entry = newer.decode(event.to_string().as_bytes(), origin(ClockCorrection::History), RECEIVED_AT).unwrap();
    let Entry::Interaction(newer) = entry else { panic!("rejected") };
    let older = taken(&event);
    assert_ne!(newer.facts, older.facts);
    assert_eq!((newer.facts.message, newer.facts.fingerprint), (older.facts.message, older.facts.fingerprint));
}

#[test]
fn a_full_event_becomes_facts_without_personal_data() {
    let entry = taken(&event(&[(
        "data",
        json!({
            "tenant": "acme", "visitor_id": " cookie-1 ", "customer_id": "K-1", "email": "Ada@Example.com", "phone": "030 123456",
            "channel": "web", "skill": "chat-en", "action": "purchase",
            "contact": { "name": "Ada L", "locale": "de-DE", "country": "DE" },
            "campaign": { "name": "spring", "source": "news", "medium": "mail", "term": "t", "content": "c" },
            "product": { "id": "p1", "name": "Tablet", "category": "tablets", "price": { "amount": 1, "currency": "CHF" } },
            "device": { "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36" },
            "conversion": { "value": { "amount": 12_900 }, "rgus": 2, "order_id": "O-1" },
            "page": { "url": "https://x/y", "referrer": "https://z" },
            "attributes": { "plan": "gold", "amount": 5, "seat": "12A", "empty": null }
        }),
    )]));
    assert_eq!(entry.facts.sale.as_ref().unwrap().value, Some((12_900, *b"EUR")));
    assert_eq!(entry.facts.device.as_ref().unwrap().kind.as_ref().unwrap().as_str(), "desktop");
    let names: Vec<&str> = entry.facts.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["amount", "plan"]);
    let facts = format!("{:?}", entry.facts);
    for secret in ["cookie-1", "K-1", "Ada", "ada", "123456", "O-1", "https", "12A", "Mozilla"] {
        assert!(!facts.contains(secret), "{secret}");
    }
    let personal = entry.personal;
    let text = |text: &Option<proto_events::text::Text>| text.as_ref().map(|text| text.as_str().to_owned());
    assert_eq!(text(&personal.email).as_deref(), Some("ada@example.com"));
    assert_eq!(text(&personal.email_raw).as_deref(), Some("Ada@Example.com"));
    assert_eq!(text(&personal.phone).as_deref(), Some("+4930123456"));
    assert_eq!(text(&personal.visitor_id).as_deref(), Some("cookie-1"));
    assert_eq!(personal.attributes.len(), 1);
    let key =
        |kind, value: &str| feed::identifier_key([7; 32], &rules(1, "acme"), kind, value).unwrap().map(|key| key.0);
    assert_eq!(key(IdentifierKind::Email, " ADA@example.com"), entry.facts.email);
    assert_eq!(key(IdentifierKind::Phone, "+49 30 123456"), entry.facts.phone);
    assert_eq!(key(IdentifierKind::CustomerId, "K-1"), entry.facts.customer_id);
    assert_eq!(key(IdentifierKind::VisitorId, "null"), None);
    assert_eq!(Some(feed::order_key([7; 32], TenantId(1), "O-1").0), entry.facts.sale.as_ref().unwrap().order);
}

#[test]
fn blocked_identifiers_match_nobody_but_are_kept_and_count_as_given() {
    let entry = taken(&event(&[(
        "data",
        json!({ "channel": "web", "action": "a", "email": "None@example.com", "phone": "NULL" }),
    )]));
    assert_eq!((entry.facts.email, entry.facts.phone), (None, None));
    let personal = entry.personal;
    assert_eq!(personal.email.unwrap().as_str(), "none@example.com");
    assert_eq!((personal.phone, personal.phone_raw.unwrap().as_str()), (None, "NULL"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        decode(&bytes);
    }

    #[test]
    fn no_changed_event_makes_it_panic(place in 0..1_000_usize, byte in proptest::num::u8::ANY, length in 0..1_000_usize) {
        let full = event(&[("data", json!({
            "tenant": "acme", "visitor_id": "cookie", "email": "a@b.c", "phone": "+49 30 123456", "channel": "web", "action": "p",
            "conversion": { "value": { "amount": 12_900, "currency": "EUR" } }, "attributes": { "plan": "gold", "n": 1.5, "e": "\n" },
            "device": { "user_agent": "Mozilla/5.0" }, "sent_at": "2026-03-01T09:30:00Z",
        }))]).to_string();
        let mut bytes = full.into_bytes();
        let place = place % bytes.len();
        bytes[place] = byte;
        decode(&bytes);
        bytes.truncate(length);
        decode(&bytes);
    }

    #[test]
    fn any_texts_are_taken_or_rejected(phone in "\\PC{0,30}", email in "\\PC{0,30}", agent in "\\PC{0,80}", name in "\\PC{0,10}") {
        decode(event(&[
            ("data.phone", json!(phone)),
            ("data.email", json!(email)),
            ("data.device", json!({ "user_agent": agent })),
            ("data.attributes", json!({ name: 1 })),
        ]).to_string().as_bytes());
    }
}
