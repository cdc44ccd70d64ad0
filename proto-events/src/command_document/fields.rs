//! Takes the fields out of a JSON object one by one, and keeps every fault that it meets.
//!
//! A field that can't be read leaves something harmless in its place, which goes no further: with a fault there is no
//! document.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lead_domain::{Currency, Money, Time};

use super::{ATTRIBUTES_MAX, NAME_CHARACTERS_MAX};
use crate::cloud_event::{self, Fault, Scalar, Str, code, shown};
use crate::raw_object::RawObject;
use crate::stored::Value;
use crate::text::Text;

/// What stands in a field.
#[derive(Clone, Copy)]
enum Sent<'a> {
    Json(&'a str),
    /// What the caller knew.
    Text(&'a str),
}

/// An object's fields that were not taken yet.
pub(super) struct Fields<'a> {
    /// What stands before a name in a path: nothing, or `value.`.
    prefix: &'static str,
    entries: Vec<(Str<'a>, Sent<'a>)>,
    faults: Vec<Fault>,
}

/// Whether a text may have several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Prose,
}

impl<'a> Fields<'a> {
    /// The fields of a whole document, and those that the caller knew.
    pub(super) fn document(bytes: &'a [u8], known: &'a [(&'static str, &'a str)]) -> Result<Self, Fault> {
        let object = RawObject::from_bytes(bytes, "A command")?;
        let mut fields = Self { prefix: "", entries: Vec::new(), faults: Vec::new() };
        fields.entries.extend(known.iter().map(|(name, text)| (Str::from(*name), Sent::Text(text))));
        fields.entries.extend(object.0.into_iter().map(|(name, json)| (name, Sent::Json(json))));
        Ok(fields)
    }

    /// All faults; `known_command` tells whether fields that were not taken are unknown.
    pub(super) fn faults(mut self, known_command: bool) -> Vec<Fault> {
        if known_command {
            self.refuse_rest();
        }
        self.faults
    }

    fn refuse_rest(&mut self) {
        for (name, _) in std::mem::take(&mut self.entries) {
            self.fault(shown(name.as_str()), code::UNKNOWN_FIELD, "The command has no such field.");
        }
    }

    pub(super) fn fault(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        self.faults.push(Fault::new(format!("{}{name}", self.prefix), code, message));
    }

