//! Bodies that are too large, too slow or packed; addresses and methods that there aren't.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Event, Running, Site};

/// Bytes of a body, after decompression.
const BODY_BYTES_MAX: usize = 10 << 20;

fn post(client: &Client, kind: &str, encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let request = client.request(Method::POST, "/v1/events").header("content-type", kind).body(body);
    client.send(encoding.into_iter().fold(request, |request, encoding| request.header("content-encoding", encoding)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_of_ten_mebibytes_is_taken_and_one_byte_more_is_not() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let lines = |bytes: usize| vec![b'\n'; bytes];
    for encoding in [None, Some("gzip")] {
        let body = |bytes: usize| if encoding.is_some() { gzip(&lines(bytes)) } else { lines(bytes) };
        post(&client, "application/x-ndjson", encoding, body(BODY_BYTES_MAX)).ok(202);
        post(&client, "application/x-ndjson", encoding, body(BODY_BYTES_MAX + 1)).problem(413, "too-large");
    }
    // Packed a thousandfold it is still too large.
    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < 1 << 20);
    post(&client, "application/json", Some("gzip"), bomb).problem(413, "too-large");
    for path in ["/v1/leads", "/v1/leads/V1-1/close"] {
        let request = client.request(Method::POST, path).header("content-type", "application/json");
        client.send(request.body(lines(BODY_BYTES_MAX + 1))).problem(413, "too-large");
    }
    // What is within the bound of bodies may still be too much for a command.
    let note = format!("{{\"text\":\"{}\"}}", "n".repeat(3 << 20));
    let request = client.request(Method::POST, "/v1/leads/V1-1/notes").header("content-type", "application/json");
    client.send(request.body(note)).problem(400, "invalid-request");
}

#[test]
fn a_request_has_at_most_ten_thousand_events() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let many = 10_001;
    let batch = format!("[{}]", vec!["{}"; many].join(","));
    let refused = post(&client, "application/cloudevents-batch+json", None, batch.into_bytes());
    refused.problem(413, "too-large");
    post(&client, "application/x-ndjson", None, "{}\n".repeat(many).into_bytes()).problem(413, "too-large");
    assert_eq!(client.get("/v1/quarantine").ok(200)["items"], json!([]));
}

