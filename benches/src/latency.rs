//! How long it takes from an interaction to its answer, and to the listing under a steady load from NATS.
//!
//! Under load interactions are followed at set times, whether those before have arrived or not, and each time counts from
//! when the interaction was due: a service that stands still makes all of them late (no "coordinated omission").

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use hdrhistogram::Histogram;
use jetstream::Publisher;
use nats_testbed::NatsServer;
use reqwest::{Client, Response};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::feed::{connect, message};
use crate::running::Running;

/// Interactions a second.
const LOADS: [u64; 3] = [1_000, 5_000, 20_000];
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(15);
/// How long one client sends one interaction after the other.
const ALONE_LASTS: Duration = Duration::from_secs(5);
/// What it sends before that counts.
const WARM_UP: usize = 200;
/// How often the load is topped up.
const STEP: Duration = Duration::from_millis(10);
/// How often an interaction is followed to the listing.
const PROBE_EVERY: Duration = Duration::from_millis(40);
/// The pause before a refused request is sent again, and for how long.
const RETRY_AFTER: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);
/// A time can be told apart from one that is a thousandth longer.
const DIGITS: u8 = 3;

/// Times of many interactions.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    fn new() -> anyhow::Result<Self> {
        Histogram::new(DIGITS).map(Self).context("cannot make a histogram")
    }

    fn add(&mut self, time: Duration) -> anyhow::Result<()> {
        self.0.record(u64::try_from(time.as_micros())?).context("cannot count so long a time")
    }

    /// Milliseconds that so many percent of them take at most.
    pub(crate) fn at(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1_000.0
    }
}

pub(crate) fn measure(args: &Args, traffic: &Path) -> anyhow::Result<()> {
    println!("from when an interaction is due on the feed until the listing shows it");
    println!("load /s | sent /s | probes | p50 ms | p99 ms | most ms");
    for load in LOADS {
        let (sent, times) = to_listing(args, traffic, load)?;
        println!(
            "{load:7} | {sent:7.0} | {:6} | {:6.1} | {:6.1} | {:7.1}",
            times.0.len(),
            times.at(50.0),
            times.at(99.0),
            times.at(100.0),
        );
    }
    let alone = alone(args)?;
    println!("one client, one interaction after the other, until the durable answer:");
    println!("p50 {:.2} ms, p99 {:.2} ms, of {}", alone.at(50.0), alone.at(99.0), alone.0.len());
    Ok(())
}

/// Under a load of so many interactions a second; also says how many were really sent a second.
pub(crate) fn to_listing(args: &Args, traffic: &Path, load: u64) -> anyhow::Result<(f64, Times)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = NatsServer::start()?;
    let service = Running::start(args, &["--nats", &server.url()])?;
    runtime.block_on(under_load(&server.url(), &service, traffic, load))
}

/// One client that waits for each answer.
pub(crate) fn alone(args: &Args) -> anyhow::Result<Times> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let service = Running::start(args, &[])?;
    runtime.block_on(async {
        let (client, url) = (service.client(), service.url("/v1/events"));
        let mut times = Times::new()?;
        for number in 0..WARM_UP {
            send(&client, &url, number).await?;
        }
        let started = Instant::now();
        let mut number = WARM_UP;
        while started.elapsed() < ALONE_LASTS {
            let begun = Instant::now();
            send(&client, &url, number).await?;
            times.add(begun.elapsed())?;
            number += 1;
        }
        Ok(times)
    })
}

async fn under_load(url: &str, service: &Running, traffic: &Path, load: u64) -> anyhow::Result<(f64, Times)> {
    let publisher = Publisher::new(connect(url, "bench publisher").await?);
    let stop = CancellationToken::new();
    let loading = tokio::spawn(keep_loading(publisher, traffic.to_owned(), load, stop.clone()));
    let started = Instant::now();
    let mut probes = JoinSet::new();
    for number in 0..usize::try_from(LASTS.as_millis() / PROBE_EVERY.as_millis())? {
        let due = started + PROBE_EVERY * u32::try_from(number)?;
        tokio::time::sleep_until(due.into()).await;
        probes.spawn(probe(service.client(), service.url("/v1/events"), service.url("/v1/leads"), number, due));
    }
    let mut times = Times::new()?;
    while let Some(probed) = probes.join_next().await {
        times.add(probed.context("a probe panicked")??)?;
    }
    stop.cancel();
    let sent = loading.await.context("the load panicked")??;
    Ok((sent as f64 / started.elapsed().as_secs_f64(), times))
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

/// Sends an interaction and waits until the listing shows its lead; returns the time since it was due. A service that has
/// too much to do and says so is asked again, as a client would.
async fn probe(client: Client, events: String, leads: String, number: usize, due: Instant) -> anyhow::Result<Duration> {
    let position = loop {
        match send(&client, &events, number).await {
            Ok(position) => break position,
            Err(error) if due.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    };
    let listed = format!("{leads}?limit=1&min_position={position}");
    loop {
        match body_of(client.get(&listed).send().await?, 200).await {
            Ok(_) => return Ok(due.elapsed()),
            Err(error) if due.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

/// Sends an interaction; returns its position once it is durable.
async fn send(client: &Client, url: &str, number: usize) -> anyhow::Result<u64> {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let event = format!(
        r#"{{"specversion":"1.0","id":"probe-{number}","source":"bench","type":"leadfold.interaction.v1","time":"{time}","data":{{"visitor_id":"probe-{number}","channel":"web","action":"product.viewed"}}}}"#
    );
    let request = client.post(url).header("content-type", "application/cloudevents+json").body(event);
    let answer = request.send().await?;
    let position = answer.headers().get("x-leadfold-position").and_then(|value| value.to_str().ok()?.parse().ok());
    body_of(answer, 202).await?;
    position.context("the answer has no position")
}

async fn body_of(answer: Response, expected: u16) -> anyhow::Result<Bytes> {
    let status = answer.status();
    let body = answer.bytes().await?;
    ensure!(status == expected, "the service answers {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
