//! Requests over HTTP that go through the feed, while it is disturbed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use nats_testbed::NatsServer;
use serde_json::json;

use crate::support::check::check;
use crate::support::http::Http;
use crate::support::load::{Traffic, last_event};
use crate::support::site::Site;
use crate::support::{Dice, rounds, until};

/// Sends events and a note in turns until it is stopped, each again until it is answered with success. Returns how many
/// were refused, and how many succeeded.
async fn client(
    number: u64,
    http: Http,
    mut traffic: Traffic,
    lead: String,
    stop: Arc<AtomicBool>,
) -> Result<(u64, u64)> {
    let (mut refused, mut done) = (0, 0);
    while !stop.load(Ordering::Acquire) {
        let lines = traffic.lines(1 + done % 4);
        let (path, key) = (format!("/v1/leads/{lead}/notes"), format!("{number}-{done}"));
        loop {
            let answer = match done % 3 {
                0 => http.command(&path, &key, &json!({ "text": key })).await?,
                _ => http.events(lines.clone()).await?,
            };
            if answer.status < 300 {
                break;
            }
            ensure!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}");
            refused += 1;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        done += 1;
    }
    Ok((refused, done))
}

/// A lead to act on.
async fn a_lead(http: &Http, site: &Site, number: u32) -> Result<String> {
    let mut event = last_event(site.clock());
    event["id"] = format!("lead-{number}").into();
    event["data"] = json!({ "channel": "web", "action": "page.viewed", "visitor_id": format!("lead-{number}") });
    let position = http.settled(&event).await?;
    let leads = http.get("/v1/leads?limit=100").await?.body;
    let leads = leads["items"].as_array().context("leads")?;
    let id = leads.last().with_context(|| format!("a lead at {position}"))?["id"].as_str().context("an id")?;
    Ok(id.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_when_they_are_recorded_also_while_the_server_restarts() -> Result<()> {
    let mut dice = Dice::new();
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    let lead = a_lead(&http, &site, 1).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let traffic = Traffic::new(format!("c{number}"), site.clock(), dice.split());
            tokio::spawn(client(number, http.clone(), traffic, lead.clone(), Arc::clone(&stop)))
        })
        .collect();
    for _ in 0..rounds(4) {
        dice.moment(400).await;
        server.stop()?;
        // Long enough for a request to meet it.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let answer = http.events(Traffic::new("down", site.clock(), dice.split()).lines(1)).await?;
        ensure!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}");
        server.restart()?;
    }
    dice.moment(400).await;
    stop.store(true, Ordering::Release);
    let mut refused = 0;
    for client in clients {
        let (no, yes) = client.await??;
        ensure!(yes > 0, "a client got nothing done");
        refused += no;
    }
    ensure!(refused > 0, "no request met a server that was away");
    http.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_carried_out_once_whatever_is_killed_before_its_answer_comes() -> Result<()> {
    let mut dice = Dice::new();
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    let lead = a_lead(&serving.http().await?, &site, 1).await?;
    let path = format!("/v1/leads/{lead}/notes");
    let mut positions = BTreeMap::new();
    for round in 0..rounds(8) {
        let (key, body) = (format!("key-{round}"), json!({ "text": format!("note {round}") }));
        let http = serving.ready().await?;
        let asked = tokio::spawn({
            let (http, path, key, body) = (http.clone(), path.clone(), key.clone(), body.clone());
            async move { http.command(&path, &key, &body).await }
        });
        dice.moment(25).await;
        serving.kill()?;
        let answered = asked.await?.ok().and_then(|answer| answer.body["position"].as_u64());
        serving = site.serve(&server.url())?;
        let http = serving.ready().await?;
        let again = until("an answer", async || {
            let answer = http.command(&path, &key, &body).await?;
            Ok((answer.status == 200).then_some(answer))
        })
        .await?;
        let position = again.body["position"].as_u64().context("a position")?;
        ensure!(answered.is_none_or(|it| it == position && again.body["repeated"] == true), "{answered:?} {again:?}");
        let third = http.command(&path, &key, &body).await?;
        ensure!(third.body["repeated"] == true && third.body["position"] == position, "{third:?}");
        let other = http.command(&path, &key, &json!({ "text": "another" })).await?;
        ensure!(other.status == 409, "{other:?}");
        positions.insert(position, format!("note {round}"));
    }
    let shown = serving.http().await?.get(&format!("/v1/leads/{lead}")).await?.body;
    let notes = shown["notes"].as_array().context("notes")?.iter().map(|note| note["text"].as_str().unwrap());
    assert_eq!(notes.collect::<Vec<_>>(), positions.values().collect::<Vec<_>>());
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &[]).await
}
