//! Acting: every command, as a route of its own.

use std::borrow::Cow;

use access::Permission;
use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use engine::Answer;
use http::{HeaderMap, StatusCode, header};
use listing::LeadRow;
use proto_events::command_document::CommandDocument;
use proto_events::lead_event::{LeadEvent, rfc3339};
use serde::Serialize;
use service::{Form, RawInput, Receipt};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answer::At;
use crate::caller::Caller;
use crate::media::media_type;
use crate::parameters::{ByOperator, Id, IfMatch, OfTenant, Once};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::shown::shown_events;
use crate::state::Api;

/// What a command led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandAnswer {
    /// Its record.
    position: u64,
    /// When it counts as given.
    #[schema(format = DateTime)]
    at: String,
    /// Whether it had been carried out before under the same key, and nothing changed now.
    repeated: bool,
    /// What was decided, in order.
    #[schema(value_type = Vec<Object>)]
    events: Vec<LeadEvent>,
    /// The lead that it is about, as it is now; `null` for a command about something else.
    lead: Option<LeadRow>,
}

/// What a request says besides its body.
pub(crate) struct Said {
    fields: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Said {
    pub(crate) async fn of(request: Request, api: &Api, fields: Vec<(&'static str, String)>) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, api).await?;
        if !body.is_empty() && media_type(&headers) != "application/json" {
            return Err(Problem::unsupported_media("Send application/json."));
        }
        Ok(Self { fields, headers, body })
    }
}

/// Carries out what a request says, for a caller who may act.
async fn carry_out(api: &Api, caller: &Caller, said: Said) -> Result<At<CommandAnswer>, Problem> {
    caller.must(Permission::Act)?;
    let tenant = api.tenant(caller)?.name.to_string();
    act(api, caller, Some(tenant), &document(caller, said)?).await
}

/// The document of a request.
pub(crate) fn document(caller: &Caller, said: Said) -> Result<CommandDocument, Problem> {
    let mut fields = said.fields;
    fields.push(("id", idempotency_key(&said.headers)?));
    fields.push(("operator", caller.operator()));
    if let Some(version) = if_match(&said.headers)? {
        fields.push(("if_version", version.to_string()));
    }
    let known: Vec<(&'static str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = if said.body.is_empty() { Bytes::from_static(b"{}") } else { said.body };
    CommandDocument::read_with(&body, &known).map_err(|faults| Problem::faults(&faults))
}

/// Carries a command out, and answers with the lead that it is about, as it is now.
pub(crate) async fn act(
    api: &Api,
    caller: &Caller,
    tenant: Option<String>,
    document: &CommandDocument,
) -> Result<At<CommandAnswer>, Problem> {
    let answer = submit(api, tenant, document).await?;
    let lead = match answer.leads.first().map(|lead| lead.id) {
        None => None,
        Some(lead) => {
            let tenant = api.tenant(caller)?.id;
            api.wait(Some(answer.position.0)).await?;
            api.service.read_listing(move |reader| reader.lead(tenant, lead)).await??.0
        }
    };
    let version = lead.as_ref().map(|lead| lead.version);
    let body = CommandAnswer {
        position: answer.position.0,
        at: rfc3339(answer.at),
        repeated: answer.repeated,
        events: shown_events(&answer.events),
        lead,
    };
    Ok(At::new(answer.position, body).version(version))
}

/// Sends a command in and waits until it is durable.
pub(crate) async fn submit(
    api: &Api,
    tenant: Option<String>,
    document: &CommandDocument,
) -> Result<Box<Answer>, Problem> {
    let input = RawInput {
        tenant: tenant.map(Into::into),
        origin: Cow::Borrowed("http"),
        feed_sequence: 0,
        received_at: api.service.now(),
        form: Form::Command,
        bytes: document.to_json().into(),
    };
    let receipts = api.inlet.submit(vec![input]).await?;
    match receipts.into_iter().next() {
        Some(Receipt::Command(answer)) => Ok(answer?),
        // A command that a feed could not read is kept; ours was read before it was sent.
        Some(Receipt::Event(_)) | None => Err(Problem::internal(&service::ServiceError::Failed)),
    }
}

/// The key that the caller gave, or one of our own: then a repetition is another command.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(Uuid::new_v4().to_string()) };
    let text = value.to_str().unwrap_or_default().trim();
    let fits = (1..=128).contains(&text.len());
    let wrong =
        || Problem::field("Idempotency-Key", "invalid_value", "The key must have 1 to 128 characters of ASCII.");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// The version that the caller has seen.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|digits| digits.parse().ok());
    let wrong = || {
        Problem::field(
            "If-Match",
            "invalid_value",
            "If-Match must be the ETag of what is to be changed, such as \"7\".",
        )
    };
    version.map(Some).ok_or_else(wrong)
}

/// Defines the route of a command about one thing that the address names.
macro_rules! command_route {
    (
        $(#[doc = $doc:literal])+
        $name:ident, $method:ident $path:literal, $field:literal, $pattern:literal, $command:literal, $body:ty, $tag:literal
    ) => {
        $(#[doc = $doc])+
        #[utoipa::path(
            $method, path = $path, tag = $tag,
            params(
                ("id" = String, Path, pattern = $pattern),
                Once,
                IfMatch,
                ByOperator,
                OfTenant,
            ),
            request_body(content = $body, content_type = "application/json"),
            responses(
                (status = 200, body = CommandAnswer, headers(
                    ("ETag" = String, description = "The lead's version"),
                    ("X-Leadfold-Position" = u64, description = "The command's record"),
                )),
                CommonProblems, BodyProblems, CommandProblems
            )
        )]
        pub(crate) async fn $name(
            State(api): State<Api>,
            caller: Caller,
            Id(id): Id,
            request: Request,
        ) -> Result<At<CommandAnswer>, Problem> {
            let fields = vec![("command", $command.to_owned()), ($field, id)];
            let said = Said::of(request, &api, fields).await?;
            carry_out(&api, &caller, said).await
        }
    };
}

/// What the bodies of commands may hold. They are read by `CommandDocument`; these say what it takes.
pub(crate) mod bodies {
    use utoipa::openapi::schema::{AnyOfBuilder, Object, Schema, Type};

    use super::{Serialize, ToSchema};

    /// An amount of money.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Amount {
        /// Minor units: 12900 is 129.00 EUR.
        amount: i64,
        /// ISO 4217 code.
        #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
        currency: String,
    }

    /// Nothing but when it counts.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Plain {
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Why a lead is closed.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Close {
        /// One of the policy's `close_reasons`.
        #[schema(
            min_length = 1,
            max_length = 256,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
            example = "not_interested"
        )]
        reason: String,
        /// What there is to say about it.
        #[schema(max_length = 4096, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
        note: Option<String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// A sale.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Convert {
        /// What was paid.
        value: Option<Amount>,
        /// Units sold.
        rgus: Option<u32>,
        /// The order, which counts once for each tenant.
        #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
        order_id: Option<String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Which sale is taken back.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Withdraw {
        /// Which order; the latest sale where absent.
        #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
        order_id: Option<String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// A lead type.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct OfType {
        /// A lead type of the policy, which must be active.
        #[schema(
            min_length = 1,
            max_length = 256,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
        )]
        lead_type: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// A lead to open by hand.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Open {
        /// For whom, such as V42.
        #[schema(pattern = "^V[1-9][0-9]*$", example = "V42")]
        visitor_id: String,
        /// A lead type of the policy, which must be active.
        #[schema(
            min_length = 1,
            max_length = 256,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
        )]
        lead_type: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// A note.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Note {
        /// The text.
        #[schema(
            min_length = 1,
            max_length = 4096,
            pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
        )]
        text: String,
        /// When it counts as written; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Who handles a lead.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Assign {
        /// The operator's account name; nobody where absent.
        #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
        owner: Option<String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Attributes to set; those that are not named stay.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Set {
        /// Names and values: texts, numbers, true or false.
        #[schema(schema_with = scalars)]
        attributes: std::collections::BTreeMap<String, String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    fn scalars() -> Object {
        let scalar = AnyOfBuilder::new()
            .item(
                Object::builder()
                    .schema_type(Type::String)
                    .max_length(Some(256))
                    .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")),
            )
            .item(Object::with_type(Type::Number))
            .item(Object::with_type(Type::Boolean));
        Object::builder()
            .schema_type(Type::Object)
            .property_names(Some(Object::builder().schema_type(Type::String).pattern(Some("^[!-~]{1,256}$")).build()))
            .min_properties(Some(1))
            .max_properties(Some(64))
            .additional_properties(Some(Schema::from(scalar)))
            .build()
    }

    /// Where an orphan goes: into a lead or into a new one, not both.
    #[derive(Serialize, ToSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "stands in the description only")]
    pub(crate) enum Adopt {
        Lead(IntoLead),
        NewLead(OfType),
    }

    /// Which lead takes an orphan.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct IntoLead {
        /// An open lead of the same visitor.
        #[schema(pattern = "^V[1-9][0-9]*-[1-9][0-9]*$")]
        lead_id: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Where an interaction goes.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Move {
        /// Another lead of the same visitor.
        #[schema(pattern = "^V[1-9][0-9]*-[1-9][0-9]*$")]
        to_lead_id: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Why the points of an interaction are taken away.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Discredit {
        /// What there is to say about it.
        #[schema(max_length = 4096, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
        note: Option<String>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// The other visitor.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Other {
        /// Such as V77.
        #[schema(pattern = "^V[1-9][0-9]*$", example = "V77")]
        other_visitor_id: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// Why somebody is erased.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Erase {
        /// Stands in the log in clear, and for good: say nothing in it that tells who it was.
        #[schema(
            min_length = 1,
            max_length = 256,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
            example = "asked for it"
        )]
        reason: String,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }

    /// How a merge is undone.
    #[derive(Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Unmerge {
        /// Whether shared identifiers may not merge the two again; they may where absent.
        keep_apart: Option<bool>,
        /// When it counts as done; now where absent.
        #[schema(format = DateTime)]
        at: Option<String>,
    }
}

