//! The JetStream feed of a service: messages in, requests through it, answers back to whoever sent them.

mod inlet;
mod traces;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use engine::Engine;
use jetstream::{
    Connection, ConnectionOptions, Credentials, EraseError, Erased, FeedBatch, FeedError, FeedMark, FeedOptions,
    FeedSink, FeedStanding, LEADFOLD_IN, Message, ProvisionError, Publisher, SinkError, StreamSettings, Subject,
    TlsFiles, Unwanted, provision, run_feed,
};
use lead_domain::Time;
use service::{Fed, Form, RawInput, Receipt, ServiceHandle};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(crate) use inlet::JetStreamInlet;
use traces::Traced;

use crate::cli::NatsArgs;

/// The name of the watermark in the log.
pub(crate) const WATERMARK: &str = "feed/LEADFOLD_IN";
/// The header by which a request that went through the feed finds the one who waits for it.
const REQUEST_HEADER: &str = "Leadfold-Request";

/// How often a server is asked about a stream that gives no answer, and the pause between.
const LOOKS_MAX: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How to reach the server, by the arguments.
pub(crate) fn connection_options(args: &NatsArgs, name: &str) -> anyhow::Result<ConnectionOptions> {
    let servers = args.nats.clone().unwrap_or_default();
    let password = args.nats_password_file.as_deref().map(read_secret).transpose()?;
    let credentials = match (&args.nats_credentials, &args.nats_nkey, &args.nats_user, password) {
        (Some(file), None, None, None) => Credentials::CredentialsFile(file.clone()),
        (None, Some(file), None, None) => Credentials::NkeySeedFile(file.clone()),
        (None, None, Some(user), Some(password)) => Credentials::UserPassword { user: user.clone(), password },
        (None, None, None, Some(token)) => Credentials::Token(token),
        (None, None, None, None) => Credentials::None,
        _ => bail!(crate::failure::UsageError(
            "name one of --nats-credentials, --nats-nkey, or --nats-user with --nats-password-file".to_owned()
        )),
    };
    let client = args.nats_certificate.clone().zip(args.nats_key.clone());
    let tls = TlsFiles { ca: args.nats_ca.clone(), client, require: args.nats_tls };
    let inbox_prefix = args.nats_inbox_prefix.clone();
    Ok(ConnectionOptions { credentials, tls, inbox_prefix, ..ConnectionOptions::new(servers, name) })
}

fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// Where the feed stands in the log; `None` when nothing was read yet.
pub(crate) fn mark(engine: &Engine) -> anyhow::Result<Option<FeedMark>> {
    let stored = engine.parts().log.meta(WATERMARK).context("cannot read the feed's watermark")?;
    stored.map(|bytes| FeedMark::read(&bytes)).transpose().context("cannot read the feed's watermark")
}

/// Whether the incoming stream was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    New,
    Read,
}

/// Makes or checks a stream. A server that is just starting or going away is asked again.
async fn in_place(
    connection: &Connection,
    settings: &StreamSettings,
    cancel: &CancellationToken,
) -> Result<(), ProvisionError> {
    let mut failures = 0;
    loop {
        let error = match provision(connection, settings).await {
            Ok(differences) => {
                for difference in differences {
                    tracing::warn!(%difference, "a stream is not as it should be");
                }
                return Ok(());
            }
            Err(error) => error,
        };
        failures += 1;
        if !matches!(error, ProvisionError::Failed { .. }) || failures >= LOOKS_MAX || cancel.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(%error, "looking again");
        tokio::select! {
            () = cancel.cancelled() => return Err(error),
            () = async { tokio::time::sleep(LOOK_AGAIN).await; connection.connected().await } => {}
        }
    }
}

/// Connections to the server, with the streams in place.
#[derive(Clone)]
pub(crate) struct Nats {
    /// For reading in bulk, and for nothing else.
    bulk: Connection,
    /// For everything else.
    small: Connection,
}

/// The connections of a service that answers before it has them.
#[derive(Clone, Default)]
pub(crate) struct LateNats {
    found: Arc<OnceLock<Nats>>,
}

impl LateNats {
    /// The connections, once there are some.
    pub(crate) fn get(&self) -> Option<&Nats> {
        self.found.get()
    }

    /// Puts the connections in place.
    pub(crate) fn set(&self, nats: Nats) {
        // There is one task that connects, and it does so once.
        let _ = self.found.set(nats);
    }

    /// Why the feed can't be relied on now.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.get().map_or_else(|| Some("the feed is not connected yet".to_owned()), Nats::trouble)
    }
}

impl Nats {
    /// Connects, and makes or checks the streams.
    pub(crate) async fn open(args: &NatsArgs, known: Known, cancel: &CancellationToken) -> anyhow::Result<Self> {
        let small = Connection::open(&connection_options(args, "leadfold")?, cancel).await?;
        let bulk = Connection::open(&connection_options(args, "leadfold feed")?, cancel).await?;
        for settings in [StreamSettings::incoming(), StreamSettings::outgoing()] {
            let lost = known == Known::Read && settings.name == LEADFOLD_IN;
            let (replicas, create) = (args.nats_replicas, !args.nats_no_create && !lost);
            match in_place(&small, &StreamSettings { replicas, create, ..settings }, cancel).await {
                // A new one in its place would stand in the way of its backup.
                Err(ProvisionError::Missing { stream, .. }) if lost => bail!(FeedError::StreamMissing { stream }),
                done => done?,
            }
        }
        Ok(Self { bulk, small })
    }

