//! What is told about requests: a span for each with its trace context, and counts. Never a key, an address or a body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use tracing::Instrument;

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// Counts and times a request under the pattern of its route, and follows its trace.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", |path| path.as_str()).to_owned();
    let method = method(request.method());
    let trace = trace_parent(request.headers());
    let span = tracing::info_span!(
        "request",
        method,
        route,
        trace_id = trace.as_ref().map(|trace| trace.id.as_str()),
        parent_id = trace.as_ref().map(|trace| trace.parent.as_str()),
    );
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, seconds, "answered"));
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("leadfold_http_requests_total", &labels).increment(1);
    metrics::histogram!("leadfold_http_request_seconds", "route" => labels[0].1.clone()).record(seconds);
    if let Some(value) = trace.and_then(|trace| HeaderValue::from_str(&trace.text).ok()) {
        response.headers_mut().insert(TRACEPARENT, value);
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

/// The trace that a request belongs to.
struct TraceParent {
    id: String,
    parent: String,
    text: String,
}

/// Reads `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, section 3.2); anything else counts as absent.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let fits = hex(version, 2) && version != "ff" && hex(id, 32) && !zero(id) && hex(parent, 16) && !zero(parent);
    let ends = hex(flags, 2) && (version != "00" || parts.next().is_none());
    (fits && ends).then(|| TraceParent { id: id.to_owned(), parent: parent.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_parent_is_followed() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_static(text));
            trace_parent(&headers).map(|trace| (trace.id, trace.parent))
        };
        let (id, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let found = read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(found, Some((id.to_owned(), parent.to_owned())));
        assert!(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
