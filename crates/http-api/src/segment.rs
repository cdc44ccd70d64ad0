//! `/segment/v1/…`: what Segment's own SDKs send, unchanged, with `host` set to `…/segment`.
//!
//! Answers as Segment does, so these routes are no part of the API's own description.

use std::borrow::Cow;

use access::Permission;
use axum::extract::{FromRequest, Request, State};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use feed::segment::{self, Call};
use serde_json::{Value, json};
use service::{Form, RawInput};

use crate::caller::Caller;
use crate::parameters::Id;
use crate::problem::Problem;
use crate::state::Api;

/// Messages of one request; Segment's SDKs send some hundred at most.
const MESSAGES_MAX: usize = 5_000;
/// The word for several calls at once. Older SDKs say `import`.
const BATCH: [&str; 2] = ["batch", "import"];

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/segment/v1/{call}", post(take))
}

async fn take(State(api): State<Api>, Id(call): Id, request: Request) -> Result<Json<Value>, Problem> {
    record(&api, &call, request).await
}

/// Browsers' SDKs use one letter.
fn call_named(word: &str) -> Option<Call> {
    let long = match word {
        "t" => "track",
        "i" => "identify",
        "p" => "page",
        "s" => "screen",
        "g" => "group",
        "a" => "alias",
        long => long,
    };
    Call::named(long)
}

async fn record(api: &Api, word: &str, request: Request) -> Result<Json<Value>, Problem> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, api).await?;
    let caller = Caller::of_write_key(&headers, segment::write_key(&body).as_deref(), api)?;
    caller.must(Permission::PublishEvents)?;
    let tenant = api.tenant(&caller)?.name.clone();
    let messages: Vec<(Form, Bytes)> = match call_named(word) {
        Some(call) => vec![(Form::Segment(Some(call)), body)],
        None if BATCH.contains(&word) || word == "b" => {
            let batch = segment::read_batch(&body, MESSAGES_MAX).map_err(|fault| Problem::faults(&[fault]))?;
            batch.messages.iter().map(|message| (Form::Segment(None), Bytes::from(message.as_batch()))).collect()
        }
        None => return Err(Problem::no_route()),
    };
    let received_at = api.service.now();
    let input = |(form, bytes)| RawInput {
        tenant: Some(tenant.clone()),
        origin: Cow::Borrowed("segment"),
        feed_sequence: 0,
        received_at,
        form,
        bytes,
    };
    api.inlet.submit(messages.into_iter().map(input).collect()).await?;
    Ok(Json(json!({ "success": true })))
}
