//! Who a due step of a nurture programme is for. This crate asks; somebody else opens what is sealed.

use event_log::LogPosition;
use lead_domain::{Event, LeadId};
use proto_events::lead_event::Person;
use thiserror::Error;

/// Tells what a personal message needs.
pub trait Persons: Send + Sync {
    /// What is known by the record at `until` of the visitor whom a lead belongs to; empty for one who was erased. Blocks.
    ///
    /// # Errors
    /// When it can't be read.
    fn person(&self, lead: LeadId, until: LogPosition) -> Result<Person, PersonError>;
}

/// A person could not be read.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct PersonError(
    /// What failed.
    #[source]
    pub Box<dyn std::error::Error + Send + Sync>,
);

/// Nobody: messages go out without a person.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPersons;

impl Persons for NoPersons {
    fn person(&self, _: LeadId, _: LogPosition) -> Result<Person, PersonError> {
        Ok(Person::default())
    }
}

/// The lead that a due step is about; `None` for other events.
pub(crate) const fn nurtured(event: &Event) -> Option<LeadId> {
    if let Event::NurtureStepDue { lead, .. } = event { Some(*lead) } else { None }
}

/// Whether a step had come too late when it was recorded: what is imported from long ago is for nobody to send.
pub(crate) fn is_stale(recorded_at: i64, event: &Event) -> bool {
    matches!(event, Event::NurtureStepDue { expires_at, .. } if recorded_at > expires_at.as_millis())
}
