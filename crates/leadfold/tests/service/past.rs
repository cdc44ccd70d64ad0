//! A running service asked about the past: pages, figures, what is kept, and that it goes with an erasure.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Event, Site, shop_policy};

/// When the tests' service is.
const NOW: &str = "2026-03-10T12:00:00Z";

fn at(hour: u32) -> String {
    format!("2026-03-10T{hour:02}:00:00Z")
}

/// One lead an hour, from 0 to 9 o'clock, each with a name.
fn shop() -> Site {
    let mut site = Site::empty();
    site.set_clock(NOW);
    site.adopt(&shop_policy());
    let event = |hour: u32| {
        let event =
            Event::page(&format!("e{hour}"), &format!("device-{hour}")).with("contact", json!({ "name": "Quill" }));
        let mut event = event.json();
        event["time"] = at(hour).into();
        event.to_string() + "\n"
    };
    site.write("events.ndjson", (0..10).map(event).collect::<String>());
    site.done(&["import", "events.ndjson"]);
    site
}

/// Folders that are kept of the past.
fn kept(site: &Site) -> usize {
    fs::read_dir(site.path("data/past")).map_or(0, Iterator::count)
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap().to_owned()).collect()
}

fn report(client: &Client, query: &str) -> Value {
    let body = json!({ "source": "leads", "measures": ["count", "max:age"] });
    client.post(&format!("/v1/analytics/query{query}"), &body).ok(200)
}

#[test]
fn a_listing_of_the_past_has_pages_filters_and_counts() {
    let site = shop();
    let service = site.serve();
    let client = service.client();
    let first = format!("/v1/leads?as_of={}&sort=opened_at&limit=2&count=exact", at(4));
    let mut page = client.get(&first).ok(200);
    assert_eq!((&page["count"], page["items"].as_array().unwrap().len()), (&json!(5), 2), "{page}");
    let mut all = ids(&page);
    while let Some(cursor) = page["next_cursor"].as_str() {
        page = client.get(&format!("/v1/leads?as_of={}&sort=opened_at&limit=2&cursor={cursor}", at(4))).ok(200);
        all.extend(ids(&page));
    }
    assert_eq!(all, ["V1-1", "V2-1", "V3-1", "V4-1", "V5-1"]);
    assert_eq!(kept(&site), 1, "one past answers all pages");
    let found = client.get(&format!("/v1/leads?as_of={}&q=quill&opened_from={}", at(4), at(3))).ok(200);
    assert_eq!(ids(&found).len(), 2);
    client.get(&format!("/v1/leads?as_of={}&colour=red", at(4))).problem(400, "invalid-request");
    // What is recorded from now on and happened by then belongs to it, once it is known.
    let mut late = Event::page("late", "device-late").json();
    late["time"] = at(1).into();
    client.record(&late);
    let page = client.get(&first).ok(200);
    assert_eq!(page["count"], 6, "{page}");
    let known = client.get(&format!("{first}&known_at={}", "2026-03-10T11:59:59Z")).ok(200);
    assert_eq!(known["position"], 0, "all of it was recorded at noon");
    service.stop();
}

#[test]
fn figures_of_the_past_count_what_there_was_and_how_old_it_was() {
    let site = shop();
    let service = site.serve();
    let client = service.client();
    let then = report(&client, &format!("?as_of={}", at(4)));
    assert_eq!(then["items"], json!([{ "count": 5, "max_age": 4.0 * 3600.0 }]), "{then}");
    assert_eq!(report(&client, "")["items"][0]["count"], 10);
    let funnel = client.get(&format!("/v1/analytics/funnel?as_of={}", at(4))).ok(200);
    assert_eq!(funnel["groups"][0]["leads"], 5, "{funnel}");
    let score = client.get(&format!("/v1/leads/V1-1/score?as_of={}&known_at={NOW}", at(4))).ok(200);
    assert_eq!(score["at"], at(4), "{score}");
    service.stop();
}

#[test]
fn there_is_nothing_before_the_first_record_and_nothing_is_known_of_the_future() {
    let site = shop();
    let service = site.serve();
    let client = service.client();
    let page = client.get("/v1/leads?as_of=1999-01-01T00:00:00Z").ok(200);
    assert_eq!((&page["items"], &page["position"], &page["next_cursor"]), (&json!([]), &json!(0), &Value::Null));
    let none = report(&client, "?as_of=1999-01-01T00:00:00Z");
    assert_eq!((&none["position"], &none["items"][0]["count"]), (&json!(0), &json!(0)), "{none}");
    client.get("/v1/leads/V1-1?as_of=1999-01-01T00:00:00Z").problem(404, "not-found");
    client.get("/v1/leads/V1-1/score?as_of=1999-01-01T00:00:00Z").problem(404, "not-found");
    for path in ["/v1/leads", "/v1/leads/V1-1", "/v1/analytics/funnel"] {
        for name in ["as_of", "known_at"] {
            client.get(&format!("{path}?{name}=2999-01-01T00:00:00Z")).problem(422, "in-the-future");
            client.get(&format!("{path}?{name}=noon")).problem(400, "invalid-request");
        }
    }
    let forecast = client.get("/v1/leads/V1-1/score?as_of=2999-01-01T00:00:00Z").ok(200);
    assert_eq!(forecast["total"], 0, "what will be left of it: {forecast}");
    client.get("/v1/leads/V1-1/score?known_at=2999-01-01T00:00:00Z").problem(422, "in-the-future");
    service.stop();
}

#[test]
fn an_erased_person_stays_erased_in_the_past() {
    let site = shop();
    let service = site.serve();
    let client = service.client();
    let then = format!("/v1/leads?as_of={}&sort=opened_at", at(4));
    assert_eq!(client.get(&then).ok(200)["items"][0]["contact"]["name"], "Quill");
    report(&client, &format!("?as_of={}", at(4)));
    assert_eq!(kept(&site), 2);
    let request = client.request(Method::DELETE, "/v1/visitors/V1").json(&json!({ "reason": "asked for it" }));
    let erased = client.send(request).ok(200);
    assert_eq!((&erased["behind"], kept(&site)), (&json!([]), 0), "what was kept has gone");
    let page = client.get(&then).ok(200);
    let lead = &page["items"][0];
    assert_eq!((&lead["id"], &lead["status"]), (&json!("V1-1"), &json!("open")), "it was open then: {lead}");
    assert_eq!((&lead["contact"]["name"], &page["items"][1]["contact"]["name"]), (&Value::Null, &json!("Quill")));
    service.stop();
}
