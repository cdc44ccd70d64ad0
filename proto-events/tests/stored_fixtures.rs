//! The stored format stays what it is: bytes that were written once are read for ever, and written alike.
//!
//! Fixtures are only ever added: `UPDATE_FIXTURES=1` writes those that are missing and never changes one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use lead_domain::event::{
    AfterUnmerge, AttachReason, Candidates, DiscreditReason, Event, OrphanReason, ReopenReason, ScoreReason,
};
use lead_domain::nurture::{NurtureEnd, Suppression, Wait};
use lead_domain::score::{Counted, Decay, Score, ScoreKind, ScoreRow, Temperature};
use lead_domain::{
    CloseCause, Currency, Identifier, IdentifierKey, IdentifierKind, InteractionId, LeadId, Money, OrderKey, Period,
    Time, VisitorId,
};
use proto_events::lead_event;
use proto_events::stored::v1::AskV1;
use proto_events::stored::{
    self, Attribute, CODEC, Campaign, Conflict, Device, Discredit, Erasure, Product, Quarantined, Released, RequestKey,
    Rescoring, SignedHead, StoredCommand, StoredPolicy, StoredSale, Value, decode_facts, decode_personal,
    encode_events, encode_input, encode_personal,
};
use proto_events::text::Text;
use proto_events::{Facts, InputFacts, InteractionFacts, Personal};

const LEAD: LeadId = LeadId { visitor: VisitorId(42), ordinal: 1 };
const OTHER: LeadId = LeadId { visitor: VisitorId(70_000), ordinal: 300 };
const AT: Time = Time::from_millis(1_710_325_274_250);
const LATER: Time = Time::from_millis(1_710_930_074_250);
const HASH: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;

fn text(text: &str) -> Option<Text> {
    Some(Text::from(text))
}

fn identifier(kind: IdentifierKind) -> Identifier {
    Identifier { kind, key: IdentifierKey(HASH) }
}

fn euros(amount: i64) -> Money {
    Money { amount, currency: Currency::new("EUR").unwrap() }
}

