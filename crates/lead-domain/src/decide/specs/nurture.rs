//! Programmes, their steps, and consent. Domain section 9.

use super::*;
use crate::nurture::{NurtureEnd, Suppression, Wait};
use crate::policy::bots::BotRule;
use crate::policy::condition::Condition;
use crate::policy::nurture::{AtMost, ConsentRule, EXPIRE_AFTER_DEFAULT, Programme, Step, StepDelay};
use crate::policy::scoring::{FunnelStage, ScoreGroup, ScoringRule, Thresholds};
use crate::score::{Bounds, Decay, ScoreKind, Temperature};

const LEAD: LeadId = LeadId { visitor: VisitorId(1), ordinal: 1 };

fn action(action: &str) -> Condition {
    Condition { action: Some(action.into()), ..Condition::default() }
}

fn after(hours: i64, template: &str) -> Step {
    Step { delay: StepDelay::After(Period::from_hours(hours)), template: template.into() }
}

fn quiet(hours: i64, template: &str) -> Step {
    Step { delay: StepDelay::AfterQuiet(Period::from_hours(hours)), template: template.into() }
}

/// Begins with a changed cart and ends with a purchase; reminders after 24 and 40 hours, by e-mail.
fn cart() -> Programme {
    Programme {
        name: "cart".into(),
        start_when: action("cart.updated"),
        stop_when: Some(Condition { any: vec![action("purchase"), action("cart.emptied")], ..Condition::default() }),
        steps: vec![after(24, "reminder"), after(40, "offer")],
        at_most: None,
        medium: Some("email".into()),
        expire_after: EXPIRE_AFTER_DEFAULT,
    }
}

fn world(programmes: Vec<Programme>) -> World {
    let mut world = World::new();
    let consent = &mut world.policy.nurture.consent;
    let rule = |name: &str, medium: Option<&str>| ConsentRule { when: action(name), medium: medium.map(Into::into) };
    consent.opt_in = vec![rule("newsletter.subscribed", Some("email"))];
    consent.opt_out = vec![rule("newsletter.unsubscribed", Some("email")), rule("consent.withdrawn", None)];
    world.policy.nurture.programmes = programmes;
    world
}

/// The same with 30 points for a form, which lapse after 10 hours; warm from 25.
fn warming(programmes: Vec<Programme>) -> World {
    let mut world = world(programmes);
    let scoring = &mut world.policy.scoring;
    scoring.groups =
        vec![ScoreGroup { name: "behaviour".into(), kind: ScoreKind::Engagement, bounds: Bounds::default() }];
    scoring.rules = vec![ScoringRule {
        name: "form".into(),
        group: "behaviour".into(),
        points: 30,
        when: action("form.submitted"),
        limit: None,
        by_category: false,
        decay: Some(Decay { every: Period::from_hours(10), percent: 100 }),
    }];
    scoring.temperature = Some(Thresholds { warm: 25, hot: 90, hysteresis: 5 });
    let entered = |name: &str, enter_when| FunnelStage { name: name.into(), enter_when };
    scoring.stages = vec![entered("awareness", None), entered("research", Some(action("form.submitted")))];
    world.policy.scoring = std::mem::take(scoring).compile();
    world
}

fn does(action: &'static str) -> Touch {
    touch(device(70)).action(action)
}

/// What was stated about programmes, in short.
#[expect(clippy::wildcard_enum_match_arm, reason = "it is about the events that it names")]
fn told(events: &[Event]) -> Vec<String> {
    let tell = |event: &Event| {
        Some(match event {
            Event::NurtureStarted { programme, .. } => format!("{programme} began"),
            Event::NurtureStepDue { template, passed_over: 0, .. } => format!("send {template}"),
            Event::NurtureStepDue { template, passed_over, .. } => {
                format!("send {template}, {passed_over} passed over")
            }
            Event::NurtureStepSuppressed { template, because, .. } => format!("no {template}: {}", because.code()),
            Event::NurtureStopped { programme, because, .. } => format!("{programme} ended: {}", because.code()),
            Event::ConsentChanged { given, .. } => format!("consent {given}"),
            _ => return None,
        })
    };
    events.iter().filter_map(tell).collect()
}

