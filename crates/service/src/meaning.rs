//! What an act asks of the engine: the decider's command with what travels sealed, or one of the few other things.

use std::collections::BTreeMap;

use engine::{Engine, EngineError, SuppressionMark};
use event_log::LogPosition;
use lead_domain::command::Adoption;
use lead_domain::event::AfterUnmerge;
use lead_domain::interaction::Sale;
use lead_domain::{Command, Identifier, IdentifierKind, LeadId, Name, TenantId};
use proto_events::Personal;
use proto_events::cloud_event::Fault;
use proto_events::command_document::{AdoptInto, Ask, Rescore, Whom};
use proto_events::stored::{Attribute, Value};

/// What an act asks of the engine.
#[derive(Debug)]
pub enum Meaning {
    /// To decide about a command; the personal part travels sealed.
    Command(Command, Option<Box<Personal>>),
    /// To put a policy in force (TOML), and which leads to score anew by it.
    Policy(String, Rescore),
    /// To take the quarantined input at that position, repaired or as it was kept.
    Retry(LogPosition, Option<Vec<u8>>),
    /// To give the quarantined input at that position up.
    Discard(LogPosition),
    /// To collect nothing of somebody any more, or to collect it again.
    Suppression(Box<Suppression>),
}

/// A request about what is not to be collected, before its identifiers are hashed.
#[derive(Debug)]
pub struct Suppression {
    /// Whether it may be collected again.
    pub lifted: bool,
    /// Whose.
    pub whom: Whom,
    /// Why.
    pub reason: String,
}

