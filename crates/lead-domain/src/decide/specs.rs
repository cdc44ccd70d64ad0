//! Given, when, then: what follows from what. One policy and one notation for all specs; the specs stand by subject.

mod association;
mod bots;
mod commands;
mod erasure;
mod identity;
mod late;
mod life_cycle;
mod nurture;
mod scoring;

use super::{Refusal, decide};
use crate::book::Lead;
use crate::command::{Command, Input};
use crate::event::Event;
use crate::identifier::{Identifier, IdentifierKey, IdentifierKind, Identifiers};
use crate::ids::{InteractionId, LeadId, OrderKey, TenantId, VisitorId};
use crate::interaction::{Details, Interaction, Sale};
use crate::money::{Currency, Money};
use crate::policy::{ConversionRule, CountedFrom, CustomerIdMatch, EntryPoint, LeadType, Pick, Policy, Scoring};
use crate::shelf::Shelf;
use crate::time::{Period, Time};

const TENANT: TenantId = TenantId(1);

fn hours(hours: i64) -> Time {
    Time::from_millis(0).after(Period::from_hours(hours))
}

fn lead_type(name: &str, close_after: Period, counted_from: CountedFrom) -> LeadType {
    let converts_on = vec![
        ConversionRule { action: "purchase".into(), min_value: None, attributes: Vec::new() },
        ConversionRule { action: "upgrade".into(), min_value: Some(1_000), attributes: Vec::new() },
    ];
    LeadType {
        name: name.into(),
        title: name.into(),
        group: None,
        labels: Vec::new(),
        active: true,
        close_after,
        counted_from,
        converts_on,
    }
}

fn entry_point(name: &str, default: Option<&str>, also: &[&str], pick: Pick) -> EntryPoint {
    EntryPoint {
        name: name.into(),
        title: name.into(),
        default_lead_type: default.map(Into::into),
        also_allowed: also.iter().map(|name| (*name).into()).collect(),
        pick,
    }
}

/// `tablets` close 48 hours after their last interaction, `broadband` 72 hours after their first; `retired` is inactive.
fn policy() -> Policy {
    let retired =
        LeadType { active: false, ..lead_type("retired", Period::from_days(1), CountedFrom::LastInteraction) };
    let policy = Policy {
        tenant: "acme".into(),
        currency: Currency::new("EUR").expect("a currency"),
        lateness: Period::from_seconds(60),
        customer_id_match: CustomerIdMatch::Lenient,
        close_reasons: vec!["not_interested".into()],
        lead_types: vec![
            lead_type("tablets", Period::from_hours(48), CountedFrom::LastInteraction),
            lead_type("broadband", Period::from_hours(72), CountedFrom::FirstInteraction),
            retired,
        ],
        skills: vec![
            entry_point("chat", Some("tablets"), &["broadband"], Pick::MostRecent),
            entry_point("sales", Some("broadband"), &["tablets"], Pick::HighestScore),
            entry_point("contracts", Some("broadband"), &[], Pick::MostRecent),
            entry_point("support", None, &["tablets"], Pick::MostRecent),
        ],
        channels: vec![entry_point("web", Some("tablets"), &[], Pick::MostRecent)],
        scoring: Scoring::default(),
        nurture: crate::policy::Nurturing::default(),
        version: 1,
    };
    policy.checked(None).expect("a policy without faults")
}

/// A device's identifiers.
fn device(key: u128) -> Identifiers {
    Identifiers { visitor_id: Some(IdentifierKey(key)), ..Identifiers::default() }
}

/// A customer on a device.
fn customer(customer: u128, device_key: u128) -> Identifiers {
    Identifiers { customer_id: Some(IdentifierKey(customer)), ..device(device_key) }
}

fn email(key: u128) -> Identifiers {
    Identifiers { email: Some(IdentifierKey(key)), ..Identifiers::default() }
}

fn identifier(kind: IdentifierKind, key: u128) -> Identifier {
    Identifier { kind, key: IdentifierKey(key) }
}

fn lead(visitor: u64, ordinal: u32) -> LeadId {
    LeadId { visitor: VisitorId(visitor), ordinal }
}

fn sale(amount: i64, order: u128) -> Sale {
    let currency = Currency::new("EUR").expect("a currency");
    Sale { value: Some(Money { amount, currency }), rgus: 1, order: Some(OrderKey(order)) }
}

/// One touch; by default a page view on the web.
#[derive(Clone, Copy)]
struct Touch {
    identifiers: Identifiers,
    channel: &'static str,
    skill: Option<&'static str>,
    action: &'static str,
    sale: Option<Sale>,
    details: Details<'static>,
    attributes: &'static [(crate::Name, crate::Scalar)],
}

fn touch(identifiers: Identifiers) -> Touch {
    let details = Details::default();
    Touch { identifiers, channel: "web", skill: None, action: "page.viewed", sale: None, details, attributes: &[] }
}

impl Touch {
    fn skill(self, skill: &'static str) -> Self {
        Self { skill: Some(skill), ..self }
    }

    fn channel(self, channel: &'static str) -> Self {
        Self { channel, ..self }
    }

    fn action(self, action: &'static str) -> Self {
        Self { action, ..self }
    }

    fn buys(self, amount: i64, order: u128) -> Self {
        Self { action: "purchase", sale: Some(sale(amount, order)), ..self }
    }
}

/// A history under way.
struct World {
    policy: Policy,
    shelf: Shelf,
    inputs: u64,
}

impl World {
    fn new() -> Self {
        Self { policy: policy(), shelf: Shelf::default(), inputs: 0 }
    }

    /// Decides, and holds the decider to its promise: folding the stated events gives the books that it left.
    fn decide(&mut self, input: &Input<'_>) -> Result<Vec<Event>, Refusal> {
        let mut folded = self.shelf.clone();
        let mut events = Vec::new();
        let decided = decide(&self.policy, TENANT, &mut self.shelf, input, &mut events);
        for event in &events {
            folded.evolve(TENANT, event);
        }
        for visitor in self.shelf.visitors() {
            assert_eq!(self.shelf.book(visitor), folded.book(visitor), "the fold of the stated events");
        }
        if decided.is_err() {
            assert!(events.is_empty(), "a refusal states nothing");
        }
        decided.map(|_| events)
    }

    /// An interaction; its id is its number in the history, from 1.
    fn at(&mut self, time: Time, touch: Touch) -> Vec<Event> {
        self.inputs += 1;
        let interaction = Interaction {
            occurred_at: time,
            identifiers: touch.identifiers,
            channel: touch.channel,
            skill: touch.skill,
            action: touch.action,
            conversion: touch.sale,
            details: touch.details,
            attributes: touch.attributes,
        };
        let id = InteractionId(self.inputs);
        self.decide(&Input::Interaction(id, interaction)).expect("interactions are never refused")
    }

    fn command(&mut self, at: Time, command: Command) -> Result<Vec<Event>, Refusal> {
        self.decide(&Input::Command { at, command, expected_version: None })
    }

    fn tick(&mut self, visitor: u64, at: Time) -> Vec<Event> {
        self.decide(&Input::Deadline { visitor: VisitorId(visitor), at }).expect("ticks are never refused")
    }

    fn lead(&self, id: LeadId) -> &Lead {
        self.shelf.book(id.visitor).and_then(|book| book.lead(id)).expect("the lead is there")
    }
}

/// The names of events, for specs about what happens rather than with which values.
fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| format!("{event:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
    events.iter().map(name).collect()
}