#[test]
fn a_step_is_due_after_its_delay_and_the_last_one_ends_the_programme() {
    let mut world = world(vec![cart()]);
    let began = world.at(hours(0), does("cart.updated"));
    let wait = Wait::Until(hours(24));
    assert!(began.contains(&Event::NurtureStarted {
        lead: LEAD,
        programme: "cart".into(),
        at: hours(0),
        interaction: Some(InteractionId(1)),
        wait,
    }));
    assert_eq!(told(&world.tick(1, hours(23))), [""; 0], "not yet");
    let due = world.tick(1, hours(25));
    assert_eq!(
        due,
        [Event::NurtureStepDue {
            lead: LEAD,
            programme: "cart".into(),
            step: 1,
            template: "reminder".into(),
            medium: Some("email".into()),
            at: hours(25),
            due_at: hours(24),
            expires_at: hours(48),
            passed_over: 0,
            wait: Some(Wait::Until(hours(40))),
        }]
    );
    assert_eq!(told(&world.tick(1, hours(30))), [""; 0], "never twice");
    assert_eq!(told(&world.tick(1, hours(40))), ["send offer", "cart ended: finished"]);
    assert_eq!(told(&world.tick(1, hours(47))), [""; 0]);
}

#[test]
fn nothing_is_due_after_the_stop_condition_held_however_late_the_tick() {
    for stop in ["purchase", "cart.emptied"] {
        let mut world = world(vec![cart()]);
        world.at(hours(0), does("cart.updated"));
        // The tick that should have come after 24 hours comes after the interaction that ends the programme.
        let ended = told(&world.at(hours(30), does(stop)));
        assert_eq!(ended, ["cart ended: stop_condition"]);
        assert_eq!(told(&world.tick(1, hours(31))), [""; 0]);
    }
}

#[test]
fn of_several_steps_that_time_passed_over_only_the_last_is_sent() {
    let mut world = world(vec![cart()]);
    world.at(hours(0), does("cart.updated"));
    assert_eq!(told(&world.tick(1, hours(45))), ["send offer, 1 passed over", "cart ended: finished"]);
}

#[test]
fn a_step_that_comes_too_late_is_not_for_anybody_to_send() {
    let mut late = Programme { expire_after: Period::from_hours(2), ..cart() };
    late.steps.truncate(1);
    let mut world = world(vec![late]);
    world.at(hours(0), does("cart.updated"));
    assert_eq!(told(&world.tick(1, hours(27))), ["no reminder: expired", "cart ended: finished"]);
}

#[test]
fn quiet_is_counted_from_the_last_interaction_and_from_the_step_before() {
    let steps = vec![quiet(10, "hello"), quiet(10, "still there")];
    let mut world = world(vec![Programme { steps, ..cart() }]);
    world.at(hours(0), does("cart.updated"));
    world.at(hours(8), does("page.viewed"));
    assert_eq!(told(&world.tick(1, hours(17))), [""; 0]);
    assert_eq!(told(&world.tick(1, hours(19))), ["send hello"]);
    assert_eq!(told(&world.tick(1, hours(28))), [""; 0], "ten hours from the tick that stated the first");
    assert_eq!(told(&world.tick(1, hours(29))), ["send still there", "cart ended: finished"]);
}

