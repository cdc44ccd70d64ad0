//! A running service collects nothing of somebody who must not be collected, and says so of each event.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Event, Site};

#[test]
fn a_suppressed_event_is_told_as_such_and_nothing_of_it_is_recorded() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let asked = json!({ "email": "Quill@example.com", "device_id": "quill-device", "reason": "objects" });
    let first = client.request(Method::POST, "/v1/suppressions").header("idempotency-key", "once").json(&asked);
    let answer = client.send(first).ok(200);
    assert_eq!((&answer["events"], &answer["repeated"]), (&json!([]), &json!(false)), "{answer}");
    let again = client.request(Method::POST, "/v1/suppressions").header("idempotency-key", "once").json(&asked);
    assert_eq!(client.send(again).ok(200)["repeated"], true);
    let by_email = Event::page("a", "another").with("email", "quill@example.com").json();
    let by_device = Event::page("b", "quill-device").json();
    for event in [&by_email, &by_device] {
        let told = client.publish(event);
        assert_eq!((&told["result"], &told["position"]), (&json!("suppressed"), &Value::Null), "{told}");
    }
    client.record(&Event::page("c", "ben").json());
    let listed = client.get("/v1/suppressions?limit=1").ok(200);
    let row = &listed["items"][0];
    assert_eq!(
        (&row["kind"], &row["reason"], &row["position"]),
        (&json!("email"), &json!("objects"), &answer["position"])
    );
    assert!(!listed.to_string().to_lowercase().contains("quill"), "{listed}");
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = client.get(&format!("/v1/suppressions?limit=1&cursor={cursor}")).ok(200);
    assert_eq!((&rest["items"][0]["kind"], &rest["next_cursor"]), (&json!("device_id"), &Value::Null), "{rest}");
    for (query, found) in [
        ("email=QUILL@example.com", 1),
        ("email=quill@example.com&device_id=quill-device", 2),
        ("email=ben@example.com", 0),
        ("customer_id=quill-device", 0),
    ] {
        let listed = client.get(&format!("/v1/suppressions?{query}")).ok(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), found, "{query}");
    }
    for query in ["email=quill", "cursor=p12", "cursor=email.12", "whom=quill"] {
        client.get(&format!("/v1/suppressions?{query}")).problem(400, "invalid-request");
    }
    let metrics = client.get("/metrics").text();
    assert!(metrics.contains("leadfold_engine_inputs_total{result=\"suppressed\"} 2"), "{metrics}");
    let lifted = client.request(Method::DELETE, "/v1/suppressions").json(&asked);
    client.send(lifted).ok(200);
    assert_eq!(client.get("/v1/suppressions").ok(200)["items"], json!([]));
    client.record(&by_email);
    for (body, status, slug) in [
        (json!({ "reason": "x" }), 422, "nothing-to-suppress"),
        (json!({ "email": "quill", "reason": "x" }), 400, "invalid-request"),
        (json!({ "email": "quill@example.com" }), 400, "invalid-request"),
        (json!({ "visitor_id": "V99", "reason": "x" }), 404, "not-found"),
    ] {
        client.post("/v1/suppressions", &body).problem(status, slug);
    }
    service.stop();
}
