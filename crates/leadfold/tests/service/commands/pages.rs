//! Paging and waiting: nothing is shown twice, nothing is left out, and what was written is read.

use serde_json::{Value, json};

use crate::support::{Client, Event, Site, before_now};

/// All pages of a list, one row each.
fn all(client: &Client, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let page = client.get(&format!("{path}{separator}limit=1{cursor}")).ok(200);
        rows.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn pages_of_one_row_come_to_the_same_as_one_page() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let mut last = 0;
    for number in 0..7 {
        let event = Event::page_at(&format!("e{number}"), &before_now(60 - number), &format!("d{}", number % 3));
        last = client.record(&event.json()).position;
        client.record(&Event::page(&format!("o{number}"), "someone").with("channel", "kiosk").json());
    }
    for number in 0..3 {
        let clash = Event::page(&format!("c{number}"), "shared").with("customer_id", format!("K-{number}"));
        last = client.record(&clash.with("channel", "kiosk").json()).position;
    }
    let faulty = (0..3).map(|number| client.publish(&Event::page(&format!("f{number}"), "").json()));
    assert!(faulty.into_iter().all(|answer| answer["result"] == "quarantined"));
    let visitor = client.get(&format!("/v1/leads?min_position={last}")).ok(200)["items"][0]["visitor_id"].clone();
    let visitor = visitor.as_str().unwrap();
    let (lead_timeline, timeline) =
        (format!("/v1/leads/{visitor}-1/timeline"), format!("/v1/visitors/{visitor}/timeline"));
    for (path, rows) in [
        ("/v1/leads", 3),
        ("/v1/leads?sort=opened_at", 3),
        ("/v1/orphans", 10),
        ("/v1/duplicates", 2),
        ("/v1/quarantine", 3),
        (&lead_timeline, 3),
        (&timeline, 3),
    ] {
        let whole = client.get(path).ok(200);
        assert_eq!(whole["items"].as_array().map(Vec::len), Some(rows), "{path}");
        assert_eq!(json!(all(&client, path)), whole["items"], "{path}");
    }
    assert_eq!(client.get("/v1/leads?count=exact&limit=1").ok(200)["count"], 3);
    for wrong in ["limit=0", "limit=501", "limit=x", "cursor=nonsense", "colour=red", "min_position=x"] {
        for path in ["/v1/leads", "/v1/orphans", "/v1/duplicates", "/v1/quarantine", &lead_timeline, &timeline] {
            client.get(&format!("{path}?{wrong}")).problem(400, "invalid-request");
        }
    }
    assert_eq!(client.get("/v1/duplicates?count=exact&limit=1").ok(200)["count"], 2);
    client.get("/v1/duplicates?settled=perhaps").problem(400, "invalid-request");
    // A cursor belongs to its query.
    let cursor = client.get("/v1/leads?limit=1").ok(200)["next_cursor"].as_str().unwrap().to_owned();
    client.get(&format!("/v1/leads?sort=score&cursor={cursor}")).problem(400, "invalid-request");
}

#[test]
fn a_read_waits_for_what_was_written_and_says_when_there_is_nothing_to_wait_for() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    for number in 0..50 {
        let recorded = client.record(&Event::page(&format!("e{number}"), &format!("d{number}")).json());
        let position = recorded.position;
        let answer = client.get(&format!("/v1/leads/{}?min_position={position}", recorded.lead));
        assert_eq!(answer.ok(200)["interactions"], 1);
        assert!(answer.position() >= position);
    }
    let head = client.get("/v1/leads").position();
    for path in [
        "/v1/leads",
        "/v1/orphans",
        "/v1/duplicates",
        "/v1/quarantine",
        "/v1/leads/V1-1",
        "/v1/visitors/V1",
        "/v1/leads/V1-1/timeline",
    ] {
        let ahead = client.get(&format!("{path}?min_position={}", head + 1)).problem(400, "invalid-request");
        assert_eq!(ahead["errors"][0]["path"], "min_position");
        client.get(&format!("{path}?min_position={head}")).ok(200);
    }
}

#[test]
fn filters_find_the_leads_that_they_name_and_no_others() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let anna =
        Event::page("one", "a").with("email", "anna@example.com").with("contact", json!({ "name": "Anna Schmidt" }));
    let anna = anna.with("attributes", json!({ "plan": "pro" })).with("customer_id", "c-1");
    let first = client.record(&anna.json()).lead;
    let second =
        client.record(&Event::page("two", "b").with("channel", "form").with("phone", "+4930123456").json()).lead;
    let close = json!({ "reason": "duplicate" });
    client.post(&format!("/v1/leads/{second}/close"), &close).ok(200);
    for (query, found) in [
        ("status=open", &first),
        ("status=closed", &second),
        ("email=ANNA@example.com", &first),
        ("phone=%2B4930123456", &second),
        ("customer_id=c-1", &first),
        ("attr.plan=pro", &first),
        ("q=schmidt", &first),
        ("channel=form", &second),
        ("close_cause=operator", &second),
        ("closed_from=2026-10-31", &second),
        ("status=open&group=devices", &first),
    ] {
        let rows = client.get(&format!("/v1/leads?{query}")).ok(200);
        let ids: Vec<&Value> = rows["items"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [found.as_str()], "{query}");
    }
}
