//! Inputs that could not be taken.

use access::Permission;
use axum::extract::{FromRequest, RawQuery, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::{Parts, Quarantine, QuarantineState};
use event_log::LogPosition;
use lead_domain::TenantId;
use proto_events::command_document::CommandDocument;
use proto_events::lead_event::rfc3339;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acts::{CommandAnswer, act, idempotency_key};
use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{AtLeast, Id, OfTenant, Once, Paged};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::shown::{cursor_at, limit, pairs, position_cursor, refuse_rest, take_min_position};
use crate::state::Api;

/// Rows of a page where nobody says, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// An input that could not be taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QuarantineRow {
    /// Its position in the log.
    pub id: u64,
    /// When it arrived.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// Where it came from.
    pub origin: String,
    /// A stable word for why, such as `missing_identifier`.
    pub code: String,
    /// Where in it, such as `data.email`.
    pub path: String,
    /// What would be right.
    pub message: String,
    /// `held`, or `released` when it was taken after all or set aside.
    pub state: String,
    /// The record that released it.
    pub released_by: Option<u64>,
    /// The bytes that were sent, in Base64, when one input is asked for; `null` when their key was destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_base64: Option<String>,
}

impl QuarantineRow {
    /// An input without its bytes, which may hold personal data.
    #[must_use]
    pub fn of(quarantine: &Quarantine) -> Self {
        let reason = &quarantine.reason;
        let (state, released_by) = match quarantine.state {
            QuarantineState::Held => ("held", None),
            QuarantineState::Released(by) => ("released", Some(by.0)),
        };
        Self {
            id: quarantine.position.0,
            received_at: rfc3339(quarantine.received_at),
            origin: reason.origin.as_str().to_owned(),
            code: reason.code.as_str().to_owned(),
            path: reason.path.as_str().to_owned(),
            message: reason.message_text.as_str().to_owned(),
            state: state.to_owned(),
            released_by,
            bytes_base64: None,
        }
    }

    /// The same with its bytes, as far as their key is there.
    #[must_use]
    pub fn whole(quarantine: &Quarantine) -> Self {
        let bytes_base64 = quarantine.bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        Self { bytes_base64, ..Self::of(quarantine) }
    }
}

/// List inputs that could not be taken
///
/// Oldest first, both held and released. What arrived for a tenant that doesn't exist is shown to keys of all tenants.
#[utoipa::path(
    get, path = "/v1/quarantine", tag = "quarantine",
    params(
        Paged,
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<QuarantineRow>), CommonProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<QuarantineRow>>, Problem> {
    caller.must(Permission::Audit)?;
    let owner = Owner::of(&api, &caller)?;
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let after = position_cursor(&mut pairs)?.unwrap_or_default();
    let limit = limit(&mut pairs, LIMIT_DEFAULT, LIMIT_MAX)?;
    refuse_rest(&pairs)?;
    let (found, next) = page(&api, owner, after, limit).await?;
    let position = api.service.head();
    let items = found.iter().map(QuarantineRow::of).collect();
    Ok(At::new(position, PageOf { items, next_cursor: next.map(cursor_at), position: position.0, count: None }))
}

/// Whose quarantined inputs a caller may see.
#[derive(Clone, Copy)]
struct Owner {
    tenant: Option<TenantId>,
    nobodys: bool,
}

impl Owner {
    fn of(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let nobodys = caller.tenant().is_none();
        match api.tenant(caller) {
            Ok(tenant) => Ok(Self { tenant: Some(tenant.id), nobodys }),
            // What arrived before there was any tenant can be seen all the same.
            Err(_) if nobodys && caller.named_tenant.is_none() => Ok(Self { tenant: None, nobodys }),
            Err(problem) => Err(problem),
        }
    }

    fn holds(self, tenant: TenantId) -> bool {
        self.tenant == Some(tenant) || (self.nobodys && tenant == TenantId(0))
    }
}

/// At most `limit` inputs of the owner behind `after`, and where to go on.
async fn page(
    api: &Api,
    owner: Owner,
    mut after: LogPosition,
    limit: usize,
) -> Result<(Vec<Quarantine>, Option<LogPosition>), Problem> {
    let mut found = Vec::new();
    loop {
        let marks = api.service.with_engine(move |engine| engine.quarantine_marks(after, LIMIT_MAX)).await??;
        let Some(last) = marks.last().map(|mark| mark.position) else { return Ok((found, None)) };
        after = last;
        let read = move |parts: &Parts| {
            let inputs = marks.into_iter().map(|mark| parts.quarantined(mark));
            let owned = inputs.filter(|input| input.as_ref().map_or(true, |input| owner.holds(input.tenant)));
            owned.take(limit + 1).collect::<Result<Vec<_>, _>>()
        };
        found.extend(api.service.read_records(last, read).await??);
        if found.len() > limit {
            found.truncate(limit);
            let last = found.last().map(|last| last.position);
            return Ok((found, last));
        }
    }
}

/// Show an input that could not be taken
#[utoipa::path(
    get, path = "/v1/quarantine/{id}", tag = "quarantine",
    params(
        ("id" = u64, Path, description = "Its position", minimum = 1),
        OfTenant,
    ),
    responses((status = 200, body = QuarantineRow), CommonProblems)
)]
pub(crate) async fn show(State(api): State<Api>, caller: Caller, Id(id): Id) -> Result<At<QuarantineRow>, Problem> {
    caller.must(Permission::Audit)?;
    let owner = Owner::of(&api, &caller)?;
    let position = position(&id)?;
    let mark = api.service.with_engine(move |engine| engine.quarantine_mark(position)).await??;
    let found = api.service.read_records(position, move |parts| parts.quarantined(mark)).await??;
    if !owner.holds(found.tenant) {
        return Err(Problem::not_found("quarantined input"));
    }
    Ok(At::new(api.service.head(), QuarantineRow::whole(&found)))
}

fn position(id: &str) -> Result<LogPosition, Problem> {
    id.parse().map(LogPosition).map_err(|_| Problem::not_found("quarantined input"))
}

/// A repaired input.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// The repaired event, as structured JSON; the kept one where absent.
    #[schema(value_type = Option<Object>)]
    event: Option<String>,
}

/// Take a quarantined input after all
#[utoipa::path(
    post, path = "/v1/quarantine/{id}/retry", tag = "quarantine",
    params(
        ("id" = u64, Path, description = "Its position", minimum = 1),
        Once,
        OfTenant,
    ),
    request_body(content = Retry, content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn retry(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    release(&api, &caller, &id, "retry_quarantined", request).await
}

/// Set a quarantined input aside for good
///
/// Its record stays in the log.
#[utoipa::path(
    post, path = "/v1/quarantine/{id}/discard", tag = "quarantine",
    params(
        ("id" = u64, Path, description = "Its position", minimum = 1),
        Once,
        OfTenant,
    ),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn discard(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    release(&api, &caller, &id, "discard_quarantined", request).await
}

async fn release(
    api: &Api,
    caller: &Caller,
    id: &str,
    command: &'static str,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    caller.must(Permission::Configure)?;
    let tenant = api.tenant(caller)?.name.to_string();
    let position = position(id)?.to_string();
    let key = idempotency_key(request.headers())?;
    let operator = caller.operator();
    let body = Bytes::from_request(request, api).await?;
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let known = [("command", command), ("position", &position), ("id", &key), ("operator", &operator)];
    let document = CommandDocument::read_with(&body, &known).map_err(|faults| Problem::faults(&faults))?;
    act(api, caller, Some(tenant), &document).await
}
