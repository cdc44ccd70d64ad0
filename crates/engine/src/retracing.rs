//! A visitor's recorded history scored by other rules than those of its time. Reads records, and records nothing.
//!
//! What rules ask about personal data is answered from the sealed parts where those can be opened, and otherwise by the
//! answers that stand in the log: in an interaction's own facts, or in a step of scoring anew.

use std::collections::{BTreeMap, BTreeSet};

use event_log::{EventLog, Header, LogError, LogPosition};
use lead_domain::decide::{Retraced, retrace, retrace_until};
use lead_domain::policy::condition::SealedTest;
use lead_domain::{Event, Input, InteractionId, Name, Policy, Shelf, TenantId, Time, VisitorId};
use proto_events::Personal;
use proto_events::stored::{Attribute, Facts, InputFacts, InteractionFacts};

use crate::error::EngineError;
use crate::timeline::facts_at;

/// What a policy asks about what stands sealed.
pub(crate) struct Questions {
    tenant: TenantId,
    hash_key: [u8; 32],
    /// Attributes that conditions look at, sorted.
    tested: Vec<Name>,
    sealed: Vec<SealedTest>,
}

impl Questions {
    pub(crate) fn of(policy: &Policy, tenant: TenantId, hash_key: [u8; 32]) -> Self {
        Self { tenant, hash_key, tested: policy.tested_attributes(), sealed: policy.sealed_tests() }
    }

    /// The answers that neither the facts nor earlier answers hold.
    fn answered(&self, facts: &InteractionFacts, known: &[Attribute], personal: &Personal) -> Vec<Attribute> {
        let tested = |attribute: &&Attribute| self.tested.binary_search(&attribute.name.0).is_ok();
        let mut found: Vec<Attribute> = personal.attributes.iter().filter(tested).cloned().collect();
        if !self.sealed.is_empty() {
            let mut scratch = InteractionFacts::default();
            feed::answer_sealed(&self.sealed, self.tenant, self.hash_key, personal, &mut scratch);
            found.append(&mut scratch.attributes);
        }
        found.retain(|answer| !facts.attributes.iter().chain(known).any(|known| known.name == answer.name));
        found
    }
}

/// What was answered about interactions, in order of their positions.
pub(crate) type Answered = Vec<(u64, Vec<Attribute>)>;

/// Answers by interaction.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: BTreeMap<u64, Vec<Attribute>>,
    /// Those that stand nowhere in the log yet.
    fresh: Answered,
}

impl Answers {
    /// Takes what the log holds.
    pub(crate) fn learn(&mut self, facts: &Facts) {
        if let InputFacts::Rescoring(step) = &facts.input {
            for (interaction, answers) in step.answers() {
                self.known.entry(*interaction).or_default().extend(answers.iter().cloned());
            }
        }
    }

    /// Answers what is asked about a record, from its personal part. What the log holds must have been learnt before.
    pub(crate) fn ask(&mut self, questions: &Questions, header: &Header, facts: &Facts, personal: &Personal) {
        let InputFacts::Interaction(interaction) = &facts.input else { return };
        let LogPosition(position) = header.position;
        let known = self.known.get(&position).map(Vec::as_slice).unwrap_or_default();
        let answers = questions.answered(interaction, known, personal);
        if !answers.is_empty() {
            self.known.entry(position).or_default().extend(answers.iter().cloned());
            self.fresh.push((position, answers));
        }
    }

    /// The answers that stand nowhere in the log yet, in order of the records.
    pub(crate) fn into_fresh(self) -> Answered {
        self.fresh
    }
}

/// A history under way: what it has come to by the records taken so far.
pub(crate) struct Retracing<'a> {
    policy: &'a Policy,
    tenant: TenantId,
    pub(crate) shelf: Shelf,
    pub(crate) stated: Vec<Event>,
}

impl<'a> Retracing<'a> {
    pub(crate) fn begin(policy: &'a Policy, tenant: TenantId) -> Self {
        Self { policy, tenant, shelf: Shelf::default(), stated: Vec::new() }
    }

    /// Takes one record along. They must come in their order.
    pub(crate) fn take(&mut self, header: &Header, facts: &Facts, answers: &Answers) {
        let at = Time::from_millis(header.occurred_at);
        let LogPosition(position) = header.position;
        let mut attributes = Vec::new();
        let completed;
        let interaction = match (&facts.input, answers.known.get(&position)) {
            (InputFacts::Interaction(interaction), Some(answers)) => {
                completed = with_answers(interaction, answers);
                Some(&completed)
            }
            (InputFacts::Interaction(interaction), None) => Some(interaction.as_ref()),
            (_, _) => None,
        };
        let asked = interaction.map(|interaction| interaction.as_decided(at, &mut attributes));
        let input = asked.map(|asked| Input::Interaction(InteractionId(position), asked));
        let visitor = VisitorId(header.visitor);
        let record = Retraced { visitor, at, interaction: input.as_ref(), events: &facts.events };
        retrace(self.policy, self.tenant, &mut self.shelf, &record, &mut self.stated);
    }

    /// Lets points lapse up to a time.
    pub(crate) fn until(&mut self, visitor: VisitorId, at: Time) {
        retrace_until(self.policy, self.tenant, &mut self.shelf, visitor, at, &mut self.stated);
    }
}

fn with_answers(interaction: &InteractionFacts, answers: &[Attribute]) -> InteractionFacts {
    let mut completed = interaction.clone();
    completed.attributes.extend(answers.iter().cloned());
    completed.attributes.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    completed.attributes.dedup_by(|a, b| a.name == b.name);
    completed
}

/// The records of streams that end at `heads`, oldest first. Personal parts stay closed.
///
/// # Errors
/// When a record is missing or damaged.
pub(crate) fn stream_facts(log: &dyn EventLog, heads: &[u64]) -> Result<Vec<(Header, Facts)>, EngineError> {
    let mut heads: BTreeSet<LogPosition> = heads.iter().copied().map(LogPosition).collect();
    heads.remove(&LogPosition::START);
    let mut records = Vec::new();
    while let Some(position) = heads.pop_last() {
        let (header, facts) = facts_at(log, position)?.ok_or(LogError::Missing { position })?;
        if header.previous > LogPosition::START {
            heads.insert(header.previous);
        }
        records.push((header, facts));
    }
    records.reverse();
    Ok(records)
}
