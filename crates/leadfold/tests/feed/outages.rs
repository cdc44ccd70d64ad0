//! Servers, networks and consumers that come and go, and processes that stand still, while publishers go on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use jetstream::{LEADFOLD_IN, LEADFOLD_OUT, StreamSettings, provision};
use nats_testbed::NatsServer;

use crate::proxy::Proxy;
use crate::support::check::check;
use crate::support::load::{Load, Traffic, last_event, message, surely};
use crate::support::serving::Serving;
use crate::support::site::Site;
use crate::support::stream::{self, Admin};
use crate::support::{Dice, rounds, until};

/// How long a process stands still.
const STALL: Duration = Duration::from_secs(1);

async fn progress(site: &Site, dice: &mut Dice) -> Result<()> {
    let grown = site.log_position() + 1 + dice.below(250);
    until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await
}

/// Ends the test as all of these end: everything is taken, and the log is as it must be.
async fn finish(site: &Site, server: &NatsServer, mut serving: Serving, load: Load) -> Result<()> {
    let acknowledged = load.stop().await?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(site, server, &acknowledged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_also_before_the_first_message_loses_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    server.stop()?;
    let mut serving = site.serve(&server.url())?;
    serving.said("cannot connect to NATS yet").await?;
    server.restart()?;
    let http = serving.ready().await?;
    // Streams and consumers are there, and nothing was published yet.
    server.stop()?;
    server.restart()?;
    let first = Traffic::new("first", site.clock(), dice.split()).event();
    let connection = stream::connect(&server.url()).await?;
    surely(&connection, vec![message(&first, Some("first-1"))]).await?;
    // Behind the policy.
    http.reached(2).await?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    for _ in 0..rounds(6) {
        progress(&site, &mut dice).await?;
        server.stop()?;
        dice.moment(300).await;
        server.restart()?;
    }
    finish(&site, &server, serving, load).await
}

async fn delete_consumers(admin: &Admin) -> Result<usize> {
    let stream = admin.get_stream(LEADFOLD_IN).await?;
    let names: Vec<String> = stream.consumer_names().try_collect().await?;
    for name in &names {
        // It may have gone by itself.
        let _ = stream.delete_consumer(name).await;
    }
    Ok(names.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_deleted_again_and_again_loses_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    serving.ready().await?;
    let admin = stream::admin(&server.url()).await?;
    let deleted = async || Ok((delete_consumers(&admin).await? > 0).then_some(()));
    until("a consumer", deleted).await?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    for _ in 0..rounds(10) {
        progress(&site, &mut dice).await?;
        until("a consumer", deleted).await?;
    }
    finish(&site, &server, serving, load).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_comes_and_goes_loses_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let proxy = Proxy::to(server.port()).await?;
    let mut serving = site.serve(&proxy.url())?;
    serving.ready().await?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    for _ in 0..rounds(12) {
        progress(&site, &mut dice).await?;
        proxy.cut().await;
        dice.moment(200).await;
        proxy.mend();
    }
    finish(&site, &server, serving, load).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_stand_still_for_a_while_lose_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    serving.ready().await?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    for round in 0..rounds(4) {
        progress(&site, &mut dice).await?;
        let of_server = round % 2 == 0;
        let signal = |name| if of_server { server.signal(name).map_err(Into::into) } else { serving.signal(name) };
        signal("STOP")?;
        tokio::time::sleep(STALL).await;
        signal("CONT")?;
    }
    finish(&site, &server, serving, load).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lead_events_go_out_soon_after_the_server_is_back() -> Result<()> {
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let events = (0..4_000).map(|_| message(&traffic.event(), None)).collect();
    surely(&connection, events).await?;
    let mut serving = site.serve(&server.url())?;
    until("a record", async || Ok((site.log_position() > 1).then_some(()))).await?;
    server.stop()?;
    // Long enough for a worker that only tries again and again to lose patience.
    tokio::time::sleep(Duration::from_secs(8)).await;
    server.restart()?;
    let back = Instant::now();
    let position = serving.http().await?.settled(&last_event(site.clock())).await?;
    let admin = stream::admin(&server.url()).await?;
    let last = format!("leadfold.out.{position}-");
    until("the last lead event", async || {
        let mut stream = admin.get_stream(LEADFOLD_OUT).await?;
        let end = stream.info().await?.state.last_sequence;
        let message = stream.get_raw_message(end).await?;
        let id = message.headers.get("Nats-Msg-Id").map(ToString::to_string).unwrap_or_default();
        Ok(id.starts_with(&last).then_some(()))
    })
    .await?;
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lead_events_keep_their_order_over_connections_that_are_cut() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    provision(&connection, &StreamSettings::incoming()).await?;
    let mut traffic = Traffic::new("e", site.clock(), dice.split());
    // More than the cuts let through.
    let events = (0..rounds(3) * 1_200).map(|_| message(&traffic.event(), None)).collect();
    surely(&connection, events).await?;
    let proxy = Proxy::to(server.port()).await?;
    let mut serving = site.serve(&proxy.url())?;
    let http = serving.ready().await?;
    let admin = stream::admin(&server.url()).await?;
    let mut cut_at = Vec::new();
    for _ in 0..rounds(3) {
        let count = cut_at.last().copied().unwrap_or_default() + 1 + dice.below(600);
        let some = async || Ok(Some(stream::message_count(&admin, LEADFOLD_OUT).await?).filter(|it| *it >= count));
        let reached = until("lead events", some).await;
        cut_at.push(reached.with_context(|| format!("cut at {cut_at:?}: {}", serving.stderr()))?);
        // Again while what the last one has left behind is being sent.
        for _ in 0..15 {
            proxy.cut().await;
            proxy.mend();
            dice.moment(5).await;
        }
    }
    println!("cut at {cut_at:?}");
    http.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_told_to_stop_while_it_waits_for_a_server_stops() -> Result<()> {
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    server.stop()?;
    let serving = site.serve(&server.url())?;
    serving.said("cannot connect to NATS yet").await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_of_faults_loses_nothing_and_doubles_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    let proxy = Proxy::to(server.port()).await?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    let mut serving = Some(site.serve(&proxy.url())?);
    for _ in 0..rounds(14) {
        progress(&site, &mut dice).await?;
        match dice.below(5) {
            0 | 1 => {
                serving.take().context("a service")?.kill()?;
                serving = Some(site.serve(&proxy.url())?);
            }
            2 => {
                server.stop()?;
                dice.moment(300).await;
                server.restart()?;
            }
            3 => {
                proxy.cut().await;
                dice.moment(300).await;
                proxy.mend();
            }
            _ => {
                let admin = stream::admin(&server.url()).await?;
                delete_consumers(&admin).await?;
            }
        }
        // The next fault may come while the last one is still being mended.
        dice.moment(400).await;
    }
    finish(&site, &server, serving.context("a service")?, load).await
}
