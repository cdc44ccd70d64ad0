//! That a command counts once, and only for the version that it was meant for.

use std::thread;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Event, Running, Site, shop_policy};

fn with(client: &Client, path: &str, header: (&str, &str), body: &Value) -> Answer {
    client.send(client.request(Method::POST, path).header(header.0, header.1).json(body))
}

/// A shop with one lead.
fn one_lead() -> (Site, Running, String) {
    let site = Site::shop();
    let service = site.serve();
    let recorded = service.client().record(&Event::page("one", "device").json());
    let lead = format!("/v1/leads/{}", recorded.lead);
    service.client().get(&format!("{lead}?min_position={}", recorded.position)).ok(200);
    (site, service, lead)
}

#[test]
fn a_command_under_a_known_key_is_answered_as_the_first_was() {
    let (site, service, lead) = one_lead();
    let client = service.client();
    let (notes, body) = (format!("{lead}/notes"), json!({ "text": "call back" }));
    let note = |client: &Client, body: &Value| with(client, &notes, ("idempotency-key", "key-1"), body);
    let first = note(&client, &body).ok(200);
    assert_eq!(first["repeated"], false);
    let mut again = note(&client, &body).ok(200);
    assert_eq!(again["repeated"], true);
    again["repeated"] = json!(false);
    assert_eq!(again, first);
    assert_eq!(client.get(&lead).ok(200)["notes"].as_array().map(Vec::len), Some(1));
    note(&client, &json!({ "text": "something else" })).problem(409, "key-reused");
    with(&client, &format!("{lead}/assign"), ("idempotency-key", "key-1"), &json!({})).problem(409, "key-reused");
    let other = with(&client, &notes, ("idempotency-key", "key-2"), &body).ok(200);
    assert_eq!(other["repeated"], false);
    with(&client, &notes, ("idempotency-key", &"k".repeat(129)), &body).problem(400, "invalid-request");
    // A key is remembered for the life of the log.
    service.kill();
    let service = site.serve();
    let again = note(&service.client(), &body).ok(200);
    assert_eq!((&again["repeated"], &again["position"]), (&json!(true), &first["position"]));
    assert_eq!(service.client().get(&lead).ok(200)["notes"].as_array().map(Vec::len), Some(2));
}

fn put_policy(client: &Client, key: &str, policy: &str) -> Answer {
    let put = client.request(Method::PUT, "/v1/policy").header("content-type", "application/toml");
    client.send(put.header("idempotency-key", key).body(policy.to_owned()))
}

#[test]
fn a_policy_under_a_known_key_is_not_adopted_again() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let lasting = |days: u32| shop_policy().replace("close_after = \"7d\"", &format!("close_after = \"{days}d\""));
    let first = put_policy(&client, "key-1", &lasting(8)).ok(200);
    assert_eq!(first["repeated"], false);
    put_policy(&client, "key-2", &lasting(9)).ok(200);
    let check = |client: &Client| {
        let again = put_policy(client, "key-1", &lasting(8)).ok(200);
        assert_eq!((&again["repeated"], &again["position"]), (&json!(true), &first["position"]));
        put_policy(client, "key-1", &lasting(10)).problem(409, "key-reused");
        let shown = client.get("/v1/policy");
        assert_eq!((shown.text(), shown.text_of("etag")), (lasting(9), Some("\"3\"")));
    };
    check(&client);
    service.kill();
    check(&site.serve().client());
}

