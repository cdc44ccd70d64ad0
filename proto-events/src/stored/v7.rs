//! The frozen shapes of version 7: what concerns scoring leads anew. Nothing here ever changes.
//!
//! ```text
//! event = v1::EventV1  |  u8 200 | v3::EventV3  |  u8 204 | EventV7
//! ```

use bincode::{BorrowDecode, Encode};
use lead_domain::event::Event;
use lead_domain::score::Counted;
use lead_domain::{InteractionId, Time};

use super::convert::{lead as lead_id, stored_lead};
use super::v1::{AttributeV1, LeadV1};
use super::v2::RequestKeyV2;
use crate::text::Text;

/// The first byte of an event of version 7.
pub const EVENT_MARK: u8 = 204;

/// One step of scoring leads anew.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum RescoringV7 {
    /// It was chosen for the leads that are open, along with the policy version that the record before puts in force.
    Chosen {
        /// The version.
        policy_version: u32,
        /// The youngest visitor then; who comes later is scored by the version from the start.
        last_visitor: u64,
        /// The key that it was sent under, where no policy was adopted under that key.
        request: Option<RequestKeyV2>,
    },
    /// What the version asks about personal data of some of the visitor's interactions, answered ahead of the step.
    Answered {
        /// The version.
        policy_version: u32,
        /// Interaction, and the attributes that its own facts lack.
        answers: Vec<(u64, Vec<AttributeV1>)>,
    },
    /// Leads in the book of the record's visitor were scored anew, up to the record's `occurred_at`.
    Visitor {
        /// The version.
        policy_version: u32,
        /// Whose leads: of the visitor itself, or of one that was merged into it.
        member: u64,
        /// Where the streams end that hold the visitor's history.
        streams: Vec<u64>,
        /// As in `Answered`.
        answers: Vec<(u64, Vec<AttributeV1>)>,
        /// Visitors up to this number are done then.
        up_to: u64,
        /// Open leads looked at so far, of all visitors.
        leads: u64,
        /// Those whose score changed.
        changed: u64,
    },
    /// All visitors are done.
    Done {
        /// The version.
        policy_version: u32,
        /// Open leads looked at.
        leads: u64,
        /// Those whose score changed.
        changed: u64,
        /// Milliseconds since the choice.
        took: u64,
    },
}

impl RescoringV7 {
    /// The policy version that the leads are scored by.
    #[must_use]
    pub const fn policy_version(&self) -> u32 {
        match self {
            Self::Chosen { policy_version, .. }
            | Self::Answered { policy_version, .. }
            | Self::Visitor { policy_version, .. }
            | Self::Done { policy_version, .. } => *policy_version,
        }
    }

    /// The answers that it holds; none for most steps.
    #[must_use]
    pub fn answers(&self) -> &[(u64, Vec<AttributeV1>)] {
        match self {
            Self::Answered { answers, .. } | Self::Visitor { answers, .. } => answers,
            Self::Chosen { .. } | Self::Done { .. } => &[],
        }
    }
}

/// One event about scoring anew. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum EventV7 {
    /// `Event::InteractionsRecounted`.
    InteractionsRecounted {
        /// The lead.
        lead: LeadV1,
        /// Interaction, time, rule, value.
        counted: Vec<(u64, i64, Text, i64)>,
    },
}

/// The stored form of an event of this version; `None` for those that earlier versions know.
pub(super) fn stored(event: &Event) -> Option<EventV7> {
    let Event::InteractionsRecounted { lead, counted } = event else { return None };
    let stored = |it: &Counted| (it.interaction.0, it.at.as_millis(), Text(it.rule.clone()), it.value);
    Some(EventV7::InteractionsRecounted { lead: stored_lead(*lead), counted: counted.iter().map(stored).collect() })
}

impl From<EventV7> for Event {
    fn from(event: EventV7) -> Self {
        let EventV7::InteractionsRecounted { lead, counted } = event;
        let read = |(interaction, at, rule, value): (u64, i64, Text, i64)| Counted {
            interaction: InteractionId(interaction),
            at: Time::from_millis(at),
            rule: rule.0,
            value,
        };
        Self::InteractionsRecounted { lead: lead_id(lead), counted: counted.into_iter().map(read).collect() }
    }
}
