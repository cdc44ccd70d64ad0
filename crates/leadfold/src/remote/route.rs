//! Which route of the API an act takes.

use lead_domain::Time;
use proto_events::command_document::Ask;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::output::rfc3339;

/// Where an act goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The field of the act that stands in the path, and so not in the body.
    in_path: Option<&'static str>,
}

impl Route {
    /// The route of an act.
    pub(crate) fn of(ask: &Ask) -> Self {
        let post = |path: String, in_path| Self { method: Method::POST, path, in_path: Some(in_path) };
        let lead = |id: &dyn std::fmt::Display, verb: &str| post(format!("/v1/leads/{id}/{verb}"), "lead_id");
        let visitor = |id: &dyn std::fmt::Display, verb: &str| post(format!("/v1/visitors/{id}/{verb}"), "visitor_id");
        match ask {
            Ask::OpenLead { .. } => Self { method: Method::POST, path: "/v1/leads".to_owned(), in_path: None },
            Ask::CloseLead { lead_id, .. } => lead(lead_id, "close"),
            Ask::ConvertLead { lead_id, .. } => lead(lead_id, "convert"),
            Ask::WithdrawConversion { lead_id, .. } => lead(lead_id, "withdraw"),
            Ask::ReopenLead { lead_id } => lead(lead_id, "reopen"),
            Ask::ChangeLeadType { lead_id, .. } => lead(lead_id, "type"),
            Ask::AssignLead { lead_id, .. } => lead(lead_id, "assign"),
            Ask::AddNote { lead_id, .. } => lead(lead_id, "notes"),
            Ask::SetAttributes { lead_id, .. } => {
                Self { method: Method::PATCH, path: format!("/v1/leads/{lead_id}"), in_path: Some("lead_id") }
            }
            Ask::AdoptOrphan { interaction_id, .. } => {
                post(format!("/v1/orphans/{interaction_id}/adopt"), "interaction_id")
            }
            Ask::MoveInteraction { interaction_id, .. } => {
                post(format!("/v1/interactions/{interaction_id}/move"), "interaction_id")
            }
            Ask::DiscreditInteraction { interaction_id, .. } => {
                post(format!("/v1/interactions/{interaction_id}/discredit"), "interaction_id")
            }
            Ask::MergeVisitors { visitor_id, .. } => visitor(visitor_id, "merge"),
            Ask::UnmergeVisitor { visitor_id, .. } => visitor(visitor_id, "unmerge"),
            Ask::SettleDuplicate { visitor_id, .. } => visitor(visitor_id, "settle"),
            Ask::EraseVisitor { visitor_id, .. } => {
                Self { method: Method::DELETE, path: format!("/v1/visitors/{visitor_id}"), in_path: Some("visitor_id") }
            }
            Ask::Suppress { .. } => Self { method: Method::POST, path: "/v1/suppressions".to_owned(), in_path: None },
            Ask::Unsuppress { .. } => {
                Self { method: Method::DELETE, path: "/v1/suppressions".to_owned(), in_path: None }
            }
            Ask::AdoptPolicy { .. } => {
                Self { method: Method::PUT, path: "/v1/policy".to_owned(), in_path: Some("document") }
            }
            Ask::RetryQuarantined { position, .. } => post(format!("/v1/quarantine/{position}/retry"), "position"),
            Ask::DiscardQuarantined { position } => post(format!("/v1/quarantine/{position}/discard"), "position"),
        }
    }
}

/// What an act's request holds: its fields but for those that its path says.
pub(crate) fn body(ask: &Ask, at: Option<Time>) -> anyhow::Result<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(ask)?)?;
    fields.remove("command");
    if let Some(name) = Route::of(ask).in_path {
        fields.remove(name);
    }
    fields.extend(at.map(|at| ("at".to_owned(), rfc3339(at).into())));
    Ok(serde_json::to_vec(&fields)?)
}

#[cfg(test)]
mod tests {
    use lead_domain::{LeadId, VisitorId};

    use super::*;

    #[test]
    fn an_act_is_said_once_by_its_path_and_its_body() {
        let lead = LeadId { visitor: VisitorId(1), ordinal: 2 };
        let ask = Ask::CloseLead { lead_id: lead, reason: "duplicate".to_owned(), note: None };
        let route = Route::of(&ask);
        assert_eq!((route.method, route.path.as_str()), (Method::POST, "/v1/leads/V1-2/close"));
        let body = body(&ask, Some(Time::from_millis(0))).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), r#"{"at":"1970-01-01T00:00:00Z","reason":"duplicate"}"#);
    }
}