/// Every kind of event, in the order of their numbers.
#[expect(clippy::too_many_lines, reason = "one of each; splitting it would hide that all are there")]
fn events() -> Vec<Event> {
    let (visitor, other, interaction) = (VisitorId(42), VisitorId(70_000), InteractionId(1_042));
    vec![
        Event::VisitorCreated { visitor },
        Event::IdentifierLearned { visitor, identifier: identifier(IdentifierKind::Email) },
        Event::IdentifierMoved { identifier: identifier(IdentifierKind::VisitorId), from: other, to: visitor },
        Event::VisitorsMerged { survivor: visitor, absorbed: other },
        Event::VisitorsUnmerged { survivor: visitor, restored: other, afterwards: AfterUnmerge::KeepApart },
        Event::DuplicateSuspected { visitor, other, identifier: identifier(IdentifierKind::Phone) },
        Event::DuplicateSettled { visitor, other },
        Event::LeadOpened {
            lead: LEAD,
            visitor,
            lead_type: "tablets".into(),
            at: AT,
            customer: Some(IdentifierKey(HASH)),
            deadline: LATER,
        },
        Event::CustomerLearned { lead: LEAD, customer: IdentifierKey(HASH) },
        Event::InteractionAttached {
            lead: LEAD,
            interaction,
            occurred_at: AT,
            because: AttachReason::MostRecent,
            candidates: Candidates::from_slice(&[LEAD, OTHER]),
            deadline: LATER,
        },
        Event::InteractionOrphaned { interaction, reason: OrphanReason::NoDefaultLeadType },
        Event::InteractionMoved {
            interaction,
            occurred_at: AT,
            from: LEAD,
            to: OTHER,
            remaining: Some((AT, LATER)),
            from_deadline: LATER,
            to_deadline: LATER,
        },
        Event::ConversionRecorded {
            lead: LEAD,
            interaction: Some(interaction),
            at: AT,
            value: Some(euros(12_900)),
            rgus: 2,
            order: Some(OrderKey(HASH)),
        },
        Event::ConversionRepeated { lead: LEAD, order: OrderKey(HASH), counted_for: OTHER },
        Event::ConversionWithdrawn { lead: LEAD, at: AT, value: None, rgus: 0, order: None },
        Event::LeadClosed { lead: LEAD, cause: CloseCause::Operator, at: AT, reason: Some("duplicate".into()) },
        Event::LeadReopened { lead: LEAD, at: AT, because: ReopenReason::LateInteraction, deadline: LATER },
        Event::LeadTypeChanged { lead: LEAD, from: "tablets".into(), to: "broadband".into(), deadline: LATER },
        Event::LeadAssigned { lead: LEAD, owner: Some("ada".into()) },
        Event::NoteAdded { lead: LEAD },
        Event::AttributesSet { lead: LEAD, names: vec!["budget".into(), "seats".into()] },
        Event::InteractionCounted { lead: LEAD, interaction, at: AT, rules: vec!["often".into()], value: 12_900 },
        recounted(interaction),
        Event::ScoreChanged {
            lead: LEAD,
            at: AT,
            because: ScoreReason::Interaction,
            rows: vec![score_row()],
            score: Score { total: 2, fit: -1, engagement: 3, by_category: vec![("tablets".into(), 2)] },
        },
        Event::TemperatureChanged { lead: LEAD, at: AT, from: Temperature::Cold, to: Temperature::Warm, score: 25 },
        Event::StageEntered {
            lead: LEAD,
            at: AT,
            stage: "research".into(),
            from: Some("awareness".into()),
            stayed: Some(Period::from_hours(3)),
        },
        Event::ConsentChanged { visitor, medium: Some("email".into()), given: true, at: AT },
        Event::NurtureStarted {
            lead: LEAD,
            programme: "abandoned-cart".into(),
            at: AT,
            interaction: Some(interaction),
            wait: Wait::Until(LATER),
        },
        Event::NurtureStepDue {
            lead: LEAD,
            programme: "abandoned-cart".into(),
            step: 2,
            template: "cart-offer".into(),
            medium: Some("email".into()),
            at: LATER,
            due_at: AT,
            expires_at: LATER,
            passed_over: 1,
            wait: Some(Wait::Quiet(Period::from_hours(3))),
        },
        Event::NurtureStepSuppressed {
            lead: LEAD,
            programme: "abandoned-cart".into(),
            step: 1,
            template: "cart-reminder".into(),
            medium: None,
            at: LATER,
            due_at: AT,
            because: Suppression::Expired,
            wait: None,
        },
        Event::NurtureStopped {
            lead: LEAD,
            programme: "abandoned-cart".into(),
            at: AT,
            because: NurtureEnd::StopCondition,
        },
        discredited(DiscreditReason::BotRule("faster than people".into())),
        Event::VisitorErased { visitor, members: vec![visitor, other] },
    ]
}

fn recounted(interaction: InteractionId) -> Event {
    let counted = vec![Counted { interaction, at: AT, rule: "often".into(), value: 12_900 }];
    Event::InteractionsRecounted { lead: LEAD, counted }
}

fn discredited(because: DiscreditReason) -> Event {
    Event::InteractionDiscredited { lead: LEAD, interaction: InteractionId(1_042), at: AT, because }
}

fn score_row() -> ScoreRow {
    ScoreRow {
        interaction: InteractionId(1_042),
        at: AT,
        rule: "looked at a product".into(),
        policy_version: 3,
        group: "behaviour".into(),
        kind: ScoreKind::Engagement,
        points: 2,
        decay: Some(Decay { every: Period::from_days(7), percent: 25 }),
        category: Some("tablets".into()),
        limit_key: Some(u64::MAX),
        limited: true,
    }
}

