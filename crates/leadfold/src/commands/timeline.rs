//! A timeline for people and programs.

use engine::{EngineError, TimelineQuery};
use lead_domain::{Currency, LeadId, Money, VisitorId};
use serde_json::Value;

use crate::commands::lead;
use crate::commands::leads::money;
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::folder::Folder;
use crate::output::{line, shown_time};
use crate::remote::{Call, Server, missing};
use crate::settings::Settings;
use crate::source::Source;

/// Prints the timeline of a lead, newest first.
pub(crate) fn of_lead(source: &mut Source, lead: LeadId, limit: usize, settings: &Settings) -> anyhow::Result<()> {
    match source {
        Source::Folder(folder) => {
            let tenant = folder.tenant()?;
            let known = folder.engine.book(tenant, lead.visitor).is_ok_and(|book| book.lead(lead).is_some());
            if !known {
                return Err(lead::unknown(lead));
            }
            walk(folder, lead.visitor, Some(lead), limit)
        }
        Source::Server(server) => {
            let asked = ask(server, &format!("/v1/leads/{lead}/timeline"), limit, settings);
            asked.map_err(|error| missing(error, || lead::unknown(lead)))
        }
    }
}

/// Prints the timeline of a visitor, newest first.
pub(crate) fn of_visitor(
    source: &mut Source,
    visitor: VisitorId,
    limit: usize,
    settings: &Settings,
) -> anyhow::Result<()> {
    match source {
        Source::Folder(folder) => {
            let tenant = folder.tenant()?;
            folder.engine.book(tenant, visitor)?;
            walk(folder, visitor, None, limit)
        }
        Source::Server(server) => {
            let asked = ask(server, &format!("/v1/visitors/{visitor}/timeline"), limit, settings);
            asked.map_err(|error| missing(error, || EngineError::UnknownVisitor { visitor }.into()))
        }
    }
}

fn walk(folder: &mut Folder, visitor: VisitorId, lead: Option<LeadId>, limit: usize) -> anyhow::Result<()> {
    let entries = folder.engine.timeline(&TimelineQuery { visitor, lead, limit, before: None })?;
    for entry in &entries {
        let row = serde_json::value::to_raw_value(&http_api::timeline_row(entry))?;
        print(Row::sent(row), &folder.settings)?;
    }
    Ok(())
}

fn ask(server: &Server, path: &str, limit: usize, settings: &Settings) -> anyhow::Result<()> {
    let read = |wanted: &Wanted| Page::sent(server, Call::get(path), wanted);
    let take = |row| print(row, settings).map(|()| Taken::Yes);
    each_row(limit as u64, read, take).map(|_| ())
}

fn print(row: Row<Value>, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return row.print_json();
    }
    print_row(&row.into_inner()?)
}

