//! Events over HTTP in every mode that CloudEvents has, and whatever else is sent in their place.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Event, Site, policy_of, tool, workspace};

fn post(client: &Client, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    client.send(client.request(Method::POST, path).header("content-type", kind).body(body))
}

/// What became of each event.
fn results(answer: &Answer) -> Vec<String> {
    let answer = answer.ok(202);
    answer["results"].as_array().unwrap().iter().map(|result| result["result"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_mode_of_cloudevents_is_taken() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let event = |id: &str| Event::page(id, "device").json();
    for kind in ["application/cloudevents+json", "application/json", "application/CloudEvents+JSON; charset=utf-8"] {
        assert_eq!(results(&post(&client, "/v1/events", kind, event(kind).to_string())), ["recorded"], "{kind}");
    }
    let batch = json!([event("b1"), event("b2"), event("b1")]).to_string();
    let answer = post(&client, "/v1/events", "application/cloudevents-batch+json", batch);
    assert_eq!(results(&answer), ["recorded", "recorded", "duplicate"]);
    let answer = answer.json();
    assert_eq!(answer["results"][0]["position"], answer["results"][2]["position"]);
    assert_eq!(answer["position"], answer["results"][1]["position"]);
    let lines = format!("{}\r\n\n{}\n   \n{}", event("l1"), event("l2"), event("b2"));
    assert_eq!(
        results(&post(&client, "/v1/events", "application/x-ndjson", lines)),
        ["recorded", "recorded", "duplicate"]
    );
    for (kind, body) in [("application/x-ndjson", "\n\n"), ("application/cloudevents-batch+json", "[]")] {
        assert!(results(&post(&client, "/v1/events", kind, body)).is_empty());
    }
    let binary = client.request(Method::POST, "/v1/events").header("content-type", "application/json");
    let binary =
        binary.header("ce-specversion", "1.0").header("ce-id", "l1").header("ce-type", "leadfold.interaction.v1");
    let binary =
        binary.header("ce-source", "https://acme.example.com/test").header("ce-time", "2026-10-31T23:00:00.000Z");
    assert_eq!(results(&client.send(binary.body(event("l1")["data"].to_string()))), ["duplicate"]);
    for kind in ["text/plain", "application/xml", ""] {
        post(&client, "/v1/events", kind, event("x").to_string()).problem(415, "unsupported-media-type");
    }
}

#[test]
fn an_event_is_recorded_once_and_another_content_is_a_conflict() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let event = Event::page("one", "device");
    let first = client.publish(&event.json());
    assert_eq!((&first["result"], first["events"][0]["event"].as_str()), (&json!("recorded"), Some("visitor_created")));
    assert!(first["events"].as_array().unwrap().iter().any(|event| event["event"] == "lead_opened"), "{first}");
    let again = client.publish(&event.json());
    assert_eq!((&again["result"], &again["position"]), (&json!("duplicate"), &first["position"]));
    let other = client.publish(&event.with("action", "purchase").json());
    assert_eq!(other["result"], "conflict");
    let lead = client.get(&format!("/v1/leads/V1-1?min_position={}", other["position"])).ok(200);
    assert_eq!((&lead["interactions"], &lead["status"]), (&json!(1), &json!("open")));
    // Without being asked for, nothing that was decided is told.
    let answer = post(&client, "/v1/events", "application/json", Event::page("two", "device").json().to_string());
    assert_eq!(answer.json()["results"][0].get("events"), None);
    post(&client, "/v1/events?wait=long", "application/json", "{}").problem(400, "invalid-request");
}

#[test]
fn what_can_not_be_taken_is_kept_with_its_reason_and_the_rest_of_its_request_is_taken() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let page = |id: &str| Event::page(id, "device");
    let faulty = [
        (json!({}), "missing_field"),
        (json!([1]), "wrong_type"),
        (Event::page("a", "").json(), "missing_identifier"),
        (page("b").with("email", "no address").json(), "bad_email"),
        (page("c").with("action", json!(7)).json(), "wrong_type"),
        (page("d").with("tenant", "globex").json(), "unknown_tenant"),
        (page("e").with("customer_id", "c".repeat(300)).json(), "string_too_long"),
        (page("f").with("attributes", json!({ "text": "t".repeat(70_000) })).json(), "event_too_large"),
        (Event::page_at("g", "2026-11-01T00:06:00Z", "device").json(), "time_ahead"),
        (Event::page_at("h", "yesterday", "device").json(), "bad_time"),
    ];
    let mut lines: Vec<String> = faulty.iter().map(|(event, _)| event.to_string()).collect();
    lines.push("{\"specversion\"".to_owned());
    lines.push(page("good").json().to_string());
    let answer = post(&client, "/v1/events", "application/x-ndjson", lines.join("\n")).ok(202);
    let results = answer["results"].as_array().unwrap();
    let codes = faulty.iter().map(|(_, code)| *code).chain(["invalid_json"]);
    for (result, code) in results.iter().zip(codes) {
        assert_eq!((&result["result"], &result["reason"]["code"]), (&json!("quarantined"), &json!(code)), "{result}");
        let kept = client.get(&format!("/v1/quarantine/{}", result["position"])).ok(200);
        assert_eq!(kept["code"], code);
    }
    assert_eq!(results.last().unwrap()["result"], "recorded");
}

