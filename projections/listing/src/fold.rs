//! The fold: what each event changes in the rows. Agrees with the decider's books; decides nothing.

mod erasure;
mod identity;
mod life_cycle;

use event_log::Header;
use lead_domain::Event;
use projector::{Checkpoint, FoldError, ModelError, Park, Parked, Projection, Recorded};
use proto_events::policy_document;
use proto_events::stored::v1::AskV1;
use proto_events::stored::{InputRef, StoredCommand, StoredPolicy};
use proto_events::{InputFacts, InteractionFacts, Personal};

use crate::listing::{Listing, PendingPolicy};
use crate::load::Loading;
use crate::store::{self, MODEL_VERSION};

/// The record that the events stand in.
#[derive(Clone, Copy)]
struct Setting<'a> {
    header: &'a Header,
    /// The interaction, for a record of one.
    interaction: Option<&'a InteractionFacts>,
    /// Its personal part; `None` when it was sealed with a key that was destroyed.
    personal: Option<&'a Personal>,
}

impl Projection for Listing {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        MODEL_VERSION
    }

    fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        if self.loading.as_ref().is_some_and(Loading::is_spoilt) {
            return Ok(Checkpoint::default());
        }
        let state = store::read_state(&self.connection, self.file());
        state.map(|state| state.checkpoint).map_err(|source| ModelError(Box::new(source)))
    }

    fn wants_personal(_: &Header, input: InputRef<'_>) -> bool {
        match input {
            // Names, addresses and free attributes can't be seen from outside.
            InputRef::Interaction(_) => true,
            InputRef::Other(InputFacts::Command(StoredCommand { ask, .. })) => match ask {
                AskV1::AddNote(_) | AskV1::SetAttributes(..) | AskV1::CloseLead(..) => true,
                AskV1::OpenLead(..)
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
        self.renew_loading().map_err(|source| ModelError(Box::new(source)))?;
        self.pending_bytes += u64::from(header.facts_len) + u64::from(header.personal_len);
        let interaction = match input {
            InputRef::Interaction(interaction) => Some(interaction),
            InputRef::Other(other) => {
                if let InputFacts::Policy(policy) = other {
                    self.adopt_policy(header.tenant, policy)?;
                }
                None
            }
        };
        let setting = Setting { header, interaction, personal };
        for event in events {
            self.evolve(&setting, event)?;
        }
        self.learn_contact(&setting)?;
        self.make_room().map_err(|source| self.failed("write to", source).into())
    }

    fn is_full(&self) -> bool {
        self.pending_is_full()
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError> {
        self.write_pending(checkpoint).map_err(|source| self.failed("write to", source))
    }

    fn discard(&mut self) {
        self.forget_pending();
    }

    fn parked(&self) -> Result<Parked, ModelError> {
        if self.loading.as_ref().is_some_and(Loading::is_spoilt) {
            return Ok(Parked::default());
        }
        store::read_parked(&self.connection, self.file()).map_err(|source| ModelError(Box::new(source)))
    }

    fn park(&mut self, parked: &Parked) -> bool {
        self.parked = Some(parked.clone());
        true
    }

    fn prepare(&mut self, behind: u64) -> Result<(), ModelError> {
        self.prepare_for(behind).map_err(|source| ModelError(Box::new(source)))
    }

    fn stand_by(&mut self) -> Result<(), ModelError> {
        self.stand_by_loaded().map_err(|source| ModelError(Box::new(source)))
    }

    fn settle(&mut self, behind: u64) -> Result<(), ModelError> {
        self.settle_near(behind).map_err(|source| ModelError(Box::new(source)))?;
        self.clean(behind).map_err(|source| ModelError(Box::new(source)))
    }
}

impl Listing {
    fn adopt_policy(&mut self, tenant: u32, stored: &StoredPolicy) -> Result<(), FoldError> {
        // What stands in the log was checked against the policy before it when it was adopted.
        let document = policy_document::read(&stored.document, None)
            .map_err(|_| Park { reason: "it holds a policy that this program can't read" })?;
        let lead_types = document.policy.lead_types.into_iter().map(|it| (it.name, it.group)).collect();
        let (tenant_name, version, grid) = (stored.tenant.0.clone(), stored.version, document.policy.scoring.grid);
        let policy = PendingPolicy { tenant: tenant_name, version, lead_types, grid };
        self.policies.insert(tenant, policy);
        Ok(())
    }

    fn evolve(&mut self, setting: &Setting<'_>, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::VisitorCreated { visitor } => {
                self.create_visitor(setting, *visitor);
                Ok(())
            }
            Event::IdentifierLearned { visitor, identifier } => self.learn_identifier(setting, *visitor, *identifier),
            Event::IdentifierMoved { identifier, from, to } => self.move_identifier(setting, *identifier, *from, *to),
            Event::VisitorsMerged { survivor, absorbed } => self.merge(setting, *survivor, *absorbed),
            Event::VisitorsUnmerged { survivor, restored, afterwards } => {
                self.unmerge(setting, *restored)?;
                self.keep_apart(setting, *survivor, *restored, *afterwards);
                Ok(())
            }
            Event::DuplicateSuspected { visitor, other, identifier } => {
                self.suspect(setting, *visitor, *other, identifier.kind);
                Ok(())
            }
            Event::DuplicateSettled { visitor, other } => {
                self.settle_duplicate(setting, *visitor, *other);
                Ok(())
            }
            Event::VisitorErased { members, .. } => self.erase(setting, members),
            Event::LeadOpened { .. } => self.open_lead(setting, event),
            Event::InteractionOrphaned { interaction, reason } => {
                self.orphan(setting, *interaction, *reason);
                Ok(())
            }
            Event::InteractionMoved { .. } => self.move_interaction(setting, event),
            Event::InteractionAttached { .. } => self.attach(setting, event),
            Event::CustomerLearned { lead, customer } => self.learn_customer(setting, *lead, *customer),
            Event::ConversionRecorded { .. }
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
            | Event::StageEntered { .. } => self.change_lead(setting, event),
            // Who should hear from us when is no part of a lead.
            Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => Ok(()),
        }
    }
}
