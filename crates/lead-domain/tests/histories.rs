//! What must hold after any history: generated inputs of every kind, in any order of time.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests: a panic is a failure")]

#[path = "histories/programmes.rs"]
mod programmes;

use lead_domain::book::Status;
use lead_domain::command::{Adoption, Command, RecordedInteraction};
use lead_domain::decide::{Retraced, rescore, retrace, retrace_until};
use lead_domain::event::AfterUnmerge;
use lead_domain::interaction::{Details, Interaction, Sale};
use lead_domain::policy::bots::{BotRule, Burst};
use lead_domain::policy::condition::{Condition, Frequency};
use lead_domain::policy::scoring::{FunnelStage, LimitKey, RuleLimit, ScoreGroup, ScoringRule, Thresholds};
use lead_domain::policy::{
    ConversionRule, CountedFrom, CustomerIdMatch, EntryPoint, LeadType, Nurturing, Pick, Policy, Scoring,
};
use lead_domain::score::{Bounds, Decay, ScoreKind};
use lead_domain::{
    Currency, Event, IdentifierKey, Identifiers, Input, InteractionId, LeadId, Money, Name, OrderKey, Period, Shelf,
    TenantId, Time, VisitorId, decide,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const TENANT: TenantId = TenantId(1);
const TYPES: [&str; 4] = ["short", "long", "retired", "unheard-of"];
const CHANNELS: [&str; 4] = ["web", "shop", "support", "pigeon"];

/// Rules of every kind: capped, limited, decaying, negative, by frequency and by money spent.
fn scoring() -> Scoring {
    let rule = |name: &str, points, when| ScoringRule {
        name: name.into(),
        group: "behaviour".into(),
        points,
        when,
        limit: None,
        by_category: false,
        decay: None,
    };
    let action = |action: &str| Condition { action: Some(action.into()), ..Condition::default() };
    let lately = |at_least, total_value_at_least| {
        Some(Frequency { at_least, total_value_at_least, within: Period::from_hours(20) })
    };
    let decay = |hours, percent| Some(Decay { every: Period::from_hours(hours), percent });
    let limit = Some(RuleLimit { times: 3, within: Some(Period::from_hours(6)), per: Some(LimitKey::Channel) });
    let mut scoring = Scoring::default();
    scoring.total = Bounds { cap: Some(60), floor: Some(-15) };
    let bounds = Bounds { cap: Some(50), floor: Some(-20) };
    scoring.groups = vec![ScoreGroup { name: "behaviour".into(), kind: ScoreKind::Engagement, bounds }];
    scoring.rules = vec![
        ScoringRule { decay: decay(7, 30), ..rule("viewed", 9, action("page.viewed")) },
        ScoringRule { limit, decay: decay(3, 100), ..rule("limited", 5, action("page.viewed")) },
        rule("often", 6, Condition { frequency: lately(Some(3), None), ..action("page.viewed") }),
        rule("spent", 20, Condition { frequency: lately(None, Some(150)), ..action("purchase") }),
        ScoringRule { decay: decay(11, 40), ..rule("bought", -30, action("purchase")) },
    ];
    let bots = |name: &str, faster_than, burst| BotRule { name: name.into(), sealed: Vec::new(), faster_than, burst };
    let burst = Some(Burst { at_least: 4, within: Period::from_hours(6) });
    scoring.bot_rules = vec![bots("fast", Some(Period::from_hours(1)), None), bots("burst", None, burst)];
    scoring.temperature = Some(Thresholds { warm: 10, hot: 30, hysteresis: 4 });
    let returning = Condition { returning_customer: Some(true), ..Condition::default() };
    scoring.stages = [("begun", None), ("bought", Some(action("purchase"))), ("kept", Some(returning))]
        .map(|(name, enter_when)| FunnelStage { name: name.into(), enter_when })
        .to_vec();
    scoring
}

fn policy(strict: bool) -> Policy {
    let lead_type = |name: &str, hours, counted_from, active| LeadType {
        name: name.into(),
        title: name.into(),
        group: None,
        labels: Vec::new(),
        active,
        close_after: Period::from_hours(hours),
        counted_from,
        converts_on: vec![ConversionRule { action: "purchase".into(), min_value: None, attributes: Vec::new() }],
    };
    let point = |name: &str, default: Option<&str>, also: &[&str], pick| EntryPoint {
        name: name.into(),
        title: name.into(),
        default_lead_type: default.map(Into::into),
        also_allowed: also.iter().map(|name| (*name).into()).collect(),
        pick,
    };
    let policy = Policy {
        tenant: "acme".into(),
        currency: Currency::new("EUR").expect("a currency"),
        lateness: Period::from_seconds(60),
        customer_id_match: if strict { CustomerIdMatch::Strict } else { CustomerIdMatch::Lenient },
        close_reasons: vec!["wrong_number".into()],
        lead_types: vec![
            lead_type("short", 10, CountedFrom::LastInteraction, true),
            lead_type("long", 30, CountedFrom::FirstInteraction, true),
            lead_type("retired", 5, CountedFrom::LastInteraction, false),
        ],
        skills: Vec::new(),
        channels: vec![
            point("web", Some("short"), &["long"], Pick::MostRecent),
            point("shop", Some("long"), &[], Pick::HighestScore),
            point("support", None, &["short"], Pick::MostRecent),
        ],
        scoring: scoring(),
        nurture: programmes::nurturing(),
        version: 1,
    };
    policy.checked(None).expect("a policy without faults")
}

/// One step of a history; numbers name visitors, leads and the like loosely, so that many are there and some are not.
#[derive(Clone, Debug)]
enum Step {
    Touch { hour: i64, ids: [Option<u8>; 4], channel: usize, purchase: Option<u8> },
    Tick { hour: i64 },
    Ask { hour: i64, command: Command, version: Option<u32> },
}

fn visitor() -> impl Strategy<Value = VisitorId> {
    (0_u64..8).prop_map(VisitorId)
}

fn lead() -> impl Strategy<Value = LeadId> {
    (visitor(), 0_u32..5).prop_map(|(visitor, ordinal)| LeadId { visitor, ordinal })
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        20 => (0_i64..200).prop_map(|hour| Time::from_millis(hour * 3_600_000)),
        1 => any::<i64>().prop_map(Time::from_millis),
    ]
}

