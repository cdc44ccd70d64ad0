//! Clients that others wrote, unchanged: what they send is understood.

use std::process::Command;

use nats_testbed::NatsServer;
use serde_json::{Value, json};

use crate::support::{Client, Running, Site, eventually, shop_policy, tool, workspace};

/// Runs a script against a server; returns what it prints.
#[track_caller]
fn run(script: &str, url: &str) -> String {
    let script = workspace().join("crates/leadfold/tests/service/sdk").join(script);
    let output = Command::new(tool("python")).arg(script).arg(url).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The only lead, once it has so many interactions.
#[track_caller]
fn only_lead(client: &Client, interactions: u64) -> Value {
    eventually("the lead has all interactions", || {
        let leads = client.get("/v1/leads?count=exact").ok(200);
        let lead = leads["items"].get(0).filter(|lead| lead["interactions"] == interactions)?;
        assert_eq!(leads["count"], 1);
        Some(lead.clone())
    })
}

#[test]
fn the_sdk_of_segment_for_python_is_understood() {
    // The SDK stamps its messages by its own clock.
    let site = Site::present(&shop_policy());
    let service = site.serve();
    run("segment_sdk.py", service.url());
    let lead = only_lead(&service.client(), 4);
    assert_eq!((&lead["contact"]["name"], &lead["contact"]["email"]), (&json!("Zoë Quist"), &json!("zoe@example.com")));
    assert_eq!((&lead["customer_id"], &lead["channel"]), (&json!("customer-1"), &json!("web")));
    assert_eq!(lead["last_product"]["id"], "p-1");
    assert_eq!(lead["attributes"]["plan"], "pro");
    assert_eq!(service.client().get("/v1/quarantine").ok(200)["items"], json!([]));
}

#[test]
fn the_python_client_of_nats_is_understood_in_both_modes() {
    let (server, site) = (NatsServer::start().unwrap(), Site::shop());
    let service = Running::start(site.command(&["serve", "--listen", "127.0.0.1:0", "--nats", &server.url()]));
    assert_eq!(run("nats_py.py", &server.url()).split_whitespace().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    only_lead(&service.client(), 2);
    assert_eq!(service.client().get("/v1/quarantine").ok(200)["items"], json!([]));
    assert!(service.stop().0.success());
}