/// The identifiers that are named, as events with these values carry them; none for blocked ones.
///
/// # Errors
/// Every value that is no address or number where it should be one.
pub fn identifiers(engine: &Engine, tenant: TenantId, whom: &Whom) -> Result<Vec<Identifier>, Vec<Fault>> {
    let Some(known) = engine.tenants().iter().find(|known| known.id == tenant) else { return Ok(Vec::new()) };
    let (rules, hash_key) = (known.rules(), engine.hash_key());
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    let named = [
        (IdentifierKind::CustomerId, "customer_id", &whom.customer_id),
        (IdentifierKind::Email, "email", &whom.email),
        (IdentifierKind::Phone, "phone", &whom.phone),
        (IdentifierKind::VisitorId, "device_id", &whom.device_id),
    ];
    for (kind, path, value) in named {
        let Some(value) = value else { continue };
        match feed::identifier_key(hash_key, &rules, kind, value) {
            Ok(key) => found.extend(key.map(|key| Identifier { kind, key })),
            Err(fault) => faults.push(Fault { path: path.to_owned(), ..fault }),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// What is suppressed of a tenant, behind `after`: of those whom `whom` names if it names any, else of all, at most `limit`.
///
/// # Errors
/// As [`identifiers`].
pub fn suppressed(
    engine: &Engine,
    tenant: TenantId,
    whom: &Whom,
    after: Option<Identifier>,
    limit: usize,
) -> Result<Vec<SuppressionMark>, Vec<Fault>> {
    let names_somebody = [&whom.customer_id, &whom.email, &whom.phone, &whom.device_id].iter().any(|it| it.is_some());
    if !names_somebody {
        return Ok(engine.suppressions(tenant, after, limit));
    }
    let is_behind = |it: &Identifier| after.is_none_or(|after| (it.kind, it.key.0) > (after.kind, after.key.0));
    let named = identifiers(engine, tenant, whom)?.into_iter().filter(is_behind);
    Ok(named.filter_map(|it| engine.suppression(tenant, it)).take(limit).collect())
}

/// What `ask` means for a tenant.
///
/// # Errors
/// [`EngineError::UnknownInteraction`], or when the log can't be read.
pub fn meaning(engine: &mut Engine, tenant: TenantId, ask: Ask) -> Result<Meaning, EngineError> {
    let hash_key = engine.hash_key();
    let order = |order: &str| feed::order_key(hash_key, tenant, order);
    let (command, personal) = match ask {
        Ask::OpenLead { visitor_id: visitor, lead_type } => {
            (Command::OpenLead { visitor, lead_type: lead_type.into() }, None)
        }
        Ask::CloseLead { lead_id: lead, reason, note } => {
            (Command::CloseLead { lead, reason: reason.into() }, note.as_deref().map(note_of))
        }
        Ask::ConvertLead { lead_id: lead, value, rgus, order_id } => {
            let sale = Sale { value, rgus, order: order_id.as_deref().map(order) };
            let personal =
                order_id.map(|order| Personal { order_id: Some(order.as_str().into()), ..Personal::default() });
            (Command::ConvertLead { lead, sale }, personal)
        }
        Ask::WithdrawConversion { lead_id: lead, order_id } => {
            (Command::WithdrawConversion { lead, order: order_id.as_deref().map(order) }, None)
        }
        Ask::ReopenLead { lead_id: lead } => (Command::ReopenLead { lead }, None),
        Ask::ChangeLeadType { lead_id: lead, lead_type } => {
            (Command::ChangeLeadType { lead, lead_type: lead_type.into() }, None)
        }
        Ask::AssignLead { lead_id: lead, owner } => (Command::AssignLead { lead, owner: owner.map(Name::from) }, None),
        Ask::AddNote { lead_id: lead, text } => (Command::AddNote { lead }, Some(note_of(&text))),
        Ask::SetAttributes { lead_id, attributes } => set_attributes(lead_id, attributes),
        Ask::AdoptOrphan { interaction_id, into } => {
            let into = match into {
                AdoptInto::LeadId(lead) => Adoption::Lead(lead),
                AdoptInto::LeadType(lead_type) => Adoption::NewLead(lead_type.into()),
            };
            (engine.adoption(tenant, interaction_id, into)?, None)
        }
        Ask::MoveInteraction { interaction_id, to_lead_id } => {
            (engine.movement(tenant, interaction_id, to_lead_id)?, None)
        }
        Ask::DiscreditInteraction { interaction_id, note } => {
            (engine.discrediting(tenant, interaction_id)?, note.as_deref().map(note_of))
        }
        Ask::MergeVisitors { visitor_id: one, other_visitor_id: other } => {
            (Command::MergeVisitors { one, other }, None)
        }
        Ask::UnmergeVisitor { visitor_id: visitor, keep_apart } => {
            let afterwards = if keep_apart { AfterUnmerge::KeepApart } else { AfterUnmerge::MayMergeAgain };
            (Command::UnmergeVisitor { visitor, afterwards }, None)
        }
        Ask::SettleDuplicate { visitor_id: one, other_visitor_id: other } => {
            (Command::SettleDuplicate { one, other }, None)
        }
        Ask::EraseVisitor { visitor_id: visitor, reason } => {
            (Command::EraseVisitor { visitor, reason: reason.into() }, None)
        }
        Ask::Suppress { whom, reason } => {
            return Ok(Meaning::Suppression(Box::new(Suppression { lifted: false, whom, reason })));
        }
        Ask::Unsuppress { whom, reason } => {
            return Ok(Meaning::Suppression(Box::new(Suppression { lifted: true, whom, reason })));
        }
        Ask::AdoptPolicy { document, rescore } => return Ok(Meaning::Policy(document, rescore)),
        Ask::RetryQuarantined { position, event } => {
            let event = event.map(|event| event.as_str().as_bytes().to_vec());
            return Ok(Meaning::Retry(LogPosition(position), event));
        }
        Ask::DiscardQuarantined { position } => return Ok(Meaning::Discard(LogPosition(position))),
    };
    Ok(Meaning::Command(command, personal.map(Box::new)))
}

fn note_of(text: &str) -> Personal {
    Personal { note: Some(text.into()), ..Personal::default() }
}

fn set_attributes(lead: LeadId, attributes: BTreeMap<String, Value>) -> (Command, Option<Personal>) {
    let names = attributes.keys().map(Name::from).collect();
    let attributes = attributes.into_iter().map(|(name, value)| Attribute { name: name.as_str().into(), value });
    let personal = Personal { attributes: attributes.collect(), ..Personal::default() };
    (Command::SetAttributes { lead, names }, Some(personal))
}
