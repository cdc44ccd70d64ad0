//! What is not to be collected: identifiers that are suppressed, and those that are no longer.

use access::Permission;
use axum::extract::{RawQuery, Request, State};
use engine::{EngineError, Parts, SuppressionMark};
use lead_domain::{Identifier, IdentifierKey, IdentifierKind};
use proto_events::command_document::Whom;
use proto_events::lead_event::rfc3339;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acts::{CommandAnswer, Said, act, document};
use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{AtLeast, ByOperator, OfTenant, Once, Paged};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::shown::{limit, pairs, refuse_rest, take, take_min_position};
use crate::state::Api;

/// Rows of a page where nobody says, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// An identifier that is not collected.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SuppressionRow {
    /// `customer_id`, `email`, `phone` or `device_id`.
    pub kind: String,
    /// The keyed hash of the identifier, which itself is not kept: 32 hexadecimal digits.
    pub key: String,
    /// The record of the latest request that says so.
    pub position: u64,
    /// When that request counts as given.
    #[schema(format = DateTime)]
    pub suppressed_at: String,
    /// Who asked.
    pub operator: String,
    /// Why.
    pub reason: String,
}

impl SuppressionRow {
    /// A suppressed identifier with what its record says.
    ///
    /// # Errors
    /// When the record can't be read.
    pub fn of(parts: &Parts, mark: SuppressionMark) -> Result<Self, EngineError> {
        let source = parts.suppression_source(mark.position)?;
        Ok(Self {
            kind: shown_kind(mark.identifier.kind).to_owned(),
            key: format!("{:032x}", mark.identifier.key.0),
            position: mark.position.0,
            suppressed_at: rfc3339(source.at),
            operator: source.operator.to_string(),
            reason: source.reason.to_string(),
        })
    }
}

/// What a kind is called where operators name somebody.
const fn shown_kind(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::VisitorId => "device_id",
        IdentifierKind::CustomerId | IdentifierKind::Email | IdentifierKind::Phone => kind.name(),
    }
}

/// The cursor that names an identifier: where a page ends.
#[must_use]
pub fn suppression_cursor(identifier: Identifier) -> String {
    format!("{}.{:032x}", shown_kind(identifier.kind), identifier.key.0)
}

/// The identifier that a cursor names; `None` for what is no cursor.
#[must_use]
pub fn suppression_at(cursor: &str) -> Option<Identifier> {
    let (kind, key) = cursor.split_once('.')?;
    let kind = IdentifierKind::STRONGEST_FIRST.into_iter().find(|known| shown_kind(*known) == kind)?;
    let is_key = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = u128::from_str_radix(key, 16).ok().filter(|_| is_key)?;
    Some(Identifier { kind, key: IdentifierKey(key) })
}

/// List what is not collected
///
/// By kind, then by hash. With identifiers as parameters only those of them that are suppressed: an empty page says that none
/// is. Who asked and why stands in the log for good, also of what was lifted again.
#[utoipa::path(
    get, path = "/v1/suppressions", tag = "visitors",
    params(
        ("customer_id" = Option<String>, Query, max_length = 256, pattern = "^[!-~]+$", description = "A customer id"),
        ("email" = Option<String>, Query, max_length = 256, pattern = "^[!-?A-~]+@[!-?A-~]+$", description = "An e-mail address"),
        ("phone" = Option<String>, Query, pattern = "^[+]4930[1-9][0-9]{5}$", description = "A phone number (E.164)"),
        ("device_id" = Option<String>, Query, max_length = 256, pattern = "^[!-~]+$", description = "A cookie or device id"),
        Paged,
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<SuppressionRow>), CommonProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<SuppressionRow>>, Problem> {
    caller.must(Permission::Privacy)?;
    let tenant = api.tenant(&caller)?.id;
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let wrong = || Problem::field("cursor", "cursor_malformed", "cursor must be the next_cursor of an earlier page.");
    let cursor = take(&mut pairs, "cursor").map(|cursor| suppression_at(&cursor).ok_or_else(wrong)).transpose()?;
    let limit = limit(&mut pairs, LIMIT_DEFAULT, LIMIT_MAX)?;
    let whom = Whom {
        visitor_id: None,
        customer_id: take(&mut pairs, "customer_id"),
        email: take(&mut pairs, "email"),
        phone: take(&mut pairs, "phone"),
        device_id: take(&mut pairs, "device_id"),
    };
    refuse_rest(&pairs)?;
    let marks = api.service.with_engine(move |engine| service::suppressed(engine, tenant, &whom, cursor, limit + 1));
    let mut marks = marks.await?.map_err(|faults| Problem::faults(&faults))?;
    let more = marks.len() > limit;
    marks.truncate(limit);
    let next_cursor = marks.last().filter(|_| more).map(|last| suppression_cursor(last.identifier));
    let last = marks.iter().map(|mark| mark.position).max().unwrap_or_default();
    let read = move |parts: &Parts| marks.into_iter().map(|mark| SuppressionRow::of(parts, mark)).collect();
    let items: Vec<SuppressionRow> = api.service.read_records(last, read).await??;
    let position = api.service.head();
    Ok(At::new(position, PageOf { items, next_cursor, position: position.0, count: None }))
}

/// Somebody, by at least one identifier.
#[derive(Serialize, ToSchema)]
#[schema(as = Suppression)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// All identifiers that a visitor has, such as `V42`.
    #[schema(pattern = "^V[1-9][0-9]*$", nullable = false)]
    visitor_id: Option<String>,
    /// A customer id.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]+$", nullable = false)]
    customer_id: Option<String>,
    /// An e-mail address.
    #[schema(min_length = 3, max_length = 256, pattern = "^[!-?A-~]+@[!-?A-~]+$", nullable = false)]
    email: Option<String>,
    /// A phone number (E.164).
    #[schema(min_length = 1, max_length = 256, pattern = "^[+]4930[1-9][0-9]{5}$", nullable = false)]
    phone: Option<String>,
    /// A channel's cookie or device id: what events call `visitor_id`.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]+$", nullable = false)]
    device_id: Option<String>,
    /// Why; stands in the log in clear, so it must not say who it is.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[!-~][^\x00-\x1f\x7f-\x9f]*$",
        example = "objects to profiling"
    )]
    reason: String,
    /// When it counts as done; now where absent.
    #[schema(format = DateTime, nullable = false)]
    at: Option<String>,
}

/// Suppress identifiers
///
/// From then on, nothing that carries one of them is recorded: it is answered as `suppressed`, and nothing of it is kept. Works
/// also for somebody who was erased or never came; the identifiers are kept as keyed hashes only. What was recorded before
/// stays: that is for erasing.
#[utoipa::path(
    post, path = "/v1/suppressions", tag = "visitors",
    params(Once, ByOperator, OfTenant),
    request_body(content = Asked, content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn suppress(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    carry_out(&api, &caller, request, "suppress").await
}

/// Collect identifiers again
///
/// What was not recorded in the meantime is not there.
#[utoipa::path(
    delete, path = "/v1/suppressions", tag = "visitors",
    params(Once, ByOperator, OfTenant),
    request_body(content = Asked, content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn unsuppress(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    carry_out(&api, &caller, request, "unsuppress").await
}

async fn carry_out(
    api: &Api,
    caller: &Caller,
    request: Request,
    command: &'static str,
) -> Result<At<CommandAnswer>, Problem> {
    caller.must(Permission::Privacy)?;
    let said = Said::of(request, api, vec![("command", command.to_owned())]).await?;
    let tenant = api.tenant(caller)?.name.to_string();
    act(api, caller, Some(tenant), &document(caller, said)?).await
}
