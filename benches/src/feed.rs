//! A service fed by NATS: everything published before it starts, then read, decided, durable and listed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use jetstream::{
    Connection, ConnectionOptions, FeedBatch, FeedOptions, FeedSink, Headers, Outgoing, Publisher, SinkError,
    StreamSettings, provision, run_feed,
};
use nats_testbed::NatsServer;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::running::Running;

/// Messages under way to the server.
const WINDOW: usize = 4_000;
const SUBJECT: &str = "leadfold.in.acme.bench";
/// Lead events that the outgoing stream has by then: they go out meanwhile, and on afterwards.
const EVENTS_OUT: &str = r#"leadfold_publisher_events_total{destination="nats"}"#;

/// What one round came to.
pub(crate) struct Round {
    /// Interactions a second until both read models held them.
    pub(crate) rate: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
    /// Messages a second with nothing done.
    pub(crate) alone: f64,
    pub(crate) published: f64,
    events_out: f64,
}

pub(crate) fn measure(args: &Args, traffic: &Path) -> anyhow::Result<()> {
    println!("round | NATS-fed /s | CPU s | peak MiB | stream alone /s | ratio | published /s | events out");
    for number in 1..=args.rounds {
        let Round { rate, cpu_seconds, peak_mib, alone, published, events_out } = round(args, traffic)?;
        println!(
            "{number:5} | {rate:11.0} | {cpu_seconds:5.1} | {peak_mib:8.0} | {alone:15.0} | {:5.2} | {published:12.0} | \
             {events_out:10.0}",
            rate / alone
        );
    }
    Ok(())
}

/// Publishes the traffic to a new server, reads it alone, then has a new service take it.
pub(crate) fn round(args: &Args, traffic: &Path) -> anyhow::Result<Round> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = NatsServer::start()?;
    let (published, messages) = runtime.block_on(publish_all(&server.url(), traffic))?;
    let alone = runtime.block_on(read_alone(&server.url(), messages))?;
    let started = Instant::now();
    let service = Running::start(args, &["--nats", &server.url()])?;
    runtime.block_on(service.caught_up(messages))?;
    let rate = messages as f64 / started.elapsed().as_secs_f64();
    let events_out = runtime.block_on(service.metric(EVENTS_OUT))?;
    let (cpu_seconds, peak_mib) = service.used();
    Ok(Round { rate, cpu_seconds, peak_mib, alone, published, events_out })
}

/// A connection for one purpose, with the stream in place.
pub(crate) async fn connect(url: &str, name: &str) -> anyhow::Result<Connection> {
    let connection = Connection::open(&ConnectionOptions::new(url, name), &CancellationToken::new()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    Ok(connection)
}

/// An event as a message.
pub(crate) fn message(line: String) -> Outgoing {
    Outgoing { subject: SUBJECT.to_owned(), headers: Headers::new(), payload: Bytes::from(line), message_id: None }
}

/// Publishes every line; returns how many a second, and how many there were.
async fn publish_all(url: &str, traffic: &Path) -> anyhow::Result<(f64, u64)> {
    let publisher = Publisher::new(connect(url, "bench publisher").await?);
    let file = BufReader::new(std::fs::File::open(traffic).context("cannot open the traffic")?);
    let started = Instant::now();
    let messages = file.lines().map_while(Result::ok).map(message);
    let results = publisher.publish_many(messages, WINDOW).await;
    let count = results.len() as u64;
    for result in results {
        result?;
    }
    Ok((count as f64 / started.elapsed().as_secs_f64(), count))
}

/// Counts messages and does nothing with them.
struct Counting {
    left: u64,
    done: CancellationToken,
}

impl FeedSink for Counting {
    async fn take(&mut self, batch: FeedBatch) -> Result<(), SinkError> {
        self.left = self.left.saturating_sub(batch.messages.len() as u64);
        if self.left == 0 {
            self.done.cancel();
        }
        Ok(())
    }
}

/// How many messages a second the stream gives when nothing is done with them.
async fn read_alone(url: &str, messages: u64) -> anyhow::Result<f64> {
    let connection = connect(url, "bench reader").await?;
    let done = CancellationToken::new();
    let sink = Counting { left: messages, done: done.clone() };
    let started = Instant::now();
    run_feed(connection, FeedOptions::default(), None, sink, done).await?;
    Ok(messages as f64 / started.elapsed().as_secs_f64())
}
