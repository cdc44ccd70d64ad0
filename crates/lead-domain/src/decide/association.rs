//! Which lead takes it? Domain section 4, with late interactions of section 7.

use super::{Desk, LEADS_MAX, deadline_of};
use crate::book::{Book, CloseCause, Lead, Status};
use crate::event::{AttachReason, Candidates, Event, OrphanReason, ReopenReason};
use crate::identifier::IdentifierKey;
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::interaction::Interaction;
use crate::policy::{CustomerIdMatch, EntryPoint, Pick};
use crate::time::Time;

/// What is to be done with an interaction.
enum Choice {
    /// Into a lead that was alive when the interaction happened, or one that was opened later.
    Attach { lead: LeadId, because: AttachReason, candidates: Candidates },
    /// Nobody can take it.
    Nobody,
}

impl Desk<'_> {
    /// Puts the interaction into a lead of the visitor, an existing or a new one, or leaves it an orphan.
    pub(super) fn associate(&mut self, visitor: VisitorId, id: InteractionId, interaction: &Interaction<'_>) {
        let policy = self.policy;
        let before = self.touched_before(visitor, interaction.occurred_at);
        let Some(point) = policy.entry_point(interaction.skill, interaction.channel) else {
            self.orphan(id, OrphanReason::UnknownEntryPoint);
            return;
        };
        match self.choose(visitor, point, interaction) {
            Choice::Attach { lead, because, candidates } => {
                self.attach(lead, id, interaction.occurred_at, because, candidates);
                self.learn_customer(lead, interaction.identifiers.customer_id);
                self.score(lead, id, interaction, before);
                self.convert_by(lead, id, interaction);
            }
            Choice::Nobody => {
                if let Some(lead) = self.open_for(visitor, point, id, interaction) {
                    self.score(lead, id, interaction, before);
                    self.convert_by(lead, id, interaction);
                }
            }
        }
    }

    fn orphan(&mut self, interaction: InteractionId, reason: OrphanReason) {
        self.state(Event::InteractionOrphaned { interaction, reason });
    }

    /// Opens a lead of the entry point's default type for the interaction; `None` where it has to stay an orphan.
    fn open_for(
        &mut self,
        visitor: VisitorId,
        point: &EntryPoint,
        id: InteractionId,
        interaction: &Interaction<'_>,
    ) -> Option<LeadId> {
        let policy = self.policy;
        let at = interaction.occurred_at;
        let opened = match point.default_lead_type.as_ref().map(|name| policy.lead_type(name)) {
            None => Err(OrphanReason::NoDefaultLeadType),
            Some(Some(lead_type)) if lead_type.active => self
                .open_lead(visitor, lead_type, at, interaction.identifiers.customer_id)
                .ok_or(OrphanReason::TooManyLeads),
            Some(_) => Err(OrphanReason::InactiveLeadType),
        };
        match opened {
            Ok(lead) => {
                self.attach(lead, id, at, AttachReason::Opened, Candidates::new());
                Some(lead)
            }
            Err(reason) => {
                self.orphan(id, reason);
                None
            }
        }
    }

    /// Opens a lead; `None` when the visitor has as many as one may have.
    pub(super) fn open_lead(
        &mut self,
        visitor: VisitorId,
        lead_type: &crate::policy::LeadType,
        at: Time,
        customer: Option<IdentifierKey>,
    ) -> Option<LeadId> {
        let book = self.shelf.book(visitor)?;
        if book.leads.len() >= LEADS_MAX {
            return None;
        }
        let owner = book.members.iter().find(|member| member.visitor == book.visitor)?;
        let lead = LeadId { visitor: book.visitor, ordinal: owner.leads_opened.checked_add(1)? };
        let anchors = crate::policy::Anchors { first: at, last: at, reopened: None };
        let deadline = lead_type.deadline(anchors);
        let lead_type = lead_type.name.clone();
        self.state(Event::LeadOpened { lead, visitor: lead.visitor, lead_type, at, customer, deadline });
        self.advance(lead, at, None);
        Some(lead)
    }

    /// The lead that takes the interaction, and why.
    ///
    /// First among the leads that were alive when it happened: that is what on-time arrival would have chosen from. If
    /// there is none, among the open ones that began later.
    fn choose(&self, visitor: VisitorId, point: &EntryPoint, interaction: &Interaction<'_>) -> Choice {
        let Some(book) = self.shelf.book(visitor) else { return Choice::Nobody };
        let at = interaction.occurred_at;
        let customer = interaction.identifiers.customer_id;
        let takes = |lead: &&Lead| point.allows(&lead.lead_type) && self.agrees(lead, customer);
        let alive: Vec<&Lead> = book.leads.iter().filter(|lead| was_alive(lead, at)).filter(takes).collect();
        let candidates = if alive.is_empty() { book.open_leads().filter(takes).collect() } else { alive };
        let Some(best) = pick(point.pick, &candidates) else { return Choice::Nobody };
        let because = reason(book, best, point.pick, candidates.len());
        let candidates = candidates.iter().map(|lead| lead.id).collect();
        Choice::Attach { lead: best.id, because, candidates }
    }

    /// Whether the customer ids of lead and interaction agree.
    fn agrees(&self, lead: &Lead, customer: Option<IdentifierKey>) -> bool {
        match (self.policy.customer_id_match, lead.customer, customer) {
            (_, Some(lead), Some(customer)) => lead == customer,
            (_, None, None) | (CustomerIdMatch::Lenient, _, _) => true,
            (CustomerIdMatch::Strict, _, _) => false,
        }
    }

    fn attach(
        &mut self,
        lead: LeadId,
        interaction: InteractionId,
        occurred_at: Time,
        because: AttachReason,
        candidates: Candidates,
    ) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let deadline =
            if because == AttachReason::LateHistory { found.deadline } else { self.deadline_with(found, occurred_at) };
        if because == AttachReason::LateReopened {
            let at = occurred_at;
            let kept = found.deadline;
            let because = ReopenReason::LateInteraction;
            self.state(Event::LeadReopened { lead, at, because, deadline: kept });
        }
        self.state(Event::InteractionAttached { lead, interaction, occurred_at, because, candidates, deadline });
    }

    /// The deadline of a lead once it has an interaction at `at` too.
    pub(super) fn deadline_with(&self, lead: &Lead, at: Time) -> Time {
        let mut anchors = lead.anchors();
        if lead.interactions == 0 {
            (anchors.first, anchors.last) = (at, at);
        }
        anchors.first = anchors.first.min(at);
        anchors.last = anchors.last.max(at);
        deadline_of(self.policy, &lead.lead_type, anchors, lead.deadline)
    }

    fn learn_customer(&mut self, lead: LeadId, customer: Option<IdentifierKey>) {
        let known = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)).and_then(|lead| lead.customer);
        if let (None, Some(customer)) = (known, customer) {
            self.state(Event::CustomerLearned { lead, customer });
        }
    }

    /// Converts the lead if the interaction does that to leads of its type.
    fn convert_by(&mut self, lead: LeadId, id: InteractionId, interaction: &Interaction<'_>) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let converts =
            self.policy.lead_type(&found.lead_type).is_some_and(|lead_type| lead_type.converts_on(interaction));
        if !converts {
            return;
        }
        let sale = interaction.conversion.unwrap_or_default();
        if let Some((order, counted_for)) = self.counted_order(sale.order) {
            self.state(Event::ConversionRepeated { lead, order, counted_for });
            return;
        }
        self.convert(lead, Some(id), interaction.occurred_at, sale);
    }
}

