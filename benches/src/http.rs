//! A service fed over HTTP in batches, by several clients at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::Args;
use crate::running::Running;

/// Events of a request.
const BATCH: usize = 500;
/// Requests under way.
const CLIENTS: usize = 4;

pub(crate) fn measure(args: &Args, traffic: &Path) -> anyhow::Result<()> {
    println!("batches of {BATCH}, {CLIENTS} clients");
    println!("round | HTTP /s | CPU s | peak MiB");
    for round in 1..=args.rounds {
        let service = Running::start(args, &[])?;
        let rate = runtime()?.block_on(feed(&service, traffic))?;
        let (cpu, peak) = service.used();
        println!("{round:5} | {rate:7.0} | {cpu:5.1} | {peak:8.0}");
    }
    Ok(())
}

/// Sends the traffic to a service; interactions a second, each durable when it is answered.
pub(crate) async fn feed(service: &Running, traffic: &Path) -> anyhow::Result<f64> {
    let bodies = Arc::new(bodies(traffic)?);
    let started = Instant::now();
    let sent = send_all(service, &bodies).await?;
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}

/// A runtime for a client. A service must be asked within one and the same: connections that it keeps belong to it.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("cannot make a runtime")
}

/// The traffic as bodies of requests.
fn bodies(traffic: &Path) -> anyhow::Result<Vec<Bytes>> {
    let text = std::fs::read_to_string(traffic).context("cannot read the traffic")?;
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.chunks(BATCH).map(|lines| Bytes::from(lines.join("\n"))).collect())
}

async fn send_all(service: &Running, bodies: &Arc<Vec<Bytes>>) -> anyhow::Result<usize> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (client, url) = (service.client(), service.url("/v1/events"));
        let (bodies, next) = (Arc::clone(bodies), Arc::clone(&next));
        clients.push(tokio::spawn(async move {
            let mut sent = 0;
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = client.post(&url).header("content-type", "application/x-ndjson").body(body.clone());
                let answer = request.send().await?;
                ensure!(answer.status() == 202, "the service answers {}", answer.status());
                answer.bytes().await?;
                sent += BATCH;
            }
            Ok(sent)
        }));
    }
    let mut sent = 0;
    for client in clients {
        sent += client.await.context("a client panicked")??;
    }
    Ok(sent)
}
