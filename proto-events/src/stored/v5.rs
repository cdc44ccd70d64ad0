//! The frozen shapes of version 5: what concerns interactions whose points were taken away. Nothing here ever changes.
//!
//! ```text
//! event = u8 202 | EventV5
//! input = u8 14  | DiscreditV5
//! ```

use bincode::{BorrowDecode, Encode};
use lead_domain::command::Command;
use lead_domain::event::{DiscreditReason, Event};
use lead_domain::{InteractionId, Time};

use super::convert::{lead as lead_id, recorded, stored_lead, stored_recorded};
use super::v1::{LeadV1, RecordedV1};
use super::v2::RequestKeyV2;
use crate::text::Text;

/// The first byte of an event of version 5.
pub const EVENT_MARK: u8 = 202;

/// One event about an interaction whose points were taken away. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
#[expect(missing_docs, reason = "the fields are those of lead_domain::Event, under the same names")]
pub enum EventV5 {
    InteractionDiscredited {
        lead: LeadV1,
        interaction: u64,
        at: i64,
        /// The rule against bots; `None` for an operator.
        bot_rule: Option<Text>,
    },
}

/// An operator's request to take the points of an interaction away.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct DiscreditV5 {
    /// Who asked: an account name.
    pub operator: Text,
    /// The lead's version that the caller had seen.
    pub expected_version: Option<u32>,
    /// The interaction.
    pub interaction: RecordedV1,
    /// The lead that it was attached to when it was recorded; `None` for an orphan.
    pub recorded_in: Option<LeadV1>,
    /// The key that it was sent under; `None` for none.
    pub request: Option<RequestKeyV2>,
}

impl DiscreditV5 {
    /// What is stored of a command; `None` for one about anything else.
    #[must_use]
    pub fn of(
        command: &Command,
        operator: Text,
        expected_version: Option<u32>,
        request: Option<RequestKeyV2>,
    ) -> Option<Self> {
        let Command::DiscreditInteraction { interaction, recorded_in } = command else { return None };
        let (interaction, recorded_in) = (stored_recorded(*interaction), recorded_in.map(stored_lead));
        Some(Self { operator, expected_version, interaction, recorded_in, request })
    }
}

impl From<&DiscreditV5> for Command {
    fn from(stored: &DiscreditV5) -> Self {
        let (interaction, recorded_in) = (recorded(stored.interaction), stored.recorded_in.map(lead_id));
        Self::DiscreditInteraction { interaction, recorded_in }
    }
}

/// The stored form of an event that version 5 began with; `None` for any other.
pub(super) fn stored(event: &Event) -> Option<EventV5> {
    let Event::InteractionDiscredited { lead, interaction, at, because } = event else { return None };
    let (lead, at) = (stored_lead(*lead), at.as_millis());
    let bot_rule = because.bot_rule().cloned().map(Text);
    Some(EventV5::InteractionDiscredited { lead, interaction: interaction.0, at, bot_rule })
}

impl From<EventV5> for Event {
    fn from(event: EventV5) -> Self {
        match event {
            EventV5::InteractionDiscredited { lead, interaction, at, bot_rule } => Self::InteractionDiscredited {
                lead: lead_id(lead),
                interaction: InteractionId(interaction),
                at: Time::from_millis(at),
                because: bot_rule.map_or(DiscreditReason::Operator, |rule| DiscreditReason::BotRule(rule.0)),
            },
        }
    }
}
