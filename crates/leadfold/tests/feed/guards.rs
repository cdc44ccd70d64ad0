//! Streams that are no longer what was read: the service ends by itself and says what is missing, until an operator goes
//! on; nothing recorded is lost or doubled.

use std::fs;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::stream::DiscardPolicy;
use jetstream::{Connection, LEADFOLD_IN, StreamSettings, provision};
use nats_testbed::{NatsServer, Settings, copy_folder};
use serde_json::Value;

use crate::proxy::Proxy;
use crate::support::Dice;
use crate::support::load::{Traffic, last_event, message, surely};
use crate::support::serving::Serving;
use crate::support::site::Site;
use crate::support::stream::{self, Admin};

/// A stream that may be purged, a service that has read its beginning, and everything that was published.
struct Scene {
    server: NatsServer,
    site: Site,
    connection: Connection,
    traffic: Traffic,
    /// All events so far.
    events: Vec<Value>,
}

fn settings() -> StreamSettings {
    StreamSettings { deny_purge: false, ..StreamSettings::incoming() }
}

impl Scene {
    /// With so many events recorded.
    async fn with(count: u64) -> Result<Self> {
        let (server, site) = (NatsServer::start()?, Site::with_policy()?);
        let connection = stream::connect(&server.url()).await?;
        provision(&connection, &settings()).await?;
        let traffic = Traffic::new("e", site.clock(), Dice::new());
        let mut scene = Self { server, site, connection, traffic, events: Vec::new() };
        scene.publish(count).await?;
        scene.take_all().await?;
        Ok(scene)
    }

    /// Publishes so many new events.
    async fn publish(&mut self, count: u64) -> Result<()> {
        let events: Vec<Value> = (0..count).map(|_| self.traffic.event()).collect();
        self.events.extend(events.iter().cloned());
        self.publish_again(&events).await
    }

    async fn publish_again(&self, events: &[Value]) -> Result<()> {
        surely(&self.connection, events.iter().map(|event| message(event, None)).collect()).await.map(|_| ())
    }

    async fn admin(&self) -> Result<Admin> {
        stream::admin(&self.server.url()).await
    }

    fn serve(&self) -> Result<Serving> {
        self.site.serve(&self.server.url())
    }

    /// A service that reads what there is, and is stopped.
    async fn take_all(&self) -> Result<()> {
        let count = self.events.len() as u64;
        let mut serving = self.serve()?;
        // Behind the policy.
        serving.http().await?.reached(1 + count).await?;
        serving.stop().await
    }

    /// Starting ends with this error, each time, and changes nothing.
    async fn refuses(&self, words: &str) -> Result<()> {
        for _ in 0..2 {
            let ended = self.serve()?.ended().await?;
            ensure!(ended.error().contains(words), "{}", ended.error());
        }
        Ok(())
    }

    /// An operator goes on, at `from` or at the first message there is.
    fn new_epoch(&self, from: Option<u64>) -> Result<Value> {
        let (url, from) = (self.server.url(), from.map(|it| it.to_string()));
        let mut args = vec!["feed", "new-epoch", "--nats", &url];
        args.extend(from.iter().flat_map(|it| ["--from", it]));
        self.site.json(&args)?.pop().context("an answer")
    }

