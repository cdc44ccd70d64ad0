//! A small world that writes a log: a policy, a shelf that decides, sealed parts, and a listing that follows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use event_log::{Batch, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use key_vault::{KeySlot, KeyVault, MasterKey, SEAL_OVERHEAD, SubjectKey};
use lead_domain::command::{Adoption, RecordedInteraction};
use lead_domain::decide::{Retraced, rescore, retrace, retrace_until};
use lead_domain::{
    Command, Event, Input, InteractionId, LeadId, Policy, Refusal, Shelf, TenantId, Time, VisitorId, decide,
};
use listing::{LeadQuery, LeadRow, Listing, ListingReader};
use projector::Projector;
use projector::contract::Story;
use proto_events::stored::{self, Attribute, Campaign, Device, Product, StoredPolicy, StoredSale, Value};
use proto_events::{Facts, InputFacts, InteractionFacts, Personal, policy_document};
use tempfile::TempDir;

/// The tenant of every test, but for those about two.
pub(crate) const ACME: TenantId = TenantId(1);
const HOUR: i64 = 3_600_000;

const POLICY: &str = r#"
tenant = "acme"
currency = "EUR"
time_zone = "Europe/Berlin"
phone_region = "DE"
close_reasons = ["not_interested", "duplicate"]

[[lead_type]]
name = "tablets"
title = "Tablets"
group = "devices"
active = true
close_after = "48h"
counted_from = "last_interaction"
converts_on = [{ action = "purchase" }]

[[lead_type]]
name = "broadband"
title = "Broadband"
group = "connectivity"
active = true
close_after = "72h"
counted_from = "first_interaction"
converts_on = [{ action = "purchase" }]

[[skill]]
name = "sales"
title = "Sales"
default_lead_type = "broadband"

[[skill]]
name = "support"
title = "Support"

[[channel]]
name = "web"
title = "Web"
default_lead_type = "tablets"

[[channel]]
name = "chat"
title = "Chat"
default_lead_type = "tablets"
also_allowed = ["broadband"]

[scoring.grid]
fit = { A = 20, B = 10 }
engagement = { 1 = 50, 2 = 20 }
"#;

/// A log that grows by what is decided, and where it is followed.
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) vault: Arc<KeyVault>,
    pub(crate) shelf: Shelf,
    pub(crate) folder: TempDir,
    policy: Policy,
    document: String,
    previous: BTreeMap<u64, LogPosition>,
    /// When each interaction happened, whose it was, and which lead took it, as recorded.
    pub(crate) touched: BTreeMap<InteractionId, (Time, VisitorId, Option<LeadId>)>,
    /// Where each interaction is now.
    pub(crate) placed: BTreeMap<InteractionId, LeadId>,
}

/// An interaction to be.
#[derive(Clone, Default)]
pub(crate) struct Touching {
    pub(crate) hours: i64,
    pub(crate) facts: InteractionFacts,
    pub(crate) personal: Personal,
}

/// An interaction on the web, `hours` after the epoch.
pub(crate) fn touch(hours: i64) -> Touching {
    let mut touching = Touching { hours, ..Touching::default() };
    touching.facts.channel = "web".into();
    touching.facts.action = "page.viewed".into();
    touching.personal.source = "/tests".into();
    touching
}

pub(crate) fn hours(hours: i64) -> Time {
    Time::from_millis(hours * HOUR)
}

fn hash(kind: &str, text: &str) -> u128 {
    let hash = blake3::hash(format!("{kind} {text}").as_bytes());
    u128::from_be_bytes(*hash.as_bytes().first_chunk().unwrap())
}

impl Touching {
    pub(crate) fn cookie(mut self, value: &str) -> Self {
        self.facts.visitor_id = Some(hash("visitor_id", value));
        self.personal.visitor_id = Some(value.into());
        self
    }

    pub(crate) fn customer(mut self, value: &str) -> Self {
        self.facts.customer_id = Some(hash("customer_id", value));
        self.personal.customer_id = Some(value.into());
        self
    }

