//! The fields of a JSON object, with their values as they were written: for documents of which only a part is of
//! interest, or whose numbers must not pass through floating point.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cloud_event::{Fault, Str, code, invalid_json, not_utf8};

/// Names and the JSON texts of their values, in the order in which they were written. A name may be there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawObject<'a>(pub Vec<(Str<'a>, &'a str)>);

impl<'a> RawObject<'a> {
    /// Reads a whole document; `subject` begins the sentence that says what was expected: "A command".
    ///
    /// # Errors
    /// When the bytes are not UTF-8, no JSON, or no object.
    pub fn from_bytes(bytes: &'a [u8], subject: &str) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8("", error))?;
        serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                Fault::new("", code::WRONG_TYPE, format!("{subject} must be a JSON object."))
            } else {
                invalid_json("", &error)
            }
        })
    }

    /// Reads a value; `None` where it is no object.
    #[must_use]
    pub fn from_json(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The first name that is there twice.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }
}

/// The JSON texts of the elements of an array; `None` where the value is none.
#[must_use]
pub fn raw_elements(json: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

struct RawObjectVisitor;

impl<'de> Visitor<'de> for RawObjectVisitor {
    type Value = RawObject<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry::<Str<'de>, &'de RawValue>()? {
            entries.push((name, value.get()));
        }
        Ok(RawObject(entries))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawObjectVisitor)
    }
}
