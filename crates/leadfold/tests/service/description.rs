//! The description at `/openapi.json` against what the service does, as schemathesis finds out.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Client, Event, Site, tool, workspace};

/// Interactions of the example shop that there are to ask about.
const INTERACTIONS: usize = 800;

const CONFIG: &str = r#"
[checks.positive_data_acceptance]
# What is well-formed may still not fit to how things stand.
expected-statuses = ["2xx", 401, 403, 404, 409, 412, 422, 429]

[[operations]]
include-path = "/v1/events"
# What can't be taken is kept in quarantine: that is a result, not a refusal.
checks.negative_data_rejection.enabled = false
"#;

/// A shop with history, and with something in quarantine.
fn shop() -> Site {
    let site = Site::shop();
    let history = fs::read_to_string(workspace().join("examples/shop/interactions.ndjson")).unwrap();
    let lines: Vec<&str> = history.lines().take(INTERACTIONS).collect();
    let faulty = (0..20).map(|number| Event::page(&format!("faulty-{number}"), "").json().to_string());
    let all: Vec<String> = lines.into_iter().map(ToOwned::to_owned).chain(faulty).collect();
    site.write("history.ndjson", all.join("\n"));
    site.done(&["import", "history.ndjson"]);
    site
}

/// Ids and names that requests may use, by where they stand.
fn there_is(client: &Client) -> Value {
    let ids = |path: &str, id: &str| -> Vec<Value> {
        let found = client.get(path).ok(200);
        found["items"].as_array().unwrap().iter().map(|item| item[id].clone()).collect()
    };
    let (leads, orphans) = (ids("/v1/leads?limit=50", "id"), ids("/v1/orphans", "id"));
    let visitors = ids("/v1/leads?limit=50", "visitor_id");
    let timeline = client.get(&format!("/v1/leads/{}/timeline", leads[0].as_str().unwrap())).ok(200);
    let events = timeline["items"].as_array().unwrap().iter().flat_map(|record| record["events"].as_array().unwrap());
    let attached = events.filter(|event| event["event"] == "interaction_attached");
    let interactions: Vec<Value> =
        attached.map(|event| event["interaction_id"].clone()).chain(orphans.iter().cloned()).collect();
    let quarantine: Vec<String> = ids("/v1/quarantine", "id").iter().map(ToString::to_string).collect();
    assert!(leads.len() > 40 && !orphans.is_empty() && !quarantine.is_empty());
    json!({
        "leads": leads, "lead_id": leads, "to_lead_id": leads,
        "visitors": visitors, "visitor_id": visitors, "other_visitor_id": ids("/v1/leads?sort=score", "visitor_id"),
        "orphans": orphans, "interactions": interactions, "quarantine": quarantine,
        "lead_type": ["tablets", "shopping", "trade-in"], "reason": ["duplicate", "not_interested"],
    })
}

/// Lets schemathesis ask the service; it must find nothing.
fn assert_true(site: &Site, url: &str, there_is: &Value, args: &[&str]) {
    site.write("schemathesis.toml", CONFIG);
    let mut command = Command::new(tool("st"));
    command.current_dir(site.path("")).env("SCHEMATHESIS_HOOKS", "hooks");
    command.env("PYTHONPATH", workspace().join("crates/leadfold/tests/service/schemathesis"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("LEADFOLD_THERE_IS", there_is.to_string());
    command.args(["--config-file", "schemathesis.toml", "run", &format!("{url}/openapi.json")]);
    // A stream of changes never ends, so it can't be asked for and looked at; it has tests of its own.
    command.args(["--exclude-path", "/v1/stream", "--seed", "1", "--no-shrink", "--continue-on-failure"]);
    // Behind it whoever waits for a position waits in vain, as is right; it has tests of its own, too.
    command.args(["--exclude-path", "/v1/projections/{name}/pause"]);
    let output = command.args(args).output().expect("schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed"), "{said}");
}

#[test]
fn schemathesis_finds_nothing_that_the_description_does_not_say() {
    let site = shop();
    let service = site.serve();
    let there_is = there_is(&service.client());
    assert_true(&site, service.url(), &there_is, &["--phases", "examples,coverage"]);
    assert_eq!(service.client().get("/readyz").ok(200)["status"], "ok");
}

#[test]
fn schemathesis_with_an_admins_key_finds_nothing_either() {
    let site = shop();
    let service = site.serve();
    let there_is = there_is(&service.client());
    let authorization = format!("Authorization: Bearer {}", site.key("admin", "acme").1);
    let args = ["--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--header", &authorization];
    assert_true(&site, service.url(), &there_is, &args);
}
