//! The document of a command: JSON, as the bodies of requests and the messages of `leadfold.cmd.<tenant>` carry it.
//!
//! ```json
//! { "id": "key-1", "operator": "olga", "if_version": 7, "command": "close_lead", "lead_id": "V42-1", "reason": "duplicate" }
//! ```
//!
//! Names every fault of a document at once. Knows no tenant, no policy and no log: whether a lead exists or a reason is
//! one of the tenant's is for the engine to say. Never repeats a value that was sent.

mod ask;
mod fields;
mod schema;

use std::collections::BTreeMap;

use lead_domain::{InteractionId, LeadId, Money, Time, VisitorId};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::cloud_event::{Fault, Scalar, Str, code};
use crate::lead_event::{self, rfc3339};
use crate::stored::Value;
use fields::Fields;

pub use ask::COMMANDS;
pub use schema::command_schema;

/// Bytes of a document: a policy of a mebibyte whose every other character needs an escape still fits.
pub const DOCUMENT_BYTES_MAX: usize = 2 << 20;
/// Characters of `id`.
pub const ID_CHARACTERS_MAX: usize = 128;
/// Characters of names, reasons, order ids, attributes and their names.
pub const NAME_CHARACTERS_MAX: usize = 256;
/// Characters of a note.
pub const NOTE_CHARACTERS_MAX: usize = 4_096;
/// Attributes of one command.
pub const ATTRIBUTES_MAX: usize = 64;
/// Characters of a policy.
pub const POLICY_CHARACTERS_MAX: usize = 1 << 20;
/// Faults that are named of one document; no reader needs more.
pub const FAULTS_MAX: usize = 100;

