//! A running service, asked over HTTP: requests, repetitions, and what it answers.
//!
//! Knows addresses and shapes of the API as far as every command needs them. Prints nothing and knows no command; which
//! route an act takes is for `route` to say.

mod address;
mod error;
mod route;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::failure::UsageError;
use crate::settings::Settings;
use address::Address;

pub(crate) use error::RemoteError;
pub(crate) use route::{Route, body};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: twice as long as the service gives itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream may take: longer than the service gives one.
const STREAM_TIMEOUT: Duration = Duration::from_secs(4_000);
/// How often a request is made in all, when the service asks to come back later or a connection breaks.
const TRIES_MAX: u32 = 6;
/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The wait after a broken connection.
const WAIT: Duration = Duration::from_millis(200);
/// The longest answer: some times as long as a page of the largest leads.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What to say of an answer that makes no sense.
pub(crate) const UNREADABLE: &str = "cannot read what the service answers; is it of the same version?";

const OPERATOR: HeaderName = HeaderName::from_static("leadfold-operator");
const TENANT: HeaderName = HeaderName::from_static("leadfold-tenant");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const POSITION: HeaderName = HeaderName::from_static("x-leadfold-position");
const ROWS: HeaderName = HeaderName::from_static("x-leadfold-rows");

/// A running service.
pub(crate) struct Server {
    address: Address,
    client: Client,
    runtime: Runtime,
    headers: HeaderMap,
    tenant: Option<String>,
    has_key: bool,
}

/// Whether a request may be made again when nobody knows whether the first one arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Safe,
    Unsafe,
}

/// A request.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    repeat: Repeat,
}

impl Call {
    /// A request that changes nothing.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::of(Method::GET, path.into(), Repeat::Safe)
    }

    fn of(method: Method, path: String, repeat: Repeat) -> Self {
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), body: Vec::new(), repeat }
    }

    /// A request that acts, once however often it arrives.
    pub(crate) fn act(route: Route, body: Vec<u8>, if_version: Option<u32>) -> Self {
        let mut call = Self::of(route.method, route.path, Repeat::Safe).body("application/json", body);
        call.set_key();
        if let Some(tag) = if_version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok()) {
            call.headers.insert(header::IF_MATCH, tag);
        }
        call
    }

    /// A copy of the log, made where the service has its data.
    pub(crate) fn checkpoint() -> Self {
        Self::of(Method::POST, "/v1/checkpoint".to_owned(), Repeat::Safe)
    }

    /// Something that a projection is told; telling it twice changes nothing more.
    pub(crate) fn tell_projection(projection: &str, what: &str) -> Self {
        Self::of(Method::POST, format!("/v1/projections/{projection}/{what}"), Repeat::Safe)
    }

    /// A visitor whom a projection does without.
    pub(crate) fn discard_parked(projection: &str, visitor: &str, reason: &str) -> Self {
        let body = serde_json::json!({ "reason": reason }).to_string();
        let call = Self::tell_projection(projection, &format!("parked/{visitor}/discard"));
        call.body("application/json", body.into_bytes())
    }

    /// A signature under the head of the log.
    pub(crate) fn sign_head() -> Self {
        Self::of(Method::POST, "/v1/heads".to_owned(), Repeat::Safe)
    }

    /// Events as lines. Each counts once however often it arrives.
    pub(crate) fn events(lines: Vec<u8>) -> Self {
        let call = Self::of(Method::POST, "/v1/events".to_owned(), Repeat::Safe).query("wait", "decided");
        call.body("application/x-ndjson", lines)
    }

    /// A policy to adopt.
    pub(crate) fn policy(document: &str) -> Self {
        let call = Self::of(Method::PUT, "/v1/policy".to_owned(), Repeat::Unsafe);
        let mut call = call.body("application/toml", document.as_bytes().to_vec());
        call.set_key();
        call
    }

    /// A query over the analytics tables.
    pub(crate) fn sql(query: &str, format: &str) -> Self {
        let body = serde_json::json!({ "query": query, "format": format }).to_string();
        Self::of(Method::POST, "/v1/sql".to_owned(), Repeat::Safe).body("application/json", body.into_bytes())
    }

    /// A document that asks the analytics tables for figures.
    pub(crate) fn report(document: Vec<u8>) -> Self {
        Self::of(Method::POST, "/v1/analytics/query".to_owned(), Repeat::Safe).body("application/json", document)
    }

    /// The same request, which must not be made twice: the service wouldn't know that it was.
    pub(crate) const fn once(mut self) -> Self {
        self.repeat = Repeat::Unsafe;
        self
    }

    /// The same request for another tenant than the caller's.
    pub(crate) fn of_tenant(mut self, tenant: &str) -> anyhow::Result<Self> {
        self.headers.insert(TENANT, name("tenant", tenant)?);
        Ok(self)
    }

    /// Adds a parameter.
    pub(crate) fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    fn body(mut self, media: &'static str, body: Vec<u8>) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        self.body = body;
        self
    }

    fn set_key(&mut self) {
        if let Ok(key) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
            self.headers.insert(IDEMPOTENCY_KEY, key);
        }
    }
}

