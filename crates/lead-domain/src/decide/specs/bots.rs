//! Rules against bots: who brings no points, whatever the scoring rules say. Domain section 8.

use super::*;
use crate::event::{DiscreditReason, ScoreReason};
use crate::policy::bots::{BotRule, Burst};
use crate::policy::condition::{Condition, Sealed, SealedTest};
use crate::policy::scoring::{FunnelStage, ScoreGroup, ScoringRule};
use crate::score::{Bounds, ScoreKind};

const LEAD: LeadId = LeadId { visitor: VisitorId(1), ordinal: 1 };

fn bot_rule(name: &str) -> BotRule {
    BotRule { name: name.into(), sealed: Vec::new(), faster_than: None, burst: None }
}

/// A point for each page, and a second stage for whoever sees one.
fn world(bot_rules: Vec<BotRule>) -> World {
    let mut world = World::new();
    let pages = || Condition { action: Some("page.viewed".into()), ..Condition::default() };
    let stage = |name: &str, enter_when| FunnelStage { name: name.into(), enter_when };
    let bounds = Bounds { cap: None, floor: None };
    let mut scoring = Scoring::default();
    scoring.groups = vec![ScoreGroup { name: "behaviour".into(), kind: ScoreKind::Engagement, bounds }];
    scoring.stages = vec![stage("begun", None), stage("looked", Some(pages()))];
    scoring.bot_rules = bot_rules;
    scoring.rules = vec![ScoringRule {
        name: "looked".into(),
        group: "behaviour".into(),
        points: 1,
        when: pages(),
        limit: None,
        by_category: false,
        decay: None,
    }];
    world.policy.scoring = scoring.compile();
    world
}

fn page() -> Touch {
    Touch { action: "page.viewed", ..touch(device(70)) }
}

fn seconds(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// The interactions that the events discredit, and by which rule.
fn discredited(events: &[Event]) -> Vec<(u64, String)> {
    let found = |event: &Event| {
        let Event::InteractionDiscredited { interaction, because: DiscreditReason::BotRule(rule), .. } = event else {
            return None;
        };
        Some((interaction.0, rule.to_string()))
    };
    events.iter().filter_map(found).collect()
}

#[test]
fn what_a_bot_does_is_attached_but_brings_neither_points_nor_stages() {
    let agent = Sealed::from(SealedTest::AgentContains(vec!["crawler".into()]));
    let rule = BotRule { sealed: vec![agent.clone()], ..bot_rule("named so") };
    let mut world = world(vec![rule]);
    let answer: &'static [(crate::Name, crate::Scalar)] =
        Box::leak(Box::new([(agent.attribute, crate::Scalar::Bool(true))]));
    let events = world.at(hours(0), Touch { attributes: answer, ..page() });
    assert_eq!(discredited(&events), [(1, "named so".to_owned())]);
    assert_eq!(
        names(&events)[2..],
        ["LeadOpened", "StageEntered", "InteractionAttached", "InteractionDiscredited"].map(str::to_owned)
    );
    let lead = world.lead(LEAD);
    assert_eq!(
        (lead.score, lead.interactions, lead.stage().map(ToString::to_string)),
        (0, 1, Some("begun".to_owned()))
    );
    assert_eq!(discredited(&world.at(hours(1), page())), []);
    assert_eq!(world.lead(LEAD).score, 1);
}

#[test]
fn nobody_is_faster_than_people_are() {
    let rule = BotRule { faster_than: Some(Period::from_millis(200)), ..bot_rule("fast") };
    let mut world = world(vec![rule]);
    for (millis, fast) in [(0, false), (199, true), (399, false), (598, true), (598, true), (800, false), (500, false)]
    {
        let at = Time::from_millis(millis);
        // One that comes late is measured from the last one before it that is known of.
        assert_eq!(!discredited(&world.at(at, page())).is_empty(), fast, "at {millis} ms");
    }
    assert_eq!(world.lead(LEAD).score, 4);
}

#[test]
fn a_burst_loses_all_of_its_points_and_what_follows_at_once_brings_none() {
    let burst = Some(Burst { at_least: 4, within: Period::from_seconds(60) });
    let mut world = world(vec![BotRule { burst, ..bot_rule("burst") }]);
    world.at(seconds(0), page());
    for second in [50, 60, 70] {
        assert_eq!(discredited(&world.at(seconds(second), page())), [], "at {second} s");
    }
    assert_eq!(world.lead(LEAD).score, 4, "at 70 s only three of the four are in the window");
    let events = world.at(seconds(80), page());
    let all = [2, 3, 4, 5].map(|id| (id, "burst".to_owned()));
    assert_eq!(discredited(&events), all);
    let score = |event: &Event| {
        let Event::ScoreChanged { because: ScoreReason::Discredited, score, .. } = event else { return None };
        Some(score.total)
    };
    assert_eq!(events.iter().filter_map(score).next_back(), Some(1));
    assert_eq!(discredited(&world.at(seconds(100), page())), [(6, "burst".to_owned())], "it goes on");
    assert_eq!(world.lead(LEAD).score, 1);
    assert_eq!(discredited(&world.at(seconds(200), page())), []);
    assert_eq!(world.lead(LEAD).score, 2, "whoever slows down counts again");
}

#[test]
fn an_operator_finds_what_a_rule_has_discredited_already() {
    let rule = BotRule { faster_than: Some(Period::from_seconds(1)), ..bot_rule("fast") };
    let mut world = world(vec![rule]);
    world.at(seconds(5), page());
    world.at(seconds(5), page());
    let interaction =
        crate::command::RecordedInteraction { id: InteractionId(2), occurred_at: seconds(5), visitor: VisitorId(1) };
    let command = Command::DiscreditInteraction { interaction, recorded_in: Some(LEAD) };
    let refused = world.command(seconds(6), command);
    assert_eq!(refused, Err(Refusal::AlreadyDiscredited { interaction: InteractionId(2), lead: LEAD }));
}
