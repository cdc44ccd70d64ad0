//! `GET /v1/export/…`: everything of a kind as a stream of bounded memory, true at one position.
//!
//! The headers say the position and how many rows come. A stream that can't go on is broken off instead of ended, so
//! that nobody takes a part for the whole.

mod leads;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::Permission;
use analytics::{Answer, Format, Output, QueryError, QueryLimits, Session, Table};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use event_log::LogPosition;
use http::{HeaderName, HeaderValue, header};
use listing::{LeadQuery, ListingError, ListingReader, Told};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use crate::answer::POSITION_HEADER;
use crate::caller::Caller;
use crate::parameters::{AtLeast, OfTenant};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{pairs, refuse_rest, take, take_min_position};
use crate::state::{Api, not_paused};

pub use leads::LeadWriter;

/// The header that says how many rows come.
pub(crate) const ROWS_HEADER: HeaderName = HeaderName::from_static("x-leadfold-rows");
/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait for whoever reads.
const CHUNKS_MAX: usize = 8;
/// After so long a stream is broken off: what it reads is kept for as long as it lasts.
const TIME_MAX: Duration = Duration::from_secs(3_600);

type Chunk = Result<Bytes, io::Error>;

/// Export leads
///
/// All leads that the filters find, in the order of `sort`: NDJSON in the shape of the list, CSV, or Parquet. True at one
/// position, which `X-Leadfold-Position` says; `X-Leadfold-Rows` says how many come. A text of CSV that a spreadsheet would
/// run as a formula has an apostrophe in front. A stream that can't go on is broken off.
#[utoipa::path(
    get, path = "/v1/export/leads", tag = "leads",
    params(
        ("format" = Option<String>, Query, pattern = "^(ndjson|csv|parquet)$", description = "ndjson where absent"),
        ("status" = Option<String>, Query, pattern = "^(open|closed)(,(open|closed))?$", description = "open, closed; and all other filters of the list of leads"),
        ("sort" = Option<String>, Query, pattern = "^-?(last_interaction_at|score|opened_at|closed_at|value)$", description = "As in the list of leads"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, description = "The leads", content(
        (String = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    )), CommonProblems)
)]
pub(crate) async fn leads(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(query.as_deref())?;
    let format = take_format(&mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    let mut query = LeadQuery::new(tenant.id);
    for (name, value) in &pairs {
        if matches!(name.as_str(), "limit" | "cursor" | "count") {
            return Err(Problem::unknown_parameter(name));
        }
        query.set(name, value)?;
    }
    api.wait(min_position).await?;
    let turn = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let (begun, start) = oneshot::channel();
    let (chunks, body) = mpsc::channel(CHUNKS_MAX);
    let service = api.service.clone();
    let sent = tokio::spawn(async move {
        let told = service.read_listing(move |reader| send_leads(reader, (&query, format), begun, &chunks)).await;
        drop(turn);
        told
    });
    match start.await {
        Ok(begun) => Ok(streamed(format, begun, body)),
        Err(_) => Err(match sent.await {
            Ok(Ok(Err(error))) => error.into(),
            Ok(Err(error)) => error.into(),
            Ok(Ok(Ok(()))) | Err(_) => Problem::busy(),
        }),
    }
}

/// Where a stream stands, and how many rows it has.
#[derive(Clone, Copy)]
struct Begun {
    position: LogPosition,
    rows: u64,
}

fn send_leads(
    reader: &ListingReader,
    (query, format): (&LeadQuery, Format),
    begun: oneshot::Sender<Begun>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), ListingError> {
    let until = Instant::now() + TIME_MAX;
    let (mut begun, mut failed) = (Some(begun), false);
    let Ok(mut writer) = LeadWriter::new(format, Chunks { chunks, bytes: Vec::new() }) else { return Ok(()) };
    let seen = reader.each_lead(query, &mut |told| {
        match told {
            Told::Begun { position, leads } => {
                failed |= begun.take().is_none_or(|begun| begun.send(Begun { position, rows: leads }).is_err());
            }
            Told::Lead(lead) => failed |= writer.push(&lead).is_err() || Instant::now() > until,
        }
        if failed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let ended = match &seen {
        Ok((position, true)) => writer.finish(*position).is_ok_and(|mut chunks| chunks.flush().is_ok()),
        Ok((_, false)) | Err(_) => false,
    };
    if !ended {
        tracing::warn!("an export is broken off");
        // Whoever reads must not take a part for the whole; who has gone needn't know.
        let _ = chunks.blocking_send(Err(io::Error::other("the export can't go on")));
    }
    seen.map(|_| ())
}

/// Sends what is written to it, from a thread that may wait.
struct Chunks<'a> {
    chunks: &'a mpsc::Sender<Chunk>,
    bytes: Vec<u8>,
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.bytes));
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn take_format(pairs: &mut Vec<(String, String)>) -> Result<Format, Problem> {
    match take(pairs, "format").as_deref() {
        None | Some("ndjson") => Ok(Format::Ndjson),
        Some("csv") => Ok(Format::Csv),
        Some("parquet") => Ok(Format::Parquet),
        Some(_) => Err(Problem::field("format", "invalid_value", "The format must be ndjson, csv or parquet.")),
    }
}

fn streamed(format: Format, Begun { position, rows }: Begun, body: mpsc::Receiver<Chunk>) -> Response {
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(POSITION_HEADER, HeaderValue::from(position.0));
    headers.insert(ROWS_HEADER, HeaderValue::from(rows));
    response
}

macro_rules! table_export {
    ($name:ident, $path:tt, $table:expr, $summary:tt) => {
        #[doc = $summary]
        ///
        /// All rows of the analytics table as NDJSON, CSV or Parquet, in no particular order. True at one position, which
        /// `X-Leadfold-Position` says; `X-Leadfold-Rows` says how many come. A text of CSV that a spreadsheet would run as
        /// a formula has an apostrophe in front. A stream that can't go on is broken off.
        #[utoipa::path(
            get, path = $path, tag = "analytics",
            params(
                ("format" = Option<String>, Query, pattern = "^(ndjson|csv|parquet)$", description = "ndjson where absent"),
                AtLeast,
                OfTenant,
            ),
            responses((status = 200, description = "The rows", content(
                (String = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
            )), CommonProblems)
        )]
        pub(crate) async fn $name(
            State(api): State<Api>,
            caller: Caller,
            RawQuery(query): RawQuery,
        ) -> Result<Response, Problem> {
            table(&api, &caller, query.as_deref(), $table).await
        }
    };
}

