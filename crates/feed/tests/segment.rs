//! What Segment's SDKs send gives the interactions that it stands for. The fixtures are what analytics-python 2.4.0 and
//! @segment/analytics-node 3.1.0 sent to a server of ours.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use feed::segment::{Call, Message, read_batch, write_key};
use feed::{ClockCorrection, Entry, InteractionDecoder, InteractionEntry, Limits, Origin, RejectedEntry, TenantRules};
use lead_domain::{Currency, TenantId, Time};
use proptest::prelude::*;
use proto_events::cloud_event::{self, code};
use proto_events::stored::{CODEC, decode_personal};
use serde_json::{Value, json};

const PYTHON: &str = include_str!("fixtures/segment-python.json");
const NODE: &str = include_str!("fixtures/segment-node.json");

fn time(text: &str) -> Time {
    cloud_event::time(text).unwrap()
}

fn received_at() -> Time {
    time("2026-11-22T12:00:00Z")
}

fn decoder() -> InteractionDecoder {
    let rules = TenantRules {
        id: TenantId(1),
        name: "acme".into(),
        phone_region: "DE".to_owned(),
        blocked_identifiers: vec!["null".to_owned()],
        tested_attributes: vec!["plan".into(), "tax".into()],
        sealed_tests: Vec::new(),
        currency: Currency::new("EUR").unwrap(),
    };
    InteractionDecoder::new(vec![rules], Some(TenantId(1)), [7; 32], Limits::default())
}

fn origin() -> Origin<'static> {
    Origin { name: "segment", feed_sequence: 17, tenant: None, clock: ClockCorrection::Live }
}

fn structured(bytes: &[u8]) -> Entry {
    decoder().decode(bytes, origin(), received_at()).unwrap()
}

fn decode(message: &Message<'_>) -> Entry {
    decoder().decode_segment(message, origin(), received_at()).unwrap()
}

fn decode_call(call: Call, message: &Value) -> Entry {
    decode(&Message::new(call, message.to_string().as_bytes()))
}

fn taken(entry: Entry) -> InteractionEntry {
    match entry {
        Entry::Interaction(entry) => *entry,
        Entry::Rejected(entry) => panic!("{:?}", entry.facts),
    }
}

fn rejected(entry: Entry) -> RejectedEntry {
    let Entry::Rejected(entry) = entry else { panic!("taken") };
    *entry
}

fn kept(entry: &RejectedEntry) -> Vec<u8> {
    decode_personal(CODEC, &entry.personal).unwrap().bytes.unwrap()
}

/// The event that a message should be.
fn event(source: &str, id: &str, time: &str, data: Value) -> Entry {
    let event = json!({ "specversion": "1.0", "type": "leadfold.interaction.v1", "source": source, "id": id, "time": time, "data": data });
    structured(event.to_string().as_bytes())
}

fn check_batch(batch: &str, source: &str, sent_at: &str, expected: &[(&str, &str, Value)]) {
    let batch = read_batch(batch.as_bytes(), 100).unwrap();
    assert_eq!(batch.messages.len(), expected.len());
    for (message, (id, time, data)) in batch.messages.iter().zip(expected) {
        let mut data = data.clone();
        data["sent_at"] = json!(sent_at);
        assert_eq!(taken(decode(message)), taken(event(source, id, time, data)), "{id}");
    }
}

