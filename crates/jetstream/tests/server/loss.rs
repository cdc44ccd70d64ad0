//! What must stop the feed: a stream that is not the one that was read, or has lost something.

use std::fs;

use anyhow::{Context, Result};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use jetstream::{Connection, EpochStart, FeedError, FeedMark, LEADFOLD_IN, provision};
use nats_testbed::{NatsServer, copy_folder};

use crate::proxy::Proxy;
use crate::support::{self, connect, connect_to, feed, publish, server};

/// Reads all that is there and says how far it came.
async fn read_all(connection: &Connection, count: usize) -> Result<FeedMark> {
    let mut running = feed(connection, None);
    running.until(count).await?;
    let mark = running.mark.clone().context("a mark")?;
    running.stop().await?;
    Ok(mark)
}

/// The store as it is now, to be put back.
struct Backup(tempfile::TempDir);

impl Backup {
    fn take(server: &mut NatsServer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        server.stop()?;
        copy_folder(&server.store_dir(), folder.path())?;
        server.restart()?;
        Ok(Self(folder))
    }

    fn put_back(&self, server: &mut NatsServer) -> Result<()> {
        server.stop()?;
        fs::remove_dir_all(server.store_dir())?;
        copy_folder(self.0.path(), &server.store_dir())?;
        Ok(server.restart()?)
    }
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

#[tokio::test]
async fn a_stream_made_anew_while_it_is_read_stops_the_feed() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=10).await?;
    let mut running = feed(&connection, None);
    running.until(10).await?;
    let admin = support::admin(&server).await?;
    admin.delete_stream(LEADFOLD_IN).await?;
    provision(&connection, &support::settings()).await?;
    publish(&connection, 101..=120).await?;
    let error = running.error().await?;
    assert!(matches!(error, FeedError::StreamReplaced { sequence: 10, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_forgot_messages_stops_the_feed() -> Result<()> {
    let (mut server, connection) = server().await?;
    publish(&connection, 1..=50).await?;
    let backup = Backup::take(&mut server)?;
    support::publish_surely(&connection, 51..=100).await?;
    let mark = read_all(&connection, 100).await?;
    backup.put_back(&mut server)?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::RolledBack { mark: 100, last: 50, .. }), "{error}");
    assert!(error.to_string().contains("messages 51 to 100"), "{error}");

    // As many new ones as were lost: the numbers alone would look right.
    support::publish_surely(&connection, 1_051..=1_100).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::Diverged { sequence: 100, .. }), "{error}");
    support::publish_surely(&connection, 1_101..=1_110).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::Diverged { sequence: 100, .. }), "{error}");

    let mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, Some(&mark), EpochStart::Sequence(51)).await?;
    let mut running = feed(&connection, Some(mark));
    running.until(60).await?;
    assert_eq!(running.numbers(), (1_051..=1_110).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test]
async fn a_server_that_forgot_messages_stops_a_feed_that_is_running() -> Result<()> {
    let (mut server, connection) = server().await?;
    publish(&connection, 1..=50).await?;
    let backup = Backup::take(&mut server)?;
    support::publish_surely(&connection, 51..=100).await?;
    let mut running = feed(&connection, None);
    running.until(100).await?;
    backup.put_back(&mut server)?;
    let error = running.error().await?;
    assert!(matches!(error, FeedError::RolledBack { mark: 100, last: 50, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn numbers_given_anew_while_the_network_was_away_stop_the_feed() -> Result<()> {
    let (mut server, connection) = server().await?;
    let proxy = Proxy::to(server.port()).await?;
    publish(&connection, 1..=50).await?;
    let backup = Backup::take(&mut server)?;
    support::publish_surely(&connection, 51..=100).await?;
    let mut running = feed(&connect_to(&proxy.url()).await?, None);
    running.until(100).await?;
    proxy.cut().await;
    backup.put_back(&mut server)?;
    support::publish_surely(&connection, 1_051..=1_150).await?;
    proxy.mend();
    let error = running.error().await?;
    assert!(matches!(error, FeedError::Diverged { sequence: 100, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn messages_removed_before_they_were_read_stop_the_feed() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=100).await?;
    let mark = read_all(&connection, 100).await?;
    publish(&connection, 101..=200).await?;
    let admin = support::admin(&server).await?;
    let stream = admin.get_stream(LEADFOLD_IN).await?;
    // Up to the mark nothing is lost.
    stream.purge().sequence(101).await?;
    let mut running = feed(&connection, Some(mark.clone()));
    running.until(100).await?;
    running.stop().await?;
    stream.purge().sequence(151).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::Overtaken { lost_from: 101, lost_to: 150, .. }), "{error}");
    stream.purge().await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::Overtaken { lost_from: 101, lost_to: 200, .. }), "{error}");

    let early = FeedMark::new_epoch(&connection, LEADFOLD_IN, Some(&mark), EpochStart::Sequence(150)).await;
    assert!(matches!(early, Err(FeedError::Overtaken { lost_from: 150, lost_to: 200, .. })));
    let late = FeedMark::new_epoch(&connection, LEADFOLD_IN, Some(&mark), EpochStart::Sequence(202)).await;
    assert!(matches!(late, Err(FeedError::RolledBack { mark: 201, last: 200, .. })));
    let next = FeedMark::new_epoch(&connection, LEADFOLD_IN, Some(&mark), EpochStart::FirstAvailable).await?;
    assert_eq!((next.sequence, next.epoch), (200, 2));
    Ok(())
}

#[tokio::test]
async fn a_purge_of_what_was_read_passes_unnoticed_and_one_of_more_does_not() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=100).await?;
    let mut running = feed(&connection, None);
    running.until(100).await?;
    let admin = support::admin(&server).await?;
    let stream = admin.get_stream(LEADFOLD_IN).await?;
    stream.purge().await?;
    publish(&connection, 101..=110).await?;
    running.until(110).await?;
    assert_eq!(running.sequences(), (1..=110).collect::<Vec<_>>());
    running.stop().await
}

