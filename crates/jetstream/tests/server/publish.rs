//! Publishing: what is acknowledged is stored, and what is not is told apart.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use jetstream::{Headers, Outgoing, PublishError, Published, Publisher, StreamSettings, provision};
use nats_testbed::{NatsServer, Settings};

use crate::support::{self, connect, numbered, publish, server};

const SUBJECT: &str = "leadfold.in.shop.web";

async fn put(publisher: &Publisher, subject: &str, bytes: usize, id: Option<&str>) -> Result<Published, PublishError> {
    publisher.publish(subject, &Headers::new(), Bytes::from(vec![b'x'; bytes]), id).await
}

#[tokio::test]
async fn a_message_id_is_stored_once_within_the_window() -> Result<()> {
    let (mut server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    assert_eq!(put(&publisher, SUBJECT, 1, Some("a")).await?, Published { sequence: 1, duplicate: false });
    assert_eq!(put(&publisher, SUBJECT, 1, Some("b")).await?, Published { sequence: 2, duplicate: false });
    assert_eq!(put(&publisher, SUBJECT, 2, Some("a")).await?, Published { sequence: 1, duplicate: true });
    server.stop()?;
    server.restart()?;
    let publisher = Publisher::new(connect(&server).await?);
    assert_eq!(put(&publisher, SUBJECT, 1, Some("b")).await?, Published { sequence: 2, duplicate: true });
    Ok(())
}

#[tokio::test]
async fn acknowledgements_of_many_come_in_order() -> Result<()> {
    let (_server, connection) = server().await?;
    let published = publish(&connection, 1..=5_000).await?;
    let sequences: Vec<_> = published.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, (1..=5_000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_chain_is_stored_in_order_and_once() -> Result<()> {
    let (server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    publisher.publish_chain(Vec::new()).await?;
    publisher.publish_chain(chain(1..=300)).await?;
    // As after an acknowledgement that got lost, also where only the first ones had been stored.
    publisher.publish_chain(chain(1..=300)).await?;
    publisher.publish_chain(chain(200..=500)).await?;
    support::message_count(&support::admin(&server).await?, 500).await?;
    let mut running = support::feed(&connection, None);
    running.until(500).await?;
    assert_eq!(running.numbers(), (1..=500).collect::<Vec<_>>());
    running.stop().await
}

#[tokio::test]
async fn a_chain_ends_at_the_first_message_that_is_not_stored() -> Result<()> {
    let server = NatsServer::start()?;
    let connection = connect(&server).await?;
    provision(&connection, &StreamSettings { max_message_bytes: 1_024, ..support::settings() }).await?;
    let publisher = Publisher::new(connection);
    let mut messages = chain(1..=100);
    messages[50].payload = Bytes::from(vec![b'x'; 2_000]);
    let error = publisher.publish_chain(messages).await.err().context("an error")?;
    assert!(matches!(error, PublishError::Refused { .. }), "{error}");
    support::message_count(&support::admin(&server).await?, 50).await
}

fn chain(numbers: impl Iterator<Item = u64>) -> Vec<Outgoing> {
    numbers.map(|number| Outgoing { message_id: Some(number.to_string()), ..numbered(number) }).collect()
}

#[tokio::test]
async fn nothing_is_sent_behind_one_that_failed() -> Result<()> {
    let (_server, connection) = server().await?;
    let publisher = Publisher::new(connection);
    let mut messages: Vec<_> = (1..=100).map(numbered).collect();
    let stranger = Outgoing { subject: "nobody.listens".into(), ..Outgoing::default() };
    messages.insert(50, stranger);
    let results = publisher.publish_many(messages, 1).await;
    assert_eq!(results.len(), 51);
    assert!(results.iter().take(50).all(Result::is_ok));
    assert!(matches!(results.last(), Some(Err(PublishError::NoStream { .. }))));
    Ok(())
}

#[tokio::test]
async fn a_full_stream_refuses_by_name() -> Result<()> {
    let server = NatsServer::start()?;
    let connection = connect(&server).await?;
    provision(&connection, &StreamSettings { max_bytes: Some(4_096), ..support::settings() }).await?;
    let publisher = Publisher::new(connection);
    let mut stored = 0;
    let error = loop {
        match put(&publisher, SUBJECT, 500, None).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        anyhow::ensure!(stored < 100, "the stream is never full");
    };
    assert!(matches!(error, PublishError::StreamFull { .. }), "{error}");
    assert!(stored > 0);
    let admin = support::admin(&server).await?;
    support::message_count(&admin, stored).await
}

#[tokio::test]
async fn too_long_messages_are_told_from_others() -> Result<()> {
    let server = NatsServer::with(&Settings { config: "max_payload: 300KB".into(), ..Settings::default() })?;
    let connection = connect(&server).await?;
    provision(&connection, &support::settings()).await?;
    let publisher = Publisher::new(connection);
    put(&publisher, SUBJECT, 260_000, None).await?;
    for bytes in [270_000, 400_000] {
        let error = put(&publisher, SUBJECT, bytes, None).await.err().context("an error")?;
        assert!(matches!(error, PublishError::TooLarge { bytes: found, .. } if found == bytes), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before() -> Result<()> {
    let (_server, connection) = server().await?;
    let publisher = Publisher::new(connection);
    for (name, value) in [("a", "b\r\nc"), ("a b\r\n", "c"), ("", "c")] {
        let headers = [(name, value)].into_iter().collect();
        let error = publisher.publish(SUBJECT, &headers, Bytes::new(), None).await.err();
        assert!(matches!(error, Some(PublishError::Invalid { .. })), "{name:?}: {value:?}: {error:?}");
    }
    let error = put(&publisher, "leadfold.in.shop.a b", 1, None).await.err();
    assert!(matches!(error, Some(PublishError::Invalid { .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn without_a_server_it_is_known_whether_something_was_sent() -> Result<()> {
    let (mut server, connection) = server().await?;
    let publisher = Publisher::new(connection.clone());
    server.stop()?;
    support::soon("the connection to be lost", async {
        while connection.is_connected() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await?;
    let error = put(&publisher, SUBJECT, 1, None).await.err();
    assert!(matches!(error, Some(PublishError::Disconnected { .. })), "{error:?}");
    server.restart()?;
    support::soon("the connection", connection.connected()).await?;
    put(&publisher, SUBJECT, 1, None).await?;
    Ok(())
}
