//! The published form of a lead event: JSON with RFC 3339 times, shown ids and no hashes.
//!
//! Identifiers, customers and orders stand in the log as keyed hashes, which say nothing to anybody outside: of an
//! identifier only the kind is shown.

mod convert;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use lead_domain::Time;
use lead_domain::event::{AttachReason, Event, ReopenReason};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Money {
    /// Minor units: 12900 is 129.00 EUR.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A fact about a lead or a visitor. Ids are shown as `V42`, `V42-1` and `I1042`; times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants and fields are those of lead_domain::Event; the schema describes them")]
pub enum LeadEvent {
    /// Nobody was known by the identifiers; a visitor was created.
    VisitorCreated { visitor_id: String },
    /// A visitor is known by one more identifier.
    IdentifierLearned { visitor_id: String, identifier: &'static str },
    /// A device followed the person last identified on it.
    IdentifierMoved { identifier: &'static str, from_visitor_id: String, to_visitor_id: String },
    /// Two visitors proved to be one person; the absorbed id redirects to the survivor.
    VisitorsMerged { visitor_id: String, absorbed_visitor_id: String },
    /// A merge was undone.
    VisitorsUnmerged { visitor_id: String, restored_visitor_id: String, kept_apart: bool },
    /// An identifier points at two visitors who can't be one person.
    DuplicateSuspected { visitor_id: String, other_visitor_id: String, identifier: &'static str },
    /// An operator said that two visitors are different people.
    DuplicateSettled { visitor_id: String, other_visitor_id: String },
    /// A person was erased, known as one of `member_ids` before they were merged: whoever holds more of them than ids has
    /// to forget it too.
    VisitorErased { visitor_id: String, member_ids: Vec<String> },
    /// An opportunity began.
    LeadOpened {
        lead_id: String,
        visitor_id: String,
        lead_type: String,
        at: String,
        customer_known: bool,
        deadline: String,
    },
    /// A lead learnt whose it is.
    CustomerLearned { lead_id: String },
    /// A lead took an interaction. `candidates` are the leads that could have taken it.
    InteractionAttached {
        lead_id: String,
        interaction_id: String,
        occurred_at: String,
        because: &'static str,
        candidates: Vec<String>,
        deadline: String,
    },
    /// No lead could take an interaction.
    InteractionOrphaned { interaction_id: String, reason: &'static str },
    /// An operator moved an interaction to another lead.
    InteractionMoved {
        interaction_id: String,
        occurred_at: String,
        from_lead_id: String,
        to_lead_id: String,
        from_deadline: String,
        to_deadline: String,
    },
    /// A sale counted for a lead.
    ConversionRecorded {
        lead_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        interaction_id: Option<String>,
        at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
        rgus: u32,
    },
    /// A sale did not count, because its order had counted already.
    ConversionRepeated { lead_id: String, counted_for_lead_id: String },
    /// A sale was taken back.
    ConversionWithdrawn {
        lead_id: String,
        at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
        rgus: u32,
    },
    /// A lead ended.
    LeadClosed {
        lead_id: String,
        cause: &'static str,
        at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A closed lead goes on.
    LeadReopened { lead_id: String, at: String, because: &'static str, deadline: String },
    /// A lead changed its class.
    LeadTypeChanged { lead_id: String, from_lead_type: String, to_lead_type: String, deadline: String },
    /// A lead was given to an operator, or to nobody.
    LeadAssigned {
        lead_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
    },
    /// An operator wrote a note.
    NoteAdded { lead_id: String },
    /// An operator set attributes.
    AttributesSet { lead_id: String, names: Vec<String> },
    /// Rules that ask how often something happens counted an interaction.
    InteractionCounted { lead_id: String, interaction_id: String, at: String, rules: Vec<String> },
    /// Other rules were adopted, and these count so many of the lead's interactions anew, in place of what was counted.
    InteractionsRecounted { lead_id: String, rules: Vec<String>, interactions: usize },
    /// The points of an interaction were taken away, by an `operator` or a `bot_rule` of the policy; it stays in its lead.
    InteractionDiscredited {
        lead_id: String,
        interaction_id: String,
        at: String,
        because: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        bot_rule: Option<String>,
    },
    /// A lead's score ledger changed: `rows` were entered, and `score` is what it stands at now.
    ScoreChanged { lead_id: String, at: String, because: &'static str, rows: Vec<ScoreRow>, score: Score },
    /// A lead's score crossed a threshold. Temperatures are `cold`, `warm` and `hot`.
    TemperatureChanged { lead_id: String, at: String, from: &'static str, to: &'static str, score: i32 },
    /// A lead entered a stage of the funnel, and was in the one before for so many milliseconds.
    StageEntered {
        lead_id: String,
        at: String,
        stage: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        from_stage: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stayed_ms: Option<i64>,
    },
    /// A visitor said whether they want to hear from us. Without `medium` it is about all media.
    ConsentChanged {
        visitor_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        medium: Option<String>,
        given: bool,
        at: String,
    },
    /// A nurture programme began, by an interaction where one is named.
    NurtureStarted {
        lead_id: String,
        programme: String,
        at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        interaction_id: Option<String>,
        next: NextStep,
    },
    /// A message should be sent now, by whoever reads this: by `medium` where one is named, and not after `expires_at`.
    /// Steps are numbered from 1; of several that were due at once only the last one comes, and `passed_over` counts the
    /// others. `person` is there where events leave for a destination, and tells what a personal message needs.
    NurtureStepDue {
        lead_id: String,
        programme: String,
        step: u16,
        template: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        medium: Option<String>,
        at: String,
        due_at: String,
        expires_at: String,
        passed_over: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<NextStep>,
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<Box<Person>>,
    },
    /// A step was due, but nothing should be sent.
    NurtureStepSuppressed {
        lead_id: String,
        programme: String,
        step: u16,
        template: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        medium: Option<String>,
        at: String,
        due_at: String,
        because: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<NextStep>,
    },
    /// A nurture programme ended.
    NurtureStopped { lead_id: String, programme: String, at: String, because: &'static str },
    /// The head of the log was signed: `note` is a checkpoint as C2SP describes it, over `size` records of all tenants.
    HeadSigned { size: u64, note: String },
}

/// When the next step of a nurture programme is due: at a time, or once the visitor has been quiet for so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// At this time.
    DueAt(String),
    /// After so many milliseconds without an interaction.
    AfterQuietMs(i64),
}

/// What a personal message to a visitor needs: the latest that is known. Empty for one who was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    /// The tenant's own number for the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// The contact's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The phone number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The product that the visitor looked at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_product: Option<LastProduct>,
    /// The lead's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_type: Option<String>,
    /// The lead's stage of the funnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// How warm the lead is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<&'static str>,
    /// The lead's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,
}

/// A product as it was shown to a visitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastProduct {
    /// The shop's number for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
}

/// A score: `total` is the sum of the ledger's rows, and `fit` and `engagement` are its two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Score {
    /// All points.
    pub total: i32,
    /// Who they are.
    pub fit: i32,
    /// What they do.
    pub engagement: i32,
    /// Points that also count for a product category.
    pub by_category: BTreeMap<String, i32>,
}

/// Points that an interaction brought by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScoreRow {
    /// The interaction.
    pub interaction_id: String,
    /// The rule.
    pub rule: String,
    /// The policy version that the rule is of.
    pub policy_version: u32,
    /// The rule's group.
    pub group: String,
    /// The product category in whose score the points count too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// When the interaction happened.
    pub at: String,
    /// Points at first, before caps.
    pub points: i32,
    /// When nothing is left of them; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<String>,
}

/// RFC 3339 in UTC: to the second, with milliseconds where there are some.
///
/// A time outside of the calendar's range is shown as the nearest one that it has.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    let nearest =
        if time.as_millis() < 0 { DateTime::<chrono::Utc>::MIN_UTC } else { DateTime::<chrono::Utc>::MAX_UTC };
    DateTime::from_timestamp_millis(time.as_millis()).unwrap_or(nearest).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The word of an event in APIs, subjects and listings.
#[must_use]
pub const fn name(event: &Event) -> &'static str {
    match event {
        Event::VisitorCreated { .. } => "visitor_created",
        Event::IdentifierLearned { .. } => "identifier_learned",
        Event::IdentifierMoved { .. } => "identifier_moved",
        Event::VisitorsMerged { .. } => "visitors_merged",
        Event::VisitorsUnmerged { .. } => "visitors_unmerged",
        Event::DuplicateSuspected { .. } => "duplicate_suspected",
        Event::DuplicateSettled { .. } => "duplicate_settled",
        Event::VisitorErased { .. } => "visitor_erased",
        Event::LeadOpened { .. } => "lead_opened",
        Event::CustomerLearned { .. } => "customer_learned",
        Event::InteractionAttached { .. } => "interaction_attached",
        Event::InteractionOrphaned { .. } => "interaction_orphaned",
        Event::InteractionMoved { .. } => "interaction_moved",
        Event::ConversionRecorded { .. } => "conversion_recorded",
        Event::ConversionRepeated { .. } => "conversion_repeated",
        Event::ConversionWithdrawn { .. } => "conversion_withdrawn",
        Event::LeadClosed { .. } => "lead_closed",
        Event::LeadReopened { .. } => "lead_reopened",
        Event::LeadTypeChanged { .. } => "lead_type_changed",
        Event::LeadAssigned { .. } => "lead_assigned",
        Event::NoteAdded { .. } => "note_added",
        Event::AttributesSet { .. } => "attributes_set",
        Event::InteractionCounted { .. } => "interaction_counted",
        Event::InteractionsRecounted { .. } => "interactions_recounted",
        Event::InteractionDiscredited { .. } => "interaction_discredited",
        Event::ScoreChanged { .. } => "score_changed",
        Event::TemperatureChanged { .. } => "temperature_changed",
        Event::StageEntered { .. } => "stage_entered",
        Event::ConsentChanged { .. } => "consent_changed",
        Event::NurtureStarted { .. } => "nurture_started",
        Event::NurtureStepDue { .. } => "nurture_step_due",
        Event::NurtureStepSuppressed { .. } => "nurture_step_suppressed",
        Event::NurtureStopped { .. } => "nurture_stopped",
    }
}

/// The word for why a lead took an interaction.
#[must_use]
pub const fn attach_reason(reason: AttachReason) -> &'static str {
    match reason {
        AttachReason::Opened => "opened",
        AttachReason::OnlyCandidate => "only_candidate",
        AttachReason::MostRecent => "most_recent",
        AttachReason::HighestScore => "highest_score",
        AttachReason::LateReopened => "late_reopened",
        AttachReason::LateHistory => "late_history",
        AttachReason::Adopted => "adopted",
    }
}

/// The word for why a closed lead goes on.
#[must_use]
pub const fn reopen_reason(reason: ReopenReason) -> &'static str {
    match reason {
        ReopenReason::Operator => "operator",
        ReopenReason::ConversionWithdrawn => "conversion_withdrawn",
        ReopenReason::LateInteraction => "late_interaction",
    }
}

/// The schema of a lead event, JSON Schema 2020-12.
#[must_use]
pub fn lead_event_schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<LeadEvent>();
    schema.insert("title".to_owned(), "Leadfold lead event".into());
    schema
}
