//! The interaction contract: a CloudEvents 1.0 event with `type` = `leadfold.interaction.v1`, in structured JSON, in
//! binary mode, or several of them in one body.
//!
//! Reads bytes into borrowed structures in one pass and says in one [`Fault`] what is wrong with bytes that are no such
//! event. Knows no tenant's rules, no limits of size and no normalisation, and never repeats a value that was sent: a
//! fault names the field and what would be right.

mod batch;
mod binary;
pub mod code;
mod data;
mod diagnosis;
mod envelope;
mod kept;
mod object;
mod repeated;
mod schema;
mod text;

pub use batch::{split_batch, split_lines};
pub use binary::BinaryEvent;
pub use data::{Amount, Campaign, Contact, Conversion, Device, InteractionData, Page, Product};
pub use diagnosis::shown;
pub(crate) use diagnosis::{invalid_json, not_utf8};
pub use envelope::{CloudEvent, InteractionEvent, read, read_envelope};
pub use kept::{Misplaced, Unread};
pub use lead_domain::policy::Fault;
pub use schema::interaction_schema;
pub use text::{Attributes, Scalar, Str};

/// The `type` of the events of this contract.
pub const EVENT_TYPE: &str = "leadfold.interaction.v1";

/// The time of an RFC 3339 text, to the millisecond; `None` where it is none.
#[must_use]
pub fn time(text: &str) -> Option<lead_domain::Time> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(lead_domain::Time::from_millis(parsed.timestamp_millis()))
}

/// The currency of an ISO 4217 code in upper case; `None` where the list has no such code.
#[must_use]
pub fn currency(code: &str) -> Option<lead_domain::Currency> {
    iso_currency::Currency::from_code(code)?;
    lead_domain::Currency::new(code)
}

/// How many digits the minor unit of a currency has: 2 for `EUR`. `None` where there is no such code or no such unit.
#[must_use]
pub fn minor_digits(code: &str) -> Option<u32> {
    iso_currency::Currency::from_code(code)?.exponent().map(u32::from)
}
