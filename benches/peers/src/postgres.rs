//! PostgreSQL as an event store, doing the same job with its best settings: each interaction appended once with a version
//! check, and the row of its lead brought up to date, durable when answered.
//!
//! It is spared what Leadfold does besides: it knows no identities, rules or deadlines, seals nothing, chains nothing, and
//! its clients keep the versions of their streams in memory.

mod cluster;

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_postgres::{Client, NoTls, Statement};

use self::cluster::Cluster;
use crate::drive::{Answered, Figure, Row, shares, used};

/// Clients that each wait for their answer.
const CLIENTS: usize = 16;
const BATCH: usize = 500;
/// Clients that send batches; more of them are no faster on two cores.
const BATCHING_CLIENTS: usize = 4;

const TABLES: &str = "
    DROP TABLE IF EXISTS events, leads;
    CREATE TABLE events (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text NOT NULL,
        version integer NOT NULL,
        message text NOT NULL UNIQUE,
        payload jsonb NOT NULL,
        UNIQUE (stream, version)
    );
    CREATE TABLE leads (
        visitor text PRIMARY KEY,
        interactions integer NOT NULL,
        last_message text NOT NULL
    ) WITH (fillfactor = 70);";

/// A message that came before adds nothing, also not to the lead.
const APPEND: &str = "
    WITH appended AS (
        INSERT INTO events (stream, version, message, payload)
        SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[]::jsonb[])
        ON CONFLICT (message) DO NOTHING
        RETURNING stream, message, position
    )
    INSERT INTO leads
    SELECT stream, count(*), (array_agg(message ORDER BY position DESC))[1] FROM appended GROUP BY stream ORDER BY stream
    ON CONFLICT (visitor) DO UPDATE
    SET interactions = leads.interactions + excluded.interactions, last_message = excluded.last_message";

/// One transaction for each interaction, by one client and by many.
pub(crate) fn single(rows: &[Row], limit: Duration) -> anyhow::Result<Vec<Figure>> {
    measure(rows, &[1, CLIENTS], 1, limit)
}

/// Transactions of 500.
pub(crate) fn batched(rows: &[Row], limit: Duration) -> anyhow::Result<Vec<Figure>> {
    measure(rows, &[BATCHING_CLIENTS], BATCH, limit)
}

fn measure(rows: &[Row], clients: &[usize], batch: usize, limit: Duration) -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cluster = Cluster::start()?;
    clients.iter().map(|clients| runtime.block_on(append(&cluster, rows, *clients, batch, limit))).collect()
}

/// Appends to new tables.
async fn append(
    cluster: &Cluster,
    rows: &[Row],
    clients: usize,
    batch: usize,
    limit: Duration,
) -> anyhow::Result<Figure> {
    let admin = connect(cluster).await?;
    admin.batch_execute(TABLES).await.context("cannot make the tables")?;
    let mut connections = Vec::new();
    for _ in 0..clients {
        let client = connect(cluster).await?;
        let append = client.prepare(APPEND).await.context("cannot prepare the append")?;
        connections.push((client, append));
    }
    let shares = shares(rows, clients);
    let (cpu_before, _) = used(cluster.process());
    let started = Instant::now();
    let work = connections.iter().zip(&shares);
    let work = work.map(|((client, append), share)| send(client, append, share, batch, started + limit));
    let mut answered = Answered::default();
    for done in futures_util::future::join_all(work).await {
        answered.add(done?);
    }
    let mut figure = answered.figure(batch, clients, started);
    let (cpu, peak) = used(cluster.process());
    let size = "SELECT pg_total_relation_size('events') + pg_total_relation_size('leads'), count(*) FROM events";
    let size = admin.query_one(size, &[]).await.context("cannot ask for the size")?;
    let (bytes, count): (i64, i64) = (size.get(0), size.get(1));
    anyhow::ensure!(count > 0, "nothing was appended");
    (figure.cpu_seconds, figure.peak_bytes, figure.disk_bytes) =
        (Some(cpu - cpu_before), Some(peak), Some(bytes.unsigned_abs()));
    Ok(figure)
}

async fn connect(cluster: &Cluster) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&cluster.settings(), NoTls).await.context("cannot connect")?;
    // That it broke shows in what is asked over it.
    tokio::spawn(async move { connection.await.is_ok() });
    Ok(client)
}

async fn send(
    client: &Client,
    append: &Statement,
    share: &[(&Row, u32)],
    batch: usize,
    until: Instant,
) -> anyhow::Result<Answered> {
    let mut answered = Answered::default();
    for rows in share.chunks(batch) {
        let begun = Instant::now();
        if begun > until {
            break;
        }
        let column = |of: fn(&Row) -> &str| rows.iter().map(|(row, _)| of(row)).collect::<Vec<&str>>();
        let versions: Vec<i32> = rows.iter().map(|(_, version)| version.cast_signed()).collect();
        let (streams, messages) = (column(|row| &row.stream), column(|row| &row.message));
        let payloads = column(|row| &row.payload);
        client.execute(append, &[&streams, &versions, &messages, &payloads]).await.context("cannot append")?;
        answered.events += rows.len() as u64;
        answered.times.push(begun.elapsed());
    }
    Ok(answered)
}
