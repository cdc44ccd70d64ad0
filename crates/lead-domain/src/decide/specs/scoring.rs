//! Points, temperature and stages. Domain section 8.

use super::*;
use crate::event::ScoreReason;
use crate::policy::condition::{Condition, Field, FieldTest, Frequency, Sealed, SealedTest};
use crate::policy::scoring::{FunnelStage, LimitKey, RuleLimit, ScoreGroup, ScoringRule, Thresholds};
use crate::score::{Bounds, Decay, ScoreKind, Temperature};

const LEAD: LeadId = LeadId { visitor: VisitorId(1), ordinal: 1 };

fn rule(name: &str, points: i32, action: &str) -> ScoringRule {
    ScoringRule {
        name: name.into(),
        group: "behaviour".into(),
        points,
        when: Condition { action: Some(action.into()), ..Condition::default() },
        limit: None,
        by_category: false,
        decay: None,
    }
}

fn world(rules: Vec<ScoringRule>) -> World {
    let mut world = World::new();
    let group = |name: &str, kind, cap| ScoreGroup {
        name: name.into(),
        kind,
        bounds: Bounds { cap: Some(cap), floor: Some(-10) },
    };
    let scoring = &mut world.policy.scoring;
    scoring.total = Bounds { cap: Some(50), floor: None };
    scoring.groups = vec![group("behaviour", ScoreKind::Engagement, 40), group("profile", ScoreKind::Fit, 30)];
    scoring.rules = rules;
    world.policy.scoring = std::mem::take(scoring).compile();
    world
}

fn view(product: &'static str) -> Touch {
    let details = Details { product_id: Some(product), product_category: Some("tablets"), ..Details::default() };
    Touch { action: "product.viewed", details, ..touch(device(70)) }
}

/// The score's changes among the events: when, why, and the total.
fn changes(events: &[Event]) -> Vec<(Time, ScoreReason, i32)> {
    let change = |event: &Event| {
        let Event::ScoreChanged { at, because, score, .. } = event else { return None };
        Some((*at, *because, score.total))
    };
    events.iter().filter_map(change).collect()
}

#[test]
fn a_rule_gives_points_and_the_row_says_from_what() {
    let looked = ScoringRule { by_category: true, ..rule("looked", 2, "product.viewed") };
    let mut world = world(vec![looked, rule("bought", 12, "purchase")]);
    let events = world.at(hours(0), view("p1"));
    assert_eq!(changes(&events), [(hours(0), ScoreReason::Interaction, 2)]);
    let found = world.lead(LEAD);
    let ledger = found.ledger.as_ref().expect("a ledger");
    assert_eq!((found.score, ledger.score.engagement, ledger.score.fit), (2, 2, 0));
    assert_eq!(ledger.score.by_category, [("tablets".into(), 2)]);
    let row = &ledger.rows[0];
    assert_eq!((row.interaction, row.rule.as_str(), row.policy_version), (InteractionId(1), "looked", 1));
    assert_eq!(changes(&world.at(hours(1), touch(device(70)))), [], "no rule asks about it");
    assert_eq!(
        changes(&world.at(hours(1), touch(device(70)).buys(900, 1))),
        [(hours(1), ScoreReason::Interaction, 14)]
    );
}

#[test]
fn caps_hold_for_groups_and_for_the_total() {
    let fit = ScoringRule { group: "profile".into(), ..rule("profile", 25, "form.submitted") };
    let mut world = world(vec![rule("chat", 25, "chat.started"), fit]);
    for hour in 0..3 {
        world.at(hours(hour), touch(device(70)).action("chat.started"));
    }
    assert_eq!(world.lead(LEAD).score, 40, "the group's cap");
    world.at(hours(3), touch(device(70)).action("form.submitted"));
    let ledger = world.lead(LEAD).ledger.clone().expect("a ledger");
    assert_eq!((ledger.score.total, ledger.score.engagement, ledger.score.fit), (50, 40, 10), "the total's cap");
}

#[test]
fn a_floor_lets_a_visitor_who_comes_back_rise_again() {
    let mut world = world(vec![rule("left", -20, "newsletter.unsubscribed"), rule("chat", 25, "chat.started")]);
    for hour in 0..2 {
        world.at(hours(hour), touch(device(70)).action("newsletter.unsubscribed"));
    }
    assert_eq!(world.lead(LEAD).score, -10);
    world.at(hours(2), touch(device(70)).action("chat.started"));
    assert_eq!(world.lead(LEAD).score, -10, "the sum is -15 and stays at the floor");
    world.at(hours(3), touch(device(70)).action("chat.started"));
    assert_eq!(world.lead(LEAD).score, 10);
}

