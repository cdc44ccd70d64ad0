//! What auditors ask for: replay, what if; and backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lead_domain::{LeadId, Time};

use crate::cli::{AnalyticsArgs, FunnelArgs, LeadsArgs};
use crate::settings::parse_time;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Leave the listing and the analytics tables out
    #[arg(long)]
    pub(crate) skip_models: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The first record to decide again; those before are taken as they are recorded
    #[arg(long, value_name = "POSITION", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: u64,
    /// The last one [default: the last record]
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) to: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct WhatIfArgs {
    /// The other policy (TOML), for a tenant of the log
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// From when on it decides (RFC 3339), by when things happened; what happened before is decided as it was
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<Time>,
    /// Where to write every lead that differs: one JSON object a line, or CSV for a name that ends with .csv
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Where backups go; each one gets a folder of its own there
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Where the keys go, apart from the rest: with both, erased persons' data could be read again from an old copy
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// Where backups are
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The copy of the keys
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    /// The position of the backup to restore [default: the newest]
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    /// The lead
    #[arg(long, value_name = "ID")]
    pub(crate) lead: LeadId,
    /// Where the bundle goes: a folder that isn't there yet, or is empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Leave the sealed parts out, which only who has the keys can read
    #[arg(long)]
    pub(crate) redact: bool,
    /// A file with an earlier signed head: the bundle then shows that the log only grew since
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct HeadsArgs {
    /// Sign the head of the log as it is now, and record that
    #[arg(long)]
    pub(crate) sign: bool,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Args, Debug)]
pub(crate) struct AsOfArgs {
    /// What had happened by then (RFC 3339), by all that is known
    #[arg(value_name = "TIME", value_parser = parse_time)]
    pub(crate) time: Time,
    /// Only what was recorded by then: what was known. With the same time for both, what was shown then
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) known_at: Option<Time>,
    #[command(subcommand)]
    pub(crate) what: AsOfCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AsOfCommand {
    /// List leads as they were: filter, search, sort, page
    #[command(after_help = "Example:\n  leadfold as-of 2026-01-31T12:00:00Z leads --status open")]
    Leads(Box<LeadsArgs>),
    /// Show a lead as it was
    #[command(after_help = "Example:\n  leadfold as-of 2026-01-31T12:00:00Z lead V42-1")]
    Lead(PastLeadArgs),
    /// Show a lead's score ledger as it was
    #[command(after_help = "Example:\n  leadfold as-of 2026-01-31T12:00:00Z score V42-1")]
    Score(PastScoreArgs),
    /// Measure what there was: counts, sums, percentiles, shares, by anything, compared
    #[command(after_help = "Example:\n  leadfold as-of 2026-01-31T12:00:00Z analytics \
        '{\"source\": \"leads\", \"measures\": [\"count\"], \"dimensions\": [\"lead_type\"]}'")]
    Analytics(AnalyticsArgs),
    /// Show how far leads had got
    #[command(after_help = "Example:\n  leadfold as-of 2026-01-31T12:00:00Z funnel --by channel")]
    Funnel(FunnelArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PastLeadArgs {
    /// The lead, such as V42-1
    pub(crate) id: LeadId,
}

#[derive(Args, Debug)]
pub(crate) struct PastScoreArgs {
    /// The lead, such as V42-1
    pub(crate) id: LeadId,
    /// Also what this rule of the policy by then did about each interaction
    #[arg(long, value_name = "RULE")]
    pub(crate) why: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The record: its place in the log. The number of an interaction is that of its record
    #[arg(value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) position: u64,
    /// Why this lead did not take the interaction
    #[arg(long, value_name = "LEAD")]
    pub(crate) why_not: Option<LeadId>,
}
