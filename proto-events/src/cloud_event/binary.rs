//! Events in binary mode: attributes in the headers of a request or message, the data as its body.
//!
//! Knows the names of attributes without the `ce-` of headers, and no protocol's types. Values are decoded as the HTTP
//! and NATS bindings say (HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1.3.2): double quotes first, then one
//! round of percent-decoding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::data::InteractionData;
use super::diagnosis::{self, checked_envelope, checked_type};
use super::envelope::{CloudEvent, InteractionEvent, interaction};
use super::object::Object;
use super::text::Str;
use super::{Fault, code, shown};

/// An event in binary mode.
#[derive(Clone, Copy, Debug)]
pub struct BinaryEvent<'a> {
    /// Names in any case and without `ce-`, and values as the headers hold them.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The header that says the media type of the data; JSON where absent.
    pub content_type: Option<&'a str>,
    /// The body.
    pub data: &'a [u8],
}

/// What stands before the name of an attribute whose value can't be decoded, in the structured form that is kept of it.
const RAW: &str = "raw";

impl<'a> BinaryEvent<'a> {
    /// Bytes of its attributes and data.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        attributes + self.data.len() + self.content_type.map_or(0, str::len)
    }

    /// Reads an interaction event; it is the one that [`read`](super::read) reads from the structured form.
    ///
    /// # Errors
    /// The first thing that is wrong: with the headers, the envelope, the data, in this order.
    pub fn read(&self) -> Result<InteractionEvent<'a>, Fault> {
        let mut event = self.envelope()?;
        checked_envelope(&event)?;
        checked_type(event.event_type.as_ref().map(Str::as_str))?;
        let text = std::str::from_utf8(self.data).map_err(|error| diagnosis::not_utf8("data", error))?;
        if !text.trim_ascii().is_empty() {
            let data = serde_json::from_str::<Option<Object<_>>>(text);
            event.data = data.map_err(|error| diagnosis::data(self.data, "data", &error))?.map(|data| data.0);
        }
        interaction(event, |data, _| data.ok_or_else(|| diagnosis::missing("data")))
    }

    fn envelope(&self) -> Result<CloudEvent<'a, InteractionData<'a>>, Fault> {
        let mut event = CloudEvent { datacontenttype: self.content_type.map(Str::from), ..CloudEvent::default() };
        for (name, value) in self.attributes {
            let name = lower_case(name);
            let value = Str(decoded(value).ok_or_else(|| bad_header(&name))?);
            let slot = match name.as_ref() {
                "specversion" => &mut event.specversion,
                "id" => &mut event.id,
                "source" => &mut event.source,
                "type" => &mut event.event_type,
                "time" => &mut event.time,
                "dataschema" => &mut event.dataschema,
                "subject" => &mut event.subject,
                // It has no `ce-` header of its own in HTTP; one that agrees with the content type does no harm.
                "datacontenttype" if event.datacontenttype.as_ref() == Some(&value) => continue,
                "datacontenttype" => &mut event.datacontenttype,
                "data" | "data_base64" => {
                    return Err(Fault::new(name, code::REPEATED_FIELD, "The data must be the body and nothing else."));
                }
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Fault::new(name, code::REPEATED_FIELD, "The field is there twice."));
            }
        }
        Ok(event)
    }

    /// The event in structured JSON, which can be repaired and read again. Exactly what was sent, whatever it was: data
    /// that are no JSON stand in `data_base64`, and an attribute that can't be read under its name behind `raw`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut event = Map::new();
        if let Some(content_type) = self.content_type {
            event.insert("datacontenttype".to_owned(), content_type.into());
        }
        for (name, value) in self.attributes {
            let name = lower_case(name).into_owned();
            let free = !event.contains_key(&name) && name != "data" && name != "data_base64";
            match decoded(value) {
                Some(value) if free => event.insert(name, value.into()),
                _ => event.insert(format!("{RAW}{name}"), Value::from(*value)),
            };
        }
        let data = std::str::from_utf8(self.data).ok();
        let data = data.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        if data.is_none() && !self.data.is_empty() {
            event.insert("data_base64".to_owned(), STANDARD.encode(self.data).into());
        }
        let mut json = Value::Object(event).to_string();
        if let Some(data) = data {
            // The data go in as they were written, to the last digit.
            json.pop();
            json.push_str(if json.len() > 1 { ",\"data\":" } else { "\"data\":" });
            json.push_str(data.get());
            json.push('}');
        }
        json.into_bytes()
    }
}

fn lower_case(name: &str) -> Cow<'_, str> {
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }
}

fn bad_header(name: &str) -> Fault {
    let message = "The header must be percent-encoded UTF-8: a space is %20, a percent sign is %25.";
    Fault::new(shown(name), code::BAD_HEADER, message)
}

/// The value of a header; `None` where its quotes or escapes are broken or it is not UTF-8.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim_matches([' ', '\t']);
    match value.strip_prefix('"') {
        None => percent_decoded(value),
        Some(quoted) => match unquoted(quoted)? {
            Cow::Borrowed(text) => percent_decoded(text),
            Cow::Owned(text) => Some(Cow::Owned(percent_decoded(&text)?.into_owned())),
        },
    }
}

/// What stands before the closing quote, which must be the end, without backslashes (RFC 7230, section 3.2.6).
fn unquoted(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_suffix('"')?;
    if !inner.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next()?),
            '"' => return None,
            character => text.push(character),
        }
    }
    Some(Cow::Owned(text))
}

fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { digit(rest.next())? << 4 | digit(rest.next())? } else { byte });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_decoded_as_the_binding_says() {
        let cases = [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("%e2%82%ac", Some("€")),
            ("%41", Some("A")),
            ("%2541", Some("%41")),
            (" \"a b\" ", Some("a b")),
            (r#""a \"b\" \\c""#, Some(r#"a "b" \c"#)),
            (r#""a%20b""#, Some("a b")),
            ("a\"b", Some("a\"b")),
            ("€", Some("€")),
            ("", Some("")),
            ("\"\"", Some("")),
            ("%C0%A0", None),
            ("%FF", None),
            ("100%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("\"a", None),
            ("\"", None),
            (r#""a\""#, None),
            (r#""a"b""#, None),
        ];
        for (value, expected) in cases {
            assert_eq!(decoded(value).as_deref(), expected, "{value}");
        }
    }
}