#[test]
fn a_limit_counts_by_key_and_window() {
    let limit = RuleLimit { times: 2, within: Some(Period::from_hours(24)), per: Some(LimitKey::ProductId) };
    let mut world = world(vec![ScoringRule { limit: Some(limit), ..rule("looked", 1, "product.viewed") }]);
    for (hour, product, expected) in
        [(0, "p1", 1), (1, "p1", 2), (2, "p1", 2), (3, "p2", 3), (24, "p1", 4), (25, "p1", 5), (26, "p1", 5)]
    {
        world.at(hours(hour), view(product));
        assert_eq!(world.lead(LEAD).score, expected, "{product} at {hour} h");
    }
    world.at(hours(4), view("p1"));
    assert_eq!(world.lead(LEAD).score, 5, "a late one falls into windows that are full");
}

#[test]
fn a_frequency_counts_what_the_visitor_did_lately_on_all_leads() {
    let frequency = Frequency { at_least: Some(3), total_value_at_least: None, within: Period::from_hours(10) };
    let mut often = rule("often", 6, "page.viewed");
    often.when.frequency = Some(frequency);
    let mut world = world(vec![often]);
    for (hour, skill, fires) in
        [(0, "chat", false), (1, "contracts", false), (11, "chat", false), (12, "chat", false), (13, "chat", true)]
    {
        let events = world.at(hours(hour), touch(device(70)).skill(skill));
        assert_eq!(!changes(&events).is_empty(), fires, "at {hour} h");
        assert!(names(&events).contains(&"InteractionCounted".to_owned()));
    }
    assert_eq!(world.shelf.book(VisitorId(1)).expect("a book").leads.len(), 2);
}

#[test]
fn money_spent_counts_once_for_each_order() {
    let mut spent = rule("spent", 12, "purchase");
    spent.when.frequency =
        Some(Frequency { at_least: None, total_value_at_least: Some(1_000), within: Period::from_days(365) });
    let mut world = world(vec![spent]);
    world.at(hours(0), touch(device(70)).buys(600, 1));
    world.at(hours(1), touch(device(70)).buys(600, 1));
    assert_eq!(world.lead(lead(1, 2)).score, 0, "the order was there already");
    let events = world.at(hours(2), touch(device(70)).buys(400, 2));
    assert_eq!(changes(&events), [(hours(2), ScoreReason::Interaction, 12)]);
}

#[test]
fn points_lapse_by_steps_whoever_wakes_up_when() {
    let decay = Some(Decay { every: Period::from_hours(10), percent: 50 });
    let rules = || vec![ScoringRule { decay, ..rule("chat", 9, "chat.started") }];
    let steps = [(hours(10), ScoreReason::Decay, 5), (hours(20), ScoreReason::Decay, 0)];
    let (mut early, mut late) = (world(rules()), world(rules()));
    for world in [&mut early, &mut late] {
        world.at(hours(0), touch(device(70)).action("chat.started"));
    }
    let mut woken = Vec::new();
    for hour in [3, 10, 19, 21, 30] {
        woken.extend(changes(&early.tick(1, hours(hour))));
    }
    assert_eq!(woken, steps);
    assert_eq!(changes(&late.tick(1, hours(30))), steps);
    assert_eq!(early.lead(LEAD), late.lead(LEAD));
    assert_eq!(late.lead(LEAD).ledger.as_ref().map(|ledger| ledger.rows.len()), Some(0), "nothing is left of the row");
}

#[test]
fn a_closed_lead_keeps_the_score_of_its_end() {
    let decay = Some(Decay { every: Period::from_hours(40), percent: 50 });
    let mut world = world(vec![ScoringRule { decay, ..rule("chat", 8, "chat.started") }]);
    world.at(hours(0), touch(device(70)).action("chat.started"));
    assert_eq!(names(&world.tick(1, hours(200))), ["ScoreChanged", "LeadClosed"]);
    assert_eq!(world.lead(LEAD).score, 4);
    let late = world.at(hours(30), touch(device(70)).action("chat.started"));
    assert_eq!(names(&late), ["LeadReopened", "InteractionAttached", "ScoreChanged"]);
}

