//! Messages that no consumer gets past, published by whoever may publish: they are delivered, and what follows too.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use jetstream::{FeedOptions, Headers, Publisher};
use nats_testbed::NatsServer;

use crate::support::{self, connect, feed, publish, server};

/// A client that checks nothing.
pub(crate) struct Careless(BufReader<TcpStream>);

impl Careless {
    pub(crate) fn connect(server: &NatsServer) -> Result<Self> {
        let mut client = Self(BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?));
        client.0.read_line(&mut String::new())?;
        let who = r#""user":"admin","pass":"secret""#;
        client.say(&[format!("CONNECT {{\"verbose\":true,\"headers\":true,{who}}}\r\n").as_bytes()])?;
        Ok(client)
    }

    /// Publishes, and waits until the server has taken it.
    pub(crate) fn publish(&mut self, subject: &[u8], headers: &[u8], payload: &[u8]) -> Result<()> {
        let lengths = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
        self.say(&[b"HPUB ", subject, lengths.as_bytes(), headers, payload, b"\r\n"])
    }

    fn say(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.0.get_mut().write_all(&parts.concat())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        ensure!(answer.trim() == "+OK", "{answer}");
        Ok(())
    }
}

const POISON: [&[u8]; 6] = [
    b"NATS/1.0\r\nnot text: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\na name: x\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\nce-id: 1\r\n\r\n",
    b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_no_consumer_gets_past_are_delivered_all_the_same() -> Result<()> {
    let (server, connection) = server().await?;
    let admin = support::admin(&server).await?;
    let mut careless = Careless::connect(&server)?;
    let mut running = feed(&connect(&server).await?, None);
    let mut expected = Vec::new();
    let subjects = [&b"leadfold.in.shop.web"[..]; 6].into_iter().chain([&b"leadfold.in.shop.\xff"[..]]);
    let poison = POISON.into_iter().chain([&b"NATS/1.0\r\n\r\n"[..]]);
    // One at a time, so that each meets a consumer that works.
    for (number, (subject, headers)) in (1..).zip(subjects.zip(poison)) {
        careless.publish(subject, headers, b"poison")?;
        support::message_count(&admin, number * 2 - 1).await?;
        publish(&connection, number..=number).await?;
        expected.extend(["poison".into(), format!("payload {number}")]);
        running.until(expected.len()).await?;
    }
    let payloads: Vec<_> = running.messages.iter().map(|it| String::from_utf8_lossy(&it.payload)).collect();
    assert_eq!(payloads, expected);
    assert_eq!(running.sequences(), (1..=14).collect::<Vec<_>>());
    let stranger = running.messages.get(6).context("a message")?;
    assert_eq!(stranger.headers.get("ce-id"), Some("1"));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_longer_than_what_is_sent_ahead_is_delivered_all_the_same() -> Result<()> {
    let (_server, connection) = server().await?;
    let long = Bytes::from(vec![b'x'; 100_000]);
    Publisher::new(connection.clone()).publish("leadfold.in.shop.web", &Headers::new(), long, None).await?;
    publish(&connection, 2..=2).await?;
    let options = FeedOptions { ahead_bytes_max: 50_000, ..support::options() };
    let mut running = support::feed_with(&connection, options, None);
    running.until(2).await?;
    assert_eq!(running.numbers(), [0, 2]);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_at_such_a_message_can_be_gone_on_from() -> Result<()> {
    let (server, connection) = server().await?;
    let admin = support::admin(&server).await?;
    let mut careless = Careless::connect(&server)?;
    careless.publish(b"leadfold.in.shop.web", b"NATS/1.0\r\nno colon\r\n\r\n", b"poison")?;
    support::message_count(&admin, 1).await?;
    let mut running = feed(&connection, None);
    running.until(1).await?;
    let mark = running.mark.clone();
    running.stop().await?;
    publish(&connection, 2..=2).await?;
    let mut running = feed(&connection, mark);
    running.until(1).await?;
    assert_eq!(running.numbers(), [2]);
    running.stop().await
}
