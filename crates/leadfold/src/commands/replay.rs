//! `leadfold replay`

use std::time::Instant;

use anyhow::bail;
use engine::{Decision, Difference, Replay, ReplayOptions, replay};
use event_log::{EventLog, LogPosition};
use proto_events::lead_event::LeadEvent;
use serde_json::{Value, json};

use crate::cli::ReplayArgs;
use crate::failure::{DamageFound, UsageError};
use crate::folder;
use crate::output::{json_line, line, progress_bar, rfc3339, short_root};
use crate::settings::Settings;

pub(crate) fn run(args: &ReplayArgs, settings: &Settings) -> anyhow::Result<()> {
    let log = folder::log_to_read(settings)?;
    let head = log.head().position;
    let to = args.to.map_or(head, LogPosition);
    let from = LogPosition(args.from);
    if to > head || from > to {
        bail!(UsageError(format!(
            "the log has the records 1 to {head}; --from and --to must be among them, and in this order"
        )));
    }
    let started = Instant::now();
    let bar = progress_bar(to.0, "deciding again");
    let options = ReplayOptions { from, to, tenant: settings.tenant.clone() };
    let found = replay(&log, &options, &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    let found = found?;
    let seconds = started.elapsed().as_secs_f64();
    if settings.json {
        json_line(&shown(&found, seconds))?
    } else {
        print(&found, seconds)?
    }
    match &found.difference {
        None => Ok(()),
        Some(difference) => bail!(DamageFound(format!(
            "the log is not what this program decides: the first difference is at position {}; run `leadfold verify`, \
             and compare the versions of the program that wrote the log",
            difference.position()
        ))),
    }
}

fn print(found: &Replay, seconds: f64) -> anyhow::Result<()> {
    match &found.difference {
        None => {}
        Some(Difference::Decision { position, policy_version, recorded, decided, .. }) => {
            line(format_args!("position {position}, under policy version {policy_version}:"))?;
            side("recorded", Ok(recorded))?;
            side("decided ", decided.as_ref().map_err(ToString::to_string))?;
        }
        Some(Difference::StateRoot { position, recorded, decided }) => {
            line(format_args!(
                "position {position}: the state root is recorded as {}, and the books come to {}",
                short_root(recorded),
                short_root(decided)
            ))?;
        }
        Some(Difference::Unfired { position, visitor, clock, .. }) => {
            line(format_args!(
                "position {position}: a lead of {visitor} was due by {}, and no record in front of this one closes it",
                rfc3339(*clock)
            ))?;
        }
    }
    line(format_args!(
        "{} records, {} inputs decided again with {} events, {} state roots, in {seconds:.1} s{}",
        found.records,
        found.decided,
        found.events,
        found.state_roots,
        if found.difference.is_none() { ": the same" } else { "" }
    ))
}

fn side(name: &str, decision: Result<&Decision, String>) -> anyhow::Result<()> {
    match decision {
        Err(refusal) => line(format_args!("  {name}  refused: {refusal}")),
        Ok(Decision { visitor, events }) => {
            line(format_args!("  {name}  {visitor}, {} events", events.len()))?;
            for event in events {
                line(format_args!("            {}", serde_json::to_string(&LeadEvent::from(event))?))?;
            }
            Ok(())
        }
    }
}

fn shown(found: &Replay, seconds: f64) -> Value {
    json!({
        "same": found.difference.is_none(), "records": found.records, "decided": found.decided, "events": found.events,
        "state_roots": found.state_roots, "position": found.position.0, "state_root": short_root(&found.state_root),
        "seconds": seconds, "difference": found.difference.as_ref().map(difference),
    })
}

fn difference(difference: &Difference) -> Value {
    let position = difference.position().0;
    match difference {
        Difference::Decision { policy_version, recorded, decided, .. } => json!({
            "kind": "decision", "position": position, "policy_version": policy_version, "recorded": decision(recorded),
            "decided": match decided {
                Ok(decided) => decision(decided),
                Err(refusal) => json!({ "refused": refusal.code() }),
            },
        }),
        Difference::StateRoot { recorded, decided, .. } => json!({
            "kind": "state_root", "position": position, "recorded": short_root(recorded), "decided": short_root(decided),
        }),
        Difference::Unfired { visitor, clock, .. } => json!({
            "kind": "deadline_missing", "position": position, "visitor_id": visitor.to_string(),
            "clock": rfc3339(*clock),
        }),
    }
}

fn decision(decision: &Decision) -> Value {
    let events: Vec<LeadEvent> = decision.events.iter().map(LeadEvent::from).collect();
    json!({ "visitor_id": decision.visitor.to_string(), "events": events })
}