fn interaction() -> InteractionFacts {
    let attribute = |name: &str, value| Attribute { name: Text::from(name), value };
    InteractionFacts {
        message: HASH,
        fingerprint: 0x0123_4567_89ab_cdef,
        channel: Text::from("web"),
        skill: text("chat-en-uk"),
        action: Text::from("purchase"),
        customer_id: Some(HASH),
        email: Some(1),
        phone: None,
        visitor_id: Some(u128::MAX),
        sale: Some(StoredSale { value: Some((-12_900, *b"EUR")), rgus: 2, order: Some(HASH) }),
        product: Some(Product {
            id: text("p1"),
            name: text("Tablet"),
            category: text("tablets"),
            price: Some((1, *b"CHF")),
        }),
        campaign: Some(Campaign { name: text("spring"), source: text("news"), ..Campaign::default() }),
        device: Some(Device { browser: text("Firefox"), kind: text("desktop"), os: None }),
        country: text("DE"),
        locale: text("de-DE"),
        attributes: vec![
            attribute("a", Value::Bool(true)),
            attribute("b", Value::Integer(-7)),
            attribute("c", Value::Decimal(Text::from("1.50"))),
            attribute("d", Value::Text(Text::from("ä"))),
        ],
    }
}

/// Every ask with its name, in the order of their numbers.
fn asks() -> Vec<(&'static str, AskV1)> {
    let (lead, other, recorded) = ((42, 1), (70_000, 300), (1_042, AT.as_millis(), 42));
    vec![
        ("open_lead", AskV1::OpenLead(42, Text::from("tablets"))),
        ("close_lead", AskV1::CloseLead(lead, Text::from("duplicate"))),
        ("convert_lead", AskV1::ConvertLead(lead, StoredSale { value: Some((12_900, *b"EUR")), rgus: 1, order: None })),
        ("withdraw_conversion", AskV1::WithdrawConversion(lead, Some(HASH))),
        ("reopen_lead", AskV1::ReopenLead(lead)),
        ("change_lead_type", AskV1::ChangeLeadType(lead, Text::from("broadband"))),
        ("assign_lead", AskV1::AssignLead(lead, text("ada"))),
        ("add_note", AskV1::AddNote(lead)),
        ("set_attributes", AskV1::SetAttributes(lead, vec![Text::from("budget")])),
        ("adopt_orphan", AskV1::AdoptOrphan(recorded, Some(lead), None)),
        ("move_interaction", AskV1::MoveInteraction(recorded, lead, other, Some((1, -1)))),
        ("merge_visitors", AskV1::MergeVisitors(42, 70_000)),
        ("unmerge_visitor", AskV1::UnmergeVisitor(42, true)),
        ("settle_duplicate", AskV1::SettleDuplicate(42, 70_000)),
    ]
}

/// Every step of scoring leads anew with its name.
fn rescorings() -> Vec<(&'static str, Rescoring)> {
    let request = Some(RequestKey { message: HASH, fingerprint: 5 });
    let attribute = Attribute { name: Text::from("?1234"), value: Value::Bool(true) };
    let answers = vec![(1_042, vec![attribute])];
    let (policy_version, leads, changed) = (3, 300, 7);
    vec![
        ("chosen", Rescoring::Chosen { policy_version, last_visitor: 70_000, request }),
        ("answered", Rescoring::Answered { policy_version, answers: answers.clone() }),
        (
            "visitor",
            Rescoring::Visitor {
                policy_version,
                member: 43,
                streams: vec![1_050, 70],
                answers,
                up_to: 43,
                leads,
                changed,
            },
        ),
        ("done", Rescoring::Done { policy_version, leads, changed, took: 1_234 }),
    ]
}

/// Both ways to ask about what is not to be collected.
fn suppressions(request: Option<RequestKey>) -> Vec<(String, InputFacts)> {
    let suppression = stored::Suppression {
        operator: Text::from("ada"),
        reason: Text::from("objects to profiling"),
        lifted: false,
        identifiers: vec![(1, HASH), (2, HASH + 1)],
        request: None,
    };
    vec![
        ("suppression".to_owned(), InputFacts::Suppression(suppression.clone())),
        ("keyed_suppression".to_owned(), {
            InputFacts::Suppression(stored::Suppression {
                lifted: true,
                identifiers: vec![(4, HASH)],
                request,
                ..suppression
            })
        }),
    ]
}

