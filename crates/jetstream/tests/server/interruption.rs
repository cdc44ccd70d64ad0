//! Servers that stop, crash and come back, consumers that vanish, and networks that are cut: nothing is lost or doubled.

use anyhow::Result;
use jetstream::{Connection, EpochStart, FeedMark, FeedOptions, LEADFOLD_IN, provision};
use nats_testbed::{NatsServer, Settings};
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::support::{self, Running, connect, connect_to, feed, publish, server};

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
    support::publish_surely(&connection, 21..=21).await?;
    running.until(1).await?;
    assert_eq!(running.numbers(), [21]);
    running.stop().await
}

/// Publishes in the background whatever happens.
fn publishing(connection: &Connection, count: u64) -> JoinHandle<Result<()>> {
    let connection = connection.clone();
    tokio::spawn(async move { support::publish_surely(&connection, 1..=count).await })
}

/// Everything came once, in the order of the stream.
async fn check_all(mut running: Running, publishing: JoinHandle<Result<()>>, count: u64) -> Result<()> {
    running.until(usize::try_from(count)?).await?;
    publishing.await??;
    assert_eq!(running.sequences(), (1..=count).collect::<Vec<_>>());
    let mut numbers = running.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_again_and_again_loses_nothing() -> Result<()> {
    let (mut server, connection) = server().await?;
    let publishing = publishing(&connect(&server).await?, 3_000);
    let mut running = feed(&connection, None);
    for reached in [1, 400, 401, 1_500, 2_900] {
        running.until(reached).await?;
        server.stop()?;
        server.restart()?;
    }
    check_all(running, publishing, 3_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_loses_nothing_that_it_has_acknowledged() -> Result<()> {
    let mut server = NatsServer::with(&Settings { sync_always: true, ..Settings::default() })?;
    let connection = connect(&server).await?;
    provision(&connection, &support::settings()).await?;
    let publishing = publishing(&connect(&server).await?, 1_000);
    let mut running = feed(&connection, None);
    for reached in [1, 150, 500, 900] {
        running.until(reached).await?;
        server.kill()?;
        server.restart()?;
    }
    check_all(running, publishing, 1_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_comes_and_goes_loses_nothing() -> Result<()> {
    let (server, connection) = server().await?;
    let proxy = Proxy::to(server.port()).await?;
    let publishing = publishing(&connection, 20_000);
    let mut running = feed(&connect_to(&proxy.url()).await?, None);
    for reached in [1, 100, 2_000, 2_001, 9_000, 15_000] {
        running.until(reached).await?;
        proxy.cut().await;
        proxy.mend();
    }
    check_all(running, publishing, 20_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_consumer_is_made_anew() -> Result<()> {
    let (server, connection) = server().await?;
    let admin = support::admin(&server).await?;
    publish(&connection, 1..=50).await?;
    let mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, None, EpochStart::Sequence(51)).await?;
    let mut running = feed(&connection, Some(mark));
    // Before the first message, and after some.
    for number in [51, 52, 53] {
        let consumer = support::only_consumer(&admin).await?;
        admin.delete_consumer_from_stream(&consumer, LEADFOLD_IN).await?;
        assert_ne!(support::only_consumer(&admin).await?, consumer);
        publish(&connection, number..=number).await?;
        running.until(usize::try_from(number - 50)?).await?;
    }
    assert_eq!(running.numbers(), [51, 52, 53]);
    running.stop().await
}

const MANY: u64 = 100_000;

/// A feed whose client has dropped the last of many messages, because only the first few were taken.
async fn overflowing() -> Result<(NatsServer, Connection, Running)> {
    let (server, connection) = server().await?;
    let admin = support::admin(&server).await?;
    // Little is taken at once, and more is sent ahead than the client's 65,536 places.
    let (batch_messages_max, batch_bytes_max, ahead_bytes_max) = (200_000, 1_000, 256 << 20);
    let options = FeedOptions { batch_messages_max, batch_bytes_max, ahead_bytes_max, ..support::options() };
    let running = support::feed_with(&connect(&server).await?, options, None);
    support::consumer_count(&admin, 1).await?;
    publish(&connection, 1..=MANY).await?;
    assert_eq!(support::steady_delivered(&admin).await?, MANY);
    Ok((server, connection, running))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_messages_dropped_by_the_client_are_read_again() -> Result<()> {
    let (_server, _connection, mut running) = overflowing().await?;
    running.until(usize::try_from(MANY)?).await?;
    assert_eq!(running.sequences(), (1..=MANY).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_dropped_by_the_client_between_others_are_read_again() -> Result<()> {
    let (_server, connection, mut running) = overflowing().await?;
    // There is room for more, so the next ones come directly behind those that were kept.
    running.until(10_000).await?;
    publish(&connection, MANY + 1..=MANY + 100).await?;
    running.until(usize::try_from(MANY)? + 100).await?;
    assert_eq!(running.sequences(), (1..=MANY + 100).collect::<Vec<_>>());
    running.stop().await
}
