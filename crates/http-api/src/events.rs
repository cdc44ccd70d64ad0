//! `POST /v1/events`: CloudEvents over HTTP, structured, binary, in batches and as lines.

use std::borrow::Cow;

use access::Permission;
use axum::extract::{FromRequest, RawQuery, State};
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use engine::{EngineError, Outcome, Parts};
use event_log::{LogError, LogPosition};
use http::{HeaderMap, StatusCode, header};
use proto_events::cloud_event::{Fault, code};
use proto_events::lead_event::LeadEvent;
use serde::Serialize;
use service::{Form, RawInput, Receipt};
use utoipa::ToSchema;

use crate::answer::At;
use crate::caller::Caller;
use crate::media::media_type;
use crate::parameters::OfTenant;
use crate::problem::{BodyProblems, CommonProblems, Problem};
use crate::shown::{pairs, shown_events};
use crate::state::Api;

/// What became of the events of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventResults {
    /// One for each event, in their order.
    results: Vec<EventResult>,
    /// The log position that holds all of them.
    position: u64,
}

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventResult {
    /// `recorded`, `duplicate` (it is there already), `conflict` (the same id is there with other content), `quarantined`, or
    /// `suppressed` (an identifier of it must not be collected; nothing of it is kept).
    #[schema(example = "recorded")]
    result: &'static str,
    /// Its record, or that of the event that it repeats; `null` where nothing is recorded.
    position: Option<u64>,
    /// Why it is in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<EventReason>,
    /// What was decided, with `wait=decided`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    events: Option<Vec<LeadEvent>>,
}

/// Why an event is in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventReason {
    /// A stable word, such as `missing_identifier`.
    code: String,
    /// Where in the event, such as `data.email`.
    path: String,
    /// What would be right.
    message: String,
}

/// Take events
///
/// One CloudEvent in structured JSON (`application/cloudevents+json` or `application/json`) or in binary mode (attributes
/// in `ce-` headers), an array of them (`application/cloudevents-batch+json`), or one on each line
/// (`application/x-ndjson`). All of a request is durable when it is answered. What can't be taken is kept in quarantine.
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    params(
        ("wait" = Option<String>, Query, pattern = "^decided$", description = "`decided` also returns what was decided about each event"),
        OfTenant,
    ),
    request_body(content(
        (Object = "application/cloudevents+json"),
        (Object = "application/json"),
        (Vec<Object> = "application/cloudevents-batch+json"),
        (String = "application/x-ndjson"),
    ), description = "CloudEvents 1.0 of type leadfold.interaction.v1"),
    responses((status = 202, body = EventResults, headers(
        ("X-Leadfold-Position" = u64, description = "The log position that holds all events"),
    )), CommonProblems, BodyProblems)
)]
pub(crate) async fn publish(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    caller.must(Permission::PublishEvents)?;
    let wait = wait(query.as_deref())?;
    let tenant = api.tenant_of_inputs(&caller)?;
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &api).await?;
    let parts = split(&headers, body, api.options.events_max)?;
    let inputs = parts.into_iter().map(|(form, bytes)| RawInput {
        tenant: tenant.as_deref().map(Into::into),
        origin: Cow::Borrowed("http"),
        feed_sequence: 0,
        received_at: api.service.now(),
        form,
        bytes,
    });
    let receipts = api.inlet.submit(inputs.collect()).await?;
    let position = receipts.iter().filter_map(position_of).max().unwrap_or(api.service.head());
    let mut results: Vec<EventResult> = receipts.iter().map(result).collect();
    if wait {
        add_decided(&api, &mut results).await?;
    }
    Ok(At::new(position, EventResults { results, position: position.0 }).status(StatusCode::ACCEPTED).into_response())
}

fn wait(query: Option<&str>) -> Result<bool, Problem> {
    let mut wait = false;
    for (name, value) in pairs(query)? {
        match (name.as_str(), value.as_str()) {
            ("wait", "decided") => wait = true,
            ("wait", _) => return Err(Problem::field("wait", "invalid_value", "wait must be decided.")),
            _ => return Err(Problem::unknown_parameter(&name)),
        }
    }
    Ok(wait)
}

