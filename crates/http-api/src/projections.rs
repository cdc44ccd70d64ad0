//! The projections: how they stand, and what they are told. They are those of all tenants.

use access::Permission;
use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::{FollowedState, Order, OrderError, ProjectionHandle, ServiceError};
use utoipa::ToSchema;

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{Id, Ids};
use crate::problem::{BodyProblems, CommonProblems, Problem};
use crate::sql::must_be_json;
use crate::state::Api;
use crate::visitors::visitor_id;

/// The most characters of a reason.
const REASON_MAX: usize = 256;

/// How a projection stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectionRow {
    /// `listing` or `analytics`.
    pub name: String,
    /// The version of its model.
    pub version: u32,
    /// `following`; `paused`: erasures are followed all the same; `loading`: not read yet; `failed`: `error` says why.
    #[schema(pattern = "^(following|paused|loading|failed)$")]
    pub state: String,
    /// The last record in it.
    pub position: u64,
    /// How many records the log has beyond it.
    pub lag: u64,
    /// For how long the first of them has been recorded, in whole seconds.
    pub lag_seconds: u64,
    /// How many visitors are left out of it because a record doesn't fit, and wait for somebody.
    pub parked: usize,
    /// How many visitors are left out of it that somebody decided to do without.
    pub discarded: usize,
    /// The last record in the model that is being built anew; `null` where none is.
    pub rebuilding: Option<u64>,
    /// Why it doesn't follow.
    pub error: Option<String>,
    /// Why the last model could not be built anew.
    pub rebuild_error: Option<String>,
}

/// A visitor who is left out of a projection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ParkedRow {
    /// Who.
    pub visitor_id: String,
    /// Whose.
    pub tenant: String,
    /// The first record that was left out.
    pub since: u64,
    /// The record that doesn't fit; another visitor's, where this one is touched by that one's only.
    pub cause: u64,
    /// What doesn't fit.
    pub reason: String,
    /// How many records were left out.
    pub records: u64,
    /// Why somebody decided to do without them; `null` while they wait.
    pub discarded: Option<String>,
}

/// Why to do without.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DiscardBody {
    /// For whoever asks later; must not say who it is
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[!-~][^\x00-\x1f\x7f-\x9f]*$",
        example = "a test of ours"
    )]
    reason: String,
}

/// List the projections
///
/// The read models that follow the log, and how far each of them is.
#[utoipa::path(
    get, path = "/v1/projections", tag = "operations",
    responses((status = 200, body = PageOf<ProjectionRow>), CommonProblems)
)]
pub(crate) async fn list(State(api): State<Api>, caller: Caller) -> Result<At<PageOf<ProjectionRow>>, Problem> {
    caller.must(Permission::Audit)?;
    let position = api.service.head();
    let items = api.projections().map(|projection| row(&api, projection)).collect();
    Ok(At::new(position, PageOf { items, next_cursor: None, position: position.0, count: None }))
}

/// List the visitors that a projection leaves out
///
/// A record that doesn't fit into the model is left out, and with it all later ones that name one of its visitors; everybody
/// else's flow. The log has them all. A rebuild tries them again.
#[utoipa::path(
    get, path = "/v1/projections/{name}/parked", tag = "operations",
    params(("name" = String, Path, description = "listing or analytics", pattern = "^(listing|analytics)$")),
    responses((status = 200, body = PageOf<ParkedRow>), CommonProblems)
)]
pub(crate) async fn parked(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id,
) -> Result<At<PageOf<ParkedRow>>, Problem> {
    caller.must(Permission::Audit)?;
    let state = api.projection(&name)?.state().borrow().clone();
    let items = parked_within_reach(&api, &caller, &state);
    let position = state.position;
    Ok(At::new(position, PageOf { items, next_cursor: None, position: position.0, count: None }))
}

/// Pause a projection
///
/// It follows no further, and is read as it stands, until it is told to resume; also after a restart. Erasures are followed
/// all the same.
#[utoipa::path(
    post, path = "/v1/projections/{name}/pause", tag = "operations",
    params(("name" = String, Path, description = "listing or analytics", pattern = "^(listing|analytics)$")),
    responses((status = 200, body = ProjectionRow), CommonProblems)
)]
pub(crate) async fn pause(State(api): State<Api>, caller: Caller, Id(name): Id) -> Result<At<ProjectionRow>, Problem> {
    tell(&api, &caller, &name, Order::Pause).await
}

/// Let a projection go on
#[utoipa::path(
    post, path = "/v1/projections/{name}/resume", tag = "operations",
    params(("name" = String, Path, description = "listing or analytics", pattern = "^(listing|analytics)$")),
    responses((status = 200, body = ProjectionRow), CommonProblems)
)]
pub(crate) async fn resume(State(api): State<Api>, caller: Caller, Id(name): Id) -> Result<At<ProjectionRow>, Problem> {
    tell(&api, &caller, &name, Order::Resume).await
}

