//! Which leads to list or to export.

use clap::Args;

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LeadsArgs {
    #[command(flatten)]
    pub(crate) wanted: LeadsWanted,
    /// How many leads to show; no upper bound
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u64,
    /// Also count all that match
    #[arg(long)]
    pub(crate) count: bool,
}

/// Which leads, and in what order.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LeadsWanted {
    /// open, closed
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Lead types by name
    #[arg(long)]
    pub(crate) lead_type: Option<String>,
    /// Groups of lead types
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Skills of the opening interaction
    #[arg(long)]
    pub(crate) skill: Option<String>,
    /// Channels of the opening interaction
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// cold, warm, hot
    #[arg(long)]
    pub(crate) temperature: Option<String>,
    /// A1 to C3, where the policy has a grid
    #[arg(long)]
    pub(crate) grade: Option<String>,
    /// Funnel stages
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// Operators
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// conversion, operator, inactivity, merged, erased
    #[arg(long)]
    pub(crate) close_cause: Option<String>,
    /// The tenant's own customer number
    #[arg(long)]
    pub(crate) customer_id: Option<String>,
    /// An e-mail address
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// A phone number (E.164)
    #[arg(long)]
    pub(crate) phone: Option<String>,
    /// Campaign names
    #[arg(long)]
    pub(crate) campaign: Option<String>,
    /// Least score
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) score_min: Option<String>,
    /// Greatest score
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) score_max: Option<String>,
    /// Least sale value, in minor units
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) value_min: Option<String>,
    /// Greatest sale value, in minor units
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) value_max: Option<String>,
    /// Opened at or after (RFC 3339, or a day)
    #[arg(long)]
    pub(crate) opened_from: Option<String>,
    /// Opened before
    #[arg(long)]
    pub(crate) opened_to: Option<String>,
    /// Closed at or after
    #[arg(long)]
    pub(crate) closed_from: Option<String>,
    /// Closed before
    #[arg(long)]
    pub(crate) closed_to: Option<String>,
    /// Last interaction at or after
    #[arg(long)]
    pub(crate) last_interaction_from: Option<String>,
    /// Last interaction before
    #[arg(long)]
    pub(crate) last_interaction_to: Option<String>,
    /// An attribute that must have this value; may be repeated
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
    /// Full text over the contact: name, address, number
    #[arg(long, value_name = "TEXT")]
    pub(crate) q: Option<String>,
    /// last_interaction_at, score, opened_at, closed_at, value; with - in front, greatest first
    #[arg(long, allow_hyphen_values = true, default_value = "-last_interaction_at")]
    pub(crate) sort: String,
}
