//! The policy over HTTP: read, replaced, refused, remembered.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Client, Event, Site, policy_of, shop_policy};

fn put(client: &Client, policy: &str) -> Answer {
    let put = client.request(Method::PUT, "/v1/policy").header("content-type", "application/toml");
    client.send(put.body(policy.to_owned()))
}

#[test]
fn a_tenant_begins_with_its_first_policy() {
    let site = Site::empty();
    let service = site.serve();
    let client = service.client();
    client.get("/v1/policy").problem(404, "not-found");
    client.get("/v1/leads").problem(404, "not-found");
    put(&client, &shop_policy()).ok(200);
    let shown = client.get("/v1/policy");
    assert_eq!((shown.status, shown.text(), shown.text_of("etag")), (200, shop_policy(), Some("\"1\"")));
    assert_eq!(shown.text_of("content-type"), Some("application/toml"));
    client.record(&Event::page("one", "device").json());
    // The second tenant makes it necessary to say which.
    put(&client, &policy_of("globex")).ok(200);
    client.get("/v1/policy").problem(400, "invalid-request");
    let globex = service.client().header("leadfold-tenant", "globex");
    assert_eq!(globex.get("/v1/policy").text(), policy_of("globex"));
}

#[test]
fn another_policy_counts_from_then_on_and_the_old_one_is_remembered() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let same = put(&client, &shop_policy()).ok(200);
    assert_eq!(same["repeated"], true);
    let longer = shop_policy().replace("close_after = \"7d\"", "close_after = \"8d\"");
    let adopted = put(&client, &longer).ok(200);
    assert_eq!(adopted["repeated"], false);
    let shown = client.get("/v1/policy");
    assert_eq!((shown.text(), shown.text_of("etag")), (longer.clone(), Some("\"2\"")));
    let versions = client.get("/v1/policy/versions").ok(200);
    let numbers: Vec<u64> =
        versions["items"].as_array().unwrap().iter().map(|row| row["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 1]);
    for (version, policy) in [("1", shop_policy()), ("2", longer)] {
        let shown = client.get(&format!("/v1/policy/versions/{version}"));
        assert_eq!((shown.status, shown.text()), (200, policy), "{version}");
        assert_eq!(shown.text_of("etag"), Some(format!("\"{version}\"").as_str()));
        assert_eq!(shown.text_of("content-type"), Some("application/toml"));
    }
    for unknown in ["0", "3", "4294967296", "-1", "first"] {
        client.get(&format!("/v1/policy/versions/{unknown}")).problem(404, "not-found");
    }
    let types = client.get("/v1/lead-types").ok(200);
    let shopping = types["items"].as_array().unwrap().iter().find(|row| row["name"] == "shopping").unwrap().clone();
    assert_eq!(shopping["close_after_seconds"], 8 * 24 * 3_600);
    let recorded = client.record(&Event::page("one", "device").json());
    let lead = format!("/v1/leads/{}?min_position={}", recorded.lead, recorded.position);
    assert_eq!(client.get(&lead).ok(200)["deadline"], "2026-11-08T23:00:00Z");
}

#[test]
fn lead_types_are_filtered_by_group_skill_and_activity() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    for (query, names) in [
        ("", vec!["broadband", "business-offer", "phones", "shopping", "tablets", "trade-in"]),
        ("?group=devices", vec!["phones", "shopping", "tablets", "trade-in"]),
        ("?group=devices&active=true", vec!["phones", "shopping", "tablets"]),
        ("?active=false", vec!["trade-in"]),
        ("?skill=voice-sales", vec!["broadband", "business-offer"]),
        ("?skill=nobody", vec![]),
    ] {
        let found = client.get(&format!("/v1/lead-types{query}")).ok(200);
        let found: Vec<&str> =
            found["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{query}");
    }
    client.get("/v1/lead-types?active=perhaps").problem(400, "invalid-request");
    let problem = client.get("/v1/lead-types?colour=red").problem(400, "invalid-request");
    assert_eq!(
        problem["errors"],
        json!([{ "path": "colour", "code": "unknown_parameter", "message": "There is no such parameter." }])
    );
}

#[test]
fn a_policy_with_faults_is_refused_whole_and_every_fault_is_named() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let faulty = shop_policy()
        .replace("close_after = \"7d\"", "close_after = \"soon\"")
        .replace("total_cap = 100", "total_cap = 100\ncolour = 1");
    let problem = put(&client, &faulty).problem(422, "invalid-policy");
    assert!(problem["errors"].as_array().is_some_and(|errors| errors.len() >= 2), "{problem}");
    put(&client, "tenant = ").problem(422, "invalid-policy");
    put(&client, "").problem(400, "invalid-request");
    let json = client.request(Method::PUT, "/v1/policy").json(&json!({}));
    client.send(json).problem(415, "unsupported-media-type");
    assert_eq!(client.get("/v1/policy").text(), shop_policy());
    let stale = client
        .request(Method::PUT, "/v1/policy")
        .header("content-type", "application/toml")
        .header("if-match", "\"7\"");
    client.send(stale.body(shop_policy())).problem(412, "version-mismatch");
}

#[test]
fn open_leads_are_scored_anew_by_a_policy_that_asks_for_it_and_the_service_says_how_far_it_is() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    assert_eq!(client.get("/v1/policy/rescoring").ok(200)["state"], "never");
    client.record(&Event::page("one", "device").json());
    let policy = shop_policy()
        + "\n[[scoring.rule]]\nname = \"any page\"\ngroup = \"behaviour\"\npoints = 9\nwhen = { action_prefix = \"page.\" }\n";
    let request = |query: &str| {
        let put =
            client.request(Method::PUT, &format!("/v1/policy?{query}")).header("content-type", "application/toml");
        client.send(put.body(policy.clone()))
    };
    request("rescore=all").problem(400, "invalid-request");
    request("rescore=open").ok(200);
    let done = loop {
        let found = client.get("/v1/policy/rescoring").ok(200);
        if found["state"] == "done" {
            break found;
        }
        assert_eq!(found["state"], "under_way");
    };
    assert_eq!(
        (&done["policy_version"], &done["leads"], &done["changed"]),
        (&json!(2), &json!(1), &json!(1)),
        "{done}"
    );
    assert!(done["seconds"].as_f64().is_some());
    let lead = client.get("/v1/leads/V1-1/score").ok(200);
    let rows = lead["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["rule"] == "any page" && row["policy_version"] == 2), "{lead}");
}
