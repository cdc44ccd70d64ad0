//! The fold: what each record adds to the tables. Agrees with the listing about every lead; decides nothing.

use std::borrow::Cow;
use std::sync::Arc;

use event_log::Header;
use lead_domain::event::{AttachReason, DiscreditReason, ScoreReason};
use lead_domain::policy::grid::Grid;
use lead_domain::{Event, InteractionId, LeadId, Score, Time, VisitorId};
use projector::{Checkpoint, FoldError, ModelError, Park, Parked, Projection, Recorded};
use proto_events::policy_document;
use proto_events::stored::v1::AskV1;
use proto_events::stored::{Attribute, InputRef, StoredCommand, StoredPolicy};
use proto_events::{InputFacts, InteractionFacts, Personal};

use crate::analytics::Analytics;
use crate::error::AnalyticsError;
use crate::lead::{Change, Closing, LeadState, Points, Scored, Shown, lead_key};
use crate::ledger::{Caps, Fate, LiveRow, Taken};
use crate::store::manifest::Tenant;
use crate::table::interactions::{self, Placement};
use crate::table::lead_events::Decided;

/// The version of the model: of its columns, files and manifest.
pub(crate) const MODEL_VERSION: u32 = 4;
/// With no more records than these to come, a model that was built takes the place of the old one.
const NEAR_RECORDS: u64 = 10_000;

/// The record that the events stand in.
#[derive(Clone, Copy)]
struct Setting<'a> {
    header: &'a Header,
    interaction: Option<&'a InteractionFacts>,
    personal: Option<&'a Personal>,
}

impl<'a> Setting<'a> {
    fn sealed(&self) -> &'a [Attribute] {
        self.personal.map(|personal| personal.attributes.as_slice()).unwrap_or_default()
    }
}

pub(crate) fn model_error(source: AnalyticsError) -> ModelError {
    ModelError(Box::new(source))
}

