//! How long a page of the listing takes in a large folder, at rest and while interactions come in.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{SecondsFormat, Utc};
use reqwest::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::running::{Running, new_folder};

/// Interactions a second while pages are read, 500 to a request.
const LOAD: u64 = 10_000;
const BATCH: u64 = 500;
/// Whose interactions the load is.
const LOAD_VISITORS: u64 = 300_000;
/// How often each page is read, at rest and under load.
const READINGS: usize = 200;
/// The pause between two readings: people, not a second load.
const PAUSE: Duration = Duration::from_millis(5);

/// Pages that need no value of a lead.
const PLAIN: [&str; 15] = [
    "",
    "sort=opened_at",
    "sort=-closed_at",
    "sort=-value",
    "sort=-score",
    "status=open",
    "status=closed&sort=-closed_at",
    "close_cause=inactivity",
    "value_min=10000&sort=-value",
    "score_min=0&limit=100",
    "opened_from=2026-01-10&sort=opened_at",
    "status=open&last_interaction_from=2026-01-10",
    "close_cause=conversion&sort=opened_at",
    "status=closed&sort=score&channel=web",
    "status=open&count=exact",
];
/// Filters, and where a lead has the value to look for.
const BY_VALUE: [(&str, &str); 8] = [
    ("lead_type", "/lead_type"),
    ("skill", "/skill"),
    ("channel", "/channel"),
    ("campaign", "/campaign"),
    ("customer_id", "/customer_id"),
    ("email", "/contact/email"),
    ("phone", "/contact/phone"),
    ("q", "/contact/name"),
];

/// Filters that many leads have one value of, and orders other than the usual one.
const MIXED: [(&str, &str); 5] = [
    ("lead_type", "-value"),
    ("skill", "opened_at"),
    ("channel", "-closed_at"),
    ("campaign", "score"),
    ("q", "-value"),
];

pub(crate) fn measure(args: &Args, traffic: &Path) -> anyhow::Result<()> {
    let data = new_folder(args)?;
    let mut import = Command::new(&args.leadfold);
    let imported = import.arg("--data").arg(data.path()).arg("import").arg(traffic).stdout(Stdio::null()).status();
    ensure!(imported.context("cannot import the traffic")?.success(), "cannot import the traffic");
    let service = Running::serve(args, data, &[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (leads, queries) = queries(&service).await?;
        println!("pages of 50 leads over HTTP, by one reader, of {leads} leads; {READINGS} readings each");
        let rest = read_all(&service, &queries).await?;
        let stop = CancellationToken::new();
        let load = tokio::spawn(keep_loading(service.client(), service.url("/v1/events"), stop.clone()));
        let started = Instant::now();
        let loaded = read_all(&service, &queries).await?;
        stop.cancel();
        let sent = load.await.context("the load panicked")??;
        println!("under load: {:.0} interactions/s", sent as f64 / started.elapsed().as_secs_f64());
        println!("page | at rest p50 ms | p99 ms | under load p50 ms | p99 ms | most ms");
        for ((query, rest), loaded) in queries.iter().zip(rest).zip(loaded) {
            println!(
                "{} | {:5.1} | {:5.1} | {:5.1} | {:5.1} | {:5.1}",
                query.name,
                percentile(&rest, 50),
                percentile(&rest, 99),
                percentile(&loaded, 50),
                percentile(&loaded, 99),
                percentile(&loaded, 100),
            );
        }
        Ok(())
    })
}

struct Query {
    /// For the table: without the value, which may be a person's.
    name: String,
    url: String,
}

/// How many leads there are, and the pages to read.
async fn queries(service: &Running) -> anyhow::Result<(u64, Vec<Query>)> {
    let client = service.client();
    let all = page(&client, &service.url("/v1/leads?limit=500&count=exact")).await?;
    let count = all.get("count").and_then(Value::as_u64).context("the listing has no count")?;
    let mut queries: Vec<Query> = Vec::new();
    for query in PLAIN {
        let name = if query.is_empty() { "all".to_owned() } else { query.to_owned() };
        queries.push(Query { name, url: service.url(&format!("/v1/leads?{query}")) });
    }
    let leads = all.get("items").and_then(Value::as_array).context("the listing has no leads")?;
    for (name, pointer) in BY_VALUE {
        let value = leads.iter().find_map(|lead| lead.pointer(pointer)?.as_str());
        let Some(value) = value else { continue };
        // A part of a name, as somebody types it.
        let value = if name == "q" { value.split(' ').next().unwrap_or(value) } else { value };
        let url = reqwest::Url::parse_with_params(&service.url("/v1/leads"), [(name, value)])?;
        queries.push(Query { name: format!("{name}=…"), url: url.to_string() });
        for (_, sort) in MIXED.iter().filter(|(mixed, _)| *mixed == name) {
            let url = format!("{url}&sort={sort}");
            queries.push(Query { name: format!("{name}=…&sort={sort}"), url });
        }
    }
    Ok((count, queries))
}

async fn page(client: &Client, url: &str) -> anyhow::Result<Value> {
    let answer = client.get(url).send().await?;
    ensure!(answer.status() == 200, "the service answers {}", answer.status());
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

/// Reads the pages one after the other, again and again; returns the milliseconds of each, sorted.
async fn read_all(service: &Running, queries: &[Query]) -> anyhow::Result<Vec<Vec<f64>>> {
    let client = service.client();
    let mut times = vec![Vec::new(); queries.len()];
    for _ in 0..READINGS {
        for (query, times) in queries.iter().zip(&mut times) {
            let started = Instant::now();
            let answer = client.get(&query.url).send().await?;
            ensure!(answer.status() == 200, "{} is answered with {}", query.name, answer.status());
            answer.bytes().await?;
            times.push(started.elapsed().as_secs_f64() * 1_000.0);
            tokio::time::sleep(PAUSE).await;
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    Ok(times)
}

pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

/// Sends interactions at a steady rate until it is told to stop; returns how many.
async fn keep_loading(client: Client, url: String, stop: CancellationToken) -> anyhow::Result<u64> {
    let started = Instant::now();
    let mut sent = 0;
    while !stop.is_cancelled() {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let lines: String = (sent..sent + BATCH).map(|number| event(number, &time)).collect();
        let request = client.post(&url).header("content-type", "application/x-ndjson").body(lines);
        let answer = request.send().await?;
        ensure!(answer.status() == 202, "the service answers {}", answer.status());
        answer.bytes().await?;
        sent += BATCH;
        let due = Duration::from_secs_f64(sent as f64 / LOAD as f64);
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
    Ok(sent)
}

fn event(number: u64, time: &str) -> String {
    // Knuth's multiplicative hash spreads the numbers over the visitors.
    let visitor = number.wrapping_mul(2_654_435_761) % LOAD_VISITORS;
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"load-{number}\",\"source\":\"bench\",\"type\":\"leadfold.interaction.v1\",\
         \"time\":\"{time}\",\"data\":{{\"visitor_id\":\"load-{visitor}\",\"channel\":\"web\",\"action\":\"product.viewed\"}}}}\n"
    )
}