/// Every kind of input with its name.
fn inputs() -> Vec<(String, InputFacts)> {
    let quarantined = Quarantined {
        message: HASH,
        code: Text::from("bad_email"),
        path: Text::from("data.email"),
        message_text: Text::from("The address must have one @."),
        origin: Text::from("events.ndjson:17"),
    };
    let policy = StoredPolicy {
        version: 3,
        tenant: Text::from("acme"),
        document: "tenant = \"acme\"\n".to_owned(),
        request: None,
    };
    let released = Released { quarantined: 1_042, operator: Text::from("ada"), taken: None, request: None };
    let request = Some(RequestKey { message: HASH, fingerprint: 5 });
    let discredit = Discredit {
        operator: Text::from("ada"),
        expected_version: None,
        interaction: (1_042, AT.as_millis(), 42),
        recorded_in: Some((42, 1)),
        request: None,
    };
    let erasure = Erasure {
        operator: Text::from("ada"),
        visitor: 42,
        reason: Text::from("request of the person"),
        untaken_keys: Vec::new(),
        request: None,
    };
    let mut inputs = vec![
        ("discredit".to_owned(), InputFacts::Discredit(discredit.clone())),
        ("keyed_discredit".to_owned(), InputFacts::Discredit(Discredit { recorded_in: None, request, ..discredit })),
        ("interaction".to_owned(), InputFacts::Interaction(Box::new(interaction()))),
        ("interaction-least".to_owned(), InputFacts::Interaction(Box::default())),
        ("policy".to_owned(), InputFacts::Policy(policy.clone())),
        ("keyed_policy".to_owned(), InputFacts::Policy(StoredPolicy { request, ..policy })),
        ("released".to_owned(), InputFacts::Released(released.clone())),
        ("released_into".to_owned(), InputFacts::Released(Released { taken: Some(1_050), ..released.clone() })),
        ("keyed_release".to_owned(), InputFacts::Released(Released { taken: Some(1_050), request, ..released })),
        ("erasure".to_owned(), InputFacts::Erasure(erasure.clone())),
        ("keyed_erasure".to_owned(), InputFacts::Erasure(Erasure { untaken_keys: vec![1, 301], request, ..erasure })),
        (
            "signed_head".to_owned(),
            InputFacts::SignedHead(SignedHead { previous: 7, size: 1_042, note: Text::from("log\n1042\nroot\n") }),
        ),
        ("tick".to_owned(), InputFacts::Tick),
        ("deadline".to_owned(), InputFacts::Deadline),
        ("quarantined".to_owned(), InputFacts::Quarantined(quarantined)),
        ("conflict".to_owned(), InputFacts::Conflict(Conflict { message: HASH, original: 1_042, fingerprint: 5 })),
        ("state_root".to_owned(), InputFacts::StateRoot([0xab; 32])),
    ];
    inputs.extend(suppressions(request));
    inputs.extend(asks().into_iter().map(|(name, ask)| {
        let command = StoredCommand { operator: Text::from("ada"), expected_version: Some(7), ask, request: None };
        (format!("command-{name}"), InputFacts::Command(command))
    }));
    let ask = AskV1::ReopenLead((42, 1));
    let keyed = StoredCommand { operator: Text::from("ada"), expected_version: None, ask, request };
    inputs.push(("keyed_command".to_owned(), InputFacts::Command(keyed)));
    inputs.extend(
        rescorings().into_iter().map(|(name, step)| (format!("rescoring-{name}"), InputFacts::Rescoring(step))),
    );
    inputs
}