    pub(crate) fn email(mut self, value: &str) -> Self {
        self.facts.email = Some(hash("email", &value.to_lowercase()));
        self.personal.email = Some(value.to_lowercase().as_str().into());
        self.personal.email_raw = (value.to_lowercase() != value).then(|| value.into());
        self
    }

    pub(crate) fn phone(mut self, value: &str) -> Self {
        self.facts.phone = Some(hash("phone", value));
        self.personal.phone = Some(value.into());
        self
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.personal.name = Some(name.into());
        self
    }

    pub(crate) fn channel(mut self, channel: &str) -> Self {
        self.facts.channel = channel.into();
        self
    }

    pub(crate) fn skill(mut self, skill: &str) -> Self {
        self.facts.skill = Some(skill.into());
        self
    }

    pub(crate) fn campaign(mut self, name: &str) -> Self {
        self.facts.campaign = Some(Campaign { name: Some(name.into()), ..Campaign::default() });
        self
    }

    pub(crate) fn device(mut self, browser: &str, kind: &str) -> Self {
        self.facts.device = Some(Device { browser: Some(browser.into()), kind: Some(kind.into()), os: None });
        self
    }

    pub(crate) fn product(mut self, name: &str, price: i64) -> Self {
        self.facts.product =
            Some(Product { name: Some(name.into()), price: Some((price, *b"EUR")), ..Product::default() });
        self
    }

    pub(crate) fn attribute(mut self, name: &str, value: Value) -> Self {
        self.personal.attributes.push(Attribute { name: name.into(), value });
        self
    }

