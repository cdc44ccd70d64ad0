//! Lead events out: to the stream, and to webhooks. Each destination has a worker and a cursor of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use event_log::LogPosition;
use jetstream::{Headers, Outgoing, PublishError, Publisher};
use lead_domain::{LeadId, TenantId};
use proto_events::lead_event::Person;
use publisher::{
    Delivery, DeliveryError, DeliveryHandle, DeliveryOptions, DeliveryState, Destination, EventFilter, FileCursors,
    Only, OutgoingEvent, PersonError, Persons, Retry, StartAt, Webhook, WebhookOptions, WebhookSecret,
};
use serde::Deserialize;
use service::ServiceHandle;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use trace_context::{TRACEPARENT, TraceContext};

use crate::failure::UsageError;
use crate::serve::nats::LateNats;

/// The folder of the cursors, in the data folder.
const CURSORS: &str = "cursors";
/// The name of the stream's delivery.
const STREAM: &str = "nats";
/// How often a delivery looks whether there is a connection at last.
const CONNECT_LOOK: Duration = Duration::from_millis(200);
/// The pause after a connection was lost.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// A file of webhooks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFile {
    #[serde(default)]
    webhook: Vec<WebhookEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookEntry {
    name: String,
    url: String,
    /// Files that hold a secret each, as `whsec_…`; all of them sign.
    secret_files: Vec<PathBuf>,
    tenants: Option<BTreeSet<String>>,
    events: Option<BTreeSet<String>>,
    #[serde(default = "yes")]
    allow_private: bool,
    #[serde(default)]
    from_beginning: bool,
}

const fn yes() -> bool {
    true
}

/// The workers of all destinations.
pub(crate) struct Deliveries {
    data: PathBuf,
    service: ServiceHandle,
    cancel: CancellationToken,
    handles: Vec<(String, DeliveryHandle)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Deliveries {
    pub(crate) fn new(data: &Path, service: ServiceHandle, cancel: CancellationToken) -> Self {
        Self { data: data.to_owned(), service, cancel, handles: Vec::new(), tasks: Vec::new() }
    }

    /// Delivers everything to the outgoing stream.
    pub(crate) fn deliver_to_stream(&mut self, nats: LateNats) -> anyhow::Result<()> {
        let filter = EventFilter { tenants: Only::All, events: Only::All };
        self.start(STREAM, filter, StartAt::Beginning, StreamDestination { nats })
    }

    /// Delivers to the webhooks of a file.
    pub(crate) fn deliver_to_webhooks(&mut self, file: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let wrong = |error: toml::de::Error| UsageError(format!("{}: {}", file.display(), error.message()));
        let webhooks: WebhookFile = toml::from_str(&text).map_err(wrong)?;
        let mut names = BTreeSet::from([STREAM.to_owned()]);
        for entry in webhooks.webhook {
            if !names.insert(entry.name.clone()) {
                bail!(UsageError(format!("{}: two destinations are named \"{}\"", file.display(), entry.name)));
            }
            self.deliver_to_webhook(entry)?;
        }
        Ok(())
    }

    fn deliver_to_webhook(&mut self, entry: WebhookEntry) -> anyhow::Result<()> {
        let mut secrets = Vec::new();
        for file in &entry.secret_files {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let secret = text.trim().parse::<WebhookSecret>();
            secrets.push(secret.with_context(|| format!("cannot use the secret in {}", file.display()))?);
        }
        let only = |names: Option<BTreeSet<String>>| names.map_or(Only::All, Only::These);
        let filter = EventFilter { tenants: only(entry.tenants), events: only(entry.events) };
        let start_at = if entry.from_beginning { StartAt::Beginning } else { StartAt::Head };
        let options = WebhookOptions { url: entry.url, secrets, allow_private: entry.allow_private };
        let webhook = Webhook::new(options).with_context(|| format!("cannot use the webhook \"{}\"", entry.name))?;
        self.start(&entry.name, filter, start_at, webhook)
    }

    fn start<D: Destination + 'static>(
        &mut self,
        name: &str,
        filter: EventFilter,
        start_at: StartAt,
        destination: D,
    ) -> anyhow::Result<()> {
        let service = self.service.clone();
        let tenants = move |id: TenantId| {
            let tenants = service.tenants();
            tenants.iter().find(|tenant| tenant.id == id).map(|tenant| Arc::from(tenant.name.as_str()))
        };
        let options = DeliveryOptions {
            name: name.to_owned(),
            filter,
            start_at,
            log: self.service.log(),
            tenants: Arc::new(tenants),
            persons: Arc::new(Recorded { service: self.service.clone(), runtime: Handle::current() }),
            cursors: Arc::new(FileCursors::in_folder(&self.data.join(CURSORS))),
        };
        let (delivery, handle) = Delivery::open(options, destination)?;
        let (cancel, name) = (self.cancel.clone(), name.to_owned());
        self.handles.push((name.clone(), handle));
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = delivery.run(cancel).await {
                tracing::error!(%error, destination = name, "events are delivered no more");
            }
        }));
        Ok(())
    }

    /// What stopped a delivery for good; one that tries again is not in trouble.
    pub(crate) fn trouble(handles: &[(String, DeliveryHandle)]) -> Option<String> {
        handles.iter().find_map(|(name, handle)| match handle.state() {
            DeliveryState::Failed { reason } => Some(format!("events are not delivered to {name}: {reason}")),
            DeliveryState::Delivering | DeliveryState::Retrying { .. } | DeliveryState::Ended(_) => None,
        })
    }

    /// To watch them.
    pub(crate) fn handles(&self) -> Vec<(String, DeliveryHandle)> {
        self.handles.clone()
    }

    /// Waits until all have ended and kept their cursors.
    pub(crate) async fn ended(self) {
        for task in self.tasks {
            // One that panicked has said so; its cursor stands where it was kept last.
            let _ = task.await;
        }
    }
}

