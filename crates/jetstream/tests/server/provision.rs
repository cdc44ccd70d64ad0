//! Streams are made as they should be, and compared where they exist.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::stream::{Config, StorageType};
use jetstream::{LEADFOLD_IN, StreamSettings, provision};
use nats_testbed::NatsServer;

use crate::support::{self, connect};

#[tokio::test]
async fn both_streams_are_made_once_and_are_as_wanted() -> Result<()> {
    let server = NatsServer::start()?;
    let connection = connect(&server).await?;
    for _ in 0..2 {
        for settings in [StreamSettings::incoming(), StreamSettings::outgoing()] {
            assert_eq!(provision(&connection, &settings).await?, []);
        }
    }
    let admin = support::admin(&server).await?;
    let config = admin.get_stream(LEADFOLD_IN).await?.cached_info().config.clone();
    assert_eq!(config.max_age, Duration::from_secs(7 * 24 * 3_600));
    assert!(!config.deny_delete && config.deny_purge);
    Ok(())
}

#[tokio::test]
async fn what_differs_is_told_in_sentences_and_left_as_it_is() -> Result<()> {
    let server = NatsServer::start()?;
    let admin = support::admin(&server).await?;
    let made = Config {
        name: LEADFOLD_IN.into(),
        subjects: vec!["leadfold.in.>".into()],
        storage: StorageType::Memory,
        max_messages: 1_000,
        ..Config::default()
    };
    admin.create_stream(made).await?;
    let connection = connect(&server).await?;
    let differences = provision(&connection, &StreamSettings::incoming()).await?;
    let properties: Vec<_> = differences.iter().map(|it| it.property).collect();
    let expected = ["subjects", "storage", "compression", "discard", "max_age", "max_msgs", "max_msg_size"];
    assert!(expected.iter().all(|it| properties.contains(it)), "{properties:?}");
    let sentences: Vec<_> = differences.iter().map(ToString::to_string).collect();
    let wanted = "max_msgs of the stream LEADFOLD_IN is 1000, and should be unlimited";
    assert!(sentences.iter().any(|it| it == wanted), "{sentences:?}");
    assert_eq!(admin.get_stream(LEADFOLD_IN).await?.cached_info().config.max_messages, 1_000);
    Ok(())
}
