//! Acts on orphans, interactions, visitors and what is in quarantine.

use serde_json::{Value, json};

use super::words;
use crate::support::{Client, Event, Recorded, Site};

/// Records a page view of a device with further fields, and returns what became of it.
fn page(client: &Client, id: &str, device: &str, fields: &[(&str, &str)]) -> Recorded {
    let event = fields.iter().fold(Event::page(id, device), |event, (name, value)| event.with(name, *value));
    client.record(&event.json())
}

#[test]
fn an_orphan_goes_into_a_lead_of_its_visitor_or_into_a_new_one() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let first = page(&client, "orphan", "device", &[("channel", "kiosk")]);
    let lead = page(&client, "lead", "device", &[]).lead;
    let second = page(&client, "another", "device", &[("channel", "kiosk")]);
    let orphans = client.get(&format!("/v1/orphans?min_position={}", second.position)).ok(200);
    let ids: Vec<&Value> = orphans["items"].as_array().unwrap().iter().map(|orphan| &orphan["id"]).collect();
    assert_eq!(ids, [second.interaction.as_str(), first.interaction.as_str()]);

    let adopt = |orphan: &str, body: Value| client.post(&format!("/v1/orphans/{orphan}/adopt"), &body);
    adopt(&first.interaction, json!({ "lead_id": lead, "lead_type": "tablets" })).problem(400, "invalid-request");
    adopt(&first.interaction, json!({})).problem(400, "invalid-request");
    let adopted = adopt(&first.interaction, json!({ "lead_id": lead })).ok(200);
    assert_eq!((&adopted["lead"]["id"], &adopted["lead"]["interactions"]), (&json!(lead), &json!(2)));
    adopt(&first.interaction, json!({ "lead_id": lead })).problem(409, "already-adopted");
    let opened = adopt(&second.interaction, json!({ "lead_type": "tablets" })).ok(200);
    assert_eq!((&opened["lead"]["lead_type"], &opened["lead"]["interactions"]), (&json!("tablets"), &json!(1)));
    assert_eq!(client.get("/v1/orphans").ok(200)["items"], json!([]));
    adopt("I999", json!({ "lead_type": "tablets" })).problem(404, "not-found");
}

#[test]
fn an_interaction_moves_between_leads_of_one_visitor() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let one = page(&client, "one", "device", &[]);
    let two = page(&client, "two", "device", &[]);
    let open = json!({ "visitor_id": one.visitor, "lead_type": "tablets" });
    let opened = client.post("/v1/leads", &open).ok(201)["lead"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/interactions/{}/move", two.interaction);
    let move_to = |lead: &str| client.post(&path, &json!({ "to_lead_id": lead }));
    assert_eq!(words(&move_to(&opened).ok(200)), ["interaction_moved"]);
    let count = |lead: &str| client.get(&format!("/v1/leads/{lead}")).ok(200)["interactions"].clone();
    assert_eq!((count(&one.lead), count(&opened)), (json!(1), json!(1)));
    move_to(&opened).problem(409, "same-lead");
    let stranger = page(&client, "three", "another", &[]);
    move_to(&stranger.lead).problem(409, "other-visitor");
}

#[test]
fn an_interaction_is_discredited_once_and_only_where_it_has_a_lead() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let chat = page(&client, "one", "device", &[("action", "chat.started")]);
    let ledger = || client.get(&format!("/v1/leads/{}/score", chat.lead)).ok(200);
    assert!(ledger()["total"].as_i64() > Some(0), "{}", ledger());
    let discredit = |id: &str, body: Value| client.post(&format!("/v1/interactions/{id}/discredit"), &body);
    let answer = discredit(&chat.interaction, json!({ "note": "a bot" })).ok(200);
    assert_eq!(words(&answer)[..2], ["interaction_discredited", "score_changed"]);
    assert_eq!((&answer["lead"]["score"]["total"], &answer["lead"]["interactions"]), (&json!(0), &json!(1)));
    let after = ledger();
    assert_eq!((&after["total"], &after["rows"]), (&json!(0), &json!([])));
    assert_eq!(after["taken_away"][0]["interaction_id"], chat.interaction);
    discredit(&chat.interaction, json!({})).problem(409, "already-discredited");
    let orphan = page(&client, "orphan", "device", &[("channel", "kiosk")]);
    discredit(&orphan.interaction, json!({})).problem(409, "interaction-orphaned");
    discredit("I999", json!({})).problem(404, "not-found");
    discredit(&chat.interaction, json!({ "reason": "a bot" })).problem(400, "invalid-request");
}