/// As a stream would be that nobody has configured for Leadfold.
async fn careless(admin: &async_nats::jetstream::Context, change: impl FnOnce(&mut Config)) -> Result<()> {
    let mut config = admin.get_stream(LEADFOLD_IN).await?.cached_info().config.clone();
    config.discard = DiscardPolicy::Old;
    change(&mut config);
    admin.update_stream(config).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_overtakes_a_running_feed_is_told_with_the_exact_range() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=10_000).await?;
    let options = jetstream::FeedOptions { batch_messages_max: 100, ..support::options() };
    let mut running = support::feed_with(&connection, options, None);
    running.until(100).await?;
    let admin = support::admin(&server).await?;
    support::steady_delivered(&admin).await?;
    careless(&admin, |config| config.max_messages = 1_000).await?;
    let (error, came) = running.until_error().await?;
    let FeedError::Overtaken { lost_from, lost_to, .. } = &error else { anyhow::bail!("{error}") };
    assert_eq!((*lost_from, *lost_to), (came + 1, 9_000));
    assert!(came < 2_000, "{came} were read ahead");
    Ok(())
}

#[tokio::test]
async fn messages_that_expire_unread_stop_the_feed() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=10).await?;
    let mark = read_all(&connection, 10).await?;
    publish(&connection, 11..=30).await?;
    let admin = support::admin(&server).await?;
    careless(&admin, |config| {
        config.max_age = std::time::Duration::from_millis(100);
        config.duplicate_window = config.max_age;
    })
    .await?;
    support::message_count(&admin, 0).await?;
    let error = feed(&connection, Some(mark.clone())).error().await?;
    assert!(matches!(error, FeedError::Overtaken { lost_from: 11, lost_to: 30, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn single_messages_deleted_by_hand_are_no_loss() -> Result<()> {
    let server = NatsServer::start()?;
    let connection = connect(&server).await?;
    let admin = support::admin(&server).await?;
    let subjects = vec!["leadfold.in.>".into()];
    let stream = admin.create_stream(Config { name: LEADFOLD_IN.into(), subjects, ..Config::default() }).await?;
    publish(&connection, 1..=10).await?;
    for sequence in [2, 3, 7] {
        stream.delete_message(sequence).await?;
    }
    let mut running = feed(&connection, None);
    running.until(7).await?;
    assert_eq!(running.numbers(), [1, 4, 5, 6, 8, 9, 10]);
    // The mark itself may go too.
    stream.delete_message(10).await?;
    let mark = running.mark.clone().context("a mark")?;
    running.stop().await?;
    publish(&connection, 11..=12).await?;
    stream.delete_message(11).await?;
    let mut running = feed(&connection, Some(mark));
    running.until(1).await?;
    assert_eq!(running.numbers(), [12]);
    running.stop().await
}

#[tokio::test]
async fn a_mark_of_another_stream_is_refused() -> Result<()> {
    let (_server, connection) = server().await?;
    let mut mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, None, EpochStart::FirstAvailable).await?;
    mark.stream = "OTHER".into();
    let error = feed(&connection, Some(mark)).error().await?;
    assert!(matches!(error, FeedError::OtherStream { .. }), "{error}");
    Ok(())
}