#[test]
fn events_belong_to_the_tenant_that_is_named() {
    let site = Site::shop();
    site.adopt(&policy_of("globex"));
    let service = site.serve();
    let client = service.client();
    let named = client.publish(&Event::page("one", "device").with("tenant", "globex").json());
    assert_eq!(named["result"], "recorded");
    assert_eq!(client.publish(&Event::page("two", "device").json())["result"], "quarantined");
    assert_eq!(
        client.publish(&Event::page("three", "device").with("tenant", "nobody").json())["result"],
        "quarantined"
    );
    let globex = service.client().header("leadfold-tenant", "globex");
    assert_eq!(globex.publish(&Event::page("four", "device").json())["result"], "recorded");
    assert_eq!(globex.publish(&Event::page("five", "device").with("tenant", "acme").json())["result"], "quarantined");
    let leads = |client: &Client| client.get("/v1/leads?count=exact&min_position=7").ok(200)["count"].clone();
    assert_eq!((leads(&globex), leads(&service.client().header("leadfold-tenant", "acme"))), (json!(1), json!(0)));
    let unknown = service.client().header("leadfold-tenant", "nobody");
    post(&unknown, "/v1/events", "application/json", "{}").problem(404, "not-found");
}

#[test]
fn the_sdk_of_cloudevents_is_understood_in_each_of_its_modes() {
    let site = Site::shop();
    let service = site.serve();
    let script = workspace().join("crates/leadfold/tests/service/sdk/cloudevents_sdk.py");
    let output = Command::new(tool("python")).arg(script).arg(service.url()).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is one answer"))
        .collect();
    let results: Vec<&str> =
        answers.iter().map(|answer| answer["answer"]["results"][0]["result"].as_str().unwrap_or("none")).collect();
    let recorded = ["recorded"; 4];
    let expected: Vec<&str> = recorded.into_iter().chain(["duplicate"; 3]).collect();
    assert_eq!(results, expected, "{answers:?}");
}

#[test]
fn hostile_bodies_are_answered_and_harm_nothing() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        vec![0xff; 4_096],
        b"\xef\xbb\xbf{}".to_vec(),
        b"null".to_vec(),
        b"1e999999".to_vec(),
        b"\"\\ud800\"".to_vec(),
        b"{\"specversion\":\"1.0\",\"specversion\":\"1.0\"}".to_vec(),
        b"{\"data\":{\"attributes\":{\"a\":1e400,\"b\":-0,\"c\":18446744073709551616}}}".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        "{},".repeat(9_000).into_bytes(),
        b"\n".repeat(100_000),
    ];
    let kinds = [
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/x-ndjson",
        "application/toml",
        "application/json",
    ];
    let paths = ["/v1/events", "/v1/leads", "/v1/leads/V1-1/close", "/v1/quarantine/2/retry", "/v1/visitors/V1/merge"];
    for body in &bodies {
        for kind in kinds {
            // That no answer is a 5xx is asserted for each.
            for path in paths {
                post(&client, path, kind, body.clone());
            }
            let put = client.request(Method::PUT, "/v1/policy").header("content-type", kind);
            assert!(client.send(put.body(body.clone())).status >= 400);
            let binary = client.request(Method::POST, "/v1/events").header("content-type", kind);
            let binary = binary.header("ce-specversion", "1.0").header("ce-id", "%ff%").header("ce-source", "\u{fc}");
            client.send(binary.body(body.clone()));
        }
    }
    client.record(&Event::page("good", "device").json());
    assert!(service.stop().0.success());
    let verified: Value = serde_json::from_str(&site.done(&["verify", "--json"])).unwrap();
    assert_eq!(verified["whole"], true);
}
