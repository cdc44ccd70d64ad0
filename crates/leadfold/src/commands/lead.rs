//! `leadfold lead ID …`

use anyhow::bail;
use engine::{EngineError, When};
use lead_domain::{Currency, LeadId, Money, Refusal};
use listing::LeadRow;
use proto_events::command_document::Ask;
use proto_events::stored::Value;

use crate::cli::{ActArgs, LeadAct, LeadArgs};
use crate::commands::leads::{money, optional_time};
use crate::commands::rows::Row;
use crate::commands::{act, as_of, policy, score, timeline};
use crate::failure::UsageError;
use crate::output::{line, short_time};
use crate::remote::{Call, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &LeadArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut source = Source::open(settings)?;
    let when = When { as_of: args.as_of, known_at: args.known_at };
    match &args.act {
        Some(command) => {
            let (ask, shared) = ask_of(&source, args.id, command)?;
            return act::execute(source, ask, shared, settings);
        }
        None if args.timeline => timeline::of_lead(&mut source, args.id, args.limit, settings)?,
        None if args.score => {
            let asked = score::Asked { id: args.id, when, why: args.why.as_deref() };
            score::of_lead(&mut source, &asked, settings)?
        }
        None => {
            let is_past = when != When::default();
            let lead =
                if is_past { as_of::lead(&mut source, args.id, when, settings)? } else { find(&source, args.id)? };
            show(lead, settings)?;
        }
    }
    source.close()
}

/// Shows a lead to people or programs.
pub(crate) fn show(lead: Row<LeadRow>, settings: &Settings) -> anyhow::Result<()> {
    if settings.json { lead.print_json() } else { print(&lead.into_inner()?) }
}

fn find(source: &Source, id: LeadId) -> anyhow::Result<Row<LeadRow>> {
    match source {
        Source::Folder(folder) => {
            let (found, _) = folder.listing()?.reader()?.lead(folder.tenant()?, id)?;
            found.map(Row::Ours).ok_or_else(|| unknown(id))
        }
        Source::Server(server) => {
            let answer = server.listed(Call::get(format!("/v1/leads/{id}")));
            Row::only(&answer.map_err(|error| missing(error, || unknown(id)))?.body)
        }
    }
}

/// What to say of a lead that isn't there.
pub(crate) fn unknown(lead: LeadId) -> anyhow::Error {
    EngineError::Refused(Refusal::UnknownLead { lead }).into()
}

fn print(lead: &LeadRow) -> anyhow::Result<()> {
    let cause = [&lead.close_cause, &lead.close_reason].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let contact = &lead.contact;
    let known = [&contact.name, &contact.email, &contact.phone].into_iter().flatten().cloned().collect::<Vec<_>>();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = [
        ("lead", lead.id.to_string()),
        ("visitor", lead.visitor_id.to_string()),
        ("customer", text(&lead.customer_id)),
        ("contact", known.join(", ")),
        ("type", lead.lead_type.clone()),
        ("status", if cause.is_empty() { "open".to_owned() } else { format!("closed ({cause})") }),
        ("opened", short_time(lead.opened_at)),
        ("closed", optional_time(lead.closed_at)),
        ("deadline", short_time(lead.deadline)),
        ("interactions", lead.interactions.to_string()),
        ("first interaction", short_time(lead.first_interaction_at)),
        ("last interaction", short_time(lead.last_interaction_at)),
        ("channel", text(&lead.channel)),
        ("skill", text(&lead.skill)),
        ("campaign", lead.campaign.as_ref().map(|campaign| text(&campaign.name)).unwrap_or_default()),
        ("score", score_of(lead)),
        ("stage", text(&lead.stage)),
        ("value", lead.sale_value.map(money).unwrap_or_default()),
        ("units", if lead.rgus == 0 { String::new() } else { lead.rgus.to_string() }),
        ("last product", lead.last_product.as_ref().map(|product| text(&product.name)).unwrap_or_default()),
        ("owner", text(&lead.owner)),
        ("version", lead.version.to_string()),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        line(format_args!("{name:<18} {value}"))?;
    }
    for (name, value) in &lead.attributes {
        line(format_args!("attribute          {name} = {value}"))?;
    }
    for note in &lead.notes {
        line(format_args!("note               {}: {}", short_time(note.at), note.text))?;
    }
    Ok(())
}

/// Points with how warm they make a lead; nothing where there are none.
fn score_of(lead: &LeadRow) -> String {
    let listing::ScoreRow { total, fit, engagement, .. } = lead.score;
    let grade = lead.grade.as_ref().map(|grade| format!(", grade {grade}")).unwrap_or_default();
    if (total, fit, engagement) == (0, 0, 0) {
        return grade.trim_start_matches(", ").to_owned();
    }
    let temperature = lead.temperature.clone().unwrap_or_default();
    format!("{total} (fit {fit}, engagement {engagement}), {temperature}{grade}")
}

/// What is asked of a lead.
fn ask_of<'a>(source: &Source, lead_id: LeadId, act: &'a LeadAct) -> anyhow::Result<(Ask, &'a ActArgs)> {
    Ok(match act {
        LeadAct::Close { reason, note, act } => {
            (Ask::CloseLead { lead_id, reason: reason.clone(), note: note.clone() }, act)
        }
        LeadAct::Convert { value, currency, rgus, order, act } => {
            let value = value.map(|amount| amount_of(source, amount, currency.as_deref())).transpose()?;
            (Ask::ConvertLead { lead_id, value, rgus: *rgus, order_id: order.clone() }, act)
        }
        LeadAct::Withdraw { order, act } => (Ask::WithdrawConversion { lead_id, order_id: order.clone() }, act),
        LeadAct::Reopen { act } => (Ask::ReopenLead { lead_id }, act),
        LeadAct::Type { lead_type, act } => (Ask::ChangeLeadType { lead_id, lead_type: lead_type.clone() }, act),
        LeadAct::Set { attributes, act } => {
            let attributes = attributes.iter().map(|text| attribute_of(text)).collect::<anyhow::Result<_>>()?;
            (Ask::SetAttributes { lead_id, attributes }, act)
        }
        LeadAct::Note { text, act } => (Ask::AddNote { lead_id, text: text.clone() }, act),
        LeadAct::Assign { owner, act } => (Ask::AssignLead { lead_id, owner: owner.clone() }, act),
    })
}

/// NAME=VALUE; a value that reads as a whole number, true or false is one.
fn attribute_of(text: &str) -> anyhow::Result<(String, Value)> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        bail!(UsageError("an attribute must be NAME=VALUE".to_owned()));
    };
    let value = match (value, value.parse::<i64>()) {
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Ok(number)) => Value::Integer(number),
        (text, Err(_)) => Value::Text(text.into()),
    };
    Ok((name.to_owned(), value))
}

fn amount_of(source: &Source, amount: i64, currency: Option<&str>) -> anyhow::Result<Money> {
    let currency = match currency {
        Some(code) => iso_currency::Currency::from_code(code)
            .and_then(|_| Currency::new(code))
            .ok_or_else(|| UsageError("--currency must be an ISO 4217 code such as EUR".to_owned()))?,
        None => policy::currency(source)?,
    };
    Ok(Money { amount, currency })
}
