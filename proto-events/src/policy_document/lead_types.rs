//! Lead types, skills and channels. Their rules are the domain's; only what the domain's types can't hold is checked here.

use lead_domain::Period;
use lead_domain::interaction::Scalar;
use lead_domain::policy::{ConversionRule, EntryPoint, LeadType};

use super::condition::attribute_equals;
use super::section::Section;
use super::words;

pub(super) fn lead_types(root: &mut Section<'_>) -> Vec<LeadType> {
    root.sections("lead_type", |section| {
        let name = section.required_name("name");
        LeadType {
            title: section.name("title").unwrap_or_else(|| name.clone()),
            name,
            group: section.name("group"),
            labels: section.names("labels"),
            active: section.boolean("active").unwrap_or(true),
            // The domain's check must not report a period that could not be read once more.
            close_after: section.required_period("close_after").unwrap_or(Period::from_days(1)),
            counted_from: section.word("counted_from", words::COUNTED_FROM).unwrap_or_default(),
            converts_on: section.sections("converts_on", conversion_rule),
        }
    })
}

fn conversion_rule(section: &mut Section<'_>) -> ConversionRule {
    let action = section.required_name("action");
    let min_value = section.integer("min_value", 0, i64::MAX);
    let mut attributes: Vec<(lead_domain::Name, Scalar)> = section.free("attributes", attribute_equals);
    attributes.sort();
    ConversionRule { action, min_value, attributes }
}

pub(super) fn entry_points(root: &mut Section<'_>, list: &'static str) -> Vec<EntryPoint> {
    root.sections(list, |section| {
        let name = section.required_name("name");
        EntryPoint {
            title: section.name("title").unwrap_or_else(|| name.clone()),
            name,
            default_lead_type: section.name("default_lead_type"),
            also_allowed: section.names("also_allowed"),
            pick: section.word("pick", words::PICK).unwrap_or_default(),
        }
    })
}