/// The events of a body, each with how to read it.
fn split(headers: &HeaderMap, body: Bytes, events_max: usize) -> Result<Vec<(Form, Bytes)>, Problem> {
    if headers.contains_key("ce-id") || headers.contains_key("ce-specversion") {
        return Ok(vec![(binary(headers), body)]);
    }
    let within = |part: &[u8]| body.slice_ref(part);
    let parts: Vec<Bytes> = match media_type(headers).as_str() {
        "application/cloudevents+json" | "application/json" => vec![body.clone()],
        "application/cloudevents-batch+json" => {
            let parts = feed::split_batch(&body, events_max).map_err(|fault| unsplit(fault, events_max))?;
            parts.into_iter().map(within).collect()
        }
        "application/x-ndjson" | "application/ndjson" => {
            let lines: Vec<Bytes> = feed::split_lines(&body).take(events_max + 1).map(within).collect();
            if lines.len() > events_max {
                return Err(too_many_events(events_max));
            }
            lines
        }
        _ => {
            return Err(Problem::unsupported_media(
                "Send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, or binary \
                 mode with ce- headers.",
            ));
        }
    };
    Ok(parts.into_iter().map(|part| (Form::Structured, part)).collect())
}

fn unsplit(fault: Fault, events_max: usize) -> Problem {
    if fault.code == code::TOO_MANY_EVENTS { too_many_events(events_max) } else { Problem::faults(&[fault]) }
}

fn too_many_events(most: usize) -> Problem {
    Problem::too_large(format!("The body has more than {most} events; send fewer at once."))
}

fn binary(headers: &HeaderMap) -> Form {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let attributes = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("ce-")?.to_owned(), text(value))))
        .collect();
    Form::Binary { attributes, content_type: headers.get(header::CONTENT_TYPE).map(text) }
}

/// The record that a receipt names.
fn position_of(receipt: &Receipt) -> Option<LogPosition> {
    match receipt {
        Receipt::Event(receipt) => receipt.outcome.position(),
        Receipt::Command(answer) => answer.as_ref().ok().map(|answer| answer.position),
    }
}

fn result(receipt: &Receipt) -> EventResult {
    let position = position_of(receipt).map(|position| position.0);
    let (result, reason) = match receipt {
        Receipt::Event(receipt) => {
            let result = match receipt.outcome {
                Outcome::Recorded(_) => "recorded",
                Outcome::Duplicate(_) => "duplicate",
                Outcome::Conflict(_) => "conflict",
                Outcome::Quarantined(_) => "quarantined",
                Outcome::Suppressed => "suppressed",
            };
            (result, receipt.reason.as_ref())
        }
        Receipt::Command(_) => ("recorded", None),
    };
    let reason = reason.map(|reason| EventReason {
        code: reason.code.to_string(),
        path: reason.path.to_string(),
        message: reason.message.to_string(),
    });
    EventResult { result, position, reason, events: None }
}

/// Adds what was decided about each event.
async fn add_decided(api: &Api, results: &mut [EventResult]) -> Result<(), Problem> {
    let positions: Vec<LogPosition> = results.iter().filter_map(|result| result.position).map(LogPosition).collect();
    let last = positions.iter().copied().max().unwrap_or_default();
    let read = move |parts: &Parts| {
        let events = |position: &LogPosition| {
            let found = engine::facts_at(&*parts.log, *position)?;
            found.map(|(_, facts)| facts.events).ok_or(LogError::Missing { position: *position }.into())
        };
        positions.iter().map(events).collect::<Result<Vec<_>, EngineError>>()
    };
    let decided = api.service.read_records(last, read).await??;
    let recorded = results.iter_mut().filter(|result| result.position.is_some());
    for (result, events) in recorded.zip(decided) {
        result.events = Some(shown_events(&events));
    }
    Ok(())
}
