//! Explain: one record with the rule that was in force for it, and what each lead of its visitor had to do with it.
//!
//! Folds the log up to the record. Opens no personal part.

use std::ops::ControlFlow;

use event_log::{EventLog, Header, LogError, LogPosition};
use lead_domain::book::CloseCause;
use lead_domain::event::{AttachReason, Candidates};
use lead_domain::policy::{CustomerIdMatch, EntryPoint, Pick};
use lead_domain::{Event, IdentifierKey, Lead, LeadId, Name, Policy, Status, TenantId, Time, VisitorId};
use proto_events::stored::{Facts, InputFacts, InteractionFacts};

use super::records::{self, Decoded};
use super::world::{Roots, World};
use crate::error::EngineError;
use crate::registry::Registry;

/// How often progress is told.
const PROGRESS_RECORDS: u64 = 1 << 14;

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOf {
    /// The interaction's skill.
    Skill,
    /// Its channel: it named no skill, or one that the policy doesn't know.
    Channel,
}

/// The rule that said which leads could take an interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose rule it is.
    pub of: RuleOf,
    /// As it stands in the policy.
    pub entry_point: EntryPoint,
}

/// What a lead had to do with an interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Took(AttachReason),
    /// It could have, but another one was picked.
    NotPicked {
        /// Which.
        taken: LeadId,
        /// How the rule picks.
        pick: Pick,
    },
    /// No rule is for that skill or channel.
    NoRule,
    /// The rule doesn't allow its type.
    TypeNotAllowed,
    /// Its customer is another one, or unknown where the policy is strict.
    OtherCustomer,
    /// It had ended by the time of the interaction.
    Closed {
        /// How.
        cause: CloseCause,
        /// When.
        at: Time,
    },
    /// It was opened after the interaction had happened, and another one was alive then.
    OpenedLater {
        /// When.
        at: Time,
    },
    /// It belonged to another visitor then.
    OtherVisitor {
        /// Who.
        visitor: VisitorId,
    },
    /// It did not exist yet.
    NotYetOpened,
    /// It was opened for it.
    OpenedForIt,
}

/// A lead and what it had to do with the interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Which.
    pub id: LeadId,
    /// Its type then; `None` for one that was not there.
    pub lead_type: Option<Name>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Why a record says what it says.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its header.
    pub header: Header,
    /// What came in and what was decided.
    pub facts: Facts,
    /// The name of the tenant and the version of the policy that was in force; `None` where it concerns no tenant.
    pub policy: Option<(Name, u32)>,
    /// The rule, for an interaction that there is one for.
    pub rule: Option<Rule>,
    /// The visitor's leads as the decision found them, for an interaction.
    pub leads: Vec<Considered>,
    /// The lead that was asked for.
    pub why_not: Option<Considered>,
}

/// Explains the record at `position`, and what `why_not` had to do with it. `progress` is told the position, now and then.
///
/// # Errors
/// [`LogError::Missing`] behind the end of the log; when the log can't be read or its chain is broken.
pub fn explain(
    log: &dyn EventLog,
    position: LogPosition,
    why_not: Option<LeadId>,
    progress: &mut dyn FnMut(LogPosition),
) -> Result<Explanation, EngineError> {
    let (mut world, mut registry) = (World::new(Roots::Unneeded), Registry::default());
    let mut explained = None;
    records::each(log, position, |record| {
        if record.header.position == position {
            explained = Some(explain_record(&mut world, &registry, record, why_not));
            return Ok(ControlFlow::Break(()));
        }
        if record.header.position.0.is_multiple_of(PROGRESS_RECORDS) {
            progress(record.header.position);
        }
        let tenant = TenantId(record.header.tenant);
        if let InputFacts::Policy(policy) = &record.facts.input {
            let adopted = registry.adopt(tenant, policy.version, &policy.document);
            adopted.map_err(|faults| EngineError::Policy { faults })?;
        }
        world.fold(tenant, VisitorId(record.header.visitor), &record.facts.events);
        Ok(ControlFlow::Continue(()))
    })?;
    explained.ok_or(EngineError::Log(LogError::Missing { position }))
}

