//! Requests that go through the feed: published to the stream, and answered when the feed has brought them back.

use feed::segment::Call;
use http_api::{Inlet, Taking};
use jetstream::{Headers, Outgoing, PublishError, Subject};
use service::{Form, RawInput, Receipt, ServiceError};
use tokio::sync::oneshot;
use trace_context::TraceContext;
use uuid::Uuid;

use super::{LateNats, REQUEST_HEADER, Waiting};

/// The channel in the subject of what came over HTTP.
const CHANNEL: &str = "http";
/// Messages that may be under way to the server for one request.
const WINDOW: usize = 1_000;
const CONTENT_TYPE: &str = "content-type";
const STRUCTURED: &str = "application/cloudevents+json";
/// Around the kind of a message of Segment's SDKs, in its content type.
const SEGMENT_PREFIX: &str = "application/vnd.segment.";
const SEGMENT_SUFFIX: &str = "+json";
const SEGMENT_BATCH: &str = "batch";
/// In front of the names of CloudEvents attributes.
const ATTRIBUTE_PREFIX: &str = "ce-";

/// How the headers of a message say that it is to be read.
pub(super) fn form_of(headers: &Headers) -> Form {
    let content_type = headers.get(CONTENT_TYPE);
    if let Some(kind) = content_type.and_then(segment_kind) {
        return Form::Segment(Call::named(kind));
    }
    if headers.get("ce-id").is_none() && headers.get("ce-specversion").is_none() {
        return Form::Structured;
    }
    let prefix = ATTRIBUTE_PREFIX.len();
    let attributes = headers.iter().filter_map(|(name, value)| {
        let (start, attribute) = name.split_at_checked(prefix)?;
        start.eq_ignore_ascii_case(ATTRIBUTE_PREFIX).then(|| (attribute.to_ascii_lowercase(), value.to_owned()))
    });
    Form::Binary { attributes: attributes.collect(), content_type: content_type.map(ToOwned::to_owned) }
}

/// The kind of a message of Segment's SDKs that went through the feed.
fn segment_kind(content_type: &str) -> Option<&str> {
    content_type.strip_prefix(SEGMENT_PREFIX)?.strip_suffix(SEGMENT_SUFFIX)
}

/// Publishes inputs to the feed and waits for what became of them.
pub(crate) struct JetStreamInlet {
    nats: LateNats,
    waiting: Waiting,
}

/// Takes a request back out when nobody waits any more.
struct Expected {
    request: String,
    waiting: Waiting,
    receipt: oneshot::Receiver<Receipt>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        drop(self.waiting.take(&self.request));
    }
}

impl JetStreamInlet {
    pub(crate) const fn new(nats: LateNats, waiting: Waiting) -> Self {
        Self { nats, waiting }
    }

    async fn through_the_feed(&self, inputs: Vec<RawInput>) -> Result<Vec<Receipt>, ServiceError> {
        let unconnected = || ServiceError::Unpublished { reason: "the feed is not connected yet".to_owned() };
        let publisher = self.nats.get().ok_or_else(unconnected)?.publisher();
        let trace = http_api::current_trace();
        let mut expected = Vec::with_capacity(inputs.len());
        let mut messages = Vec::with_capacity(inputs.len());
        for input in inputs {
            let request = Uuid::new_v4().to_string();
            let receipt = self.waiting.add(request.clone());
            messages.push(message(input, &request, trace.as_ref())?);
            expected.push(Expected { request, waiting: self.waiting.clone(), receipt });
        }
        for published in publisher.publish_many(messages, WINDOW).await {
            published.map_err(|error| unpublished(&error))?;
        }
        let mut receipts = Vec::with_capacity(expected.len());
        for mut expected in expected {
            let receipt = (&mut expected.receipt).await;
            receipts.push(receipt.map_err(|_| ServiceError::Failed)?);
        }
        Ok(receipts)
    }
}

impl Inlet for JetStreamInlet {
    fn submit(&self, inputs: Vec<RawInput>) -> Taking<'_> {
        Box::pin(self.through_the_feed(inputs))
    }
}

/// The message that carries an input, and the trace of its request, through the feed.
fn message(input: RawInput, request: &str, trace: Option<&TraceContext>) -> Result<Outgoing, ServiceError> {
    let tenant = input.tenant.as_deref().unwrap_or_default();
    let subject = match &input.form {
        Form::Command => Subject::Command { tenant },
        Form::Structured | Form::Binary { .. } | Form::Segment(_) => Subject::Interaction { tenant, channel: CHANNEL },
    };
    let subject = subject.to_published();
    let subject = subject.map_err(|error| ServiceError::Unpublished { reason: error.to_string() })?;
    let mut headers = vec![(REQUEST_HEADER.to_owned(), request.to_owned())];
    let of_trace = trace.into_iter().flat_map(TraceContext::headers);
    headers.extend(of_trace.map(|(name, value)| (name.to_owned(), value)));
    match input.form {
        Form::Command => headers.push((CONTENT_TYPE.to_owned(), "application/json".to_owned())),
        Form::Segment(call) => {
            let kind = call.map_or(SEGMENT_BATCH, Call::name);
            headers.push((CONTENT_TYPE.to_owned(), format!("{SEGMENT_PREFIX}{kind}{SEGMENT_SUFFIX}")));
        }
        Form::Structured => headers.push((CONTENT_TYPE.to_owned(), STRUCTURED.to_owned())),
        Form::Binary { attributes, content_type } => {
            headers.extend(content_type.map(|content_type| (CONTENT_TYPE.to_owned(), content_type)));
            headers.extend(attributes.into_iter().map(|(name, value)| (format!("{ATTRIBUTE_PREFIX}{name}"), value)));
        }
    }
    Ok(Outgoing { subject, headers: headers.into_iter().collect(), payload: input.bytes, message_id: None })
}

fn unpublished(error: &PublishError) -> ServiceError {
    tracing::warn!(%error, "a request could not be published to the feed");
    ServiceError::Unpublished { reason: error.to_string() }
}
