//! Made-up traffic, and publishers that send it whatever happens.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use jetstream::{Connection, Outgoing, Publisher};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Dice, soon, stream};

/// Where the traffic goes.
pub(crate) const SUBJECT: &str = "leadfold.in.acme.web";
/// How many people there are; some of them have several devices.
const DEVICES: u64 = 240;
const PEOPLE: u64 = 90;
/// The pause of a publisher between two batches.
const PAUSE: Duration = Duration::from_millis(12);
/// The most messages of a batch.
const BATCH_MAX: u64 = 12;

/// Makes events up, each with an id of its own.
pub(crate) struct Traffic {
    name: String,
    clock: DateTime<Utc>,
    dice: Dice,
    made: u64,
}

impl Traffic {
    /// All ids begin with `name`; all times are within the two hours before `clock`.
    pub(crate) fn new(name: impl Into<String>, clock: DateTime<Utc>, dice: Dice) -> Self {
        Self { name: name.into(), clock, dice, made: 0 }
    }

    pub(crate) fn event(&mut self) -> Value {
        self.made += 1;
        let dice = &mut self.dice;
        let time = self.clock - chrono::Duration::seconds(i64::try_from(dice.below(7_200)).unwrap_or_default());
        let order = format!("O-{}-{}", self.name, self.made);
        let (channel, action) = match dice.below(8) {
            0 => ("shop", "cart.updated"),
            1 => ("shop", "purchase"),
            2 => ("chat", "chat.started"),
            3 => ("kiosk", "kiosk.touched"),
            _ => ("web", "page.viewed"),
        };
        let mut data = json!({
            "tenant": "acme", "channel": channel, "action": action,
            "visitor_id": format!("device-{}", dice.below(DEVICES)),
        });
        if dice.below(4) == 0 {
            data["email"] = format!("p{}@example.com", dice.below(PEOPLE)).into();
            data["contact"] = json!({ "name": format!("Anna {}", dice.below(PEOPLE)) });
        }
        if action == "purchase" {
            data["conversion"] = json!({ "value": { "amount": 12_900, "currency": "EUR" }, "order_id": order });
        }
        json!({
            "specversion": "1.0", "id": format!("{}-{}", self.name, self.made),
            "source": "https://acme.example.com/test", "type": "leadfold.interaction.v1",
            "time": time.to_rfc3339_opts(SecondsFormat::Millis, true), "data": data,
        })
    }

    /// So many events, one on each line.
    pub(crate) fn lines(&mut self, count: u64) -> String {
        (0..count).map(|_| format!("{}\n", self.event())).collect()
    }
}

/// A message that the server has acknowledged, and where.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
}

/// Publishers at work.
pub(crate) struct Load {
    stop: CancellationToken,
    publishers: Vec<JoinHandle<Result<Vec<Acknowledged>>>>,
}

impl Load {
    /// Starts so many publishers, each with a connection of its own.
    pub(crate) fn start(url: &str, clock: DateTime<Utc>, publishers: u64, dice: &mut Dice) -> Self {
        let stop = CancellationToken::new();
        let publish = |number| {
            let traffic = Traffic::new(format!("p{number}"), clock, dice.split());
            let mix = Mix { traffic, dice: dice.split(), earlier: Vec::new(), broken: 0 };
            tokio::spawn(send(url.to_owned(), mix, stop.clone()))
        };
        let publishers = (0..publishers).map(publish).collect();
        Self { stop, publishers }
    }

    /// Lets them finish their batches; all of what was acknowledged. The server must be there.
    pub(crate) async fn stop(self) -> Result<Vec<Acknowledged>> {
        self.stop.cancel();
        let mut acknowledged = Vec::new();
        for publisher in self.publishers {
            acknowledged.extend(soon("a publisher", publisher).await???);
        }
        Ok(acknowledged)
    }
}

async fn send(url: String, mut mix: Mix, stop: CancellationToken) -> Result<Vec<Acknowledged>> {
    let connection = stream::connect(&url).await?;
    let mut acknowledged = Vec::new();
    while !stop.is_cancelled() {
        let batch = (0..=mix.dice.below(BATCH_MAX)).map(|_| mix.message()).collect();
        acknowledged.extend(surely(&connection, batch).await?);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(acknowledged)
}

/// Publishes until all of it is acknowledged.
pub(crate) async fn surely(connection: &Connection, mut missing: Vec<Outgoing>) -> Result<Vec<Acknowledged>> {
    let publisher = Publisher::new(connection.clone());
    let mut acknowledged = Vec::new();
    let all = async {
        while !missing.is_empty() {
            let results = publisher.publish_many(missing.clone(), 100).await;
            let stored = results.into_iter().map_while(Result::ok).zip(&missing);
            let stored = stored.map(|(it, sent)| Acknowledged { sequence: it.sequence, payload: sent.payload.clone() });
            let before = acknowledged.len();
            acknowledged.extend(stored);
            missing.drain(..acknowledged.len() - before);
            if !missing.is_empty() {
                connection.connected().await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    soon("acknowledgements", all).await?;
    Ok(acknowledged)
}

/// An event under a message id, as a careful publisher sends it.
pub(crate) fn message(event: &Value, message_id: Option<&str>) -> Outgoing {
    Outgoing {
        subject: SUBJECT.into(),
        payload: event.to_string().into(),
        message_id: message_id.map(|id| format!("acme.{id}")),
        ..Outgoing::default()
    }
}

/// Traffic in which some messages come again, contradict earlier ones, or make no sense.
struct Mix {
    traffic: Traffic,
    dice: Dice,
    earlier: Vec<Value>,
    broken: u64,
}

impl Mix {
    fn message(&mut self) -> Outgoing {
        let kind = self.dice.below(100);
        match (self.earlier(), kind) {
            (Some(event), 0..=2) => message(&event, event["id"].as_str()),
            // Outside of what the server remembers.
            (Some(event), 3..=5) => message(&event, None),
            (Some(mut event), 6) => {
                event["data"]["action"] = "page.contradicted".into();
                message(&event, None)
            }
            (_, 7) => {
                self.broken += 1;
                let payload = format!("{{\"broken\":\"{}-{}\"", self.traffic.name, self.broken).into();
                Outgoing { payload, ..message(&Value::Null, None) }
            }
            _ => {
                let event = self.traffic.event();
                self.earlier.push(event.clone());
                message(&event, event["id"].as_str())
            }
        }
    }

    fn earlier(&mut self) -> Option<Value> {
        let place = self.dice.below(self.earlier.len() as u64);
        self.earlier.get(usize::try_from(place).ok()?).cloned()
    }
}

/// The event that is sent last, to see that everything before it has been taken.
pub(crate) fn last_event(clock: DateTime<Utc>) -> Value {
    let mut event = Traffic::new("last", clock, Dice::zero()).event();
    event["id"] = "last".into();
    event
}

/// The CloudEvents source and id of a payload, if it is an event.
pub(crate) fn id_of(payload: &[u8]) -> Option<(String, String)> {
    let event: Value = serde_json::from_slice(payload).ok()?;
    let text = |field: &str| event[field].as_str().map(ToOwned::to_owned).context("a text").ok();
    Some((text("source")?, text("id")?))
}
