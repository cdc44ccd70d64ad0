//! Which fields each command has.

use super::fields::Fields;
use super::{
    AdoptInto, Ask, EventJson, NAME_CHARACTERS_MAX, NOTE_CHARACTERS_MAX, POLICY_CHARACTERS_MAX, Rescore, Whom,
};
use crate::cloud_event::code;

const LEAD: &str = "a lead id such as V42-1";
const VISITOR: &str = "a visitor id such as V42";
const INTERACTION: &str = "an interaction id such as I1042";

/// The words of all commands.
pub const COMMANDS: [&str; 21] = [
    "open_lead",
    "close_lead",
    "convert_lead",
    "withdraw_conversion",
    "reopen_lead",
    "change_lead_type",
    "assign_lead",
    "add_note",
    "set_attributes",
    "adopt_orphan",
    "move_interaction",
    "discredit_interaction",
    "merge_visitors",
    "unmerge_visitor",
    "settle_duplicate",
    "erase_visitor",
    "suppress",
    "unsuppress",
    "adopt_policy",
    "retry_quarantined",
    "discard_quarantined",
];

/// The command; `None` where its word is missing or unknown, which is a fault.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Ask> {
    let command = fields.required_name("command", NAME_CHARACTERS_MAX);
    let ask = about_a_lead(&command, fields).or_else(|| about_others(&command, fields));
    if ask.is_none() && !command.is_empty() {
        let message = format!("The command must be one of {}.", COMMANDS.join(", "));
        fields.fault("command", code::UNKNOWN_COMMAND, message);
    }
    ask
}

fn about_a_lead(command: &str, fields: &mut Fields<'_>) -> Option<Ask> {
    let ask = match command {
        "close_lead" => Ask::CloseLead {
            lead_id: fields.required_id("lead_id", LEAD),
            reason: fields.required_name("reason", NAME_CHARACTERS_MAX),
            note: fields.prose("note", NOTE_CHARACTERS_MAX),
        },
        "convert_lead" => Ask::ConvertLead {
            lead_id: fields.required_id("lead_id", LEAD),
            value: fields.money(),
            rgus: fields.whole("rgus", 0, u32::MAX).unwrap_or(0),
            order_id: fields.name("order_id"),
        },
        "withdraw_conversion" => {
            Ask::WithdrawConversion { lead_id: fields.required_id("lead_id", LEAD), order_id: fields.name("order_id") }
        }
        "reopen_lead" => Ask::ReopenLead { lead_id: fields.required_id("lead_id", LEAD) },
        "change_lead_type" => Ask::ChangeLeadType {
            lead_id: fields.required_id("lead_id", LEAD),
            lead_type: fields.required_name("lead_type", NAME_CHARACTERS_MAX),
        },
        "assign_lead" => Ask::AssignLead { lead_id: fields.required_id("lead_id", LEAD), owner: fields.name("owner") },
        "add_note" => Ask::AddNote {
            lead_id: fields.required_id("lead_id", LEAD),
            text: fields.required_prose("text", NOTE_CHARACTERS_MAX),
        },
        "set_attributes" => Ask::SetAttributes {
            lead_id: fields.required_id("lead_id", LEAD),
            attributes: fields.attributes("attributes"),
        },
        _ => return None,
    };
    Some(ask)
}

fn about_others(command: &str, fields: &mut Fields<'_>) -> Option<Ask> {
    let ask = match command {
        "open_lead" => Ask::OpenLead {
            visitor_id: fields.required_id("visitor_id", VISITOR),
            lead_type: fields.required_name("lead_type", NAME_CHARACTERS_MAX),
        },
        "adopt_orphan" => Ask::AdoptOrphan {
            interaction_id: fields.required_id("interaction_id", INTERACTION),
            into: adopt_into(fields),
        },
        "move_interaction" => Ask::MoveInteraction {
            interaction_id: fields.required_id("interaction_id", INTERACTION),
            to_lead_id: fields.required_id("to_lead_id", LEAD),
        },
        "discredit_interaction" => Ask::DiscreditInteraction {
            interaction_id: fields.required_id("interaction_id", INTERACTION),
            note: fields.prose("note", NOTE_CHARACTERS_MAX),
        },
        "merge_visitors" => Ask::MergeVisitors {
            visitor_id: fields.required_id("visitor_id", VISITOR),
            other_visitor_id: fields.required_id("other_visitor_id", VISITOR),
        },
        "unmerge_visitor" => Ask::UnmergeVisitor {
            visitor_id: fields.required_id("visitor_id", VISITOR),
            keep_apart: fields.truth("keep_apart").unwrap_or(false),
        },
        "settle_duplicate" => Ask::SettleDuplicate {
            visitor_id: fields.required_id("visitor_id", VISITOR),
            other_visitor_id: fields.required_id("other_visitor_id", VISITOR),
        },
        "erase_visitor" => Ask::EraseVisitor {
            visitor_id: fields.required_id("visitor_id", VISITOR),
            reason: fields.required_name("reason", NAME_CHARACTERS_MAX),
        },
        "suppress" => Ask::Suppress { whom: whom(fields), reason: fields.required_name("reason", NAME_CHARACTERS_MAX) },
        "unsuppress" => {
            Ask::Unsuppress { whom: whom(fields), reason: fields.required_name("reason", NAME_CHARACTERS_MAX) }
        }
        "adopt_policy" => Ask::AdoptPolicy {
            document: fields.required_prose("document", POLICY_CHARACTERS_MAX),
            rescore: rescore(fields),
        },
        "retry_quarantined" => Ask::RetryQuarantined {
            position: fields.required_position("position"),
            event: fields.object("event").map(|event| EventJson(event.to_owned())),
        },
        "discard_quarantined" => Ask::DiscardQuarantined { position: fields.required_position("position") },
        _ => return None,
    };
    Some(ask)
}

/// Which leads are scored anew; none where nothing is said.
fn rescore(fields: &mut Fields<'_>) -> Rescore {
    let Some(word) = fields.name("rescore") else { return Rescore::None };
    Rescore::of(&word).unwrap_or_else(|| {
        let message = format!("rescore must be one of {}.", Rescore::WORDS.join(", "));
        fields.fault("rescore", code::WRONG_TYPE, message);
        Rescore::None
    })
}

/// Somebody, by identifiers. Whether any of them is left is for the engine to say.
fn whom(fields: &mut Fields<'_>) -> Whom {
    Whom {
        visitor_id: fields.id("visitor_id", VISITOR),
        customer_id: fields.name("customer_id"),
        email: fields.name("email"),
        phone: fields.name("phone"),
        device_id: fields.name("device_id"),
    }
}

/// A lead or a type, and not both.
fn adopt_into(fields: &mut Fields<'_>) -> AdoptInto {
    let before = fields.count();
    match (fields.id("lead_id", LEAD), fields.name("lead_type")) {
        (Some(lead_id), None) => return AdoptInto::LeadId(lead_id),
        (None, Some(lead_type)) => return AdoptInto::LeadType(lead_type),
        (Some(_), Some(_)) => {
            let message = "An orphan goes into the lead lead_id or into a new lead of lead_type, not both.";
            fields.fault("lead_id", code::CONTRADICTION, message);
        }
        (None, None) if fields.count() == before => {
            let message = "Name the lead_id that takes the orphan, or the lead_type of a new lead for it.";
            fields.fault("lead_id", code::MISSING_FIELD, message);
        }
        (None, None) => {}
    }
    AdoptInto::LeadType(String::new())
}
