//! Every route with every role, for the key's own tenant and for another one's things.

mod things;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Running, Site, before_now, policy_of, shop_policy};
use things::{Kind, Things};

const ROLES: [&str; 5] = ["publisher", "operator", "analyst", "auditor", "admin"];

const PUBLISH: &[&str] = &["publisher", "admin"];
const READ: &[&str] = &["operator", "analyst", "auditor", "admin"];
const ACT: &[&str] = &["operator", "admin"];
const ANALYSE: &[&str] = &["analyst", "auditor", "admin"];
const AUDIT: &[&str] = &["auditor", "admin"];
const PRIVACY: &[&str] = &["admin"];
const CONFIGURE: &[&str] = &["admin"];

/// A route, who may use it, what it needs, what it answers them, and what it answers about another tenant's things.
struct Route(&'static str, &'static str, Who, Kind, u16, u16);

enum Who {
    Everybody,
    Roles(&'static [&'static str]),
}

fn routes() -> Vec<Route> {
    let open = |path| Route("get", path, Who::Everybody, Kind::Nothing, 200, 200);
    let read = |path, kind, other| Route("get", path, Who::Roles(READ), kind, 200, other);
    let audit = |path, kind, other| Route("get", path, Who::Roles(AUDIT), kind, 200, other);
    let act = |path, kind| Route("post", path, Who::Roles(ACT), kind, 200, 404);
    let configure = |path, kind| Route("post", path, Who::Roles(CONFIGURE), kind, 200, 404);
    vec![
        open("/healthz"),
        open("/readyz"),
        open("/metrics"),
        // What another tenant's key lists is its own tenant's.
        read("/v1/leads", Kind::Nothing, 200),
        read("/v1/orphans", Kind::Nothing, 200),
        read("/v1/duplicates", Kind::Nothing, 200),
        read("/v1/policy", Kind::Nothing, 200),
        read("/v1/policy/rescoring", Kind::Nothing, 200),
        read("/v1/lead-types", Kind::Nothing, 200),
        read("/v1/stream", Kind::Nothing, 200),
        audit("/v1/policy/versions", Kind::Nothing, 200),
        audit("/v1/policy/versions/{version}", Kind::Nothing, 200),
        audit("/v1/quarantine", Kind::Nothing, 200),
        // A head covers the records of all tenants by one hash, and shows nothing of anybody's.
        audit("/v1/heads", Kind::Nothing, 200),
        Route("post", "/v1/heads", Who::Roles(AUDIT), Kind::Nothing, 201, 201),
        audit("/v1/leads/{id}/proof", Kind::Lead, 404),
        read("/v1/leads/{id}", Kind::Lead, 404),
        read("/v1/leads/{id}/timeline", Kind::Lead, 404),
        read("/v1/leads/{id}/score", Kind::Lead, 404),
        read("/v1/visitors/{id}", Kind::Visitor, 404),
        read("/v1/visitors/{id}/timeline", Kind::Visitor, 404),
        read("/v1/visitors/{id}/nurture", Kind::Visitor, 404),
        audit("/v1/quarantine/{id}", Kind::Quarantined, 404),
        audit("/v1/records/{position}/explain", Kind::Record, 404),
        // An event belongs to the key's tenant, whatever it says; one that says otherwise goes to quarantine.
        Route("post", "/v1/events", Who::Roles(PUBLISH), Kind::Event, 202, 202),
        Route("post", "/v1/leads", Who::Roles(ACT), Kind::Opening, 201, 404),
        Route("patch", "/v1/leads/{id}", Who::Roles(ACT), Kind::Attributes, 200, 404),
        act("/v1/leads/{id}/close", Kind::Closing),
        act("/v1/leads/{id}/convert", Kind::Sale),
        act("/v1/leads/{id}/withdraw", Kind::Sold),
        act("/v1/leads/{id}/reopen", Kind::Closed),
        act("/v1/leads/{id}/type", Kind::OtherType),
        act("/v1/leads/{id}/notes", Kind::Note),
        act("/v1/leads/{id}/assign", Kind::Owner),
        act("/v1/orphans/{id}/adopt", Kind::Orphan),
        act("/v1/interactions/{id}/move", Kind::Movement),
        act("/v1/interactions/{id}/discredit", Kind::Attached),
        act("/v1/visitors/{id}/merge", Kind::Two),
        act("/v1/visitors/{id}/unmerge", Kind::Merged),
        act("/v1/visitors/{id}/settle", Kind::Suspects),
        Route("get", "/v1/visitors/{id}/export", Who::Roles(PRIVACY), Kind::Visitor, 200, 404),
        Route("delete", "/v1/visitors/{id}", Who::Roles(PRIVACY), Kind::Erasing, 200, 404),
        // What is suppressed of another tenant is nobody's here.
        Route("get", "/v1/suppressions", Who::Roles(PRIVACY), Kind::Nothing, 200, 200),
        Route("post", "/v1/suppressions", Who::Roles(PRIVACY), Kind::Suppressing, 200, 404),
        Route("delete", "/v1/suppressions", Who::Roles(PRIVACY), Kind::Suppressing, 200, 404),
        configure("/v1/quarantine/{id}/retry", Kind::Repaired),
        configure("/v1/quarantine/{id}/discard", Kind::Quarantined),
        // It shows nothing of anybody's.
        audit("/v1/projections", Kind::Nothing, 200),
        audit("/v1/projections/{name}/parked", Kind::Nothing, 200),
        Route("post", "/v1/projections/{name}/pause", Who::Roles(CONFIGURE), Kind::Nothing, 200, 200),
        Route("post", "/v1/projections/{name}/resume", Who::Roles(CONFIGURE), Kind::Nothing, 200, 200),
        Route("post", "/v1/projections/{name}/rebuild", Who::Roles(CONFIGURE), Kind::Nothing, 202, 202),
        // Nobody is left out.
        Route("post", "/v1/projections/{name}/parked/{visitor}/discard", Who::Roles(CONFIGURE), Kind::Reason, 404, 404),
        Route("post", "/v1/checkpoint", Who::Roles(CONFIGURE), Kind::Nothing, 201, 201),
        // What another tenant's key counts is its own tenant's.
        Route("post", "/v1/sql", Who::Roles(ANALYSE), Kind::Query, 200, 200),
        read("/v1/export/leads", Kind::Nothing, 200),
        Route("get", "/v1/export/interactions", Who::Roles(ANALYSE), Kind::Nothing, 200, 200),
        Route("get", "/v1/export/events", Who::Roles(ANALYSE), Kind::Nothing, 200, 200),
        Route("get", "/v1/export/score", Who::Roles(ANALYSE), Kind::Nothing, 200, 200),
        Route("get", "/v1/analytics/funnel", Who::Roles(ANALYSE), Kind::Nothing, 200, 200),
        Route("post", "/v1/analytics/query", Who::Roles(ANALYSE), Kind::Question, 200, 200),
        // A policy of another tenant has a fault at `tenant`.
        Route("put", "/v1/policy", Who::Roles(CONFIGURE), Kind::Policy, 200, 422),
    ]
}