fn personal() -> Personal {
    Personal {
        source: Text::from("https://shop.example.com"),
        id: Text::from("0001"),
        customer_id: text("K-1"),
        email: text("ada@example.com"),
        email_raw: text("Ada@Example.com "),
        phone: text("+4930123456"),
        phone_raw: text("030 123456"),
        visitor_id: text("cookie-1"),
        name: text("Ada L"),
        order_id: text("O-1"),
        page_url: text("https://shop.example.com/p/1"),
        referrer: text("https://example.com"),
        user_agent: text("Mozilla/5.0"),
        attributes: vec![Attribute { name: Text::from("seat"), value: Value::Text(Text::from("12A")) }],
        note: text("called back"),
        bytes: Some(vec![0, 255, 7]),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> =
        bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    digits.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len() / 2).map(|place| u8::from_str_radix(&digits[place * 2..place * 2 + 2], 16).unwrap()).collect()
}

/// The committed bytes of a fixture, which must be those that are written today.
fn committed(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v1/{name}.hex"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !path.exists() {
        std::fs::write(&path, hex(written)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("fixture {name} is missing ({error}): run `UPDATE_FIXTURES=1 cargo nextest run --release -p proto-events --test stored_fixtures`")
    });
    let bytes = unhex(&text);
    assert_eq!(hex(written), hex(&bytes), "{name}: the stored format changed; a new shape needs a new version");
    bytes
}

fn encoded(facts: &Facts) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_input(&facts.input, &mut bytes);
    encode_events(&facts.events, &mut bytes);
    bytes
}

#[test]
fn every_event_is_stored_as_it_always_was() {
    let events = events();
    let mut names: Vec<&str> = events.iter().map(lead_event::name).collect();
    for event in &events {
        let facts = Facts { input: InputFacts::Deadline, events: vec![event.clone()] };
        let bytes = committed(&format!("event-{}", lead_event::name(event)), &encoded(&facts));
        assert_eq!(decode_facts(CODEC, &bytes).unwrap(), facts);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 33, "one fixture for each kind of event");
}

#[test]
fn a_discredit_of_an_operator_is_stored_as_it_always_was() {
    let facts = Facts { input: InputFacts::Deadline, events: vec![discredited(DiscreditReason::Operator)] };
    let bytes = committed("event-interaction_discredited-operator", &encoded(&facts));
    assert_eq!(decode_facts(CODEC, &bytes).unwrap(), facts);
}

#[test]
fn every_input_is_stored_as_it_always_was() {
    for (name, input) in inputs() {
        let facts = Facts { input, events: Vec::new() };
        let bytes = committed(&format!("input-{name}"), &encoded(&facts));
        assert_eq!(decode_facts(CODEC, &bytes).unwrap(), facts, "{name}");
    }
}

#[test]
fn every_personal_part_is_stored_as_it_always_was() {
    for (name, personal) in [("personal", personal()), ("personal-least", Personal::default())] {
        let mut written = Vec::new();
        encode_personal(&personal, &mut written);
        assert_eq!(decode_personal(CODEC, &committed(name, &written)).unwrap(), personal);
    }
}

#[test]
fn an_interaction_is_encoded_alike_by_itself_and_as_an_input() {
    let (mut alone, mut input) = (Vec::new(), Vec::new());
    stored::encode_interaction(&interaction(), &mut alone);
    encode_input(&InputFacts::Interaction(Box::new(interaction())), &mut input);
    assert_eq!(alone, input);
}

