//! The way to a service over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::support::until;

/// More than the service itself gives a request.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A client of one service.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn to(url: &str) -> Self {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(TIMEOUT).build().expect("a client can be made");
        Self { client, url: url.to_owned() }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        Self::answer(self.client.get(format!("{}{path}", self.url))).await
    }

    /// Posts events, one on each line.
    pub(crate) async fn events(&self, lines: String) -> Result<Answer> {
        let request = self.client.post(format!("{}/v1/events", self.url));
        Self::answer(request.header("content-type", "application/x-ndjson").body(lines)).await
    }

    /// Posts a command under a key.
    pub(crate) async fn command(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).header("idempotency-key", key);
        Self::answer(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Erases a visitor.
    pub(crate) async fn erase(&self, visitor: &str, reason: &str) -> Result<Answer> {
        let request = self.client.delete(format!("{}/v1/visitors/{visitor}", self.url));
        let body = serde_json::json!({ "reason": reason }).to_string();
        Self::answer(request.header("content-type", "application/json").body(body)).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(ToOwned::to_owned);
        let text = response.text().await?;
        Ok(Answer { status, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// Returns when everything that was in the feed before is recorded and listed: an event that is sent behind it is.
    pub(crate) async fn settled(&self, event: &Value) -> Result<u64> {
        let position = until("a settled log", async || {
            let answer = self.events(format!("{event}\n")).await?;
            let position = answer.body["position"].as_u64();
            ensure!(answer.status == 202 || answer.status == 503, "{answer:?}");
            Ok(position.filter(|_| answer.status == 202))
        });
        let position = position.await?;
        self.reached(position).await?;
        Ok(position)
    }

    /// Returns when log and listing have reached a position.
    pub(crate) async fn reached(&self, position: u64) -> Result<()> {
        until(&format!("position {position}"), async || {
            let health = self.get("/readyz").await?.body;
            let at = |field: &str| health[field].as_u64().context("a position");
            Ok((at("position")? >= position && at("listing_position")? >= position).then_some(()))
        })
        .await
    }
}
