//! PostgreSQL with our exports in it, and sensible indexes; asked through psql, by whose clock it is measured.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::cluster::Cluster;

/// About how long one question is asked.
const ASK_FOR: Duration = Duration::from_secs(8);
/// Exports and the tables that they go into.
const TABLES: [(&str, &str); 4] =
    [("leads", "leads"), ("interactions", "interactions"), ("events", "lead_events"), ("score", "score_rows")];
const WHOLE: [&str; 19] = [
    "position",
    "index",
    "interactions",
    "score",
    "score_fit",
    "score_engagement",
    "sale_value",
    "rgus",
    "conversions",
    "last_product_price",
    "version",
    "product_price",
    "conversion_value",
    "amount",
    "stayed_ms",
    "step",
    "policy_version",
    "points",
    "points_now",
];
const FLAGS: [&str; 3] = ["is_orphan", "consent", "keeps_apart"];
const INDEXES: &str = "create extension if not exists pg_trgm;
create unique index on leads (id);
create index on leads (last_interaction_at desc, id desc);
create index on leads (opened_at, id);
create index on leads (closed_at desc nulls last, id desc);
create index on leads (score desc, id desc);
create index on leads (sale_value desc nulls last, id desc);
create index on leads (status, last_interaction_at desc);
create index on leads (close_cause, last_interaction_at desc);
create index on leads (lead_type, last_interaction_at desc);
create index on leads (skill, last_interaction_at desc);
create index on leads (channel, last_interaction_at desc);
create index on leads (campaign, last_interaction_at desc);
create index on leads (temperature, last_interaction_at desc);
create index on leads (grade, last_interaction_at desc);
create index on leads (stage, last_interaction_at desc);
create index on leads (customer_id);
create index on leads (email);
create index on leads (phone);
create index on leads using gin
  ((coalesce(name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(phone, '')) gin_trgm_ops);
create index on interactions (at);
create index on interactions (lead_id);
create index on interactions (action, at);
create index on lead_events (event, at);
create index on lead_events (lead_id);
create index on score_rows (lead_id);
create index on score_rows (rule);
vacuum analyze;";

/// A server of its own.
pub(super) struct Peer {
    cluster: Cluster,
}

impl Peer {
    /// Starts one and loads the exports of a folder.
    pub(super) fn start(exports: &Path) -> anyhow::Result<Self> {
        let peer = Self { cluster: Cluster::start()? };
        let started = Instant::now();
        for (export, table) in TABLES {
            let file = exports.join(format!("{export}.csv"));
            let mut header = String::new();
            BufReader::new(File::open(&file)?).read_line(&mut header)?;
            let mut columns = String::new();
            for name in header.trim().split(',') {
                let kind = if WHOLE.contains(&name) {
                    "bigint"
                } else if FLAGS.contains(&name) {
                    "boolean"
                } else if name == "at" || name.ends_with("_at") || name == "deadline" {
                    "timestamptz"
                } else {
                    "text"
                };
                let comma = if columns.is_empty() { "" } else { ", " };
                write!(columns, "{comma}\"{name}\" {kind}")?;
            }
            let copied = format!("\\copy {table} from '{}' with (format csv, header)\n", file.display());
            peer.run(&format!("create table {table} ({columns});\n{copied}"))?;
        }
        let loaded = started.elapsed().as_secs_f64();
        peer.run(INDEXES)?;
        let size = peer.run("select 'size', pg_database_size(current_database()) / 1048576;")?;
        let size = size.lines().find_map(|line| line.strip_prefix("size|")).unwrap_or("?").to_owned();
        let all = started.elapsed().as_secs_f64();
        println!("PostgreSQL: loaded in {loaded:.1} s, with indexes {all:.1} s, {size} MiB");
        Ok(peer)
    }

    /// Milliseconds of each time that a query was asked, sorted; none where there is no query. A slow one is asked less often.
    pub(super) fn ask(&self, sql: &str, readings: usize) -> anyhow::Result<Vec<f64>> {
        if sql.is_empty() {
            return Ok(Vec::new());
        }
        // The first one finds nothing at hand, and tells how long the others will take.
        let begun = Instant::now();
        self.run(&format!("\\o /dev/null\n{sql};\n"))?;
        let readings = readings.min((ASK_FOR.as_secs_f64() / begun.elapsed().as_secs_f64()) as usize).max(3);
        let mut script = String::from("\\o /dev/null\n\\timing on\n");
        for _ in 0..readings {
            writeln!(script, "{sql};")?;
        }
        let said = self.run(&script)?;
        let times = said.lines().filter_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok());
        let mut times: Vec<f64> = times.collect();
        ensure!(times.len() == readings, "psql tells {} times of {readings}", times.len());
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    fn run(&self, script: &str) -> anyhow::Result<String> {
        let mut child = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.cluster.settings()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start psql; install postgresql-client-15")?;
        child.stdin.take().context("psql takes nothing")?.write_all(script.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "psql failed");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
