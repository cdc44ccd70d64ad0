//! `POST /v1/sql`: one query that only reads, over the analytics tables of the caller's tenant.

use std::sync::Arc;
use std::time::Duration;

use access::Permission;
use analytics::{AnalyticsReader, Answer, Format, QueryError, QueryLimits, Session, Snapshot};
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use event_log::LogPosition;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use service::{FollowedState, ProjectionHandle};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::answer::POSITION_HEADER;
use crate::caller::Caller;
use crate::parameters::{AtLeast, OfTenant};
use crate::problem::{BodyProblems, CommonProblems, Problem, QueryProblems};
use crate::shown::{pairs, refuse_rest, take_min_position};
use crate::state::{Api, not_paused};

/// What to do about tables that can't be read; the log says why they can't.
pub(crate) const REBUILD: &str = "They can't be read. Build them anew: `leadfold projections rebuild analytics`.";

/// The analytics tables as the API reads them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The tables.
    pub reader: AnalyticsReader,
    /// The way to what keeps them up to date.
    pub projection: ProjectionHandle,
    /// Threads of their own: a query must not hold up other requests.
    pub runtime: Handle,
    /// Queries at the same time; each may take what `limits` say.
    pub turns: Arc<Semaphore>,
    /// What one query may take.
    pub limits: QueryLimits,
}

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SqlBody {
    /// One SELECT. The tables are `interactions`, `lead_events`, `score_rows` and `leads`; `describe leads` names the columns
    #[schema(
        min_length = 1,
        max_length = 65536,
        example = "select lead_type, count(*) as leads from leads group by lead_type"
    )]
    query: String,
    /// json, ndjson, csv, arrow or parquet; without it what `Accept` says, or else json
    #[schema(pattern = "^(json|ndjson|csv|arrow|parquet)$", nullable = false)]
    #[serde(default)]
    format: Option<String>,
}

/// Query the analytics tables with SQL
///
/// One statement that only reads, at one position of the log. Within limits: rows of the answer, time and memory.
#[utoipa::path(
    post, path = "/v1/sql", tag = "analytics",
    params(AtLeast, OfTenant),
    request_body(content = SqlBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The rows", content(
            (Vec<serde_json::Map<String, serde_json::Value>> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        CommonProblems, BodyProblems, QueryProblems,
    )
)]
pub(crate) async fn query(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(parameters): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must(Permission::Analyse)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(parameters.as_deref())?;
    let min_position = take_min_position(&mut pairs)?;
    refuse_rest(&pairs)?;
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &api).await?;
    let SqlBody { query, format } = read(&headers, &body)?;
    let format = format_of(format.as_deref(), &headers)?;
    let ask = move |session: Session| async move {
        let answer: Answer = session.query(&query).await?;
        answer.written(format).await
    };
    let (position, bytes) = api.ask_tables(&tenant.name, min_position, ask).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(POSITION_HEADER, HeaderValue::from(position.0));
    Ok(response)
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn finished(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<SqlBody, Problem> {
    must_be_json(headers, "Send the query as JSON: {\"query\": \"select …\"}.")?;
    let wrong =
        |_| Problem::field("", "invalid_body", "The body must be {\"query\": \"select …\", \"format\": \"json\"}.");
    serde_json::from_slice(body).map_err(wrong)
}

/// Refuses a body that is said to be anything but JSON.
pub(crate) fn must_be_json(headers: &HeaderMap, what: &'static str) -> Result<(), Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::unsupported_media(what))
}

/// What the body says, or else the first that is known of what the caller accepts.
fn format_of(named: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    if let Some(name) = named {
        let wrong = "The format must be json, ndjson, csv, arrow or parquet.";
        return Format::named(name).ok_or_else(|| Problem::field("format", "invalid_value", wrong));
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
    let known = media.filter_map(|media| {
        const ALL: [Format; 5] = [Format::Json, Format::Ndjson, Format::Csv, Format::Arrow, Format::Parquet];
        ALL.into_iter().find(|format| format.media_type().split(';').next() == Some(media))
    });
    Ok(known.into_iter().next().unwrap_or(Format::Json))
}

impl Api {
    /// Answers a query on the threads of the tables, when it is its turn. Returns the position of the answer, too.
    pub(crate) async fn ask_tables<T, F>(
        &self,
        tenant: &str,
        min_position: Option<u64>,
        ask: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Result<(LogPosition, T), Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        self.reached(min_position)?;
        if let Some(analysis) = &self.analysis {
            not_paused(&analysis.projection, min_position)?;
        }
        let (reader, _) = self.analysed(min_position).await?;
        let snapshot = reader.snapshot();
        let position = snapshot.position();
        Ok((position, self.run_query(snapshot, tenant, ask).await?))
    }

    /// Answers a query of a snapshot on the threads of the tables, when it is its turn.
    pub(crate) async fn run_query<T, F>(
        &self,
        snapshot: Arc<Snapshot>,
        tenant: &str,
        ask: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        let Some(analysis) = &self.analysis else {
            return Err(Problem::analytics_unavailable("They are not kept here."));
        };
        let turn = tokio::time::timeout(analysis.limits.time, Arc::clone(&analysis.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Problem::busy()) };
        let (limits, tenant) = (analysis.limits.clone(), tenant.to_owned());
        let task = analysis.runtime.spawn(async move {
            let session = Session::new(snapshot, &tenant, limits)?;
            let answer = ask(session).await;
            drop(turn);
            answer
        });
        // Whoever goes away takes the query along.
        let task = AbortOnDrop(task);
        Ok(task.finished().await.map_err(|error| Problem::internal(&error))??)
    }

    /// The analytics tables, once they hold what the caller has seen before.
    pub(crate) async fn analysed(&self, min_position: Option<u64>) -> Result<(AnalyticsReader, &Analysis), Problem> {
        let Some(analysis) = &self.analysis else {
            return Err(Problem::analytics_unavailable("They are not kept here."));
        };
        let mut state = analysis.projection.state();
        let is_broken = |state: &FollowedState| !state.is_ready && state.error.is_some() && state.rebuilding.is_none();
        if is_broken(&state.borrow()) {
            return Err(Problem::analytics_unavailable(REBUILD));
        }
        let wanted = LogPosition(min_position.unwrap_or_default());
        let there = state.wait_for(|state| state.is_ready && state.position >= wanted);
        match tokio::time::timeout(self.patience(), there).await {
            Ok(Ok(_)) => Ok((analysis.reader.clone(), analysis)),
            Ok(Err(_)) | Err(_) => Err(Problem::analytics_behind()),
        }
    }

    fn patience(&self) -> Duration {
        self.options.listing_wait
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::of_query(&error)
    }
}
