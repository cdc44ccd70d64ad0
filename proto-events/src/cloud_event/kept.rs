//! An interaction event written as structured JSON, to be kept, repaired and read again.
//!
//! Keys are sorted and what is absent is `null`, since the bytes make a second rejection of the same event a duplicate.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::text::{Attributes, Scalar, Str};
use super::{EVENT_TYPE, InteractionData, InteractionEvent};
use crate::lead_event::rfc3339;

/// A value that can't be part of an event.
#[derive(Clone, Debug)]
pub struct Misplaced<'a> {
    /// Where it would stand: `["data", "page", "url"]`.
    pub place: &'static [&'static str],
    /// What it is.
    pub value: Unread<'a>,
}

/// How a value that can't be part of an event is kept.
#[derive(Clone, Debug)]
pub enum Unread<'a> {
    /// The JSON that was sent.
    Json(&'a str),
    /// As text, so that a number of another unit isn't taken for one of the event's.
    Text(Str<'a>),
}

impl InteractionEvent<'_> {
    /// The event in structured JSON, which [`read`](super::read) reads again; what is absent is `null`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_json_with(&[])
    }

    /// The event in structured JSON with JSON values in it that it could not take, so that reading it fails again until
    /// somebody has repaired them.
    #[must_use]
    pub fn to_json_with(&self, misplaced: &[Misplaced<'_>]) -> Vec<u8> {
        // Numbers of attributes would lose digits in a `Value`, so they are written from where they stand.
        let data = InteractionData { attributes: Attributes::default(), ..self.data.clone() };
        let mut event = serde_json::json!({
            "specversion": "1.0",
            "type": EVENT_TYPE,
            "source": self.source,
            "id": self.id,
            "time": rfc3339(self.time),
            "data": data,
        });
        for Misplaced { place, value } in misplaced {
            let value = match value {
                Unread::Json(json) => serde_json::from_str(json).unwrap_or_else(|_| Value::from(*json)),
                Unread::Text(text) => Value::from(text.as_str()),
            };
            put(&mut event, place, value);
        }
        let own = self.data.attributes.0.iter().map(|(name, value)| (name.as_str(), KeptAttribute::Taken(value)));
        let mut attributes: BTreeMap<&str, KeptAttribute<'_>> = own.collect();
        let data = event.get("data").and_then(Value::as_object);
        let misplaced = data.and_then(|data| data.get("attributes")).and_then(Value::as_object);
        attributes.extend(
            misplaced.into_iter().flatten().map(|(name, value)| (name.as_str(), KeptAttribute::Misplaced(value))),
        );
        let instead = misplaced.is_some().then_some(&attributes);
        let data = data.map(|data| With { object: data, name: "attributes", instead });
        let event = event.as_object().map(|event| With { object: event, name: "data", instead: data.as_ref() });
        // Keys are texts and nothing else can fail to be written.
        serde_json::to_vec(&event).unwrap_or_default()
    }
}

/// Puts a value at a path, with objects on the way to it.
fn put(at: &mut Value, path: &[&str], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(object) = at {
        put(object.entry(*name).or_insert(Value::Null), rest, value);
    }
}

/// An attribute of a kept event.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum KeptAttribute<'e> {
    Taken(&'e Scalar<'e>),
    Misplaced(&'e Value),
}

/// An object with something else than its own value under one name.
struct With<'e, T> {
    object: &'e Map<String, Value>,
    name: &'static str,
    instead: Option<&'e T>,
}

impl<T: Serialize> Serialize for With<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.object.len()))?;
        for (name, value) in self.object {
            match self.instead {
                Some(instead) if name == self.name => map.serialize_entry(name, instead)?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_event::read;

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:00Z",
        "data":{"visitor_id":"c1","channel":"web","action":"a","product":{"id":"p"},"attributes":{"z":1.50,"b":"x","n":12345678901234567890,"t":true}}}"#;

    #[test]
    fn an_event_is_kept_to_the_last_digit_and_read_again() {
        let mut decoded = Vec::new();
        let event = read(EVENT.as_bytes(), &mut decoded).unwrap();
        let json = event.to_json();
        let text = String::from_utf8(json.clone()).unwrap();
        assert!(text.starts_with(r#"{"data":{"action":"a","attributes":{"b":"x","n":12345678901234567890,"t":true,"z":1.50},"campaign":null,"#));
        let mut decoded = Vec::new();
        let again = read(&json, &mut decoded).unwrap();
        assert_eq!(again.data.product, event.data.product);
        assert_eq!(again.to_json(), json);
    }

    #[test]
    fn without_decimals_the_bytes_are_those_of_sorted_json() {
        let event = EVENT.replace("1.50", "1").replace("12345678901234567890", "-7");
        let mut decoded = Vec::new();
        let event = read(event.as_bytes(), &mut decoded).unwrap();
        let sorted = serde_json::json!({
            "specversion": "1.0", "type": EVENT_TYPE, "source": event.source, "id": event.id, "time": rfc3339(event.time), "data": event.data,
        });
        assert_eq!(String::from_utf8(event.to_json()).unwrap(), sorted.to_string());
    }

    #[test]
    fn what_was_misplaced_stands_where_it_would_and_is_not_read() {
        let mut decoded = Vec::new();
        let event = read(EVENT.as_bytes(), &mut decoded).unwrap();
        let misplaced = [
            Misplaced { place: &["data", "product", "price", "amount"], value: Unread::Text("12".into()) },
            Misplaced { place: &["data", "attributes"], value: Unread::Json("[1]") },
        ];
        let json: Value = serde_json::from_slice(&event.to_json_with(&misplaced)).unwrap();
        assert_eq!(json["data"]["product"]["price"], serde_json::json!({ "amount": "12" }));
        assert_eq!(
            (&json["data"]["product"]["id"], &json["data"]["attributes"]),
            (&"p".into(), &serde_json::json!([1]))
        );
        assert!(read(&event.to_json_with(&misplaced[..1]), &mut Vec::new()).is_err());
    }
}