/// Persons as the log knows them.
struct Recorded {
    service: ServiceHandle,
    runtime: Handle,
}

impl Persons for Recorded {
    fn person(&self, lead: LeadId, until: LogPosition) -> Result<Person, PersonError> {
        let read = self.runtime.block_on(self.service.person(lead, until));
        read.map_err(|error| PersonError(error.into()))?.map_err(|error| PersonError(error.into()))
    }
}

/// The outgoing stream.
///
/// A client that has lost its connection sends over the next one what it had not sent over the last, and what was on its
/// way between is gone. So that nothing overtakes it, each message of a batch names the one that must be in front of it.
struct StreamDestination {
    nats: LateNats,
}

impl Destination for StreamDestination {
    async fn deliver(&mut self, batch: &[OutgoingEvent], trace: &TraceContext) -> Result<(), DeliveryError> {
        let publisher = loop {
            match self.nats.get() {
                Some(nats) => break nats.publisher(),
                None => tokio::time::sleep(CONNECT_LOOK).await,
            }
        };
        // A server that is away is no failure to back off from: events go out as soon as it is back.
        publisher.connected().await;
        publish_in_order(&publisher, batch, &trace.traceparent()).await.map_err(|error| failed(&error))
    }
}

/// Publishes a batch, all of which leaves in one span.
async fn publish_in_order(
    publisher: &Publisher,
    batch: &[OutgoingEvent],
    traceparent: &str,
) -> Result<(), PublishError> {
    let messages = || batch.iter().map(|event| message(event, traceparent)).collect::<Vec<_>>();
    let published = publisher.publish_chain(messages()).await;
    if let Err(PublishError::Refused { .. }) = published {
        // Somebody else has published meanwhile, or the server no longer knows what was last: one at a time then.
        let published = publisher.publish_many(messages(), 1).await;
        return published.into_iter().try_for_each(|published| published.map(|_| ()));
    }
    published
}

fn message(event: &OutgoingEvent, traceparent: &str) -> Outgoing {
    let content_type = ("content-type", "application/cloudevents+json");
    Outgoing {
        subject: event.nats_subject(),
        headers: [content_type, (TRACEPARENT, traceparent)].into_iter().collect::<Headers>(),
        payload: event.body.clone(),
        message_id: Some(event.nats_message_id()),
    }
}

fn failed(error: &PublishError) -> DeliveryError {
    let retry = match error {
        PublishError::Unknown { .. } | PublishError::Disconnected { .. } => Retry::After(RETRY_SOON),
        PublishError::StreamFull { .. }
        | PublishError::Denied { .. }
        | PublishError::NoStream { .. }
        | PublishError::TooLarge { .. }
        | PublishError::Invalid { .. }
        | PublishError::Refused { .. } => Retry::BackOff,
    };
    DeliveryError { retry, reason: error.to_string() }
}
