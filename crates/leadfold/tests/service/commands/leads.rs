//! Acts on a lead.

use reqwest::Method;
use serde_json::{Value, json};

use super::words;
use crate::support::{Answer, Client, Event, Site};

/// An act, the events that it leads to, and what the lead says afterwards.
struct Step(&'static str, Value, &'static [&'static str], Value);

fn steps() -> Vec<Step> {
    vec![
        Step("assign", json!({ "owner": "piet" }), &["lead_assigned"], json!({ "owner": "piet" })),
        Step("assign", json!({}), &["lead_assigned"], json!({ "owner": null })),
        Step("notes", json!({ "text": "call back" }), &["note_added"], json!({})),
        Step(
            "",
            json!({ "attributes": { "plan": "pro", "seats": 3, "vip": true } }),
            &["attributes_set"],
            json!({ "attributes": { "plan": "pro", "seats": 3, "vip": true } }),
        ),
        Step("type", json!({ "lead_type": "tablets" }), &["lead_type_changed"], json!({ "lead_type": "tablets" })),
        Step(
            "close",
            json!({ "reason": "not_interested", "note": "bought elsewhere" }),
            &["lead_closed"],
            json!({ "status": "closed", "close_cause": "operator", "close_reason": "not_interested" }),
        ),
        Step(
            "reopen",
            json!({}),
            &["lead_reopened"],
            json!({ "status": "open", "close_cause": null, "close_reason": null, "closed_at": null }),
        ),
        Step(
            "convert",
            json!({ "value": { "amount": 12900, "currency": "USD" }, "rgus": 2, "order_id": "A-1" }),
            &["conversion_recorded", "lead_closed"],
            json!({ "status": "closed", "close_cause": "conversion", "conversions": 1, "rgus": 2,
                "sale_value": { "amount": 12900, "currency": "USD" } }),
        ),
        Step(
            "withdraw",
            json!({ "order_id": "A-1" }),
            &["conversion_withdrawn", "lead_reopened"],
            json!({ "status": "open", "close_cause": null, "conversions": 0, "rgus": 0, "sale_value": null }),
        ),
    ]
}

fn act(client: &Client, lead: &str, act: &str, body: &Value) -> Answer {
    if act.is_empty() {
        client.patch(&format!("/v1/leads/{lead}"), body)
    } else {
        client.post(&format!("/v1/leads/{lead}/{act}"), body)
    }
}

#[test]
fn every_act_on_a_lead_is_told_shown_and_there_to_stay() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let lead = client.record(&Event::page("one", "device").json()).lead;
    let mut told = Vec::new();
    for Step(name, body, events, says) in steps() {
        let answer = act(&client, &lead, name, &body);
        let answered = answer.ok(200);
        assert_eq!(words(&answered), events, "{name}");
        for (field, value) in says.as_object().unwrap() {
            assert_eq!(&answered["lead"][field], value, "{name} {field}");
        }
        assert_eq!(
            (answered["repeated"].as_bool(), answered["position"].as_u64()),
            (Some(false), Some(answer.position()))
        );
        let tag = format!("\"{}\"", answered["lead"]["version"]);
        assert_eq!(answer.text_of("etag"), Some(tag.as_str()));
        // A read that waits for the act shows the same.
        let shown = client.get(&format!("/v1/leads/{lead}?min_position={}", answer.position()));
        assert_eq!(shown.ok(200), answered["lead"]);
        assert_eq!(shown.text_of("etag"), Some(tag.as_str()));
        told.push(answered["position"].clone());
    }
    told.reverse();
    let timeline = client.get(&format!("/v1/leads/{lead}/timeline")).ok(200);
    let mut positions: Vec<Value> =
        timeline["items"].as_array().unwrap().iter().map(|row| row["position"].clone()).collect();
    let opened = positions.pop();
    assert_eq!((positions, opened), (told, Some(json!(2))));
    let before = client.get(&format!("/v1/leads/{lead}")).ok(200);
    assert!(service.stop().0.success());
    assert_eq!(site.serve().client().get(&format!("/v1/leads/{lead}")).ok(200), before);
}

#[test]
fn a_lead_is_opened_by_hand_for_a_visitor_only() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let visitor = client.record(&Event::page("one", "device").json()).visitor;
    let answer = client.post("/v1/leads", &json!({ "visitor_id": visitor, "lead_type": "tablets" }));
    let opened = answer.ok(201);
    assert_eq!(words(&opened), ["lead_opened", "stage_entered"]);
    assert_eq!((&opened["lead"]["lead_type"], &opened["lead"]["status"]), (&json!("tablets"), &json!("open")));
    assert_eq!(client.get(&format!("/v1/leads/{visitor}-2")).ok(200), opened["lead"]);
    client.post("/v1/leads", &json!({ "visitor_id": "V999", "lead_type": "tablets" })).problem(404, "not-found");
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason_and_changes_nothing() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let lead = client.record(&Event::page("one", "device").json()).lead;
    let leads = format!("/v1/leads?min_position={}", client.get("/readyz").position());
    let before = client.get(&leads).ok(200);
    let refused =
        |name: &str, body: Value, status, problem: &str| act(&client, &lead, name, &body).problem(status, problem);
    let problem = refused("close", json!({ "reason": "secret-reason" }), 422, "unknown-close-reason");
    assert_eq!(problem["errors"][0]["path"], "reason");
    assert!(!problem.to_string().contains("secret-reason"), "{problem}");
    let problem = refused("type", json!({ "lead_type": "secret-type" }), 422, "unknown-lead-type");
    assert!(!problem.to_string().contains("secret-type"), "{problem}");
    refused("type", json!({ "lead_type": "trade-in" }), 422, "inactive-lead-type");
    refused("type", json!({ "lead_type": "shopping" }), 409, "same-lead-type");
    refused("reopen", json!({}), 409, "lead-open");
    refused("withdraw", json!({}), 409, "no-conversion");
    let problem = refused(
        "convert",
        json!({ "value": { "amount": "12", "currency": "eur" }, "colour": 1 }),
        400,
        "invalid-request",
    );
    let mut paths: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["colour", "value.amount", "value.currency"]);
    refused("notes", json!({ "text": " " }), 400, "invalid-request");
    refused("", json!({ "attributes": {} }), 400, "invalid-request");
    // Who names the lead in the address may not name another one in the body.
    refused("close", json!({ "reason": "duplicate", "lead_id": "V9-9" }), 400, "invalid-request");
    act(&client, "V999-1", "reopen", &json!({})).problem(404, "not-found");
    let text = client.request(Method::POST, &format!("/v1/leads/{lead}/notes"));
    client.send(text.header("content-type", "text/plain").body("hello")).problem(415, "unsupported-media-type");
    assert_eq!(client.get(&leads).ok(200), before);
}

#[test]
fn who_acts_is_the_named_operator_or_else_the_key() {
    let site = Site::shop();
    let service = site.serve();
    let lead = service.client().record(&Event::page("one", "device").json()).lead;
    let note = |client: &Client| {
        client.post(&format!("/v1/leads/{lead}/notes"), &json!({ "text": "called" })).ok(200);
        let timeline = client.get(&format!("/v1/leads/{lead}/timeline?limit=1")).ok(200);
        timeline["items"][0]["input"]["operator"].as_str().unwrap().to_owned()
    };
    assert_eq!(note(&service.client()), "anonymous");
    let (id, key) = site.key("operator", "acme");
    assert_eq!(note(&service.with_key(&key)), format!("key:{id}"));
    assert_eq!(note(&service.with_key(&key).header("leadfold-operator", "olga")), "olga");
}