    /// Takes a field out; `null` counts as absent, and a second one of the name is a fault.
    fn take(&mut self, name: &str) -> Option<Sent<'a>> {
        let mut found = None;
        let mut repeated = false;
        self.entries.retain(|(key, sent)| {
            let same = key.as_str() == name;
            if same {
                repeated |= found.is_some();
                found.get_or_insert(*sent);
            }
            !same
        });
        if repeated {
            self.fault(name, code::REPEATED_FIELD, "The field is there twice, or the request says it already.");
        }
        found.filter(|sent| !matches!(sent, Sent::Json(json) if *json == "null"))
    }

    fn missing(&mut self, name: &str) {
        self.fault(name, code::MISSING_FIELD, "The field is missing or empty.");
    }

    /// How many faults there are.
    pub(super) const fn count(&self) -> usize {
        self.faults.len()
    }

    /// Reads what must be there: nothing without a fault of its own is a field that is missing.
    fn required<T: Default>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> T {
        let before = self.count();
        let found = read(self);
        if found.is_none() && self.count() == before {
            self.missing(name);
        }
        found.unwrap_or_default()
    }

    fn wrong_type(&mut self, name: &str, right: &str) {
        self.fault(name, code::WRONG_TYPE, format!("The field must be {right}."));
    }

    /// A text, of one line without white space around it; `None` where it is absent, empty or faulty.
    fn text(&mut self, name: &str, most: usize, kind: Kind) -> Option<String> {
        let text = match self.take(name)? {
            Sent::Text(text) => Some(Str::from(text)),
            Sent::Json(json) => serde_json::from_str::<Str<'a>>(json).ok(),
        };
        let Some(text) = text else {
            self.wrong_type(name, "text");
            return None;
        };
        let trimmed = text.trimmed()?;
        let text = if kind == Kind::Name { trimmed } else { text.as_str() };
        if let Err((code, message)) = checked(text, most, kind) {
            self.fault(name, code, message);
            return None;
        }
        Some(text.to_owned())
    }

    /// A text of one line that must be there.
    pub(super) fn required_name(&mut self, name: &str, most: usize) -> String {
        self.required(name, |fields| fields.text(name, most, Kind::Name))
    }

    /// A text of any number of lines that must be there.
    pub(super) fn required_prose(&mut self, name: &str, most: usize) -> String {
        self.required(name, |fields| fields.text(name, most, Kind::Prose))
    }

    /// A text of one line; `None` where absent or empty.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        self.text(name, NAME_CHARACTERS_MAX, Kind::Name)
    }

    /// A text of any number of lines; `None` where absent or empty.
    pub(super) fn prose(&mut self, name: &str, most: usize) -> Option<String> {
        self.text(name, most, Kind::Prose)
    }

    /// An id that must be there.
    pub(super) fn required_id<T: FromStr + Default>(&mut self, name: &str, right: &str) -> T {
        self.required(name, |fields| fields.id(name, right))
    }

    /// A position in the log that must be there.
    pub(super) fn required_position(&mut self, name: &str) -> u64 {
        self.required(name, |fields| fields.whole(name, 1, u64::MAX))
    }

    /// An id; `None` where absent, empty or faulty.
    pub(super) fn id<T: FromStr>(&mut self, name: &str, right: &str) -> Option<T> {
        let text = self.text(name, NAME_CHARACTERS_MAX, Kind::Name)?;
        let id = text.parse().ok();
        if id.is_none() {
            self.fault(name, code::BAD_ID, format!("The field must be {right}."));
        }
        id
    }

    /// A time; `None` where absent or faulty.
    pub(super) fn time(&mut self, name: &str) -> Option<Time> {
        let text = self.name(name)?;
        let time = cloud_event::time(&text);
        if time.is_none() {
            let message = "The time must be RFC 3339 with an offset, such as 2026-01-31T09:30:00Z.";
            self.fault(name, code::BAD_TIME, message);
        }
        time
    }

    /// A whole number; `None` where absent or faulty.
    pub(super) fn whole<N: FromStr + PartialOrd + fmt::Display>(&mut self, name: &str, least: N, most: N) -> Option<N> {
        let number = match self.take(name)? {
            Sent::Text(text) => text.parse().ok(),
            Sent::Json(json) => json.parse().ok(),
        };
        let number = number.filter(|number| (&least..=&most).contains(&number));
        if number.is_none() {
            self.wrong_type(name, &format!("a whole number from {least} to {most}"));
        }
        number
    }

    /// `true` or `false`; `None` where absent or faulty.
    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        let sent = match self.take(name)? {
            Sent::Text(text) => text.parse().ok(),
            Sent::Json(json) => json.parse().ok(),
        };
        if sent.is_none() {
            self.wrong_type(name, "true or false");
        }
        sent
    }

    /// A JSON object as it was written; `None` where absent or faulty.
    pub(super) fn object(&mut self, name: &str) -> Option<&'a str> {
        match self.take(name)? {
            Sent::Json(json) if json.starts_with('{') => Some(json),
            Sent::Json(_) | Sent::Text(_) => {
                self.wrong_type(name, "an object");
                None
            }
        }
    }

    /// The fields of an object; `None` where absent or faulty.
    fn entries(&mut self, name: &str) -> Option<Vec<(Str<'a>, &'a str)>> {
        let object = RawObject::from_json(self.object(name)?);
        if object.is_none() {
            self.wrong_type(name, "an object");
        }
        object.map(|object| object.0)
    }

    /// The amount of money in the field `value`; `None` where absent or faulty.
    pub(super) fn money(&mut self) -> Option<Money> {
        let entries = self.entries("value")?.into_iter().map(|(name, json)| (name, Sent::Json(json))).collect();
        let mut fields = Fields { prefix: "value.", entries, faults: Vec::new() };
        let amount = fields.required("amount", |fields| fields.whole("amount", i64::MIN, i64::MAX));
        let currency = fields.currency();
        self.faults.append(&mut fields.faults(true));
        Some(Money { amount, currency: currency? })
    }

    fn currency(&mut self) -> Option<Currency> {
        let code = self.required_name("currency", NAME_CHARACTERS_MAX);
        let currency = cloud_event::currency(&code);
        if currency.is_none() && !code.is_empty() {
            let message = "The currency must be an ISO 4217 code in upper case, such as EUR.";
            self.fault("currency", code::BAD_CURRENCY, message);
        }
        currency
    }

    /// Attributes to set: at least one.
    pub(super) fn attributes(&mut self, name: &str) -> BTreeMap<String, Value> {
        let entries = self.required(name, |fields| fields.entries(name).filter(|entries| !entries.is_empty()));
        if entries.len() > ATTRIBUTES_MAX {
            let message =
                format!("The command has {} attributes; at most {ATTRIBUTES_MAX} are allowed.", entries.len());
            self.fault(name, code::TOO_MANY_ATTRIBUTES, message);
            return BTreeMap::new();
        }
        let mut attributes = BTreeMap::new();
        for (key, json) in &entries {
            let path = format!("{name}.{}", shown(key.as_str()));
            if attributes.contains_key(key.as_str()) {
                self.fault(&path, code::REPEATED_FIELD, "An attribute is there twice.");
            } else if let Some(value) = self.attribute(&path, key, json) {
                attributes.insert(key.as_str().to_owned(), value);
            }
        }
        attributes
    }

    fn attribute(&mut self, path: &str, key: &Str<'_>, json: &str) -> Option<Value> {
        if key.trimmed().is_none() {
            self.fault(path, code::MISSING_FIELD, "An attribute needs a name.");
            return None;
        }
        let value = match serde_json::from_str::<Scalar<'_>>(json) {
            Ok(Scalar::Bool(value)) => Value::Bool(value),
            Ok(Scalar::Integer(value)) => Value::Integer(value),
            Ok(Scalar::Decimal(number)) => Value::Decimal(Text::from(number)),
            Ok(Scalar::Text(text)) => Value::Text(Text::from(text.as_str())),
            Ok(Scalar::Null) | Err(_) => {
                self.wrong_type(path, "text, a number, true or false");
                return None;
            }
        };
        let text = match &value {
            Value::Text(text) | Value::Decimal(text) => text.as_str(),
            Value::Bool(_) | Value::Integer(_) => "",
        };
        let checks = [(key.as_str(), Kind::Name), (text, Kind::Prose)];
        let found = checks.into_iter().find_map(|(text, kind)| checked(text, NAME_CHARACTERS_MAX, kind).err());
        if let Some((code, message)) = found {
            self.fault(path, code, message);
        }
        Some(value)
    }
}

/// Checks length and characters.
fn checked(text: &str, most: usize, kind: Kind) -> Result<(), (&'static str, String)> {
    let characters = text.chars().count();
    if characters > most {
        let message = format!("The text has {characters} characters; at most {most} are allowed.");
        return Err((code::STRING_TOO_LONG, message));
    }
    let line_end = |character| matches!(character, '\t' | '\n' | '\r') && kind == Kind::Prose;
    if text.chars().any(|character| character.is_control() && !line_end(character)) {
        let message = match kind {
            Kind::Name => "The text must not hold control characters.",
            Kind::Prose => "The text must not hold control characters other than tabs and line ends.",
        };
        return Err((code::CONTROL_CHARACTER, message.to_owned()));
    }
    Ok(())
}