impl Projection for Analytics {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        MODEL_VERSION
    }

    fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        Ok(self.committed)
    }

    fn wants_personal(_: &Header, input: InputRef<'_>) -> bool {
        match input {
            // Free attributes can't be seen from outside.
            InputRef::Interaction(_) => true,
            InputRef::Other(InputFacts::Command(StoredCommand { ask, .. })) => match ask {
                AskV1::SetAttributes(..) => true,
                AskV1::AddNote(_)
                | AskV1::CloseLead(..)
                | AskV1::OpenLead(..)
                | AskV1::ConvertLead(..)
                | AskV1::WithdrawConversion(..)
                | AskV1::ReopenLead(_)
                | AskV1::ChangeLeadType(..)
                | AskV1::AssignLead(..)
                | AskV1::AdoptOrphan(..)
                | AskV1::MoveInteraction(..)
                | AskV1::MergeVisitors(..)
                | AskV1::UnmergeVisitor(..)
                | AskV1::SettleDuplicate(..) => false,
            },
            InputRef::Other(InputFacts::Interaction(_)) => true,
            InputRef::Other(
                InputFacts::Policy(_)
                | InputFacts::Tick
                | InputFacts::Deadline
                | InputFacts::Quarantined(_)
                | InputFacts::Conflict(_)
                | InputFacts::Released(_)
                | InputFacts::Rescoring(_)
                | InputFacts::Discredit(_)
                | InputFacts::Erasure(_)
                | InputFacts::Suppression(_)
                | InputFacts::SignedHead(_)
                | InputFacts::StateRoot(_),
            ) => false,
        }
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError> {
        let Recorded { header, input, events, personal } = *recorded;
        self.pending.bytes += u64::from(header.facts_len) + u64::from(header.personal_len);
        let mut operator = None;
        let interaction = match input {
            InputRef::Interaction(interaction) => Some(interaction),
            InputRef::Other(other) => {
                match other {
                    InputFacts::Policy(policy) => self.adopt_policy(header.tenant, policy)?,
                    InputFacts::Command(command) => operator = Some(command.operator.0.as_str()),
                    InputFacts::Discredit(discredit) => operator = Some(discredit.operator.0.as_str()),
                    InputFacts::Erasure(erasure) => operator = Some(erasure.operator.0.as_str()),
                    InputFacts::Suppression(asked) => operator = Some(asked.operator.0.as_str()),
                    InputFacts::Interaction(_)
                    | InputFacts::Tick
                    | InputFacts::Deadline
                    | InputFacts::Quarantined(_)
                    | InputFacts::Conflict(_)
                    | InputFacts::Released(_)
                    | InputFacts::Rescoring(_)
                    | InputFacts::SignedHead(_)
                    | InputFacts::StateRoot(_) => {}
                }
                None
            }
        };
        let setting = Setting { header, interaction, personal };
        self.write_facts(&setting, operator, events)?;
        for event in events {
            self.evolve(&setting, event)?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.pending_is_full()
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError> {
        self.commit_pending(checkpoint).map_err(model_error)
    }

    fn discard(&mut self) {
        self.forget_pending();
    }

    fn parked(&self) -> Result<Parked, ModelError> {
        Ok(self.committed_parked.clone())
    }

    fn park(&mut self, parked: &Parked) -> bool {
        self.parked.clone_from(parked);
        true
    }

    fn settle(&mut self, behind: u64) -> Result<(), ModelError> {
        if self.store.building && behind <= NEAR_RECORDS {
            self.take_place().map_err(model_error)?;
        }
        self.take_files().map_err(model_error)?;
        self.compact();
        Ok(())
    }

    fn seal(&mut self) -> Result<(), ModelError> {
        self.seal_tail().map_err(model_error)
    }
}

impl Analytics {
    fn adopt_policy(&mut self, tenant: u32, stored: &StoredPolicy) -> Result<(), FoldError> {
        let document = policy_document::read(&stored.document, None)
            .map_err(|_| Park { reason: "it holds a policy that this program can't read" })?;
        let lead_types = document.policy.lead_types.iter();
        let groups = lead_types.filter_map(|it| Some((it.name.to_string(), it.group.as_ref()?.to_string()))).collect();
        let scoring = &document.policy.scoring;
        let steps = |grid: Grid| [grid.fit, grid.engagement].map(|steps| (steps.best, steps.second));
        let tenant_now = Tenant {
            name: stored.tenant.0.to_string(),
            policy_version: stored.version,
            groups,
            caps: Arc::new(Caps::of(scoring)),
            grid: scoring.grid.map(steps),
        };
        self.tenants.insert(tenant, tenant_now);
        Ok(())
    }

    /// The rows of the record itself: its interaction and its events.
    fn write_facts(
        &mut self,
        setting: &Setting<'_>,
        operator: Option<&str>,
        events: &[Event],
    ) -> Result<(), FoldError> {
        let header = setting.header;
        if setting.interaction.is_none() && events.is_empty() {
            return Ok(());
        }
        let tenant = self.tenants.get(&header.tenant).ok_or(Park { reason: "its tenant never had a policy" })?;
        if let Some(facts) = setting.interaction {
            let placement = placed(header, events);
            let row = interactions::recorded(header, &tenant.name, facts, setting.sealed(), placement);
            self.pending.interactions.push(&row);
            self.pending.rows += 1;
        }
        let policy_version = tenant.policy_version;
        let decided = Decided { header, tenant: &tenant.name, operator, policy_version };
        for (index, event) in (0..).zip(events) {
            self.pending.events.push(&decided, index, event);
            self.pending.event_rows += 1;
        }
        Ok(())
    }

    fn evolve(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::VisitorsMerged { survivor, absorbed } => {
                let leaving = self.families.members(*absorbed);
                self.families.merge(*survivor, *absorbed);
                self.hand_over(setting, &leaving, *survivor)
            }
            Event::VisitorsUnmerged { restored, .. } => {
                let leaving = self.families.members(*restored);
                self.families.unmerge(*restored);
                self.hand_over(setting, &leaving, *restored)
            }
            Event::VisitorErased { members, .. } => self.erase(setting, members),
            Event::LeadOpened { lead, visitor, lead_type, at, deadline, .. } => {
                let key = lead_key(*lead).ok_or(Park { reason: "it opens a lead whose number is beyond the limit" })?;
                let mut opened = LeadState::opened(*lead, setting.header.tenant, *visitor, lead_type.clone());
                opened.begin(*at, *deadline);
                opened.grade = self.tenant(setting)?.grade(&Score::default());
                opened.version = 1;
                opened.changed_at = setting.header.position;
                self.begin_lead(key, opened);
                Ok(())
            }
            Event::InteractionAttached { lead, interaction, occurred_at, because, deadline, .. } => {
                let shown = self.shown(setting, *interaction, *lead, *because)?;
                self.change(setting, *lead, Change::Attached { at: *occurred_at, deadline: *deadline, shown })
            }
            Event::InteractionMoved { interaction, occurred_at, from, to, remaining, from_deadline, to_deadline } => {
                self.replace_interaction(*interaction, |row| row.lead = Some(*to))?;
                self.change(setting, *from, Change::MovedAway { remaining: *remaining, deadline: *from_deadline })?;
                self.change(setting, *to, Change::MovedHere { at: *occurred_at, deadline: *to_deadline })?;
                self.move_points(*interaction, (*from, *to))
            }
            Event::InteractionDiscredited { lead, interaction, at, because } => {
                self.change(setting, *lead, Change::Named)?;
                self.discredit(*interaction, *lead, (*at, because))
            }
            Event::CustomerLearned { .. }
            | Event::ConversionRecorded { .. }
            | Event::ConversionRepeated { .. }
            | Event::ConversionWithdrawn { .. }
            | Event::LeadClosed { .. }
            | Event::LeadReopened { .. }
            | Event::LeadTypeChanged { .. }
            | Event::LeadAssigned { .. }
            | Event::NoteAdded { .. }
            | Event::AttributesSet { .. }
            | Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::ScoreChanged { .. }
            | Event::TemperatureChanged { .. }
            | Event::StageEntered { .. } => self.change_lead(setting, event),
            Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::InteractionOrphaned { .. }
            | Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => Ok(()),
        }
    }

    /// What an attached interaction shows of itself. One that was adopted was recorded before: its row is written anew.
    fn shown<'a>(
        &mut self,
        setting: &Setting<'a>,
        interaction: InteractionId,
        lead: LeadId,
        because: AttachReason,
    ) -> Result<Option<Shown<'a>>, FoldError> {
        if because == AttachReason::Adopted {
            let reason = Placement::attached(lead, because).attach_reason;
            let facts = self.replace_interaction(interaction, |row| {
                row.lead = Some(lead);
                row.attach_reason = reason.map(Into::into);
            })?;
            return Ok(Some(Shown { facts: Cow::Owned(facts), sealed: Cow::Borrowed(&[]) }));
        }
        let shown = |facts| Shown { facts: Cow::Borrowed(facts), sealed: Cow::Borrowed(setting.sealed()) };
        Ok(setting.interaction.map(shown))
    }

    /// Events that change one lead and nothing else.
    fn change_lead(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        let Some(lead) = event.leads().first().copied() else { return Ok(()) };
        let change = match event {
            Event::ConversionRecorded { value, rgus, at, .. } => Change::Sold { value: *value, rgus: *rgus, at: *at },
            Event::ConversionWithdrawn { value, rgus, .. } => Change::SaleWithdrawn { value: *value, rgus: *rgus },
            Event::LeadClosed { cause, at, reason, .. } => {
                Change::Closed(Closing { cause: *cause, at: *at, reason: reason.clone() })
            }
            Event::LeadReopened { deadline, .. } => Change::Reopened { deadline: *deadline },
            Event::LeadTypeChanged { to, deadline, .. } => {
                Change::LeadTypeChanged { to: to.clone(), deadline: *deadline }
            }
            Event::LeadAssigned { owner, .. } => Change::Assigned(owner.clone()),
            Event::AttributesSet { .. } => Change::AttributesSet {
                attributes: Cow::Borrowed(setting.sealed()),
                at: Time::from_millis(setting.header.occurred_at),
            },
            Event::ScoreChanged { .. } => Change::Scored(Box::new(self.scored(setting, event)?)),
            Event::TemperatureChanged { to, .. } => Change::Warmed(*to),
            Event::StageEntered { stage, .. } => Change::Advanced(stage.clone()),
            Event::CustomerLearned { .. }
            | Event::NoteAdded { .. }
            | Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::VisitorsUnmerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::VisitorErased { .. }
            | Event::LeadOpened { .. }
            | Event::InteractionAttached { .. }
            | Event::InteractionOrphaned { .. }
            | Event::InteractionMoved { .. }
            | Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::InteractionDiscredited { .. }
            | Event::ConversionRepeated { .. }
            | Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => Change::Named,
        };
        self.change(setting, lead, change)
    }

    fn tenant(&self, setting: &Setting<'_>) -> Result<&Tenant, FoldError> {
        let tenant = self.tenants.get(&setting.header.tenant);
        tenant.ok_or_else(|| Park { reason: "its tenant never had a policy" }.into())
    }

    /// What a changed score says, under the policy that it was decided by.
    fn scored(&mut self, setting: &Setting<'_>, event: &Event) -> Result<Scored, FoldError> {
        let Event::ScoreChanged { at, because, rows, score, .. } = event else {
            return Err(Park { reason: "it changes a score without saying how" }.into());
        };
        let tenant = self.tenant(setting)?;
        let (grade, caps) = (tenant.grade(score), Arc::clone(&tenant.caps));
        let position = setting.header.position.0;
        let stored = &mut self.store.manifest.terms;
        let given = rows.iter().map(|row| self.lexicon.given(row, position, stored));
        let rows: Option<Vec<LiveRow>> = given.collect();
        let rows = rows.ok_or(Park { reason: "it gives points by more rules than can be told apart" })?;
        self.pending.score_rows += rows.len() as u64;
        let is_anew = *because == ScoreReason::Rescored;
        Ok(Scored { points: Points::of(score), grade, at: *at, rows, is_anew, caps })
    }

    /// A moved interaction takes its points along, and those that have ended.
    fn move_points(&mut self, interaction: InteractionId, (from, to): (LeadId, LeadId)) -> Result<(), FoldError> {
        let (live, ended) = self.taken_points(interaction, from)?;
        self.pending.score_rows += (live.len() + ended.len()) as u64;
        self.present(to)?.ledger.take_in(live, ended);
        Ok(())
    }

    /// The points of an interaction end, also those that had lapsed.
    fn discredit(
        &mut self,
        interaction: InteractionId,
        lead: LeadId,
        (at, because): (Time, &DiscreditReason),
    ) -> Result<(), FoldError> {
        let (live, ended) = self.taken_points(interaction, lead)?;
        self.pending.score_rows += (live.len() + ended.len()) as u64;
        let ledger = &mut self.present(lead)?.ledger;
        for row in live.into_iter().chain(ended.into_iter().map(|(row, _)| row)) {
            let by = Some(because.code().into());
            ledger.end(row, Fate { at: Some(at.as_millis()), because: "discredited".into(), by });
        }
        Ok(())
    }

    /// Takes all rows of an interaction out of its lead, wherever they are kept.
    fn taken_points(&mut self, interaction: InteractionId, lead: LeadId) -> Result<Taken, FoldError> {
        let unknown = Park { reason: "it names a lead that was never opened" };
        let key = lead_key(lead).ok_or(unknown)?;
        let taken = self.take_points(key, interaction).map_err(|source| FoldError::Model(model_error(source)))?;
        Ok(taken.ok_or(unknown)?)
    }

    /// A lead, read back if it is not in memory.
    fn present(&mut self, lead: LeadId) -> Result<&mut LeadState, FoldError> {
        let unknown = Park { reason: "it names a lead that was never opened" };
        let key = lead_key(lead).ok_or(unknown)?;
        let found = self.brought(key).map_err(|source| FoldError::Model(model_error(source)))?;
        Ok(found.ok_or(unknown)?)
    }

    fn change(&mut self, setting: &Setting<'_>, lead: LeadId, change: Change<'_>) -> Result<(), FoldError> {
        let unknown = Park { reason: "it names a lead that was never opened" };
        let key = lead_key(lead).ok_or(unknown)?;
        if !self.change_by_key(key, change, setting.header.position) {
            return Err(unknown.into());
        }
        Ok(())
    }

    /// Takes what is personal out of the members' interactions and leads. The files go with the batch's end.
    fn erase(&mut self, setting: &Setting<'_>, members: &[VisitorId]) -> Result<(), FoldError> {
        for position in self.interactions_of(members).map_err(|source| FoldError::Model(model_error(source)))? {
            self.replace_interaction(InteractionId(position), |row| row.facts.attributes.clear())?;
        }
        self.change_all(setting, members, &Change::Erased);
        self.pending.erased.extend_from_slice(members);
        Ok(())
    }

    /// Gives the leads that were opened for these members to an owner.
    fn hand_over(&mut self, setting: &Setting<'_>, members: &[VisitorId], owner: VisitorId) -> Result<(), FoldError> {
        self.change_all(setting, members, &Change::Owned(owner));
        Ok(())
    }

    /// Changes all leads that were opened for these members.
    fn change_all(&mut self, setting: &Setting<'_>, members: &[VisitorId], change: &Change<'static>) {
        for member in members {
            for ordinal in 1.. {
                let key = lead_key(LeadId { visitor: *member, ordinal });
                let position = setting.header.position;
                if !key.is_some_and(|key| self.change_by_key(key, change.clone(), position)) {
                    break;
                }
            }
        }
    }
}

