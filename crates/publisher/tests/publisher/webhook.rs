//! Webhooks, against a real server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_log::LogPosition;
use hmac::{Hmac, KeyInit, Mac};
use publisher::{
    DeliveryError, DeliveryState, Destination, Ended, OutgoingEvent, Retry, Webhook, WebhookError, WebhookOptions,
    WebhookSecret, outgoing_events,
};
use serde_json::Value;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use trace_context::TraceContext;

use crate::receiver::{Receiver, Request};
use crate::story::{Place, header, note, shop_log};

const SECRETS: [[u8; 24]; 2] = [[1; 24], [2; 24]];

fn secret(bytes: [u8; 24]) -> WebhookSecret {
    format!("whsec_{}", STANDARD.encode(bytes)).parse().unwrap()
}

fn options(url: &str) -> WebhookOptions {
    WebhookOptions::new(url, secret(SECRETS[0]))
}

fn webhook(receiver: &Receiver) -> Webhook {
    Webhook::new(options(&receiver.url())).unwrap()
}

fn an_event() -> Vec<OutgoingEvent> {
    outgoing_events(&Arc::from("shop"), &header(1, 7), &[note(1)]).collect()
}

async fn refusal(webhook: &mut Webhook) -> DeliveryError {
    webhook.deliver(&an_event(), &TraceContext::root()).await.unwrap_err()
}

fn ids(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.headers["webhook-id"].as_str()).collect()
}

/// What a receiver computes.
fn signature(request: &Request, secret: [u8; 24]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(format!("{}.{}.", request.headers["webhook-id"], request.headers["webhook-timestamp"]).as_bytes());
    mac.update(&request.body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn each_event_is_posted_and_signed_with_all_secrets_over_one_connection() {
    let (log, expected) = shop_log();
    let place = Place::new(log);
    let mut receiver = Receiver::answering(&[]).await;
    let options = WebhookOptions { secrets: SECRETS.map(secret).to_vec(), ..options(&receiver.url()) };
    let (delivery, mut handle) = place.open("crm", Webhook::new(options).unwrap());
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    handle.until(|position, _| position == LogPosition(6)).await;
    let requests = receiver.requests(expected.len()).await;
    assert_eq!(ids(&requests), expected);
    for request in &requests {
        assert_eq!(request.line, "POST /hook?token=hidden HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/cloudevents+json");
        assert!(request.headers["user-agent"].starts_with("leadfold/"));
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(event["id"], request.headers["webhook-id"].as_str());
        let signatures: Vec<&str> = request.headers["webhook-signature"].split(' ').collect();
        assert_eq!(signatures, SECRETS.map(|secret| signature(request, secret)));
    }
    assert_eq!(*receiver.connections.lock().unwrap(), 1);
    running.abort();
}

#[tokio::test]
async fn an_event_that_was_not_taken_comes_again_under_its_id_before_any_other() {
    let (log, expected) = shop_log();
    let place = Place::new(log);
    let answers = [Some("200 OK\r\n"), Some("500 Oops\r\n"), Some("429 Slowly\r\nretry-after: 0\r\n")];
    let mut receiver = Receiver::answering(&answers).await;
    let (delivery, mut handle) = place.open("crm", webhook(&receiver));
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    handle.until(|position, _| position == LogPosition(6)).await;
    let requests = receiver.requests(expected.len() + 2).await;
    let again = [&expected[..2], &expected[1..2], &expected[1..]].concat();
    assert_eq!(ids(&requests), again);
    let trace = |request: &Request| TraceContext::read(&request.headers["traceparent"], None).unwrap().trace_id();
    let traces: BTreeSet<String> = requests.iter().map(trace).collect();
    assert_eq!(traces.len(), requests.len(), "each attempt is a trace of its own");
    assert_eq!(requests[1].body, requests[3].body);
    running.abort();
}

#[tokio::test]
async fn gone_ends_the_delivery() {
    let place = Place::new(shop_log().0);
    let receiver = Receiver::answering(&[Some("204 Fine\r\n"), Some("410 Gone\r\n")]).await;
    let (delivery, handle) = place.open("crm", webhook(&receiver));
    let ended = delivery.run(CancellationToken::new()).await.unwrap();
    assert_eq!(ended, Ended::Refused { reason: "the answer was 410 Gone".to_owned() });
    assert_eq!(handle.state(), DeliveryState::Ended(ended));
    assert_eq!(receiver.requests.borrow().len(), 2);
}

#[tokio::test]
async fn answers_say_when_to_try_again_and_redirects_are_not_followed() {
    let other = Receiver::answering(&[]).await;
    let moved: &'static str = format!("302 Found\r\nlocation: {}\r\n", other.url()).leak();
    let answers = ["503 Wait\r\nretry-after: 7\r\n", "429 Slowly\r\n", "404 Not Found\r\n", moved];
    let receiver = Receiver::answering(&answers.map(Some)).await;
    let mut webhook = webhook(&receiver);
    assert_eq!(refusal(&mut webhook).await.retry, Retry::After(Duration::from_secs(7)));
    assert_eq!(refusal(&mut webhook).await.retry, Retry::BackOff);
    let error = refusal(&mut webhook).await;
    assert_eq!((error.retry, error.reason.as_str()), (Retry::BackOff, "the answer was 404 Not Found"));
    let error = refusal(&mut webhook).await;
    assert!(error.retry == Retry::BackOff && error.reason.contains("redirects aren't followed"), "{error}");
    assert_eq!(*other.connections.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again_and_its_url_is_not_shown() {
    let receiver = Receiver::answering(&[]).await;
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let url = receiver.url().replace(&receiver.port.to_string(), &free.to_string());
    let error = refusal(&mut Webhook::new(options(&url)).unwrap()).await;
    assert!(error.retry == Retry::BackOff && error.reason.contains("refused"), "{error}");
    assert!(!error.reason.contains("hidden") && !error.reason.contains("127.0.0.1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_given_up() {
    let receiver = Receiver::answering(&[None]).await;
    let error = refusal(&mut webhook(&receiver)).await;
    assert!(error.retry == Retry::BackOff && error.reason.contains("timed out"), "{error}");
}

#[tokio::test]
async fn private_addresses_are_called_only_where_that_is_allowed() {
    let receiver = Receiver::answering(&[]).await;
    let public = |url: &str| WebhookOptions { allow_private: false, ..options(url) };
    assert!(matches!(Webhook::new(public(&receiver.url())), Err(WebhookError::Private)));
    let by_name = receiver.url().replace("127.0.0.1", "localhost");
    let error = refusal(&mut Webhook::new(public(&by_name)).unwrap()).await;
    assert!(error.reason.contains("no public address"), "{error}");
    assert_eq!(*receiver.connections.lock().unwrap(), 0);
    webhook(&receiver).deliver(&an_event(), &TraceContext::root()).await.unwrap();
}

#[test]
fn options_that_cannot_be_are_refused() {
    for url in ["", "example.com", "ftp://example.com/", "/hook", "mailto:a@example.com"] {
        assert!(matches!(Webhook::new(options(url)), Err(WebhookError::Url)), "{url}");
    }
    for count in [0, 9] {
        let secrets = vec![secret(SECRETS[0]); count];
        let options = WebhookOptions { secrets, ..options("http://localhost/") };
        assert!(matches!(Webhook::new(options), Err(WebhookError::Secrets { found }) if found == count));
    }
}