#[test]
fn visitors_are_merged_unmerged_and_told_apart() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let shared = ("email", "both@example.com");
    let one = page(&client, "one", "a", &[("customer_id", "c1"), shared]).visitor;
    let two = page(&client, "two", "b", &[]).visitor;
    let three = page(&client, "three", "c", &[("customer_id", "c3"), shared]).visitor;
    let act = |visitor: &str, act: &str, body: Value| client.post(&format!("/v1/visitors/{visitor}/{act}"), &body);
    let other = |visitor: &str| json!({ "other_visitor_id": visitor });
    assert_eq!(words(&act(&two, "merge", other(&one)).ok(200)), ["visitors_merged"]);
    let visitor = |id: &str, position: u64| client.get(&format!("/v1/visitors/{id}?min_position={position}")).ok(200);
    let head = client.get("/readyz").position();
    assert_eq!(visitor(&one, head)["members"], json!([two]));
    assert_eq!(visitor(&two, head)["merged_into"], one);
    act(&two, "merge", other(&one)).problem(409, "same-visitor");
    act(&three, "merge", other(&one)).problem(409, "different-customers");
    let unmerged = act(&two, "unmerge", json!({ "keep_apart": true }));
    assert_eq!(words(&unmerged.ok(200)), ["visitors_unmerged"]);
    let shown = visitor(&one, unmerged.position());
    assert_eq!(shown["members"], json!([]));
    act(&two, "unmerge", json!({})).problem(409, "not-merged");

    // Who was kept apart is settled; who shares an address is not.
    let suspected = json!([
        { "visitor_id": two, "shared": null, "settled": true },
        { "visitor_id": three, "shared": "email", "settled": false },
    ]);
    assert_eq!(shown["suspected_duplicates"], suspected);
    let listed = |query: &str| client.get(&format!("/v1/duplicates?{query}")).ok(200)["items"].clone();
    let pair = |with: &str, kind: Value, settled: bool| json!({ "visitor_id": one, "other_visitor_id": with, "kind": kind, "settled": settled });
    assert_eq!(listed("settled=false"), json!([pair(&three, json!("email"), false)]));
    let settled = act(&one, "settle", other(&three));
    assert_eq!(words(&settled.ok(200)), ["duplicate_settled"]);
    assert_eq!(listed(&format!("min_position={}", settled.position())), json!([]));
    let both = json!([pair(&two, Value::Null, true), pair(&three, json!("email"), true)]);
    assert_eq!(listed("settled=true"), both);
    let four = page(&client, "four", "d", &[]).visitor;
    act(&one, "settle", other(&four)).problem(409, "not-suspected");
}

#[test]
fn what_is_in_quarantine_is_listed_repaired_or_set_aside() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let faulty = |id: &str| client.publish(&Event::page(id, "").json())["position"].as_u64().unwrap();
    let (one, two) = (faulty("one"), faulty("two"));
    let rows = client.get("/v1/quarantine").ok(200);
    let row = &rows["items"][0];
    assert_eq!((&row["id"], &row["state"]), (&json!(one), &json!("held")));
    assert_eq!((&row["code"], &rows["items"][1]["id"]), (&json!("missing_identifier"), &json!(two)));
    let first = client.get("/v1/quarantine?limit=1").ok(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client.get(&format!("/v1/quarantine?limit=1&cursor={cursor}")).ok(200);
    assert_eq!((&second["items"][0]["id"], &second["next_cursor"]), (&json!(two), &Value::Null));
    let shown = client.get(&format!("/v1/quarantine/{one}")).ok(200);
    assert!(shown["bytes_base64"].as_str().is_some_and(|bytes| !bytes.is_empty()), "{shown}");

    let retry = |id: u64, body: Value| client.post(&format!("/v1/quarantine/{id}/retry"), &body);
    assert_eq!(retry(one, json!({})).problem(422, "still-faulty")["errors"][0]["code"], "still_faulty");
    let taken = retry(one, json!({ "event": Event::page("one", "device").json() })).ok(200);
    assert!(words(&taken).contains(&"lead_opened"), "{taken}");
    retry(one, json!({})).problem(404, "not-found");
    client.post(&format!("/v1/quarantine/{two}/discard"), &json!({})).ok(200);
    client.post(&format!("/v1/quarantine/{two}/discard"), &json!({})).problem(404, "not-found");
    let rows = client.get("/v1/quarantine").ok(200);
    let states: Vec<&Value> = rows["items"].as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["released", "released"]);
    client.get("/v1/quarantine/1").problem(404, "not-found");
    client.get("/v1/quarantine/999").problem(404, "not-found");
}