/// Where the interaction of a record went.
fn placed(header: &Header, events: &[Event]) -> Placement<'static> {
    let own = InteractionId(header.position.0);
    let place = |event: &Event| match event {
        Event::InteractionAttached { lead, interaction, because, .. } if *interaction == own => {
            Some(Placement::attached(*lead, *because))
        }
        Event::InteractionOrphaned { interaction, reason } if *interaction == own => Some(Placement::orphaned(*reason)),
        Event::InteractionAttached { .. }
        | Event::InteractionOrphaned { .. }
        | Event::VisitorCreated { .. }
        | Event::IdentifierLearned { .. }
        | Event::IdentifierMoved { .. }
        | Event::VisitorsMerged { .. }
        | Event::VisitorsUnmerged { .. }
        | Event::DuplicateSuspected { .. }
        | Event::DuplicateSettled { .. }
        | Event::VisitorErased { .. }
        | Event::LeadOpened { .. }
        | Event::CustomerLearned { .. }
        | Event::InteractionMoved { .. }
        | Event::ConversionRecorded { .. }
        | Event::ConversionRepeated { .. }
        | Event::ConversionWithdrawn { .. }
        | Event::LeadClosed { .. }
        | Event::LeadReopened { .. }
        | Event::LeadTypeChanged { .. }
        | Event::LeadAssigned { .. }
        | Event::NoteAdded { .. }
        | Event::AttributesSet { .. }
        | Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::ConsentChanged { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. } => None,
    };
    events.iter().find_map(place).unwrap_or_default()
}