#[test]
fn a_temperature_changes_once_for_each_crossing() {
    let decay = Some(Decay { every: Period::from_hours(5), percent: 100 });
    let mut world =
        world(vec![ScoringRule { decay, ..rule("chat", 25, "chat.started") }, rule("look", 1, "product.viewed")]);
    world.policy.scoring.temperature = Some(Thresholds { warm: 20, hot: 40, hysteresis: 2 });
    let crossed = |events: Vec<Event>| -> Vec<(Temperature, Temperature)> {
        let crossing = |event: &Event| {
            let Event::TemperatureChanged { from, to, .. } = event else { return None };
            Some((*from, *to))
        };
        events.iter().filter_map(crossing).collect()
    };
    use Temperature::{Cold, Hot, Warm};
    assert_eq!(crossed(world.at(hours(0), touch(device(70)).action("chat.started"))), [(Cold, Warm)]);
    assert_eq!(crossed(world.at(hours(1), view("p"))), []);
    assert_eq!(crossed(world.at(hours(2), touch(device(70)).action("chat.started"))), [(Warm, Hot)]);
    assert_eq!(crossed(world.tick(1, hours(8))), [(Hot, Warm), (Warm, Cold)]);
}

#[test]
fn stages_are_entered_once_and_never_go_back() {
    let mut world = world(Vec::new());
    let stage = |name: &str, enter_when| FunnelStage { name: name.into(), enter_when };
    let prefix = |prefix: &str| Condition { action_prefix: Some(prefix.into()), ..Condition::default() };
    let returning = Condition { returning_customer: Some(true), ..Condition::default() };
    world.policy.scoring.stages = vec![
        stage("awareness", None),
        stage("research", Some(Condition { any: vec![prefix("product."), prefix("form.")], ..Condition::default() })),
        stage("purchase", Some(prefix("purchase"))),
        stage("retention", Some(returning)),
    ];
    type Entry = (String, Option<String>, Option<Period>);
    let entered = |events: Vec<Event>| -> Vec<Entry> {
        let entry = |event: &Event| {
            let Event::StageEntered { stage, from, stayed, .. } = event else { return None };
            Some((stage.to_string(), from.as_ref().map(ToString::to_string), *stayed))
        };
        events.iter().filter_map(entry).collect()
    };
    let to = |stage: &str, from: Option<&str>, stayed: Option<i64>| {
        (stage.to_owned(), from.map(str::to_owned), stayed.map(Period::from_hours))
    };
    assert_eq!(entered(world.at(hours(0), touch(device(70)))), [to("awareness", None, None)]);
    assert_eq!(entered(world.at(hours(3), view("p"))), [to("research", Some("awareness"), Some(3))]);
    assert_eq!(entered(world.at(hours(4), view("p"))), []);
    let bought = world.at(hours(5), touch(device(70)).buys(900, 1));
    assert_eq!(entered(bought), [to("purchase", Some("research"), Some(2))]);
    let again = world.at(hours(9), view("p"));
    assert_eq!(entered(again), [to("retention", None, None)], "a customer who comes back begins in retention");
}

#[test]
fn a_moved_interaction_takes_its_points_along() {
    let mut world = world(vec![rule("chat", 8, "chat.started")]);
    world.at(hours(0), touch(device(70)).action("chat.started"));
    world.at(hours(1), touch(device(70)).skill("contracts"));
    let interaction =
        crate::command::RecordedInteraction { id: InteractionId(1), occurred_at: hours(0), visitor: VisitorId(1) };
    let to = lead(1, 2);
    let moved = Command::MoveInteraction { interaction, recorded_in: LEAD, to, remaining: None };
    let events = world.command(hours(2), moved).expect("it moves");
    assert_eq!(names(&events), ["InteractionMoved", "ScoreChanged", "ScoreChanged"]);
    assert_eq!((world.lead(LEAD).score, world.lead(to).score), (0, 8));
}

