//! Reading leads: the list, one lead, its timeline.

use access::Permission;
use axum::extract::{RawQuery, State};
use engine::TimelineQuery;
use event_log::LogPosition;
use lead_domain::LeadId;
use listing::{LeadQuery, LeadRow};

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{AtLeast, Id, InThePast, OfTenant, Paged};
use crate::past;
use crate::problem::{CommonProblems, PastProblems, Problem};
use crate::shown::{
    TimelineRow, cursor_at, limit, pairs, position_cursor, refuse_rest, take_min_position, timeline_row,
};
use crate::state::Api;

/// Records of a timeline's page where nobody says, and at most.
pub(crate) const TIMELINE_DEFAULT: usize = 50;
pub(crate) const TIMELINE_MAX: usize = 500;

/// List leads
///
/// Several values of one filter are separated by commas; `attr.<name>` compares the attribute of that name. Times may also
/// be days. A page is true at one position of the log; following
/// `next_cursor` never shows a lead twice that did not change, and never leaves one out. With `as_of` or `known_at` the
/// leads as they were: a listing of that time is built first, unless it was asked for lately.
#[utoipa::path(
    get, path = "/v1/leads", tag = "leads",
    params(
        ("status" = Option<String>, Query, pattern = "^(open|closed)(,(open|closed))?$", description = "open, closed"),
        ("lead_type" = Option<String>, Query, pattern = r"[^,\s]", description = "Lead types by name"),
        ("group" = Option<String>, Query, pattern = r"[^,\s]", description = "Groups of lead types"),
        ("skill" = Option<String>, Query, pattern = r"[^,\s]", description = "Skills of the opening interaction"),
        ("channel" = Option<String>, Query, pattern = r"[^,\s]", description = "Channels of the opening interaction"),
        ("temperature" = Option<String>, Query, pattern = r"[^,\s]", description = "cold, warm, hot"),
        ("grade" = Option<String>, Query, pattern = "^[A-C][1-3](,[A-C][1-3]){0,8}$", description = "A1 to C3"),
        ("stage" = Option<String>, Query, pattern = r"[^,\s]", description = "Funnel stages"),
        ("owner" = Option<String>, Query, pattern = r"[^,\s]", description = "Operators"),
        ("close_cause" = Option<String>, Query,
            pattern = "^(conversion|operator|inactivity|merged|erased)(,(conversion|operator|inactivity|merged|erased)){0,4}$", description = "conversion, operator, inactivity, merged, erased"),
        ("customer_id" = Option<String>, Query, pattern = r"[^,\s]", description = "The tenant's own customer number"),
        ("email" = Option<String>, Query, pattern = r"[^,\s]", description = "An e-mail address"),
        ("phone" = Option<String>, Query, pattern = "^[+]?[0-9]+$", description = "A phone number (E.164)"),
        ("campaign" = Option<String>, Query, pattern = r"[^,\s]", description = "Campaign names"),
        ("score_min" = Option<i64>, Query, description = "Least score"),
        ("score_max" = Option<i64>, Query, description = "Greatest score"),
        ("value_min" = Option<i64>, Query, description = "Least sale value, in minor units"),
        ("value_max" = Option<i64>, Query, description = "Greatest sale value, in minor units"),
        ("opened_from" = Option<String>, Query, format = DateTime, description = "Opened at or after (RFC 3339, or a day)"),
        ("opened_to" = Option<String>, Query, format = DateTime, description = "Opened before"),
        ("closed_from" = Option<String>, Query, format = DateTime, description = "Closed at or after"),
        ("closed_to" = Option<String>, Query, format = DateTime, description = "Closed before"),
        ("last_interaction_from" = Option<String>, Query, format = DateTime, description = "Last interaction at or after"),
        ("last_interaction_to" = Option<String>, Query, format = DateTime, description = "Last interaction before"),
        ("q" = Option<String>, Query, pattern = r"^\S+( \S+){0,7}$", description = "Full text over the contact: name, address, number"),
        ("sort" = Option<String>, Query, pattern = "^-?(last_interaction_at|score|opened_at|closed_at|value)$",
            description = "last_interaction_at, score, opened_at, closed_at, value; with - in front the greatest first. -last_interaction_at where absent"),
        Paged,
        InThePast,
        ("count" = Option<String>, Query, pattern = "^(exact|none)$", description = "exact also counts all leads that match"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<LeadRow>), CommonProblems, PastProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<LeadRow>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(query.as_deref())?;
    let when = past::when(&api, &mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    let mut query = LeadQuery::new(tenant.id);
    for (name, value) in &pairs {
        query.set(name, value)?;
    }
    if let Some(when) = when {
        api.reached(min_position)?;
        return Ok(At::page(past::ask_listing(&api, when, move |reader| reader.leads(&query)).await?));
    }
    api.wait(min_position).await?;
    Ok(At::page(api.service.read_listing(move |reader| reader.leads(&query)).await??))
}

/// Show a lead
///
/// `ETag` holds its version, for `If-Match` of the commands. With `as_of` or `known_at` the lead as it was, from its own
/// records; without `ETag` then.
#[utoipa::path(
    get, path = "/v1/leads/{id}", tag = "leads",
    params(
        ("id" = String, Path, description = "Such as V42-1", pattern = "^V[1-9][0-9]*-[1-9][0-9]*$"),
        InThePast,
        AtLeast,
        OfTenant,
    ),
    responses(
        (status = 200, body = LeadRow, headers(("ETag" = String, description = "The lead's version"))),
        CommonProblems,
        PastProblems
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<LeadRow>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let id = lead_id(&id)?;
    let mut pairs = pairs(query.as_deref())?;
    let when = past::when(&api, &mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    refuse_rest(&pairs)?;
    if let Some(when) = when {
        api.reached(min_position)?;
        return past::lead(&api, tenant.id, id, when).await;
    }
    api.wait(min_position).await?;
    let (lead, position) = api.service.read_listing(move |reader| reader.lead(tenant.id, id)).await??;
    let lead = lead.ok_or_else(|| Problem::not_found("lead"))?;
    let version = lead.version;
    Ok(At::new(position, lead).version(Some(version)))
}

/// Show what a lead is made of
///
/// Its records, newest first: what came in and what was decided, with the reasons.
#[utoipa::path(
    get, path = "/v1/leads/{id}/timeline", tag = "leads",
    params(
        ("id" = String, Path, description = "Such as V42-1", pattern = "^V[1-9][0-9]*-[1-9][0-9]*$"),
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
    let id = lead_id(&id)?;
    let page = timeline_place(&api, query.as_deref())?;
    let unknown = || Problem::not_found("lead");
    let heads = move |engine: &mut engine::Engine| {
        let known = engine.book(tenant.id, id.visitor).is_ok_and(|book| book.lead(id).is_some());
        known.then(|| engine.stream_heads(id.visitor))
    };
    let heads = api.service.with_engine(heads).await?.ok_or_else(unknown)??;
    let (before, limit) = page;
    timeline_page(&api, heads, TimelineQuery { visitor: id.visitor, lead: Some(id), limit, before }).await
}

/// Where a timeline's page begins, and how long it is.
pub(crate) fn timeline_place(api: &Api, query: Option<&str>) -> Result<(Option<LogPosition>, usize), Problem> {
    let mut pairs = pairs(query)?;
    api.reached(take_min_position(&mut pairs)?)?;
    let before = position_cursor(&mut pairs)?;
    let limit = limit(&mut pairs, TIMELINE_DEFAULT, TIMELINE_MAX)?;
    refuse_rest(&pairs)?;
    Ok((before, limit))
}

/// A page of the records of streams that end at `heads`.
pub(crate) async fn timeline_page(
    api: &Api,
    heads: Vec<LogPosition>,
    query: TimelineQuery,
) -> Result<At<PageOf<TimelineRow>>, Problem> {
    let last = heads.iter().copied().max().unwrap_or_default();
    // One more of them says that there is another page.
    let more = TimelineQuery { limit: query.limit + 1, ..query };
    let mut entries = api.service.read_records(last, move |parts| parts.timeline(heads, &more)).await??;
    let more = entries.len() > query.limit;
    entries.truncate(query.limit);
    let last = entries.last().filter(|_| more).map(|entry| entry.header.position);
    let position = api.service.head();
    let items = entries.iter().map(timeline_row).collect();
    Ok(At::new(position, PageOf { items, next_cursor: last.map(cursor_at), position: position.0, count: None }))
}

pub(crate) fn lead_id(text: &str) -> Result<LeadId, Problem> {
    text.parse().map_err(|_| Problem::not_found("lead"))
}