#[test]
fn what_the_python_sdk_sends_is_taken() {
    let at = "2026-11-22T11:33:50.549Z";
    let expected = [
        (
            "008b22a4-94e7-4a3e-b08c-d2a61596c80b",
            "2026-11-22T11:33:50.548Z",
            json!({ "visitor_id": "anon-1", "customer_id": "user-1", "email": "Ada@Example.com", "phone": "+49 30 123456", "channel": "web",
                "action": "identified", "contact": { "name": "Ada Lovelace", "country": "DE" },
                "attributes": { "plan": "gold", "address.country": "DE", "address.city": "Berlin" } }),
        ),
        (
            "eea977d9-9926-42f8-82b6-79beafa65867",
            at,
            json!({ "customer_id": "user-1", "channel": "web", "action": "purchase",
                "product": { "id": "p1", "name": "Tablet", "price": { "amount": 6_495, "currency": "EUR" } },
                "conversion": { "value": { "amount": 12_990, "currency": "EUR" }, "rgus": 2, "order_id": "O-1" } }),
        ),
        (
            "718ed4ca-8ca9-4b71-8938-cf6ca9e3c065",
            at,
            json!({ "customer_id": "user-1", "channel": "web", "action": "page.viewed",
                "page": { "url": "https://shop.example.com/x", "referrer": "https://z" },
                "attributes": { "name": "Python library", "category": "Docs" } }),
        ),
        (
            "53b8bc7b-37e8-48db-8520-b107336809c9",
            at,
            json!({ "visitor_id": "anon-1", "channel": "mobile", "action": "screen.viewed", "attributes": { "name": "Home", "category": "Cat" } }),
        ),
        (
            "bb89ccea-e743-4b38-afb3-c72461d4e109",
            at,
            json!({ "customer_id": "user-1", "channel": "web", "action": "group.joined",
                "attributes": { "group_id": "g-1", "name": "ACME", "employees": 5 } }),
        ),
        (
            "ba73cf01-6653-490c-80ec-cddc88a4f92f",
            at,
            json!({ "visitor_id": "anon-1", "customer_id": "user-1", "channel": "web", "action": "identified" }),
        ),
    ];
    check_batch(PYTHON, "segment/analytics-python", "2026-11-22T11:33:52.549127Z", &expected);
    assert_eq!(write_key(PYTHON.as_bytes()).as_deref(), Some("acme-key"));
}

#[test]
fn what_the_node_sdk_sends_is_taken() {
    let at = "2026-11-22T11:34:18.177Z";
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
    let expected = [
        (
            "node-next-1795347258176-844bd021-d8f4-48c8-b7bb-087201636301",
            "2026-11-22T11:34:18.176Z",
            json!({ "visitor_id": "anon-1", "customer_id": "user-1", "email": "Ada@Example.com", "phone": "+4930123456", "channel": "web",
                "action": "identified", "contact": { "name": "Ada Lovelace", "country": "DE" }, "attributes": { "address.country": "DE" } }),
        ),
        (
            "node-next-1795347258177-d021d8f4-48c8-47bb-8872-016363019852",
            at,
            json!({ "customer_id": "user-1", "channel": "web", "action": "cart.updated", "contact": { "locale": "de-DE" },
                "campaign": { "name": "spring", "source": "news", "medium": "mail", "term": "t", "content": "c" },
                "product": { "id": "p1", "name": "Tablet", "category": "tablets", "price": { "amount": 6_495, "currency": "EUR" } },
                "device": { "user_agent": agent },
                "page": { "url": "https://shop.example.com/p1", "referrer": "https://search.example.com/" },
                "attributes": { "sku": "s1", "quantity": 1 } }),
        ),
        (
            "node-next-1795347258177-d8f448c8-b7bb-4872-8163-630198529fc5",
            at,
            json!({ "visitor_id": "anon-1", "channel": "web", "action": "page.viewed", "page": { "url": "https://shop.example.com/docs" },
                "attributes": { "name": "Node", "category": "Docs", "title": "Docs" } }),
        ),
        (
            "node-next-1795347258177-48c8b7bb-0872-4163-a301-98529fc5d816",
            at,
            json!({ "visitor_id": "anon-1", "channel": "mobile", "action": "screen.viewed", "attributes": { "name": "Home" } }),
        ),
        (
            "node-next-1795347258177-b7bb0872-0163-4301-9852-9fc5d816abe0",
            at,
            json!({ "customer_id": "user-1", "channel": "web", "action": "group.joined", "attributes": { "group_id": "g-1", "name": "ACME" } }),
        ),
        (
            "node-next-1795347258177-08720163-6301-4852-9fc5-d816abe0bb61",
            at,
            json!({ "visitor_id": "anon-1", "customer_id": "user-1", "channel": "web", "action": "identified" }),
        ),
    ];
    check_batch(NODE, "segment/@segment/analytics-node", "2026-11-22T11:34:18.180Z", &expected);
}

