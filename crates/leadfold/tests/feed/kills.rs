//! Processes that are killed at any moment, while publishers go on.

use std::time::Duration;

use anyhow::Result;
use nats_testbed::{NatsServer, Settings};

use crate::support::check::check;
use crate::support::load::{Load, last_event};
use crate::support::site::Site;
use crate::support::{Dice, rounds, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_the_service_at_any_moment_lose_nothing_and_double_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    let mut killed_at = Vec::new();
    for _ in 0..rounds(14) {
        let serving = site.serve(&server.url())?;
        let before = site.log_position();
        let grown = before + 1 + dice.below(400);
        match dice.below(4) {
            // While it starts, or soon after.
            0 => dice.moment(500).await,
            _ => until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await?,
        }
        dice.moment(30).await;
        serving.kill()?;
        killed_at.push(site.log_position());
    }
    println!("killed at {killed_at:?}");
    let mut serving = site.serve(&server.url())?;
    let acknowledged = load.stop().await?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &acknowledged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_a_server_that_syncs_lose_nothing_that_it_has_acknowledged() -> Result<()> {
    let mut dice = Dice::new();
    let mut server = NatsServer::with(&Settings { sync_always: true, ..Settings::default() })?;
    let site = Site::with_policy()?;
    let load = Load::start(&server.url(), site.clock(), 3, &mut dice);
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    for _ in 0..rounds(6) {
        let grown = site.log_position() + 1 + dice.below(300);
        until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await?;
        server.kill()?;
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        server.restart()?;
    }
    let acknowledged = load.stop().await?;
    http.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &acknowledged).await
}
