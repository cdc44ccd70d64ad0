//! What operators may do. Every command is checked whole before its first event is stated.

use super::{Desk, LEADS_MAX, MEMBERS_MAX, Refusal, deadline_of};
use crate::Name;
use crate::book::{Book, CloseCause, Conversion, Lead, Place, Status};
use crate::command::{Adoption, Command, RecordedInteraction};
use crate::event::{AfterUnmerge, AttachReason, Candidates, Event, ReopenReason, ScoreReason};
use crate::ids::{LeadId, OrderKey, VisitorId};
use crate::interaction::Sale;
use crate::policy::LeadType;
use crate::time::Time;

impl Desk<'_> {
    /// Carries out a command given at `at` and returns the visitor concerned.
    pub(super) fn obey(
        &mut self,
        at: Time,
        command: &Command,
        expected_version: Option<u32>,
    ) -> Result<VisitorId, Refusal> {
        if let Some(lead) = command_lead(command) {
            self.check_version(lead, expected_version)?;
        }
        match command {
            Command::OpenLead { visitor, lead_type } => self.open_by_hand(*visitor, lead_type, at),
            Command::CloseLead { lead, reason } => self.close(*lead, reason, at),
            Command::ConvertLead { lead, sale } => self.convert_by_hand(*lead, *sale, at),
            Command::WithdrawConversion { lead, order } => self.withdraw(*lead, *order, at),
            Command::ReopenLead { lead } => self.reopen(*lead, at),
            Command::ChangeLeadType { lead, lead_type } => self.change_type(*lead, lead_type, at),
            Command::AssignLead { lead, owner } => {
                self.annotate(*lead, at, Event::LeadAssigned { lead: *lead, owner: owner.clone() })
            }
            Command::AddNote { lead } => self.annotate(*lead, at, Event::NoteAdded { lead: *lead }),
            Command::SetAttributes { lead, names } => {
                let mut names = names.clone();
                names.sort_unstable();
                names.dedup();
                self.annotate(*lead, at, Event::AttributesSet { lead: *lead, names })
            }
            Command::AdoptOrphan { orphan, into } => self.adopt(*orphan, into, at),
            Command::MoveInteraction { interaction, recorded_in, to, remaining } => {
                self.move_interaction(*interaction, *recorded_in, *to, *remaining)
            }
            Command::DiscreditInteraction { interaction, recorded_in } => {
                self.discredit_by_hand(*interaction, *recorded_in, at)
            }
            Command::MergeVisitors { one, other } => self.merge_by_hand(*one, *other),
            Command::UnmergeVisitor { visitor, afterwards } => self.unmerge(*visitor, *afterwards),
            Command::SettleDuplicate { one, other } => self.settle(*one, *other),
            Command::EraseVisitor { visitor, .. } => self.erase(*visitor, at),
        }
    }

    pub(super) fn book_of(&self, visitor: VisitorId) -> Result<&Book, Refusal> {
        let book = self.shelf.book(visitor).filter(|book| book.tenant == self.tenant);
        let book = book.ok_or(Refusal::UnknownVisitor { visitor })?;
        if book.erased { Err(Refusal::VisitorErased { visitor: book.visitor }) } else { Ok(book) }
    }

    pub(super) fn find(&self, lead: LeadId) -> Result<&Lead, Refusal> {
        let book = self.shelf.book(lead.visitor).filter(|book| book.tenant == self.tenant);
        let book = book.ok_or(Refusal::UnknownLead { lead })?;
        let found = book.lead(lead).ok_or(Refusal::UnknownLead { lead })?;
        if book.erased { Err(Refusal::VisitorErased { visitor: book.visitor }) } else { Ok(found) }
    }

    fn find_open(&self, lead: LeadId, at: Time) -> Result<&Lead, Refusal> {
        let found = self.find(lead)?;
        match ending(found, at) {
            Some(cause) => Err(Refusal::LeadClosed { lead, cause }),
            None => Ok(found),
        }
    }

    fn check_version(&self, lead: LeadId, expected: Option<u32>) -> Result<(), Refusal> {
        let Some(expected) = expected else { return Ok(()) };
        let found = self.find(lead)?.version;
        if found == expected { Ok(()) } else { Err(Refusal::VersionMismatch { lead, expected, found }) }
    }

    fn active_type(&self, name: &Name) -> Result<&LeadType, Refusal> {
        let lead_type = self.policy.lead_type(name);
        let lead_type = lead_type.ok_or_else(|| Refusal::UnknownLeadType { lead_type: name.clone() })?;
        if lead_type.active { Ok(lead_type) } else { Err(Refusal::InactiveLeadType { lead_type: name.clone() }) }
    }

    /// Closes what timed out for the lead's visitor, and returns who that is.
    pub(super) fn settle_time(&mut self, visitor: VisitorId, at: Time) -> VisitorId {
        let survivor = self.shelf.survivor(visitor);
        self.close_timed_out(survivor, at);
        survivor
    }

    fn open_by_hand(&mut self, visitor: VisitorId, name: &Name, at: Time) -> Result<VisitorId, Refusal> {
        let lead_type = self.active_type(name)?.clone();
        let book = self.book_of(visitor)?;
        if book.leads.len() >= LEADS_MAX {
            return Err(Refusal::TooManyLeads { visitor: book.visitor });
        }
        let customer = book.customer();
        let survivor = self.settle_time(visitor, at);
        self.open_lead(survivor, &lead_type, at, customer);
        Ok(survivor)
    }

    fn close(&mut self, lead: LeadId, reason: &Name, at: Time) -> Result<VisitorId, Refusal> {
        self.find_open(lead, at)?;
        if !self.policy.close_reasons.contains(reason) {
            return Err(Refusal::UnknownCloseReason { reason: reason.clone() });
        }
        let survivor = self.settle_time(lead.visitor, at);
        self.state(Event::LeadClosed { lead, cause: CloseCause::Operator, at, reason: Some(reason.clone()) });
        Ok(survivor)
    }

    fn convert_by_hand(&mut self, lead: LeadId, sale: Sale, at: Time) -> Result<VisitorId, Refusal> {
        self.find_open(lead, at)?;
        if let Some((_, counted_for)) = self.counted_order(sale.order) {
            return Err(Refusal::OrderCounted { counted_for });
        }
        let survivor = self.settle_time(lead.visitor, at);
        self.convert(lead, None, at, sale);
        Ok(survivor)
    }

    fn withdraw(&mut self, lead: LeadId, order: Option<OrderKey>, at: Time) -> Result<VisitorId, Refusal> {
        let found = self.find(lead)?;
        let wanted = |conversion: &&Conversion| order.is_none() || conversion.order == order;
        let Some(sale) = found.counted_conversions().filter(wanted).last().copied() else {
            return Err(Refusal::NoConversion { lead });
        };
        let last_one = found.counted_conversions().count() == 1;
        let converted = ending(found, at) == Some(CloseCause::Conversion);
        let survivor = self.settle_time(lead.visitor, at);
        let Conversion { value, rgus, order, .. } = sale;
        self.state(Event::ConversionWithdrawn { lead, at, value, rgus, order });
        if last_one && converted {
            self.state_reopened(lead, at, ReopenReason::ConversionWithdrawn);
        }
        Ok(survivor)
    }

    fn reopen(&mut self, lead: LeadId, at: Time) -> Result<VisitorId, Refusal> {
        match ending(self.find(lead)?, at) {
            None => return Err(Refusal::LeadOpen { lead }),
            Some(cause @ (CloseCause::Merged | CloseCause::Erased)) => return Err(Refusal::LeadClosed { lead, cause }),
            Some(CloseCause::Conversion | CloseCause::Operator | CloseCause::Inactivity) => {}
        }
        let survivor = self.settle_time(lead.visitor, at);
        self.state_reopened(lead, at, ReopenReason::Operator);
        Ok(survivor)
    }

    /// The lead goes on, with its period counted anew from `at`.
    fn state_reopened(&mut self, lead: LeadId, at: Time, because: ReopenReason) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let mut anchors = found.anchors();
        anchors.reopened = Some(at);
        let deadline = deadline_of(self.policy, &found.lead_type, anchors, found.deadline);
        self.state(Event::LeadReopened { lead, at, because, deadline });
    }

    fn change_type(&mut self, lead: LeadId, name: &Name, at: Time) -> Result<VisitorId, Refusal> {
        let found = self.find_open(lead, at)?;
        let lead_type = self.active_type(name)?;
        if found.lead_type == *name {
            return Err(Refusal::SameLeadType { lead, lead_type: name.clone() });
        }
        let from = found.lead_type.clone();
        let deadline = lead_type.deadline(found.anchors());
        let survivor = self.settle_time(lead.visitor, at);
        self.state(Event::LeadTypeChanged { lead, from, to: name.clone(), deadline });
        Ok(survivor)
    }

    /// States an event that may concern an open or a closed lead.
    fn annotate(&mut self, lead: LeadId, at: Time, event: Event) -> Result<VisitorId, Refusal> {
        self.find(lead)?;
        let survivor = self.settle_time(lead.visitor, at);
        self.state(event);
        Ok(survivor)
    }

    fn adopt(&mut self, orphan: RecordedInteraction, into: &Adoption, at: Time) -> Result<VisitorId, Refusal> {
        let book = self.book_of(orphan.visitor)?;
        match book.place_of(orphan.id) {
            Place::AsRecorded => {}
            Place::Lead(lead) => return Err(Refusal::AlreadyAdopted { interaction: orphan.id, lead }),
            Place::Elsewhere => return Err(Refusal::InteractionElsewhere { interaction: orphan.id }),
        }
        match into {
            Adoption::Lead(lead) => {
                if book.lead(*lead).is_none() {
                    self.find(*lead)?;
                    return Err(Refusal::OtherVisitor { lead: *lead });
                }
                self.find_open(*lead, at)?;
                let survivor = self.settle_time(orphan.visitor, at);
                self.attach_adopted(*lead, orphan);
                Ok(survivor)
            }
            Adoption::NewLead(name) => self.adopt_into_new(orphan, name, at),
        }
    }

    /// Opens the lead when the orphan happened; if that is so long ago that it timed out since, the operator's adoption
    /// reopens it.
    fn adopt_into_new(&mut self, orphan: RecordedInteraction, name: &Name, at: Time) -> Result<VisitorId, Refusal> {
        let lead_type = self.active_type(name)?.clone();
        let book = self.book_of(orphan.visitor)?;
        if book.leads.len() >= LEADS_MAX {
            return Err(Refusal::TooManyLeads { visitor: book.visitor });
        }
        let customer = book.customer();
        let survivor = self.settle_time(orphan.visitor, at);
        if let Some(lead) = self.open_lead(survivor, &lead_type, orphan.occurred_at, customer) {
            self.attach_adopted(lead, orphan);
            self.close_timed_out(survivor, at);
            if self.find_open(lead, at).is_err() {
                self.state_reopened(lead, at, ReopenReason::Operator);
            }
        }
        Ok(survivor)
    }

    fn attach_adopted(&mut self, lead: LeadId, orphan: RecordedInteraction) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let deadline = self.deadline_with(found, orphan.occurred_at);
        let RecordedInteraction { id: interaction, occurred_at, .. } = orphan;
        let (because, candidates) = (AttachReason::Adopted, Candidates::new());
        self.state(Event::InteractionAttached { lead, interaction, occurred_at, because, candidates, deadline });
    }

    fn move_interaction(
        &mut self,
        moved: RecordedInteraction,
        recorded_in: LeadId,
        to: LeadId,
        remaining: Option<(Time, Time)>,
    ) -> Result<VisitorId, Refusal> {
        let RecordedInteraction { id: interaction, occurred_at, .. } = moved;
        let book = self.book_of(moved.visitor)?;
        let from = match book.place_of(interaction) {
            Place::AsRecorded => recorded_in,
            Place::Lead(lead) => lead,
            Place::Elsewhere => return Err(Refusal::InteractionElsewhere { interaction }),
        };
        let source = book.lead(from).ok_or(Refusal::UnknownLead { lead: from })?;
        if from == to {
            return Err(Refusal::SameLead { interaction, lead: to });
        }
        if source.counted_conversions().any(|conversion| conversion.interaction == Some(interaction)) {
            return Err(Refusal::InteractionConverted { interaction, lead: from });
        }
        let Some(target) = book.lead(to) else {
            self.find(to)?;
            return Err(Refusal::OtherVisitor { lead: to });
        };
        let survivor = book.visitor;
        let to_deadline = if target.is_open() { self.deadline_with(target, occurred_at) } else { target.deadline };
        let from_deadline = if source.is_open() { self.deadline_without(source, remaining) } else { source.deadline };
        let scored = source.ledger.as_ref().is_some_and(|ledger| ledger.has(interaction));
        let moved_points: &[LeadId] = if scored { &[from, to] } else { &[] };
        self.state(Event::InteractionMoved {
            interaction,
            occurred_at,
            from,
            to,
            remaining,
            from_deadline,
            to_deadline,
        });
        for lead in moved_points {
            self.state_score(*lead, occurred_at, ScoreReason::Moved, Vec::new());
        }
        Ok(survivor)
    }

    /// The deadline of a lead that keeps only the interactions in this span.
    fn deadline_without(&self, lead: &Lead, remaining: Option<(Time, Time)>) -> Time {
        let mut anchors = lead.anchors();
        (anchors.first, anchors.last) = remaining.unwrap_or((lead.opened_at, lead.opened_at));
        deadline_of(self.policy, &lead.lead_type, anchors, lead.deadline)
    }

    fn merge_by_hand(&mut self, one: VisitorId, other: VisitorId) -> Result<VisitorId, Refusal> {
        let (first, second) = (self.book_of(one)?, self.book_of(other)?);
        if first.visitor == second.visitor {
            return Err(Refusal::SameVisitor { one, other });
        }
        if let (Some(a), Some(b)) = (first.customer(), second.customer())
            && a != b
        {
            return Err(Refusal::DifferentCustomers { one, other });
        }
        let (survivor, absorbed) = (first.visitor.min(second.visitor), first.visitor.max(second.visitor));
        if first.members.len() + second.members.len() > MEMBERS_MAX {
            return Err(Refusal::TooManyMembers { visitor: survivor });
        }
        if first.leads.len() + second.leads.len() > LEADS_MAX {
            return Err(Refusal::TooManyLeads { visitor: survivor });
        }
        self.state(Event::VisitorsMerged { survivor, absorbed });
        Ok(survivor)
    }

    fn unmerge(&mut self, visitor: VisitorId, afterwards: AfterUnmerge) -> Result<VisitorId, Refusal> {
        let survivor = self.book_of(visitor)?.visitor;
        if survivor == visitor {
            return Err(Refusal::NotMerged { visitor });
        }
        self.state(Event::VisitorsUnmerged { survivor, restored: visitor, afterwards });
        Ok(survivor)
    }

    fn settle(&mut self, one: VisitorId, other: VisitorId) -> Result<VisitorId, Refusal> {
        let survivor = self.book_of(one)?.visitor;
        self.book_of(other)?;
        if self.suspicion(one, other).is_none() {
            return Err(Refusal::NotSuspected { one, other });
        }
        self.state(Event::DuplicateSettled { visitor: one, other });
        Ok(survivor)
    }

    /// Ends what is open, and forgets who it was: with everyone merged into the person, whichever of them was named.
    fn erase(&mut self, visitor: VisitorId, at: Time) -> Result<VisitorId, Refusal> {
        self.book_of(visitor)?;
        let survivor = self.settle_time(visitor, at);
        let book = self.book_of(survivor)?;
        let members = book.members.iter().map(|member| member.visitor).collect();
        let open: Vec<LeadId> = book.open_leads().map(|lead| lead.id).collect();
        for lead in open {
            self.state(Event::LeadClosed { lead, cause: CloseCause::Erased, at, reason: None });
        }
        self.state(Event::VisitorErased { visitor: survivor, members });
        Ok(survivor)
    }
}

/// The lead whose version the command's caller may have seen.
const fn command_lead(command: &Command) -> Option<LeadId> {
    match command {
        Command::CloseLead { lead, .. }
        | Command::ConvertLead { lead, .. }
        | Command::WithdrawConversion { lead, .. }
        | Command::ReopenLead { lead }
        | Command::ChangeLeadType { lead, .. }
        | Command::AssignLead { lead, .. }
        | Command::AddNote { lead }
        | Command::SetAttributes { lead, .. } => Some(*lead),
        Command::OpenLead { .. }
        | Command::AdoptOrphan { .. }
        | Command::MoveInteraction { .. }
        | Command::DiscreditInteraction { .. }
        | Command::MergeVisitors { .. }
        | Command::UnmergeVisitor { .. }
        | Command::SettleDuplicate { .. }
        | Command::EraseVisitor { .. } => None,
    }
}

/// How the lead has ended by `at`, even if no tick has noticed yet; `None` while it is open.
fn ending(lead: &Lead, at: Time) -> Option<CloseCause> {
    match lead.status {
        Status::Closed { cause, .. } => Some(cause),
        Status::Open => (lead.deadline <= at).then_some(CloseCause::Inactivity),
    }
}
