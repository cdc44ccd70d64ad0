//! What all acting commands share: ask, record, tell.

use anyhow::{Context, bail};
use engine::{Answer, EngineError, Request, SuppressionRequest};
use lead_domain::{Name, Refusal, TenantId, Time};
use listing::LeadRow;
use proto_events::cloud_event::Fault;
use proto_events::command_document::{AdoptInto, Ask, CommandDocument};
use proto_events::lead_event::LeadEvent;
use serde::{Deserialize, Serialize};
use service::{Meaning, Suppression};

use crate::cli::ActArgs;
use crate::commands::rows::Row;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{line, rfc3339};
use crate::remote::{Call, RemoteError, Route, body};
use crate::settings::Settings;
use crate::source::Source;

/// What an act led to, as the API answers it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) position: u64,
    pub(crate) at: String,
    pub(crate) repeated: bool,
    pub(crate) events: Vec<serde_json::Value>,
    pub(crate) lead: Option<serde_json::Value>,
}

/// The same, with the fields of its parts in their order.
#[derive(Serialize)]
struct Answered<'a> {
    position: u64,
    at: String,
    repeated: bool,
    events: Vec<LeadEvent>,
    lead: Option<&'a LeadRow>,
}

/// Carries an act out, tells what followed, and closes the folder.
pub(crate) fn execute(source: Source, ask: Ask, args: &ActArgs, settings: &Settings) -> anyhow::Result<()> {
    check(&ask, args, settings)?;
    match source {
        Source::Folder(folder) => carry_out(*folder, ask, args),
        Source::Server(server) => {
            let body = body(&ask, args.at)?;
            let answer = server.send(&Call::act(Route::of(&ask), body, args.if_version));
            let answer = answer.map_err(|error| in_own_words(error, &ask))?;
            tell(Row::only(&answer.body)?, settings)
        }
    }
}

/// A refusal whose words a service keeps to itself, because they repeat what was sent.
fn in_own_words(error: anyhow::Error, ask: &Ask) -> anyhow::Error {
    let Some(RemoteError::Refused { kind, .. }) = error.downcast_ref() else { return error };
    let refusal = match (kind.as_str(), ask) {
        ("unknown-close-reason", Ask::CloseLead { reason, .. }) => {
            Refusal::UnknownCloseReason { reason: Name::new(reason) }
        }
        (kind, Ask::ChangeLeadType { lead_type, .. })
        | (kind, Ask::OpenLead { lead_type, .. })
        | (kind, Ask::AdoptOrphan { into: AdoptInto::LeadType(lead_type), .. }) => match kind {
            "unknown-lead-type" => Refusal::UnknownLeadType { lead_type: Name::new(lead_type) },
            "inactive-lead-type" => Refusal::InactiveLeadType { lead_type: Name::new(lead_type) },
            _ => return error,
        },
        _ => return error,
    };
    EngineError::Refused(refusal).into()
}

/// A service and a folder take the same acts: those that can be written down.
fn check(ask: &Ask, args: &ActArgs, settings: &Settings) -> Result<(), UsageError> {
    let document = CommandDocument {
        id: "0".to_owned(),
        operator: settings.operator.clone(),
        at: args.at,
        if_version: args.if_version,
        ask: ask.clone(),
    };
    CommandDocument::read(&document.to_json()).map(|_| ()).map_err(|faults| wrong(&faults))
}

pub(crate) fn wrong(faults: &[Fault]) -> UsageError {
    let sentence = |fault: &Fault| format!("{}: {}", fault.path, fault.message);
    UsageError(faults.iter().map(sentence).collect::<Vec<_>>().join(" "))
}

fn carry_out(mut folder: Folder, ask: Ask, args: &ActArgs) -> anyhow::Result<()> {
    let (tenant, name) = (folder.tenant()?, ask.name());
    let erases = matches!(ask, Ask::EraseVisitor { .. });
    let operator = folder.settings.operator.as_str().into();
    let answer = match service::meaning(&mut folder.engine, tenant, ask)? {
        Meaning::Command(command, personal) => folder.engine.execute(Request {
            tenant,
            operator,
            at: args.at,
            command,
            expected_version: args.if_version,
            personal: personal.map(|personal| *personal),
            key: None,
        })?,
        Meaning::Suppression(asked) => suppress(&mut folder, tenant, &asked, args.at)?,
        Meaning::Policy(..) | Meaning::Retry(..) | Meaning::Discard(_) => {
            bail!("cannot record {name}: it has a way of its own")
        }
    };
    if erases {
        folder.clean().context("the person is erased from the log, but not yet from what was built with it")?;
    }
    tell(answered(&folder, &answer)?, &folder.settings)?;
    folder.close()
}

fn suppress(folder: &mut Folder, tenant: TenantId, asked: &Suppression, at: Option<Time>) -> anyhow::Result<Answer> {
    let named = service::identifiers(&folder.engine, tenant, &asked.whom);
    let request = SuppressionRequest {
        tenant,
        operator: folder.settings.operator.as_str().into(),
        at,
        reason: asked.reason.as_str().into(),
        lifted: asked.lifted,
        visitor: asked.whom.visitor_id,
        identifiers: named.map_err(|faults| wrong(&faults))?,
        key: None,
    };
    Ok(folder.engine.suppress(request)?)
}

/// The shape of an answer.
pub(crate) fn answered(folder: &Folder, answer: &Answer) -> anyhow::Result<Row<Told>> {
    // Only programs get to see the lead, for whom the listing must follow first.
    let lead = match answer.leads.first().filter(|_| folder.settings.json) {
        Some(lead) => folder.listing()?.reader()?.lead(folder.tenant()?, lead.id)?.0,
        None => None,
    };
    let shape = Answered {
        position: answer.position.0,
        at: rfc3339(answer.at),
        repeated: answer.repeated,
        events: answer.events.iter().map(LeadEvent::from).collect(),
        lead: lead.as_ref(),
    };
    Ok(Row::sent(serde_json::value::to_raw_value(&shape)?))
}

fn tell(told: Row<Told>, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return told.print_json();
    }
    let told = told.into_inner()?;
    line(format_args!("recorded at position {}, as of {}", told.position, told.at))?;
    tell_events(&told)
}

/// Tells the events, each with the leads that it is about.
pub(crate) fn tell_events(told: &Told) -> anyhow::Result<()> {
    const LEADS: [&str; 3] = ["lead_id", "from_lead_id", "to_lead_id"];
    for event in &told.events {
        let leads = LEADS.iter().filter_map(|name| event.get(*name)?.as_str());
        let words: Vec<&str> = event.get("event").and_then(|name| name.as_str()).into_iter().chain(leads).collect();
        line(format_args!("  {}", words.join(" ")))?;
    }
    Ok(())
}
