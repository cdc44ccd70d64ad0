//! What the tests share: a server with a stream, messages by number, and a sink that shows what it got.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::TryStreamExt;
use jetstream::{
    Connection, ConnectionOptions, FeedBatch, FeedError, FeedMark, FeedOptions, FeedSink, LEADFOLD_IN, Message,
    Outgoing, Published, Publisher, SinkError, StreamSettings, provision, run_feed,
};
use nats_testbed::NatsServer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The client itself, for what only an administrator does.
pub(crate) type Admin = async_nats::jetstream::Context;

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

pub(crate) async fn admin(server: &NatsServer) -> Result<Admin> {
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

/// Publishes messages with these numbers each once, over whatever happens to the connection.
pub(crate) async fn publish_surely(connection: &Connection, numbers: impl Iterator<Item = u64> + Send) -> Result<()> {
    let publisher = Publisher::new(connection.clone());
    let mut missing: Vec<_> =
        numbers.map(|it| Outgoing { message_id: Some(format!("once {it}")), ..numbered(it) }).collect();
    soon("acknowledgements", async {
        while !missing.is_empty() {
            let results = publisher.publish_many(missing.clone(), 100).await;
            let stored = results.iter().take_while(|it| it.is_ok()).count();
            missing.drain(..stored);
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
    pub(crate) longest_batch: usize,
    pub(crate) mark: Option<FeedMark>,
}

/// Quick to notice what a user would wait ten seconds for.
pub(crate) fn options() -> FeedOptions {
    FeedOptions { heartbeat: Duration::from_millis(500), ..FeedOptions::new(LEADFOLD_IN) }
}

pub(crate) fn feed(connection: &Connection, from: Option<FeedMark>) -> Running {
    feed_with(connection, options(), from)
}

pub(crate) fn feed_with(connection: &Connection, options: FeedOptions, from: Option<FeedMark>) -> Running {
    let (sender, batches) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(run_feed(connection.clone(), options, from, Channel(sender), cancel.clone()));
    Running { batches, cancel, task, messages: Vec::new(), longest_batch: 0, mark: None }
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
            self.longest_batch = self.longest_batch.max(batch.messages.len());
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

    /// Takes what comes before the feed ends by itself, and says what came last.
    pub(crate) async fn until_error(mut self) -> Result<(FeedError, u64)> {
        while let Some(batch) = soon("the error", self.batches.recv()).await? {
            self.messages.extend(batch.messages);
        }
        let came = self.sequences().last().copied().unwrap_or_default();
        assert_eq!(self.sequences(), (1..=came).collect::<Vec<_>>());
        Ok((soon("the end", self.task).await??.err().context("the feed was to fail")?, came))
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

/// Asks until the answer is there.
async fn until_some<T, F: Future<Output = Result<Option<T>>>>(what: &str, ask: impl Fn() -> F) -> Result<T> {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await?
}

/// Waits until so many consumers read the stream.
pub(crate) async fn consumer_count(admin: &Admin, count: usize) -> Result<()> {
    until_some("consumers", || async {
        let found = admin.get_stream(LEADFOLD_IN).await?.cached_info().state.consumer_count;
        Ok((found == count).then_some(()))
    })
    .await
}

/// Waits until the stream has so many messages.
pub(crate) async fn message_count(admin: &Admin, count: u64) -> Result<()> {
    until_some("messages", || async {
        let found = admin.get_stream(LEADFOLD_IN).await?.cached_info().state.messages;
        Ok((found == count).then_some(()))
    })
    .await
}

/// The name of the one consumer, once there is one.
pub(crate) async fn only_consumer(admin: &Admin) -> Result<String> {
    until_some("one consumer", || async {
        let stream = admin.get_stream(LEADFOLD_IN).await?;
        let names: Vec<String> = stream.consumer_names().try_collect().await?;
        Ok(names.into_iter().next())
    })
    .await
}

/// How many messages were sent to the one consumer, once that no longer rises.
pub(crate) async fn steady_delivered(admin: &Admin) -> Result<u64> {
    let name = only_consumer(admin).await?;
    let last = std::cell::Cell::new(0);
    until_some("deliveries", || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let stream = admin.get_stream(LEADFOLD_IN).await?;
        let delivered = stream.consumer_info(&name).await?.delivered.consumer_sequence;
        Ok((last.replace(delivered) == delivered && delivered > 0).then_some(delivered))
    })
    .await
}