#[test]
fn a_programme_runs_once_at_a_time_and_as_often_as_it_may() {
    let at_most = Some(AtMost { times: 2, within: Some(Period::from_hours(20)) });
    let mut world = world(vec![Programme { at_most, ..cart() }]);
    let mut began = |hour, action| told(&world.at(hours(hour), does(action)));
    assert_eq!(began(0, "cart.updated"), ["cart began"]);
    assert_eq!(began(1, "cart.updated"), [""; 0], "it runs");
    assert_eq!(began(2, "cart.emptied"), ["cart ended: stop_condition"]);
    assert_eq!(began(3, "cart.updated"), ["cart began"]);
    assert_eq!(began(4, "cart.emptied"), ["cart ended: stop_condition"]);
    assert_eq!(began(19, "cart.updated"), [""; 0], "twice in 20 hours");
    assert_eq!(began(20, "cart.updated"), ["cart began"]);
}

#[test]
fn a_closed_lead_hears_nothing_unless_the_programme_is_about_closed_leads() {
    let won_back = Programme {
        name: "win back".into(),
        start_when: Condition { closed: Some(true), ..Condition::default() },
        stop_when: Some(action("page.viewed")),
        steps: vec![after(5, "we miss you")],
        ..cart()
    };
    let steps = vec![after(60, "too late")];
    let mut world = world(vec![Programme { steps, ..cart() }, won_back]);
    world.at(hours(0), does("cart.updated"));
    let closed = told(&world.tick(1, hours(50)));
    assert_eq!(closed, ["cart ended: lead_closed", "win back began"]);
    assert_eq!(told(&world.tick(1, hours(53))), ["send we miss you", "win back ended: finished"], "5 h after its end");
}

#[test]
fn crossing_a_threshold_and_entering_a_stage_begin_programmes() {
    let warm = Programme {
        name: "warm".into(),
        start_when: Condition { temperature: Some(Temperature::Warm), ..Condition::default() },
        stop_when: Some(Condition { temperature: Some(Temperature::Cold), ..Condition::default() }),
        steps: vec![quiet(6, "come back")],
        ..cart()
    };
    let research = Programme {
        name: "research".into(),
        start_when: Condition { stage: Some("research".into()), ..Condition::default() },
        stop_when: None,
        ..cart()
    };
    let mut world = warming(vec![warm, research]);
    assert_eq!(told(&world.at(hours(0), does("page.viewed"))), [""; 0]);
    assert_eq!(told(&world.at(hours(1), does("form.submitted"))), ["warm began", "research began"]);
    assert_eq!(told(&world.at(hours(2), does("page.viewed"))), [""; 0], "still warm is no news");
    assert_eq!(told(&world.tick(1, hours(8))), ["send come back", "warm ended: finished"]);
    world.at(hours(9), does("form.submitted"));
    assert_eq!(told(&world.tick(1, hours(20))), [""; 0], "cooled down, and nothing of that name runs");
}

#[test]
fn cooling_down_ends_a_programme_before_its_step() {
    let warm = Programme {
        name: "warm".into(),
        start_when: Condition { temperature: Some(Temperature::Warm), ..Condition::default() },
        stop_when: Some(Condition { temperature: Some(Temperature::Cold), ..Condition::default() }),
        steps: vec![after(12, "come back")],
        ..cart()
    };
    let mut world = warming(vec![warm]);
    world.at(hours(0), does("form.submitted"));
    assert_eq!(told(&world.tick(1, hours(13))), ["warm ended: stop_condition"], "cold since 10 hours");
}

#[test]
fn who_opted_out_of_a_medium_hears_nothing_by_it() {
    for (said, expected) in [
        (["newsletter.unsubscribed", "page.viewed"], "no reminder: opted_out"),
        (["consent.withdrawn", "page.viewed"], "no reminder: opted_out"),
        (["consent.withdrawn", "newsletter.subscribed"], "send reminder"),
        (["newsletter.subscribed", "newsletter.unsubscribed"], "no reminder: opted_out"),
    ] {
        let mut world = world(vec![cart()]);
        world.at(hours(0), does("cart.updated"));
        for (action, hour) in said.into_iter().zip(1..) {
            // Nobody takes it: consent needs no lead.
            world.at(hours(hour), does(action).channel("pigeon"));
        }
        assert_eq!(told(&world.tick(1, hours(24)))[0], expected, "{said:?}");
    }
}