/// A command, with who asks and how often it may count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Leadfold command")]
pub struct CommandDocument {
    /// The idempotency key: a second command with the same one is answered as the first was.
    #[schemars(length(min = 1, max = ID_CHARACTERS_MAX))]
    pub id: String,
    /// Who asks: an account name.
    #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
    pub operator: String,
    /// When it counts as given, RFC 3339; when it was received where absent.
    #[serde(serialize_with = "as_rfc3339", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at: Option<Time>,
    /// The version that the lead must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u32>,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What an operator may ask. Leads, visitors and interactions are named as they are shown: `V42-1`, `V42`, `I1042`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Ask {
    /// Open a lead by hand.
    OpenLead {
        /// For whom.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        visitor_id: VisitorId,
        /// Of which type; must be active.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        lead_type: String,
    },
    /// Close an open lead.
    CloseLead {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// Why: one of the policy's `close_reasons`.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        reason: String,
        /// What there is to say about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NOTE_CHARACTERS_MAX))]
        note: Option<String>,
    },
    /// Record a sale on an open lead.
    ConvertLead {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// What was paid.
        #[serde(serialize_with = "as_money", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<lead_event::Money>")]
        value: Option<Money>,
        /// Units sold ("revenue generating units"); 0 where absent.
        #[schemars(default)]
        rgus: u32,
        /// The order, which counts once per tenant.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NAME_CHARACTERS_MAX))]
        order_id: Option<String>,
    },
    /// Take the latest counted sale back, or the one of an order.
    WithdrawConversion {
        /// Which lead.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// Which order; the latest counted sale where absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NAME_CHARACTERS_MAX))]
        order_id: Option<String>,
    },
    /// Let a closed lead go on.
    ReopenLead {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
    },
    /// Give an open lead another type.
    ChangeLeadType {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// To what; must be active.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        lead_type: String,
    },
    /// Give a lead to an operator, or to nobody.
    AssignLead {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// The operator's account name; nobody where absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NAME_CHARACTERS_MAX))]
        owner: Option<String>,
    },
    /// Write a note.
    AddNote {
        /// On which lead.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// The note.
        #[schemars(length(min = 1, max = NOTE_CHARACTERS_MAX))]
        text: String,
    },
    /// Set attributes of a lead; those that are not named stay.
    SetAttributes {
        /// Of which lead.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        lead_id: LeadId,
        /// Names and values; at least one.
        #[serde(serialize_with = "as_scalars")]
        #[schemars(with = "schema::AttributesObject")]
        attributes: BTreeMap<String, Value>,
    },
    /// Put an orphan into a lead of its visitor.
    AdoptOrphan {
        /// The orphan.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::InteractionIdText")]
        interaction_id: InteractionId,
        /// Where to.
        #[serde(flatten)]
        into: AdoptInto,
    },
    /// Put an attached interaction into another lead of the same visitor.
    MoveInteraction {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::InteractionIdText")]
        interaction_id: InteractionId,
        /// Where to.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        to_lead_id: LeadId,
    },
    /// Take the points of an interaction away; it stays in its lead.
    DiscreditInteraction {
        /// Which.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::InteractionIdText")]
        interaction_id: InteractionId,
        /// What there is to say about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NOTE_CHARACTERS_MAX))]
        note: Option<String>,
    },
    /// Two visitors are one person.
    MergeVisitors {
        /// One.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        visitor_id: VisitorId,
        /// The other.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        other_visitor_id: VisitorId,
    },
    /// A merged visitor is somebody else after all.
    UnmergeVisitor {
        /// The one that was absorbed.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        visitor_id: VisitorId,
        /// Whether shared identifiers may not merge the two again; they may where absent.
        #[schemars(default)]
        keep_apart: bool,
    },
    /// Two suspected duplicates are different people.
    SettleDuplicate {
        /// One.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        visitor_id: VisitorId,
        /// The other.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        other_visitor_id: VisitorId,
    },
    /// Forget who a visitor is, with everyone who was merged into them: destroys their keys. Nothing brings it back.
    EraseVisitor {
        /// Who.
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::VisitorIdText")]
        visitor_id: VisitorId,
        /// Why; stands in the log in clear, so it must not say who it is.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        reason: String,
    },
    /// Collect nothing any more that carries one of these identifiers. They are kept as keyed hashes only.
    Suppress {
        /// Whom.
        #[serde(flatten)]
        whom: Whom,
        /// Why; stands in the log in clear, so it must not say who it is.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        reason: String,
    },
    /// Collect again what carries these identifiers.
    Unsuppress {
        /// Whom.
        #[serde(flatten)]
        whom: Whom,
        /// Why; stands in the log in clear, so it must not say who it is.
        #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
        reason: String,
    },
    /// Put a policy in force.
    AdoptPolicy {
        /// The policy, TOML.
        #[schemars(length(min = 1, max = POLICY_CHARACTERS_MAX))]
        document: String,
        /// Which leads are scored anew by it; none where absent.
        #[serde(skip_serializing_if = "Rescore::is_none")]
        #[schemars(default)]
        rescore: Rescore,
    },
    /// Take a quarantined input again.
    RetryQuarantined {
        /// Its position in the log.
        #[schemars(range(min = 1))]
        position: u64,
        /// The repaired event; the kept one where absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<EventJson>,
    },
    /// Give a quarantined input up.
    DiscardQuarantined {
        /// Its position in the log.
        #[schemars(range(min = 1))]
        position: u64,
    },
}

/// Which leads are scored anew by a policy that comes into force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rescore {
    /// None: its rules count for interactions from then on.
    #[default]
    None,
    /// Those that are open: as if it had been in force from their start.
    Open,
}

impl Rescore {
    /// The words for it.
    pub const WORDS: [&str; 2] = ["none", "open"];

    /// What a word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "open" => Some(Self::Open),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Somebody named by identifiers; at least one. Their values are the sender's, normalised as those of events are.
#[derive(Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Whom {
    /// All identifiers that a visitor has.
    #[serde(serialize_with = "as_shown_optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::VisitorIdText>")]
    pub visitor_id: Option<VisitorId>,
    /// A customer id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
    pub customer_id: Option<String>,
    /// An e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
    pub email: Option<String>,
    /// A phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
    pub phone: Option<String>,
    /// A channel's cookie or device id: what events call `visitor_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))]
    pub device_id: Option<String>,
}

/// Tells kinds only: the values are somebody's.
impl std::fmt::Debug for Whom {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { visitor_id, customer_id, email, phone, device_id } = self;
        let named = [customer_id.is_some(), email.is_some(), phone.is_some(), device_id.is_some()];
        formatter.debug_struct("Whom").field("visitor_id", visitor_id).field("named", &named).finish()
    }
}

