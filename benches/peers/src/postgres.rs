//! PostgreSQL as an event store, doing the same job with its best settings: each interaction appended once with a version
//! check, and the row of its lead brought up to date, durable when answered.
//!
//! It is spared what Leadfold does besides: it knows no identities, rules or deadlines, seals nothing, chains nothing, and
//! its clients keep the versions of their streams in memory.

mod cluster;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::Deserialize;
use tokio_postgres::{Client, NoTls, Statement};

use self::cluster::Cluster;

/// Clients that each wait for their answer.
const CLIENTS: usize = 16;
/// Interactions of those that come one by one: they take thousands of times as long as the others.
const SINGLE_MAX: usize = 60_000;
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

/// An event as the store sees it.
pub(crate) struct Row {
    stream: String,
    message: String,
    payload: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    source: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default)]
    visitor_id: Option<&'a str>,
}

/// What PostgreSQL reached.
pub(crate) struct Measured {
    /// Interactions a second, each in a transaction of its own, by 16 clients.
    pub(crate) single: f64,
    /// Interactions a second in transactions of 500, by 4 clients.
    pub(crate) batched: f64,
    /// Of both tables and their indexes, for each event.
    pub(crate) bytes_each: f64,
}

pub(crate) fn measure(rows: &[Row]) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cluster = Cluster::start()?;
    let few = rows.get(..SINGLE_MAX).unwrap_or(rows);
    let single = runtime.block_on(append(&cluster, few, CLIENTS, 1))?;
    let batched = runtime.block_on(append(&cluster, rows, BATCHING_CLIENTS, BATCH))?;
    Ok(Measured { single: single.rate, batched: batched.rate, bytes_each: batched.bytes_each })
}

pub(crate) fn read(traffic: &Path) -> anyhow::Result<Vec<Row>> {
    let file = File::open(traffic).context("cannot open the traffic")?;
    let mut rows = Vec::new();
    for line in BufReader::new(file).lines() {
        let payload = line.context("cannot read the traffic")?;
        let envelope: Envelope<'_> = serde_json::from_str(&payload).context("cannot decode an event")?;
        let message = format!("{} {}", envelope.source, envelope.id);
        let stream = envelope.data.visitor_id.unwrap_or(envelope.id).to_owned();
        rows.push(Row { stream, message, payload });
    }
    Ok(rows)
}

/// How fast it went.
struct Appended {
    rate: f64,
    bytes_each: f64,
}

/// Appends the rows to empty tables: each client has its streams, and so many rows of them in a transaction.
async fn append(cluster: &Cluster, rows: &[Row], clients: usize, batch: usize) -> anyhow::Result<Appended> {
    let admin = connect(cluster).await?;
    admin.batch_execute(TABLES).await.context("cannot make the tables")?;
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut shares: Vec<Vec<(&Row, i32)>> = vec![Vec::new(); clients];
    let mut versions: HashMap<&str, i32> = HashMap::new();
    for row in rows {
        let version = versions.entry(&row.stream).or_default();
        *version += 1;
        let share = hasher.hash_one(&row.stream) as usize % clients;
        shares.get_mut(share).context("a share for each client")?.push((row, *version));
    }
    let mut connections = Vec::new();
    for _ in 0..clients {
        let client = connect(cluster).await?;
        let append = client.prepare(APPEND).await.context("cannot prepare the append")?;
        connections.push((client, append));
    }
    let started = Instant::now();
    let work = connections.iter().zip(&shares).map(|((client, append), share)| send(client, append, share, batch));
    for done in futures_util::future::join_all(work).await {
        done?;
    }
    let rate = rows.len() as f64 / started.elapsed().as_secs_f64();
    let size = "SELECT pg_total_relation_size('events') + pg_total_relation_size('leads'), count(*) FROM events";
    let size = admin.query_one(size, &[]).await.context("cannot ask for the size")?;
    let (bytes, count): (i64, i64) = (size.get(0), size.get(1));
    Ok(Appended { rate, bytes_each: bytes as f64 / count as f64 })
}

async fn connect(cluster: &Cluster) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&cluster.settings(), NoTls).await.context("cannot connect")?;
    // That it broke shows in what is asked over it.
    tokio::spawn(async move { connection.await.is_ok() });
    Ok(client)
}

async fn send(client: &Client, append: &Statement, share: &[(&Row, i32)], batch: usize) -> anyhow::Result<()> {
    for rows in share.chunks(batch) {
        let column = |of: fn(&Row) -> &str| rows.iter().map(|(row, _)| of(row)).collect::<Vec<&str>>();
        let versions: Vec<i32> = rows.iter().map(|(_, version)| *version).collect();
        let (streams, messages) = (column(|row| &row.stream), column(|row| &row.message));
        let payloads = column(|row| &row.payload);
        client.execute(append, &[&streams, &versions, &messages, &payloads]).await.context("cannot append")?;
    }
    Ok(())
}