/// Somebody who calls.
struct Caller {
    what: String,
    client: Client,
    role: Option<&'static str>,
    /// Whether the tenant whose things are asked for is within reach.
    reaches: bool,
}

fn callers(site: &Site, service: &Running) -> Vec<Caller> {
    let of = |role: &'static str, tenant: &str, reaches| {
        let client = service.with_key(&site.key(role, tenant).1);
        Caller { what: format!("{role} of {tenant}"), client, role: Some(role), reaches }
    };
    let mut callers: Vec<Caller> = ROLES.iter().map(|role| of(role, "acme", true)).collect();
    callers.extend(ROLES.iter().map(|role| of(role, "globex", false)));
    let mut all = of("admin", "*", true);
    all.client = all.client.header("leadfold-tenant", "acme");
    callers.push(all);
    callers.push(Caller { what: "nobody".to_owned(), client: service.client(), role: None, reaches: true });
    callers
}

#[test]
fn every_route_does_for_every_role_and_tenant_what_the_table_says() {
    let site = Site::shop();
    site.adopt(&policy_of("globex"));
    let service = site.serve();
    let callers = callers(&site, &service);
    let (_, key) = site.key("admin", "*");
    let mut things = Things::new(service.with_key(&key).header("leadfold-tenant", "acme"));
    let mut wrong = Vec::new();
    for route in routes() {
        for caller in &callers {
            let (answer, expected) = called(&route, caller, &mut things);
            if answer.status != expected {
                let Route(method, path, ..) = route;
                let (what, found, text) = (&caller.what, answer.status, answer.text());
                wrong.push(format!("{method} {path} as {what}: {found} instead of {expected}: {text}"));
            }
            if !caller.reaches {
                assert!(!answer.text().contains("acme-secret"), "{}: {}", caller.what, answer.text());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a route answers a caller, and what it should.
fn called(route: &Route, caller: &Caller, things: &mut Things) -> (Answer, u16) {
    let Route(method, path, who, kind, own, other) = route;
    let allowed = match (who, caller.role) {
        (Who::Everybody, _) => true,
        (Who::Roles(_), None) => false,
        (Who::Roles(roles), Some(role)) => roles.contains(&role),
    };
    let expected = match (allowed, caller.role) {
        (false, None) => 401,
        (false, Some(_)) => 403,
        (true, _) if caller.reaches => *own,
        (true, _) => *other,
    };
    let thing = things.make(*kind);
    let path = path.replace("{id}", &thing.id).replace("{position}", &thing.id).replace("{version}", "1");
    let path = path.replace("{name}", "analytics").replace("{visitor}", "V1");
    let method: Method = method.to_uppercase().parse().expect("a method");
    let request = caller.client.request(method, &path);
    let request = match thing.body {
        None => request,
        Some((kind, body)) => request.header("content-type", kind).body(body),
    };
    (caller.client.send(request), expected)
}

#[test]
fn the_table_has_every_route_of_the_description() {
    let described: Value = Site::shop().serve().client().get("/openapi.json").ok(200);
    let mut found = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        found.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let table: BTreeSet<_> =
        routes().iter().map(|Route(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(found, table);
}

const LISTS: [&str; 9] = [
    "/v1/leads",
    "/v1/orphans",
    "/v1/duplicates",
    "/v1/policy",
    "/v1/policy/rescoring",
    "/v1/policy/versions",
    "/v1/policy/versions/1",
    "/v1/lead-types",
    "/v1/stream",
];

#[test]
fn a_key_of_one_tenant_can_not_name_another_one() {
    let site = Site::shop();
    site.adopt(&policy_of("globex"));
    let service = site.serve();
    let key = site.key("admin", "globex").1;
    let client = service.with_key(&key).header("leadfold-tenant", "acme");
    for path in LISTS {
        client.get(path).problem(404, "not-found");
    }
    let policy = client.request(Method::PUT, "/v1/policy").header("content-type", "application/toml");
    assert!([404, 422].contains(&client.send(policy.body(shop_policy())).status));
    // Whoever reaches several must say which.
    let all = service.with_key(&site.key("admin", "*").1);
    let problem = all.get("/v1/leads").problem(400, "invalid-request");
    assert_eq!(problem["errors"][0]["path"], "Leadfold-Tenant");
}

#[test]
fn segments_write_key_is_a_publishers_key_or_the_tenants_name_while_there_is_none() {
    let site = Site::shop();
    site.adopt(&policy_of("globex"));
    let service = site.serve();
    let mut sent = 0;
    let mut track = |write_key: &str| {
        sent += 1;
        let client = service.client();
        let body = json!({ "messageId": format!("m{sent}"), "anonymousId": "device", "event": "Order Completed",
            "timestamp": before_now(60) });
        let request = client.request(Method::POST, "/segment/v1/track").basic_auth(write_key, Some(""));
        client.send(request.json(&body))
    };
    assert_eq!(track("acme").ok(200), json!({ "success": true }));
    track("nobody").problem(404, "not-found");
    let (publisher, operator) = (site.key("publisher", "globex").1, site.key("operator", "globex").1);
    track(&publisher).ok(200);
    track(&operator).problem(403, "forbidden");
    track("acme").problem(401, "unauthorized");
    // The key may also stand in the body, and is not kept with it.
    let client = service.client();
    let body = json!({ "writeKey": publisher, "batch": [{ "type": "track", "messageId": "b", "event": 7 }] });
    client.post("/segment/v1/batch", &body).ok(200);
    let admin = service.with_key(&site.key("admin", "globex").1);
    let kept = admin.get("/v1/quarantine").ok(200)["items"][0]["id"].clone();
    let kept = admin.get(&format!("/v1/quarantine/{kept}")).ok(200);
    let bytes = STANDARD.decode(kept["bytes_base64"].as_str().unwrap()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains(&publisher));
}
