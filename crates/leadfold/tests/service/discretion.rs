//! That personal data and keys reach neither the log lines nor the problems, whatever is sent wherever.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Event, Running, Site};

/// Stands in everything that may not be told.
const SECRET: &str = "anna-secret";

fn serve(site: &Site) -> Running {
    let mut command = site.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("LEADFOLD_LOG", "trace");
    Running::start(command)
}

/// An event of which everything that may be personal is.
fn personal(id: &str) -> Value {
    let event = Event::page(&format!("{SECRET}-{id}"), &format!("{SECRET}-device"));
    let event = event.with("email", format!("{SECRET}@example.com")).with("customer_id", format!("{SECRET}-customer"));
    let event = event.with("phone", "+49301234567").with("contact", json!({ "name": format!("Anna {SECRET}") }));
    event.with("attributes", json!({ "plan": format!("{SECRET}-plan") })).json()
}

/// Sends personal data to all places where it belongs, and to those where it doesn't.
fn send_everything(client: &Client) -> Vec<Answer> {
    let lead = client.record(&personal("one")).lead;
    let json = |method: Method, path: String, body: Value| client.send(client.request(method, &path).json(&body));
    let post = |path: String, body: Value| json(Method::POST, path, body);
    let kind = |kind: &str, body: String| {
        client.send(client.request(Method::POST, "/v1/events").header("content-type", kind).body(body))
    };
    let mut broken = personal("two");
    broken["data"]["visitor_id"] = json!({ SECRET: SECRET });
    let mut answers = vec![
        post(format!("/v1/leads/{lead}/notes"), json!({ "text": format!("call {SECRET}") })),
        post(format!("/v1/leads/{lead}/notes"), json!({ "text": "n", format!("{SECRET} {SECRET}"): 1 })),
        post(format!("/v1/leads/{lead}/assign"), json!({ "owner": { "a": SECRET } })),
        post(format!("/v1/leads/{lead}/close"), json!({ "reason": SECRET })),
        post(format!("/v1/leads/{lead}/type"), json!({ "lead_type": SECRET })),
        post(format!("/v1/leads/{lead}/convert"), json!({ "order_id": SECRET, "value": { "amount": SECRET } })),
        json(Method::PATCH, format!("/v1/leads/{lead}"), json!({ "attributes": { "plan": SECRET } })),
        json(Method::PATCH, format!("/v1/leads/{lead}"), json!({ "attributes": { "plan": [SECRET] } })),
        post("/v1/leads".to_owned(), json!({ "visitor_id": SECRET, "lead_type": SECRET, "at": SECRET })),
        kind("application/json", broken.to_string()),
        kind("application/json", format!("{{\"{SECRET}\": {SECRET}}}")),
        kind("application/cloudevents-batch+json", format!("[\"{SECRET}\", {SECRET}]")),
        kind("application/x-ndjson", format!("{SECRET}\n{}", personal("three"))),
        kind(SECRET, SECRET.to_owned()),
    ];
    for query in [
        format!("email={SECRET}@example.com"),
        format!("{SECRET}@example.com=1"),
        format!("status={SECRET}"),
        format!("opened_from={SECRET}"),
        format!("score_min={SECRET}"),
        format!("cursor={SECRET}"),
        format!("limit={SECRET}"),
        format!("min_position={SECRET}"),
        format!("attr.%22{SECRET}=1"),
        format!("q={SECRET}"),
    ] {
        for path in ["/v1/leads", "/v1/orphans", "/v1/duplicates", "/v1/lead-types", "/v1/quarantine"] {
            answers.push(client.get(&format!("{path}?{query}")));
        }
    }
    for path in ["leads", "visitors", "quarantine", "policy/versions", SECRET] {
        answers.push(client.get(&format!("/v1/{path}/{SECRET}")));
    }
    for (header, value) in [
        ("leadfold-tenant", format!("{SECRET}\u{7f}")),
        ("leadfold-tenant", SECRET.to_owned()),
        ("idempotency-key", format!("{SECRET}{}", "k".repeat(200))),
        ("if-match", format!("\"{SECRET}\"")),
        ("content-encoding", SECRET.to_owned()),
        ("traceparent", SECRET.to_owned()),
        ("cookie", SECRET.to_owned()),
    ] {
        let request = client.request(Method::POST, &format!("/v1/leads/{lead}/notes"));
        if let Ok(value) = reqwest::header::HeaderValue::from_bytes(value.as_bytes()) {
            answers.push(client.send(request.header(header, value).json(&json!({ "text": "n" }))));
        }
    }
    answers
}

#[test]
fn no_personal_data_reaches_log_lines_or_problems() {
    let site = Site::shop();
    let service = serve(&site);
    let answers = send_everything(&service.client());
    let problems: Vec<&Answer> = answers.iter().filter(|answer| answer.status >= 400).collect();
    assert!(problems.len() > 30);
    for problem in problems {
        // A name that looks like a field's or a parameter's may be repeated; nothing else may.
        let mut shown = problem.json();
        for fault in shown["errors"].as_array_mut().into_iter().flatten() {
            let path = fault["path"].take();
            let last = path.as_str().unwrap().rsplit('.').next().unwrap();
            assert!(!last.contains(SECRET) || last == SECRET, "{path}");
        }
        assert!(!shown.to_string().contains(SECRET), "{}", problem.text());
    }
    let quarantine = service.client().get("/v1/quarantine").text();
    assert!(!quarantine.contains("@example.com") && !quarantine.contains("Anna"), "{quarantine}");
    let (_, said) = service.stop();
    assert!(said.contains("DEBUG") && said.contains("answered"), "the lines are there: {said}");
    for secret in [SECRET, "49301234567"] {
        if let Some(line) = said.lines().find(|line| line.contains(secret)) {
            panic!("{line}");
        }
    }
}

#[test]
fn no_key_reaches_log_lines_or_problems() {
    let site = Site::shop();
    let service = serve(&site);
    let (id, key) = site.key("admin", "*");
    let secret = key.splitn(3, '_').last().unwrap().to_owned();
    assert!(secret.len() > 30);
    let client = service.with_key(&key);
    send_everything(&client);
    let mut wrong = key.clone();
    wrong.push('x');
    site.done(&["keys", "revoke", &id]);
    for authorization in [
        format!("Bearer {key}"),
        format!("bearer  {key} "),
        format!("Bearer {wrong}"),
        format!("Basic {key}"),
        key.clone(),
        format!("Bearer {secret}"),
    ] {
        let client = service.client().header("authorization", &authorization);
        let refused = client.get(&format!("/v1/leads?{key}={key}"));
        assert!(!refused.text().contains(&secret), "{}", refused.text());
        refused.problem(401, "unauthorized");
    }
    let (_, said) = service.stop();
    if let Some(line) = said.lines().find(|line| line.contains(&secret)) {
        panic!("{line}");
    }
    let kept = std::fs::read_to_string(site.path("data/access.json")).unwrap();
    assert!(!kept.contains(&secret), "{kept}");
}
