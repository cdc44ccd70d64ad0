//! UmaDB over gRPC, by its own client.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};

use crate::drive::{Answered, Figure, Row, Server, free_port, program, shares};

/// Clients that each wait for their answer.
const CLIENTS: usize = 16;
/// Events of a request, and clients that send such.
const BATCH: usize = 500;
const BATCHING_CLIENTS: usize = 8;
const KIND: &str = "interaction";

/// Appends one by one under a condition, then batches without one, and reads what they are.
pub(crate) fn measure(rows: &[Row], limit: Duration) -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Vec::new();
    for (clients, batch) in [(1, 1), (CLIENTS, 1), (BATCHING_CLIENTS, BATCH)] {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let port = free_port()?;
        let mut command = Command::new(program("umadb")?);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--db-path"]).arg(folder.path().join("uma.db"));
        let server = Server::start(&mut command, port)?;
        let (cpu_before, _) = server.used();
        let mut figure = runtime.block_on(append(port, rows, clients, batch, limit))?;
        server.note(&mut figure, folder.path(), cpu_before)?;
        let appended = figure.events;
        figures.push(figure);
        if batch > 1 {
            figures.push(runtime.block_on(read(port, appended))?);
        }
    }
    Ok(figures)
}

async fn connect(port: u16) -> anyhow::Result<AsyncUmaDbClient> {
    UmaDbClient::new(format!("http://127.0.0.1:{port}")).connect_async().await.context("cannot connect to UmaDB")
}

async fn append(port: u16, rows: &[Row], clients: usize, batch: usize, limit: Duration) -> anyhow::Result<Figure> {
    let shares = shares(rows, clients);
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(connect(port).await?);
    }
    let started = Instant::now();
    let work = connections.iter().zip(&shares).map(|(client, share)| send(client, share, batch, started + limit));
    let mut answered = Answered::default();
    for done in futures_util::future::join_all(work).await {
        answered.add(done?);
    }
    Ok(answered.figure(batch, clients, started))
}

async fn send(
    client: &AsyncUmaDbClient,
    share: &[(&Row, u32)],
    batch: usize,
    until: Instant,
) -> anyhow::Result<Answered> {
    let mut answered = Answered::default();
    // Where each visitor's last event stands: nothing of the visitor may have come since.
    let mut known: HashMap<&str, u64> = HashMap::new();
    for rows in share.chunks(batch) {
        let begun = Instant::now();
        if begun > until {
            break;
        }
        let events = rows.iter().map(|(row, _)| event(row)).collect();
        let condition = rows.first().filter(|_| batch == 1).map(|(row, _)| {
            let boundary = DcbQuery::new().item(DcbQueryItem::new().types([KIND]).tags([row.stream.as_str()]));
            DcbAppendCondition::new(boundary).after(known.get(row.stream.as_str()).copied())
        });
        let position = client.append(events, condition, None).await.context("UmaDB refuses an append")?;
        if let Some((row, _)) = rows.first() {
            known.insert(&row.stream, position);
        }
        answered.events += rows.len() as u64;
        answered.times.push(begun.elapsed());
    }
    Ok(answered)
}

fn event(row: &Row) -> DcbEvent {
    DcbEvent::default().event_type(KIND).tags([row.stream.as_str()]).data(row.payload.as_bytes())
}

/// Reads everything in order.
async fn read(port: u16, appended: u64) -> anyhow::Result<Figure> {
    let client = connect(port).await?;
    let started = Instant::now();
    let mut found = client.read(None, None, false, None).await.context("UmaDB refuses to be read")?;
    let mut events = 0;
    while let Some(event) = found.next().await {
        event.context("cannot read from UmaDB")?;
        events += 1;
    }
    ensure!(events == appended, "{events} of {appended} events were read back");
    let seconds = started.elapsed().as_secs_f64();
    Ok(Figure { path: "read", batch: 1, clients: 1, events, seconds, ..Figure::default() })
}
