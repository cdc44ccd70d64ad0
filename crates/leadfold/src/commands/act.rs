//! What all acting commands share: ask, record, tell.

use engine::{Answer, Request};
use lead_domain::Command;
use proto_events::Personal;
use proto_events::lead_event::{LeadEvent, name};
use serde_json::json;

use crate::cli::ActArgs;
use crate::folder::Folder;
use crate::output::{json_line, line, rfc3339};

/// Carries a command out, tells what followed, and closes the folder.
pub(crate) fn execute(
    mut folder: Folder,
    command: Command,
    personal: Option<Personal>,
    args: &ActArgs,
) -> anyhow::Result<()> {
    let request = Request {
        tenant: folder.tenant()?,
        operator: folder.settings.operator.as_str().into(),
        at: args.at,
        command,
        expected_version: args.if_version,
        personal,
        key: None,
    };
    let answer = folder.engine.execute(request)?;
    tell(&answer, folder.settings.json)?;
    folder.close()
}

fn tell(answer: &Answer, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let events: Vec<LeadEvent> = answer.events.iter().map(LeadEvent::from).collect();
        let leads: Vec<_> =
            answer.leads.iter().map(|lead| json!({ "id": lead.id.to_string(), "version": lead.version })).collect();
        return json_line(&json!({
            "position": answer.position.0, "at": rfc3339(answer.at), "events": events, "leads": leads,
        }));
    }
    line(format_args!("recorded at position {}, as of {}", answer.position, rfc3339(answer.at)))?;
    for event in &answer.events {
        let leads: Vec<String> = event.leads().iter().map(ToString::to_string).collect();
        line(format_args!("  {} {}", name(event), leads.join(" ")).to_string().trim_end())?;
    }
    Ok(())
}
