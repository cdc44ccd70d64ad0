//! TLS: served by certificate files, which may change while the service runs.

use std::process::Command;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::support::{Running, Site, eventually};

/// Puts a new certificate for this name and its key in place, and returns it.
fn renew(site: &Site, name: &str) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    site.write("key.pem", signing_key.serialize_pem());
    site.write("certificate.pem", cert.pem());
    cert.pem()
}

fn serve(site: &Site) -> Command {
    site.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-certificate",
        &site.path("certificate.pem").display().to_string(),
        "--tls-key",
        &site.path("key.pem").display().to_string(),
    ])
}

/// The status of an answer, by one who trusts this certificate only.
fn ask(url: &str, trusted: &str) -> Result<u16, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let certificate = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).timeout(Duration::from_secs(30));
    let client = client.build().unwrap();
    runtime.block_on(async { Ok(client.get(format!("{url}/healthz")).send().await?.status().as_u16()) })
}

#[test]
fn a_changed_certificate_is_taken_into_use_and_a_broken_one_is_not() {
    let site = Site::shop();
    let first = renew(&site, "127.0.0.1");
    let service = Running::listening(serve(&site));
    assert!(service.url().starts_with("https://127.0.0.1:"), "{}", service.url());
    assert_eq!(ask(service.url(), &first).unwrap(), 200);
    let plain = service.url().replace("https:", "http:");
    assert!(ask(&plain, &first).is_err(), "a caller without TLS is not answered");

    site.write("certificate.pem", "no certificate");
    eventually("the broken certificate is told", || {
        service.said().contains("the changed certificate can't be used; the old one stays").then_some(())
    });
    assert_eq!(ask(service.url(), &first).unwrap(), 200);

    let second = renew(&site, "127.0.0.1");
    eventually("the new certificate is served", || ask(service.url(), &second).ok());
    assert!(ask(service.url(), &first).is_err(), "the old certificate is no longer served");
    assert!(service.stop().0.success());
}

#[test]
fn commands_of_the_folder_reach_a_service_whose_certificate_is_for_another_name() {
    let site = Site::shop();
    renew(&site, "leads.example.com");
    let service = Running::listening(serve(&site));
    let listed = eventually("the service answers", || {
        let listed = site.run(&["leads", "--json"]);
        listed.status.success().then_some(listed)
    });
    assert!(listed.stdout.is_empty());
    // Somebody else's word for an address is not the folder's.
    let named = site.run(&["leads", "--server", service.url()]);
    assert_eq!(named.status.code(), Some(1), "{}", String::from_utf8_lossy(&named.stderr));
    assert!(service.stop().0.success());
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_told_at_the_start() {
    let site = Site::shop();
    let kept = renew(&site, "127.0.0.1");
    renew(&site, "127.0.0.1");
    site.write("certificate.pem", kept);
    let refused = serve(&site).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot use the certificate") && said.contains("key.pem"), "{said}");
    assert!(!site.path("data/address").exists());
}
