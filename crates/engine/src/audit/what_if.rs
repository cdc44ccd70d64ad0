//! What if: the recorded history of one tenant under another policy, beside what was recorded.
//!
//! Every input that happened at or after a time is decided under the other policy, in the order of the log, and those
//! before under the policy that was in force. Writes nothing, and changes nothing that anybody decides by.
//!
//! Operators acted on leads as they saw them. An act is carried over to the lead that took the same latest interaction; one
//! that makes no sense there is counted as dropped.

mod compared;
mod other;

use std::ops::ControlFlow;

use event_log::{EventLog, LogPosition};
use lead_domain::event::AttachReason;
use lead_domain::policy::Fault;
use lead_domain::{Command, Event, InteractionId, Lead, LeadId, Policy, Temperature, TenantId, Time, VisitorId};
use proto_events::policy_document::{self, PolicyDocument};
use proto_events::stored::InputFacts;
use rustc_hash::{FxHashMap, FxHashSet};

use self::other::Other;
use super::records::{self, Decoded};
use super::world::{Roots, World};
use crate::error::EngineError;
use crate::registry::Registry;

/// How often progress is told.
const PROGRESS_RECORDS: u64 = 1 << 14;

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct WhatIfOptions<'a> {
    /// The other policy (TOML). Its tenant is the one whose history is taken.
    pub document: &'a str,
    /// The only tenant that it may be for; any where absent.
    pub only: Option<&'a str>,
    /// From when on the other policy decides; from the beginning where absent.
    pub from: Option<Time>,
}

/// What one policy comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Leads, however they ended.
    pub leads: u64,
    /// Those that are open.
    pub open: u64,
    /// Those that a conversion closed.
    pub converted: u64,
    /// Those that an operator closed.
    pub closed_by_operator: u64,
    /// Those that closed at their deadlines.
    pub timed_out: u64,
    /// Timed-out leads whose visitor converted in another lead afterwards.
    pub timed_out_converted_later: u64,
    /// Sales that count.
    pub sales: u64,
    /// Interactions in leads.
    pub attached: u64,
    /// Interactions without a lead.
    pub orphans: u64,
    /// Leads that were ever warm.
    pub became_warm: u64,
    /// Leads that were ever hot.
    pub became_hot: u64,
    /// Of those, the ones that sold something when they were hot or later.
    pub hot_and_sold: u64,
    /// Steps of nurture programmes that were due for somebody to send.
    pub messages: u64,
}

/// A lead that is not the same under both policies. Leads are the same ones where the same record opened them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record that opened it.
    pub opened_by: LogPosition,
    /// As it was recorded; `None` where it was not opened.
    pub recorded: Option<Lead>,
    /// As the other policy has it; `None` where that opens none.
    pub other: Option<Lead>,
    /// When it first was hot, as recorded.
    pub recorded_hot_at: Option<Time>,
    /// When it would first have been.
    pub other_hot_at: Option<Time>,
}

/// What the two policies come to.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// The tenant's name.
    pub tenant: String,
    /// Inputs of the tenant, decided under both.
    pub inputs: u64,
    /// Records read, those of other tenants included.
    pub records: u64,
    /// The time at which both are counted: how far the tenant's time had come.
    pub at: Option<Time>,
    /// As recorded.
    pub recorded: Figures,
    /// Under the other policy.
    pub other: Figures,
    /// Operators' acts that make no sense under the other policy.
    pub acts_dropped: u64,
    /// Every lead that differs, in the order of opening.
    pub changes: Vec<Change>,
}

