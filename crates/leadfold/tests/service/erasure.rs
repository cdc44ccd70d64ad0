//! A running service erases a person, and hands out what it holds about one.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Event, Site};

/// Stands in everything that the person's events say, and nowhere else.
const SECRET: &str = "quillfeather";

fn anna(id: &str) -> Value {
    let event = Event::page(&format!("{SECRET}-{id}"), &format!("{SECRET}-device"));
    let event = event.with("email", format!("{SECRET}@example.com")).with("contact", json!({ "name": SECRET }));
    event.with("attributes", json!({ "favourite": format!("{SECRET}-red") })).json()
}

fn erase(client: &Client, visitor: &str, key: Option<&str>) -> Answer {
    let request = client.request(Method::DELETE, &format!("/v1/visitors/{visitor}"));
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    client.send(request.json(&json!({ "reason": "asked for it" })))
}

/// Files of the folder that hold the person in clear.
fn holding(path: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, found);
        } else if fs::read(&path).unwrap_or_default().windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

fn places(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    holding(&site.path("data"), &mut found);
    found
}

#[test]
fn a_person_is_erased_while_serving_and_everything_else_goes_on() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let recorded = client.record(&anna("one"));
    let other = client.record(&Event::page("ben", "ben-device").with("contact", json!({ "name": "Ben" })).json());
    client.post(&format!("/v1/leads/{}/notes", recorded.lead), &json!({ "text": SECRET })).ok(200);
    let visitor = recorded.visitor.as_str();
    let seen = client.get(&format!("/v1/visitors/{visitor}/export?min_position={}", other.position)).ok(200);
    assert!(seen.to_string().matches(SECRET).count() > 8, "{seen}");
    assert!(!places(&site).is_empty());

    let erased = erase(&client, visitor, Some("once")).ok(200);
    assert_eq!((&erased["behind"], &erased["feed"]), (&json!([]), &Value::Null), "{erased}");
    assert_eq!(erased["member_ids"], json!([visitor]));
    assert_eq!(places(&site), Vec::<String>::new(), "also in the files that the service has open");
    let again = erase(&client, visitor, Some("once")).ok(200);
    assert_eq!((&again["repeated"], &again["position"]), (&json!(true), &erased["position"]));
    erase(&client, visitor, None).problem(409, "visitor-erased");
    erase(&client, "V99", None).problem(404, "not-found");

    for path in ["", "/timeline", "/export"] {
        let shown = client.get(&format!("/v1/visitors/{visitor}{path}"));
        assert!(shown.status == 200 && !shown.text().contains(SECRET), "{path}: {}", shown.text());
    }
    let lead = client.get(&format!("/v1/leads/{}", recorded.lead)).ok(200);
    assert_eq!((&lead["status"], &lead["close_cause"]), (&json!("closed"), &json!("erased")));
    client.post(&format!("/v1/leads/{}/notes", recorded.lead), &json!({ "text": "x" })).problem(409, "visitor-erased");
    let sql = json!({ "query": "select count(*) as many from interactions where attributes['favourite'] is not null" });
    let request = client.request(Method::POST, &format!("/v1/sql?min_position={}", erased["position"]));
    assert_eq!(client.send(request.json(&sql)).json()[0]["many"], 0);
    let ben = client.get(&format!("/v1/visitors/{}", other.visitor)).ok(200);
    assert_eq!(ben["contact"]["name"], "Ben");

    let returned = client.record(&anna("two"));
    assert_ne!(returned.visitor, visitor, "somebody new");
    service.stop();
    let verified: Value = serde_json::from_str(&site.done(&["verify", "--json"])).unwrap();
    assert_eq!(verified["whole"], true, "{verified}");
}

#[test]
fn an_erasure_says_why_or_is_none() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let recorded = client.record(&anna("one"));
    let visitor = recorded.visitor;
    for body in [json!({}), json!({ "reason": "" }), json!({ "reason": 7 }), json!({ "reason": "x", "why": "y" })] {
        let request = client.request(Method::DELETE, &format!("/v1/visitors/{visitor}"));
        assert_eq!(client.send(request.json(&body)).status, 400, "{body}");
    }
    let shown = client.get(&format!("/v1/visitors/{visitor}?min_position={}", recorded.position)).ok(200);
    assert_eq!(shown["contact"]["name"], SECRET);
}

#[test]
fn the_program_erases_and_exports_through_a_service() {
    let site = Site::shop();
    let service = site.serve();
    let visitor = service.client().record(&anna("one")).visitor;
    let export: Value = serde_json::from_str(&site.done(&["visitor", &visitor, "export"])).unwrap();
    assert_eq!(export["visitor"]["contact"]["name"], SECRET);
    let told = site.done(&["visitor", &visitor, "erase", "--reason", "asked for it"]);
    assert!(told.contains("visitor_erased"), "{told}");
    assert_eq!(places(&site), Vec::<String>::new());
}
