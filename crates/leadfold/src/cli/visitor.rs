//! Arguments of `leadfold visitor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
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
pub(crate) struct SuppressArgs {
    /// A customer id
    #[arg(long, value_name = "ID", required_unless_present_any = ["email", "phone", "device_id"])]
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
    /// Why; stands in the log in clear, so it must not say who it is
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) act: ActArgs,
}

/// Tells nobody's identifiers.
impl std::fmt::Debug for SuppressArgs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SuppressArgs").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// What is suppressed, or whether somebody is.
#[derive(Args)]
pub(crate) struct SuppressionsArgs {
    /// Only this customer id
    #[arg(long, value_name = "ID")]
    pub(crate) customer_id: Option<String>,
    /// Only this e-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// Only this phone number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) phone: Option<String>,
    /// Only this cookie or device id: what events call visitor_id
    #[arg(long, value_name = "ID")]
    pub(crate) device_id: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// Tells nobody's identifiers.
impl std::fmt::Debug for SuppressionsArgs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SuppressionsArgs").field("limit", &self.limit).finish_non_exhaustive()
    }
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
