//! Who reaches the service while there is no key, and who no longer does once there is one.

use std::net::TcpListener;

use crate::support::{Client, Event, Running, Site};

#[test]
fn without_a_key_it_listens_on_loopback_only_and_says_so() {
    let site = Site::shop();
    let refused = site.run(&["serve", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("no API key") && said.contains("keys create"), "{said}");

    let service = site.serve();
    assert_eq!(service.client().get("/v1/leads").ok(200)["items"].as_array().map(Vec::len), Some(0));
    let (ended, said) = service.stop();
    assert!(ended.success(), "{ended}");
    assert!(said.contains("no API key was made"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_else_begins() {
    let site = Site::shop();
    site.write("secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    site.write(
        "webhooks.toml",
        "[[webhook]]\nname = \"crm\"\nurl = \"http://127.0.0.1:9/\"\nsecret_files = [\"secret\"]\n",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let refused = site.run(&["serve", "--listen", &at, "--webhooks", "webhooks.toml"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {at}; is something else listening there?")), "{said}");
    // A destination keeps where it begins before anything is delivered to it.
    assert!(!site.path("data/cursors").exists() && !site.path("data/address").exists());
    drop(taken);
    let service = site.serve_with(&["--webhooks", "webhooks.toml"]);
    assert!(site.path("data/cursors").exists());
    assert!(service.stop().0.success());
}

#[test]
fn with_a_key_it_may_be_reached_from_elsewhere_but_only_with_the_key() {
    let site = Site::shop();
    let (_, key) = site.key("admin", "*");
    let service = Running::start(site.command(&["serve", "--listen", "0.0.0.0:0"]));
    let url = service.url().replace("0.0.0.0", "127.0.0.1");
    let client = Client::new(&url);
    let refused = client.get("/v1/leads");
    refused.problem(401, "unauthorized");
    assert_eq!(refused.text_of("www-authenticate"), Some("Bearer"));
    client.header("authorization", &format!("Bearer {key}")).get("/v1/leads").ok(200);
}

#[test]
fn a_first_key_closes_the_service_and_a_revoked_one_is_refused_at_once() {
    let site = Site::shop();
    let service = site.serve();
    service.client().record(&Event::page("one", "device").json());
    let (id, key) = site.key("operator", "acme");
    service.client().get("/v1/leads").problem(401, "unauthorized");
    let operator = service.with_key(&key);
    operator.get("/v1/leads").ok(200);
    site.done(&["keys", "revoke", &id]);
    let problem = operator.get("/v1/leads").problem(401, "unauthorized");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("revoked")), "{problem}");
    // Keys that are all revoked are keys: nobody is let in without one.
    service.client().get("/v1/leads").problem(401, "unauthorized");
}

#[test]
fn freed_memory_is_kept_for_a_while_unless_somebody_says_otherwise() {
    let site = Site::shop();
    let service = site.serve();
    assert_eq!(service.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("20000"));
    assert!(service.stop().0.success());

    let mut command = site.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("MIMALLOC_PURGE_DELAY", "0");
    let service = Running::start(command);
    assert_eq!(service.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("0"));
    assert!(service.stop().0.success());
}
