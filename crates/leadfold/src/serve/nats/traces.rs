//! The traces that messages of the feed belong to, told in log lines.

use event_log::LogPosition;
use jetstream::Message;
use service::Receipt;
use trace_context::{TRACEPARENT, TraceContext};
use tracing::{Level, Span};

/// Spans of messages that belong to a trace, each with the message's place in its batch.
pub(super) struct Traced(Vec<(usize, Span)>);

impl Traced {
    /// Opens a span for each of these messages that belongs to a trace; for none where nobody would see it.
    pub(super) fn of(messages: &[Message]) -> Self {
        if !tracing::enabled!(Level::DEBUG) {
            return Self(Vec::new());
        }
        Self(messages.iter().enumerate().filter_map(|(place, message)| Some((place, span(message)?))).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells what became of the messages, once it is durable.
    pub(super) fn tell(&self, receipts: &[Receipt]) {
        for (place, span) in &self.0 {
            let Some(receipt) = receipts.get(*place) else { continue };
            match position(receipt) {
                Some(position) => span.in_scope(|| tracing::debug!(position = position.0, "recorded")),
                None => span.in_scope(|| tracing::debug!("refused")),
            }
        }
    }
}

fn span(message: &Message) -> Option<Span> {
    let parent = TraceContext::read(message.headers.get(TRACEPARENT)?, None)?;
    let own = parent.child();
    Some(tracing::info_span!(
        "message",
        feed_sequence = message.sequence,
        trace_id = own.trace_id(),
        parent_id = parent.span_id(),
        span_id = own.span_id(),
    ))
}

fn position(receipt: &Receipt) -> Option<LogPosition> {
    match receipt {
        Receipt::Event(receipt) => receipt.outcome.position(),
        Receipt::Command(answer) => answer.as_ref().ok().map(|answer| answer.position),
    }
}