    /// Publishes over the connection that doesn't read.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(self.small.clone())
    }

    /// Takes messages out of the incoming stream.
    pub(crate) async fn erase(&self, unwanted: &[Unwanted]) -> Result<Erased, EraseError> {
        jetstream::erase(&self.small, LEADFOLD_IN, unwanted).await
    }

    /// Why the feed can't be relied on now.
    fn trouble(&self) -> Option<String> {
        (!self.bulk.is_connected() || !self.small.is_connected()).then(|| "the feed is not connected".to_owned())
    }

    /// Reads the feed into the service until `cancel`.
    pub(crate) async fn feed(
        self,
        service: ServiceHandle,
        from: Option<FeedMark>,
        waiting: Waiting,
        cancel: CancellationToken,
    ) -> anyhow::Result<()> {
        let sink = Intake { service, waiting };
        Ok(run_feed(self.bulk, FeedOptions::default(), from, sink, cancel).await?)
    }
}

/// Who waits for what became of a request that went through the feed, by the request's name.
#[derive(Clone, Default)]
pub(crate) struct Waiting {
    requests: Arc<Mutex<HashMap<String, oneshot::Sender<Receipt>>>>,
}

impl Waiting {
    fn add(&self, request: String) -> oneshot::Receiver<Receipt> {
        let (sender, receiver) = oneshot::channel();
        if let Ok(mut requests) = self.requests.lock() {
            requests.insert(request, sender);
        }
        receiver
    }

    fn take(&self, request: &str) -> Option<oneshot::Sender<Receipt>> {
        self.requests.lock().ok()?.remove(request)
    }

    fn is_empty(&self) -> bool {
        self.requests.lock().is_ok_and(|requests| requests.is_empty())
    }
}

/// Takes the batches of the feed into the service.
struct Intake {
    service: ServiceHandle,
    waiting: Waiting,
}

impl FeedSink for Intake {
    async fn take(&mut self, batch: FeedBatch) -> Result<(), SinkError> {
        let FeedBatch { messages, mark, pending } = batch;
        // Looked at before the messages are handed on: whoever waits for one of them is here by now or never.
        let awaited = if self.waiting.is_empty() { Vec::new() } else { awaited(&messages, &self.waiting) };
        let traced = Traced::of(&messages);
        let inputs = messages.into_iter().map(input).collect();
        let fed = Fed { watermark: (WATERMARK.to_owned(), mark.to_bytes()), more: pending > 0 };
        let receipts = self.service.feed(inputs, fed).await?;
        if !awaited.is_empty() || !traced.is_empty() {
            tokio::spawn(answer(awaited, traced, receipts));
        }
        Ok(())
    }

    fn stands(&mut self, standing: FeedStanding) {
        self.service.feed_stands(match standing {
            FeedStanding::CaughtUp => service::FeedStanding::CaughtUp,
            FeedStanding::Behind => service::FeedStanding::Behind,
            FeedStanding::Unknown => service::FeedStanding::Unknown,
        });
    }
}

type Awaited = Vec<(usize, oneshot::Sender<Receipt>)>;

fn awaited(messages: &[Message], waiting: &Waiting) -> Awaited {
    let requests = messages.iter().enumerate();
    requests.filter_map(|(place, message)| Some((place, waiting.take(message.headers.get(REQUEST_HEADER)?)?))).collect()
}

async fn answer(awaited: Awaited, traced: Traced, receipts: oneshot::Receiver<Vec<Receipt>>) {
    let Ok(receipts) = receipts.await else { return };
    traced.tell(&receipts);
    let mut awaited = awaited.into_iter().peekable();
    for (place, receipt) in receipts.into_iter().enumerate() {
        if let Some((_, waiting)) = awaited.next_if(|(of, _)| *of == place) {
            // Whoever waited may have gone.
            let _ = waiting.send(receipt);
        }
    }
}

/// A message as an input. What its subject or headers don't say, nobody guesses.
fn input(message: Message) -> RawInput {
    let Message { sequence, subject, headers, payload, published_at } = message;
    let (tenant, is_command) = match Subject::parse(&subject) {
        Subject::Interaction { tenant, .. } => (Some(tenant.into()), false),
        Subject::Command { tenant } => (Some(tenant.into()), true),
        // Without a tenant it belongs to nobody, and goes where it can be looked at.
        Subject::Event { .. } | Subject::Other(_) => (Some("".into()), false),
    };
    let form = if is_command { Form::Command } else { inlet::form_of(&headers) };
    RawInput {
        tenant,
        origin: Cow::Owned(subject),
        feed_sequence: sequence,
        received_at: Time::from_millis(published_at),
        form,
        bytes: payload,
    }
}
