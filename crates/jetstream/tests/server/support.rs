//! What the tests share: a server with a stream, messages by number, and a sink that shows what it got.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use jetstream::{
    Connection, ConnectionOptions, FeedBatch, FeedError, FeedMark, FeedOptions, FeedSink, LEADFOLD_IN, Message,
    Outgoing, Published, Publisher, SinkError, StreamSettings, provision, run_feed,
};
use nats_testbed::NatsServer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Fails instead of waiting for ever.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.with_context(|| format!("waited in vain for {what}"))
}

/// A client of its own, which waits a second for answers.
pub(crate) async fn connect(server: &NatsServer) -> Result<Connection> {
    connect_to(&server.url()).await
}

pub(crate) async fn connect_to(url: &str) -> Result<Connection> {
    let options = ConnectionOptions { request_timeout: Duration::from_secs(1), ..ConnectionOptions::new(url, "test") };
    Ok(soon("a connection", Connection::open(&options, &CancellationToken::new())).await??)
}

/// As the service's, but it may be purged.
pub(crate) fn settings() -> StreamSettings {
    StreamSettings { deny_purge: false, ..StreamSettings::incoming() }
}

/// A server with the stream of what comes in.
pub(crate) async fn server() -> Result<(NatsServer, Connection)> {
    let server = NatsServer::start()?;
    let connection = connect(&server).await?;
    assert_eq!(provision(&connection, &settings()).await?, []);
    Ok((server, connection))
}

/// The client itself, for what only an administrator does.
pub(crate) async fn admin(server: &NatsServer) -> Result<async_nats::jetstream::Context> {
    Ok(async_nats::jetstream::new(async_nats::connect(server.url()).await?))
}

pub(crate) fn numbered(number: u64) -> Outgoing {
    Outgoing {
        subject: "leadfold.in.shop.web".into(),
        headers: [("ce-id", number.to_string())].into_iter().collect(),
        payload: Bytes::from(format!("payload {number}")),
        message_id: None,
    }
}

/// Publishes messages with these numbers as their payload.
pub(crate) async fn publish(
    connection: &Connection,
    numbers: impl Iterator<Item = u64> + Send,
) -> Result<Vec<Published>> {
    let publisher = Publisher::new(connection.clone());
    let messages: Vec<_> = numbers.map(numbered).collect();
    let results = soon("acknowledgements", publisher.publish_many(messages, 500)).await?;
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

/// Publishes one message, again and again until the server is there.
pub(crate) async fn publish_surely(connection: &Connection, number: u64) -> Result<()> {
    let publisher = Publisher::new(connection.clone());
    let id = format!("surely {number}");
    let Outgoing { subject, headers, payload, .. } = numbered(number);
    soon("an acknowledgement", async {
        while publisher.publish(&subject, &headers, payload.clone(), Some(&id)).await.is_err() {
            connection.connected().await;
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Puts batches into a channel.
pub(crate) struct Channel(pub(crate) mpsc::Sender<FeedBatch>);

impl FeedSink for Channel {
    async fn take(&mut self, batch: FeedBatch) -> Result<(), SinkError> {
        Ok(self.0.send(batch).await?)
    }
}

/// A feed that is running.
pub(crate) struct Running {
    pub(crate) batches: mpsc::Receiver<FeedBatch>,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), FeedError>>,
    /// What has come so far.
    pub(crate) messages: Vec<Message>,
    pub(crate) mark: Option<FeedMark>,
}

/// Quick to notice what a user would wait ten seconds for.
pub(crate) fn options() -> FeedOptions {
    FeedOptions { heartbeat: Duration::from_millis(500), ..FeedOptions::new(LEADFOLD_IN) }
}

pub(crate) fn feed(connection: &Connection, from: Option<FeedMark>) -> Running {
    let (sender, batches) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(run_feed(connection.clone(), options(), from, Channel(sender), cancel.clone()));
    Running { batches, cancel, task, messages: Vec::new(), mark: None }
}

impl Running {
    /// Takes batches until `count` messages are there in all.
    pub(crate) async fn until(&mut self, count: usize) -> Result<()> {
        while self.messages.len() < count {
            let batch = soon("a batch", self.batches.recv()).await?;
            let Some(batch) = batch else {
                anyhow::bail!("the feed ended after {} messages", self.messages.len());
            };
            let last = batch.messages.last().context("a batch is never empty")?;
            assert_eq!(batch.mark.sequence, last.sequence);
            self.mark = Some(batch.mark);
            self.messages.extend(batch.messages);
        }
        Ok(())
    }

    /// Stops the feed.
    pub(crate) async fn stop(self) -> Result<()> {
        self.cancel.cancel();
        soon("the end", self.task).await??.context("the feed was to end well")
    }

    /// Waits for the feed to end by itself, with nothing delivered before.
    pub(crate) async fn error(mut self) -> Result<FeedError> {
        let batch = soon("the error", self.batches.recv()).await?;
        anyhow::ensure!(batch.is_none(), "something was delivered: {:?}", batch.map(|it| it.mark));
        soon("the end", self.task).await??.err().context("the feed was to fail")
    }

    pub(crate) fn sequences(&self) -> Vec<u64> {
        self.messages.iter().map(|it| it.sequence).collect()
    }

    /// What was published, by the number in it.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let number = |it: &Message| it.headers.get("CE-ID").and_then(|id| id.parse().ok()).unwrap_or_default();
        self.messages.iter().map(number).collect()
    }
}

/// Waits until so many consumers read the stream.
pub(crate) async fn consumer_count(admin: &async_nats::jetstream::Context, count: usize) -> Result<()> {
    soon("consumers", async {
        loop {
            if admin.get_stream(LEADFOLD_IN).await?.cached_info().state.consumer_count == count {
                return anyhow::Ok(());
            }
            tokio::task::yield_now().await;
        }
    })
    .await?
}
