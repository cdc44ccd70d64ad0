//! What auditors ask for: replay, what if.

use std::path::PathBuf;

use clap::Args;
use lead_domain::Time;

use crate::settings::parse_time;

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