command_route! {
    /// Close a lead
    close, post "/v1/leads/{id}/close", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "close_lead", bodies::Close, "acting"
}
command_route! {
    /// Record a sale, and close the lead
    convert, post "/v1/leads/{id}/convert", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "convert_lead", bodies::Convert, "acting"
}
command_route! {
    /// Take a sale back
    withdraw, post "/v1/leads/{id}/withdraw", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "withdraw_conversion", bodies::Withdraw, "acting"
}
command_route! {
    /// Let a closed lead go on
    reopen, post "/v1/leads/{id}/reopen", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "reopen_lead", bodies::Plain, "acting"
}
command_route! {
    /// Give a lead another type
    change_type, post "/v1/leads/{id}/type", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "change_lead_type", bodies::OfType, "acting"
}
command_route! {
    /// Write a note
    note, post "/v1/leads/{id}/notes", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "add_note", bodies::Note, "acting"
}
command_route! {
    /// Give a lead to an operator, or to nobody
    assign, post "/v1/leads/{id}/assign", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "assign_lead", bodies::Assign, "acting"
}
command_route! {
    /// Set attributes of a lead
    set_attributes, patch "/v1/leads/{id}", "lead_id", "^V[1-9][0-9]*-[1-9][0-9]*$", "set_attributes", bodies::Set, "acting"
}
command_route! {
    /// Put an orphan into a lead
    adopt_orphan, post "/v1/orphans/{id}/adopt", "interaction_id", "^I[1-9][0-9]*$", "adopt_orphan", bodies::Adopt, "acting"
}
command_route! {
    /// Put an interaction into another lead of its visitor
    move_interaction, post "/v1/interactions/{id}/move", "interaction_id", "^I[1-9][0-9]*$", "move_interaction", bodies::Move, "acting"
}
command_route! {
    /// Take the points of an interaction away, as of a bot; it stays in its lead
    discredit, post "/v1/interactions/{id}/discredit", "interaction_id", "^I[1-9][0-9]*$", "discredit_interaction", bodies::Discredit, "acting"
}
command_route! {
    /// Make one visitor of two; the older one survives
    merge, post "/v1/visitors/{id}/merge", "visitor_id", "^V[1-9][0-9]*$", "merge_visitors", bodies::Other, "acting"
}
command_route! {
    /// Undo a merge
    unmerge, post "/v1/visitors/{id}/unmerge", "visitor_id", "^V[1-9][0-9]*$", "unmerge_visitor", bodies::Unmerge, "acting"
}
command_route! {
    /// Say that two suspected duplicates are different people
    settle, post "/v1/visitors/{id}/settle", "visitor_id", "^V[1-9][0-9]*$", "settle_duplicate", bodies::Other, "acting"
}

/// Open a lead by hand
#[utoipa::path(
    post, path = "/v1/leads", tag = "acting",
    params(
        Once,
        ByOperator,
        OfTenant,
    ),
    request_body(content = bodies::Open, content_type = "application/json"),
    responses((status = 201, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn open(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    let said = Said::of(request, &api, vec![("command", "open_lead".to_owned())]).await?;
    Ok(carry_out(&api, &caller, said).await?.status(StatusCode::CREATED))
}
