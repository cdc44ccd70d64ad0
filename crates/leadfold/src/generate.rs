//! `leadfold generate`: realistic made-up traffic as `CloudEvents` NDJSON, in order of arrival.
//!
//! The same arguments give the same bytes in every release; a test guards that. Nobody in the output exists: addresses
//! end in example.com, example.org or example.net. This module knows no log and no policy, only what channels send.

mod arrival;
mod calendar;
mod catalogue;
mod dice;
mod event;
mod person;
mod visit;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use arrival::Arrivals;
use event::Script;

/// Each visitor costs eight bytes of memory for the whole run.
const VISITORS_MAX: u64 = 20_000_000;
/// About four terabytes of output.
const INTERACTIONS_MAX: u64 = 10_000_000_000;
/// Ten years, the longest a lead may stay open.
const DAYS_MAX: u64 = 3_660;
/// An event may come back once, so at most half of the lines are repetitions.
const DUPLICATES_PERCENT_MAX: u64 = 50;
/// Lines are handed to the output once this many bytes stand ready.
const CHUNK_BYTES: usize = 64 << 10;

/// What to make up.
#[derive(Args, Clone, Debug)]
pub(crate) struct GenerateArgs {
    /// How many people there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=VISITORS_MAX))]
    pub(crate) visitors: u64,
    /// How many lines to write, duplicates included
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=INTERACTIONS_MAX))]
    pub(crate) interactions: u64,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S")]
    pub(crate) seed: u64,
    /// Whose interactions they are
    #[arg(long, value_name = "NAME", default_value = "acme", value_parser = parse_tenant)]
    pub(crate) tenant: String,
    /// When the first visit may begin (RFC 3339)
    #[arg(long, value_name = "TIME", default_value = "2026-01-05T00:00:00Z", value_parser = parse_start)]
    pub(crate) start: Start,
    /// Over how many days visits begin
    #[arg(long, value_name = "D", default_value_t = 28, value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX))]
    pub(crate) days: u64,
    /// How many percent of the lines repeat an earlier one
    #[arg(long, value_name = "PERCENT", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(0..=DUPLICATES_PERCENT_MAX))]
    pub(crate) duplicates: u64,
    /// The file to write; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A point in time as a flag: milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start(i64);

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// All lines.
    pub(crate) interactions: u64,
    /// Lines whose `source` and `id` had not been there before.
    pub(crate) distinct: u64,
    /// Lines that repeat an earlier one to the letter.
    pub(crate) duplicates: u64,
    /// Lines that have the `source` and `id` of an earlier one, but other content.
    pub(crate) conflicting: u64,
    /// Distinct lines that arrived minutes to hours after their time.
    pub(crate) late: u64,
    /// People who appear.
    pub(crate) visitors: u64,
    /// The size of the output.
    pub(crate) bytes: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interactions, distinct, duplicates, conflicting, late, visitors, bytes } = self;
        write!(
            f,
            "{interactions} interactions of {visitors} visitors, {bytes} bytes: {distinct} distinct ({late} of them late), \
             {duplicates} duplicates, {conflicting} conflicting duplicates"
        )
    }
}

/// Writes the traffic to the file that `args` names, or to `out`. The caller shows the summary.
///
/// # Errors
/// When the output can't be written.
pub(crate) fn run(args: &GenerateArgs, out: &mut dyn Write) -> anyhow::Result<Summary> {
    let Some(path) = &args.output else {
        return write_traffic(args, out).context("cannot write the interactions");
    };
    let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    write_traffic(args, &mut file).with_context(|| format!("cannot write {}", path.display()))
}

fn write_traffic(args: &GenerateArgs, out: &mut dyn Write) -> io::Result<Summary> {
    let script = Script::new(&args.tenant, run_number(args));
    let mut arrivals = Arrivals::new(args, script.run());
    let mut summary = Summary::default();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4_096);
    while let Some(arrival) = arrivals.next_arrival() {
        script.write(&arrival.touch, &mut chunk);
        if chunk.len() >= CHUNK_BYTES {
            summary.bytes += chunk.len() as u64;
            out.write_all(&chunk)?;
            chunk.clear();
        }
        arrival.count_in(&mut summary);
    }
    summary.bytes += chunk.len() as u64;
    out.write_all(&chunk)?;
    out.flush()?;
    summary.visitors = arrivals.visitors_seen();
    Ok(summary)
}

/// A number for this set of arguments. It goes into every id, so that two files made with different arguments can be
/// imported into one log without their ids meeting.
fn run_number(args: &GenerateArgs) -> u64 {
    let GenerateArgs { visitors, interactions, seed, tenant, start, days, duplicates, output: _ } = args;
    let text = format!("{visitors} {interactions} {seed} {tenant} {} {days} {duplicates}", start.0);
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn parse_tenant(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err("must be 1 to 64 of a-z, 0-9, - and _".into());
    }
    Ok(text.into())
}

/// Only years of four digits, so that every time in the output has the same width.
fn parse_start(text: &str) -> Result<Start, String> {
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| "must be a time with an offset, such as 2026-01-05T00:00:00Z")?;
    let millis = time.timestamp_millis();
    if !(0..calendar::YEAR_9000_MILLIS).contains(&millis) {
        return Err("must lie between the years 1970 and 9000".into());
    }
    Ok(Start(millis))
}

#[cfg(test)]
mod tests;