#[test]
fn bodies_may_come_in_gzip_and_answers_do_where_that_is_asked_for() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    let event = Event::page("one", "device").json().to_string();
    let packed = post(&client, "application/cloudevents+json", Some("gzip"), gzip(event.as_bytes())).ok(202);
    assert_eq!(packed["results"][0]["result"], "recorded");
    let plain = post(&client, "application/cloudevents+json", Some("identity"), event.clone().into_bytes()).ok(202);
    assert_eq!(plain["results"][0]["result"], "duplicate");
    let mut cut = gzip(event.as_bytes());
    cut.truncate(cut.len() / 2);
    for broken in [event.clone().into_bytes(), cut, b"\x1f\x8b".to_vec()] {
        post(&client, "application/cloudevents+json", Some("gzip"), broken).problem(400, "invalid-request");
    }
    for unknown in ["br", "zstd", "deflate", "gzip, gzip", "x"] {
        let refused = post(&client, "application/cloudevents+json", Some(unknown), event.clone().into_bytes());
        refused.problem(415, "unsupported-media-type");
        assert_eq!(refused.text_of("accept-encoding"), Some("gzip"));
    }
    let plain = client.get("/openapi.json");
    assert_eq!(plain.text_of("content-encoding"), None);
    let packed = client.send(client.request(Method::GET, "/openapi.json").header("accept-encoding", "gzip"));
    assert_eq!(packed.text_of("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 4 < plain.body.len());
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}

/// Sends the beginning of a request and returns all that comes back until the service hangs up.
fn dawdle(service: &Running, beginning: &str) -> String {
    let address = service.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection.write_all(beginning.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).expect("the service hangs up in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_body_that_does_not_come_to_its_end_is_given_up() {
    let site = Site::shop();
    let service = site.serve();
    let begun = "POST /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: 100\r\n\r\n{";
    let answer = dawdle(&service, begun);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("urn:leadfold:problem:timeout"), "{answer}");
    assert!(answer.contains("x-leadfold-position: "), "{answer}");
}

#[test]
fn headers_that_do_not_come_to_their_end_are_given_up() {
    let site = Site::shop();
    let service = site.serve();
    let answer = dawdle(&service, "GET /v1/leads HTTP/1.1\r\nhost: x\r\nx-slow: ");
    assert!(!answer.contains("200 OK"), "{answer}");
    // Meanwhile and afterwards others are served.
    service.client().get("/v1/leads").ok(200);
}

#[test]
fn what_there_is_not_is_told_apart() {
    let site = Site::shop();
    let service = site.serve();
    let client = service.client();
    for path in ["/", "/v1", "/v1/nothing", "/v1/leads/", "/v1//leads", "/v1/leads/V1-1/nothing", "/V1/leads"] {
        client.get(path).problem(404, "not-found");
    }
    for path in
        ["/v1/leads/%FF", "/v1/leads/x", "/v1/leads/V0-1", "/v1/leads/V99999999999999999999-1", "/v1/visitors/%00"]
    {
        assert!([400, 404].contains(&client.get(path).status), "{path}");
    }
    let described = client.get("/openapi.json").ok(200);
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "HEAD", "BREW"];
    for (path, item) in described["paths"].as_object().unwrap() {
        let mut known: Vec<String> = item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        if known.contains(&"GET".to_owned()) {
            known.push("HEAD".to_owned());
        }
        known.sort();
        for method in methods.into_iter().filter(|method| !known.contains(&(*method).to_owned())) {
            let request = client.request(method.parse().unwrap(), &path.replace("{id}", "V1-1"));
            let refused = client.send(request);
            if method == "HEAD" {
                assert_eq!(refused.status, 405, "{path}");
            } else {
                refused.problem(405, "method-not-allowed");
            }
            let mut allowed: Vec<&str> = refused.text_of("allow").unwrap().split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed, known, "{method} {path}");
        }
    }
}

#[test]
fn pages_of_other_origins_may_not_call_unless_they_are_named() {
    let site = Site::shop();
    let allowed = |service: &Running, origin: &str| {
        let client = service.client();
        [Method::GET, Method::OPTIONS].map(|method| {
            let request = client.request(method, "/v1/leads").header("origin", origin);
            let headers = client.headers(request.header("access-control-request-method", "GET"));
            headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
        })
    };
    let service = site.serve();
    assert_eq!(allowed(&service, "https://shop.example.com"), [None, None]);
    drop(service);
    let service = site.serve_with(&["--cors-origin", "https://shop.example.com"]);
    let named = Some("https://shop.example.com".to_owned());
    assert_eq!(allowed(&service, "https://shop.example.com"), [named.clone(), named]);
    assert_eq!(allowed(&service, "https://evil.example.com"), [None, None]);
}

#[test]
fn health_and_metrics_are_told_without_a_key() {
    let site = Site::shop();
    let service = site.serve();
    service.client().record(&Event::page("one", "device").json());
    site.key("admin", "*");
    let client = service.client();
    assert_eq!(client.get("/healthz").text(), "ok\n");
    let ready: Value = client.get("/readyz").ok(200);
    assert_eq!((&ready["status"], ready.get("reasons")), (&json!("ok"), None));
    let metrics = client.get("/metrics");
    assert_eq!(metrics.text_of("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "leadfold_engine_inputs_total{result=\"recorded\"} 1",
        "leadfold_http_requests_total{route=\"/v1/events\",method=\"POST\",status=\"202\"} 1",
        "leadfold_log_position_records 2",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
    let docs = client.status(client.request(Method::GET, "/docs/"));
    assert_eq!(docs, 200);
}
