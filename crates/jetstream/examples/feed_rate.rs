//! How many messages a second the feed delivers to a sink that does nothing: `cargo run --release -p jetstream --example
//! feed_rate`. Server and client share the machine; the stream is in the page cache.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use jetstream::{
    Connection, ConnectionOptions, FeedBatch, FeedOptions, FeedSink, Outgoing, Publisher, SinkError, StreamSettings,
    provision, run_feed,
};
use nats_testbed::NatsServer;
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 400_000;
const PAYLOAD_BYTES: usize = 256;
const ROUNDS: usize = 3;
/// How many messages may wait for their acknowledgement.
const WINDOW: usize = 1_000;

/// Counts, and stops the feed at the end.
struct Count {
    messages: u64,
    batches: u64,
    done: CancellationToken,
}

impl FeedSink for Count {
    async fn take(&mut self, batch: FeedBatch) -> Result<(), SinkError> {
        self.messages += batch.messages.len() as u64;
        self.batches += 1;
        if self.messages == MESSAGES {
            self.done.cancel();
        }
        Ok(())
    }
}

fn per_second(elapsed: Duration) -> u128 {
    u128::from(MESSAGES) * 1_000 / elapsed.as_millis().max(1)
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = NatsServer::start()?;
    let options = ConnectionOptions::new(server.url(), "feed rate");
    let connection = Connection::open(&options, &CancellationToken::new()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let message = |number: u64| Outgoing {
        subject: "leadfold.in.shop.web".into(),
        payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
        message_id: Some(format!("shop {number}")),
        ..Outgoing::default()
    };
    let begun = Instant::now();
    let results = Publisher::new(connection.clone()).publish_many((0..MESSAGES).map(message), WINDOW).await;
    results.into_iter().collect::<Result<Vec<_>, _>>().context("publish")?;
    println!("published {} messages/s, {WINDOW} at once, with message ids", per_second(begun.elapsed()));
    for _ in 0..ROUNDS {
        let connection = Connection::open(&options, &CancellationToken::new()).await?;
        let done = CancellationToken::new();
        let mut count = Count { messages: 0, batches: 0, done: done.clone() };
        let begun = Instant::now();
        run_feed(connection, FeedOptions::default(), None, &mut count, done).await?;
        println!("delivered {} messages/s in {} batches", per_second(begun.elapsed()), count.batches);
    }
    Ok(())
}
