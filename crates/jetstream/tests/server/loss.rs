//! What must stop the feed: a stream that is not the one that was read, or has lost something.

use anyhow::{Context, Result};
use jetstream::{EpochStart, FeedError, FeedMark, LEADFOLD_IN, provision};

use crate::support::{self, connect, feed, publish, server};

/// Reads all that is there and says how far it came.
async fn read_all(connection: &jetstream::Connection, count: usize) -> Result<FeedMark> {
    let mut running = feed(connection, None);
    running.until(count).await?;
    let mark = running.mark.clone().context("a mark")?;
    running.stop().await?;
    Ok(mark)
}

#[tokio::test]
async fn a_stream_made_anew_under_the_same_name_stops_the_feed() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=10).await?;
    let mark = read_all(&connection, 10).await?;
    let admin = support::admin(&server).await?;
    admin.delete_stream(LEADFOLD_IN).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::StreamMissing { .. }), "{error}");
    provision(&connection, &support::settings()).await?;
    publish(&connection, 101..=120).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::StreamReplaced { sequence: 10, .. }), "{error}");

    let mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, Some(&mark), EpochStart::FirstAvailable).await?;
    assert_eq!(mark.epoch, 2);
    let mut running = feed(&connect(&server).await?, Some(mark));
    running.until(20).await?;
    assert_eq!(running.numbers(), (101..=120).collect::<Vec<_>>());
    running.stop().await
}
