//! A person whose data came over NATS is erased: the server's store has nothing of it either.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nats_testbed::NatsServer;
use serde_json::{Value, json};

use crate::support::load::last_event;
use crate::support::site::Site;
use crate::support::stream::{admin, message_count};

/// Stands in everything that the person's messages say, and nowhere else.
const SECRET: &str = "quillfeather";

fn person(site: &Site, id: &str, name: &str) -> Value {
    let mut event = last_event(site.clock());
    event["id"] = format!("{name}-{id}").into();
    event["data"] = json!({ "channel": "web", "action": "page.viewed", "visitor_id": format!("{name}-device"),
        "email": format!("{name}@example.com"), "contact": { "name": name } });
    event
}

/// Files below a folder that hold the person in clear.
fn holding(path: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            holding(&path, found)?;
        } else if fs::read(&path)?.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    Ok(())
}

fn places(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    holding(folder, &mut found)?;
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_store_has_nothing_of_an_erased_person() -> Result<()> {
    let (mut server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    http.settled(&person(&site, "one", SECRET)).await?;
    http.settled(&person(&site, "one", "ben")).await?;
    let leads = http.get("/v1/leads?limit=100").await?.body;
    let leads = leads["items"].as_array().context("leads")?.clone();
    let hers = leads.iter().find(|lead| lead["contact"]["name"] == SECRET).context("her lead")?;
    let (lead, visitor) = (hers["id"].as_str().context("an id")?, hers["visitor_id"].as_str().context("an id")?);
    let note = json!({ "text": format!("call {SECRET}") });
    ensure!(http.command(&format!("/v1/leads/{lead}/notes"), "note", &note).await?.status == 200);
    let admin = admin(&server.url()).await?;
    let before = message_count(&admin, "LEADFOLD_IN").await?;
    ensure!(!places(&server.store_dir())?.is_empty() && !places(&site.path("data"))?.is_empty());

    let answer = http.erase(visitor, "asked for it").await?;
    ensure!(answer.status == 200 && answer.body["behind"] == json!([]), "{answer:?}");
    // Her event, the note, and what asked for the erasure.
    ensure!(answer.body["feed"] == json!({ "erased": 3, "missing": 0, "refused": null }), "{answer:?}");
    ensure!(message_count(&admin, "LEADFOLD_IN").await? == before - 2, "three went, and one of them had come");
    ensure!(places(&site.path("data"))?.is_empty(), "{:?}", places(&site.path("data"))?);
    ensure!(places(&server.store_dir())?.is_empty(), "{:?}", places(&server.store_dir())?);
    // The stream goes on behind what is missing, also for a new consumer and a new server.
    serving.stop().await?;
    server.stop()?;
    ensure!(places(&server.store_dir())?.is_empty(), "{:?}", places(&server.store_dir())?);
    server.restart()?;
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    http.settled(&person(&site, "two", "ben")).await?;
    let leads = http.get("/v1/leads?limit=100").await?.body;
    ensure!(leads["items"].as_array().context("leads")?.len() == 2, "{leads}");
    serving.stop().await?;
    site.picture()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_denies_it_is_told_in_the_answer() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let admin = admin(&server.url()).await?;
    let config = async_nats::jetstream::stream::Config {
        name: "LEADFOLD_IN".to_owned(),
        subjects: vec!["leadfold.in.>".to_owned(), "leadfold.cmd.>".to_owned()],
        deny_delete: true,
        ..Default::default()
    };
    admin.create_stream(config).await?;
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    http.settled(&person(&site, "one", SECRET)).await?;
    let answer = http.erase("V1", "asked for it").await?;
    let refused = answer.body["feed"]["refused"].as_str().context("why not")?;
    ensure!(answer.status == 200 && refused.contains("LEADFOLD_IN"), "{answer:?}");
    ensure!(places(&site.path("data"))?.is_empty() && !places(&server.store_dir())?.is_empty());
    serving.stop().await?;
    Ok(())
}
