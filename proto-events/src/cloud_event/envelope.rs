//! The CloudEvents envelope: reading it and its data in one pass. Extension attributes are allowed and left alone.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lead_domain::Time;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::data::InteractionData;
use super::diagnosis::{self, checked_envelope, checked_type};
use super::object::Object;
use super::text::Str;
use super::{Fault, code, time};

/// A CloudEvents event in structured JSON, with data of type `D`. An attribute that is `null` counts as absent.
#[derive(Clone, Debug)]
pub struct CloudEvent<'a, D> {
    /// `1.0`.
    pub specversion: Option<Str<'a>>,
    /// Which event of its source it is.
    pub id: Option<Str<'a>>,
    /// Who sent it: a URI reference.
    pub source: Option<Str<'a>>,
    /// What kind of event it is.
    pub event_type: Option<Str<'a>>,
    /// When it happened, RFC 3339.
    pub time: Option<Str<'a>>,
    /// The media type of the data; JSON where absent.
    pub datacontenttype: Option<Str<'a>>,
    /// The schema of the data, a URI.
    pub dataschema: Option<Str<'a>>,
    /// What it is about, for the source.
    pub subject: Option<Str<'a>>,
    /// The data.
    pub data: Option<D>,
    /// The data's bytes instead.
    pub data_base64: Option<Str<'a>>,
}

/// An interaction event whose envelope is in order.
#[derive(Clone, Debug)]
pub struct InteractionEvent<'a> {
    /// Who sent it. Not empty.
    pub source: Str<'a>,
    /// Which of the source's events it is. Not empty.
    pub id: Str<'a>,
    /// When it happened, by the channel's clock.
    pub time: Time,
    /// When it was sent, by the same clock.
    pub sent_at: Option<Time>,
    /// What happened.
    pub data: InteractionData<'a>,
}

impl<D> Default for CloudEvent<'_, D> {
    fn default() -> Self {
        Self {
            specversion: None,
            id: None,
            source: None,
            event_type: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            subject: None,
            data: None,
            data_base64: None,
        }
    }
}

/// The value of an extension attribute: text, a whole number or a truth value; anything else is against the specification.
struct Extension;

struct ExtensionVisitor;

impl Visitor<'_> for ExtensionVisitor {
    type Value = Extension;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Extension, E> {
        Ok(Extension)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Extension, E> {
        Ok(Extension)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Extension, E> {
        Ok(Extension)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Extension, E> {
        i64::try_from(number).map(|_| Extension).map_err(|_| E::custom("out of range"))
    }

    fn visit_unit<E: Error>(self) -> Result<Extension, E> {
        Ok(Extension)
    }
}

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExtensionVisitor)
    }
}

struct EventVisitor<D>(PhantomData<D>);

/// Fills a slot once.
fn fill<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    slot: &mut Option<T>,
    name: &'static str,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = map.next_value()?;
    Ok(())
}

impl<'de, D: Deserialize<'de>> Visitor<'de> for EventVisitor<D> {
    type Value = CloudEvent<'de, D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvents event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event = CloudEvent::default();
        while let Some(name) = map.next_key::<Str<'de>>()? {
            match name.as_str() {
                "specversion" => fill(&mut map, &mut event.specversion, "specversion")?,
                "id" => fill(&mut map, &mut event.id, "id")?,
                "source" => fill(&mut map, &mut event.source, "source")?,
                "type" => fill(&mut map, &mut event.event_type, "type")?,
                "time" => fill(&mut map, &mut event.time, "time")?,
                "datacontenttype" => fill(&mut map, &mut event.datacontenttype, "datacontenttype")?,
                "dataschema" => fill(&mut map, &mut event.dataschema, "dataschema")?,
                "subject" => fill(&mut map, &mut event.subject, "subject")?,
                "data" => fill(&mut map, &mut event.data, "data")?,
                "data_base64" => fill(&mut map, &mut event.data_base64, "data_base64")?,
                _ => {
                    map.next_value::<Extension>()?;
                }
            }
        }
        Ok(event)
    }
}