    pub(crate) fn purchase(mut self, amount: i64, currency: [u8; 3], order: Option<u128>) -> Self {
        self.facts.action = "purchase".into();
        self.facts.sale = Some(StoredSale { value: Some((amount, currency)), rgus: 2, order });
        self
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A world whose decider has further rules.
    pub(crate) fn with(rules: &str) -> Self {
        let document = format!("{POLICY}{rules}");
        let mut world = Self {
            log: MemoryLog::new(),
            vault: Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32]))),
            shelf: Shelf::default(),
            folder: tempfile::tempdir().unwrap(),
            policy: policy_document::read(&document, None).unwrap().policy,
            document,
            previous: BTreeMap::new(),
            touched: BTreeMap::new(),
            placed: BTreeMap::new(),
        };
        world.adopt("acme", ACME);
        world
    }

    /// A tenant adopts the policy of all tests.
    pub(crate) fn adopt(&mut self, name: &str, tenant: TenantId) {
        let document = self.document.replace("\"acme\"", &format!("{name:?}"));
        let policy = StoredPolicy { version: 1, tenant: name.into(), document, request: None };
        let facts = Facts { input: InputFacts::Policy(policy), events: Vec::new() };
        self.record((tenant, VisitorId(0), hours(0)), &facts, None);
    }

    pub(crate) fn story(&self) -> Story {
        Story { log: Arc::new(self.log.clone()), vault: Arc::clone(&self.vault) }
    }

    /// The last record's position.
    pub(crate) fn log_head(&self) -> u64 {
        self.log.head().position.0
    }

    fn next_position(&self) -> LogPosition {
        self.log.head().position.next()
    }

    /// An interaction of a tenant happens. Returns its id.
    pub(crate) fn happens_to(&mut self, tenant: TenantId, touching: Touching) -> InteractionId {
        let id = InteractionId(self.next_position().0);
        let at = hours(touching.hours);
        let mut facts = touching.facts;
        facts.message = u128::from(id.0);
        let (mut events, mut scratch) = (Vec::new(), Vec::new());
        let input = Input::Interaction(id, facts.as_decided(at, &mut scratch));
        let visitor = decide(&self.policy, tenant, &mut self.shelf, &input, &mut events).unwrap();
        let lead = events.iter().find_map(|event| match event {
            Event::InteractionAttached { lead, .. } => Some(*lead),
            _ => None,
        });
        self.touched.insert(id, (at, visitor, lead));
        self.placed.extend(lead.map(|lead| (id, lead)));
        let facts = Facts { input: InputFacts::Interaction(Box::new(facts)), events };
        self.record((tenant, visitor, at), &facts, Some(&touching.personal));
        id
    }

    /// An interaction happens. Returns its id.
    pub(crate) fn happens(&mut self, touching: Touching) -> InteractionId {
        self.happens_to(ACME, touching)
    }

    /// An operator's command is decided, and recorded unless it is refused.
    pub(crate) fn asked(&mut self, at: i64, command: Command, personal: Personal) -> Result<(), Refusal> {
        let at = hours(at);
        let mut events = Vec::new();
        let input = Input::Command { at, command: command.clone(), expected_version: None };
        let visitor = decide(&self.policy, ACME, &mut self.shelf, &input, &mut events)?;
        for event in &events {
            match event {
                Event::InteractionAttached { lead, interaction, .. } => {
                    self.placed.insert(*interaction, *lead);
                }
                Event::InteractionMoved { interaction, to, .. } => {
                    self.placed.insert(*interaction, *to);
                }
                _ => {}
            }
        }
        let operator = "olga".into();
        let facts = Facts { input: InputFacts::asked(&command, operator, None, None), events };
        self.record((ACME, visitor, at), &facts, Some(&personal));
        Ok(())
    }

    pub(crate) fn commanded(&mut self, at: i64, command: Command) {
        self.asked(at, command, Personal::default()).unwrap();
    }

    /// The tenant's clock reaches `at`: everybody's leads that timed out close.
    pub(crate) fn ticks(&mut self, at: i64) {
        let at = hours(at);
        self.record((ACME, VisitorId(0), at), &Facts { input: InputFacts::Tick, events: Vec::new() }, None);
        for visitor in self.shelf.visitors() {
            let mut events = Vec::new();
            let input = Input::Deadline { visitor, at };
            let visitor = decide(&self.policy, ACME, &mut self.shelf, &input, &mut events).unwrap();
            if !events.is_empty() {
                self.record((ACME, visitor, at), &Facts { input: InputFacts::Deadline, events }, None);
            }
        }
    }

    /// Acme adopts other rules, and everybody's leads are scored by them.
    pub(crate) fn scores_anew(&mut self, at: i64, rules: &str) {
        self.document = format!("{POLICY}{rules}");
        let version = self.policy.version + 1;
        self.policy = policy_document::read(&self.document, None).unwrap().policy;
        self.policy.version = version;
        let policy = StoredPolicy { version, tenant: "acme".into(), document: self.document.clone(), request: None };
        let facts = Facts { input: InputFacts::Policy(policy), events: Vec::new() };
        self.record((ACME, VisitorId(0), hours(at)), &facts, None);
        let mut scored = Shelf::default();
        let read = self.log.read(LogPosition(1), &mut |record| {
            let facts = stored::decode_facts(record.header.codec, record.facts).unwrap();
            let occurred_at = Time::from_millis(record.header.occurred_at);
            let mut scratch = Vec::new();
            let interaction = match &facts.input {
                InputFacts::Interaction(facts) => {
                    let id = InteractionId(record.header.position.0);
                    Some(Input::Interaction(id, facts.as_decided(occurred_at, &mut scratch)))
                }
                _ => None,
            };
            let visitor = VisitorId(record.header.visitor);
            let retraced =
                Retraced { visitor, at: occurred_at, interaction: interaction.as_ref(), events: &facts.events };
            retrace(&self.policy, ACME, &mut scored, &retraced, &mut Vec::new());
            ControlFlow::Continue(())
        });
        read.unwrap();
        for visitor in self.shelf.visitors() {
            retrace_until(&self.policy, ACME, &mut scored, visitor, hours(at), &mut Vec::new());
            let mut events = Vec::new();
            rescore(&self.policy, ACME, &mut self.shelf, &scored, (visitor, hours(at)), &mut events);
            if !events.is_empty() {
                // What the input was is nothing to a projection; what was decided is.
                self.record((ACME, visitor, hours(at)), &Facts { input: InputFacts::Deadline, events }, None);
            }
        }
    }

    /// The interaction as commands name it.
    pub(crate) fn recorded(&self, id: InteractionId) -> RecordedInteraction {
        let (occurred_at, visitor, _) = self.touched[&id];
        RecordedInteraction { id, occurred_at, visitor }
    }

    /// First and last of a lead's interactions but for one.
    pub(crate) fn remaining(&self, lead: LeadId, but: InteractionId) -> Option<(Time, Time)> {
        let others = self.placed.iter().filter(|(id, place)| **place == lead && **id != but);
        let times: Vec<Time> = others.map(|(id, _)| self.touched[id].0).collect();
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    pub(crate) fn adopted(&mut self, at: i64, orphan: InteractionId, into: Adoption) {
        let orphan = self.recorded(orphan);
        self.commanded(at, Command::AdoptOrphan { orphan, into });
    }

    fn record(&mut self, about: (TenantId, VisitorId, Time), facts: &Facts, personal: Option<&Personal>) {
        let (tenant, visitor, at) = about;
        let head = self.log.head();
        let position = head.position.next();
        let (mut facts_bytes, mut plain) = (Vec::new(), Vec::new());
        stored::encode_input(&facts.input, &mut facts_bytes);
        stored::encode_events(&facts.events, &mut facts_bytes);
        if let Some(personal) = personal {
            stored::encode_personal(personal, &mut plain);
        }
        let sealed_len = if personal.is_some() { plain.len() + SEAL_OVERHEAD } else { 0 };
        let header = Header {
            codec: stored::CODEC,
            kind: RecordKind(facts.input.kind()),
            tenant: tenant.0,
            position,
            visitor: visitor.0,
            feed_sequence: position.0,
            occurred_at: at.as_millis(),
            received_at: at.as_millis(),
            recorded_at: position.0.cast_signed(),
            previous: self.previous.insert(visitor.0, position).unwrap_or_default(),
            key: if personal.is_some() { visitor.0 } else { 0 },
            facts_len: u32::try_from(facts_bytes.len()).unwrap(),
            personal_len: u32::try_from(sealed_len).unwrap(),
        };
        let mut batch = Batch::after(head);
        batch.chain = Record::write(&header, head.chain, &facts_bytes, &mut batch.bytes);
        if personal.is_some() {
            self.key(visitor).seal_into(&batch.chain.0, &plain, &mut batch.bytes);
        }
        batch.ends.push(batch.bytes.len());
        self.log.append(&batch).unwrap();
    }

    fn key(&self, visitor: VisitorId) -> SubjectKey {
        match self.vault.get(visitor.0).unwrap() {
            KeySlot::Live(key) => key,
            KeySlot::Empty => self.vault.create_many(&[visitor.0]).unwrap().remove(0),
            KeySlot::Destroyed => panic!("sealed for an erased visitor"),
        }
    }

    /// A projector over the world's listing.
    pub(crate) fn projector(&self) -> Projector<Listing> {
        let listing = Listing::open(self.folder.path()).unwrap();
        Projector::new(Arc::new(self.log.clone()), Arc::clone(&self.vault), listing).unwrap()
    }

    /// Follows the log to its head and reads.
    pub(crate) fn followed(&self) -> ListingReader {
        self.projector().catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
        ListingReader::open(self.folder.path()).unwrap()
    }
}

pub(crate) fn lead_id(visitor: u64, ordinal: u32) -> LeadId {
    LeadId { visitor: VisitorId(visitor), ordinal }
}

pub(crate) fn lead(reader: &ListingReader, visitor: u64, ordinal: u32) -> LeadRow {
    reader.lead(ACME, lead_id(visitor, ordinal)).unwrap().0.unwrap()
}

/// The ids of the leads that match, in order.
pub(crate) fn found(reader: &ListingReader, fields: &[(&str, &str)]) -> Vec<String> {
    let mut query = LeadQuery::new(ACME);
    for (name, value) in fields {
        query.set(name, value).unwrap();
    }
    reader.leads(&query).unwrap().items.iter().map(|lead| lead.id.to_string()).collect()
}
