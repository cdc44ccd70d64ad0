//! Replay: every recorded input decided once more under the policy that was in force then, against what is recorded.
//!
//! Compares events, visitors, state roots, and whether every tick closed all that was due. Whether an input was a duplicate,
//! or could not be taken, was decided before the decider: for those the record itself counts.

use std::ops::ControlFlow;

use event_log::{EventLog, LogPosition};
use lead_domain::{Event, Refusal, TenantId, Time, VisitorId};
use proto_events::stored::{InputFacts, Rescoring};

use super::records::{self, Decoded};
use super::world::{Roots, World};
use crate::error::EngineError;
use crate::registry::{Registry, Tenant};
use crate::retracing::{Answers, Retracing, stream_facts};

/// How often progress is told.
const PROGRESS_RECORDS: u64 = 1 << 14;

/// What to decide again.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The first record to decide again; those before are folded as they are recorded.
    pub from: LogPosition,
    /// The last one.
    pub to: LogPosition,
    /// Only this tenant's inputs; others are folded as they are recorded.
    pub tenant: Option<String>,
}

/// What a decision came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// In whose stream it belongs.
    pub visitor: VisitorId,
    /// What was decided.
    pub events: Vec<Event>,
}

/// The first place where the log and its replay disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The input leads to another decision.
    Decision {
        /// Its record.
        position: LogPosition,
        /// Whose input it is.
        tenant: TenantId,
        /// The version of the policy that was in force.
        policy_version: u32,
        /// What the log says.
        recorded: Decision,
        /// What this program decides.
        decided: Result<Decision, Refusal>,
    },
    /// The books come to another hash than the one that is recorded there.
    StateRoot {
        /// Its record.
        position: LogPosition,
        /// What the log says.
        recorded: [u8; 32],
        /// What the books come to.
        decided: [u8; 32],
    },
    /// A tick left a lead open that was due.
    Unfired {
        /// The record in front of which the deadline is missing.
        position: LogPosition,
        /// Whose time had passed.
        tenant: TenantId,
        /// Who has the lead.
        visitor: VisitorId,
        /// How far the tick brought the tenant's time.
        clock: Time,
    },
}

impl Difference {
    /// The record concerned.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        match self {
            Self::Decision { position, .. } | Self::StateRoot { position, .. } | Self::Unfired { position, .. } => {
                *position
            }
        }
    }
}

/// What a replay came to.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Records read, chained and folded or decided.
    pub records: u64,
    /// Inputs that were decided again.
    pub decided: u64,
    /// Events that were decided again.
    pub events: u64,
    /// State roots that the books gave again.
    pub state_roots: u64,
    /// The last record read.
    pub position: LogPosition,
    /// The hash over all books there.
    pub state_root: [u8; 32],
    /// Where log and replay part; `None` where they agree.
    pub difference: Option<Difference>,
}

/// Decides again what the log has recorded, up to the first difference. `progress` is told the position, now and then.
///
/// # Errors
/// When the log can't be read or its chain is broken, and [`EngineError::UnknownTenant`].
pub fn replay(
    log: &dyn EventLog,
    options: &ReplayOptions,
    progress: &mut dyn FnMut(LogPosition),
) -> Result<Replay, EngineError> {
    let mut replaying = Replaying {
        log,
        options,
        world: World::new(Roots::Kept),
        registry: Registry::default(),
        ticked: None,
        events: Vec::new(),
        found: Replay::default(),
    };
    records::each(log, options.to, |record| {
        if record.header.position.0.is_multiple_of(PROGRESS_RECORDS) {
            progress(record.header.position);
        }
        replaying.take(&record)
    })?;
    if let Some(name) = &options.tenant
        && replaying.registry.by_name(name).is_none()
    {
        return Err(EngineError::UnknownTenant { name: name.clone() });
    }
    let Replaying { mut world, mut found, .. } = replaying;
    found.state_root = world.root();
    Ok(found)
}

struct Replaying<'a> {
    log: &'a dyn EventLog,
    options: &'a ReplayOptions,
    world: World,
    registry: Registry,
    /// The tick whose deadlines are being recorded.
    ticked: Option<(TenantId, Time)>,
    events: Vec<Event>,
    found: Replay,
}