impl<'de: 'a, 'a, D: Deserialize<'de>> Deserialize<'de> for CloudEvent<'a, D> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        deserializer.deserialize_map(EventVisitor(PhantomData))
    }
}

/// Reads an interaction event. `decoded` is scratch space for the bytes of `data_base64`, which the event then borrows.
///
/// # Errors
/// The first thing that is wrong: with the bytes, the JSON, the envelope, the data, in this order.
pub fn read<'a>(bytes: &'a [u8], decoded: &'a mut Vec<u8>) -> Result<InteractionEvent<'a>, Fault> {
    // One check of all bytes is cheaper than one of each text.
    let text = std::str::from_utf8(bytes).map_err(|error| diagnosis::not_utf8("", error))?;
    let event: CloudEvent<'a, Object<InteractionData<'a>>> =
        serde_json::from_str(text).map_err(|error| diagnosis::event(bytes, &error))?;
    checked_envelope(&event)?;
    checked_type(event.event_type.as_ref().map(Str::as_str))?;
    interaction(event, |data, base64| match (data, base64) {
        (Some(Object(data)), None) => Ok(data),
        (None, Some(base64)) => {
            decode_base64(&base64, decoded)?;
            let bytes: &'a [u8] = decoded;
            let data = serde_json::from_slice::<Object<_>>(bytes);
            data.map(|data| data.0).map_err(|error| diagnosis::data(bytes, "data_base64", &error))
        }
        (Some(_), Some(_)) => Err(diagnosis::both_data()),
        (None, None) => Err(diagnosis::missing("data")),
    })
}

/// The interaction of an envelope that was checked; `read_data` makes its data of those in the envelope.
pub(super) fn interaction<'a, D>(
    event: CloudEvent<'a, D>,
    read_data: impl FnOnce(Option<D>, Option<Str<'a>>) -> Result<InteractionData<'a>, Fault>,
) -> Result<InteractionEvent<'a>, Fault> {
    let time = event_time(event.time.as_ref(), "time")?.ok_or_else(|| diagnosis::missing("time"))?;
    let data = read_data(event.data, event.data_base64)?;
    Ok(InteractionEvent {
        source: event.source.unwrap_or_default(),
        id: event.id.unwrap_or_default(),
        time,
        sent_at: event_time(data.sent_at.as_ref(), "data.sent_at")?,
        data,
    })
}

/// Reads any CloudEvents 1.0 event in structured JSON and leaves its data alone.
///
/// # Errors
/// The first thing that is wrong with the bytes, the JSON or the envelope.
pub fn read_envelope(bytes: &[u8]) -> Result<CloudEvent<'_, IgnoredAny>, Fault> {
    let event = serde_json::from_slice(bytes).map_err(|error| diagnosis::envelope(bytes, &error))?;
    checked_envelope(&event)?;
    event_time(event.time.as_ref(), "time")?;
    match (&event.data, &event.data_base64) {
        (Some(_), Some(_)) => Err(diagnosis::both_data()),
        (None, Some(base64)) => decode_base64(base64, &mut Vec::new()).map(|()| event),
        (_, None) => Ok(event),
    }
}

fn event_time(text: Option<&Str<'_>>, path: &'static str) -> Result<Option<Time>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let found = time(text.as_str()).ok_or_else(|| {
        Fault::new(path, code::BAD_TIME, "The time must be RFC 3339 with an offset, such as 2026-01-31T09:30:00Z.")
    })?;
    Ok(Some(found))
}

fn decode_base64(text: &Str<'_>, decoded: &mut Vec<u8>) -> Result<(), Fault> {
    decoded.clear();
    STANDARD
        .decode_vec(text.as_str(), decoded)
        .map_err(|_| Fault::new("data_base64", code::BAD_DATA_BASE64, "The bytes must be base64 (RFC 4648, padded)."))
}