#[test]
fn a_discredited_interaction_loses_its_points_and_never_gets_them_again() {
    let mut often = rule("often", 6, "chat.started");
    often.when.frequency =
        Some(Frequency { at_least: Some(3), total_value_at_least: None, within: Period::from_hours(50) });
    let decay = Some(Decay { every: Period::from_hours(10), percent: 50 });
    let mut world = world(vec![ScoringRule { decay, ..rule("chat", 20, "chat.started") }, often]);
    world.policy.scoring.temperature = Some(Thresholds { warm: 20, hot: 100, hysteresis: 0 });
    world.at(hours(0), touch(device(70)).action("chat.started"));
    world.at(hours(1), touch(device(70)).action("chat.started"));
    let recorded = |id: u64, hour| crate::command::RecordedInteraction {
        id: InteractionId(id),
        occurred_at: hours(hour),
        visitor: VisitorId(1),
    };
    let discredit =
        |id, hour| Command::DiscreditInteraction { interaction: recorded(id, hour), recorded_in: Some(LEAD) };
    let events = world.command(hours(12), discredit(1, 0)).expect("it is discredited");
    assert_eq!(
        names(&events),
        ["ScoreChanged", "ScoreChanged", "InteractionDiscredited", "ScoreChanged", "TemperatureChanged"],
        "what had lapsed by then comes first"
    );
    assert_eq!(changes(&events).last(), Some(&(hours(12), ScoreReason::Discredited, 10)));
    let ledger = world.lead(LEAD).ledger.clone().expect("a ledger");
    assert_eq!((ledger.rows.len(), ledger.counted.len()), (1, 1));
    assert_eq!(ledger.discredited, [InteractionId(1)]);
    let again = world.command(hours(13), discredit(1, 0));
    assert_eq!(again, Err(Refusal::AlreadyDiscredited { interaction: InteractionId(1), lead: LEAD }));
    let third = world.at(hours(13), touch(device(70)).action("chat.started"));
    assert_eq!(changes(&third), [(hours(13), ScoreReason::Interaction, 30)], "it counts for no frequency any more");
    let orphan = Command::DiscreditInteraction { interaction: recorded(9, 0), recorded_in: None };
    let refused = world.command(hours(13), orphan);
    assert_eq!(refused, Err(Refusal::InteractionOrphaned { interaction: InteractionId(9) }));
    let elsewhere = Command::DiscreditInteraction { interaction: recorded(2, 1), recorded_in: Some(lead(1, 7)) };
    assert_eq!(world.command(hours(13), elsewhere), Err(Refusal::UnknownLead { lead: lead(1, 7) }));
}

#[test]
fn a_moved_interaction_is_discredited_where_it_is_and_stays_so_when_it_moves_on() {
    let mut world = world(vec![rule("chat", 8, "chat.started")]);
    world.at(hours(0), touch(device(70)).action("chat.started"));
    world.at(hours(1), touch(device(70)).skill("contracts"));
    let interaction =
        crate::command::RecordedInteraction { id: InteractionId(1), occurred_at: hours(0), visitor: VisitorId(1) };
    let other = lead(1, 2);
    let moved = |to| Command::MoveInteraction { interaction, recorded_in: LEAD, to, remaining: None };
    world.command(hours(2), moved(other)).expect("it moves");
    let discredit = || Command::DiscreditInteraction { interaction, recorded_in: Some(LEAD) };
    let events = world.command(hours(3), discredit()).expect("it is discredited");
    assert_eq!(names(&events), ["InteractionDiscredited", "ScoreChanged"]);
    assert_eq!((world.lead(LEAD).score, world.lead(other).score), (0, 0));
    assert_eq!(names(&world.command(hours(4), moved(LEAD)).expect("it moves back")), ["InteractionMoved"]);
    let again = world.command(hours(5), discredit());
    assert_eq!(again, Err(Refusal::AlreadyDiscredited { interaction: InteractionId(1), lead: LEAD }));
    assert!(world.lead(other).ledger.as_ref().is_some_and(|ledger| ledger.discredited.is_empty()));
}

#[test]
fn conditions_compare_fields_and_answers_about_sealed_data() {
    let mut german = rule("german", 3, "form.submitted");
    german.when.fields = vec![FieldTest { field: Field::Country, values: vec!["DE".into(), "AT".into()] }];
    let business = Sealed::from(SealedTest::EmailDomainNotIn(vec!["gmail.com".into()]));
    let mut company = rule("company", 5, "form.submitted");
    company.when.sealed = vec![business.clone()];
    let mut world = world(vec![german, company]);
    let form = |country, attributes| Touch {
        action: "form.submitted",
        details: Details { country: Some(country), ..Details::default() },
        attributes,
        ..touch(device(70))
    };
    world.at(hours(0), form("FR", &[]));
    assert_eq!(world.lead(LEAD).ledger, None, "nothing fired");
    world.at(hours(0), form("AT", &[]));
    assert_eq!(world.lead(LEAD).score, 3);
    let answer: &'static [(crate::Name, crate::Scalar)] =
        Box::leak(Box::new([(business.attribute, crate::Scalar::Bool(true))]));
    world.at(hours(0), form("FR", answer));
    assert_eq!(world.lead(LEAD).score, 8);
}

#[test]
fn a_full_ledger_takes_no_further_points() {
    let mut world = world(vec![rule("look", 1, "product.viewed")]);
    for _ in 0..crate::score::ROWS_MAX + 5 {
        world.at(hours(0), view("p"));
    }
    assert_eq!(world.lead(LEAD).ledger.as_ref().map(|ledger| ledger.rows.len()), Some(crate::score::ROWS_MAX));
}
