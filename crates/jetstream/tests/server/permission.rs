//! Users that may do little: what is refused is told by name, and what the documentation grants is enough.

use anyhow::{Context, Result};
use bytes::Bytes;
use jetstream::{
    Connection, ConnectionOptions, Credentials, FeedError, Headers, ProvisionError, PublishError, Publisher,
    StreamSettings, provision,
};
use nats_testbed::{NatsServer, Settings};
use tokio_util::sync::CancellationToken;

use crate::poison::Careless;
use crate::support::{self, feed, publish, soon};

/// An administrator, a reader with just what a feed needs, and a publisher of one tenant.
const USERS: &str = r#"
authorization {
  users = [
    { user: admin, password: secret }
    { user: reader, password: secret, permissions: {
        publish: [
          "$JS.API.STREAM.INFO.LEADFOLD_IN"
          "$JS.API.STREAM.MSG.GET.LEADFOLD_IN"
          "$JS.API.CONSUMER.CREATE.LEADFOLD_IN.>"
          "$JS.API.CONSUMER.INFO.LEADFOLD_IN.*"
          "$JS.API.CONSUMER.MSG.NEXT.LEADFOLD_IN.*"
          "$JS.API.CONSUMER.DELETE.LEADFOLD_IN.*"
        ]
        subscribe: ["_INBOX_reader.>"]
    } }
    { user: publisher, password: secret, permissions: {
        publish: ["leadfold.in.shop.>"]
        subscribe: ["_INBOX_publisher.>"]
    } }
  ]
}
"#;

async fn connect(server: &NatsServer, user: &str) -> Result<Connection> {
    let credentials = Credentials::UserPassword { user: user.into(), password: "secret".into() };
    let inbox_prefix = (user != "admin").then(|| format!("_INBOX_{user}"));
    let options = ConnectionOptions { credentials, inbox_prefix, ..ConnectionOptions::new(server.url(), user) };
    Ok(soon("a connection", Connection::open(&options, &CancellationToken::new())).await??)
}

fn server() -> Result<NatsServer> {
    Ok(NatsServer::with(&Settings { config: USERS.into(), ..Settings::default() })?)
}

#[tokio::test]
async fn a_missing_stream_is_told_with_the_command_that_makes_it() -> Result<()> {
    let server = server()?;
    let settings = support::settings();
    let reader = connect(&server, "reader").await?;
    let error = provision(&reader, &settings).await.err().context("an error")?;
    assert!(matches!(error, ProvisionError::MayNotCreate { .. }), "{error}");
    assert!(error.to_string().contains("nats stream add LEADFOLD_IN --subjects 'leadfold.in.>,leadfold.cmd.>'"));
    let error = provision(&reader, &StreamSettings { create: false, ..settings.clone() }).await.err();
    assert!(matches!(error, Some(ProvisionError::Missing { .. })));
    let error = provision(&connect(&server, "publisher").await?, &settings).await.err();
    assert!(matches!(error, Some(ProvisionError::MayNotLook { .. })));
    provision(&connect(&server, "admin").await?, &settings).await?;
    assert_eq!(provision(&reader, &settings).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_reader_needs_nothing_but_its_six_subjects() -> Result<()> {
    let server = server()?;
    let admin = connect(&server, "admin").await?;
    provision(&admin, &support::settings()).await?;
    publish(&admin, 1..=100).await?;
    let mut running = feed(&connect(&server, "reader").await?, None);
    running.until(100).await?;
    let mark = running.mark.clone();
    running.stop().await?;
    publish(&admin, 101..=101).await?;
    Careless::connect(&server)?.publish(b"leadfold.in.shop.web", b"NATS/1.0\r\nno colon\r\n\r\n", b"")?;
    let mut running = feed(&connect(&server, "reader").await?, mark);
    running.until(2).await?;
    running.stop().await?;
    let error = feed(&connect(&server, "publisher").await?, None).error().await?;
    assert!(matches!(error, FeedError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("$JS.API.STREAM.INFO.LEADFOLD_IN"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_publisher_reaches_its_own_tenant_only() -> Result<()> {
    let server = server()?;
    provision(&connect(&server, "admin").await?, &support::settings()).await?;
    let publisher = Publisher::new(connect(&server, "publisher").await?);
    let publish = |subject: &'static str| {
        let publisher = publisher.clone();
        async move { publisher.publish(subject, &Headers::new(), Bytes::new(), None).await }
    };
    assert_eq!(publish("leadfold.in.shop.web").await?.sequence, 1);
    for subject in ["leadfold.in.other.web", "leadfold.cmd.shop", "leadfold.in.other.web"] {
        let error = publish(subject).await.err();
        assert!(matches!(error, Some(PublishError::Denied { .. })), "{error:?}");
    }
    assert_eq!(publish("leadfold.in.shop.web").await?.sequence, 2);
    Ok(())
}

#[tokio::test]
async fn wrong_credentials_are_tried_again_until_given_up_and_never_shown() -> Result<()> {
    let server = server()?;
    let credentials = Credentials::UserPassword { user: "admin".into(), password: "hunter2".into() };
    let options = ConnectionOptions { credentials, ..ConnectionOptions::new(server.url(), "test") };
    assert!(!format!("{options:?}").contains("hunter2"));
    let cancel = CancellationToken::new();
    let opening = tokio::spawn({
        let cancel = cancel.clone();
        async move { Connection::open(&options, &cancel).await.map(|_| ()) }
    });
    soon("a refusal", async {
        while !server.log().contains("authentication error") {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    cancel.cancel();
    assert!(soon("the end", opening).await??.is_err());
    Ok(())
}
