//! What is told about requests: a span for each with its trace context, and counts. Never a key, an address or a body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use trace_context::{TRACEPARENT, TRACESTATE, TraceContext};
use tracing::Instrument;

tokio::task_local! {
    /// The span of the request that this task answers.
    static REQUEST: TraceContext;
}

/// The span of the request that the calling task answers, for what it sends on; `None` where its caller sent no trace.
#[must_use]
pub fn current_trace() -> Option<TraceContext> {
    REQUEST.try_with(Clone::clone).ok()
}

/// Counts and times a request under the pattern of its route, and follows its trace.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", |path| path.as_str()).to_owned();
    let method = method(request.method());
    let (caller, sent) = caller(request.headers()).unzip();
    let own = caller.as_ref().map(TraceContext::child);
    let span = tracing::info_span!(
        "request",
        method,
        route,
        trace_id = caller.as_ref().map(TraceContext::trace_id),
        parent_id = caller.as_ref().map(TraceContext::span_id),
        span_id = own.as_ref().map(TraceContext::span_id),
    );
    let started = Instant::now();
    let answered = next.run(request).instrument(span.clone());
    let mut response = match own {
        Some(own) => REQUEST.scope(own, answered).await,
        None => answered.await,
    };
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, seconds, "answered"));
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("leadfold_http_requests_total", &labels).increment(1);
    metrics::histogram!("leadfold_http_request_seconds", "route" => labels[0].1.clone()).record(seconds);
    if let Some(sent) = sent {
        response.headers_mut().insert(TRACEPARENT, sent);
    }
    response
}

/// Methods are the caller's to invent; labels are not.
fn method(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The span that sent the request, and its `traceparent` as it came.
fn caller(headers: &HeaderMap) -> Option<(TraceContext, HeaderValue)> {
    let sent = headers.get(TRACEPARENT)?;
    let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok()).collect();
    let caller = TraceContext::read(sent.to_str().ok()?, Some(&states.join(",")))?;
    Some((caller, sent.clone()))
}
