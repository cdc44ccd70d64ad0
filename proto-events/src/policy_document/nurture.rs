//! `[[nurture]]` and `[consent]`: when a visitor should hear from us, and whether they want to.

use lead_domain::policy::condition::Condition;
use lead_domain::policy::nurture::{
    AtMost, ConsentRule, ConsentRules, EXPIRE_AFTER_DEFAULT, Nurturing, Programme, Step, StepDelay,
};
use lead_domain::policy::scoring::FunnelStage;
use lead_domain::{Name, Period};

use super::check_unique;
use super::condition::{self, Place};
use super::scoring::{times, window};
use super::section::Section;
use super::words;

/// The most programmes: each is looked at whenever something happens to a lead.
const PROGRAMMES_MAX: usize = 100;
/// The most steps of a programme.
const STEPS_MAX: usize = 100;
/// No step is due later.
const DELAY_MAX: Period = Period::from_days(3_660);
/// The actions that count as consent and its withdrawal, for all media, where the document doesn't say.
const CONSENT_ACTIONS: (&str, &str) = ("consent.given", "consent.withdrawn");

/// `stages` are the funnel's, which conditions may name.
pub(super) fn nurturing(root: &mut Section<'_>, stages: &[FunnelStage]) -> Nurturing {
    let programmes = root.sections("nurture", programme);
    check_unique(root, "nurture", programmes.iter().map(|programme| &programme.name));
    check_length(root, "nurture", programmes.len(), PROGRAMMES_MAX);
    for (index, programme) in programmes.iter().enumerate() {
        check_stages(root, &format!("nurture[{index}].start_when"), &programme.start_when, stages);
        if let Some(stop) = &programme.stop_when {
            check_stages(root, &format!("nurture[{index}].stop_when"), stop, stages);
            if *stop == programme.start_when {
                let message = "is the same as start_when, so the programme would never begin";
                root.fault(&format!("nurture[{index}].stop_when"), "bad_condition", message);
            }
        }
    }
    Nurturing { programmes, consent: consent(root) }
}

fn programme(section: &mut Section<'_>) -> Programme {
    Programme {
        name: section.required_name("name"),
        start_when: condition::required(section, "start_when", Place::Nurture),
        stop_when: condition::optional(section, "stop_when", Place::Nurture),
        steps: steps(section),
        at_most: section.section("at_most", |section| AtMost { times: times(section), within: window(section) }),
        medium: section.filled_name("medium"),
        expire_after: delay(section, "expire_after").unwrap_or(EXPIRE_AFTER_DEFAULT),
    }
}

fn check_length(section: &Section<'_>, list: &str, length: usize, most: usize) {
    if length > most {
        section.fault(list, "too_many", &format!("has {length} entries; {most} are allowed"));
    }
}

/// A condition may wait only for stages that there are.
fn check_stages(root: &Section<'_>, path: &str, when: &Condition, stages: &[FunnelStage]) {
    let nested = when.any.iter().enumerate().map(|(index, one)| (format!("{path}.any[{index}].stage"), one));
    for (path, one) in nested.chain([(format!("{path}.stage"), when)]) {
        let Some(wanted) = &one.stage else { continue };
        if stages.iter().any(|stage| stage.name == *wanted) {
            continue;
        }
        let known: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        let meant = words::nearest(wanted, &known).map(|meant| format!("; did you mean \"{meant}\"?"));
        let message = format!("there is no [[funnel.stage]] \"{wanted}\"{}", meant.unwrap_or_default());
        root.fault(&path, "unknown_stage", &message);
    }
}

fn steps(section: &mut Section<'_>) -> Vec<Step> {
    let steps = section.sections("steps", step);
    if steps.is_empty() {
        section.fault("steps", "missing", "has no step");
    }
    check_length(section, "steps", steps.len(), STEPS_MAX);
    let due: Vec<Option<Period>> = steps.iter().map(|step| step.as_ref().and_then(|step| after(step.delay))).collect();
    let mut latest = None;
    for (index, due) in due.into_iter().enumerate() {
        if due.is_some() && due <= latest {
            section.fault(&format!("steps[{index}].after"), "not_in_order", "must be later than the step before");
        }
        latest = due.max(latest);
    }
    steps.into_iter().flatten().collect()
}

fn after(delay: StepDelay) -> Option<Period> {
    match delay {
        StepDelay::After(period) => Some(period),
        StepDelay::AfterQuiet(_) => None,
    }
}

fn step(section: &mut Section<'_>) -> Option<Step> {
    let (after, quiet) = (delay(section, "after"), delay(section, "after_quiet"));
    let template = section.required_name("template");
    match (section.has("after"), section.has("after_quiet")) {
        (true, true) => {
            section.fault("after_quiet", "bad_condition", "can't stand beside after: one of them is enough")
        }
        (false, false) => section.fault("after", "missing", "is missing: a step needs after or after_quiet"),
        _ => {}
    }
    let delay = after.map(StepDelay::After).or(quiet.map(StepDelay::AfterQuiet))?;
    Some(Step { delay, template })
}

fn delay(section: &mut Section<'_>, key: &'static str) -> Option<Period> {
    let period = section.positive_period(key)?;
    if period > DELAY_MAX {
        section.fault(key, "out_of_range", &format!("must be at most {DELAY_MAX}"));
        return None;
    }
    Some(period)
}

fn consent(root: &mut Section<'_>) -> ConsentRules {
    let read = |section: &mut Section<'_>| ConsentRules {
        opt_in: section.sections("opt_in", rule),
        opt_out: section.sections("opt_out", rule),
        required: section.boolean("required").unwrap_or(false),
    };
    root.section("consent", read).unwrap_or_else(default_consent)
}

fn rule(section: &mut Section<'_>) -> ConsentRule {
    ConsentRule { medium: section.filled_name("medium"), when: condition::inline(section, Place::Consent) }
}

fn default_consent() -> ConsentRules {
    let rule = |action: &str| ConsentRule {
        when: Condition { action: Some(Name::new(action)), ..Condition::default() },
        medium: None,
    };
    let (given, withdrawn) = CONSENT_ACTIONS;
    ConsentRules { opt_in: vec![rule(given)], opt_out: vec![rule(withdrawn)], required: false }
}
