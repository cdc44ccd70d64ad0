//! Reading an object of a document, field by field, with a fault for each that doesn't fit.

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::report::calendar::{local, start_of_day};
use crate::report::fault::{Faults, shown};

/// An object and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    /// An object that may have these keys and no others.
    pub(crate) fn new(fields: &'a Map<String, Value>, path: String, keys: &[&str], faults: &mut Faults) -> Self {
        let object = Self { fields, path };
        for key in fields.keys().filter(|key| !keys.contains(&key.as_str())) {
            faults.unknown(object.at(&shown(key)), "field", key, keys.iter().copied());
        }
        object
    }

    /// The path of a field.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What a field says; `None` where it is missing or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// Whether the field is there, even if it is null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str, faults: &mut Faults) -> Option<&'a str> {
        let value = self.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            faults.add(self.at(key), "invalid_type", "It must be a text.");
        }
        text
    }

    /// A text that must be there.
    pub(crate) fn needed(&self, key: &str, faults: &mut Faults) -> Option<&'a str> {
        if self.get(key).is_none() {
            faults.add(self.at(key), "missing", format!("\"{key}\" is needed."));
            return None;
        }
        self.text(key, faults)
    }

    /// A list of at most so many; empty where it is missing.
    pub(crate) fn list(&self, key: &str, most: usize, faults: &mut Faults) -> &'a [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(list)) if list.len() <= most => list,
            Some(Value::Array(_)) => {
                faults.add(self.at(key), "too_many", format!("There may be {most} of them."));
                &[]
            }
            Some(_) => {
                faults.add(self.at(key), "invalid_type", "It must be a list.");
                &[]
            }
        }
    }

    /// An object in the object.
    pub(crate) fn object(&self, key: &str, keys: &[&str], faults: &mut Faults) -> Option<Object<'a>> {
        match self.get(key)? {
            Value::Object(fields) => Some(Object::new(fields, self.at(key), keys, faults)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                faults.add(self.at(key), "invalid_type", "It must be an object.");
                None
            }
        }
    }

    /// An instant: RFC 3339, or a date, which is when that day begins in the zone.
    pub(crate) fn instant(&self, key: &str, zone: Tz, faults: &mut Faults) -> Option<i64> {
        let text = self.text(key, faults)?;
        let instant = instant_of(text, zone);
        if instant.is_none() {
            let wanted = "It must be a date such as 2026-03-01, or a time such as 2026-03-01T08:00:00+01:00.";
            faults.add(self.at(key), "invalid_time", wanted);
        }
        instant
    }

    /// A duration in seconds, above zero.
    pub(crate) fn duration(&self, key: &str, faults: &mut Faults) -> Option<f64> {
        let value = self.get(key)?;
        let seconds = seconds_of(value).filter(|seconds| *seconds > 0.0 && *seconds <= DURATION_MAX);
        if seconds.is_none() {
            faults.add(self.at(key), "invalid_duration", "It must be a duration such as \"30d\", \"12h\" or \"90s\".");
        }
        seconds
    }
}

/// Ten thousand years, so that nothing overflows.
const DURATION_MAX: f64 = 10_000.0 * 366.0 * 86_400.0;

/// Milliseconds since the epoch.
pub(crate) fn instant_of(text: &str, zone: Tz) -> Option<i64> {
    let at = match text.parse::<NaiveDate>() {
        Ok(day) => start_of_day(zone, day),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis()),
    };
    at.filter(|at| local(zone, *at).is_some())
}

/// A number of seconds, or a text such as `30d`.
pub(crate) fn seconds_of(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let text = value.as_str()?;
    let unit = text.chars().last()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    Some(f64::from(number) * f64::from(seconds))
}
