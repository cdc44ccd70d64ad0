//! Conditions: what must be so for a score rule, a funnel stage or a nurture programme to take effect.

use lead_domain::Name;
use lead_domain::interaction::Scalar;
use lead_domain::policy::condition::{Condition, Field, FieldTest, Frequency, SEALED_MARK, Sealed, SealedTest};
use toml::Value;

use super::scoring::window;
use super::section::Section;
use super::words;

/// The most values that a test compares with.
const VALUES_MAX: usize = 1_000;

/// Who asks: each place has its own tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    ScoringRule,
    FunnelStage,
    Nurture,
    Consent,
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

/// A condition whose keys stand among those of the section itself.
pub(super) fn inline(section: &mut Section<'_>, place: Place) -> Condition {
    let found = test(section, place);
    if !found.tests_interaction() {
        section.fault("action", "missing", "is missing: say which interaction is meant");
    }
    found
}

fn condition(section: &mut Section<'_>, place: Place) -> Condition {
    let mut found = test(section, place);
    if matches!(place, Place::FunnelStage | Place::Nurture) {
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
            about_interaction(section, &mut found);
            found.frequency = frequency(section);
        }
        Place::FunnelStage => {
            about_interaction(section, &mut found);
            found.returning_customer = section.boolean("returning_customer");
        }
        Place::Nurture => {
            about_interaction(section, &mut found);
            found.returning_customer = section.boolean("returning_customer");
            found.stage = section.filled_name("stage");
            found.temperature = section.word("temperature", words::TEMPERATURE);
            found.closed = section.boolean("closed");
        }
        Place::Consent => about_interaction(section, &mut found),
    }
    if found.action.is_some() && found.action_prefix.is_some() {
        section.fault("action_prefix", "bad_condition", "can't stand beside action: one of them is enough");
    }
    found
}

/// What a condition asks about the interaction itself.
fn about_interaction(section: &mut Section<'_>, found: &mut Condition) {
    found.attributes = section.free("attributes", attribute_equals);
    if found.attributes.iter().any(|(name, _)| name.starts_with(SEALED_MARK)) {
        section.fault("attributes", "bad_name", "names must not begin with \"?\"");
    }
    for field in Field::ALL {
        let values = values(section, field.key());
        if !values.is_empty() {
            found.fields.push(FieldTest { field, values });
        }
    }
    found.min_price = section.integer("min_price", 1, i64::MAX);
    found.min_value = section.integer("min_value", 1, i64::MAX);
    found.known = section.texts("known").into_iter().filter_map(|kind| known(section, kind)).collect();
    let domains = values(section, "email_domain_in");
    found.sealed.extend((!domains.is_empty()).then(|| Sealed::from(SealedTest::EmailDomainIn(lower(domains)))));
    let domains = values(section, "email_domain_not_in");
    found.sealed.extend((!domains.is_empty()).then(|| Sealed::from(SealedTest::EmailDomainNotIn(lower(domains)))));
    let pages = values(section, "page_prefix");
    found.sealed.extend((!pages.is_empty()).then(|| Sealed::from(SealedTest::PagePrefix(pages))));
}

/// E-mail addresses are compared in lower case.
pub(super) fn lower(names: Vec<Name>) -> Vec<Name> {
    names.into_iter().map(|name| Name::from(name.to_lowercase())).collect()
}

/// One text, or a list of them.
pub(super) fn values(section: &mut Section<'_>, key: &'static str) -> Vec<Name> {
    let values = section.text_or_texts(key);
    if values.len() > VALUES_MAX {
        section.fault(key, "too_many", &format!("has {} entries; {VALUES_MAX} are allowed", values.len()));
    }
    values.into_iter().map(Name::new).collect()
}

fn known(section: &Section<'_>, word: &str) -> Option<lead_domain::IdentifierKind> {
    let kinds = lead_domain::IdentifierKind::STRONGEST_FIRST;
    let found = kinds.into_iter().find(|kind| kind.name() == word);
    if found.is_none() {
        section.fault("known", "bad_word", "must name customer_id, email, phone or visitor_id");
    }
    found
}

fn check_some(section: &Section<'_>, found: &Condition) {
    let asked = section.asks_anything();
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
    let within = window(section)?;
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