/// Decides a tenant's history under another policy. `progress` is told the position, now and then.
///
/// # Errors
/// [`EngineError::Policy`] for a document with faults or of another tenant, [`EngineError::UnknownTenant`], and when the log
/// can't be read.
pub fn what_if(
    log: &dyn EventLog,
    options: &WhatIfOptions<'_>,
    progress: &mut dyn FnMut(LogPosition),
) -> Result<WhatIf, EngineError> {
    let document = read_policy(options)?;
    let mut trying = Trying {
        from: options.from.unwrap_or(Time::MIN),
        document,
        tenant: None,
        registry: Registry::default(),
        recorded: Side::new(),
        other: Other::new(),
        last_visitor: VisitorId(0),
        clock: None,
        latest: None,
        inputs: 0,
        records: 0,
    };
    records::each(log, log.head().position, |record| {
        if record.header.position.0.is_multiple_of(PROGRESS_RECORDS) {
            progress(record.header.position);
        }
        trying.take(&record)?;
        Ok(ControlFlow::Continue(()))
    })?;
    trying.finish()
}

fn read_policy(options: &WhatIfOptions<'_>) -> Result<PolicyDocument, EngineError> {
    let read = policy_document::read(options.document, None);
    let document = read.map_err(|faults| EngineError::Policy { faults })?;
    if let Some(only) = options.only.filter(|only| document.policy.tenant != **only) {
        let fault = Fault::new("tenant", "other_tenant", format!("must be \"{only}\" here"));
        return Err(EngineError::Policy { faults: vec![fault] });
    }
    Ok(document)
}

/// One of the two worlds, with what is asked of it in the end.
struct Side {
    world: World,
    /// Which record opened each lead.
    opened: FxHashMap<LeadId, LogPosition>,
    /// Interactions that no lead has.
    orphans: FxHashSet<InteractionId>,
    /// When leads were first warm.
    warm: FxHashMap<LeadId, Time>,
    /// When leads were first hot.
    hot: FxHashMap<LeadId, Time>,
    /// Steps of nurture programmes that were due.
    messages: u64,
}

impl Side {
    fn new() -> Self {
        Self {
            world: World::new(Roots::Unneeded),
            opened: FxHashMap::default(),
            orphans: FxHashSet::default(),
            warm: FxHashMap::default(),
            hot: FxHashMap::default(),
            messages: 0,
        }
    }

    /// Lets the tenant's time pass.
    fn fire(&mut self, policy: &Policy, tenant: TenantId, until: Time) {
        let mut seen = Seen::default();
        self.world.fire(policy, tenant, until, |events| seen.note(events));
        self.learn(seen);
    }

    /// Remembers what the books don't say.
    fn note(&mut self, position: LogPosition, events: &[Event]) {
        for event in events {
            if let Event::LeadOpened { lead, .. } = event {
                self.opened.insert(*lead, position);
            }
            if let Event::InteractionOrphaned { interaction, .. } = event {
                self.orphans.insert(*interaction);
            }
            if let Event::InteractionAttached { interaction, because: AttachReason::Adopted, .. } = event {
                self.orphans.remove(interaction);
            }
        }
        let mut seen = Seen::default();
        seen.note(events);
        self.learn(seen);
    }

    fn learn(&mut self, seen: Seen) {
        self.messages += seen.messages;
        for (lead, to, at) in seen.warmed {
            // Whoever is hot is warm as well.
            self.warm.entry(lead).or_insert(at);
            if to == Temperature::Hot {
                self.hot.entry(lead).or_insert(at);
            }
        }
    }
}

/// What events tell that books don't keep.
#[derive(Default)]
struct Seen {
    warmed: Vec<(LeadId, Temperature, Time)>,
    messages: u64,
}

impl Seen {
    fn note(&mut self, events: &[Event]) {
        for event in events {
            if let Event::TemperatureChanged { lead, at, to, .. } = event
                && *to != Temperature::Cold
            {
                self.warmed.push((*lead, *to, *at));
            }
            self.messages += u64::from(matches!(event, Event::NurtureStepDue { .. }));
        }
    }
}