#[test]
fn a_newer_codec_and_left_over_bytes_are_errors() {
    let mut bytes = encoded(&Facts { input: InputFacts::Tick, events: events() });
    assert!(decode_facts(CODEC + 1, &bytes).is_err());
    assert!(decode_personal(CODEC + 1, &[]).is_err());
    bytes.push(0);
    assert!(decode_facts(CODEC, &bytes).is_err());
    for length in 0..bytes.len() - 1 {
        assert!(decode_facts(CODEC, &bytes[..length]).is_err(), "cut at {length}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn leads() -> impl Strategy<Value = LeadId> {
        (any::<u64>(), any::<u32>()).prop_map(|(visitor, ordinal)| LeadId { visitor: VisitorId(visitor), ordinal })
    }

    fn times() -> impl Strategy<Value = Time> {
        any::<i64>().prop_map(Time::from_millis)
    }

    fn sales() -> impl Strategy<Value = (Option<Money>, u32, Option<OrderKey>)> {
        let money = (any::<i64>(), "[A-Z]{3}")
            .prop_map(|(amount, code)| Money { amount, currency: Currency::new(&code).unwrap() });
        (proptest::option::of(money), any::<u32>(), proptest::option::of(any::<u128>().prop_map(OrderKey)))
    }

    fn arbitrary_event() -> impl Strategy<Value = Event> {
        let kinds = (0..4_usize).prop_map(|place| IdentifierKind::STRONGEST_FIRST[place]);
        let identifiers = (kinds, any::<u128>()).prop_map(|(kind, key)| Identifier { kind, key: IdentifierKey(key) });
        let visitors = || any::<u64>().prop_map(VisitorId);
        let interactions = || any::<u64>().prop_map(InteractionId);
        prop_oneof![
            (visitors(), identifiers)
                .prop_map(|(visitor, identifier)| Event::IdentifierLearned { visitor, identifier }),
            (leads(), visitors(), "\\PC{0,40}", times(), proptest::option::of(any::<u128>()), times()).prop_map(
                |(lead, visitor, lead_type, at, customer, deadline)| Event::LeadOpened {
                    lead,
                    visitor,
                    lead_type: lead_type.into(),
                    at,
                    customer: customer.map(IdentifierKey),
                    deadline,
                }
            ),
            (leads(), interactions(), times(), proptest::collection::vec(leads(), 0..5), times()).prop_map(
                |(lead, interaction, occurred_at, candidates, deadline)| Event::InteractionAttached {
                    lead,
                    interaction,
                    occurred_at,
                    because: AttachReason::LateHistory,
                    candidates: candidates.into_iter().collect(),
                    deadline,
                }
            ),
            (interactions(), times(), leads(), leads(), proptest::option::of((times(), times())), times()).prop_map(
                |(interaction, occurred_at, from, to, remaining, deadline)| Event::InteractionMoved {
                    interaction,
                    occurred_at,
                    from,
                    to,
                    remaining,
                    from_deadline: deadline,
                    to_deadline: occurred_at,
                }
            ),
            (leads(), proptest::option::of(interactions()), times(), sales()).prop_map(
                |(lead, interaction, at, (value, rgus, order))| Event::ConversionRecorded {
                    lead,
                    interaction,
                    at,
                    value,
                    rgus,
                    order,
                }
            ),
            (leads(), times(), proptest::option::of("\\PC{0,40}")).prop_map(|(lead, at, reason)| Event::LeadClosed {
                lead,
                cause: CloseCause::Erased,
                at,
                reason: reason.map(Into::into),
            }),
            (leads(), proptest::collection::vec("\\PC{0,40}", 0..4)).prop_map(|(lead, names)| Event::AttributesSet {
                lead,
                names: names.into_iter().map(Into::into).collect(),
            }),
            (0..events().len()).prop_map(|place| events()[place].clone()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn events_come_back_as_they_were(events in proptest::collection::vec(arbitrary_event(), 0..8)) {
            let facts = Facts { input: InputFacts::Tick, events };
            prop_assert_eq!(decode_facts(CODEC, &encoded(&facts)).unwrap(), facts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..20_u8) {
            let _ = decode_personal(CODEC, &bytes);
            let _ = decode_facts(CODEC, &[&[kind], bytes.as_slice()].concat());
        }

        #[test]
        fn no_damage_makes_it_panic(place in any::<usize>(), byte in any::<u8>()) {
            let input = InputFacts::Interaction(Box::new(interaction()));
            let mut bytes = encoded(&Facts { input, events: events() });
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = decode_facts(CODEC, &bytes);
        }
    }
}
