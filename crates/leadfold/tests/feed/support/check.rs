//! Whether the log holds what the stream held, in order and once, and whether everything that follows from it is right.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use jetstream::{LEADFOLD_IN, LEADFOLD_OUT};
use nats_testbed::NatsServer;
use proto_events::stored::kind;

use crate::support::load::{Acknowledged, id_of};
use crate::support::log::Entry;
use crate::support::site::Site;
use crate::support::stream::{self, Stored};
use crate::support::until;

/// A record that a message must have led to: its number, its kind, and the id of an interaction.
type Accepted = (u64, u8, Option<(String, String)>);

/// Checks a service that has taken the whole stream and is stopped.
pub(crate) async fn check(site: &Site, server: &NatsServer, acknowledged: &[Acknowledged]) -> Result<()> {
    let admin = stream::admin(&server.url()).await?;
    let messages = stream::read_all(&admin, LEADFOLD_IN).await?;
    for it in acknowledged {
        let found = messages.iter().find(|message| message.sequence == it.sequence);
        ensure!(found.is_some_and(|found| found.payload == it.payload), "message {} is another one", it.sequence);
    }
    let log = site.log()?;
    assert_accepted(&log, &messages);
    println!("{} messages, {} records, {} acknowledged", messages.len(), log.len(), acknowledged.len());
    delivered(site, server, &log).await?;
    let picture = site.picture()?;
    let undisturbed = undisturbed(site, server, picture.head).await?;
    picture.assert_same(&undisturbed.picture()?);
    Ok(())
}

/// The log holds exactly what these messages must lead to, in their order.
#[track_caller]
pub(crate) fn assert_accepted(log: &[Entry], messages: &[Stored]) {
    let inputs = log.iter().filter(|entry| entry.is_input());
    let found: Vec<Accepted> = inputs.map(|it| (it.feed_sequence, it.kind, it.id.clone())).collect();
    let expected = accepted(messages);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "the first record that differs");
    }
    assert_eq!(found.len(), expected.len(), "{:?}", found.last().max(expected.last()));
    assert!(found.is_sorted_by(|one, next| one.0 < next.0), "the numbers of the feed rise");
}

/// What these messages must lead to.
fn accepted(messages: &[Stored]) -> Vec<Accepted> {
    let (mut ids, mut contents) = (HashSet::new(), HashSet::new());
    let records = messages.iter().filter_map(|message| {
        let of_tenant = message.subject.starts_with("leadfold.in.acme.");
        let id = id_of(&message.payload);
        // The same bytes again are a repetition, whatever they say.
        let is_new = contents.insert((message.subject.split('.').nth(2), &message.payload));
        if message.subject == "leadfold.cmd.acme" {
            let command = serde_json::from_slice::<serde_json::Value>(&message.payload).ok()?;
            let id = command["id"].as_str()?.to_owned();
            return ids.insert((String::new(), id)).then_some((message.sequence, kind::KEYED_COMMAND, None));
        }
        if !is_new {
            return None;
        }
        Some(match id.filter(|_| of_tenant) {
            None => (message.sequence, kind::QUARANTINED, None),
            Some(id) if ids.insert(id.clone()) => (message.sequence, kind::INTERACTION, Some(id)),
            Some(_) => (message.sequence, kind::CONFLICT, None),
        })
    });
    records.collect()
}

/// What the outgoing stream must hold, in order.
fn outgoing(log: &[Entry]) -> Vec<String> {
    let of_entry = |it: &Entry| {
        let position = it.position;
        (0..it.events).map(move |index| format!("leadfold.out.{position}-{index}"))
    };
    log.iter().flat_map(of_entry).collect()
}

/// Lets the service deliver what is left, and checks that all events went out, in order.
pub(crate) async fn delivered(site: &Site, server: &NatsServer, log: &[Entry]) -> Result<()> {
    let expected = outgoing(log);
    let admin = stream::admin(&server.url()).await?;
    let mut serving = site.serve(&server.url())?;
    serving.http().await?;
    until("the lead events", async || {
        let count = stream::message_count(&admin, LEADFOLD_OUT).await?;
        Ok((count >= expected.len() as u64).then_some(()))
    })
    .await?;
    serving.stop().await?;
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    for message in stream::read_all(&admin, LEADFOLD_OUT).await? {
        let id = message.message_id.context("a lead event has an id")?;
        if seen.insert(id.clone()) {
            found.push(id);
        }
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "the first lead event that differs");
    }
    assert_eq!(found.len(), expected.len(), "lead events");
    Ok(())
}

/// Another folder, into which a service has read the stream without being disturbed.
async fn undisturbed(site: &Site, server: &NatsServer, head: u64) -> Result<Site> {
    let other = site.beside()?;
    let mut serving = other.serve(&server.url())?;
    serving.http().await?.reached(head).await?;
    serving.stop().await?;
    Ok(other)
}
