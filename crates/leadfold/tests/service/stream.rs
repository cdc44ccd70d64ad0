//! Following what changes: everything, in order, once, and live.

use serde_json::json;

use crate::support::{Change, Client, Event, Site, policy_of};

/// Records page views of a few devices, and returns position and word of every change.
fn record(client: &Client, name: &str, count: usize) -> Vec<(u64, String)> {
    let mut changes = Vec::new();
    for number in 0..count {
        let event = Event::page(&format!("{name}-{number}"), &format!("{name}-device-{}", number % 3));
        let result = client.publish(&event.with("email", format!("{name}-{}@example.com", number % 5)).json());
        let position = result["position"].as_u64().unwrap();
        let events = result["events"].as_array().unwrap();
        changes.extend(events.iter().map(|event| (position, event["event"].as_str().unwrap().to_owned())));
    }
    changes
}

/// Position and word of each change, which must say both wherever it says them.
fn seen(changes: &[Change]) -> Vec<(u64, String)> {
    let of = |change: &Change| {
        assert_eq!(change.data["change"]["event"], json!(change.event));
        let position = change.data["position"].as_u64().unwrap();
        assert!(change.id.starts_with(&format!("{position}-")), "{change:?}");
        (position, change.event.clone())
    };
    changes.iter().map(of).collect()
}

#[test]
fn a_stream_has_every_change_in_order_and_goes_on_live() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let mut expected = record(&client, "before", 40);
    let mut all = client.follow("/v1/stream?from=1", None);
    let mut live = client.follow("/v1/stream", None);
    assert_eq!(seen(&all.take(expected.len())), expected);
    let after = record(&client, "after", 40);
    assert_eq!(seen(&all.take(after.len())), after);
    assert_eq!(seen(&live.take(after.len())), after);
    let lead = "V1-1";
    client.post(&format!("/v1/leads/{lead}/close"), &json!({ "reason": "duplicate" })).ok(200);
    let closed = all.next();
    assert_eq!((closed.event.as_str(), &closed.data["change"]["lead_id"]), ("lead_closed", &json!(lead)));
    expected.extend(after);
    let from = expected[expected.len() / 2].0;
    expected.retain(|(position, _)| *position >= from);
    let mut some = client.follow(&format!("/v1/stream?from={from}"), None);
    assert_eq!(seen(&some.take(expected.len())), expected);
}

#[test]
fn a_stream_that_was_cut_off_goes_on_where_it_was() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let expected = record(&client, "one", 30);
    let whole = client.follow("/v1/stream?from=1", None).take(expected.len());
    assert_eq!(seen(&whole), expected);
    let mut found = Vec::new();
    let mut last: Option<String> = None;
    // One to three changes from each connection: also in the middle of a record.
    for length in (1..=3).cycle() {
        let mut stream = client.follow("/v1/stream?from=1", last.as_deref());
        found.extend(stream.take(length.min(expected.len() - found.len())));
        if found.len() == expected.len() {
            break;
        }
        last = found.last().map(|change: &Change| change.id.clone());
    }
    assert_eq!(found, whole);
    service.kill();
    let service = site.serve();
    let client = service.client();
    let middle = whole.len() / 2;
    let mut stream = client.follow("/v1/stream", Some(&whole[middle - 1].id));
    assert_eq!(stream.take(whole.len() - middle), whole[middle..]);
    let next = record(&client, "two", 1);
    assert_eq!(seen(&stream.take(next.len())), next);
}

#[test]
fn a_stream_shows_one_tenant_only() {
    let site = Site::shop();
    site.adopt(&policy_of("globex"));
    let service = site.serve();
    let acme = service.client().header("leadfold-tenant", "acme");
    let globex = service.client().header("leadfold-tenant", "globex");
    record(&acme, "acme", 20);
    let expected = record(&globex, "globex", 2);
    record(&acme, "more", 20);
    let mut stream = globex.follow("/v1/stream?from=1", None);
    assert_eq!(seen(&stream.take(expected.len())), expected);
    let next = record(&globex, "next", 1);
    assert_eq!(seen(&stream.take(next.len())), next);
}

#[test]
fn a_stream_refuses_places_that_it_can_not_read() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    for path in ["/v1/stream?from=x", "/v1/stream?from=-1", "/v1/stream?to=1"] {
        client.get(path).problem(400, "invalid-request");
    }
    for last in ["x", "1", "1-x", "-1", "18446744073709551616-0", "1-18446744073709551615"] {
        let request = client.request(reqwest::Method::GET, "/v1/stream").header("last-event-id", last);
        client.send(request).problem(400, "invalid-request");
    }
    // A service that stops ends its streams.
    let mut stream = client.follow("/v1/stream?from=1", None);
    let expected = record(&client, "one", 1);
    assert_eq!(seen(&stream.take(expected.len())), expected);
    assert!(service.stop().0.success());
}
