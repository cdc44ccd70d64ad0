//! Several events in one body: the JSON batch format, and lines. Cuts and counts, and leaves the events alone.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fault, code, diagnosis};

/// Cuts a body of `application/cloudevents-batch+json`, an array of structured events, into the bytes of each.
///
/// # Errors
/// One fault for the whole body, of which nothing is taken then: bytes that are no JSON array, or more than `most` events.
pub fn split_batch(bytes: &[u8], most: usize) -> Result<Vec<&[u8]>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| diagnosis::not_utf8("", error))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut batch = Batch { most, events: Vec::new(), is_full: false };
    let read = reader.deserialize_seq(&mut batch).and_then(|()| reader.end());
    match read {
        Ok(()) => Ok(batch.events),
        Err(_) if batch.is_full => {
            let message = format!("The batch has more than {most} events.");
            Err(Fault::new("", code::TOO_MANY_EVENTS, message))
        }
        Err(error) if error.is_data() => Err(Fault::new("", code::WRONG_TYPE, "A batch must be a JSON array.")),
        Err(error) => Err(diagnosis::invalid_json("", &error)),
    }
}

/// The lines of a body of `application/x-ndjson`, one event each, without their ends and without blank ones.
pub fn split_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| {
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        !is_blank
    })
}

/// What was cut off so far.
struct Batch<'de> {
    most: usize,
    events: Vec<&'de [u8]>,
    is_full: bool,
}

impl<'de> Visitor<'de> for &mut Batch<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(event) = list.next_element::<&'de RawValue>()? {
            if self.events.len() == self.most {
                self.is_full = true;
                return Err(A::Error::custom("too many"));
            }
            self.events.push(event.get().as_bytes());
        }
        Ok(())
    }
}
