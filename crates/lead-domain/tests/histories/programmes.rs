//! Nurture programmes in generated histories, and what must hold of them.

use std::collections::BTreeMap;

use lead_domain::policy::condition::Condition;
use lead_domain::policy::{Nurturing, Policy, nurture};
use lead_domain::{Event, LeadId, Name, Period, Time, VisitorId};

/// Programmes that begin and end by everything that programmes can: actions, crossings, stages, the end of a lead.
pub(crate) fn nurturing() -> Nurturing {
    let action = |action: &str| Condition { action: Some(action.into()), ..Condition::default() };
    let step = |delay, template: &str| nurture::Step { delay, template: template.into() };
    let after = |hours| nurture::StepDelay::After(Period::from_hours(hours));
    let quiet = |hours| nurture::StepDelay::AfterQuiet(Period::from_hours(hours));
    let programme = |name: &str, start_when, stop_when, steps| nurture::Programme {
        name: name.into(),
        start_when,
        stop_when,
        steps,
        at_most: Some(nurture::AtMost { times: 2, within: Some(Period::from_hours(30)) }),
        medium: Some("email".into()),
        expire_after: Period::from_hours(12),
    };
    let warm = Condition { temperature: Some(lead_domain::Temperature::Warm), ..Condition::default() };
    let hot = Condition { temperature: Some(lead_domain::Temperature::Hot), ..Condition::default() };
    let bought = Condition { stage: Some("bought".into()), ..Condition::default() };
    let closed = Condition { closed: Some(true), ..Condition::default() };
    let viewed = vec![step(after(3), "first"), step(after(8), "second")];
    let rule = |name: &str| nurture::ConsentRule { when: action(name), medium: None };
    Nurturing {
        programmes: vec![
            programme("viewed", action("page.viewed"), Some(action("purchase")), viewed),
            programme("warm", warm, Some(hot), vec![step(quiet(4), "quiet"), step(quiet(4), "quieter")]),
            programme("bought", bought, None, vec![step(after(2), "thanks")]),
            programme("gone", closed, Some(action("page.viewed")), vec![step(after(9), "come back")]),
        ],
        consent: nurture::ConsentRules { opt_in: Vec::new(), opt_out: vec![rule("purchase")], required: false },
    }
}

/// What programmes promise, read off the events alone.
#[expect(clippy::wildcard_enum_match_arm, reason = "it is about the events that it names")]
pub(crate) fn check(policy: &Policy, events: &[Event]) {
    let mut running: BTreeMap<(LeadId, Name), (Time, u16)> = BTreeMap::new();
    let mut opted_out: Vec<VisitorId> = Vec::new();
    for event in events {
        match event {
            Event::ConsentChanged { visitor, given: false, .. } => opted_out.push(*visitor),
            Event::NurtureStarted { lead, programme, at, .. } => {
                let known = running.insert((*lead, programme.clone()), (*at, 0));
                assert_eq!(known, None, "it runs once at a time");
            }
            Event::NurtureStepDue { lead, programme, step, at, due_at, expires_at, template, .. } => {
                let rules = policy.nurture.programme(programme).expect("a programme of the policy");
                let (started_at, last) = running.get_mut(&(*lead, programme.clone())).expect("it runs");
                assert!(*step > *last && due_at <= at && at <= expires_at && due_at >= started_at);
                assert_eq!(rules.steps[usize::from(*step) - 1].template, *template);
                assert!(!opted_out.contains(&lead.visitor), "who opted out hears nothing");
                *last = *step;
            }
            Event::NurtureStepSuppressed { lead, programme, step, .. } => {
                let (_, last) = running.get_mut(&(*lead, programme.clone())).expect("it runs");
                assert!(*step > *last);
                *last = *step;
            }
            Event::NurtureStopped { lead, programme, .. } => {
                assert!(running.remove(&(*lead, programme.clone())).is_some(), "it ran");
            }
            _ => {}
        }
    }
}
