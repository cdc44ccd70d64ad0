//! `/healthz`, `/readyz` and `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::Api;

/// Records that the listing may be behind before the service counts as not ready.
const LAG_MAX: u64 = 100_000;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `unavailable`.
    status: &'static str,
    /// The last durable record.
    position: u64,
    /// The last record in the listing.
    listing_position: u64,
    /// For how long the first record that the listing lacks has been recorded, in whole seconds.
    listing_lag_seconds: u64,
    /// The last record in the analytics tables, where they are kept. They may be behind, or fail, without the service being
    /// unready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    analytics_position: Option<u64>,
    /// As `listing_lag_seconds`, of the analytics tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    analytics_lag_seconds: Option<u64>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Whether the service can do its work
///
/// Storage takes writes, the listing follows, and the feed is connected.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = Health, description = "It can't; reasons says why"))
)]
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let listing = api.service.listing().borrow().clone();
    let position = api.service.head();
    let mut reasons = Vec::new();
    if let Some(failure) = api.service.failure() {
        reasons.push(format!("the engine has stopped: {failure}"));
    }
    if !listing.is_ready {
        reasons.push("the listing is still being brought up to date".to_owned());
    } else if position.0.saturating_sub(listing.position.0) > LAG_MAX {
        reasons.push("the listing is far behind the log".to_owned());
    }
    reasons.extend(listing.error.map(|error| format!("the listing doesn't follow: {error}")));
    reasons.extend((api.ready)());
    let (status, code) =
        if reasons.is_empty() { ("ok", StatusCode::OK) } else { ("unavailable", StatusCode::SERVICE_UNAVAILABLE) };
    let analytics = api.analysis.as_ref().map(|analysis| analysis.projection.state().borrow().position);
    let health = Health {
        status,
        position: position.0,
        listing_position: listing.position.0,
        listing_lag_seconds: api.service.lag_seconds(listing.position),
        analytics_position: analytics.map(|analytics| analytics.0),
        analytics_lag_seconds: analytics.map(|analytics| api.service.lag_seconds(analytics)),
        reasons,
    };
    (code, Json(health)).into_response()
}

/// What the service counts, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let head = api.service.head().0;
    let listing = api.service.listing().borrow().position;
    metrics::gauge!("leadfold_log_position_records").set(head as f64);
    metrics::gauge!("leadfold_listing_lag_records").set(head.saturating_sub(listing.0) as f64);
    metrics::gauge!("leadfold_listing_lag_seconds").set(api.service.lag_seconds(listing) as f64);
    if let Some(analysis) = &api.analysis {
        let analytics = analysis.projection.state().borrow().position;
        metrics::gauge!("leadfold_analytics_lag_records").set(head.saturating_sub(analytics.0) as f64);
        metrics::gauge!("leadfold_analytics_lag_seconds").set(api.service.lag_seconds(analytics) as f64);
    }
    for projection in api.projections() {
        let parked = projection.state().borrow().parked.waiting();
        metrics::gauge!("leadfold_projection_parked_visitors", "projection" => projection.name()).set(parked as f64);
    }
    metrics::gauge!("leadfold_intake_queued_bytes").set(api.service.queued_bytes() as f64);
    let mut response = api.metrics.render().into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