fn recorded() -> impl Strategy<Value = RecordedInteraction> {
    (0_u64..60, time(), visitor()).prop_map(|(id, occurred_at, visitor)| RecordedInteraction {
        id: InteractionId(id),
        occurred_at,
        visitor,
    })
}

fn sale(order: Option<u8>) -> Sale {
    let currency = Currency::new("EUR").expect("a currency");
    let order = order.map(|order| OrderKey(u128::from(order)));
    Sale { value: Some(Money { amount: 100, currency }), rgus: 1, order }
}

fn lead_type() -> impl Strategy<Value = Name> {
    (0..TYPES.len()).prop_map(|place| Name::new(TYPES[place]))
}

fn command() -> impl Strategy<Value = Command> {
    let afterwards = prop_oneof![Just(AfterUnmerge::MayMergeAgain), Just(AfterUnmerge::KeepApart)];
    prop_oneof![
        (visitor(), lead_type()).prop_map(|(visitor, lead_type)| Command::OpenLead { visitor, lead_type }),
        lead().prop_map(|lead| Command::CloseLead { lead, reason: "wrong_number".into() }),
        lead().prop_map(|lead| Command::CloseLead { lead, reason: "boredom".into() }),
        (lead(), option::of(0_u8..4)).prop_map(|(lead, order)| Command::ConvertLead { lead, sale: sale(order) }),
        (lead(), option::of(0_u128..4))
            .prop_map(|(lead, order)| Command::WithdrawConversion { lead, order: order.map(OrderKey) }),
        lead().prop_map(|lead| Command::ReopenLead { lead }),
        (lead(), lead_type()).prop_map(|(lead, lead_type)| Command::ChangeLeadType { lead, lead_type }),
        lead().prop_map(|lead| Command::AssignLead { lead, owner: Some("dana".into()) }),
        lead().prop_map(|lead| Command::AddNote { lead }),
        lead().prop_map(|lead| Command::SetAttributes { lead, names: vec!["size".into()] }),
        (recorded(), lead()).prop_map(|(orphan, lead)| Command::AdoptOrphan { orphan, into: Adoption::Lead(lead) }),
        (recorded(), lead_type())
            .prop_map(|(orphan, name)| Command::AdoptOrphan { orphan, into: Adoption::NewLead(name) }),
        (recorded(), lead(), lead(), option::of((time(), time()))).prop_map(
            |(interaction, recorded_in, to, remaining)| Command::MoveInteraction {
                interaction,
                recorded_in,
                to,
                remaining: remaining.map(|(a, b)| (a.min(b), a.max(b))),
            }
        ),
        (recorded(), option::of(lead()))
            .prop_map(|(interaction, recorded_in)| Command::DiscreditInteraction { interaction, recorded_in }),
        (visitor(), visitor()).prop_map(|(one, other)| Command::MergeVisitors { one, other }),
        (visitor(), afterwards).prop_map(|(visitor, afterwards)| Command::UnmergeVisitor { visitor, afterwards }),
        (visitor(), visitor()).prop_map(|(one, other)| Command::SettleDuplicate { one, other }),
        visitor().prop_map(|visitor| Command::EraseVisitor { visitor, reason: "asked for it".into() }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let id = || option::weighted(0.4, 0_u8..4);
    prop_oneof![
        6 => (0_i64..200, [id(), id(), id(), id()], 0..CHANNELS.len(), option::weighted(0.15, 0_u8..6))
            .prop_map(|(hour, ids, channel, purchase)| Step::Touch { hour, ids, channel, purchase }),
        1 => (0_i64..250).prop_map(|hour| Step::Tick { hour }),
        3 => (0_i64..250, command(), option::weighted(0.1, 0_u32..6))
            .prop_map(|(hour, command, version)| Step::Ask { hour, command, version }),
    ]
}

/// Everything that was stated, and where it led.
#[derive(Default)]
struct Story {
    shelf: Shelf,
    events: Vec<Event>,
    interactions: u64,
    placed: u64,
    records: Vec<Record>,
    clock: Option<Time>,
}

/// What the log would hold of one decision.
struct Record {
    visitor: VisitorId,
    at: Time,
    touch: Option<(u64, Step)>,
    events: std::ops::Range<usize>,
}

impl Story {
    fn take(&mut self, policy: &Policy, step: &Step) {
        match step {
            Step::Touch { hour, ids, channel, purchase } => self.touch(policy, *hour, *ids, *channel, *purchase),
            Step::Tick { hour } => {
                for visitor in self.shelf.visitors() {
                    let at = Time::from_millis(hour * 3_600_000);
                    let (input, first) = (Input::Deadline { visitor, at }, self.events.len());
                    decide(policy, TENANT, &mut self.shelf, &input, &mut self.events).expect("never refused");
                    self.clock = self.clock.max(Some(at));
                    self.note(visitor, at, None, first);
                    let open = self.shelf.book(visitor).expect("a book").next_deadline();
                    assert!(open.is_none_or(|deadline| deadline > at), "a tick leaves nothing due");
                }
            }
            Step::Ask { hour, command, version } => {
                let at = Time::from_millis(hour * 3_600_000);
                let input = Input::Command { at, command: command.clone(), expected_version: *version };
                let before = (self.shelf.clone(), self.events.len());
                let decided = decide(policy, TENANT, &mut self.shelf, &input, &mut self.events);
                if decided.is_err() {
                    assert_eq!(books(&before.0), books(&self.shelf), "a refusal changes nothing");
                    assert_eq!(before.1, self.events.len(), "a refusal states nothing");
                }
                if let Ok(visitor) = decided {
                    self.note(visitor, at, None, before.1);
                }
            }
        }
    }

    fn touch(&mut self, policy: &Policy, hour: i64, ids: [Option<u8>; 4], channel: usize, purchase: Option<u8>) {
        self.interactions += 1;
        let step = Step::Touch { hour, ids, channel, purchase };
        let interaction = interaction(&step).expect("a touch");
        let (at, first) = (interaction.occurred_at, self.events.len());
        let input = Input::Interaction(InteractionId(self.interactions), interaction);
        let visitor = decide(policy, TENANT, &mut self.shelf, &input, &mut self.events).expect("never refused");
        self.note(visitor, at, Some((self.interactions, step)), first);
        let placed = self.events[first..]
            .iter()
            .filter(|event| matches!(event, Event::InteractionAttached { .. } | Event::InteractionOrphaned { .. }));
        assert_eq!(placed.count(), 1, "every interaction is in exactly one lead or orphaned");
        self.placed += 1;
    }

    fn note(&mut self, visitor: VisitorId, at: Time, touch: Option<(u64, Step)>, first: usize) {
        self.records.push(Record { visitor, at, touch, events: first..self.events.len() });
    }

    /// The whole history with its scores by a policy, up to the clock.
    fn retraced(&self, policy: &Policy) -> Shelf {
        let (mut shelf, mut stated) = (Shelf::default(), Vec::new());
        for record in &self.records {
            let touch = record.touch.as_ref();
            let taken = touch.and_then(|(id, step)| Some(Input::Interaction(InteractionId(*id), interaction(step)?)));
            let events = &self.events[record.events.clone()];
            let record = Retraced { visitor: record.visitor, at: record.at, interaction: taken.as_ref(), events };
            retrace(policy, TENANT, &mut shelf, &record, &mut stated);
        }
        for (visitor, clock) in shelf.visitors().into_iter().zip(std::iter::repeat(self.clock)) {
            retrace_until(policy, TENANT, &mut shelf, visitor, clock.unwrap_or(Time::MIN), &mut stated);
        }
        shelf
    }

    /// Scores all open leads anew, as publishing a draft with `rescore = open` does.
    fn rescore(&mut self, policy: &Policy) {
        let scored = self.retraced(policy);
        let at = self.clock.unwrap_or(Time::MIN);
        for visitor in (1..=self.shelf.last_visitor().0).map(VisitorId) {
            let first = self.events.len();
            let found = rescore(policy, TENANT, &mut self.shelf, &scored, (visitor, at), &mut self.events);
            assert!(!found.goes_on);
            let again = self.events.len();
            let settled = rescore(policy, TENANT, &mut self.shelf, &scored, (visitor, at), &mut self.events);
            assert_eq!((settled.changed, self.events.len()), (0, again), "nothing is stated twice");
            if again > first {
                self.note(self.shelf.survivor(visitor), self.clock.unwrap_or(Time::MIN), None, first);
            }
        }
    }
}

/// What a touch brings.
fn interaction(step: &Step) -> Option<Interaction<'static>> {
    let Step::Touch { hour, ids, channel, purchase } = step else { return None };
    let [customer_id, email, phone, visitor_id] = ids.map(|id| id.map(|id| IdentifierKey(u128::from(id))));
    Some(Interaction {
        occurred_at: Time::from_millis(hour * 3_600_000),
        identifiers: Identifiers { customer_id, email, phone, visitor_id },
        channel: CHANNELS[*channel],
        skill: None,
        action: if purchase.is_some() { "purchase" } else { "page.viewed" },
        conversion: purchase.map(|order| sale(Some(order))),
        details: Details::default(),
        attributes: &[],
    })
}

/// Another model: rules that go, come, and mean something else under the same name, other decay and other thresholds.
fn draft() -> Policy {
    let mut draft = policy(false);
    draft.version = 2;
    let scoring = &mut draft.scoring;
    scoring.total = Bounds { cap: Some(80), floor: None };
    scoring.rules.remove(1);
    scoring.rules[0].points = 12;
    scoring.rules[0].decay = Some(Decay { every: Period::from_hours(5), percent: 20 });
    scoring.rules[1].when.action = None;
    scoring.rules[1].when.frequency =
        Some(Frequency { at_least: Some(2), total_value_at_least: None, within: Period::from_hours(50) });
    scoring.rules[2].points = -7;
    scoring.rules.push(ScoringRule { name: "new".into(), points: 4, ..scoring.rules[0].clone() });
    scoring.temperature = Some(Thresholds { warm: 12, hot: 25, hysteresis: 3 });
    scoring.stages.remove(1);
    draft.checked(None).expect("a policy without faults")
}

/// What a draft decides about a lead.
type Decided = (i32, Vec<lead_domain::ScoreRow>, Option<lead_domain::Temperature>, Option<Name>);

fn decided(lead: &lead_domain::Lead) -> Decided {
    let rows = lead.ledger.as_ref().map(|ledger| ledger.rows.clone()).unwrap_or_default();
    let temperature = lead.ledger.as_ref().map(|ledger| ledger.temperature);
    (lead.score, rows, temperature, lead.stage().cloned())
}

fn books(shelf: &Shelf) -> Vec<lead_domain::Book> {
    shelf.visitors().into_iter().filter_map(|visitor| shelf.book(visitor).cloned()).collect()
}

/// The score shown is the sum of the rows, within all bounds, and everything that follows from it does.
fn check_score(lead: &lead_domain::Lead) {
    let Some(ledger) = &lead.ledger else {
        assert_eq!(lead.score, 0);
        return;
    };
    let scoring = scoring();
    let rows: Vec<&lead_domain::ScoreRow> = ledger.rows.iter().collect();
    let score = scoring.score(&rows, ledger.at);
    assert_eq!(score, ledger.score, "the sum of the rows is the score shown");
    assert_eq!(lead.score, score.total);
    assert!((-15..=60).contains(&score.total) && score.total == score.fit + score.engagement);
    let discredited = &ledger.discredited;
    assert!(discredited.windows(2).all(|pair| pair[0] < pair[1]), "sorted");
    assert!(!rows.iter().any(|row| discredited.contains(&row.interaction)), "what is discredited has no points");
    assert!(rows.windows(2).all(|pair| pair[0].place() < pair[1].place()), "one row for an interaction and a rule");
    assert_eq!(scoring.temperature(ledger.temperature, score.total), ledger.temperature, "no crossing is missing");
    assert_eq!(ledger.next_step, rows.iter().filter_map(|row| row.next_change(ledger.at)).min());
    assert!(ledger.stage.is_some());
}

fn check_invariants(story: &Story) {
    let mut folded = Shelf::default();
    story.events.iter().for_each(|event| folded.evolve(TENANT, event));
    assert_eq!(books(&folded), books(&story.shelf), "folding the events gives the books");
    let mut orders = Vec::new();
    for book in books(&story.shelf) {
        assert!(book.members.iter().any(|member| member.visitor == book.visitor && member.into == book.visitor));
        let customers =
            book.identifiers.iter().filter(|held| held.identifier.kind == lead_domain::IdentifierKind::CustomerId);
        assert!(customers.count() <= 1, "two different customers are never one visitor");
        for held in &book.identifiers {
            assert_eq!(story.shelf.visitor_of(held.identifier), Some(book.visitor), "identifiers lead to their book");
            assert!(book.has_member(held.by));
        }
        for lead in &book.leads {
            check_score(lead);
            assert!(lead.first_interaction_at <= lead.last_interaction_at);
            assert!(book.has_member(lead.id.visitor));
            if lead.status == Status::Open {
                assert!(lead.interactions == 0 || lead.deadline >= lead.last_interaction_at);
            }
            orders.extend(lead.counted_conversions().filter_map(|sale| sale.order));
        }
    }
    let counted = orders.len();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), counted, "an order counts once per tenant");
    assert_eq!(story.placed, story.interactions);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_global_rejects: 100_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_keeps_the_rules(steps in vec(step(), 1..60), strict: bool) {
        let policy = policy(strict);
        let mut story = Story::default();
        for step in &steps {
            story.take(&policy, step);
        }
        check_invariants(&story);
    }

    #[test]
    fn any_order_of_waking_up_gives_the_same_events(
        mut touches in vec((0_i64..200, option::weighted(0.2, 0_u8..6), 0_u8..2), 1..40),
        ticks in vec(0_i64..200, 0..30),
    ) {
        touches.sort_unstable();
        // Steps of programmes are for ticks to state, so they are what differs by when ticks come.
        let policy = Policy { nurture: Nurturing::default(), ..policy(false) };
        let (mut asleep, mut awake) = (Story::default(), Story::default());
        let end = Step::Tick { hour: 400 };
        let mut ticks = ticks;
        ticks.sort_unstable();
        for (hour, purchase, visitor) in touches {
            while let Some(tick) = ticks.first().copied().filter(|tick| *tick <= hour) {
                ticks.remove(0);
                awake.take(&policy, &Step::Tick { hour: tick });
            }
            let touch = Step::Touch { hour, ids: [None, None, None, Some(visitor)], channel: 0, purchase };
            asleep.take(&policy, &touch);
            awake.take(&policy, &touch);
        }
        asleep.take(&policy, &end);
        awake.take(&policy, &end);
        prop_assert_eq!(books(&asleep.shelf), books(&awake.shelf));
        // Each visitor's own events come in the same order; only visitors may come in another one.
        for visitor in asleep.shelf.visitors() {
            let of = |story: &Story| -> Vec<Event> {
                let own = |event: &&Event| event.leads().iter().any(|lead| lead.visitor == visitor);
                story.events.iter().filter(own).cloned().collect()
            };
            prop_assert_eq!(of(&asleep), of(&awake));
        }
    }

    #[test]
    fn no_step_comes_twice_or_early_or_after_its_programme_ended(steps in vec(step(), 1..80)) {
        let policy = policy(false);
        let mut story = Story::default();
        for step in &steps {
            story.take(&policy, step);
        }
        programmes::check(&policy, &story.events);
    }

    #[test]
    fn retracing_by_the_same_rules_gives_the_same_scores(steps in vec(step(), 1..60), end in 0_i64..300) {
        let policy = policy(false);
        let mut story = Story::default();
        for step in &steps {
            story.take(&policy, step);
        }
        let end = end.max(story.clock.map_or(0, |clock| clock.as_millis() / 3_600_000));
        story.take(&policy, &Step::Tick { hour: end });
        let scored = story.retraced(&policy);
        for (live, scored) in books(&story.shelf).into_iter().zip(books(&scored)) {
            prop_assert_eq!(live, scored);
        }
    }

    #[test]
    fn a_draft_that_is_published_equals_the_same_history_scored_by_it_from_the_start(
        before in vec(step(), 1..50),
        after in vec(step(), 0..30),
        end in 0_i64..300,
    ) {
        let (live, draft) = (policy(false), draft());
        let mut story = Story::default();
        for step in &before {
            story.take(&live, step);
        }
        // Leads that were closed keep the scores of their ends.
        let is_closed = |lead: &&lead_domain::Lead| lead.status != Status::Open;
        let books_then = books(&story.shelf);
        let mut closed: Vec<LeadId> =
            books_then.iter().flat_map(|book| &book.leads).filter(is_closed).map(|lead| lead.id).collect();
        story.rescore(&draft);
        let scored = story.retraced(&draft);
        for lead in books(&story.shelf).iter().flat_map(|book| &book.leads).filter(|lead| lead.is_open()) {
            let expected = scored.book(lead.id.visitor).and_then(|book| book.lead(lead.id)).expect("it is there");
            prop_assert_eq!(decided(lead), decided(expected), "{} as it is published", lead.id);
        }
        let published = story.events.len();
        for step in &after {
            story.take(&draft, step);
        }
        // An interaction that moves from one of them takes its points along as they are.
        for event in &story.events[published..] {
            if let Event::InteractionMoved { from, to, .. } = event
                && closed.contains(from)
            {
                closed.push(*to);
            }
        }
        let end = end.max(story.clock.map_or(0, |clock| clock.as_millis() / 3_600_000));
        story.take(&draft, &Step::Tick { hour: end });
        let scored = story.retraced(&draft);
        for lead in books(&story.shelf).iter().flat_map(|book| &book.leads).filter(|lead| !closed.contains(&lead.id)) {
            let expected = scored.book(lead.id.visitor).and_then(|book| book.lead(lead.id)).expect("it is there");
            prop_assert_eq!(decided(lead), decided(expected), "{}", lead.id);
        }
        let mut folded = Shelf::default();
        story.events.iter().for_each(|event| folded.evolve(TENANT, event));
        prop_assert_eq!(books(&folded), books(&story.shelf), "folding the events gives the books");
    }

    #[test]
    fn the_same_inputs_give_the_same_events(steps in vec(step(), 1..40)) {
        let policy = policy(false);
        let (mut one, mut other) = (Story::default(), Story::default());
        for step in &steps {
            one.take(&policy, step);
            other.take(&policy, step);
        }
        prop_assert_eq!(one.events, other.events);
    }

    #[test]
    fn merging_and_unmerging_is_the_identity(steps in vec(step(), 1..40), one in visitor(), other in visitor()) {
        let policy = policy(false);
        let mut story = Story::default();
        for step in &steps {
            story.take(&policy, step);
        }
        let before = books(&story.shelf);
        let (one, other) = (story.shelf.survivor(one), story.shelf.survivor(other));
        let at = Time::from_millis(0);
        let merge = Input::Command { at, command: Command::MergeVisitors { one, other }, expected_version: None };
        let mut events = Vec::new();
        prop_assume!(decide(&policy, TENANT, &mut story.shelf, &merge, &mut events).is_ok());
        let command =
            Command::UnmergeVisitor { visitor: one.max(other), afterwards: AfterUnmerge::MayMergeAgain };
        let unmerge = Input::Command { at, command, expected_version: None };
        decide(&policy, TENANT, &mut story.shelf, &unmerge, &mut events).expect("it was just merged");
        prop_assert_eq!(before, books(&story.shelf));
    }
}
