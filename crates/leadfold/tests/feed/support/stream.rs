//! What a stream holds, read by an administrator.

use anyhow::{Context, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use bytes::Bytes;
use futures_util::StreamExt;
use jetstream::{Connection, ConnectionOptions};
use tokio_util::sync::CancellationToken;

use crate::support::soon;

/// The client itself, for what only an administrator does.
pub(crate) type Admin = async_nats::jetstream::Context;

/// A message of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) message_id: Option<String>,
    pub(crate) payload: Bytes,
    pub(crate) traceparent: Option<String>,
    pub(crate) tracestate: Option<String>,
}

pub(crate) async fn admin(url: &str) -> Result<Admin> {
    Ok(async_nats::jetstream::new(async_nats::connect(url).await?))
}

/// A client as the service's own, which waits a second for answers.
pub(crate) async fn connect(url: &str) -> Result<Connection> {
    let options =
        ConnectionOptions { request_timeout: std::time::Duration::from_secs(1), ..ConnectionOptions::new(url, "test") };
    Ok(soon("a connection", Connection::open(&options, &CancellationToken::new())).await??)
}

/// Everything that a stream holds.
pub(crate) async fn read_all(admin: &Admin, name: &str) -> Result<Vec<Stored>> {
    let mut stream = admin.get_stream(name).await?;
    let count = stream.info().await?.state.messages;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut found = Vec::new();
    soon("the messages of the stream", async {
        while (found.len() as u64) < count {
            let mut batch = consumer.fetch().max_messages(1_000).messages().await?;
            while let Some(message) = batch.next().await {
                let message = message.map_err(|error| anyhow::anyhow!(error))?;
                let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
                let headers = message.headers.as_ref();
                let header = |name| headers.and_then(|it| it.get(name)).map(|value| value.as_str().to_owned());
                found.push(Stored {
                    sequence: info.stream_sequence,
                    subject: message.subject.to_string(),
                    message_id: header("Nats-Msg-Id"),
                    payload: message.payload.clone(),
                    traceparent: header("traceparent"),
                    tracestate: header("tracestate"),
                });
            }
        }
        anyhow::Ok(())
    })
    .await??;
    Ok(found)
}

/// How many messages a stream holds.
pub(crate) async fn message_count(admin: &Admin, name: &str) -> Result<u64> {
    let stream = admin.get_stream(name).await.context("a stream")?;
    Ok(stream.cached_info().state.messages)
}