#[test]
fn a_policy_may_ask_for_consent_first() {
    let mut world = world(vec![cart()]);
    world.policy.nurture.consent.required = true;
    world.at(hours(0), does("cart.updated"));
    assert_eq!(told(&world.tick(1, hours(24))), ["no reminder: no_consent"]);
    assert_eq!(told(&world.at(hours(25), does("newsletter.subscribed"))), ["consent true"]);
    assert_eq!(told(&world.tick(1, hours(40))), ["send offer", "cart ended: finished"]);
}

#[test]
fn merged_visitors_hear_one_message_and_both_their_refusals_count() {
    let mut world = world(vec![cart()]);
    world.at(hours(0), does("cart.updated"));
    world.at(hours(1), touch(device(80)).action("cart.updated"));
    let merge = Command::MergeVisitors { one: VisitorId(1), other: VisitorId(2) };
    world.command(hours(2), merge).expect("two visitors");
    assert_eq!(told(&world.tick(1, hours(26))), ["send reminder", "no reminder: other_run"]);
    world.at(hours(27), touch(device(80)).action("consent.withdrawn"));
    let told = told(&world.tick(1, hours(41)));
    assert_eq!(told.iter().filter(|told| told.ends_with(Suppression::OptedOut.code())).count(), 2, "{told:?}");
}

#[test]
fn a_late_interaction_neither_ends_nor_begins_what_came_after_it() {
    let mut world = world(vec![cart()]);
    world.at(hours(5), does("cart.updated"));
    assert_eq!(told(&world.at(hours(4), does("cart.emptied"))), [""; 0], "that was before the cart was filled again");
    assert_eq!(told(&world.at(hours(6), does("cart.emptied"))), ["cart ended: stop_condition"]);
    assert_eq!(told(&world.at(hours(3), does("cart.updated"))), [""; 0], "it was emptied since");
}

#[test]
fn a_programme_that_the_policy_drops_ends_at_its_next_step() {
    let mut world = world(vec![cart()]);
    world.at(hours(0), does("cart.updated"));
    world.policy.nurture.programmes.clear();
    let ended = world.tick(1, hours(24));
    let (lead, programme, at) = (LEAD, "cart".into(), hours(24));
    assert_eq!(ended, [Event::NurtureStopped { lead, programme, at, because: NurtureEnd::PolicyChanged }]);
}

#[test]
fn what_is_discredited_begins_nothing_and_what_it_began_ends() {
    let bot =
        BotRule { name: "fast".into(), sealed: Vec::new(), faster_than: Some(Period::from_millis(500)), burst: None };
    let mut world = world(vec![cart()]);
    world.policy.scoring.bot_rules = vec![bot];
    world.at(hours(0), does("page.viewed"));
    assert_eq!(told(&world.at(hours(0), does("cart.updated"))), [""; 0], "a bot's");
    assert_eq!(told(&world.at(hours(1), does("cart.updated"))), ["cart began"]);
    let interaction =
        crate::command::RecordedInteraction { id: InteractionId(3), occurred_at: hours(1), visitor: VisitorId(1) };
    let discredit = Command::DiscreditInteraction { interaction, recorded_in: Some(LEAD) };
    let events = world.command(hours(2), discredit).expect("it is there");
    assert_eq!(told(&events), ["cart ended: discredited"]);
}

#[test]
fn an_operator_who_closes_a_lead_ends_its_programmes() {
    let mut world = world(vec![cart()]);
    world.at(hours(0), does("cart.updated"));
    let close = Command::CloseLead { lead: LEAD, reason: "not_interested".into() };
    let events = world.command(hours(1), close).expect("an open lead");
    assert_eq!(told(&events), ["cart ended: lead_closed"]);
}
