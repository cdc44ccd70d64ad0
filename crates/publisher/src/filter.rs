//! Which events a destination gets.

use std::collections::BTreeSet;

use thiserror::Error;

/// The words of all events, as `proto_events::lead_event::name` gives them.
pub const EVENT_WORDS: [&str; 34] = [
    "visitor_created",
    "identifier_learned",
    "identifier_moved",
    "visitors_merged",
    "visitors_unmerged",
    "duplicate_suspected",
    "duplicate_settled",
    "visitor_erased",
    "lead_opened",
    "customer_learned",
    "interaction_attached",
    "interaction_orphaned",
    "interaction_moved",
    "conversion_recorded",
    "conversion_repeated",
    "conversion_withdrawn",
    "lead_closed",
    "lead_reopened",
    "lead_type_changed",
    "lead_assigned",
    "note_added",
    "attributes_set",
    "interaction_counted",
    "interactions_recounted",
    "interaction_discredited",
    "score_changed",
    "temperature_changed",
    "stage_entered",
    "consent_changed",
    "nurture_started",
    "nurture_step_due",
    "nurture_step_suppressed",
    "nurture_stopped",
    "head_signed",
];

/// Everything, or only what is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Everything, also what comes up later.
    #[default]
    All,
    /// These. An empty set lets nothing through.
    These(BTreeSet<String>),
}

impl Only {
    /// These names.
    pub fn these<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::These(names.into_iter().map(Into::into).collect())
    }

    fn lets(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
        }
    }
}

/// Which events a destination gets; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of which tenants, by name. A tenant need not exist yet.
    pub tenants: Only,
    /// Which events, by their words: see [`EVENT_WORDS`].
    pub events: Only,
}

/// A word in a filter that no event has, so that it would wait for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("wait for events \"{word}\": there are none of that name; they are {}", EVENT_WORDS.join(", "))]
pub struct UnknownEvent {
    /// The word.
    pub word: String,
}

impl EventFilter {
    /// Checks the words.
    ///
    /// # Errors
    /// Names the first that no event has.
    pub fn check(&self) -> Result<(), UnknownEvent> {
        let Only::These(words) = &self.events else { return Ok(()) };
        let unknown = words.iter().find(|word| !EVENT_WORDS.contains(&word.as_str()));
        unknown.map_or(Ok(()), |word| Err(UnknownEvent { word: word.clone() }))
    }

    pub(crate) fn lets_tenant(&self, name: &str) -> bool {
        self.tenants.lets(name)
    }

    pub(crate) fn lets_event(&self, word: &str) -> bool {
        self.events.lets(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_published_schema() {
        let schema = serde_json::to_value(proto_events::lead_event::lead_event_schema()).unwrap();
        let variants = schema["oneOf"].as_array().unwrap();
        let words: Vec<_> = variants.iter().map(|one| one["properties"]["event"]["const"].as_str().unwrap()).collect();
        assert_eq!(words, EVENT_WORDS);
    }

    #[test]
    fn a_filter_lets_through_what_it_names_and_refuses_words_that_no_event_has() {
        let filter =
            EventFilter { tenants: Only::these(["shop"]), events: Only::these(["lead_opened", "lead_closed"]) };
        assert_eq!(filter.check(), Ok(()));
        assert!(filter.lets_tenant("shop") && !filter.lets_tenant("other"));
        assert!(filter.lets_event("lead_closed") && !filter.lets_event("note_added"));
        assert!(EventFilter::default().lets_tenant("any") && EventFilter::default().lets_event("note_added"));
        let misspelt = EventFilter { events: Only::these(["lead_open"]), ..EventFilter::default() };
        assert_eq!(misspelt.check(), Err(UnknownEvent { word: "lead_open".to_owned() }));
    }
}
