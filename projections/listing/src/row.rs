//! What reads answer: rows as people and programs see them. They serialise to the JSON of the API, and are read from it
//! again by whoever asks a service.

use std::collections::BTreeMap;

use event_log::LogPosition;
use lead_domain::{InteractionId, LeadId, Money, Time, VisitorId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json;

/// An amount of money, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Money)]
pub struct MoneyShape {
    /// Minor units: 12900 is 129.00 EUR.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A lead, everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeadRow {
    /// Such as `V42-1`.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub id: LeadId,
    /// Who owns it now, after merges.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub visitor_id: VisitorId,
    /// The tenant's own number for the customer, as sent; the one that the lead knows, not the visitor.
    pub customer_id: Option<String>,
    /// The lead type's name.
    pub lead_type: String,
    /// Open or closed.
    pub status: LeadStatus,
    /// How it ended: `conversion`, `operator`, `inactivity`, `merged`, `erased`.
    pub close_cause: Option<String>,
    /// The operator's reason.
    pub close_reason: Option<String>,
    /// When it was opened.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Time,
    /// When it ended.
    #[serde(serialize_with = "json::optional_time", deserialize_with = "json::read_optional_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Time>,
    /// When it closes unless something happens; for a closed lead, when it would have.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub deadline: Time,
    /// The earliest interaction; the opening where there is none.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub first_interaction_at: Time,
    /// The latest interaction; the opening where there is none.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_interaction_at: Time,
    /// How many interactions it has.
    pub interactions: u32,
    /// Of the interaction that it was opened for.
    pub skill: Option<String>,
    /// Of the interaction that it was opened for; `None` for a lead opened by hand that nothing came to yet.
    pub channel: Option<String>,
    /// What brought the visitor to the interaction that it was opened for.
    pub campaign: Option<CampaignRow>,
    /// Where it stands in the funnel.
    pub stage: Option<String>,
    /// Cold, warm or hot.
    pub temperature: Option<String>,
    /// What fit and engagement say together, `A1` to `C3`; `None` where the policy has no grid.
    pub grade: Option<String>,
    /// The sum of its score ledger.
    pub score: ScoreRow,
    /// The sum of the sales that count, in the currency of the first of them.
    #[serde(serialize_with = "json::optional_money", deserialize_with = "json::read_optional_money")]
    #[schema(value_type = Option<MoneyShape>)]
    pub sale_value: Option<Money>,
    /// Units sold.
    pub rgus: i64,
    /// How many sales count.
    pub conversions: u32,
    /// The operator's account name.
    pub owner: Option<String>,
    /// How to reach the visitor who owns it.
    pub contact: ContactRow,
    /// Of its latest interaction that tells.
    pub device: Option<DeviceRow>,
    /// Of its latest interaction that is about a product.
    pub last_product: Option<ProductRow>,
    /// The latest value of each.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// Operators' notes, in order of recording.
    pub notes: Vec<NoteRow>,
    /// How many events have named it, for optimistic concurrency.
    pub version: u32,
    /// The record that changed it last.
    #[serde(skip)]
    pub changed_at: LogPosition,
}

/// Whether a lead takes interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeadStatus {
    /// It does.
    Open,
    /// It ended.
    Closed,
}

/// How to reach a person: for each field what was given last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContactRow {
    /// Name.
    pub name: Option<String>,
    /// E-mail address, in lower case.
    pub email: Option<String>,
    /// Phone number, E.164.
    pub phone: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CampaignRow {
    /// `utm_campaign`.
    pub name: Option<String>,
    /// `utm_source`.
    pub source: Option<String>,
    /// `utm_medium`.
    pub medium: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceRow {
    /// Browser name.
    pub browser: Option<String>,
    /// `desktop`, `mobile`, `tablet` …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Operating system.
    pub os: Option<String>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductRow {
    /// The shop's number for it.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// Its price.
    #[serde(serialize_with = "json::optional_money", deserialize_with = "json::read_optional_money")]
    #[schema(value_type = Option<MoneyShape>)]
    pub price: Option<Money>,
}

/// A score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreRow {
    /// The sum, after the cap.
    pub total: i64,
    /// Who they are.
    pub fit: i64,
    /// What they do.
    pub engagement: i64,
    /// What they do about products of a category.
    pub by_category: BTreeMap<String, i64>,
}

/// An operator's note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoteRow {
    /// When it counts as written.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The text.
    pub text: String,
}

