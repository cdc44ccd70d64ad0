//! Events about leads and orphans.

use lead_domain::event::{AttachReason, OrphanReason};
use lead_domain::{CloseCause, Event, IdentifierKey, InteractionId, LeadId, Score, Time, VisitorId};
use projector::{FoldError, Park};

use super::Setting;
use crate::listing::{Listing, PendingOrphan};
use crate::state::lead::{Closing, LeadState};
use crate::state::lead_key;
use crate::state::orphan::{OrphanState, touch_of};

impl Listing {
    /// A lead that an event names.
    fn named(&mut self, setting: &Setting<'_>, id: LeadId) -> Result<&mut LeadState, FoldError> {
        let lead = self.lead_mut(id)?;
        lead.version = lead.version.saturating_add(1);
        lead.changed_at = setting.header.position;
        Ok(lead)
    }

    pub(super) fn open_lead(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        let Event::LeadOpened { lead: id, visitor, lead_type, at, customer, deadline } = event else { return Ok(()) };
        let key = lead_key(*id).ok_or(Park { reason: "it opens a lead whose number is beyond the limit" })?;
        let customer_id = match customer {
            Some(customer) => self.customer_text(setting, *visitor, *customer)?,
            None => None,
        };
        let opened_for = self.visitor_mut(id.visitor)?;
        opened_for.leads_opened = opened_for.leads_opened.max(id.ordinal);
        let grid = self.grid(setting.header.tenant)?;
        let lead = LeadState::opened(*id, setting.header.tenant, *visitor, lead_type.clone());
        let lead = self.leads.begin(key.cast_unsigned(), lead);
        lead.grade = grid.map(|grid| grid.grade(&Score::default()));
        lead.begin(*at, *deadline);
        lead.customer_id = customer_id;
        lead.version = 1;
        lead.changed_at = setting.header.position;
        self.pending_leads += 1;
        self.count_lead(setting.header.tenant, None, 1);
        Ok(())
    }

    pub(super) fn learn_customer(
        &mut self,
        setting: &Setting<'_>,
        id: LeadId,
        customer: IdentifierKey,
    ) -> Result<(), FoldError> {
        let owner = self.lead_mut(id)?.visitor;
        let customer_id = self.customer_text(setting, owner, customer)?;
        let lead = self.named(setting, id)?;
        lead.customer_id = customer_id;
        lead.index_changed = true;
        Ok(())
    }

    pub(super) fn attach(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        let Event::InteractionAttached { lead, interaction, occurred_at, because, deadline, .. } = event else {
            return Ok(());
        };
        let orphan = if *because == AttachReason::Adopted { Some(self.take_orphan(*interaction)?) } else { None };
        let lead = self.named(setting, *lead)?;
        let opening = lead.interactions == 0;
        lead.attach(*occurred_at, *deadline);
        if let Some(orphan) = orphan {
            lead.show(&orphan.touch(), *occurred_at, opening);
        } else if let Some(facts) = setting.interaction {
            let sealed = setting.personal.map(|personal| personal.attributes.as_slice()).unwrap_or_default();
            lead.show(&touch_of(facts, sealed), *occurred_at, opening);
        }
        Ok(())
    }

    pub(super) fn orphan(&mut self, setting: &Setting<'_>, id: InteractionId, reason: OrphanReason) {
        let Some(facts) = setting.interaction else { return };
        let orphan = OrphanState {
            id,
            tenant: setting.header.tenant,
            visitor: VisitorId(setting.header.visitor),
            occurred_at: Time::from_millis(setting.header.occurred_at),
            reason,
            facts: facts.clone(),
            sealed_attributes: setting.personal.map(|personal| personal.attributes.clone()).unwrap_or_default(),
        };
        self.orphans.insert(id.0, PendingOrphan::New(Box::new(orphan)));
    }

    pub(super) fn move_interaction(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        let Event::InteractionMoved { occurred_at, from, to, remaining, from_deadline, to_deadline, .. } = event else {
            return Ok(());
        };
        self.named(setting, *from)?.detach(*remaining, *from_deadline);
        self.named(setting, *to)?.attach(*occurred_at, *to_deadline);
        Ok(())
    }

    /// Events that change one lead and nothing else.
    pub(super) fn change_lead(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        let Some(id) = event.leads().first().copied() else { return Ok(()) };
        let recorded_at = Time::from_millis(setting.header.occurred_at);
        let grid = self.grid(setting.header.tenant)?;
        let lead = self.named(setting, id)?;
        let note = setting.personal.and_then(|personal| personal.note.as_ref());
        let before = lead.cause();
        match event {
            Event::ConversionRecorded { value, rgus, .. } => lead.add_sale(*value, *rgus),
            Event::ConversionWithdrawn { value, rgus, .. } => lead.withdraw_sale(*value, *rgus),
            Event::LeadClosed { cause, at, reason, .. } => {
                lead.closing = Some(Closing { cause: *cause, at: *at, reason: reason.clone() });
                if let Some(note) = note.filter(|_| *cause == CloseCause::Operator) {
                    lead.add_note(note.as_str(), recorded_at);
                }
            }
            Event::LeadReopened { deadline, .. } => {
                lead.closing = None;
                lead.deadline = *deadline;
            }
            Event::LeadTypeChanged { to, deadline, .. } => {
                lead.lead_type = to.clone();
                lead.deadline = *deadline;
            }
            Event::LeadAssigned { owner, .. } => lead.owner.clone_from(owner),
            Event::NoteAdded { .. } => {
                if let Some(note) = note {
                    lead.add_note(note.as_str(), recorded_at);
                }
            }
            Event::AttributesSet { .. } => {
                let set = setting.personal.map(|personal| personal.attributes.as_slice()).unwrap_or_default();
                for attribute in set {
                    lead.attributes.learn(attribute, recorded_at.as_millis());
                }
            }
            Event::ScoreChanged { score, .. } => {
                lead.score = (*score != Score::default()).then(|| Box::new(score.clone()));
                lead.grade = grid.map(|grid| grid.grade(score));
            }
            Event::TemperatureChanged { to, .. } => lead.temperature = *to,
            Event::StageEntered { stage, .. } => lead.stage = Some(stage.clone()),
            Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::VisitorsUnmerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::VisitorErased { .. }
            | Event::LeadOpened { .. }
            | Event::CustomerLearned { .. }
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
            | Event::NurtureStopped { .. } => {}
        }
        let (tenant, after) = (lead.tenant, lead.cause());
        if before != after {
            self.count_lead(tenant, before, -1);
            self.count_lead(tenant, after, 1);
        }
        Ok(())
    }
}
