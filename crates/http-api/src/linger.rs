//! Reads on when a request was answered before its body had come to its end.
//!
//! A connection on which something is still being sent is closed hard, and a caller who is still sending never sees why it
//! was refused. So what nobody wants is read and thrown away, up to a bound.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// Bytes that are thrown away; whoever sends more is cut off.
const BYTES_MAX: usize = 32 << 20;
/// How long that may take.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// Lets the rest of the body come in behind the answer.
pub(crate) async fn linger(request: Request, next: Next) -> Response {
    let request = request.map(|body| Body::from_stream(Lingering { rest: Some(body.into_data_stream()) }));
    next.run(request).await
}

/// A body of which the rest is read when nobody wants it any more.
struct Lingering {
    /// `None` behind its end.
    rest: Option<BodyDataStream>,
}

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let polled = rest.poll_next_unpin(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.rest = None;
        }
        polled
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(rest), Ok(runtime)) = (self.rest.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(tokio::time::timeout(LINGER_MAX, throw_away(rest)));
    }
}

async fn throw_away(mut rest: BodyDataStream) {
    let mut bytes = 0_usize;
    while let Some(Ok(chunk)) = rest.next().await {
        bytes = bytes.saturating_add(chunk.len());
        if bytes > BYTES_MAX {
            return;
        }
    }
}
