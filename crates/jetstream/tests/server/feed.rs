//! Reading in order and going on.

use crate::support::{self, connect, feed, publish, server};
use anyhow::{Context, Result};
use jetstream::{EpochStart, FeedMark, LEADFOLD_IN, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_come_in_order_and_only_once() -> Result<()> {
    let (_server, connection) = server().await?;
    publish(&connection, 1..=20_000).await?;
    let mut running = feed(&connection, None);
    running.until(20_000).await?;
    publish(&connection, 20_001..=20_500).await?;
    running.until(20_500).await?;
    assert_eq!(running.numbers(), (1..=20_500).collect::<Vec<_>>());
    assert_eq!(running.sequences(), (1..=20_500).collect::<Vec<_>>());
    let first = &running.messages[0];
    assert_eq!(Subject::parse(&first.subject), Subject::Interaction { tenant: "shop", channel: "web" });
    assert_eq!(first.payload, "payload 1");
    assert!(first.published_at > 1_700_000_000_000);
    running.stop().await
}

#[tokio::test]
async fn a_feed_goes_on_behind_its_mark() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=100).await?;
    let mut running = feed(&connection, None);
    running.until(100).await?;
    let mark = running.mark.clone().context("a mark")?;
    running.stop().await?;
    publish(&connection, 101..=110).await?;
    let mark = FeedMark::read(&mark.to_bytes())?;
    let mut running = feed(&connect(&server).await?, Some(mark));
    running.until(10).await?;
    assert_eq!(running.numbers(), (101..=110).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test]
async fn a_server_restarted_before_the_first_message_changes_nothing() -> Result<()> {
    let (mut server, connection) = server().await?;
    publish(&connection, 1..=20).await?;
    let mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, None, EpochStart::Sequence(21)).await?;
    let mut running = feed(&connection, Some(mark));
    let admin = support::admin(&server).await?;
    support::consumer_count(&admin, 1).await?;
    server.stop()?;
    server.restart()?;
    support::publish_surely(&connection, 21).await?;
    running.until(1).await?;
    assert_eq!(running.numbers(), [21]);
    running.stop().await
}