/// Prints one record for people.
pub(crate) fn print_row(row: &Value) -> anyhow::Result<()> {
    let position = row.get("position").and_then(Value::as_u64).unwrap_or_default();
    line(format_args!(
        "{}  #{position}  {}",
        time(row, "occurred_at"),
        input(row.get("input").unwrap_or(&Value::Null))
    ))?;
    for event in row.get("events").and_then(Value::as_array).into_iter().flatten() {
        line(format_args!("    {}", sentence(event)))?;
    }
    Ok(())
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, field: &str) -> u64 {
    object.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn time(object: &Value, field: &str) -> String {
    shown_time(text(object, field))
}

/// The input in a few words.
fn input(input: &Value) -> String {
    match text(input, "kind") {
        "interaction" => {
            let skill = input.get("skill").and_then(Value::as_str).map(|skill| format!(", skill {skill}"));
            format!("{} on {}{}", text(input, "action"), text(input, "channel"), skill.unwrap_or_default())
        }
        "command" => {
            let note = input.get("note").and_then(Value::as_str).map(|note| format!(": \"{note}\""));
            format!("command of {}{}", text(input, "operator"), note.unwrap_or_default())
        }
        "deadline" => "deadline reached".to_owned(),
        "policy" => format!("policy version {}", number(input, "version")),
        "quarantined" => format!("quarantined: {}", text(input, "code")),
        "conflict" => format!("conflicts with #{}", number(input, "original")),
        "signed_head" => format!("signed the head over {} records", number(input, "size")),
        "released" => format!("released #{} from quarantine", number(input, "quarantined")),
        other => other.replace('_', " "),
    }
}

/// An event with what explains it.
fn sentence(event: &Value) -> String {
    let of = |field| text(event, field);
    match of("event") {
        "lead_opened" => format!(
            "lead opened: {} of type {}, closes at {} unless something happens",
            of("lead_id"),
            of("lead_type"),
            time(event, "deadline")
        ),
        "interaction_attached" => attached(event),
        "interaction_orphaned" => format!("left an orphan ({})", of("reason")),
        "lead_closed" => {
            let reason = event.get("reason").and_then(Value::as_str).map(|reason| format!(", {reason}"));
            let (reason, at) = (reason.unwrap_or_default(), time(event, "at"));
            format!("lead closed: {} ({}{reason}) at {at}", of("lead_id"), of("cause"))
        }
        "lead_reopened" => {
            format!("lead reopened: {} ({}), deadline {}", of("lead_id"), of("because"), time(event, "deadline"))
        }
        "conversion_recorded" => {
            let value = event.get("value").and_then(amount).map_or_else(|| "no value".to_owned(), money);
            format!("conversion recorded: {}, {value}, {} unit(s)", of("lead_id"), number(event, "rgus"))
        }
        "lead_type_changed" => format!(
            "type of {} changed from {} to {}, deadline {}",
            of("lead_id"),
            of("from_lead_type"),
            of("to_lead_type"),
            time(event, "deadline")
        ),
        "interaction_moved" => {
            format!("{} moved from {} to {}", of("interaction_id"), of("from_lead_id"), of("to_lead_id"))
        }
        "interaction_discredited" => {
            let by = match of("bot_rule") {
                "" => "by an operator".to_owned(),
                rule => format!("by bot rule \"{rule}\""),
            };
            format!("points of {} taken away {by}", of("interaction_id"))
        }
        "score_changed" => {
            let points = event.get("score").map_or(0, |score| score.get("total").and_then(Value::as_i64).unwrap_or(0));
            format!("score of {}: {points} ({})", of("lead_id"), of("because"))
        }
        "temperature_changed" => format!("{} is {} now, {} before", of("lead_id"), of("to"), of("from")),
        "stage_entered" => format!("{} entered stage {}", of("lead_id"), of("stage")),
        other => of_identity(other, event),
    }
}

/// An event about who is who, or one that its name explains.
fn of_identity(name: &str, event: &Value) -> String {
    let of = |field| text(event, field);
    match name {
        "visitors_merged" => format!("visitors merged: {} into {}", of("absorbed_visitor_id"), of("visitor_id")),
        "visitors_unmerged" => format!("visitors unmerged: {} from {}", of("restored_visitor_id"), of("visitor_id")),
        "duplicate_suspected" => format!(
            "{} and {} share a {} but are different customers",
            of("visitor_id"),
            of("other_visitor_id"),
            of("identifier")
        ),
        "identifier_learned" => format!("identifier learned: {}", of("identifier")),
        "identifier_moved" => {
            format!("{} moved from {} to {}", of("identifier"), of("from_visitor_id"), of("to_visitor_id"))
        }
        other => other.replace('_', " "),
    }
}

fn attached(event: &Value) -> String {
    let because = text(event, "because");
    let candidates = event.get("candidates").and_then(Value::as_array).map_or(0, Vec::len);
    // These two had no choice.
    let chosen =
        if matches!(because, "opened" | "adopted") { String::new() } else { format!(" of {candidates} candidate(s)") };
    format!("attached to {} ({because}{chosen}), deadline {}", text(event, "lead_id"), time(event, "deadline"))
}

fn amount(value: &Value) -> Option<Money> {
    Some(Money { amount: value.get("amount")?.as_i64()?, currency: Currency::new(text(value, "currency"))? })
}