/// An interaction that no lead could take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrphanRow {
    /// Such as `I1042`.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub id: InteractionId,
    /// Whose it is now, after merges.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub visitor_id: VisitorId,
    /// When it happened.
    #[serde(serialize_with = "json::time", deserialize_with = "json::read_shown_time")]
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Time,
    /// Why no lead took it: `unknown_entry_point`, `no_default_lead_type`, `inactive_lead_type`, `too_many_leads`.
    pub reason: String,
    /// The channel it came through.
    pub channel: String,
    /// The skill it was addressed to.
    pub skill: Option<String>,
    /// A dotted word such as `product.viewed`.
    pub action: String,
    /// What brought the visitor.
    pub campaign: Option<CampaignRow>,
    /// What the visitor used.
    pub device: Option<DeviceRow>,
    /// What it was about.
    pub product: Option<ProductRow>,
    /// How to reach the visitor.
    pub contact: ContactRow,
}

/// A visitor, with everything that stands in the model about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VisitorRow {
    /// Such as `V42`.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub id: VisitorId,
    /// Who holds this visitor's leads now; `None` for one who stands alone or survived.
    #[serde(serialize_with = "json::optional_shown", deserialize_with = "json::read_optional_shown")]
    #[schema(value_type = Option<String>)]
    pub merged_into: Option<VisitorId>,
    /// Everyone who was merged into this visitor, directly or not, by id.
    #[serde(serialize_with = "json::all_shown", deserialize_with = "json::read_all_shown")]
    #[schema(value_type = Vec<String>)]
    pub members: Vec<VisitorId>,
    /// What this visitor and the members are known by.
    pub identifiers: Vec<IdentifierRow>,
    /// The tenant's own number for the customer.
    pub customer_id: Option<String>,
    /// How to reach them.
    pub contact: ContactRow,
    /// The leads that were opened for this visitor and the members, by id; the first 500.
    pub leads: Vec<LeadRow>,
    /// Who may be the same person.
    pub suspected_duplicates: Vec<DuplicateRow>,
}

/// Something that a visitor is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IdentifierRow {
    /// `customer_id`, `email`, `phone` or `visitor_id`.
    pub kind: String,
    /// Normalised.
    pub value: String,
    /// As the channel sent it.
    pub as_sent: String,
    /// The member that it was learnt for.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub learnt_for: VisitorId,
}

/// A visitor who shares an identifier but can't be the same person, for the customer ids differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DuplicateRow {
    /// Who, after merges.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub visitor_id: VisitorId,
    /// The kind of the identifier that they share, where known.
    pub shared: Option<String>,
    /// Whether an operator said that they are different people.
    pub settled: bool,
}

/// Two visitors who share an identifier but can't be the same person, for the customer ids differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DuplicatePairRow {
    /// The older one, after merges.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub visitor_id: VisitorId,
    /// The younger one, after merges.
    #[serde(serialize_with = "json::shown", deserialize_with = "json::read_shown")]
    #[schema(value_type = String)]
    pub other_visitor_id: VisitorId,
    /// The kind of the identifier that they share, where known.
    pub kind: Option<String>,
    /// Whether an operator said that they are different people.
    pub settled: bool,
}

/// A tenant, as its latest policy names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TenantRow {
    /// Its number in the log.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The version of the policy in force.
    pub policy_version: u32,
}

/// How many leads and orphans a tenant has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// All leads ever opened.
    pub opened: u64,
    /// Those that are open.
    pub open: u64,
    /// Those that are closed, by cause.
    pub closed: BTreeMap<String, u64>,
    /// Interactions that no lead could take and nobody has adopted.
    pub orphans: u64,
}
