//! A person's own data: handed out whole, and erased.

use access::Permission;
use axum::extract::{RawQuery, Request, State};
use engine::{Engine, EngineError, TimelineQuery};
use event_log::LogPosition;
use lead_domain::Event;
use proto_events::lead_event::{LeadEvent, rfc3339};
use serde::Serialize;
use utoipa::ToSchema;

use crate::acts::{Said, bodies, document, submit};
use crate::answer::At;
use crate::caller::Caller;
use crate::export::{VisitorExport, visitor_export};
use crate::parameters::{AtLeast, ByOperator, Id, OfTenant, Once};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::shown::shown_events;
use crate::state::{Api, FeedErasure};
use crate::visitors::visitor_id;

/// What an erasure led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureAnswer {
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
    /// Whose keys were destroyed: the visitor and everyone who was merged into it.
    member_ids: Vec<String>,
    /// What still has to let go of the person and does so by itself: `listing`, `analytics`, `past`.
    behind: Vec<&'static str>,
    /// What became of the person's messages in the feed; `null` where inputs come from nowhere else.
    feed: Option<FeedErasure>,
}

/// Erase a visitor
///
/// Destroys the keys of the visitor and of everyone who was merged into it, closes their open leads, and takes everything
/// that says who they were out of the listing and the analytics tables. Leads, counts and sales stay. Nothing brings the
/// person back; somebody who returns is a new visitor.
#[utoipa::path(
    delete, path = "/v1/visitors/{id}", tag = "visitors",
    params(
        ("id" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
        Once,
        ByOperator,
        OfTenant,
    ),
    request_body(content = bodies::Erase, content_type = "application/json"),
    responses((status = 200, body = ErasureAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    request: Request,
) -> Result<At<ErasureAnswer>, Problem> {
    caller.must(Permission::Privacy)?;
    let fields = vec![("command", "erase_visitor".to_owned()), ("visitor_id", id)];
    let said = Said::of(request, &api, fields).await?;
    let tenant = api.tenant(&caller)?.name.to_string();
    let answer = submit(&api, Some(tenant), &document(&caller, said)?).await?;
    let behind = api.behind(answer.position).await;
    let feed = match &api.feed {
        Some(feed) => Some(feed.forget(answer.visitor).await),
        None => None,
    };
    let member_ids = answer.events.iter().flat_map(members).collect();
    let body = ErasureAnswer {
        position: answer.position.0,
        at: rfc3339(answer.at),
        repeated: answer.repeated,
        events: shown_events(&answer.events),
        member_ids,
        behind,
        feed,
    };
    Ok(At::new(answer.position, body))
}

fn members(event: &Event) -> Vec<String> {
    if let Event::VisitorErased { members, .. } = event {
        return members.iter().map(ToString::to_string).collect();
    }
    Vec::new()
}

impl Api {
    /// Which read models have not let go of what an erasure takes away, after a while of waiting for them.
    async fn behind(&self, position: LogPosition) -> Vec<&'static str> {
        let mut behind = Vec::new();
        // What is kept of the past holds everybody as they were; it goes at once.
        if tokio::time::timeout(self.options.listing_wait, self.past.forget()).await.is_err() {
            behind.push("past");
        }
        if self.service.wait_listed(position, self.options.listing_wait).await.is_err() {
            behind.push("listing");
        }
        // Tables that are not kept hold nothing.
        if self.analysis.is_some() && self.analysed(Some(position.0)).await.is_err() {
            behind.push("analytics");
        }
        // A model that is being built anew holds what it has read; it comes to the erasure in its turn.
        for projection in self.projections() {
            let building = projection.state().borrow().rebuilding;
            if building.is_some_and(|reached| reached < position) && !behind.contains(&projection.name()) {
                behind.push(projection.name());
            }
        }
        behind
    }
}

/// Export all that is held about a visitor
///
/// Identifiers, contact, leads, and every record with what was sealed in it, of the visitor and of everyone who was merged
/// into it; also inputs that were not taken, where an identifier of the person was found in them.
#[utoipa::path(
    get, path = "/v1/visitors/{id}/export", tag = "visitors",
    params(
        ("id" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = VisitorExport), CommonProblems)
)]
pub(crate) async fn export(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<VisitorExport>, Problem> {
    caller.must(Permission::Privacy)?;
    let tenant = api.tenant(&caller)?.id;
    let id = visitor_id(&id)?;
    api.wait_as_asked(query.as_deref()).await?;
    let find = move |engine: &mut Engine| -> Result<_, EngineError> {
        let owner = engine.book(tenant, id)?.visitor;
        Ok((owner, engine.stream_heads(owner)?))
    };
    let (owner, heads) = api.service.with_engine(find).await??;
    let last = heads.iter().copied().max().unwrap_or_default();
    api.wait(Some(last.0).filter(|last| *last <= api.service.head().0)).await?;
    let read = api.service.read_records(last, move |parts| {
        let all = TimelineQuery { visitor: owner, lead: None, limit: usize::MAX, before: None };
        let timeline = parts.timeline(heads, &all)?;
        let untaken = parts.untaken_of(tenant, &timeline)?;
        Ok((timeline, untaken))
    });
    let (timeline, untaken) = read.await??;
    let (visitor, position) = api.service.read_listing(move |reader| reader.visitor(tenant, owner)).await??;
    Ok(At::new(position, visitor_export(visitor, &timeline, &untaken, owner)))
}
