//! A message of somebody who must not be collected is passed over for good, also by whoever starts next.

use anyhow::{Context, Result, ensure};
use nats_testbed::NatsServer;
use serde_json::{Value, json};

use crate::support::load::last_event;
use crate::support::site::Site;

fn person(site: &Site, name: &str) -> Value {
    let mut event = last_event(site.clock());
    event["id"] = format!("{name}-one").into();
    event["data"] = json!({ "channel": "web", "action": "page.viewed", "visitor_id": format!("{name}-device"),
        "email": format!("{name}@example.com") });
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_goes_on_behind_a_message_that_is_not_collected() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    let asked = json!({ "email": "quill@example.com", "reason": "objects to it" });
    ensure!(http.command("/v1/suppressions", "one", &asked).await?.status == 200);
    let told = http.events(format!("{}\n", person(&site, "quill"))).await?;
    ensure!(told.status == 202 && told.body["results"][0]["result"] == "suppressed", "{told:?}");
    http.settled(&person(&site, "ben")).await?;
    serving.kill()?;
    // Nothing of it comes back, although it could be collected now.
    let lifted = site.done(&["unsuppress", "--email", "quill@example.com", "--reason", "consents"])?;
    ensure!(lifted.contains("recorded at position"), "{lifted}");
    let mut serving = site.serve(&server.url())?;
    let http = serving.ready().await?;
    http.settled(&person(&site, "dora")).await?;
    let leads = http.get("/v1/leads?limit=100").await?.body;
    let emails: Vec<&str> = leads["items"]
        .as_array()
        .context("leads")?
        .iter()
        .filter_map(|lead| lead["contact"]["email"].as_str())
        .collect();
    ensure!(emails.len() == 2 && !emails.contains(&"quill@example.com"), "{emails:?}");
    serving.stop().await?;
    site.picture()?;
    Ok(())
}
