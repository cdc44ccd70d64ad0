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
pub(crate) struct ProjectArgs {
    /// Its name: listing or analytics
    pub(crate) name: String,
    /// The folder for the model; not a data folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: PathBuf,
    /// Stop at the end of the log instead of following it
    #[arg(long)]
    pub(crate) once: bool,
    /// Build it anew, beside the one that is there
    #[arg(long)]
    pub(crate) rebuild: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ProjectionsArgs {
    #[command(subcommand)]
    pub(crate) act: Option<ProjectionsAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsAct {
    /// Build it anew from the log, beside the one in use, which is read meanwhile; what was left out is tried again
    #[command(
        visible_aliases = ["reset", "retry"],
        after_help = "Example:\n  leadfold projections rebuild listing   # also beside a running service"
    )]
    Rebuild {
        /// Its name: listing or analytics
        name: String,
    },
    /// Let it follow no further, but for erasures, until it is resumed
    #[command(after_help = "Example:\n  leadfold projections pause analytics")]
    Pause {
        /// Its name: listing or analytics
        name: String,
    },
    /// Let it go on
    #[command(after_help = "Example:\n  leadfold projections resume analytics")]
    Resume {
        /// Its name: listing or analytics
        name: String,
    },
    /// Show the visitors who are left out of it, because a record of theirs doesn't fit
    #[command(after_help = "Example:\n  leadfold projections parked listing")]
    Parked {
        /// Its name: listing or analytics
        name: String,
    },
    /// Do without a visitor who is left out of it
    #[command(after_help = "Example:\n  leadfold projections discard listing V42 --reason 'a test of ours'")]
    Discard {
        /// Its name: listing or analytics
        name: String,
        /// Whom, such as V42
        visitor: String,
        /// Why, for whoever asks later; must not say who it is
        #[arg(long)]
        reason: String,
    },
}
