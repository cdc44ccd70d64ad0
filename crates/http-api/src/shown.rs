//! Shapes that several routes answer with, and the query strings that they read.

use engine::TimelineEntry;
use event_log::LogPosition;
use lead_domain::{Event, Time};
use proto_events::lead_event::{LeadEvent, rfc3339};
use proto_events::stored::InputFacts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// One record of a timeline: what came in, and what was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineRow {
    /// Its place in the log.
    pub position: u64,
    /// When it happened.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// When it reached us.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When it was recorded.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// What came in.
    pub input: TimelineInput,
    /// What was decided, in order.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<LeadEvent>,
}

/// What came in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TimelineInput {
    /// A touch of a visitor.
    Interaction {
        /// CloudEvents `source`; `null` when the visitor was erased.
        source: Option<String>,
        /// CloudEvents `id`; `null` when the visitor was erased.
        id: Option<String>,
        /// The channel it came through.
        channel: String,
        /// The skill it was addressed to.
        skill: Option<String>,
        /// A dotted word such as `product.viewed`.
        action: String,
    },
    /// An operator's request.
    Command {
        /// The operator's account name.
        operator: String,
        /// What was written.
        note: Option<String>,
    },
    /// A policy was adopted.
    Policy {
        /// Which version of the tenant's.
        version: u32,
    },
    /// The tenant's clock advanced.
    Tick,
    /// A deadline had passed.
    Deadline,
    /// An input that could not be taken.
    Quarantined {
        /// Why.
        code: String,
    },
    /// An interaction with a known source and id but other content.
    Conflict {
        /// The record that it conflicts with.
        original: u64,
    },
    /// The hash over all books.
    StateRoot,
    /// The log's head was signed.
    SignedHead {
        /// How many records it covers.
        size: u64,
    },
    /// The visitor was erased.
    Erasure {
        /// Who asked: an account name.
        operator: String,
        /// Why.
        reason: String,
    },
    /// What carries some identifiers is not collected any more, or is again.
    Suppression {
        /// Who asked: an account name.
        operator: String,
        /// Why.
        reason: String,
        /// Whether it is collected again.
        lifted: bool,
    },
    /// A quarantined input was taken after all, or set aside.
    Released {
        /// Its record.
        quarantined: u64,
    },
    /// Leads were scored anew.
    Rescoring {
        /// By which version of the policy.
        policy_version: u32,
    },
}

/// A record of a timeline as it is shown.
#[must_use]
pub fn timeline_row(entry: &TimelineEntry) -> TimelineRow {
    let header = &entry.header;
    let time = |millis| rfc3339(Time::from_millis(millis));
    TimelineRow {
        position: header.position.0,
        occurred_at: time(header.occurred_at),
        received_at: time(header.received_at),
        recorded_at: time(header.recorded_at),
        input: input(entry),
        events: shown_events(&entry.facts.events),
    }
}

pub(crate) fn shown_events(events: &[Event]) -> Vec<LeadEvent> {
    events.iter().map(LeadEvent::from).collect()
}

fn input(entry: &TimelineEntry) -> TimelineInput {
    let personal = entry.personal.as_ref();
    match &entry.facts.input {
        InputFacts::Interaction(interaction) => TimelineInput::Interaction {
            source: personal.map(|personal| personal.source.as_str().to_owned()),
            id: personal.map(|personal| personal.id.as_str().to_owned()),
            channel: interaction.channel.as_str().to_owned(),
            skill: interaction.skill.as_ref().map(|skill| skill.as_str().to_owned()),
            action: interaction.action.as_str().to_owned(),
        },
        InputFacts::Command(command) => TimelineInput::Command {
            operator: command.operator.as_str().to_owned(),
            note: personal.and_then(|personal| personal.note.as_ref()).map(|note| note.as_str().to_owned()),
        },
        InputFacts::Discredit(discredit) => TimelineInput::Command {
            operator: discredit.operator.as_str().to_owned(),
            note: personal.and_then(|personal| personal.note.as_ref()).map(|note| note.as_str().to_owned()),
        },
        InputFacts::Deadline => TimelineInput::Deadline,
        InputFacts::Tick => TimelineInput::Tick,
        InputFacts::Policy(policy) => TimelineInput::Policy { version: policy.version },
        InputFacts::Quarantined(reason) => TimelineInput::Quarantined { code: reason.code.as_str().to_owned() },
        InputFacts::Conflict(conflict) => TimelineInput::Conflict { original: conflict.original },
        InputFacts::StateRoot(_) => TimelineInput::StateRoot,
        InputFacts::SignedHead(head) => TimelineInput::SignedHead { size: head.size },
        InputFacts::Erasure(erasure) => TimelineInput::Erasure {
            operator: erasure.operator.as_str().to_owned(),
            reason: erasure.reason.as_str().to_owned(),
        },
        InputFacts::Suppression(asked) => TimelineInput::Suppression {
            operator: asked.operator.as_str().to_owned(),
            reason: asked.reason.as_str().to_owned(),
            lifted: asked.lifted,
        },
        InputFacts::Released(released) => TimelineInput::Released { quarantined: released.quarantined },
        InputFacts::Rescoring(rescoring) => TimelineInput::Rescoring { policy_version: rescoring.policy_version() },
    }
}

/// Names and values of a query string, decoded.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let query = query.unwrap_or_default();
    let uri = format!("/?{query}").parse::<http::Uri>();
    let read = uri.ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let found = read.map(|axum::extract::Query(pairs)| pairs);
    found.ok_or_else(|| Problem::field("", "invalid_query", "The query string can't be read."))
}

/// Takes `min_position` out of a query.
pub(crate) fn take_min_position(pairs: &mut Vec<(String, String)>) -> Result<Option<u64>, Problem> {
    take(pairs, "min_position").map(|value| whole("min_position", &value)).transpose()
}

/// Takes a parameter out of a query; the last one of several counts.
pub(crate) fn take(pairs: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let mut found = None;
    pairs.retain_mut(|(key, value)| {
        let same = key == name;
        if same {
            found = Some(std::mem::take(value));
        }
        !same
    });
    found
}

/// Refuses what is left of a query whose parameters have been taken out.
pub(crate) fn refuse_rest(pairs: &[(String, String)]) -> Result<(), Problem> {
    match pairs.first() {
        None => Ok(()),
        Some((name, _)) => Err(Problem::unknown_parameter(name)),
    }
}

/// Reads a whole number.
pub(crate) fn whole(name: &str, value: &str) -> Result<u64, Problem> {
    value.parse().map_err(|_| Problem::field(name, "invalid_value", format!("{name} must be a whole number.")))
}

/// Reads the `limit` of a page.
pub(crate) fn limit(pairs: &mut Vec<(String, String)>, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(value) = take(pairs, "limit") else { return Ok(default) };
    let limit = value.parse::<usize>().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| Problem::field("limit", "invalid_value", format!("limit must be 1 to {most}.")))
}

/// Reads a cursor that names a position.
pub(crate) fn position_cursor(pairs: &mut Vec<(String, String)>) -> Result<Option<LogPosition>, Problem> {
    let Some(cursor) = take(pairs, "cursor") else { return Ok(None) };
    let wrong = || Problem::field("cursor", "cursor_malformed", "cursor must be the next_cursor of an earlier page.");
    let position = cursor.strip_prefix("p").and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    Ok(Some(LogPosition(position)))
}

/// The cursor that names a position.
pub(crate) fn cursor_at(position: LogPosition) -> String {
    format!("p{position}")
}
