//! Interactions without a lead, and visitors who may be one.

use clap::{ArgGroup, Args, Subcommand};
use lead_domain::{InteractionId, LeadId};

use super::ActArgs;

#[derive(Args, Clone, Debug)]
pub(crate) struct OrphansArgs {
    /// Channels
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// Skills
    #[arg(long)]
    pub(crate) skill: Option<String>,
    /// unknown_entry_point, no_default_lead_type, inactive_lead_type, too_many_leads
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Happened at or after (RFC 3339, or a day)
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Happened before
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// How many to show; no upper bound
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DuplicatesArgs {
    /// Those that an operator said are different people, instead of those that nobody has looked at
    #[arg(long)]
    pub(crate) settled: bool,
    /// How many to show; no upper bound
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u64,
}

#[derive(Args, Debug)]
pub(crate) struct OrphanArgs {
    /// The interaction, such as I1042
    pub(crate) id: InteractionId,
    #[command(subcommand)]
    pub(crate) act: OrphanAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrphanAct {
    /// Put it into a lead of its visitor, or into a new one
    #[command(group(ArgGroup::new("into").required(true)))]
    #[command(after_help = "Example:\n  leadfold orphan I1042 adopt --lead V42-1")]
    Adopt {
        /// An open lead of the same visitor
        #[arg(long, group = "into")]
        lead: Option<LeadId>,
        /// The type of a new lead
        #[arg(long, group = "into")]
        lead_type: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
}
