//! Looking after the data: what could not be taken, and read models.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct QuarantineArgs {
    /// The position of one input
    pub(crate) position: Option<u64>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Which to show
    #[arg(long, value_enum, default_value_t = QuarantineFilter::Held)]
    pub(crate) state: QuarantineFilter,
    #[command(subcommand)]
    pub(crate) act: Option<QuarantineAct>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QuarantineFilter {
    /// Those that still wait
    Held,
    /// Those that were taken after all, or discarded
    Released,
    /// All
    All,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineAct {
    /// Print its bytes as they came
    #[command(after_help = "Example:\n  leadfold quarantine 1042 show")]
    Show,
    /// Decode it again and take it; repaired, if a file is given
    #[command(after_help = "Example:\n  leadfold quarantine 1042 retry --with repaired.json")]
    Retry {
        /// A file with the repaired event
        #[arg(long = "with", value_name = "FILE")]
        repaired: Option<PathBuf>,
    },
    /// Set it aside for good; its record stays
    #[command(after_help = "Example:\n  leadfold quarantine 1042 discard")]
    Discard,
}

#[derive(Args, Debug)]
pub(crate) struct ProjectionsArgs {
    #[command(subcommand)]
    pub(crate) act: Option<ProjectionsAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsAct {
    /// Build it anew from the log
    #[command(after_help = "Example:\n  leadfold projections rebuild listing")]
    Rebuild {
        /// Its name: listing or analytics
        name: String,
    },
}
