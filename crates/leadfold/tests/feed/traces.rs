//! Traces: from a request through the feed, and out with each delivery.

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jetstream::{LEADFOLD_IN, LEADFOLD_OUT};
use nats_testbed::NatsServer;
use serde_json::Value;
use tokio::sync::mpsc;
use trace_context::TraceContext;

use crate::support::load::Traffic;
use crate::support::serving::Serving;
use crate::support::site::Site;
use crate::support::{Dice, soon, stream, until};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Takes webhooks, and passes on the headers of each; returns its URL too.
async fn receiver() -> Result<(String, mpsc::UnboundedReceiver<HeaderMap>)> {
    let (sender, calls) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap| {
        let sender = sender.clone();
        async move { sender.send(headers).map_err(|_| axum::http::StatusCode::GONE) }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    Ok((url, calls))
}

/// A service that delivers to the stream and to a webhook, and tells all in JSON.
fn serve(site: &Site, nats: &str, hook: &str) -> Result<Serving> {
    std::fs::write(site.path("secret"), format!("whsec_{}", STANDARD.encode([7; 24])))?;
    let secret = site.path("secret");
    let webhook =
        format!("[[webhook]]\nname = \"crm\"\nurl = {hook:?}\nsecret_files = [{secret:?}]\nfrom_beginning = true\n");
    std::fs::write(site.path("webhooks.toml"), webhook)?;
    let args = ["serve", "--listen", "127.0.0.1:0", "--nats", nats, "--webhooks", "webhooks.toml"];
    let mut command = site.command(&[&args[..], &["--log-format", "json"]].concat());
    command.env("LEADFOLD_LOG", "debug,async_nats=warn");
    site.start(command)
}

/// The spans of the log lines that say `message`.
fn spans(serving: &Serving, message: &str) -> Vec<Value> {
    let text = serving.stderr();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).map(|line| line["span"].clone()).collect()
}

/// Whether a log line tells that `trace` delivered what stands at `position`.
fn told(delivered: &[Value], destination: &str, trace: &TraceContext, position: u64) -> bool {
    delivered.iter().any(|span| {
        let reaches = |field: &str| span[field].as_u64();
        span["destination"] == destination
            && span["trace_id"] == trace.trace_id()
            && span["span_id"] == trace.span_id()
            && reaches("position").is_some_and(|first| first <= position)
            && reaches("last_position").is_some_and(|last| position <= last)
    })
}

/// The position in the id of a lead event.
fn position(id: &str) -> Result<u64> {
    let number = id.rsplit('.').next().and_then(|id| id.split('-').next());
    Ok(number.context("an id")?.parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_the_feed_and_each_delivery_begins_one() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let (hook, mut calls) = receiver().await?;
    let mut serving = serve(&site, &server.url(), &hook)?;
    let address = serving.ready().await?.address().to_owned();
    let mut traffic = Traffic::new("t", site.clock(), Dice::new());
    for parent in [PARENT, "00-malformed-b7ad6b7169203331-01"] {
        let request = reqwest::Client::new().post(format!("http://{address}/v1/events"));
        let request = request.header("content-type", "application/json").body(traffic.event().to_string());
        let answer = request.header("traceparent", parent).header("tracestate", "vendor=1").send().await?;
        ensure!(answer.status() == 202, "{answer:?}");
    }
    let admin = stream::admin(&server.url()).await?;
    let messages = stream::read_all(&admin, LEADFOLD_IN).await?;
    let [followed, other] = messages.as_slice() else { panic!("one message for each event") };
    let parent = TraceContext::read(PARENT, None).context("a trace")?;
    let request = followed.traceparent.as_deref().and_then(|text| TraceContext::read(text, None)).context("a trace")?;
    assert_eq!(request.trace_id(), parent.trace_id());
    assert_ne!(request.span_id(), parent.span_id());
    assert_eq!(followed.tracestate.as_deref(), Some("vendor=1"));
    assert_eq!((&other.traceparent, &other.tracestate), (&None, &None));
    until("the span of the message", async || {
        let spans = spans(&serving, "recorded");
        let found = spans.iter().find(|span| span["trace_id"] == parent.trace_id());
        Ok(found.map(|span| assert_eq!(span["parent_id"], request.span_id())))
    })
    .await?;
    let events = until("lead events", async || {
        let delivered = stream::read_all(&admin, LEADFOLD_OUT).await?;
        Ok((!delivered.is_empty()).then_some(delivered))
    })
    .await?;
    for event in &events {
        let trace = event.traceparent.as_deref().and_then(|text| TraceContext::read(text, None)).context("a trace")?;
        let position = position(event.message_id.as_deref().context("an id")?)?;
        let line = async || Ok(told(&spans(&serving, "delivered"), "nats", &trace, position).then_some(()));
        until("the span of the publication", line).await?;
    }
    for _ in &events {
        let call = soon("a webhook", calls.recv()).await?.context("a webhook")?;
        let header = |name: &str| call.get(name).and_then(|value| value.to_str().ok()).context("a header");
        let trace = TraceContext::read(header("traceparent")?, None).context("a trace")?;
        let position = position(header("webhook-id")?)?;
        let line = async || Ok(told(&spans(&serving, "delivered"), "crm", &trace, position).then_some(()));
        until("the span of the call", line).await?;
    }
    serving.stop().await
}
