//! Messages as publishers send them: again, with other content, for nobody, and without sense.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use jetstream::{Connection, LEADFOLD_IN, Outgoing, Publisher, StreamSettings, provision};
use nats_testbed::NatsServer;
use proto_events::stored::kind;
use serde_json::{Value, json};

use crate::support::check::check;
use crate::support::load::{SUBJECT, Traffic, last_event, message};
use crate::support::site::Site;
use crate::support::{Dice, stream, until};

async fn publish(connection: &Connection, message: Outgoing) -> Result<bool> {
    let mut results = Publisher::new(connection.clone()).publish_many([message], 1).await;
    Ok(results.remove(0)?.duplicate)
}

/// Lets a service take what there is, and returns the kind of each record by the number of its message.
async fn taken(site: &Site, server: &NatsServer) -> Result<Vec<(u64, u8)>> {
    let mut serving = site.serve(&server.url())?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    site.picture()?;
    Ok(site.log()?.iter().filter(|it| it.is_input()).map(|it| (it.feed_sequence, it.kind)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_again_within_the_servers_memory_or_behind_it_is_recorded_once() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    let settings = StreamSettings { duplicate_window: Duration::from_millis(200), ..StreamSettings::incoming() };
    provision(&connection, &settings).await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let (one, two) = (traffic.event(), traffic.event());
    ensure!(!publish(&connection, message(&one, Some("e-1"))).await?);
    // The server itself may forget at any time, so this can be another message.
    let again = u64::from(!publish(&connection, message(&one, Some("e-1"))).await?);
    ensure!(!publish(&connection, message(&two, Some("e-2"))).await?);
    let forgotten = async || Ok((!publish(&connection, message(&one, Some("e-1"))).await?).then_some(()));
    until("a server that has forgotten", forgotten).await?;
    ensure!(!publish(&connection, message(&one, None)).await?);
    let mut other = two.clone();
    other["data"]["action"] = "page.contradicted".into();
    for event in [&other, &two, &other] {
        ensure!(!publish(&connection, message(event, None)).await?);
    }
    let conflict = 5 + again;
    let found = taken(&site, &server).await?;
    let expected = [
        (1, kind::INTERACTION),
        (2 + again, kind::INTERACTION),
        (conflict, kind::CONFLICT),
        (conflict + 3, kind::INTERACTION),
    ];
    assert_eq!(found, expected);
    check(&site, &server, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_sent_again_is_adopted_once_also_after_another_one() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let policy =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/policy.toml"))?;
    let adoption = |number: u32| {
        let document = format!("{policy}\n# {number}\n");
        let command =
            json!({ "id": format!("p-{number}"), "operator": "olga", "command": "adopt_policy", "document": document });
        Outgoing { subject: "leadfold.cmd.acme".into(), payload: command.to_string().into(), ..Outgoing::default() }
    };
    for round in 0..2 {
        for number in [1, 2, 1] {
            publish(&connection, adoption(number)).await?;
        }
        let mut serving = site.serve(&server.url())?;
        let http = serving.http().await?;
        http.settled(&last_event(site.clock())).await?;
        let versions = http.get("/v1/policy/versions").await?.body;
        assert_eq!(versions["items"].as_array().map(Vec::len), Some(3), "round {round}: {versions}");
        serving.kill()?;
    }
    let found = site.log()?.iter().filter(|it| it.is_input()).map(|it| (it.feed_sequence, it.kind)).collect::<Vec<_>>();
    assert_eq!(found, [(1, kind::KEYED_POLICY), (2, kind::KEYED_POLICY), (4, kind::INTERACTION)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_nobody_are_kept_apart_and_hold_nothing_up() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let subjects = ["leadfold.in.unknown.web", "leadfold.in.Acme.web", "leadfold.in.acme", "leadfold.in.a$b.web"];
    let mut expected = Vec::new();
    let mut sequence = 0;
    let mut send = async |subject: &str, event: &Value, kind: u8| {
        sequence += 1;
        expected.push((sequence, kind));
        publish(&connection, Outgoing { subject: subject.into(), ..message(event, None) }).await
    };
    for subject in subjects {
        send(SUBJECT, &traffic.event(), kind::INTERACTION).await?;
        send(subject, &traffic.event(), kind::QUARANTINED).await?;
    }
    let mut of_another = traffic.event();
    of_another["data"]["tenant"] = "other".into();
    send(SUBJECT, &of_another, kind::QUARANTINED).await?;
    // The subject says whose it is.
    let mut of_the_subject = traffic.event();
    of_the_subject["data"].as_object_mut().expect("data").remove("tenant");
    send(SUBJECT, &of_the_subject, kind::INTERACTION).await?;
    send("leadfold.cmd.acme", &traffic.event(), kind::QUARANTINED).await?;
    send(SUBJECT, &traffic.event(), kind::INTERACTION).await?;
    expected.push((sequence + 1, kind::INTERACTION));
    assert_eq!(taken(&site, &server).await?, expected);
    Ok(())
}

/// A client that checks nothing.
struct Careless(BufReader<TcpStream>);

impl Careless {
    fn connect(server: &NatsServer) -> Result<Self> {
        let mut client = Self(BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?));
        client.0.read_line(&mut String::new())?;
        client.say(b"CONNECT {\"verbose\":true,\"headers\":true}\r\n")?;
        Ok(client)
    }

    /// Publishes, and waits until the server has taken it.
    fn publish(&mut self, headers: &[u8], payload: &[u8]) -> Result<()> {
        let line = format!("HPUB {SUBJECT} {} {}\r\n", headers.len(), headers.len() + payload.len());
        self.say(&[line.as_bytes(), headers, payload, b"\r\n"].concat())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(bytes)?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        ensure!(answer.trim() == "+OK", "{answer}");
        Ok(())
    }
}

/// Payloads that nobody can take, each different.
fn poison(good: &Value) -> Vec<Vec<u8>> {
    let changed = |path: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(path).expect("a field") = value;
        event.to_string().into_bytes()
    };
    let whole = good.to_string();
    vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        vec![0, 159, 146, 150],
        vec![b'['; 100_000],
        format!("{{\"a\":\"{}\"}}", "x".repeat(200_000)).into_bytes(),
        whole.as_bytes()[..whole.len() / 2].to_vec(),
        format!("{whole}{whole}").into_bytes(),
        changed("/id", Value::Null),
        changed("/id", "x".repeat(5_000).into()),
        changed("/source", "".into()),
        changed("/type", "something.else".into()),
        changed("/specversion", "7".into()),
        changed("/time", "yesterday".into()),
        changed("/time", "2999-01-01T00:00:00Z".into()),
        changed("/data", Value::Null),
        changed("/data/action", 7.into()),
        changed("/data/channel", "a\u{0}b".into()),
    ]
}

const POISONED_HEADERS: [&[u8]; 3] =
    [b"NATS/1.0\r\nnot text: \xff\xfe\r\n\r\n", b"NATS/1.0\r\nno colon\r\n\r\n", b"NATS/1.0 503\r\n\r\n"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_sense_go_to_quarantine_and_hold_nothing_up() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let mut careless = Careless::connect(&server)?;
    let mut expected = Vec::new();
    let mut sequence = 0;
    let mut sent = |kind: u8| {
        sequence += 1;
        expected.push((sequence, kind));
    };
    let poison = poison(&traffic.event());
    for payload in &poison {
        publish(&connection, message(&traffic.event(), None)).await?;
        sent(kind::INTERACTION);
        let payload = payload.clone().into();
        publish(&connection, Outgoing { subject: SUBJECT.into(), payload, ..Outgoing::default() }).await?;
        sent(kind::QUARANTINED);
    }
    for (number, headers) in POISONED_HEADERS.iter().enumerate() {
        careless.publish(headers, format!("poison {number}").as_bytes())?;
        sent(kind::QUARANTINED);
        until("the message", async || {
            let stream = stream::admin(&server.url()).await?.get_stream(LEADFOLD_IN).await?;
            Ok((stream.cached_info().state.messages == 2 * poison.len() as u64 + 2 * number as u64 + 1).then_some(()))
        })
        .await?;
        publish(&connection, message(&traffic.event(), None)).await?;
        sent(kind::INTERACTION);
    }
    sent(kind::INTERACTION);
    assert_eq!(taken(&site, &server).await?, expected);
    Ok(())
}