/// Whether the lead was open at `at`, as far as is known now.
fn was_alive(lead: &Lead, at: Time) -> bool {
    let ended = match lead.status {
        Status::Open => None,
        Status::Closed { cause: CloseCause::Merged | CloseCause::Erased, .. } => return false,
        Status::Closed { cause: CloseCause::Conversion | CloseCause::Operator | CloseCause::Inactivity, at } => {
            Some(at)
        }
    };
    lead.opened_at <= at && ended.is_none_or(|ended| at < ended)
}

/// The best candidate: by the rule, then the one opened last, then the smaller id.
fn pick<'a>(pick: Pick, candidates: &[&'a Lead]) -> Option<&'a Lead> {
    let rank = |lead: &Lead| match pick {
        Pick::MostRecent => lead.last_interaction_at.as_millis(),
        Pick::HighestScore => i64::from(lead.score),
    };
    let key = |lead: &Lead| (rank(lead), lead.opened_at, std::cmp::Reverse(lead.id));
    candidates.iter().copied().max_by_key(|lead| key(lead))
}

fn reason(book: &Book, best: &Lead, pick: Pick, candidates: usize) -> AttachReason {
    match best.status {
        Status::Open => match (candidates, pick) {
            (..=1, _) => AttachReason::OnlyCandidate,
            (_, Pick::MostRecent) => AttachReason::MostRecent,
            (_, Pick::HighestScore) => AttachReason::HighestScore,
        },
        Status::Closed { cause: CloseCause::Inactivity, at } if !has_successor(book, best, at) => {
            AttachReason::LateReopened
        }
        Status::Closed { .. } => AttachReason::LateHistory,
    }
}

/// Whether a newer lead of the same type was opened since `closed_at`.
fn has_successor(book: &Book, lead: &Lead, closed_at: Time) -> bool {
    book.leads
        .iter()
        .any(|other| other.lead_type == lead.lead_type && other.id != lead.id && other.opened_at >= closed_at)
}
