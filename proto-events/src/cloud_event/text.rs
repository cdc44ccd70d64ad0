//! Texts and scalars of an event, borrowed from its bytes wherever JSON has no escapes in them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A text of an event.
///
/// An `Option<Cow<str>>` would always be copied by serde; this type borrows inside of an `Option` too.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Str<'_> {
    /// The characters as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without white space around it; `None` where nothing is left, for an empty text says as much as none.
    #[must_use]
    #[inline]
    pub fn trimmed(&self) -> Option<&str> {
        let text: &str = &self.0;
        let bytes = text.as_bytes();
        // Nearly every text has nothing to trim, which its first and last byte tell.
        if let (Some(b'!'..=b'~'), Some(b'!'..=b'~')) = (bytes.first(), bytes.last()) {
            return Some(text);
        }
        let text = text.trim();
        (!text.is_empty()).then_some(text)
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(StrVisitor)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// As good as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number, as written.
    Decimal(&'a str),
    /// Text.
    Text(Str<'a>),
}

impl<'a> Scalar<'a> {
    /// From the JSON text of one value; `None` for an object, an array, or a string with a broken escape.
    #[must_use]
    pub fn from_json(json: &'a str) -> Option<Self> {
        match json.as_bytes().first()? {
            b'n' => Some(Self::Null),
            b't' => Some(Self::Bool(true)),
            b'f' => Some(Self::Bool(false)),
            b'"' => {
                let inner = json.get(1..json.len().saturating_sub(1))?;
                if memchr_backslash(inner) {
                    return serde_json::from_str(json).ok().map(Self::Text);
                }
                Some(Self::Text(Str(Cow::Borrowed(inner))))
            }
            b'{' | b'[' => None,
            _ => Some(json.parse().map_or(Self::Decimal(json), Self::Integer)),
        }
    }
}

fn memchr_backslash(text: &str) -> bool {
    text.as_bytes().contains(&b'\\')
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Scalar::from_json(raw.get()).ok_or_else(|| D::Error::custom("not a scalar"))
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Decimal(number) => match RawValue::from_string((*number).to_owned()) {
                Ok(number) => number.serialize(serializer),
                Err(_) => serializer.serialize_str(number),
            },
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The free attributes of an interaction, in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(pub Vec<(Str<'a>, Scalar<'a>)>);

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of scalars")
    }

    fn visit_unit<E: Error>(self) -> Result<Attributes<'de>, E> {
        Ok(Attributes::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes<'de>, A::Error> {
        let mut attributes = Vec::new();
        while let Some(entry) = map.next_entry()? {
            attributes.push(entry);
        }
        Ok(Attributes(attributes))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AttributesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_what_was_written() {
        let cases = [
            ("null", Some(Scalar::Null)),
            ("true", Some(Scalar::Bool(true))),
            ("false", Some(Scalar::Bool(false))),
            ("-7", Some(Scalar::Integer(-7))),
            ("9223372036854775808", Some(Scalar::Decimal("9223372036854775808"))),
            ("1.50", Some(Scalar::Decimal("1.50"))),
            ("1e3", Some(Scalar::Decimal("1e3"))),
            (r#""a b""#, Some(Scalar::Text("a b".into()))),
            (r#""a\nb""#, Some(Scalar::Text("a\nb".into()))),
            (r#""\ud800""#, None),
            ("[1]", None),
            ("{}", None),
        ];
        for (json, expected) in cases {
            assert_eq!(serde_json::from_str::<Scalar<'_>>(json).ok(), expected, "{json}");
        }
    }

    #[test]
    fn a_text_is_borrowed_unless_it_has_escapes() {
        let plain: Option<Str<'_>> = serde_json::from_str(r#""plain""#).unwrap();
        assert!(matches!(plain, Some(Str(Cow::Borrowed("plain")))));
        let escaped: Option<Str<'_>> = serde_json::from_str(r#""\u00e9""#).unwrap();
        assert!(matches!(escaped, Some(Str(Cow::Owned(text))) if text == "é"));
    }
}
