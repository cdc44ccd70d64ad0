//! Conditions: what must be so for a score rule, a funnel stage or a nurture programme to take effect.

use lead_domain::interaction::Scalar;
use lead_domain::{Name, Period};
use toml::Value;

use super::section::Section;
use super::words;

/// How warm a lead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Temperature {
    /// Below the lower threshold.
    Cold,
    /// Above it.
    Warm,
    /// Above the upper threshold.
    Hot,
}

/// An attribute that must have exactly this value.
pub type AttributeTest = (Name, Scalar);

/// How much must have happened lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    /// At least so many interactions that fit.
    pub at_least: Option<u32>,
    /// At least so much was spent, in minor units.
    pub total_value_at_least: Option<i64>,
    /// In the time before the interaction.
    pub within: Period,
}

/// All tests that are there must hold; of `any`, one condition is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The action, exactly.
    pub action: Option<Name>,
    /// What the action begins with.
    pub action_prefix: Option<Name>,
    /// Attributes and their values.
    pub attributes: Vec<AttributeTest>,
    /// What must have happened lately.
    pub frequency: Option<Frequency>,
    /// The e-mail address has a domain, and it is none of these.
    pub email_domain_not_in: Vec<Name>,
    /// The visitor has converted before.
    pub returning_customer: Option<bool>,
    /// The lead has become this.
    pub temperature: Option<Temperature>,
    /// The lead is closed.
    pub closed: Option<bool>,
    /// One of these holds.
    pub any: Vec<Condition>,
}

/// Who asks: each place has its own tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    ScoringRule,
    FunnelStage,
    Nurture,
}

/// A condition that must be there.
pub(super) fn required(section: &mut Section<'_>, key: &'static str, place: Place) -> Condition {
    if !section.has(key) {
        section.fault(key, "missing", "is missing");
    }
    optional(section, key, place).unwrap_or_default()
}

/// A condition, if it is there.
pub(super) fn optional(section: &mut Section<'_>, key: &'static str, place: Place) -> Option<Condition> {
    section.section(key, |section| condition(section, place))
}

fn condition(section: &mut Section<'_>, place: Place) -> Condition {
    let mut found = test(section, place);
    if place != Place::ScoringRule {
        found.any = section.sections("any", |section| {
            let found = test(section, place);
            check_some(section, &found);
            found
        });
    }
    check_some(section, &found);
    found
}

fn test(section: &mut Section<'_>, place: Place) -> Condition {
    let mut found = Condition {
        action: section.filled_name("action"),
        action_prefix: section.filled_name("action_prefix"),
        ..Condition::default()
    };
    match place {
        Place::ScoringRule => {
            found.attributes = section.free("attributes", attribute_equals);
            found.email_domain_not_in = section.names("email_domain_not_in");
            found.frequency = frequency(section);
        }
        Place::FunnelStage => found.returning_customer = section.boolean("returning_customer"),
        Place::Nurture => {
            found.temperature = section.word("temperature", words::TEMPERATURE);
            found.closed = section.boolean("closed");
        }
    }
    if found.action.is_some() && found.action_prefix.is_some() {
        section.fault("action_prefix", "bad_condition", "can't stand beside action: one of them is enough");
    }
    found
}

fn check_some(section: &Section<'_>, found: &Condition) {
    let keys = ["action", "action_prefix", "attributes", "email_domain_not_in", "at_least", "total_value_at_least"];
    let more = ["within", "returning_customer", "temperature", "closed", "any"];
    let asked = keys.iter().chain(&more).any(|key| section.has(key));
    if !asked && *found == Condition::default() {
        section.fault("", "bad_condition", "tests nothing");
    }
}

fn frequency(section: &mut Section<'_>) -> Option<Frequency> {
    let at_least = section.integer("at_least", 1, 1_000_000).and_then(|number| u32::try_from(number).ok());
    let total_value_at_least = section.integer("total_value_at_least", 1, i64::MAX);
    let counts = section.has("at_least") || section.has("total_value_at_least");
    if counts && !section.has("within") {
        section.fault("within", "missing", "is missing: at_least and total_value_at_least need the time to look back");
    }
    if !counts && section.has("within") {
        section.fault("within", "bad_condition", "needs at_least or total_value_at_least beside it");
    }
    let within = section.positive_period("within")?;
    Some(Frequency { at_least, total_value_at_least, within })
}

/// The value of `{ equals = … }`.
pub(super) fn attribute_equals<'t>(section: &Section<'t>, path: &str, value: &'t Value) -> Option<Scalar> {
    let right = "must be { equals = … } with text, a whole number, true or false";
    let equals = value.as_table().filter(|table| table.len() == 1).and_then(|table| table.get("equals"));
    let scalar = match equals {
        Some(Value::String(text)) => Some(Scalar::Text(Name::new(text))),
        Some(Value::Integer(number)) => Some(Scalar::Integer(*number)),
        Some(Value::Boolean(value)) => Some(Scalar::Bool(*value)),
        Some(Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_)) | None => None,
    };
    if scalar.is_none() {
        section.fault(path, "wrong_type", right);
    }
    scalar
}