fn explain_record(world: &mut World, registry: &Registry, record: Decoded, why_not: Option<LeadId>) -> Explanation {
    let Decoded { header, facts } = record;
    let tenant = registry.get(TenantId(header.tenant));
    let policy = tenant.map(|tenant| (tenant.name.clone(), tenant.version));
    let mut explanation = Explanation { header, facts, policy, rule: None, leads: Vec::new(), why_not: None };
    let facts = &explanation.facts;
    if let (InputFacts::Interaction(interaction), Some(tenant)) = (&facts.input, tenant) {
        // What the choice saw: who the visitor is by now, and what timed out.
        let choice = facts.events.iter().position(is_choice).unwrap_or(facts.events.len());
        for event in facts.events.iter().take(choice) {
            world.shelf.evolve(tenant.id, event);
        }
        let chosen = Chosen::of(tenant.policy(), interaction, &explanation);
        let visitor = world.shelf.survivor(VisitorId(explanation.header.visitor));
        let leads = world.shelf.book(visitor).map(|book| book.leads.iter()).into_iter().flatten();
        let leads = leads.map(|lead| chosen.considered(lead)).collect();
        let why_not = why_not.map(|lead| chosen.why_not(world, visitor, lead));
        let rule = chosen.rule;
        (explanation.leads, explanation.why_not, explanation.rule) = (leads, why_not, rule);
    }
    explanation
}

/// Whether the event says what became of the interaction: what comes before is about the visitor and about time.
const fn is_choice(event: &Event) -> bool {
    matches!(
        event,
        Event::InteractionAttached { .. }
            | Event::InteractionOrphaned { .. }
            | Event::LeadOpened { .. }
            | Event::LeadReopened { .. }
    )
}

/// How a lead was found for an interaction.
struct Chosen {
    rule: Option<Rule>,
    matching: CustomerIdMatch,
    customer: Option<IdentifierKey>,
    taken: Option<(LeadId, AttachReason, Candidates)>,
    occurred_at: Time,
}

impl Chosen {
    fn of(policy: &Policy, interaction: &InteractionFacts, explanation: &Explanation) -> Self {
        let skill = interaction.skill.as_ref().map(|skill| skill.as_str());
        let found = policy.entry_point(skill, interaction.channel.as_str());
        let rule = found.map(|point| {
            let by_skill = skill.is_some_and(|skill| policy.skills.iter().any(|known| known.name == skill));
            Rule { of: if by_skill { RuleOf::Skill } else { RuleOf::Channel }, entry_point: point.clone() }
        });
        let taken = explanation.facts.events.iter().find_map(|event| {
            let Event::InteractionAttached { lead, because, candidates, .. } = event else { return None };
            Some((*lead, *because, candidates.clone()))
        });
        let occurred_at = Time::from_millis(explanation.header.occurred_at);
        let customer = interaction.customer_id.map(IdentifierKey);
        Self { rule, matching: policy.customer_id_match, customer, taken, occurred_at }
    }

    fn considered(&self, lead: &Lead) -> Considered {
        Considered { id: lead.id, lead_type: Some(lead.lead_type.clone()), verdict: self.verdict(lead) }
    }

    fn verdict(&self, lead: &Lead) -> Verdict {
        let Some(rule) = &self.rule else { return Verdict::NoRule };
        match &self.taken {
            Some((taken, because, _)) if *taken == lead.id => return Verdict::Took(*because),
            Some((taken, _, candidates)) if candidates.contains(&lead.id) => {
                return Verdict::NotPicked { taken: *taken, pick: rule.entry_point.pick };
            }
            Some(_) | None => {}
        }
        if !rule.entry_point.allows(&lead.lead_type) {
            return Verdict::TypeNotAllowed;
        }
        let agrees = match (lead.customer, self.customer) {
            (Some(one), Some(other)) => one == other,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => self.matching == CustomerIdMatch::Lenient,
        };
        match lead.status {
            _ if !agrees => Verdict::OtherCustomer,
            Status::Closed { cause, at } => Verdict::Closed { cause, at },
            Status::Open if lead.opened_at > self.occurred_at => Verdict::OpenedLater { at: lead.opened_at },
            // An open lead that could take it is among the candidates, unless there is none of them at all.
            Status::Open => Verdict::Closed { cause: CloseCause::Inactivity, at: lead.deadline },
        }
    }

    /// What a lead, of whomever it is, had to do with it.
    fn why_not(&self, world: &World, visitor: VisitorId, id: LeadId) -> Considered {
        let book = world.shelf.book(id.visitor);
        let lead = book.and_then(|book| book.lead(id));
        let (Some(book), Some(lead)) = (book, lead) else {
            let is_new = self.taken.as_ref().is_some_and(|(taken, _, _)| *taken == id);
            let verdict = if is_new { Verdict::OpenedForIt } else { Verdict::NotYetOpened };
            return Considered { id, lead_type: None, verdict };
        };
        if book.visitor == visitor {
            return self.considered(lead);
        }
        let verdict = Verdict::OtherVisitor { visitor: book.visitor };
        Considered { id, lead_type: Some(lead.lead_type.clone()), verdict }
    }
}