/// Build a projection anew
///
/// From the first record of the log, beside the model in use, which goes on being followed and read; near the end the new one
/// takes its place. The answer comes when it has begun; `rebuilding` says how far it is.
#[utoipa::path(
    post, path = "/v1/projections/{name}/rebuild", tag = "operations",
    params(("name" = String, Path, description = "listing or analytics", pattern = "^(listing|analytics)$")),
    responses((status = 202, body = ProjectionRow, description = "It has begun, or was under way"), CommonProblems)
)]
pub(crate) async fn rebuild(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id,
) -> Result<At<ProjectionRow>, Problem> {
    tell(&api, &caller, &name, Order::Rebuild).await.map(|told| told.status(StatusCode::ACCEPTED))
}

/// Do without a visitor that a projection leaves out
///
/// What was left out stays so, and no longer counts as waiting. Where a rebuild can take the records, it does.
#[utoipa::path(
    post, path = "/v1/projections/{name}/parked/{visitor}/discard", tag = "operations",
    params(
        ("name" = String, Path, description = "listing or analytics", pattern = "^(listing|analytics)$"),
        ("visitor" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
    ),
    request_body(content = DiscardBody, content_type = "application/json"),
    responses((status = 200, body = ProjectionRow), CommonProblems, BodyProblems)
)]
pub(crate) async fn discard(
    State(api): State<Api>,
    caller: Caller,
    Ids(name, visitor): Ids,
    request: Request,
) -> Result<At<ProjectionRow>, Problem> {
    caller.must(Permission::Configure)?;
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &api).await?;
    let reason = reason_in(&headers, &body)?;
    let visitor = visitor_id(&visitor)?;
    let state = api.projection(&name)?.state().borrow().clone();
    let id = visitor.to_string();
    if !parked_within_reach(&api, &caller, &state).iter().any(|row| row.visitor_id == id) {
        return Err(not_parked());
    }
    tell(&api, &caller, &name, Order::Discard { visitor, reason }).await
}

fn not_parked() -> Problem {
    Problem::not_found("visitor among those that the projection leaves out")
}

fn reason_in(headers: &http::HeaderMap, body: &Bytes) -> Result<String, Problem> {
    let what = "Send the reason as JSON: {\"reason\": \"…\"}.";
    must_be_json(headers, what)?;
    let DiscardBody { reason } = serde_json::from_slice(body).map_err(|_| Problem::field("", "invalid_body", what))?;
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        return Err(Problem::field("reason", "invalid_value", "The reason must be a text of 1 to 256 characters."));
    }
    Ok(reason)
}

async fn tell(api: &Api, caller: &Caller, name: &str, order: Order) -> Result<At<ProjectionRow>, Problem> {
    caller.must(Permission::Configure)?;
    let projection = api.projection(name)?;
    projection.order(order).await?;
    let row = row(api, projection);
    Ok(At::new(projection.state().borrow().position, row))
}

fn row(api: &Api, projection: &ProjectionHandle) -> ProjectionRow {
    let state = projection.state().borrow().clone();
    let word = match &state {
        FollowedState { error: Some(_), .. } => "failed",
        FollowedState { is_paused: true, .. } => "paused",
        FollowedState { is_ready: false, .. } => "loading",
        FollowedState { .. } => "following",
    };
    let parked = state.parked.waiting();
    ProjectionRow {
        name: projection.name().to_owned(),
        version: projection.version(),
        state: word.to_owned(),
        position: state.position.0,
        lag: api.service.head().0.saturating_sub(state.position.0),
        lag_seconds: api.service.lag_seconds(state.position),
        parked,
        discarded: state.parked.streams().count() - parked,
        rebuilding: state.rebuilding.map(|position| position.0),
        error: state.error,
        rebuild_error: state.rebuild_error,
    }
}

/// The visitors left out of a projection whose tenant the caller reaches.
fn parked_within_reach(api: &Api, caller: &Caller, state: &FollowedState) -> Vec<ParkedRow> {
    let tenants = api.service.tenants();
    let rows = state.parked.streams().filter_map(|(visitor, stream)| {
        let tenant = tenants.iter().find(|tenant| tenant.id.0 == stream.tenant).map(|tenant| tenant.name.to_string());
        let tenant = tenant.unwrap_or_default();
        caller.tenant().is_none_or(|own| own == tenant).then(|| ParkedRow {
            visitor_id: visitor.to_string(),
            tenant,
            since: stream.since,
            cause: stream.cause,
            reason: stream.reason.clone(),
            records: stream.records,
            discarded: stream.discarded.clone(),
        })
    });
    rows.collect()
}

impl Api {
    /// All projections.
    pub(crate) fn projections(&self) -> impl Iterator<Item = &ProjectionHandle> {
        let analytics = self.analysis.as_ref().map(|analysis| &analysis.projection);
        std::iter::once(self.service.listing_projection()).chain(analytics)
    }

    fn projection(&self, name: &str) -> Result<&ProjectionHandle, Problem> {
        let found = self.projections().find(|projection| projection.name() == name);
        found.ok_or_else(|| Problem::not_found("projection; there are: listing, analytics"))
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        match &error {
            OrderError::NotParked { .. } => not_parked(),
            OrderError::Failed { .. } => Self::internal(&error),
            OrderError::Stopping { .. } => ServiceError::Stopping.into(),
        }
    }
}
