//! A message on its way to an event, with the first thing that is wrong with it.

use chrono::NaiveDateTime;
use lead_domain::{Currency, Time};
use proto_events::cloud_event::{self, Fault, InteractionData, InteractionEvent, Misplaced, Scalar, Str, Unread, code};
use proto_events::raw_object::RawObject;

use super::Call;
use super::section::{Field, Section};

/// Where a field stands in the event.
pub(super) type Place = &'static [&'static str];

/// An event, as far as it could be made.
pub(crate) struct Draft<'a> {
    pub(crate) event: InteractionEvent<'a>,
    /// Whether the message says when it happened.
    pub(crate) is_timed: bool,
    /// The call, where the message names one.
    pub(crate) call: Option<Call>,
    /// The currency of amounts that name none.
    pub(super) currency: Option<Currency>,
    fault: Option<Fault>,
    /// What could not become a part of the event, and stays in its kept form where it would stand.
    misplaced: Vec<Misplaced<'a>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(currency: Option<Currency>, received_at: Time) -> Self {
        let event = InteractionEvent {
            source: Str::from("segment"),
            id: Str::default(),
            time: received_at,
            sent_at: None,
            data: InteractionData::default(),
        };
        Self { event, is_timed: false, call: None, currency, fault: None, misplaced: Vec::new() }
    }

    /// The first fault of the message, once.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// The event in structured JSON, to be repaired.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        self.event.to_json_with(&self.misplaced)
    }

    /// What makes a second rejection of the same message a duplicate: everything but the times that change when it is
    /// sent again.
    pub(crate) fn rejection_key(&self) -> Vec<u8> {
        let time = if self.is_timed { self.event.time } else { Time::default() };
        let data = InteractionData { sent_at: None, ..self.event.data.clone() };
        InteractionEvent { time, data, ..self.event.clone() }.to_json_with(&self.misplaced)
    }

    /// A fault with what the message does not have.
    pub(super) fn missing(&mut self, path: &str, message: &str) {
        self.fault.get_or_insert_with(|| Fault::new(path, code::MISSING_FIELD, message));
    }

    /// A fault with a field; its value is kept.
    pub(super) fn misplace(&mut self, field: &Field<'a>, place: Place, code: &'static str, message: &str) {
        self.fault.get_or_insert_with(|| Fault::new(field.path(), code, message));
        self.misplaced.push(Misplaced { place, value: Unread::Json(field.json) });
    }

    /// A fault with a field that is kept as text: a number of another unit must not be taken for one of the event's.
    pub(super) fn misplace_as_text(&mut self, field: &Field<'a>, place: Place, code: &'static str, message: &str) {
        self.fault.get_or_insert_with(|| Fault::new(field.path(), code, message));
        self.keep_text(field, place);
    }

    /// Keeps a field beside the one that has the fault.
    pub(super) fn keep_text(&mut self, field: &Field<'a>, place: Place) {
        let text = match Scalar::from_json(field.json) {
            Some(Scalar::Text(text)) => text,
            Some(Scalar::Null | Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Decimal(_)) | None => {
                Str::from(field.json)
            }
        };
        self.misplaced.push(Misplaced { place, value: Unread::Text(text) });
    }

    /// The fields of an object; none where it is absent or something else, which is a fault. `place` is where an event
    /// has an object too, or one below a text, so that what is kept there can't pass for repaired.
    pub(super) fn section(
        &mut self,
        parent: &Section<'a>,
        name: &str,
        prefix: &'static str,
        place: Place,
    ) -> Result<Section<'a>, Fault> {
        let Some(field) = parent.get(&[name]) else { return Ok(Section::default()) };
        match RawObject::from_json(field.json) {
            Some(object) => Section::new(object, prefix),
            None => {
                self.misplace(field, place, code::WRONG_TYPE, "The field must be an object.");
                Ok(Section::default())
            }
        }
    }

    /// The text of the first of these fields that is there, or a number or truth value as it is written; `None` where it
    /// is absent, empty or something else, which is a fault.
    pub(super) fn text(
        &mut self,
        section: &Section<'a>,
        names: &[&str],
        place: Place,
    ) -> Result<Option<Str<'a>>, Fault> {
        let Some(field) = section.get(names) else { return Ok(None) };
        match scalar(field)? {
            Some(Scalar::Null) => Ok(None),
            Some(Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Decimal(_)) => Ok(Some(Str::from(field.json))),
            Some(Scalar::Text(text)) => Ok(text.trimmed().is_some().then_some(text)),
            None => {
                self.misplace(field, place, code::WRONG_TYPE, "The field must be text.");
                Ok(None)
            }
        }
    }

    /// The time in a field; `None` where it is absent or faulty.
    pub(super) fn time(&mut self, section: &Section<'a>, name: &str, place: Place) -> Result<Option<Time>, Fault> {
        let Some(text) = self.text(section, &[name], place)? else { return Ok(None) };
        let time = time(text.as_str().trim());
        if let (None, Some(field)) = (time, section.get(&[name])) {
            let message = "The time must be ISO 8601, such as 2026-01-31T09:30:00Z.";
            self.misplace(field, place, code::BAD_TIME, message);
        }
        Ok(time)
    }
}

/// The scalar in a field; `None` where it is an object or an array.
pub(super) fn scalar<'a>(field: &Field<'a>) -> Result<Option<Scalar<'a>>, Fault> {
    match Scalar::from_json(field.json) {
        None if field.json.starts_with('"') => {
            Err(Fault::new(field.path(), code::WRONG_TYPE, "The text must be UTF-8 without halves of characters."))
        }
        scalar => Ok(scalar),
    }
}

/// A time as SDKs write it; without an offset it is UTC, as it is for Segment.
fn time(text: &str) -> Option<Time> {
    let utc = |text| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let utc = |text| utc(text).map(|time| Time::from_millis(time.and_utc().timestamp_millis()));
    cloud_event::time(text).or_else(|| utc(text))
}
