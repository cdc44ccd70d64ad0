//! Made-up interactions, as a channel sends them.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::support::NOW;

/// The time so many minutes before [`NOW`].
pub(crate) fn before_now(minutes: i64) -> String {
    let now: DateTime<Utc> = NOW.parse().expect("a time");
    rfc3339(now - Duration::minutes(minutes))
}

/// A time as interfaces have it.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An interaction of the example shop, to be changed as a test needs it.
#[derive(Clone, Debug)]
pub(crate) struct Event(Value);

impl Event {
    /// A page view in the web shop at a time. The id must be another one for every event.
    pub(crate) fn page_at(id: &str, time: &str, device: &str) -> Self {
        Self(json!({
            "specversion": "1.0", "id": id, "source": "https://acme.example.com/test",
            "type": "leadfold.interaction.v1", "time": time,
            "data": { "channel": "web", "action": "page.viewed", "visitor_id": device },
        }))
    }

    /// A page view an hour ago.
    pub(crate) fn page(id: &str, device: &str) -> Self {
        Self::page_at(id, &before_now(60), device)
    }

    /// The same with another field of its data.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["data"][field] = value.into();
        self
    }

    /// The event as it is sent.
    pub(crate) fn json(&self) -> Value {
        self.0.clone()
    }
}