#[test]
fn a_quarantined_input_is_released_once_under_a_key() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let mut positions = ["one", "two"].into_iter().map(|id| {
        let mut event = Event::page(id, "device").json();
        event["data"]["channel"] = json!(7);
        client.publish(&event)["position"].clone()
    });
    let (first, second) = (positions.next().unwrap(), positions.next().unwrap());
    let repaired = json!({ "event": Event::page("one", "device").json() });
    let retry = |client: &Client, body: &Value| {
        with(client, &format!("/v1/quarantine/{first}/retry"), ("idempotency-key", "key-1"), body)
    };
    let discard = |client: &Client, position: &Value| {
        with(client, &format!("/v1/quarantine/{position}/discard"), ("idempotency-key", "key-2"), &json!({}))
    };
    let (retried, discarded) = (retry(&client, &repaired).ok(200), discard(&client, &second).ok(200));
    assert!(retried["events"].as_array().is_some_and(|events| !events.is_empty()), "{retried}");
    let check = |client: &Client| {
        for (mut again, first) in
            [(retry(client, &repaired).ok(200), &retried), (discard(client, &second).ok(200), &discarded)]
        {
            assert_eq!((&again["repeated"], &first["repeated"]), (&json!(true), &json!(false)));
            again["repeated"] = json!(false);
            assert_eq!(&again, first);
        }
        retry(client, &json!({})).problem(409, "key-reused");
        discard(client, &first).problem(409, "key-reused");
    };
    check(&client);
    service.kill();
    check(&site.serve().client());
}

#[test]
fn a_command_for_another_version_is_refused() {
    let (_site, service, lead) = one_lead();
    let client = service.client();
    let assign = |tag: &str| with(&client, &format!("{lead}/assign"), ("if-match", tag), &json!({ "owner": "olga" }));
    let shown = client.get(&lead);
    let tag = shown.text_of("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", shown.json()["version"]));
    let assigned = assign(&tag);
    assigned.ok(200);
    let next = assigned.text_of("etag").unwrap();
    assert_ne!(next, tag);
    assign(&tag).problem(412, "version-mismatch");
    assign("*").ok(200);
    for wrong in ["7", "\"x\"", "W/\"7\"", "\"-1\"", "\"99999999999\""] {
        assign(wrong).problem(400, "invalid-request");
    }
}

/// What eight clients are answered at the same time.
fn at_once(service: &Running, ask: impl Fn(&Client, usize) -> Answer + Sync) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(&service.client(), number))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn of_commands_for_one_version_at_the_same_time_exactly_one_wins() {
    let (_site, service, lead) = one_lead();
    let path = format!("{lead}/assign");
    for _ in 0..5 {
        let tag = service.client().get(&lead).text_of("etag").unwrap().to_owned();
        let owner = |number: usize| json!({ "owner": format!("operator-{number}") });
        let answers = at_once(&service, |client, number| with(client, &path, ("if-match", &tag), &owner(number)));
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        let [won] = won.as_slice() else { panic!("one wins, not {}", won.len()) };
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            lost.problem(412, "version-mismatch");
        }
        let position = won.position();
        let shown = service.client().get(&format!("{lead}?min_position={position}")).ok(200);
        assert_eq!(shown["owner"], won.json()["lead"]["owner"]);
    }
}

#[test]
fn of_commands_under_one_key_at_the_same_time_exactly_one_counts() {
    let (_site, service, lead) = one_lead();
    let path = format!("{lead}/notes");
    let body = json!({ "text": "call back" });
    let answers = at_once(&service, |client, _| with(client, &path, ("idempotency-key", "key"), &body));
    let answers: Vec<Value> = answers.iter().map(|answer| answer.ok(200)).collect();
    assert_eq!(answers.iter().filter(|answer| answer["repeated"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["position"] == answers[0]["position"]));
    assert_eq!(service.client().get(&lead).ok(200)["notes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn of_policies_for_one_version_at_the_same_time_exactly_one_is_adopted() {
    let (_site, service, _) = one_lead();
    let answers = at_once(&service, |client, number| {
        let policy = shop_policy().replace("close_after = \"7d\"", &format!("close_after = \"{}d\"", 8 + number));
        let put = client.request(Method::PUT, "/v1/policy").header("content-type", "application/toml");
        client.send(put.header("if-match", "\"1\"").body(policy))
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        lost.problem(412, "version-mismatch");
    }
    assert_eq!(service.client().get("/v1/policy").text_of("etag"), Some("\"2\""));
}
