//! Reading in order and going on.

use anyhow::{Context, Result};
use bytes::Bytes;
use jetstream::{
    ConnectError, Connection, ConnectionOptions, EpochStart, FeedError, FeedMark, FeedOptions, Headers, LEADFOLD_IN,
    Publisher, Subject, run_feed,
};
use nats_testbed::NatsServer;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Channel, connect, feed, publish, server, soon};

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
    let first = running.messages.first().context("a message")?;
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
async fn a_feed_waits_at_an_empty_stream_and_at_the_end() -> Result<()> {
    let (server, connection) = server().await?;
    let start = FeedMark::new_epoch(&connection, LEADFOLD_IN, None, EpochStart::FirstAvailable).await?;
    assert_eq!((start.sequence, start.epoch), (0, 1));
    let admin = support::admin(&server).await?;
    for from in [None, Some(start)] {
        let mut running = feed(&connection, from);
        support::consumer_count(&admin, 1).await?;
        let published = publish(&connection, 1..=1).await?;
        let count = published.first().map_or(0, |it| it.sequence);
        running.until(usize::try_from(count)?).await?;
        assert_eq!(running.sequences(), (1..=count).collect::<Vec<_>>());
        running.stop().await?;
        support::consumer_count(&admin, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_mark_a_feed_starts_at_what_the_stream_still_has() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=100).await?;
    let admin = support::admin(&server).await?;
    admin.get_stream(LEADFOLD_IN).await?.purge().sequence(61).await?;
    let mut running = feed(&connection, None);
    running.until(40).await?;
    assert_eq!(running.sequences(), (61..=100).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test]
async fn headers_in_any_form_leave_the_mark_recognisable() -> Result<()> {
    let (_server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    let payloads: [&'static [u8]; 3] = [b"", b"\x00\xff", b"{}"];
    let headers = [
        Headers::new(),
        [("ce-id", "1"), ("Ce-Id", "2"), ("ce-id", "3")].into_iter().collect(),
        [("ce-subject", "  spaces  around "), ("empty", ""), ("colon", "a:b: c"), ("text", "größer")]
            .into_iter()
            .collect(),
    ];
    for (headers, payload) in headers.iter().zip(payloads) {
        let sent = publisher.publish("leadfold.in.shop.web", headers, Bytes::from_static(payload), None).await?;
        let mut mark = FeedMark::new_epoch(&connection, LEADFOLD_IN, None, EpochStart::Sequence(sent.sequence)).await?;
        // Once to learn its fingerprint, once to be recognised by it.
        let mut running = feed(&connection, Some(mark));
        running.until(1).await?;
        let got = running.messages.first().context("a message")?;
        assert_eq!(got.payload, payload);
        let trimmed: Headers = headers.iter().map(|(name, value)| (name, value.trim())).collect();
        assert_eq!(got.headers, trimmed);
        mark = running.mark.clone().context("a mark")?;
        running.stop().await?;
        publish(&connection, 7..=7).await?;
        let mut running = feed(&connection, Some(mark));
        running.until(1).await?;
        assert_eq!(running.numbers(), [7]);
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_without_a_valid_tenant_is_delivered_all_the_same() -> Result<()> {
    let (_server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    let subjects = ["leadfold.in.Shop.web", "leadfold.in.shop", "leadfold.cmd.shop", "leadfold.cmd.shop.x"];
    for subject in subjects {
        publisher.publish(subject, &Headers::new(), Bytes::new(), None).await?;
    }
    let mut running = feed(&connection, None);
    running.until(subjects.len()).await?;
    let tenants: Vec<_> = running.messages.iter().map(|it| Subject::parse(&it.subject).tenant()).collect();
    assert_eq!(tenants, [None, None, Some("shop"), None]);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_taker_gets_everything_and_little_is_read_ahead() -> Result<()> {
    let (server, connection) = server().await?;
    publish(&connection, 1..=20_000).await?;
    let options = FeedOptions { batch_messages_max: 500, ..support::options() };
    let mut running = support::feed_with(&connection, options, None);
    let admin = support::admin(&server).await?;
    // The first batch is in the channel and the second waits: nothing more is asked for.
    support::consumer_count(&admin, 1).await?;
    running.until(500).await?;
    let delivered = support::steady_delivered(&admin).await?;
    assert!(delivered <= 4 * 500, "{delivered} of 20000 were sent to a taker that took 500");
    running.until(20_000).await?;
    assert_eq!(running.numbers(), (1..=20_000).collect::<Vec<_>>());
    assert!(running.longest_batch <= 500);
    running.stop().await
}

#[tokio::test]
async fn batches_are_bounded_by_bytes_too_and_tell_the_lag() -> Result<()> {
    let (_server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    for _ in 0..40 {
        let payload = Bytes::from(vec![b'x'; 100_000]);
        publisher.publish("leadfold.in.shop.web", &Headers::new(), payload, None).await?;
    }
    let options = FeedOptions { batch_bytes_max: 250_000, ahead_bytes_max: 1_000_000, ..support::options() };
    let (sender, mut batches) = tokio::sync::mpsc::channel(1);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(run_feed(connection, options, None, Channel(sender), cancel.clone()));
    let mut count = 0;
    while count < 40 {
        let batch = soon("a batch", batches.recv()).await?.context("a batch")?;
        count += batch.messages.len();
        assert!(batch.messages.len() <= 3);
        assert_eq!(batch.pending, 40 - count as u64);
    }
    cancel.cancel();
    Ok(soon("the end", task).await???)
}

#[tokio::test]
async fn a_taker_that_fails_ends_the_feed() -> Result<()> {
    let (_server, connection) = server().await?;
    publish(&connection, 1..=10).await?;
    let (sender, batches) = tokio::sync::mpsc::channel(1);
    drop(batches);
    let feed = run_feed(connection, support::options(), None, Channel(sender), CancellationToken::new());
    let error = soon("the end", feed).await?.err().context("an error")?;
    assert!(matches!(error, FeedError::Sink { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_first_connection_is_waited_for_until_it_is_given_up() -> Result<()> {
    let mut server = NatsServer::start()?;
    server.stop()?;
    let cancel = CancellationToken::new();
    let options = ConnectionOptions::new(server.url(), "test");
    let opening = tokio::spawn({
        let (options, cancel) = (options.clone(), cancel.clone());
        async move { Connection::open(&options, &cancel).await }
    });
    server.restart()?;
    assert!(soon("a connection", opening).await???.is_connected());
    server.stop()?;
    cancel.cancel();
    let given_up = soon("the end", Connection::open(&options, &cancel)).await?;
    assert!(matches!(given_up, Err(ConnectError::Cancelled)));
    let options = ConnectionOptions::new("nats://127.0.0.1:4222, nats://[broken", "test");
    let refused = soon("the error", Connection::open(&options, &CancellationToken::new())).await?;
    assert!(matches!(refused, Err(ConnectError::Address { number: 2 })));
    Ok(())
}
