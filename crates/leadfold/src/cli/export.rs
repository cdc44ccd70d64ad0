//! Exports: what, how, and where to.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::LeadsWanted;

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Leads with their contacts, as the listing shows them, and with its filters
    #[command(after_help = "Example:\n  leadfold export leads --status open --format csv --out leads.csv")]
    Leads {
        #[command(flatten)]
        wanted: Box<LeadsWanted>,
        #[command(flatten)]
        to: ExportTo,
    },
    /// Interactions
    #[command(after_help = "Example:\n  leadfold export interactions --format parquet --out interactions.parquet")]
    Interactions(ExportTo),
    /// Lead events
    #[command(after_help = "Example:\n  leadfold export events --out events.ndjson")]
    Events(ExportTo),
    /// Score rows: what was given by which rule, and what is left
    #[command(after_help = "Example:\n  leadfold export score --format csv --out score.csv")]
    Score(ExportTo),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ExportTo {
    /// How rows are written
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub(crate) format: ExportFormat,
    /// The file to write to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// An object a line
    Ndjson,
    /// Comma-separated values
    Csv,
    /// A Parquet file
    Parquet,
}
