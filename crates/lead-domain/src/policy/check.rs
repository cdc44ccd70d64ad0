//! The rules that a policy must keep, all faults found in one pass. Does not know the document's syntax.

use std::collections::BTreeSet;

use super::{EntryPoint, LeadType, Policy};
use crate::Name;
use crate::time::Period;

/// The longest period that a lead may stay open.
pub(super) const CLOSE_AFTER_MAX: Period = Period::from_days(3_660);
/// The longest a live feed may wait for late interactions.
pub(super) const LATENESS_MAX: Period = Period::from_days(7);
/// The most lead types, skills, channels or close reasons of one tenant: each is looked at when a policy is adopted.
pub(super) const LIST_LENGTH_MAX: usize = 1_000;

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where, such as `lead_type[2].close_after`; empty for the document as a whole.
    pub path: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong and what would be right, for people.
    pub message: String,
}

impl Fault {
    /// A fault at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.into(), code, message: message.into() }
    }
}

impl Policy {
    /// The policy with its lists sorted, or everything that is wrong with it.
    ///
    /// `previous` is the version in force: its lead types may be deactivated but not left out.
    ///
    /// # Errors
    /// Every broken rule, in document order.
    pub fn checked(mut self, previous: Option<&Self>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        check_document(&self, &mut faults);
        for (index, lead_type) in self.lead_types.iter().enumerate() {
            check_lead_type(lead_type, &format!("lead_type[{index}]"), &mut faults);
        }
        check_entry_points(&self.skills, "skill", &self, &mut faults);
        check_entry_points(&self.channels, "channel", &self, &mut faults);
        check_kept(&self, previous, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        self.lead_types.sort_by(|a, b| a.name.cmp(&b.name));
        self.skills.sort_by(|a, b| a.name.cmp(&b.name));
        self.channels.sort_by(|a, b| a.name.cmp(&b.name));
        self.scoring = self.scoring.compile();
        Ok(self)
    }
}

fn check_document(policy: &Policy, faults: &mut Vec<Fault>) {
    check_name(&policy.tenant, "tenant", faults);
    if policy.lateness > LATENESS_MAX {
        faults.push(Fault::new("lateness", "out_of_range", format!("is longer than {LATENESS_MAX}")));
    }
    if policy.lead_types.is_empty() {
        faults.push(Fault::new("lead_type", "missing", "at least one [[lead_type]] is needed"));
    }
    check_list("lead_type", policy.lead_types.iter().map(|lead_type| &lead_type.name), faults);
    check_list("skill", policy.skills.iter().map(|point| &point.name), faults);
    check_list("channel", policy.channels.iter().map(|point| &point.name), faults);
    check_list("close_reasons", policy.close_reasons.iter(), faults);
}

/// A list's length, and names that repeat in it.
fn check_list<'a>(list: &str, names: impl Iterator<Item = &'a Name>, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    let mut length = 0;
    for (index, name) in names.enumerate() {
        length = index + 1;
        if !seen.insert(name) {
            let path =
                if list == "close_reasons" { format!("{list}[{index}]") } else { format!("{list}[{index}].name") };
            faults.push(Fault::new(path, "repeated", format!("\"{name}\" is there twice")));
        }
    }
    if length > LIST_LENGTH_MAX {
        faults.push(Fault::new(list, "too_many", format!("has {length} entries; {LIST_LENGTH_MAX} are allowed")));
    }
}

/// Names become parts of subjects and addresses, so they keep to letters that need no quoting.
fn check_name(name: &Name, path: &str, faults: &mut Vec<Fault>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let message = "must be 1 to 64 of a-z, 0-9, - and _";
        faults.push(Fault::new(path, "bad_name", message));
    }
}

fn check_lead_type(lead_type: &LeadType, path: &str, faults: &mut Vec<Fault>) {
    check_name(&lead_type.name, &format!("{path}.name"), faults);
    if lead_type.close_after == Period::default() || lead_type.close_after > CLOSE_AFTER_MAX {
        let message = format!("must be more than 0 and at most {CLOSE_AFTER_MAX}");
        faults.push(Fault::new(format!("{path}.close_after"), "out_of_range", message));
    }
    for (index, rule) in lead_type.converts_on.iter().enumerate() {
        let rule_path = format!("{path}.converts_on[{index}]");
        if rule.action.trim().is_empty() {
            faults.push(Fault::new(format!("{rule_path}.action"), "missing", "names no action"));
        }
        if rule.min_value.is_some_and(|least| least < 0) {
            faults.push(Fault::new(format!("{rule_path}.min_value"), "out_of_range", "must not be negative"));
        }
    }
}

fn check_entry_points(points: &[EntryPoint], kind: &str, policy: &Policy, faults: &mut Vec<Fault>) {
    for (index, point) in points.iter().enumerate() {
        let path = format!("{kind}[{index}]");
        check_entry_name(&point.name, &format!("{path}.name"), faults);
        if let Some(name) = &point.default_lead_type {
            check_use(policy, name, &format!("{path}.default_lead_type"), faults);
        }
        for (place, name) in point.also_allowed.iter().enumerate() {
            let path = format!("{path}.also_allowed[{place}]");
            check_use(policy, name, &path, faults);
            if point.also_allowed.iter().take(place).any(|earlier| earlier == name) {
                faults.push(Fault::new(path, "repeated", format!("\"{name}\" is there twice")));
            }
        }
    }
}

/// Skills and channels bear the names that channels send, so they are held to a length only.
fn check_entry_name(name: &Name, path: &str, faults: &mut Vec<Fault>) {
    if name.trim().is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        faults.push(Fault::new(path, "bad_name", "must be 1 to 128 bytes without control characters"));
    }
}

/// A type that a skill or channel uses must exist and be active: one may be deactivated only while nothing uses it.
fn check_use(policy: &Policy, name: &Name, path: &str, faults: &mut Vec<Fault>) {
    match policy.lead_types.iter().find(|lead_type| lead_type.name == *name) {
        None => faults.push(Fault::new(path, "unknown_lead_type", format!("there is no lead type \"{name}\""))),
        Some(lead_type) if !lead_type.active => {
            let message = format!("lead type \"{name}\" is inactive; remove its uses before you deactivate it");
            faults.push(Fault::new(path, "inactive_lead_type", message));
        }
        Some(_) => {}
    }
}

fn check_kept(policy: &Policy, previous: Option<&Policy>, faults: &mut Vec<Fault>) {
    let Some(previous) = previous else { return };
    if previous.tenant != policy.tenant {
        let message = format!("is \"{}\", but the version in force is of \"{}\"", policy.tenant, previous.tenant);
        faults.push(Fault::new("tenant", "other_tenant", message));
    }
    for kept in &previous.lead_types {
        if !policy.lead_types.iter().any(|lead_type| lead_type.name == kept.name) {
            let message =
                format!("\"{}\" is missing; a lead type is deactivated (active = false), never deleted", kept.name);
            faults.push(Fault::new("lead_type", "deleted_lead_type", message));
        }
    }
}
