//! The service without NATS: what it has answered is recorded, however it ends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::http::Http;
use crate::support::load::{Traffic, id_of};
use crate::support::site::Site;
use crate::support::{Dice, rounds, until};

/// What a client has sent.
#[derive(Default)]
struct Sent {
    /// Ids of events that were answered with success.
    answered: Vec<String>,
    /// Ids of the events of the last request, if it was not.
    unanswered: Vec<String>,
}

/// Clients at work, each with one request at a time.
struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<Sent>>>,
    service: watch::Sender<Option<Http>>,
}

impl Clients {
    /// Requests that fail are sent again if `again`, and are the client's last ones otherwise.
    fn start(site: &Site, dice: &mut Dice, again: bool) -> Self {
        let (stop, service) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(None));
        let client = |number| {
            let traffic = Traffic::new(format!("c{number}"), site.clock(), dice.split());
            tokio::spawn(client(service.subscribe(), traffic, dice.split(), Arc::clone(&stop), again))
        };
        Self { tasks: (0..4).map(client).collect(), stop, service }
    }

    async fn stop(self) -> Result<Sent> {
        self.stop.store(true, Ordering::Release);
        let mut all = Sent::default();
        for task in self.tasks {
            let sent = task.await??;
            all.answered.extend(sent.answered);
            all.unanswered.extend(sent.unanswered);
        }
        Ok(all)
    }
}

async fn client(
    mut service: watch::Receiver<Option<Http>>,
    mut traffic: Traffic,
    mut dice: Dice,
    stop: Arc<AtomicBool>,
    again: bool,
) -> Result<Sent> {
    let mut sent = Sent::default();
    while !stop.load(Ordering::Acquire) {
        let lines = traffic.lines(1 + dice.below(30));
        let ids = lines.lines().filter_map(|line| Some(id_of(line.as_bytes())?.1)).collect::<Vec<_>>();
        loop {
            let http = service.wait_for(Option::is_some).await?.clone();
            let Some(http) = http else { continue };
            match http.events(lines.clone()).await {
                Ok(answer) if answer.status == 202 => break sent.answered.extend(ids),
                Ok(answer) => ensure!([503, 429].contains(&answer.status), "{answer:?}"),
                // The service has gone.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            if !again {
                sent.unanswered = ids;
                return Ok(sent);
            }
        }
    }
    Ok(sent)
}

/// How often the log has each event.
fn recorded(site: &Site) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    for entry in site.log()? {
        if let Some((_, id)) = entry.id {
            *found.entry(id).or_default() += 1;
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_that_was_answered_and_repeated_requests_double_nothing() -> Result<()> {
    let mut dice = Dice::new();
    let site = Site::with_policy()?;
    let clients = Clients::start(&site, &mut dice, true);
    let mut killed_at = Vec::new();
    for _ in 0..rounds(12) {
        let mut serving = site.serve_with(&[])?;
        clients.service.send_replace(Some(serving.http().await?));
        let grown = site.log_position() + 1 + dice.below(1_500);
        until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await?;
        dice.moment(20).await;
        serving.kill()?;
        killed_at.push(site.log_position());
    }
    println!("killed at {killed_at:?}");
    let mut serving = site.serve_with(&[])?;
    clients.service.send_replace(Some(serving.http().await?));
    let sent = clients.stop().await?;
    serving.stop().await?;
    let picture = site.picture()?;
    let found = recorded(&site)?;
    assert_eq!(found.keys().collect::<Vec<_>>(), {
        let mut answered: Vec<&String> = sent.answered.iter().collect();
        answered.sort();
        answered
    });
    assert!(found.values().all(|count| *count == 1));
    assert_eq!(picture.quarantine, "");
    // The same again, from nothing but the log.
    site.done(&["repair"])?;
    site.picture()?.assert_same(&picture);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_told_to_stop_under_load_has_recorded_what_it_answered() -> Result<()> {
    let mut dice = Dice::new();
    let site = Site::with_policy()?;
    for _ in 0..rounds(3) {
        let clients = Clients::start(&site, &mut dice.split(), false);
        let mut serving = site.serve_with(&[])?;
        clients.service.send_replace(Some(serving.http().await?));
        let grown = site.log_position() + 1 + dice.below(1_000);
        until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await?;
        serving.signal("TERM")?;
        let ended = serving.ended().await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        let sent = clients.stop().await?;
        let found = recorded(&site)?;
        assert!(sent.answered.iter().all(|id| found.contains_key(id)), "what was answered is recorded");
        assert!(found.values().all(|count| *count == 1));
        site.picture()?;
    }
    Ok(())
}

/// A request whose body doesn't come.
fn unfinished(http: &Http) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(http.address())?;
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
                content-length: 100000\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    // The service has begun with it once it asks for the rest.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"HTTP/1.1 100", "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_service_at_once_and_loses_nothing_that_was_answered() -> Result<()> {
    let mut dice = Dice::new();
    let site = Site::with_policy()?;
    let clients = Clients::start(&site, &mut dice, false);
    let mut serving = site.serve_with(&[])?;
    let http = serving.http().await?;
    let _unfinished = unfinished(&http)?;
    clients.service.send_replace(Some(http));
    let grown = site.log_position() + 500;
    until("progress", async || Ok((site.log_position() >= grown).then_some(()))).await?;
    serving.signal("TERM")?;
    serving.said("stopping; a second signal stops at once").await?;
    // The request under way keeps it from ending by itself.
    ensure!(serving.is_running()?);
    let asked = Instant::now();
    serving.signal("TERM")?;
    let ended = serving.ended().await?;
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let sent = clients.stop().await?;
    let found = recorded(&site)?;
    assert!(sent.answered.iter().all(|id| found.contains_key(id)), "what was answered is recorded");
    site.picture()?;
    Ok(())
}
