//! A visitor's nurture programmes: what runs, what comes next, and what the visitor wants to hear.

use access::Permission;
use axum::extract::{RawQuery, State};
use lead_domain::Book;
use lead_domain::nurture::{Consent, Run};
use proto_events::lead_event::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::At;
use crate::caller::Caller;
use crate::parameters::{AtLeast, Id, OfTenant};
use crate::problem::{CommonProblems, Problem};
use crate::state::Api;
use crate::visitors::visitor_id;

/// What is kept of nurturing for a visitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct VisitorNurture {
    /// The visitor, after merges.
    pub visitor_id: String,
    /// Programmes under way, by name and lead.
    pub running: Vec<NurtureRun>,
    /// Programmes that began lately, the earliest first: what caps look at.
    pub begun: Vec<NurtureBegun>,
    /// What the visitor said about messages.
    pub consents: Vec<NurtureConsent>,
}

/// A programme under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct NurtureRun {
    /// Its name.
    pub programme: String,
    /// The lead that it is about.
    pub lead_id: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// The interaction that began it; `null` for the passing of time and for commands.
    pub interaction_id: Option<String>,
    /// The number of its next step, from 1.
    pub next_step: u32,
    /// When that is due, unless the visitor does something before.
    #[schema(format = DateTime)]
    pub due_at: String,
}

/// A programme that began.
#[derive(Debug, Serialize, ToSchema)]
pub struct NurtureBegun {
    /// Its name.
    pub programme: String,
    /// The lead that it was about.
    pub lead_id: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// What the visitor last said about a medium.
#[derive(Debug, Serialize, ToSchema)]
pub struct NurtureConsent {
    /// Such as `email`; `null` for all media.
    pub medium: Option<String>,
    /// Whether messages are welcome.
    pub given: bool,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// The nurturing of a visitor's book.
#[must_use]
pub fn visitor_nurture(book: &Book) -> VisitorNurture {
    let last = book.last_activity();
    let run = |run: &Run| NurtureRun {
        programme: run.programme.to_string(),
        lead_id: run.lead.to_string(),
        started_at: rfc3339(run.started_at),
        interaction_id: run.interaction.map(|id| id.to_string()),
        next_step: u32::from(run.step).saturating_add(1),
        due_at: rfc3339(run.due(last)),
    };
    let consent = |consent: &Consent| NurtureConsent {
        medium: consent.medium.as_ref().map(ToString::to_string),
        given: consent.given,
        at: rfc3339(consent.at),
    };
    let begun = |begun: &lead_domain::nurture::Begun| NurtureBegun {
        programme: begun.programme.to_string(),
        lead_id: begun.lead.to_string(),
        at: rfc3339(begun.at),
    };
    let nurture = book.nurture.as_deref();
    VisitorNurture {
        visitor_id: book.visitor.to_string(),
        running: nurture.into_iter().flat_map(|nurture| &nurture.runs).map(run).collect(),
        begun: nurture.into_iter().flat_map(|nurture| &nurture.begun).map(begun).collect(),
        consents: nurture.into_iter().flat_map(|nurture| &nurture.consents).map(consent).collect(),
    }
}

/// Show what a visitor should hear and when
///
/// The nurture programmes that run, when their next steps are due, and what the visitor said about messages.
#[utoipa::path(
    get, path = "/v1/visitors/{id}/nurture", tag = "visitors",
    params(
        ("id" = String, Path, description = "Such as V42", pattern = "^V[1-9][0-9]*$"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = VisitorNurture), CommonProblems)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<VisitorNurture>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let id = visitor_id(&id)?;
    api.wait_as_asked(query.as_deref()).await?;
    let find = move |engine: &mut engine::Engine| {
        let book = engine.book(tenant.id, id)?;
        let shown = visitor_nurture(book);
        Ok::<_, engine::EngineError>((shown, engine.decided()))
    };
    let (shown, position) = api.service.with_engine(find).await??;
    // Nobody is shown what a crash could take back.
    api.service.read_records(position, |_| Ok(())).await??;
    Ok(At::new(position, shown))
}
