//! What an event may measure. What breaks a limit is quarantined with its own code.

use lead_domain::{Period, Time};
use proto_events::cloud_event::{Fault, InteractionEvent, Scalar, code, shown};

use crate::content::{TextField, texts};

/// So much of a rejected input is kept; a longer one is kept with its beginning.
pub const KEPT_BYTES_MAX: usize = 1 << 20;

/// The limits of an event. Lengths of texts are in characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an event: 65,536.
    pub event_bytes_max: usize,
    /// Free attributes: 64.
    pub attributes_max: usize,
    /// Characters of a text: 256.
    pub text_characters_max: usize,
    /// Characters of `page.url`, `page.referrer` and `device.user_agent`: 2,048.
    pub address_characters_max: usize,
    /// How far an event's time may lie ahead of its reception: five minutes.
    pub ahead_max: Period,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            event_bytes_max: 64 << 10,
            attributes_max: 64,
            text_characters_max: 256,
            address_characters_max: 2_048,
            ahead_max: Period::from_seconds(300),
        }
    }
}

impl Limits {
    /// Checks the size of an event; `bytes` is its whole length.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Fault> {
        if bytes <= self.event_bytes_max {
            return Ok(());
        }
        let message = format!("The event has {bytes} bytes; at most {} are allowed.", self.event_bytes_max);
        Err(Fault::new("", code::EVENT_TOO_LARGE, message))
    }

    /// Checks every text and the number of attributes.
    pub(crate) fn check_texts(&self, event: &InteractionEvent<'_>) -> Result<(), Fault> {
        self.check_text("source", event.source.as_str(), self.text_characters_max)?;
        self.check_text("id", event.id.as_str(), self.text_characters_max)?;
        if let Some(tenant) = &event.data.tenant {
            self.check_text("data.tenant", tenant.as_str(), self.text_characters_max)?;
        }
        for TextField { path, value, long, .. } in texts(&event.data) {
            let most = if long { self.address_characters_max } else { self.text_characters_max };
            value.map_or(Ok(()), |value| self.check_text(path, value.as_str(), most))?;
        }
        self.check_attributes(event)
    }

    fn check_attributes(&self, event: &InteractionEvent<'_>) -> Result<(), Fault> {
        let attributes = &event.data.attributes.0;
        if attributes.len() > self.attributes_max {
            let message =
                format!("The event has {} attributes; at most {} are allowed.", attributes.len(), self.attributes_max);
            return Err(Fault::new("data.attributes", code::TOO_MANY_ATTRIBUTES, message));
        }
        for (name, value) in attributes {
            if name.trimmed().is_none() {
                return Err(Fault::new("data.attributes", code::MISSING_FIELD, "An attribute needs a name."));
            }
            self.check_text("data.attributes", name.as_str(), self.text_characters_max)?;
            let checked = match value {
                Scalar::Text(text) => self.check_text("data.attributes", text.as_str(), self.text_characters_max),
                Scalar::Decimal(number) => self.check_text("data.attributes", number, self.text_characters_max),
                Scalar::Null | Scalar::Bool(_) | Scalar::Integer(_) => Ok(()),
            };
            checked.map_err(|fault| Fault { path: format!("data.attributes.{}", shown(name.as_str())), ..fault })?;
        }
        Ok(())
    }

    /// Checks that a time is not too far ahead.
    pub(crate) fn check_time(&self, occurred_at: Time, received_at: Time) -> Result<(), Fault> {
        if occurred_at <= received_at.after(self.ahead_max) {
            return Ok(());
        }
        let message = format!("The time lies more than {} ahead of the clock here.", self.ahead_max);
        Err(Fault::new("time", code::TIME_AHEAD, message))
    }

    fn check_text(&self, path: &str, text: &str, characters_max: usize) -> Result<(), Fault> {
        // Counting characters is slow, and a text never has more of them than bytes.
        if text.len() > characters_max {
            let characters = text.chars().count();
            if characters > characters_max {
                let message = format!("The text has {characters} characters; at most {characters_max} are allowed.");
                return Err(Fault::new(path, code::STRING_TOO_LONG, message));
            }
        }
        // Without leaving early the loop is vectorised.
        if text.bytes().fold(false, |found, byte| found | is_forbidden(byte)) {
            let message = "The text must not hold control characters other than tabs and line ends.";
            return Err(Fault::new(path, code::CONTROL_CHARACTER, message));
        }
        Ok(())
    }
}

const fn is_forbidden(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r') || byte == 0x7f
}
