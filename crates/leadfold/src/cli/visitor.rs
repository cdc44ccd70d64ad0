//! Arguments of `leadfold visitor`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use lead_domain::VisitorId;

use super::ActArgs;

#[derive(Args, Debug)]
pub(crate) struct VisitorArgs {
    /// The visitor, such as V42
    pub(crate) id: VisitorId,
    /// Its records, newest first
    #[arg(long)]
    pub(crate) timeline: bool,
    /// Its nurture programmes, and what it said about messages
    #[arg(long, conflicts_with = "timeline")]
    pub(crate) nurture: bool,
    /// How many records of the timeline to show
    #[arg(long, default_value_t = 50, requires = "timeline")]
    pub(crate) limit: usize,
    #[command(subcommand)]
    pub(crate) act: Option<VisitorAct>,
}

/// Somebody by identifiers, who need not be known.
#[derive(Args)]
pub(crate) struct WhomArgs {
    /// A customer id
    #[arg(long, value_name = "ID")]
    pub(crate) customer_id: Option<String>,
    /// An e-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// A phone number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) phone: Option<String>,
    /// A channel's cookie or device id: what events call visitor_id
    #[arg(long, value_name = "ID")]
    pub(crate) device_id: Option<String>,
}

/// Tells nobody's identifiers.
impl std::fmt::Debug for WhomArgs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WhomArgs").finish_non_exhaustive()
    }
}

/// What is not to be collected, or is again.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("named").args(["customer_id", "email", "phone", "device_id"]).required(true).multiple(true)))]
pub(crate) struct SuppressArgs {
    #[command(flatten)]
    pub(crate) whom: WhomArgs,
    /// Why; stands in the log in clear, so it must not say who it is
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) act: ActArgs,
}

/// What is suppressed, or which of these identifiers are.
#[derive(Args, Debug)]
pub(crate) struct SuppressionsArgs {
    #[command(flatten)]
    pub(crate) whom: WhomArgs,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VisitorAct {
    /// Make one visitor of two; the older one survives
    #[command(after_help = "Example:\n  leadfold visitor V42 merge V77")]
    Merge {
        /// The other visitor
        other: VisitorId,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Undo a merge exactly
    #[command(after_help = "Example:\n  leadfold visitor V77 unmerge --keep-apart")]
    Unmerge {
        /// Never merge the two again by shared identifiers
        #[arg(long)]
        keep_apart: bool,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Say that a suspected duplicate is somebody else
    #[command(after_help = "Example:\n  leadfold visitor V42 settle V77")]
    Settle {
        /// The other visitor
        other: VisitorId,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Forget who it is, for good: destroys the keys, and cleans everything that was built with them
    #[command(after_help = "Example:\n  leadfold visitor V42 erase --reason 'asked for it'")]
    Erase {
        /// Why; stands in the log in clear, so it must not say who it was
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Collect nothing any more that carries one of the visitor's identifiers; what was recorded stays
    #[command(after_help = "Example:\n  leadfold visitor V42 suppress --reason 'objects to profiling'")]
    Suppress {
        /// Why; stands in the log in clear, so it must not say who it is
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Collect again what carries one of the visitor's identifiers
    #[command(after_help = "Example:\n  leadfold visitor V42 unsuppress --reason 'consents again'")]
    Unsuppress {
        /// Why; stands in the log in clear, so it must not say who it is
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Everything that is held about this person, as JSON
    #[command(after_help = "Example:\n  leadfold visitor V42 export --out V42.json")]
    Export {
        /// The file to write; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Open a lead by hand
    #[command(after_help = "Example:\n  leadfold visitor V42 open tablets")]
    Open {
        /// Its type
        lead_type: String,
        #[command(flatten)]
        act: ActArgs,
    },
}
