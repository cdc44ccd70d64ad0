//! A lead's attributes: the latest value of each name.

use std::collections::BTreeMap;

use lead_domain::Name;
use proto_events::stored::{Attribute, Value};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::state::Dated;

/// The most attributes that a lead shows. Beyond it the one not seen for the longest time makes room: its values stay in
/// the log.
pub(crate) const ATTRIBUTES_MAX: usize = 256;

/// The latest value by name.
///
/// As JSON: `{"name": [value, at]}`; a number that is not whole is kept as written: `{"name": ["1.50", at, "number"]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<(Name, Dated<Value>)>);

impl Attributes {
    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a value that was true at `at`; one of an earlier time than the known one is history already.
    pub(crate) fn learn(&mut self, attribute: &Attribute, at: i64) {
        let name = &attribute.name.0;
        match self.0.binary_search_by(|(known, _)| known.cmp(name)) {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place).filter(|(_, known)| known.at <= at) {
                    known.at = at;
                    if known.value != attribute.value {
                        known.value.clone_from(&attribute.value);
                    }
                }
            }
            Err(place) => {
                self.0.insert(place, (name.clone(), Dated { value: attribute.value.clone(), at }));
                self.make_room();
            }
        }
    }

    fn make_room(&mut self) {
        if self.0.len() > ATTRIBUTES_MAX {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, (_, dated))| dated.at).map(|(place, _)| place);
            if let Some(place) = oldest {
                self.0.remove(place);
            }
        }
    }

    /// Reads the stored form; `None` when it is damaged.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let stored: BTreeMap<String, Json> = serde_json::from_str(text).ok()?;
        let entries = stored.into_iter().map(|(name, entry)| Some((name.into(), read_entry(&entry)?)));
        entries.collect::<Option<Vec<_>>>().map(Self)
    }

    /// What people and programs see: `{"name": value}`.
    pub(crate) fn shown(&self) -> serde_json::Map<String, Json> {
        let value = |value: &Value| match value {
            Value::Bool(value) => Json::from(*value),
            Value::Integer(value) => Json::from(*value),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Decimal(text) => {
                let number = serde_json::from_str::<serde_json::Number>(text.as_str());
                number.map_or_else(|_| Json::from(text.as_str()), Json::Number)
            }
        };
        self.0.iter().map(|(name, dated)| (name.to_string(), value(&dated.value))).collect()
    }
}

/// The stored form.
impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, dated)| (name.as_str(), Entry(dated))))
    }
}

/// The stored form of one value.
struct Entry<'a>(&'a Dated<Value>);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Dated { value, at } = self.0;
        match value {
            Value::Bool(value) => (value, at).serialize(serializer),
            Value::Integer(value) => (value, at).serialize(serializer),
            Value::Text(text) => (text.as_str(), at).serialize(serializer),
            Value::Decimal(text) => (text.as_str(), at, "number").serialize(serializer),
        }
    }
}

fn read_entry(entry: &Json) -> Option<Dated<Value>> {
    let (value, at, is_number) = match entry.as_array()?.as_slice() {
        [value, at] => (value, at.as_i64()?, false),
        [value, at, _] => (value, at.as_i64()?, true),
        _ => return None,
    };
    let value = match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Integer(number.as_i64()?),
        Json::String(text) if is_number => Value::Decimal(text.as_str().into()),
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    };
    Some(Dated { value, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, value: Value) -> Attribute {
        Attribute { name: name.into(), value }
    }

    #[test]
    fn the_latest_value_counts_however_late_an_older_one_arrives() {
        let mut attributes = Attributes::default();
        attributes.learn(&attribute("plan", Value::Text("pro".into())), 20);
        attributes.learn(&attribute("plan", Value::Text("free".into())), 10);
        attributes.learn(&attribute("seats", Value::Integer(3)), 5);
        attributes.learn(&attribute("seats", Value::Integer(4)), 5);
        attributes.learn(&attribute("rate", Value::Decimal("1.50".into())), 5);
        attributes.learn(&attribute("vip", Value::Bool(true)), 5);
        let shown = serde_json::to_string(&attributes.shown()).unwrap();
        assert_eq!(shown, r#"{"plan":"pro","rate":1.5,"seats":4,"vip":true}"#);
        let stored = serde_json::to_string(&attributes).unwrap();
        assert_eq!(Attributes::from_json(&stored), Some(attributes));
    }

    #[test]
    fn attributes_are_bounded_and_the_oldest_makes_room() {
        let mut attributes = Attributes::default();
        for number in 0..=ATTRIBUTES_MAX {
            let at = i64::try_from(number).unwrap();
            attributes.learn(&attribute(&format!("a{number:04}"), Value::Integer(at)), at);
        }
        assert_eq!(attributes.shown().len(), ATTRIBUTES_MAX);
        assert!(!attributes.shown().contains_key("a0000"));
    }
}
