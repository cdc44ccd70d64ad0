//! The people behind interactions.

use access::Permission;
use axum::extract::{RawQuery, State};
use engine::TimelineQuery;
use lead_domain::VisitorId;
use listing::VisitorRow;

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::leads::{page_of, timeline_page};
use crate::parameters::{AtLeast, Id, OfTenant, Paged};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{TimelineRow, pairs, refuse_rest, take_min_position};
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
    let mut pairs = pairs(query.as_deref())?;
    let min_position = take_min_position(&mut pairs)?;
    refuse_rest(&pairs)?;
    api.wait(min_position).await?;
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
    let page = timeline_page(&api, query.as_deref())?;
    let read = move |engine: &mut engine::Engine| {
        engine.book(tenant.id, id)?;
        engine.timeline(&TimelineQuery { visitor: id, lead: None, limit: page.1 + 1, before: page.0 })
    };
    let entries = api.service.with_engine(read).await??;
    Ok(page_of(&api, entries, page.1))
}

fn visitor_id(text: &str) -> Result<VisitorId, Problem> {
    text.parse().map_err(|_| Problem::not_found("visitor"))
}
