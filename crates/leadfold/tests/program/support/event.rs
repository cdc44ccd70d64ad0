//! Made-up interactions, as a channel sends them.

use serde_json::{Value, json};

/// An interaction of the example shop, to be changed as a test needs it.
#[derive(Clone, Debug)]
pub(crate) struct Event(pub(crate) Value);

impl Event {
    /// Something that happens at `time` on a channel. The id must be another one for every event.
    pub(crate) fn new(id: &str, time: &str, channel: &str, action: &str) -> Self {
        Self(json!({
            "specversion": "1.0", "id": id, "source": "https://acme.example.com/test",
            "type": "leadfold.interaction.v1", "time": time,
            "data": { "tenant": "acme", "channel": channel, "action": action },
        }))
    }

    /// A page view in the web shop.
    pub(crate) fn page(id: &str, time: &str, device: &str) -> Self {
        Self::new(id, time, "web", "page.viewed").with("visitor_id", device)
    }

    /// The same with another field of its data.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["data"][field] = value.into();
        self
    }

    /// The same without a field of its data.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.0["data"].as_object_mut().expect("data is an object").remove(field);
        self
    }
}

/// One event a line.
pub(crate) fn lines(events: impl IntoIterator<Item = Event>) -> String {
    events.into_iter().map(|event| format!("{}\n", event.0)).collect()
}

/// The time `hours` after the beginning of 2026.
pub(crate) fn hour(hours: u32) -> String {
    let start = chrono::DateTime::from_timestamp(1_767_225_600, 0).expect("a time");
    (start + chrono::Duration::hours(hours.into())).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