    /// After going on, these events and no others are recorded, each once, in this order.
    async fn holds(&self, expected: &[Value]) -> Result<()> {
        let last = last_event(self.site.clock());
        let mut serving = self.serve()?;
        serving.http().await?.settled(&last).await?;
        serving.stop().await?;
        self.site.picture()?;
        let log = self.site.log()?;
        let found: Vec<String> = log.into_iter().filter_map(|it| Some(it.id?.1)).collect();
        let expected = expected.iter().chain([&last]);
        let expected: Vec<String> = expected.map(|it| it["id"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(found, expected);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_made_anew_ends_the_service_until_an_operator_goes_on() -> Result<()> {
    let mut scene = Scene::with(40).await?;
    let old = scene.events.clone();
    let admin = scene.admin().await?;
    admin.delete_stream(LEADFOLD_IN).await?;
    scene.refuses("it does not exist").await?;
    provision(&scene.connection, &settings()).await?;
    scene.publish(30).await?;
    scene.refuses("go on reading the stream LEADFOLD_IN behind message 40: it was deleted and created again").await?;
    // What publishers send again is known.
    scene.publish_again(&old).await?;
    let epoch = scene.new_epoch(None)?;
    assert_eq!((&epoch["epoch"], &epoch["sequence"]), (&2.into(), &0.into()));
    scene.holds(&scene.events).await?;

    // Once more, under a service that is running.
    let mut serving = scene.serve()?;
    serving.ready().await?;
    admin.delete_stream(LEADFOLD_IN).await?;
    provision(&scene.connection, &settings()).await?;
    let ended = serving.ended().await?;
    ensure!(ended.error().contains("it was deleted and created again"), "{}", ended.error());
    scene.refuses("behind message 71: it was deleted and created again").await?;
    assert_eq!(scene.new_epoch(None)?["epoch"], 3);
    scene.holds(&scene.events.clone()).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_an_older_copy_of_its_store_ends_the_service_until_an_operator_goes_on() -> Result<()> {
    let mut scene = Scene::with(50).await?;
    let backup = Backup::take(&mut scene.server)?;
    scene.publish(50).await?;
    scene.take_all().await?;
    backup.put_back(&mut scene.server)?;
    scene.refuses("it ends at 50. The server has lost messages 51 to 100, which are recorded here").await?;
    // As many new ones as were lost: the numbers alone would look right.
    scene.publish(55).await?;
    scene.refuses("behind message 100: the message of that number is not the one that was read").await?;
    assert_eq!(scene.new_epoch(Some(51))?["sequence"], 50);
    scene.publish_again(&scene.events[50..100]).await?;
    scene.holds(&scene.events).await?;

    let backup = Backup::take(&mut scene.server)?;
    let mut serving = scene.serve()?;
    let http = serving.http().await?;
    let before = scene.site.log_position();
    scene.publish(20).await?;
    http.reached(before + 20).await?;
    backup.put_back(&mut scene.server)?;
    let ended = serving.ended().await?;
    ensure!(ended.error().contains("The server has lost messages 157 to 176"), "{}", ended.error());
    scene.refuses("The server has lost messages 157 to 176").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_removed_before_they_were_read_end_the_service_until_an_operator_goes_on() -> Result<()> {
    let mut scene = Scene::with(30).await?;
    scene.publish(40).await?;
    let admin = scene.admin().await?;
    let stream = admin.get_stream(LEADFOLD_IN).await?;
    stream.purge().sequence(51).await?;
    scene.refuses("messages 31 to 50 were removed before they were read").await?;
    assert_eq!(scene.new_epoch(None)?["sequence"], 50);
    let mut kept = [&scene.events[..30], &scene.events[50..]].concat();
    scene.holds(&kept).await?;
    kept.push(last_event(scene.site.clock()));

    // A limit of a stream that nobody has configured for Leadfold. The event sent last has number 71.
    scene.publish(60).await?;
    let mut config = stream.cached_info().config.clone();
    (config.discard, config.max_messages) = (DiscardPolicy::Old, 25);
    admin.update_stream(config.clone()).await?;
    scene.refuses("messages 72 to 106 were removed before they were read").await?;
    stream.purge().await?;
    scene.refuses("messages 72 to 131 were removed before they were read").await?;
    assert_eq!(scene.new_epoch(None)?["sequence"], 131);

    // Under a service that is cut off meanwhile.
    let proxy = Proxy::to(scene.server.port()).await?;
    let mut serving = scene.site.serve(&proxy.url())?;
    serving.ready().await?;
    proxy.cut().await;
    scene.publish(60).await?;
    proxy.mend();
    let ended = serving.ended().await?;
    ensure!(ended.error().contains("messages 132 to 166 were removed before"), "{}", ended.error());
    assert_eq!(scene.new_epoch(Some(167))?["sequence"], 166);
    let behind = scene.events.len() - 25;
    // The one that was sent last is there already.
    let expected = [&kept[..], &scene.events[behind..]].concat();
    let read = scene.site.log_position() + 25;
    let mut serving = scene.serve()?;
    let http = serving.http().await?;
    // One more message would remove the first that is left.
    http.reached(read).await?;
    http.settled(&last_event(scene.site.clock())).await?;
    serving.stop().await?;
    scene.site.picture()?;
    let found: Vec<String> = scene.site.log()?.into_iter().filter_map(|it| Some(it.id?.1)).collect();
    assert_eq!(found, expected.iter().map(|it| it["id"].as_str().unwrap()).collect::<Vec<_>>());
    Ok(())
}

/// An administrator, and services that lack a permission each.
const USERS: &str = r#"
authorization {
  users = [
    { user: admin, password: secret }
    { user: blind, password: secret, permissions: {
        publish: { deny: ["$JS.API.STREAM.INFO.LEADFOLD_IN"] }
    } }
    { user: reader, password: secret, permissions: {
        publish: { deny: ["$JS.API.CONSUMER.CREATE.LEADFOLD_IN.>"] }
    } }
    { user: mute, password: secret, permissions: { publish: { deny: ["leadfold.out.>"] } } }
  ]
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_named_and_once_granted_nothing_is_missing() -> Result<()> {
    let server = NatsServer::with(&Settings { config: USERS.into(), ..Settings::default() })?;
    let site = Site::with_policy()?;
    fs::write(site.path("password"), "secret\n")?;
    fs::write(site.path("wrong"), "hunter2\n")?;
    let serve = |user: &str, password: &str| {
        site.serve_with(&["--nats", &server.url(), "--nats-user", user, "--nats-password-file", password])
    };
    let waiting = serve("admin", "wrong")?;
    waiting.said("cannot connect to NATS yet").await?;
    ensure!(!waiting.stderr().contains("hunter2"), "{}", waiting.stderr());
    waiting.stop().await?;

    let mut serving = serve("mute", "password")?;
    let http = serving.ready().await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let events = traffic.lines(20);
    assert_eq!(http.events(events).await?.status, 202);
    // Lead events wait; what comes in is taken all the same.
    serving.said("events could not be delivered").await?;
    assert_eq!(http.events(traffic.lines(5)).await?.status, 202);
    serving.stop().await?;

    for (user, subject) in
        [("blind", "$JS.API.STREAM.INFO.LEADFOLD_IN"), ("reader", "$JS.API.CONSUMER.CREATE.LEADFOLD_IN.")]
    {
        let ended = serve(user, "password")?.ended().await?;
        let error = ended.error();
        ensure!(error.contains(subject) && error.contains("this NATS user may not publish to"), "{error}");
    }
    let mut serving = serve("admin", "password")?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    site.picture()?;
    assert_eq!(site.log()?.iter().filter(|it| it.is_input()).count(), 26);
    Ok(())
}