/// Where an adopted orphan goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdoptInto {
    /// Into this open lead.
    LeadId(
        #[serde(serialize_with = "as_shown")]
        #[schemars(with = "schema::LeadIdText")]
        LeadId,
    ),
    /// Into a new lead of this type.
    LeadType(#[schemars(length(min = 1, max = NAME_CHARACTERS_MAX))] String),
}

/// The text of a JSON object, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventJson(String);

impl EventJson {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ask {
    /// The word of the command: `close_lead`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OpenLead { .. } => "open_lead",
            Self::CloseLead { .. } => "close_lead",
            Self::ConvertLead { .. } => "convert_lead",
            Self::WithdrawConversion { .. } => "withdraw_conversion",
            Self::ReopenLead { .. } => "reopen_lead",
            Self::ChangeLeadType { .. } => "change_lead_type",
            Self::AssignLead { .. } => "assign_lead",
            Self::AddNote { .. } => "add_note",
            Self::SetAttributes { .. } => "set_attributes",
            Self::AdoptOrphan { .. } => "adopt_orphan",
            Self::MoveInteraction { .. } => "move_interaction",
            Self::DiscreditInteraction { .. } => "discredit_interaction",
            Self::MergeVisitors { .. } => "merge_visitors",
            Self::UnmergeVisitor { .. } => "unmerge_visitor",
            Self::SettleDuplicate { .. } => "settle_duplicate",
            Self::EraseVisitor { .. } => "erase_visitor",
            Self::Suppress { .. } => "suppress",
            Self::Unsuppress { .. } => "unsuppress",
            Self::AdoptPolicy { .. } => "adopt_policy",
            Self::RetryQuarantined { .. } => "retry_quarantined",
            Self::DiscardQuarantined { .. } => "discard_quarantined",
        }
    }
}

impl CommandDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// Every fault, up to [`FAULTS_MAX`]; at least one.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Fault>> {
        Self::read_with(bytes, &[])
    }

    /// Reads a document of which the caller knows some fields already, as text: a request's address names the lead and
    /// the command, its headers the key and the operator. Such a field may not stand in the document as well.
    ///
    /// # Errors
    /// As [`CommandDocument::read`].
    pub fn read_with(bytes: &[u8], known: &[(&'static str, &str)]) -> Result<Self, Vec<Fault>> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            let message = format!("The command has {} bytes; at most {DOCUMENT_BYTES_MAX} are allowed.", bytes.len());
            return Err(vec![Fault::new("", code::COMMAND_TOO_LARGE, message)]);
        }
        let mut fields = Fields::document(bytes, known).map_err(|fault| vec![fault])?;
        let id = fields.required_name("id", ID_CHARACTERS_MAX);
        let operator = fields.required_name("operator", NAME_CHARACTERS_MAX);
        let at = fields.time("at");
        let if_version = fields.whole("if_version", 0, u32::MAX);
        let ask = ask::read(&mut fields);
        let mut faults = fields.faults(ask.is_some());
        match (ask, faults.is_empty()) {
            (Some(ask), true) => Ok(Self { id, operator, at, if_version, ask }),
            (_, _) => {
                faults.truncate(FAULTS_MAX);
                Err(faults)
            }
        }
    }

    /// The document in JSON, which [`CommandDocument::read`] reads again; what is absent is left out.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Keys are texts and nothing else in the document can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn as_shown<T: std::fmt::Display, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_shown_optional<T: std::fmt::Display, S: Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn as_rfc3339<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

fn as_money<S: Serializer>(money: &Option<Money>, serializer: S) -> Result<S::Ok, S::Error> {
    money
        .map(|money| lead_event::Money { amount: money.amount, currency: money.currency.to_string() })
        .serialize(serializer)
}

fn as_scalars<S: Serializer>(attributes: &BTreeMap<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(attributes.iter().map(|(name, value)| {
        let scalar = match value {
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Integer(value) => Scalar::Integer(*value),
            Value::Decimal(number) => Scalar::Decimal(number.as_str()),
            Value::Text(text) => Scalar::Text(Str::from(text.as_str())),
        };
        (name, scalar)
    }))
}

impl Serialize for EventJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}
