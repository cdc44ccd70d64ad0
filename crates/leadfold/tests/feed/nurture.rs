//! Messages that became due, on the stream, with whom they are for: once, in time, and never to somebody who bought.

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use jetstream::{LEADFOLD_OUT, Publisher, StreamSettings, provision};
use nats_testbed::NatsServer;
use serde_json::{Value, json};

use crate::support::load::{last_event, message};
use crate::support::site::Site;
use crate::support::stream::{self, Admin};
use crate::support::until;

const DUE: &str = "leadfold.out.acme.nurture-step-due";

/// What somebody did with their cart, and who they are.
fn event(id: &str, action: &str, at: DateTime<Utc>) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://acme.example.com/test", "type": "leadfold.interaction.v1",
        "time": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "data": {
            "tenant": "acme", "channel": "shop", "action": action, "visitor_id": "device-1",
            "email": "ada@example.com", "contact": { "name": "Ada L" },
            "product": { "id": "p-7", "name": "Slate 7", "category": "tablets", "price": { "amount": 19_900 } },
        },
    })
}

/// Publishes events and lets a service take them, with its clock at the site's.
async fn taken(site: &Site, server: &NatsServer, events: &[Value]) -> Result<()> {
    published(server, events).await?;
    let mut serving = site.serve(&server.url())?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await
}

async fn published(server: &NatsServer, events: &[Value]) -> Result<()> {
    let publisher = Publisher::new(stream::connect(&server.url()).await?);
    let messages = events.iter().map(|event| message(event, None));
    for published in publisher.publish_many(messages, 1).await {
        published?;
    }
    Ok(())
}

/// The messages of one subject.
async fn sent(admin: &Admin, subject: &str) -> Result<Vec<Value>> {
    let all = stream::read_all(admin, LEADFOLD_OUT).await?;
    let of_subject = all.iter().filter(|message| message.subject == subject);
    Ok(of_subject.map(|message| serde_json::from_slice(&message.payload)).collect::<Result<_, _>>()?)
}

/// Waits until a service has sent everything that its log holds, and stops it.
async fn delivered(site: &Site, server: &NatsServer, admin: &Admin) -> Result<()> {
    let mut serving = site.serve(&server.url())?;
    let http = serving.http().await?;
    http.settled(&last_event(site.clock())).await?;
    // A tick comes each second, and what it states is sent behind all that was there.
    until("a tick and its events", async || {
        let health = http.get("/readyz").await?.body;
        let position = health["position"].as_u64().context("a position")?;
        let last = stream::read_all(admin, LEADFOLD_OUT).await?.pop().context("lead events")?;
        let event: Value = serde_json::from_slice(&last.payload)?;
        let recorded: u64 = event["leadfoldposition"].as_str().context("a position")?.parse()?;
        let due = sent(admin, "leadfold.out.acme.lead_closed").await?;
        Ok((recorded >= position && !due.is_empty()).then_some(()))
    })
    .await?;
    serving.stop().await
}

async fn site_with_cart() -> Result<(NatsServer, Site, Admin)> {
    let (server, mut site) = (NatsServer::start()?, Site::with_policy()?);
    // What happens is not ahead of the server's clock, so the service's begins behind it.
    site.set_clock(site.clock() - Duration::hours(25));
    provision(&stream::connect(&server.url()).await?, &StreamSettings::incoming()).await?;
    let admin = stream::admin(&server.url()).await?;
    // The other lead times out with the tick that lets the first step come due, which says that there was one.
    let mut other = event("n-0", "page.viewed", site.clock() - Duration::days(7) + Duration::hours(1));
    other["data"] = json!({ "tenant": "acme", "channel": "web", "action": "page.viewed", "visitor_id": "device-2" });
    let cart = event("n-1", "cart.updated", site.clock() - Duration::minutes(1));
    taken(&site, &server, &[other, cart]).await?;
    Ok((server, site, admin))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_step_goes_out_once_with_whom_it_is_for() -> Result<()> {
    let (server, mut site, admin) = site_with_cart().await?;
    ensure!(sent(&admin, DUE).await?.is_empty(), "not yet");
    site.set_clock(site.clock() + Duration::hours(25));
    delivered(&site, &server, &admin).await?;
    let messages = sent(&admin, DUE).await?;
    ensure!(messages.len() == 1, "{messages:?}");
    let data = &messages[0]["data"];
    assert_eq!((&data["programme"], &data["template"]), (&json!("abandoned-cart"), &json!("cart-reminder")));
    let person = &data["person"];
    assert_eq!((&person["email"], &person["name"]), (&json!("ada@example.com"), &json!("Ada L")));
    assert_eq!(person["last_product"]["price"], json!({ "amount": 19_900, "currency": "EUR" }));
    assert_eq!((&person["stage"], &person["last_product"]["name"]), (&json!("purchase"), &json!("Slate 7")));
    // Starting again, deciding again, and looking back send nothing.
    delivered(&site, &server, &admin).await?;
    let replayed = site.json(&["replay"])?;
    ensure!(replayed.last().is_some_and(|told| told["same"] == json!(true)), "{replayed:?}");
    delivered(&site, &server, &admin).await?;
    assert_eq!(sent(&admin, DUE).await?.len(), 1);
    let public = sent(&admin, "leadfold.out.acme.nurture_started").await?;
    ensure!(!public.is_empty() && !format!("{public:?}").contains("ada@"), "only a due step tells whom it is for");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_the_stream_ends_a_programme_before_its_step_comes_due() -> Result<()> {
    for (action, ended) in [("purchase", true), ("page.viewed", false)] {
        let (server, mut site, admin) = site_with_cart().await?;
        // Nobody reads for a day, in which the step comes due. By then the visitor has bought.
        published(&server, &[event("n-2", action, site.clock() + Duration::hours(23))]).await?;
        site.set_clock(site.clock() + Duration::hours(25));
        delivered(&site, &server, &admin).await?;
        let (due, stopped) =
            (sent(&admin, DUE).await?.len(), sent(&admin, "leadfold.out.acme.nurture_stopped").await?.len());
        assert_eq!((due, stopped), if ended { (0, 1) } else { (1, 0) }, "{action}");
        site.picture()?;
    }
    Ok(())
}