/// What a service answered.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body's JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context(UNREADABLE)
    }

    /// The number of an entity tag.
    pub(crate) fn version(&self) -> Option<u32> {
        self.headers.get(header::ETAG)?.to_str().ok()?.trim_matches('"').parse().ok()
    }

    /// How long the service asks to wait.
    fn wait(&self) -> Option<Duration> {
        let busy = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let seconds = self.headers.get(header::RETRY_AFTER).filter(|_| busy)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(WAIT_MAX))
    }
}

/// A stream that came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// What it was true at.
    pub(crate) position: u64,
    pub(crate) rows: u64,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct PageOf {
    pub(crate) items: Vec<Box<RawValue>>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) count: Option<u64>,
}

/// By what a service on this machine is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Its certificate.
    Certificate,
    /// The data folder, in which it has left its address. Its certificate is for the name that others call it by.
    Folder,
}

impl Server {
    /// The service that the caller named.
    pub(crate) fn named(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        Self::at(Address::named(url)?, settings, Trust::Certificate)
    }

    /// The service that holds the data folder.
    pub(crate) fn holding(url: &str, settings: &Settings) -> anyhow::Result<Self> {
        Self::at(Address::holding(url, &settings.data)?, settings, Trust::Folder)
    }

    fn at(address: Address, settings: &Settings, trust: Trust) -> anyhow::Result<Self> {
        // One provider for server and clients; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("leadfold/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT);
        if !address.is_encrypted() {
            // Without it the client reads the machine's certificates, and fails where there are none.
            client = client.tls_certs_only([]);
        }
        if address.is_here() {
            client = client.no_proxy().tls_danger_accept_invalid_certs(trust == Trust::Folder);
        }
        let key = settings.api_key()?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut bearer = bearer.map_err(|_| UsageError("the API key has characters that no key has".to_owned()))?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        headers.insert(OPERATOR, name("operator", &settings.operator)?);
        if let Some(tenant) = &settings.tenant {
            headers.insert(TENANT, name("tenant", tenant)?);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            address,
            client: client.build().context("cannot prepare requests")?,
            runtime: runtime.context("cannot prepare requests")?,
            headers,
            tenant: settings.tenant.clone(),
            has_key: key.is_some(),
        })
    }

    /// The same service for all tenants that the key reaches.
    pub(crate) fn for_any_tenant(mut self) -> Self {
        self.headers.remove(TENANT);
        self
    }

    /// Makes a request, again where that may help.
    ///
    /// # Errors
    /// [`RemoteError`]: the service can't be reached, or it says no.
    pub(crate) fn send(&self, call: &Call) -> anyhow::Result<Answer> {
        let answer = self.send_any(call)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let error = RemoteError::of(answer.status, &answer.body, &self.address.to_string(), self.has_key);
        Err(error.for_tenant(self.tenant.as_deref()))
    }

    /// The same for a request whose answer says something with any status.
    pub(crate) fn send_any(&self, call: &Call) -> Result<Answer, RemoteError> {
        let mut tried = 1;
        loop {
            let answered = self.runtime.block_on(self.try_once(call));
            let wait = match &answered {
                Ok(answer) => answer.wait(),
                // Nothing listens there, and a moment later nothing will either.
                Err(error) if error.is_connect() || error.is_timeout() => None,
                Err(_) => (call.repeat == Repeat::Safe).then_some(WAIT),
            };
            match wait {
                Some(wait) if tried < TRIES_MAX => std::thread::sleep(wait),
                Some(_) | None => return answered.map_err(|error| self.address.unreachable(&error)),
            }
            tried += 1;
        }
    }

    async fn try_once(&self, call: &Call) -> reqwest::Result<Answer> {
        let mut headers = self.headers.clone();
        headers.extend(call.headers.clone());
        let url = self.address.url(&call.path, &call.query);
        let request = self.client.request(call.method.clone(), url).headers(headers).body(call.body.clone());
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            // What is longer is cut off, and then it can't be read.
            if body.len() < ANSWER_BYTES_MAX {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Answer { status, headers, body })
    }

    /// Writes a long answer as it comes, to its end. Not made again: a part of it may be written already.
    ///
    /// # Errors
    /// [`RemoteError`], also when the answer breaks off; and when it can't be written.
    pub(crate) fn stream(&self, call: Call, out: &mut dyn Write) -> anyhow::Result<Streamed> {
        let call = call.query("min_position", self.head()?.to_string());
        self.runtime.block_on(async {
            let url = self.address.url(&call.path, &call.query);
            let request = self.client.request(call.method.clone(), url).headers(self.headers.clone());
            let unreachable = |error: reqwest::Error| self.address.unreachable(&error);
            let mut response = request.timeout(STREAM_TIMEOUT).send().await.map_err(unreachable)?;
            let (status, headers) = (response.status(), response.headers().clone());
            if !status.is_success() {
                let body = response.bytes().await.map_err(unreachable)?;
                let error = RemoteError::of(status, &body, &self.address.to_string(), self.has_key);
                return Err(error.for_tenant(self.tenant.as_deref()));
            }
            while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
                out.write_all(&chunk)?;
            }
            let number = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
            let told = number(&POSITION).zip(number(&ROWS));
            let (position, rows) = told.ok_or_else(|| self.address.foreign())?;
            Ok(Streamed { position, rows })
        })
    }

    /// The last durable position, which a listing that is asked for it holds.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub(crate) fn head(&self) -> anyhow::Result<u64> {
        let answer = self.send(&Call::get("/healthz"))?;
        let position = answer.headers.get(POSITION).and_then(|value| value.to_str().ok()?.parse().ok());
        position.ok_or_else(|| self.address.foreign().into())
    }

    /// A request to a listing, answered when that holds everything that is durable now, as a listing in a folder does.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub(crate) fn listed(&self, mut call: Call) -> anyhow::Result<Answer> {
        call = call.query("min_position", self.head()?.to_string());
        let answer = self.send(&call);
        let paused = answer.as_ref().err().and_then(|error| error.downcast_ref::<RemoteError>());
        let Some(said) = paused.and_then(RemoteError::paused) else { return answer };
        // As it stands is what whoever paused it wants it to be read as.
        eprintln!("{said}");
        call.query.retain(|(name, _)| name != "min_position");
        self.send(&call)
    }
}

/// A name for a header.
fn name(what: &str, name: &str) -> Result<HeaderValue, UsageError> {
    HeaderValue::from_bytes(name.as_bytes()).map_err(|_| UsageError(format!("--{what} has control characters")))
}

/// The error as it is, or another one where what was asked for isn't there.
pub(crate) fn missing(error: anyhow::Error, unknown: impl FnOnce() -> anyhow::Error) -> anyhow::Error {
    let is_missing = error.downcast_ref::<RemoteError>().is_some_and(RemoteError::is_missing);
    if is_missing { unknown() } else { error }
}
