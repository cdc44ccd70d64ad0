//! `leadfold lead ID …`

use anyhow::bail;
use lead_domain::interaction::Sale;
use lead_domain::{Command, Currency, LeadId, Money, Name, OrderKey};
use listing::LeadRow;
use proto_events::Personal;
use proto_events::stored::{Attribute, Value};

use crate::cli::{ActArgs, LeadAct, LeadArgs};
use crate::commands::leads::{money, optional_time};
use crate::commands::{act, timeline};
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, short_time};
use crate::settings::Settings;

/// The longest note or attribute value, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

pub(crate) fn run(args: &LeadArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut folder = Folder::open(settings)?;
    match &args.act {
        Some(command) => act_on(folder, args.id, command),
        None if args.timeline => {
            find(&folder, args.id)?;
            timeline::print(&mut folder, args.id.visitor, Some(args.id), args.limit)?;
            folder.close()
        }
        None => {
            let lead = find(&folder, args.id)?;
            if settings.json {
                json_line(&lead)?
            } else {
                print(&lead)?
            }
            folder.close()
        }
    }
}

fn find(folder: &Folder, id: LeadId) -> anyhow::Result<LeadRow> {
    let listing = folder.listing()?;
    let (found, _) = listing.reader()?.lead(folder.tenant()?, id)?;
    match found {
        Some(lead) => Ok(lead),
        None => bail!(engine::EngineError::Refused(lead_domain::Refusal::UnknownLead { lead: id })),
    }
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

fn act_on(folder: Folder, lead: LeadId, command: &LeadAct) -> anyhow::Result<()> {
    let (command, personal, args): (Command, Option<Personal>, &ActArgs) = match command {
        LeadAct::Close { reason, note, act } => {
            let personal = note.as_deref().map(note_of).transpose()?;
            (Command::CloseLead { lead, reason: Name::new(reason) }, personal, act)
        }
        LeadAct::Convert { value, currency, rgus, order, act } => {
            let value = value.map(|amount| amount_of(&folder, amount, currency.as_deref())).transpose()?;
            let key = order.as_deref().map(|order| order_key(&folder, order)).transpose()?;
            let personal =
                order.as_ref().map(|order| Personal { order_id: Some(order.as_str().into()), ..Personal::default() });
            let sale = Sale { value, rgus: *rgus, order: key };
            (Command::ConvertLead { lead, sale }, personal, act)
        }
        LeadAct::Withdraw { order, act } => {
            let order = order.as_deref().map(|order| order_key(&folder, order)).transpose()?;
            (Command::WithdrawConversion { lead, order }, None, act)
        }
        LeadAct::Reopen { act } => (Command::ReopenLead { lead }, None, act),
        LeadAct::Type { lead_type, act } => {
            (Command::ChangeLeadType { lead, lead_type: Name::new(lead_type) }, None, act)
        }
        LeadAct::Set { attributes, act } => {
            let attributes = attributes.iter().map(|text| attribute_of(text)).collect::<anyhow::Result<Vec<_>>>()?;
            let names = attributes.iter().map(|attribute| attribute.name.0.clone()).collect();
            let personal = Personal { attributes, ..Personal::default() };
            (Command::SetAttributes { lead, names }, Some(personal), act)
        }
        LeadAct::Note { text, act } => (Command::AddNote { lead }, Some(note_of(text)?), act),
        LeadAct::Assign { owner, act } => {
            (Command::AssignLead { lead, owner: owner.as_ref().map(Name::new) }, None, act)
        }
    };
    act::execute(folder, command, personal, args)
}

fn note_of(text: &str) -> anyhow::Result<Personal> {
    check_length(text, "the note")?;
    Ok(Personal { note: Some(text.into()), ..Personal::default() })
}

fn check_length(text: &str, what: &str) -> anyhow::Result<()> {
    if text.len() > TEXT_BYTES_MAX {
        bail!(UsageError(format!("{what} is longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// NAME=VALUE; a value that reads as a whole number, true or false is one.
fn attribute_of(text: &str) -> anyhow::Result<Attribute> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        bail!(UsageError("an attribute must be NAME=VALUE".to_owned()));
    };
    check_length(text, "the attribute")?;
    let value = match (value, value.parse::<i64>()) {
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Ok(number)) => Value::Integer(number),
        (text, Err(_)) => Value::Text(text.into()),
    };
    Ok(Attribute { name: name.into(), value })
}

fn amount_of(folder: &Folder, amount: i64, currency: Option<&str>) -> anyhow::Result<Money> {
    let tenant = folder.tenant()?;
    let found = folder.engine.tenants().iter().find(|known| known.id == tenant);
    let currency = match currency {
        Some(code) => iso_currency::Currency::from_code(code)
            .and_then(|_| Currency::new(code))
            .ok_or_else(|| UsageError("--currency must be an ISO 4217 code such as EUR".to_owned()))?,
        None => found.map(|tenant| tenant.policy().currency).ok_or(engine::EngineError::WriterStopped)?,
    };
    Ok(Money { amount, currency })
}

fn order_key(folder: &Folder, order: &str) -> anyhow::Result<OrderKey> {
    Ok(feed::order_key(folder.engine.hash_key(), folder.tenant()?, order))
}