struct Trying {
    from: Time,
    document: PolicyDocument,
    /// Its number, once its first policy was met.
    tenant: Option<TenantId>,
    registry: Registry,
    recorded: Side,
    other: Other,
    /// The youngest visitor of all tenants: their numbers are dense over all of them.
    last_visitor: VisitorId,
    /// How far ticks have brought the tenant's time.
    clock: Option<Time>,
    /// The latest interaction.
    latest: Option<Time>,
    inputs: u64,
    records: u64,
}

impl Trying {
    fn take(&mut self, record: &Decoded) -> Result<(), EngineError> {
        self.records += 1;
        let tenant = TenantId(record.header.tenant);
        if let InputFacts::Policy(policy) = &record.facts.input {
            let adopted = self.registry.adopt(tenant, policy.version, &policy.document);
            adopted.map_err(|faults| EngineError::Policy { faults })?;
            self.tenant = self.registry.by_name(&self.document.policy.tenant).map(|tenant| tenant.id);
        }
        if self.tenant == Some(tenant) {
            self.take_own(tenant, record);
        }
        for event in &record.facts.events {
            if let Event::VisitorCreated { visitor } = event {
                self.last_visitor = self.last_visitor.max(*visitor);
            }
        }
        Ok(())
    }

    /// Takes a record of the tenant in both worlds.
    fn take_own(&mut self, tenant: TenantId, record: &Decoded) {
        let at = Time::from_millis(record.header.occurred_at);
        let Some(in_force) = self.registry.get(tenant) else { return };
        let policy = if at >= self.from { &self.document.policy } else { in_force.policy() };
        let (position, events) = (record.header.position, &record.facts.events);
        match &record.facts.input {
            InputFacts::Interaction(_) => {
                self.latest = self.latest.max(Some(at));
                self.other.take_interaction(policy, record, self.last_visitor);
            }
            InputFacts::Command(command) => self.other.take_command(policy, record, Command::from(&command.ask)),
            InputFacts::Discredit(discredit) => self.other.take_command(policy, record, Command::from(discredit)),
            InputFacts::Erasure(erasure) => self.other.take_command(policy, record, Command::from(erasure)),
            InputFacts::Tick | InputFacts::Deadline => {
                self.clock = self.clock.max(Some(at));
                self.other.fire(policy, tenant, at);
            }
            InputFacts::Rescoring(_) => {
                // The other policy scores by itself; before its time both worlds are the recorded one.
                if at < self.from {
                    self.other.fold(tenant, VisitorId(record.header.visitor), events);
                }
                self.recorded.world.fold(tenant, VisitorId(record.header.visitor), events);
                return;
            }
            InputFacts::Policy(_)
            | InputFacts::Quarantined(_)
            | InputFacts::Conflict(_)
            | InputFacts::StateRoot(_)
            | InputFacts::Suppression(_)
            | InputFacts::Released(_)
            | InputFacts::SignedHead(_) => return,
        }
        self.inputs += 1;
        self.recorded.world.fold(tenant, VisitorId(record.header.visitor), events);
        self.recorded.note(position, events);
    }

    /// Brings both worlds to the same time and compares them.
    fn finish(mut self) -> Result<WhatIf, EngineError> {
        let name = self.document.policy.tenant.to_string();
        let tenant = self.tenant.and_then(|tenant| self.registry.get(tenant));
        let Some(tenant) = tenant else { return Err(EngineError::UnknownTenant { name }) };
        let lived = self.latest.map(|latest| latest.before(tenant.policy().lateness));
        let at = self.clock.max(lived);
        if let Some(at) = at {
            self.recorded.fire(tenant.policy(), tenant.id, at);
            self.other.fire(&self.document.policy, tenant.id, at);
        }
        let (other, acts_dropped) = self.other.into_side();
        Ok(WhatIf {
            tenant: name,
            inputs: self.inputs,
            records: self.records,
            at,
            recorded: compared::figures(&self.recorded),
            other: compared::figures(&other),
            acts_dropped,
            changes: compared::changes(&self.recorded, &other),
        })
    }
}
