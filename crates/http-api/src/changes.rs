//! `GET /v1/stream`: what changed, as server-sent events, from a position on.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use access::Permission;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use event_log::{EventLog, LogPosition};
use futures_util::Stream;
use http::HeaderMap;
use lead_domain::{TenantId, Time};
use proto_events::lead_event::{self, LeadEvent, rfc3339};
use proto_events::stored;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::parameters::OfTenant;
use crate::problem::{CommonProblems, Problem};
use crate::shown::{pairs, refuse_rest, take, whole};
use crate::state::Api;

/// Events that may wait for a reader. One that doesn't keep up is read for from the log, so it delays nobody.
const EVENTS_QUEUED_MAX: usize = 1_024;
/// Records read in one go.
const RECORDS_MAX: u64 = 4_096;
/// How often a wait for records looks whether the reader has gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a silent stream shows that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// One change, the `data` of an event of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    /// The record that it stands in.
    position: u64,
    /// When that was recorded.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// What changed.
    #[schema(value_type = Object)]
    change: LeadEvent,
}

/// Follow what changes
///
/// Server-sent events: `event` is the word of the change such as `lead_opened`, `id` is its place. A stream goes on behind
/// `Last-Event-ID` or `from`; without either it begins with what happens next.
#[utoipa::path(
    get, path = "/v1/stream", tag = "leads",
    params(
        ("from" = Option<u64>, Query, description = "Begin with this position; 1 is the beginning of the log"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on behind this event"),
        OfTenant,
    ),
    responses((status = 200, body = Change, content_type = "text/event-stream"), CommonProblems)
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?.id;
    let mut pairs = pairs(query.as_deref())?;
    let from = take(&mut pairs, "from").map(|value| whole("from", &value)).transpose()?;
    refuse_rest(&pairs)?;
    let place = match (last_event(&headers)?, from) {
        (Some(place), _) => place,
        (None, Some(from)) => Place { record: LogPosition(from.max(1)), event: 0 },
        (None, None) => Place { record: api.service.head().next(), event: 0 },
    };
    let turn = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let (events, receiver) = mpsc::channel(EVENTS_QUEUED_MAX);
    let follower = Follower { api: api.clone(), log: api.service.log(), tenant, place, events, _turn: turn };
    std::thread::spawn(move || follower.run());
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(alive))
}

/// A place between two changes: the next record to read, and how many of its events are known.
#[derive(Clone, Copy)]
struct Place {
    record: LogPosition,
    event: usize,
}

fn last_event(headers: &HeaderMap) -> Result<Option<Place>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let parts = value.to_str().ok().and_then(|text| text.split_once('-'));
    let place = parts.and_then(|(record, event)| {
        Some(Place { record: LogPosition(record.parse().ok()?), event: event.parse::<usize>().ok()?.checked_add(1)? })
    });
    let wrong =
        || Problem::field("Last-Event-ID", "invalid_value", "Last-Event-ID must be the id of an earlier event.");
    place.map(Some).ok_or_else(wrong)
}

struct Follower {
    api: Api,
    log: Arc<dyn EventLog>,
    tenant: TenantId,
    place: Place,
    events: mpsc::Sender<Result<Event, Infallible>>,
    _turn: OwnedSemaphorePermit,
}

impl Follower {
    /// Sends what changes until the reader has gone or the service stops.
    fn run(mut self) {
        while !self.events.is_closed() && !(self.api.stopping)() && self.api.service.failure().is_none() {
            let head = self.log.wait_beyond(LogPosition(self.place.record.0.saturating_sub(1)), LOOK_EVERY).position;
            if head >= self.place.record && self.send_until(head).is_err() {
                return;
            }
        }
    }

    fn send_until(&mut self, head: LogPosition) -> Result<(), ()> {
        let until = LogPosition(self.place.record.0.saturating_add(RECORDS_MAX)).min(head);
        let mut changes = Vec::new();
        let (from, skip) = (self.place.record, self.place.event);
        let tenant = self.tenant;
        let read = self.log.read(from, &mut |record| {
            let header = &record.header;
            if header.tenant == tenant.0
                && let Ok(facts) = stored::decode_facts(header.codec, record.facts)
            {
                let skip = if header.position == from { skip } else { 0 };
                for (index, event) in facts.events.iter().enumerate().skip(skip) {
                    changes.push((
                        header.position,
                        index,
                        header.recorded_at,
                        lead_event::name(event),
                        LeadEvent::from(event),
                    ));
                }
            }
            if header.position >= until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let last = read.map_err(|error| tracing::warn!(%error, "a stream of changes ends: the log can't be read"))?;
        for (position, index, recorded_at, name, change) in changes {
            let recorded_at = rfc3339(Time::from_millis(recorded_at));
            let data = Change { position: position.0, recorded_at, change };
            let event = Event::default().id(format!("{position}-{index}")).event(name).json_data(&data);
            let event = event.map_err(|_| ())?;
            self.events.blocking_send(Ok(event)).map_err(|_| ())?;
        }
        self.place = Place { record: last.next(), event: 0 };
        Ok(())
    }
}