/// Every field that the mapping knows.
fn full() -> Value {
    json!({
        "anonymousId": "507f191e810c19729de860ea", "userId": 97_980, "messageId": "022bb90c", "type": "track", "event": "Product Viewed",
        "timestamp": "2026-11-22T11:59:50.000+00:00", "sentAt": "2026-11-22T11:59:55.000Z", "channel": "browser", "version": 2,
        "integrations": { "All": true }, "writeKey": "secret",
        "context": {
            "active": true, "ip": "8.8.8.8", "locale": "en-US", "timezone": "Europe/Amsterdam", "groupId": "12345",
            "library": { "name": "analytics.js", "version": "2.11.1" }, "app": { "name": "InitechGlobal" },
            "campaign": { "name": "TPS", "source": "Newsletter", "medium": "email", "term": "tps reports", "content": "image link" },
            "device": { "id": "B5372DB0", "manufacturer": "Apple", "model": "iPhone7,2", "type": "ios" },
            "os": { "name": "iPhone OS", "version": "8.1.3" },
            "page": { "path": "/academy/", "referrer": "", "search": "", "title": "Academy", "url": "https://segment.com/academy/" },
            "traits": { "email": "ada@example.com", "phone": "030 123456", "first_name": "Ada", "last_name": "L", "address": { "country": "USA" }, "plan": "gold" },
            "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
        },
        "properties": {
            "sku": "G-32", "name": "Monopoly", "category": "Games", "price": 1_900, "currency": "jpy", "skill": "chat-en",
            "tax": 1.50, "brand": "Hasbro", "in_stock": true, "gone": null, "sizes": ["s", "m"], "shop": { "id": 7, "deep": { "er": 1 } }
        }
    })
}

#[test]
fn every_field_of_the_specification_has_its_place() {
    let expected = json!({
        "visitor_id": "507f191e810c19729de860ea", "customer_id": "97980", "email": "ada@example.com", "phone": "030 123456",
        "channel": "browser", "skill": "chat-en", "action": "product.viewed",
        "contact": { "name": "Ada L", "locale": "en-US", "country": "USA" },
        "campaign": { "name": "TPS", "source": "Newsletter", "medium": "email", "term": "tps reports", "content": "image link" },
        "product": { "id": "G-32", "name": "Monopoly", "category": "Games", "price": { "amount": 1_900, "currency": "JPY" } },
        "device": { "type": "mobile", "os": "iPhone OS", "user_agent": full()["context"]["userAgent"] },
        "page": { "url": "https://segment.com/academy/" },
        "attributes": { "tax": 1.50, "brand": "Hasbro", "in_stock": true, "shop.id": 7 },
        "sent_at": "2026-11-22T11:59:55Z"
    });
    let found = taken(decode_call(Call::Track, &full()));
    assert_eq!(found, taken(event("segment/analytics.js", "022bb90c", "2026-11-22T11:59:50Z", expected)));
    assert_eq!(found.occurred_at, time("2026-11-22T11:59:55Z"), "five seconds before the reception");
}

fn order(properties: &Value) -> Value {
    json!({ "userId": "u", "messageId": "m", "timestamp": "2026-11-22T11:00:00Z", "event": "Order Completed", "properties": properties })
}

#[test]
fn orders_are_counted_to_the_cent() {
    let cases = [
        (json!({ "total": 27.5, "revenue": 25, "value": 30, "currency": "USD" }), Some((2_750, *b"USD")), 0),
        (json!({ "revenue": "25.00", "value": 30, "quantity": 3 }), Some((2_500, *b"EUR")), 3),
        (json!({ "value": 30.1 }), Some((3_010, *b"EUR")), 0),
        (json!({ "total": 194.850_000_000_000_02 }), Some((19_485, *b"EUR")), 0),
        (json!({ "total": 500, "currency": "JPY" }), Some((500, *b"JPY")), 0),
        (json!({ "total": 1.234, "currency": "KWD" }), Some((1_234, *b"KWD")), 0),
        (json!({ "total": -5 }), Some((-500, *b"EUR")), 0),
        (json!({ "products": [{ "quantity": 2 }, { "quantity": "3" }, { "sku": "x" }, { "quantity": 1.0 }] }), None, 7),
        (json!({}), None, 0),
    ];
    for (properties, value, rgus) in cases {
        let sale = taken(decode_call(Call::Track, &order(&properties))).facts.sale.unwrap();
        assert_eq!((sale.value, sale.rgus), (value, rgus), "{properties}");
    }
    let updated = json!({ "userId": "u", "messageId": "m", "timestamp": "2026-11-22T11:00:00Z", "event": "Order Updated", "properties": { "total": 5 } });
    let entry = taken(decode_call(Call::Track, &updated));
    assert_eq!(
        (entry.facts.sale, entry.personal.attributes.len()),
        (None, 1),
        "not sold, and the total is an attribute"
    );
}

