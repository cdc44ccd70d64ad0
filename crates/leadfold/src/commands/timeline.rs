//! A timeline for people and programs.

use engine::{TimelineEntry, TimelineQuery};
use lead_domain::event::{AttachReason, Event};
use lead_domain::{LeadId, Time, VisitorId};
use proto_events::lead_event::{LeadEvent, attach_reason, name, reopen_reason};
use proto_events::stored::InputFacts;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::output::{json_line, line, rfc3339, short_time};

/// Prints a timeline, newest first.
pub(crate) fn print(folder: &mut Folder, visitor: VisitorId, lead: Option<LeadId>, limit: usize) -> anyhow::Result<()> {
    for entry in folder.engine.timeline(&TimelineQuery { visitor, lead, limit, before: None })? {
        if folder.settings.json {
            json_line(&shape(&entry))?;
            continue;
        }
        let at = short_time(Time::from_millis(entry.header.occurred_at));
        line(format_args!("{at}  #{}  {}", entry.header.position, input(&entry)))?;
        for event in &entry.facts.events {
            line(format_args!("    {}", sentence(event)))?;
        }
    }
    Ok(())
}

fn shape(entry: &TimelineEntry) -> Value {
    let time = |millis| rfc3339(Time::from_millis(millis));
    let events: Vec<LeadEvent> = entry.facts.events.iter().map(LeadEvent::from).collect();
    json!({
        "position": entry.header.position.0,
        "visitor_id": VisitorId(entry.header.visitor).to_string(),
        "occurred_at": time(entry.header.occurred_at),
        "received_at": time(entry.header.received_at),
        "recorded_at": time(entry.header.recorded_at),
        "input": input_shape(entry),
        "events": events,
    })
}

fn input_shape(entry: &TimelineEntry) -> Value {
    let personal = entry.personal.as_ref();
    match &entry.facts.input {
        InputFacts::Interaction(interaction) => json!({
            "kind": "interaction",
            "source": personal.map(|personal| personal.source.as_str()),
            "id": personal.map(|personal| personal.id.as_str()),
            "channel": interaction.channel.as_str(),
            "skill": interaction.skill.as_ref().map(|skill| skill.as_str()),
            "action": interaction.action.as_str(),
        }),
        InputFacts::Command(command) => json!({
            "kind": "command",
            "operator": command.operator.as_str(),
            "note": personal.and_then(|personal| personal.note.as_ref()).map(|note| note.as_str()),
        }),
        InputFacts::Deadline => json!({ "kind": "deadline" }),
        InputFacts::Tick => json!({ "kind": "tick" }),
        InputFacts::Policy(policy) => json!({ "kind": "policy", "version": policy.version }),
        InputFacts::Quarantined(reason) => json!({ "kind": "quarantined", "code": reason.code.as_str() }),
        InputFacts::Conflict(conflict) => json!({ "kind": "conflict", "original": conflict.original }),
        InputFacts::StateRoot(_) => json!({ "kind": "state_root" }),
        InputFacts::Released(released) => json!({ "kind": "released", "quarantined": released.quarantined }),
    }
}

/// The input in a few words.
fn input(entry: &TimelineEntry) -> String {
    match &entry.facts.input {
        InputFacts::Interaction(interaction) => {
            let skill = interaction.skill.as_ref().map(|skill| format!(", skill {}", skill.as_str()));
            let (action, channel) = (interaction.action.as_str(), interaction.channel.as_str());
            format!("{action} on {channel}{}", skill.unwrap_or_default())
        }
        InputFacts::Command(command) => {
            let note = entry.personal.as_ref().and_then(|personal| personal.note.as_ref());
            let note = note.map(|note| format!(": \"{}\"", note.as_str())).unwrap_or_default();
            format!("command of {}{note}", command.operator.as_str())
        }
        InputFacts::Deadline => "deadline reached".to_owned(),
        InputFacts::Tick => "tick".to_owned(),
        InputFacts::Policy(policy) => format!("policy version {}", policy.version),
        InputFacts::Quarantined(reason) => format!("quarantined: {}", reason.code.as_str()),
        InputFacts::Conflict(conflict) => format!("conflicts with #{}", conflict.original),
        InputFacts::StateRoot(_) => "state root".to_owned(),
        InputFacts::Released(released) => format!("released #{} from quarantine", released.quarantined),
    }
}

/// An event with what explains it.
fn sentence(event: &Event) -> String {
    match event {
        Event::LeadOpened { lead, lead_type, deadline, .. } => {
            format!(
                "lead opened: {lead} of type {lead_type}, closes at {} unless something happens",
                short_time(*deadline)
            )
        }
        Event::InteractionAttached { lead, because, candidates, deadline, .. } => {
            let chosen = match because {
                AttachReason::Opened | AttachReason::Adopted => String::new(),
                AttachReason::OnlyCandidate
                | AttachReason::MostRecent
                | AttachReason::HighestScore
                | AttachReason::LateReopened
                | AttachReason::LateHistory => format!(" of {} candidate(s)", candidates.len()),
            };
            let because = attach_reason(*because);
            format!("attached to {lead} ({because}{chosen}), deadline {}", short_time(*deadline))
        }
        Event::InteractionOrphaned { reason, .. } => format!("left an orphan ({})", reason.code()),
        Event::LeadClosed { lead, cause, at, reason } => {
            let reason = reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
            format!("lead closed: {lead} ({}{reason}) at {}", cause.code(), short_time(*at))
        }
        Event::LeadReopened { lead, because, deadline, .. } => {
            format!("lead reopened: {lead} ({}), deadline {}", reopen_reason(*because), short_time(*deadline))
        }
        Event::ConversionRecorded { lead, value, rgus, .. } => {
            let value = value.map(super::leads::money).unwrap_or_else(|| "no value".to_owned());
            format!("conversion recorded: {lead}, {value}, {rgus} unit(s)")
        }
        Event::LeadTypeChanged { lead, from, to, deadline } => {
            format!("type of {lead} changed from {from} to {to}, deadline {}", short_time(*deadline))
        }
        Event::InteractionMoved { interaction, from, to, .. } => format!("{interaction} moved from {from} to {to}"),
        Event::VisitorsMerged { survivor, absorbed } => format!("visitors merged: {absorbed} into {survivor}"),
        Event::VisitorsUnmerged { survivor, restored, .. } => format!("visitors unmerged: {restored} from {survivor}"),
        Event::DuplicateSuspected { visitor, other, identifier } => {
            format!("{visitor} and {other} share a {} but are different customers", identifier.kind.name())
        }
        Event::IdentifierLearned { identifier, .. } => format!("identifier learned: {}", identifier.kind.name()),
        Event::IdentifierMoved { identifier, from, to } => {
            format!("{} moved from {from} to {to}", identifier.kind.name())
        }
        Event::VisitorCreated { .. }
        | Event::DuplicateSettled { .. }
        | Event::CustomerLearned { .. }
        | Event::ConversionRepeated { .. }
        | Event::ConversionWithdrawn { .. }
        | Event::LeadAssigned { .. }
        | Event::NoteAdded { .. }
        | Event::AttributesSet { .. } => name(event).replace('_', " "),
    }
}
