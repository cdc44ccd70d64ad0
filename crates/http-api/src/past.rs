//! Answers about the past: which one is asked for, and the models that answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use analytics::{Analytics, AnalyticsReader, QueryError, Session, Setting};
use engine::{Engine, Tenant, When};
use event_log::LogPosition;
use lead_domain::{LeadId, TenantId, Time};
use listing::{LeadRow, Listing, ListingReader, ListingReaders};
use projector::ModelError;
use service::{Build, LISTINGS, Maker, Past, Pasts, PastsError, ServiceError, ServiceHandle, Streams};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::At;
use crate::problem::Problem;
use crate::shown::take;
use crate::state::Api;

/// How analytics tables of the past are made.
pub const PAST_TABLES: Maker<Analytics, AnalyticsReader> = Maker {
    open: |folder| Analytics::open(folder).map_err(|source| ModelError(Box::new(source))),
    reader: Analytics::reader,
};

/// The read models of the past that a service keeps. Cheap to clone.
#[derive(Clone)]
pub struct PastModels {
    listings: Pasts<Listing, ListingReaders>,
    tables: Pasts<Analytics, AnalyticsReader>,
    scratch: Arc<Path>,
    turn: Arc<Semaphore>,
}

impl PastModels {
    /// Keeps none yet; builds them in `scratch`, a folder that holds nothing else.
    #[must_use]
    pub fn new(service: &ServiceHandle, scratch: &Path) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self {
            listings: Pasts::new(service.clone(), LISTINGS, scratch.to_owned(), Arc::clone(&turn)),
            tables: Pasts::new(service.clone(), PAST_TABLES, scratch.to_owned(), Arc::clone(&turn)),
            scratch: scratch.into(),
            turn,
        }
    }

    /// Waits for a turn to read much of the log; whoever builds a past has it.
    pub(crate) async fn turn(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(patience, Arc::clone(&self.turn).acquire_owned()).await;
        turn.map_err(|_| Problem::busy())?.map_err(|_| ServiceError::Stopping.into())
    }

    /// Throws all of them away: somebody was erased who is in them. Returns when they are gone.
    pub async fn forget(&self) {
        self.listings.forget().await;
        self.tables.forget().await;
    }

    /// Builds no more.
    pub fn stop(&self) {
        self.listings.stop();
        self.tables.stop();
    }
}

/// Takes the past that a query asks for out of it; `None` for the present.
pub(crate) fn when(api: &Api, pairs: &mut Vec<(String, String)>) -> Result<Option<When>, Problem> {
    let mut time = |name: &str| take(pairs, name).map(|value| read(api, name, &value)).transpose();
    let when = When { as_of: time("as_of")?, known_at: time("known_at")? };
    Ok((when != When::default()).then_some(when))
}

/// Reads a time that must have come.
pub(crate) fn read(api: &Api, name: &str, value: &str) -> Result<Time, Problem> {
    let parsed = chrono::DateTime::parse_from_rfc3339(value);
    let wrong = || Problem::field(name, "invalid_value", format!("{name} must be an RFC 3339 time."));
    let time = Time::from_millis(parsed.map_err(|_| wrong())?.timestamp_millis());
    if time > api.service.now() { Err(Problem::in_the_future(name)) } else { Ok(time) }
}

/// A lead as it was.
pub(crate) async fn lead(api: &Api, tenant: TenantId, id: LeadId, when: When) -> Result<At<LeadRow>, Problem> {
    let unknown = || Problem::not_found("lead");
    let find = move |engine: &mut Engine| Streams::find(engine, tenant, id.visitor, when);
    let streams = api.service.with_engine(find).await??.ok_or_else(unknown)?;
    let last = streams.heads.iter().copied().max().unwrap_or_default();
    let scratch = Arc::clone(&api.past.scratch);
    let found = api.service.read_records(last, move |parts| {
        let build = Build { parts, when, scratch: &scratch, base: None };
        let read = |past: Past<ListingReaders>| -> Result<_, Problem> {
            Ok((past.reader().open()?.lead(tenant, id)?.0, past.position()))
        };
        Ok(Past::of_streams(build, LISTINGS, streams).map_err(|error| PastsError::from(error).into()).and_then(read))
    });
    let (lead, position) = found.await???;
    lead.map(|lead| At::new(position, lead)).ok_or_else(unknown)
}

/// Asks a listing as it was.
pub(crate) async fn ask_listing<T: Send + 'static>(
    api: &Api,
    when: When,
    ask: impl FnOnce(&ListingReader) -> Result<T, listing::ListingError> + Send + 'static,
) -> Result<T, Problem> {
    let past = api.past.listings.get(when, api.options.past_wait).await?;
    let read = move |_: &engine::Parts| Ok(past.reader().open().and_then(|reader| ask(&reader)));
    Ok(api.service.read_records(LogPosition::START, read).await???)
}

/// The analytics tables of a tenant as they were, with the policy and the time that count for them.
pub(crate) struct PastTables {
    past: Arc<Past<AnalyticsReader>>,
    tenant: Arc<Tenant>,
    time: Time,
}

impl PastTables {
    /// Finds or builds them.
    pub(crate) async fn find(api: &Api, tenant: &Arc<Tenant>, when: When) -> Result<Self, Problem> {
        let past = api.past.tables.get(when, api.options.past_wait).await?;
        let time = when.time().unwrap_or_else(|| api.service.now());
        Ok(Self { past, tenant: Arc::clone(tenant), time })
    }

    /// The policy by then; the one in force for a time before all of them.
    pub(crate) fn policy(&self) -> &proto_events::policy_document::PolicyDocument {
        self.past.policy(self.tenant.id).unwrap_or(&self.tenant.document)
    }

    /// By what a query is read.
    pub(crate) fn setting(&self) -> Setting {
        Setting { now: self.time.as_millis(), zone: self.policy().time_zone.clone() }
    }

    /// Asks them, within the limits of all queries.
    pub(crate) async fn ask<T, F>(
        self,
        api: &Api,
        ask: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Result<(LogPosition, T), Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        let Self { past, tenant, .. } = self;
        let (position, snapshot) = (past.position(), past.reader().snapshot());
        let ask = move |session| {
            let asked = ask(session);
            async move {
                let answer = asked.await;
                // Its files stay until it is answered.
                drop(past);
                answer
            }
        };
        Ok((position, api.run_query(snapshot, &tenant.name, ask).await?))
    }
}