impl Replaying<'_> {
    fn take(&mut self, record: &Decoded) -> Result<ControlFlow<()>, EngineError> {
        let difference = match self.unfired(record) {
            Some(difference) => Some(difference),
            None => self.follow(record)?,
        };
        self.found.records += 1;
        self.found.position = record.header.position;
        self.found.difference = difference;
        Ok(if self.found.difference.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Whether a tick is over by this record and has left something open.
    fn unfired(&mut self, record: &Decoded) -> Option<Difference> {
        let goes_on =
            matches!(record.facts.input, InputFacts::Deadline | InputFacts::StateRoot(_) | InputFacts::SignedHead(_));
        let (tenant, clock) = self.ticked.filter(|_| !goes_on)?;
        self.ticked = None;
        let visitor = self.world.agenda.take_due(&self.world.shelf, tenant, clock)?;
        let position = record.header.position;
        (position > self.options.from).then_some(Difference::Unfired { position, tenant, visitor, clock })
    }

    /// Takes one record along; says where it differs.
    fn follow(&mut self, record: &Decoded) -> Result<Option<Difference>, EngineError> {
        let tenant = TenantId(record.header.tenant);
        match &record.facts.input {
            InputFacts::Policy(policy) => {
                let adopted = self.registry.adopt(tenant, policy.version, &policy.document);
                adopted.map_err(|faults| EngineError::Policy { faults })?;
                Ok(None)
            }
            InputFacts::StateRoot(recorded) => Ok(self.compare_roots(record, *recorded)),
            InputFacts::Tick => {
                self.ticked = Some((tenant, Time::from_millis(record.header.occurred_at)));
                Ok(None)
            }
            InputFacts::Interaction(_)
            | InputFacts::Command(_)
            | InputFacts::Discredit(_)
            | InputFacts::Deadline
            | InputFacts::Erasure(_) => Ok(self.decide_or_fold(tenant, record)),
            InputFacts::Rescoring(step) => self.rescore_or_fold(tenant, record, step),
            // What was not collected is not there; what is was decided about.
            InputFacts::Quarantined(_)
            | InputFacts::Conflict(_)
            | InputFacts::Released(_)
            | InputFacts::Suppression(_)
            | InputFacts::SignedHead(_) => Ok(None),
        }
    }

    fn compare_roots(&mut self, record: &Decoded, recorded: [u8; 32]) -> Option<Difference> {
        let decided = self.world.root();
        if decided == recorded {
            self.found.state_roots += 1;
            return None;
        }
        Some(Difference::StateRoot { position: record.header.position, recorded, decided })
    }

    fn decide_or_fold(&mut self, tenant: TenantId, record: &Decoded) -> Option<Difference> {
        let Some(found) = concerned(&self.registry, self.options, record) else {
            self.world.fold(tenant, VisitorId(record.header.visitor), &record.facts.events);
            return None;
        };
        self.events.clear();
        let decided = self.world.decide(found.policy(), record, &mut self.events)?;
        compare(&mut self.found, found, record, decided, &self.events)
    }

    /// Scores the visitor's leads once more by their history, for a step that says to have done so.
    fn rescore_or_fold(
        &mut self,
        tenant: TenantId,
        record: &Decoded,
        step: &Rescoring,
    ) -> Result<Option<Difference>, EngineError> {
        let Rescoring::Visitor { member, streams, .. } = step else { return Ok(None) };
        let visitor = VisitorId(record.header.visitor);
        let Some(found) = concerned(&self.registry, self.options, record) else {
            self.world.fold(tenant, visitor, &record.facts.events);
            return Ok(None);
        };
        let history = stream_facts(self.log, streams)?;
        let mut answers = Answers::default();
        history.iter().for_each(|(_, facts)| answers.learn(facts));
        answers.learn(&record.facts);
        let mut retracing = Retracing::begin(found.policy(), tenant);
        for (header, facts) in &history {
            retracing.take(header, facts, &answers);
        }
        let at = Time::from_millis(record.header.occurred_at);
        retracing.until(visitor, at);
        self.events.clear();
        let member = VisitorId(*member);
        self.world.rescore(found.policy(), tenant, &retracing.shelf, (member, at), &mut self.events);
        let visitor = self.world.shelf.survivor(member);
        Ok(compare(&mut self.found, found, record, Ok(visitor), &self.events))
    }
}

/// The tenant whose decision is to be made again here.
fn concerned<'r>(registry: &'r Registry, options: &ReplayOptions, record: &Decoded) -> Option<&'r Tenant> {
    let found = registry.get(TenantId(record.header.tenant))?;
    let named = options.tenant.as_ref().is_none_or(|name| found.name == *name);
    (named && record.header.position >= options.from).then_some(found)
}

/// Counts what was decided again, and says where it differs from the record.
fn compare(
    replay: &mut Replay,
    tenant: &Tenant,
    record: &Decoded,
    decided: Result<VisitorId, Refusal>,
    events: &[Event],
) -> Option<Difference> {
    replay.decided += 1;
    replay.events += events.len() as u64;
    if decided.as_ref() == Ok(&VisitorId(record.header.visitor)) && *events == *record.facts.events {
        return None;
    }
    Some(differing(tenant, record, decided.map(|visitor| Decision { visitor, events: events.to_vec() })))
}

fn differing(tenant: &Tenant, record: &Decoded, decided: Result<Decision, Refusal>) -> Difference {
    Difference::Decision {
        position: record.header.position,
        tenant: tenant.id,
        policy_version: tenant.version,
        recorded: Decision { visitor: VisitorId(record.header.visitor), events: record.facts.events.clone() },
        decided,
    }
}
