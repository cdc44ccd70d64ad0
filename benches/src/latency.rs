//! How long it takes from an interaction to the listing, under a steady load from NATS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{SecondsFormat, Utc};
use jetstream::Publisher;
use nats_testbed::NatsServer;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::feed::{connect, message};
use crate::running::Running;

/// Interactions a second.
const LOADS: [u64; 3] = [1_000, 5_000, 20_000];
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(15);
/// How often the load is topped up.
const STEP: Duration = Duration::from_millis(10);
/// How often an interaction is followed to the listing.
const PROBE_EVERY: Duration = Duration::from_millis(40);

pub(crate) fn measure(args: &Args, traffic: &Path) -> anyhow::Result<()> {
    println!("from sending an interaction through the feed until the listing shows it");
    println!("load /s | sent /s | probes | p50 ms | p99 ms | most ms");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for load in LOADS {
        let server = NatsServer::start()?;
        let service = Running::start(args, &["--nats", &server.url()])?;
        let (sent, mut times) = runtime.block_on(under_load(&server.url(), &service, traffic, load))?;
        times.sort_unstable();
        let at =
            |percent: usize| times.get((times.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default();
        println!(
            "{load:7} | {:7.0} | {:6} | {:6.1} | {:6.1} | {:7.1}",
            sent as f64 / LASTS.as_secs_f64(),
            times.len(),
            at(50).as_secs_f64() * 1_000.0,
            at(99).as_secs_f64() * 1_000.0,
            at(100).as_secs_f64() * 1_000.0,
        );
    }
    Ok(())
}

async fn under_load(url: &str, service: &Running, traffic: &Path, load: u64) -> anyhow::Result<(u64, Vec<Duration>)> {
    let publisher = Publisher::new(connect(url, "bench publisher").await?);
    let stop = CancellationToken::new();
    let loading = tokio::spawn(keep_loading(publisher, traffic.to_owned(), load, stop.clone()));
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < LASTS {
        let begun = Instant::now();
        probe(service, times.len()).await?;
        times.push(begun.elapsed());
        tokio::time::sleep(PROBE_EVERY.saturating_sub(begun.elapsed())).await;
    }
    stop.cancel();
    let sent = loading.await.context("the load panicked")??;
    Ok((sent, times))
}

/// Publishes at a steady rate until it is told to stop; returns how many were sent.
async fn keep_loading(
    publisher: Publisher,
    traffic: std::path::PathBuf,
    load: u64,
    stop: CancellationToken,
) -> anyhow::Result<u64> {
    let mut lines = BufReader::new(std::fs::File::open(traffic)?).lines();
    let started = Instant::now();
    let mut sent = 0;
    while !stop.is_cancelled() {
        let due = (started.elapsed().as_secs_f64() * load as f64) as u64;
        let messages: Vec<_> =
            lines.by_ref().take(due.saturating_sub(sent) as usize).map_while(Result::ok).map(message).collect();
        sent += messages.len() as u64;
        for result in publisher.publish_many(messages, 1_000).await {
            result?;
        }
        tokio::time::sleep(STEP).await;
    }
    Ok(sent)
}

/// Sends an interaction and waits until the listing shows its lead.
async fn probe(service: &Running, number: usize) -> anyhow::Result<()> {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let event = format!(
        r#"{{"specversion":"1.0","id":"probe-{number}","source":"bench","type":"leadfold.interaction.v1","time":"{time}","data":{{"visitor_id":"probe-{number}","channel":"web","action":"product.viewed"}}}}"#
    );
    let request = service.client().post(service.url("/v1/events")).body(event);
    let answer = request.header("content-type", "application/cloudevents+json").send().await?;
    ensure!(answer.status() == 202, "the service answers {}", answer.status());
    let position = answer.headers().get("x-leadfold-position").and_then(|value| value.to_str().ok()).unwrap_or("0");
    let listed = service.url(&format!("/v1/leads?limit=1&min_position={position}"));
    let answer = service.client().get(listed).send().await?;
    ensure!(answer.status() == 200, "the service answers {}", answer.status());
    answer.bytes().await?;
    Ok(())
}
