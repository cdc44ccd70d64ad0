//! Reads a policy document: the TOML in which people write everything that they configure for one tenant.
//!
//! Finds all faults at once, each with its path, such as `lead_type[1].close_after`. What decisions depend on becomes a
//! [`lead_domain::Policy`]. Knows no files.

mod bots;
mod condition;
mod engagement;
mod lead_types;
mod nurture;
mod scoring;
mod section;
mod words;

use std::cell::RefCell;

pub use lead_domain::policy::Fault;
use lead_domain::{Currency, Name, Period, Policy};
use section::Section;
pub use words::period;

/// The longest document: a policy of many thousand rules is a mistake.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The most blocked identifiers.
pub const BLOCKED_IDENTIFIERS_MAX: usize = 10_000;
/// How far ticks trail the clock where the document doesn't say.
pub const LATENESS_DEFAULT: Period = Period::from_seconds(60);

/// The shortest retention: whoever is quiet overnight has not left.
pub const ERASE_AFTER_MIN: Period = Period::from_days(1);

/// A policy document without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    /// What decisions depend on.
    pub policy: Policy,
    /// The IANA zone of reports.
    pub time_zone: String,
    /// ISO 3166 region of phone numbers without a country code.
    pub phone_region: String,
    /// Identifiers that never match anybody.
    pub blocked_identifiers: Vec<String>,
    /// After how long without an interaction a visitor without an open lead is erased; never where absent.
    pub erase_after: Option<Period>,
}

/// Reads a document. `previous` is the tenant's policy in force, whose lead types must stay.
///
/// # Errors
/// Every fault of the document.
pub fn read(text: &str, previous: Option<&Policy>) -> Result<PolicyDocument, Vec<Fault>> {
    let table = parse(text).map_err(|fault| vec![fault])?;
    let faults = RefCell::new(Vec::new());
    let mut root = Section::root(&table, &faults);
    let document = read_document(&mut root);
    root.finish();
    let mut faults = faults.into_inner();
    match document.policy.clone().checked(previous) {
        Ok(policy) if faults.is_empty() => Ok(PolicyDocument { policy, ..document }),
        Ok(_) => Err(faults),
        Err(broken) => {
            let further: Vec<Fault> = broken.into_iter().filter(|fault| !is_named(fault, &faults)).collect();
            faults.extend(further);
            Err(faults)
        }
    }
}

fn parse(text: &str) -> Result<toml::Table, Fault> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("has {} bytes; {DOCUMENT_BYTES_MAX} are allowed", text.len());
        return Err(Fault::new("", "too_large", message));
    }
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Fault::new("", "syntax", format!("line {line}, column {column}: {}", error.message()))
    })
}

/// Whether a fault repeats one about the same place or about something that it is part of.
fn is_named(fault: &Fault, known: &[Fault]) -> bool {
    known.iter().any(|known| {
        fault.path.strip_prefix(&known.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// Everything in the document; a place with a fault holds something harmless instead.
fn read_document(root: &mut Section<'_>) -> PolicyDocument {
    let mut scoring = scoring::scoring(root);
    scoring.temperature = engagement::thresholds(root);
    scoring.stages = engagement::funnel(root);
    scoring.bot_rules = bots::bot_rules(root, &scoring);
    let policy = Policy {
        tenant: root.required_name("tenant"),
        currency: currency(root),
        lateness: root.period("lateness").unwrap_or(LATENESS_DEFAULT),
        customer_id_match: root.word("customer_id_match", words::CUSTOMER_ID_MATCH).unwrap_or_default(),
        close_reasons: root.names("close_reasons"),
        lead_types: lead_types::lead_types(root),
        skills: lead_types::entry_points(root, "skill"),
        channels: lead_types::entry_points(root, "channel"),
        nurture: nurture::nurturing(root, &scoring.stages),
        scoring,
        version: 0,
    };
    PolicyDocument {
        policy,
        time_zone: checked_text(root, "time_zone", "bad_time_zone", |zone| zone.parse::<chrono_tz::Tz>().is_ok()),
        phone_region: checked_text(root, "phone_region", "bad_region", |region| {
            region.parse::<phonenumber::country::Id>().is_ok()
        }),
        blocked_identifiers: blocked_identifiers(root),
        erase_after: root.section("retention", erase_after).flatten(),
    }
}

/// A table that is there must say how long.
fn erase_after(section: &mut Section<'_>) -> Option<Period> {
    let found = section.required_period("erase_after")?;
    if found < ERASE_AFTER_MIN {
        section.fault("erase_after", "out_of_range", "must be at least \"1d\"");
        return None;
    }
    Some(found)
}

fn currency(root: &mut Section<'_>) -> Currency {
    let code = checked_text(root, "currency", "bad_currency", |code| crate::cloud_event::currency(code).is_some());
    // The placeholder goes no further: a currency that can't be read is a fault.
    Currency::new(&code).or_else(|| Currency::new("XXX")).unwrap_or_else(|| unreachable!("XXX is a code"))
}

/// A required text from a public list.
fn checked_text(root: &mut Section<'_>, key: &'static str, code: &'static str, good: fn(&str) -> bool) -> String {
    let text = root.required_text(key).unwrap_or_default();
    if !text.is_empty() && !good(text) {
        let message = match code {
            "bad_currency" => "is no ISO 4217 code in upper case, such as \"EUR\"",
            "bad_time_zone" => "is no IANA time zone, such as \"Europe/Berlin\"",
            _ => "is no ISO 3166 region in upper case, such as \"DE\"",
        };
        root.fault(key, code, message);
    }
    text.to_owned()
}

fn blocked_identifiers(root: &mut Section<'_>) -> Vec<String> {
    let values: Vec<String> = root.texts("blocked_identifiers").into_iter().map(str::to_owned).collect();
    if values.len() > BLOCKED_IDENTIFIERS_MAX {
        let message = format!("has {} entries; {BLOCKED_IDENTIFIERS_MAX} are allowed", values.len());
        root.fault("blocked_identifiers", "too_many", &message);
    }
    values
}

/// Reports names that repeat among the tables of a list.
fn check_unique<'a>(root: &Section<'_>, list: &str, names: impl Iterator<Item = &'a Name>) {
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !name.is_empty() && !seen.insert(name) {
            root.fault(&format!("{list}[{index}].name"), "repeated", &format!("\"{name}\" is there twice"));
        }
    }
}