table_export!(interactions, "/v1/export/interactions", Table::Interactions, "Export interactions");
table_export!(events, "/v1/export/events", Table::LeadEvents, "Export lead events");
table_export!(score, "/v1/export/score", Table::ScoreRows, "Export score rows");

async fn table(api: &Api, caller: &Caller, query: Option<&str>, table: Table) -> Result<Response, Problem> {
    caller.must(Permission::Analyse)?;
    let tenant = api.tenant(caller)?;
    let mut pairs = pairs(query)?;
    let format = take_format(&mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    refuse_rest(&pairs)?;
    api.reached(min_position)?;
    if let Some(analysis) = &api.analysis {
        not_paused(&analysis.projection, min_position)?;
    }
    let (reader, analysis) = api.analysed(min_position).await?;
    let turn = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let limits = QueryLimits { time: TIME_MAX, rows: u64::MAX, threads: 1, ..analysis.limits.clone() };
    let (snapshot, name) = (reader.snapshot(), tenant.name.to_string());
    let position = snapshot.position();
    let (begun, start) = oneshot::channel();
    let (chunks, body) = mpsc::channel(CHUNKS_MAX);
    analysis.runtime.spawn(async move {
        let whole = async { Session::new(snapshot, &name, limits)?.whole(table).await };
        match whole.await {
            Ok((rows, answer)) => {
                if begun.send(Ok(Begun { position, rows })).is_ok() {
                    send_rows(answer, (format, position), &chunks, turn).await;
                }
            }
            // Whoever has gone needn't know.
            Err(error) => drop(begun.send(Err(error))),
        }
    });
    let begun = start.await.map_err(|_| Problem::busy())??;
    Ok(streamed(format, begun, body))
}

async fn send_rows(
    answer: Answer,
    (format, position): (Format, LogPosition),
    chunks: &mpsc::Sender<Chunk>,
    _turn: OwnedSemaphorePermit,
) {
    if let Err(error) = try_send_rows(answer, (format, position), chunks).await {
        tracing::warn!(%error, "an export is broken off");
        // Whoever reads must not take a part for the whole; who has gone needn't know.
        let _ = chunks.send(Err(io::Error::other("the export can't go on"))).await;
    }
}

async fn try_send_rows(
    mut answer: Answer,
    (format, position): (Format, LogPosition),
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), QueryError> {
    let written = Written::default();
    let mut output = Output::new(format, answer.schema(), written.clone())?;
    while let Some(batch) = answer.next().await? {
        output.write(&batch)?;
        written.send(CHUNK_BYTES, chunks).await?;
    }
    let mut rest = output.finish_at(position)?;
    rest.flush().map_err(gone)?;
    written.send(1, chunks).await
}

fn gone(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed { message: error.to_string() }
}

/// Keeps what is written until it is sent.
#[derive(Clone, Debug, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// Sends what there is, if it is that much.
    async fn send(&self, least: usize, chunks: &mpsc::Sender<Chunk>) -> Result<(), QueryError> {
        let bytes = {
            let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if bytes.len() < least {
                return Ok(());
            }
            std::mem::take(&mut *bytes)
        };
        chunks.send(Ok(Bytes::from(bytes))).await.map_err(|_| gone("nobody reads it any more"))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