#[test]
fn one_of_the_sdk_s_retries_is_a_duplicate() {
    let sent = |sent_at: &str| {
        let mut message = full();
        message["sentAt"] = json!(sent_at);
        message
    };
    let one = taken(decode_call(Call::Track, &sent("2026-11-22T11:59:55.000Z")));
    let other = taken(decode_call(Call::Track, &sent("2026-11-22T11:59:58.000Z")));
    assert_eq!((one.facts.message, one.facts.fingerprint), (other.facts.message, other.facts.fingerprint));
    let mut updated = full();
    updated["context"]["library"]["version"] = json!("3.0.0");
    assert_eq!(taken(decode_call(Call::Track, &updated)).facts.message, one.facts.message);
    let mut changed = full();
    changed["properties"]["brand"] = json!("Parker");
    let changed = taken(decode_call(Call::Track, &changed));
    assert_eq!(changed.facts.message, one.facts.message);
    assert_ne!(changed.facts.fingerprint, one.facts.fingerprint);
}

#[test]
fn a_time_that_is_not_said_is_no_content() {
    let mut message = order(&json!({ "total": 5 }));
    message["timestamp"] = Value::Null;
    let bytes = message.to_string();
    let message = Message::new(Call::Track, bytes.as_bytes());
    let entries = ["2026-11-22T12:00:00Z", "2026-11-22T12:00:09Z"]
        .map(|received_at| taken(decoder().decode_segment(&message, origin(), time(received_at)).unwrap()));
    assert_eq!(entries[0].facts, entries[1].facts);
    assert_eq!(entries.map(|entry| entry.occurred_at), [time("2026-11-22T12:00:00Z"), time("2026-11-22T12:00:09Z")]);
    let cases = [
        (json!({ "originalTimestamp": "2026-11-22T11:00:00Z" }), "2026-11-22T11:00:00Z"),
        (json!({ "timestamp": "2026-11-22T11:00:00.250" }), "2026-11-22T11:00:00.250Z"),
        (json!({ "timestamp": "2026-11-22T12:00:00+01:00", "sentAt": "2026-11-22T11:10:00Z" }), "2026-11-22T11:50:00Z"),
        (json!({ "sentAt": "2020-01-01T00:00:00Z" }), "2026-11-22T12:00:00Z"),
    ];
    for (times, expected) in cases {
        let mut message = json!({ "userId": "u", "messageId": "m", "event": "Signed Up" });
        for (name, value) in times.as_object().unwrap() {
            message[name] = value.clone();
        }
        assert_eq!(taken(decode_call(Call::Track, &message)).occurred_at, time(expected), "{times}");
    }
}

#[test]
fn a_batch_shares_its_context_and_one_bad_message_spoils_no_other() {
    let batch = json!({
        "context": { "locale": "de-DE", "library": { "name": "curl" }, "campaign": { "name": "spring" } }, "sentAt": "2026-11-22T11:59:00Z",
        "batch": [
            { "type": "track", "event": "Signed Up", "userId": "u", "messageId": "1", "timestamp": "2026-11-22T11:58:00Z", "context": { "locale": "fr" } },
            { "type": "sell" }, 5
        ]
    })
    .to_string();
    let batch = read_batch(batch.as_bytes(), 3).unwrap();
    let entry = taken(decode(&batch.messages[0]));
    assert_eq!(entry.facts.locale.unwrap().as_str(), "fr");
    assert_eq!(entry.facts.campaign.unwrap().name.unwrap().as_str(), "spring");
    assert_eq!(entry.personal.source.as_str(), "segment/curl");
    assert_eq!(entry.occurred_at, time("2026-11-22T11:59:00Z"));
    let codes = [1, 2].map(|place| rejected(decode(&batch.messages[place])).facts.code.as_str().to_owned());
    assert_eq!(codes, [code::WRONG_EVENT_TYPE, code::WRONG_TYPE]);
    assert!(!format!("{batch:?}").contains("Signed"));
}

