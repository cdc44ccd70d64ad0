//! Events over HTTP: one POST an event, signed as the Standard Webhooks specification has it.
//!
//! ```text
//! POST <url>
//! content-type: application/cloudevents+json
//! webhook-id: <the event's id>          the same each time that the event is sent
//! webhook-timestamp: <seconds>          when this attempt was made
//! webhook-signature: v1,<base64> …      HMAC-SHA256 over "<id>.<timestamp>.<body>", one for each secret
//! traceparent: 00-<trace>-<span>-01     this attempt, as its log lines name it (W3C Trace Context)
//! ```

mod address;
mod answer;
mod signature;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use thiserror::Error;
use trace_context::{TRACEPARENT, TraceContext};

pub use self::signature::{BadSecret, WebhookSecret};

use self::address::PublicOnly;
use self::signature::sign;
use crate::destination::{DeliveryError, Destination, Retry};
use crate::outgoing::OutgoingEvent;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACE: HeaderName = HeaderName::from_static(TRACEPARENT);
/// How long a request may take, from connecting to the end of the answer. The specification advises 15 to 30 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Of a longer answer the rest isn't read, and the connection is closed.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// More secrets than any rotation needs, as each costs a signature.
const SECRETS_MAX: usize = 8;

/// A webhook.
#[derive(Clone)]
pub struct WebhookOptions {
    /// Where to: `https://…`, or `http://…` within a network that is trusted.
    pub url: String,
    /// What to sign with. Several while the receiver changes from one to the next: it takes an event that any of its
    /// secrets fits.
    pub secrets: Vec<WebhookSecret>,
    /// Whether the receiver may have an address that only this machine or network reaches, as one in-house does. Say no
    /// where people who aren't trusted with the network choose the URL.
    pub allow_private: bool,
}

impl WebhookOptions {
    /// A webhook with one secret, anywhere.
    #[must_use]
    pub fn new(url: impl Into<String>, secret: WebhookSecret) -> Self {
        Self { url: url.into(), secrets: vec![secret], allow_private: true }
    }
}

/// Why a webhook can't be used. URLs aren't shown, because they may hold secrets.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// A URL of another kind, or none.
    #[error("use the webhook's URL: it must be https://host/… or http://host/…")]
    Url,
    /// An address that isn't allowed.
    #[error("use the webhook's URL: its address is a private one, which its settings don't allow")]
    Private,
    /// No secrets, or too many.
    #[error("use {found} secrets for a webhook; it must be 1 to {SECRETS_MAX}")]
    Secrets {
        /// How many.
        found: usize,
    },
    /// The HTTP client could not be made, as on a machine without certificates of authorities.
    #[error("prepare TLS for a webhook")]
    Client {
        /// What is wrong.
        #[source]
        source: reqwest::Error,
    },
}

/// Sends events to one URL, each as soon as the one before was taken: any 2xx.
///
/// Redirects aren't followed and proxies of the environment aren't used. 410 Gone ends the delivery; `Retry-After` is
/// respected with 429 and 503; anything else is tried again by the usual schedule.
pub struct Webhook {
    client: Client,
    url: Url,
    secrets: Vec<WebhookSecret>,
}

impl Webhook {
    /// A webhook. Where the program has chosen no TLS provider yet, this chooses ring for the whole program.
    ///
    /// # Errors
    /// When something in the options can't be.
    pub fn new(options: WebhookOptions) -> Result<Self, WebhookError> {
        let WebhookOptions { url, secrets, allow_private } = options;
        if !(1..=SECRETS_MAX).contains(&secrets.len()) {
            return Err(WebhookError::Secrets { found: secrets.len() });
        }
        let url = Url::parse(&url).map_err(|_| WebhookError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(WebhookError::Url);
        }
        if !allow_private && address::is_private_literal(&url) {
            return Err(WebhookError::Private);
        }
        // Whoever was first has chosen, so an error means that there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("leadfold/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .no_proxy();
        if url.scheme() == "http" {
            // Without it the client reads the machine's certificates, and fails where there are none.
            client = client.tls_certs_only([]);
        }
        if !allow_private {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        let client = client.build().map_err(|source| WebhookError::Client { source })?;
        Ok(Self { client, url, secrets })
    }

    async fn send(&self, event: &OutgoingEvent, trace: &TraceContext) -> Result<(), DeliveryError> {
        let mut headers = self.headers(event, now())?;
        // Hex and dashes always make a header.
        headers.extend(HeaderValue::try_from(trace.traceparent()).ok().map(|value| (TRACE, value)));
        let request = self.client.post(self.url.clone()).headers(headers).body(event.body.clone());
        let response = request.send().await.map_err(|error| DeliveryError {
            retry: Retry::BackOff,
            reason: format!("no answer: {}", innermost(&error.without_url())),
        })?;
        let judged = answer::judge(response.status(), response.headers(), SystemTime::now());
        drain(response).await;
        judged
    }

    fn headers(&self, event: &OutgoingEvent, timestamp: u64) -> Result<HeaderMap, DeliveryError> {
        let signatures: Vec<String> =
            self.secrets.iter().map(|secret| sign(secret, &event.id, timestamp, &event.body)).collect();
        // Digits, letters and a dash always make a header.
        let value = |text: &str| {
            let unfit =
                |_| DeliveryError { retry: Retry::BackOff, reason: "the event's id makes no header".to_owned() };
            HeaderValue::from_str(text).map_err(unfit)
        };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        headers.insert(WEBHOOK_ID, value(&event.id)?);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(WEBHOOK_SIGNATURE, value(&signatures.join(" "))?);
        Ok(headers)
    }
}

impl Destination for Webhook {
    /// One: an event that was taken isn't sent again because the next one wasn't.
    fn batch_events_max(&self) -> usize {
        1
    }

    async fn deliver(&mut self, batch: &[OutgoingEvent], trace: &TraceContext) -> Result<(), DeliveryError> {
        for event in batch {
            self.send(event, trace).await?;
        }
        Ok(())
    }
}

/// Reads an answer to its end, which leaves the connection open for the next event. What it says is of no interest.
async fn drain(mut answer: Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes += chunk.len();
        if bytes > ANSWER_BYTES_MAX {
            return;
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The innermost cause, which names what really happened.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
