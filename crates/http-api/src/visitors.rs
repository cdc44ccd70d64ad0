//! The people behind interactions.

use access::Permission;
use axum::extract::{RawQuery, State};
use engine::TimelineQuery;
use lead_domain::VisitorId;
use listing::VisitorRow;

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::leads::{timeline_page, timeline_place};
use crate::parameters::{AtLeast, Id, OfTenant, Paged};
use crate::problem::{CommonProblems, Problem};
use crate::shown::TimelineRow;
use crate::state::Api;

/// Show a visitor
///
/// Identifiers, contact, leads, everyone merged into them, and who may be the same person.
#[utoipa::path(
    get, path = "/v1/visitors/{id}", tag = "visitors",
    params(
        ("id" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = VisitorRow), CommonProblems)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<VisitorRow>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let id = visitor_id(&id)?;
    api.wait_as_asked(query.as_deref()).await?;
    let (visitor, position) = api.service.read_listing(move |reader| reader.visitor(tenant.id, id)).await??;
    Ok(At::new(position, visitor.ok_or_else(|| Problem::not_found("visitor"))?))
}

/// Show everything that was recorded about a visitor
///
/// Records of the visitor and of everyone merged into them, newest first.
#[utoipa::path(
    get, path = "/v1/visitors/{id}/timeline", tag = "visitors",
    params(
        ("id" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
        Paged,
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<TimelineRow>), CommonProblems)
)]
pub(crate) async fn timeline(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<TimelineRow>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let id = visitor_id(&id)?;
    let (before, limit) = timeline_place(&api, query.as_deref())?;
    let heads = move |engine: &mut engine::Engine| {
        engine.book(tenant.id, id)?;
        engine.stream_heads(id)
    };
    let heads = api.service.with_engine(heads).await??;
    timeline_page(&api, heads, TimelineQuery { visitor: id, lead: None, limit, before }).await
}

pub(crate) fn visitor_id(text: &str) -> Result<VisitorId, Problem> {
    text.parse().map_err(|_| Problem::not_found("visitor"))
}