#[test]
fn a_malformed_batch_is_one_fault() {
    let cases: [(&[u8], &str, &str); 9] = [
        (br#"{"batch":[1,2,3]}"#, code::TOO_MANY_EVENTS, "batch"),
        (br#"{"batch":{}}"#, code::WRONG_TYPE, "batch"),
        (br#"{"batch":null}"#, code::MISSING_FIELD, "batch"),
        (b"{}", code::MISSING_FIELD, "batch"),
        (br#"{"batch":[],"batch":[]}"#, code::REPEATED_FIELD, "batch"),
        (b"[]", code::WRONG_TYPE, ""),
        (br#"{"batch":["#, code::INVALID_JSON, ""),
        (br#"{"batch":[]} x"#, code::INVALID_JSON, ""),
        (b"\xff", code::INVALID_UTF8, ""),
    ];
    for (bytes, code, path) in cases {
        let fault = read_batch(bytes, 2).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (code, path), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(write_key(b"[]"), None);
    assert_eq!(write_key(br#"{"writeKey":5}"#), None);
}

/// A code and a path.
type Expected = (&'static str, &'static str);

#[test]
fn every_bad_message_has_its_code_and_its_own_path_and_can_be_repaired() {
    let long = "x".repeat(257);
    let cases: [(&str, Value, Expected); 27] = [
        ("/messageId", Value::Null, (code::MISSING_FIELD, "messageId")),
        ("/messageId", json!(long), (code::STRING_TOO_LONG, "messageId")),
        ("/messageId", json!({}), (code::WRONG_TYPE, "messageId")),
        ("/event", Value::Null, (code::MISSING_FIELD, "event")),
        ("/event", json!("!!!"), (code::MISSING_FIELD, "event")),
        ("/event", json!(long), (code::STRING_TOO_LONG, "event")),
        ("/timestamp", json!("yesterday"), (code::BAD_TIME, "timestamp")),
        ("/timestamp", json!("2027-01-01T00:00:00Z"), (code::TIME_AHEAD, "timestamp")),
        ("/sentAt", json!("now"), (code::BAD_TIME, "sentAt")),
        ("/anonymousId", json!([1]), (code::WRONG_TYPE, "anonymousId")),
        ("/userId", json!(long), (code::STRING_TOO_LONG, "userId")),
        ("/properties", json!(5), (code::WRONG_TYPE, "properties")),
        ("/context", json!("x"), (code::WRONG_TYPE, "context")),
        ("/context/campaign", json!([]), (code::WRONG_TYPE, "context.campaign")),
        ("/context/page/url", json!("x".repeat(2_049)), (code::STRING_TOO_LONG, "context.page.url")),
        ("/context/traits/email", json!("nobody"), (code::BAD_EMAIL, "context.traits.email")),
        ("/context/traits/phone", json!("call me"), (code::BAD_PHONE, "context.traits.phone")),
        ("/context/locale", json!("d\u{0}e"), (code::CONTROL_CHARACTER, "context.locale")),
        ("/properties/price", json!("a lot"), (code::BAD_AMOUNT, "properties.price")),
        ("/properties/price", json!(129.5), (code::BAD_AMOUNT, "properties.price")),
        ("/properties/price", json!(true), (code::BAD_AMOUNT, "properties.price")),
        ("/properties/price", json!([5]), (code::BAD_AMOUNT, "properties.price")),
        ("/properties/currency", json!("QQQ"), (code::BAD_CURRENCY, "properties.currency")),
        ("/properties/currency", json!("XAU"), (code::BAD_CURRENCY, "properties.currency")),
        ("/properties/products", json!(5), (code::WRONG_TYPE, "properties.products")),
        ("/properties/brand", json!(long), (code::STRING_TOO_LONG, "properties.brand")),
        ("/properties/sku", json!({}), (code::WRONG_TYPE, "properties.sku")),
    ];
    for (pointer, value, (code, path)) in cases {
        let mut message = full();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        message.pointer_mut(parent).unwrap()[name] = value.clone();
        let entry = rejected(decode_call(Call::Track, &message));
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path), "{pointer}: {value}");
        let event = kept(&entry);
        let again = rejected(structured(&event));
        assert!(!again.facts.path.as_str().is_empty(), "{pointer}: a retry without a repair is rejected with a path");
        assert_eq!(serde_json::from_slice::<Value>(&event).unwrap()["specversion"], "1.0");
        message["sentAt"] = if name == "sentAt" { value } else { json!("2026-11-22T11:59:59Z") };
        assert_eq!(rejected(decode_call(Call::Track, &message)).facts.message, entry.facts.message, "{pointer}");
    }
}

#[test]
fn orders_that_can_t_be_counted_are_kept_with_amounts_that_can_t_be_mistaken() {
    let cases = [
        (json!({ "total": "12,50" }), code::BAD_AMOUNT, "properties.total", "/data/conversion/value/amount", "12,50"),
        (
            json!({ "total": 12, "currency": "QQQ" }),
            code::BAD_CURRENCY,
            "properties.currency",
            "/data/conversion/value/amount",
            "12",
        ),
        (json!({ "total": 12.345 }), code::BAD_AMOUNT, "properties.total", "/data/conversion/value/amount", "12.345"),
        (json!({ "quantity": 1.5 }), code::WRONG_TYPE, "properties.quantity", "/data/conversion/rgus", "1.5"),
        (
            json!({ "products": [{ "quantity": -1 }] }),
            code::WRONG_TYPE,
            "properties.products[].quantity",
            "/data/conversion/rgus",
            "-1",
        ),
    ];
    for (properties, code, path, pointer, text) in cases {
        let entry = rejected(decode_call(Call::Track, &order(&properties)));
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path), "{properties}");
        let event: Value = serde_json::from_slice(&kept(&entry)).unwrap();
        assert_eq!(event.pointer(pointer).unwrap(), text, "{properties}");
        rejected(structured(&kept(&entry)));
    }
    let entry = rejected(decode_call(Call::Track, &order(&json!({ "total": "12,50", "tax": 1.50 }))));
    let repaired = String::from_utf8(kept(&entry)).unwrap().replace("\"12,50\"", "1250");
    let expected = taken(decode_call(Call::Track, &order(&json!({ "total": 12.5, "tax": 1.50 }))));
    assert_eq!(taken(structured(repaired.as_bytes())), expected);
}

#[test]
fn units_beyond_every_bound_are_refused() {
    let most = json!({ "quantity": u32::MAX });
    let entry = rejected(decode_call(Call::Track, &order(&json!({ "products": [most, most] }))));
    assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code::WRONG_TYPE, "properties.products"));
    rejected(structured(&kept(&entry)));
}

#[test]
fn what_can_t_be_read_is_kept_as_it_is() {
    let deep = format!(r#"{{"messageId":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    let cases: [(&[u8], &str, &str); 8] = [
        (b"\xff", code::INVALID_UTF8, ""),
        (b"{", code::INVALID_JSON, ""),
        (b"[]", code::WRONG_TYPE, ""),
        (br#"{"userId":"a","userId":"b"}"#, code::REPEATED_FIELD, "userId"),
        (br#"{"context":{"page":{"url":"a","url":"b"}}}"#, code::REPEATED_FIELD, "context.page.url"),
        (br#"{"messageId":"1","properties":{"a@b.c":1,"a@b.c":2}}"#, code::REPEATED_FIELD, "properties.?"),
        (br#"{"userId":"\ud800"}"#, code::WRONG_TYPE, "userId"),
        (&[b' '; 70_000], code::EVENT_TOO_LARGE, ""),
    ];
    for (bytes, code, path) in cases {
        let entry = rejected(decode(&Message::new(Call::Track, bytes)));
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path));
        assert_eq!(kept(&entry), bytes);
    }
    let entry = rejected(decode(&Message::new(Call::Track, deep.as_bytes())));
    assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code::WRONG_TYPE, "messageId"));
    rejected(structured(&kept(&entry)));
}

#[test]
fn nobody_is_identified_by_the_traits_of_a_company() {
    let message = json!({ "groupId": 7, "userId": "u", "messageId": "m", "timestamp": "2026-11-22T11:00:00Z", "traits": { "email": "info@acme.example" } });
    let entry = taken(decode_call(Call::Group, &message));
    assert_eq!((entry.facts.email, entry.personal.attributes.len()), (None, 2));
    let message = json!({ "messageId": "m", "timestamp": "2026-11-22T11:00:00Z", "event": "Signed Up" });
    let entry = rejected(decode_call(Call::Track, &message));
    assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code::MISSING_IDENTIFIER, "userId"));
}

#[test]
fn the_limits_of_events_hold() {
    let many: Value = (0..65).map(|number| (format!("a{number}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    let cases = [
        (Call::Track, json!({ "event": "a", "properties": many }), code::TOO_MANY_ATTRIBUTES, "properties"),
        (Call::Identify, json!({ "traits": many }), code::TOO_MANY_ATTRIBUTES, "traits"),
        (Call::Identify, json!({ "traits": { "email": "x" } }), code::BAD_EMAIL, "traits.email"),
        (Call::Group, json!({ "traits": { "a": "x".repeat(257) } }), code::STRING_TOO_LONG, "traits.a"),
        (Call::Alias, json!({ "previousId": "x".repeat(257) }), code::STRING_TOO_LONG, "previousId"),
        (Call::Page, json!({ "properties": { "": 1 } }), code::MISSING_FIELD, "properties"),
    ];
    for (call, mut message, code, path) in cases {
        message["userId"] = json!("u");
        message["messageId"] = json!("m");
        let entry = rejected(decode_call(call, &message));
        assert_eq!((entry.facts.code.as_str(), entry.facts.path.as_str()), (code, path), "{call:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof![Just("EUR"), Just("12.50"), Just("2026-11-22T11:00:00Z"), Just("Order Completed"), Just("track")]
            .prop_map(Value::from),
    ];
    let names = proptest::sample::select(vec![
        "batch",
        "context",
        "properties",
        "traits",
        "products",
        "address",
        "campaign",
        "page",
        "device",
        "os",
        "library",
        "name",
        "email",
        "price",
        "currency",
        "total",
        "quantity",
        "sku",
        "event",
        "type",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "sentAt",
        "x",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => proptest::collection::hash_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_call() -> impl Strategy<Value = Call> {
    proptest::sample::select(vec![Call::Track, Call::Identify, Call::Page, Call::Screen, Call::Group, Call::Alias])
}

/// A name that is no text stays where it would stand, beside what could be read, and is rejected again.
#[test]
fn an_attribute_of_the_wrong_type_is_kept_with_the_others() {
    for name in [json!({}), json!({ "plan": "pro" }), json!([1])] {
        let page = format!(r#"{{"messageId":"m","userId":"u","name":{name},"properties":{{"rating":1.10}}}}"#);
        let Entry::Rejected(entry) = decode(&Message::new(Call::Page, page.as_bytes())) else { panic!("taken") };
        let kept = kept(&entry);
        let event: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(event["data"]["attributes"]["name"], name);
        assert!(String::from_utf8_lossy(&kept).contains("1.10"), "the digits are kept");
        rejected(structured(&kept));
    }
}

/// A text in place of an object must not become the text that an event has there: nobody has repaired it.
#[test]
fn a_text_in_place_of_an_object_is_rejected_until_it_is_repaired() {
    let address = json!({ "traits": { "address": "Bremen" } });
    for context in [json!({ "os": "Linux" }), json!({ "os": "" }), json!({ "library": "ours" }), address] {
        let page = json!({ "messageId": "m", "userId": "u", "context": context }).to_string();
        let Entry::Rejected(entry) = decode(&Message::new(Call::Page, page.as_bytes())) else { panic!("taken") };
        rejected(structured(&kept(&entry)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    /// Whatever is sent, it is taken or kept, and what is kept as an event is rejected again until it is repaired.
    #[test]
    fn any_json_is_taken_or_rejected_for_good(call in any_call(), json in any_json(), shared in any_json()) {
        let bytes = json.to_string();
        if let Entry::Rejected(entry) = decode(&Message::new(call, bytes.as_bytes())) {
            rejected(structured(&kept(&entry)));
        }
        let batch = json!({ "batch": [json], "context": shared, "sentAt": shared }).to_string();
        if let Entry::Rejected(entry) = decode(&read_batch(batch.as_bytes(), 1).unwrap().messages[0]) {
            rejected(structured(&kept(&entry)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(call in any_call(), bytes in proptest::collection::vec(any::<u8>(), 0..80), place in 0..3_000_usize, byte in any::<u8>()) {
        decode(&Message::new(call, &bytes));
        let _ = read_batch(&bytes, 3);
        let mut bytes = PYTHON.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(batch) = read_batch(&bytes, 10) {
            for message in &batch.messages {
                decode(message);
            }
        }
    }
}
