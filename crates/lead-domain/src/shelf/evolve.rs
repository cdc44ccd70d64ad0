//! How an event changes the books. Total: an event that concerns nothing on the shelf changes nothing.

use super::Shelf;
use crate::book::{Book, Conversion, Held, Lead, Status, Suspected};
use crate::event::{AfterUnmerge, AttachReason, Event, ReopenReason};
use crate::identifier::Identifier;
use crate::ids::{InteractionId, LeadId, OrderKey, TenantId, VisitorId};
use crate::time::Time;

impl Shelf {
    /// Applies one event of `tenant`.
    pub fn evolve(&mut self, tenant: TenantId, event: &Event) {
        match event {
            Event::VisitorCreated { visitor } => self.begin_book(*visitor, tenant),
            Event::IdentifierLearned { visitor, identifier } => self.learn(*visitor, *identifier),
            Event::IdentifierMoved { identifier, from, to } => self.move_identifier(*identifier, *from, *to),
            Event::VisitorsMerged { survivor, absorbed } => self.merge(*survivor, *absorbed),
            Event::VisitorsUnmerged { survivor, restored, afterwards } => {
                self.unmerge(*survivor, *restored, *afterwards);
            }
            Event::DuplicateSuspected { visitor, other, .. } => {
                self.suspect(*visitor, *other);
                self.suspect(*other, *visitor);
            }
            Event::DuplicateSettled { visitor, other } => {
                self.settle(*visitor, *other);
                self.settle(*other, *visitor);
            }
            Event::VisitorErased { visitor, .. } => self.erase(*visitor),
            Event::InteractionOrphaned { .. } => {}
            Event::InteractionMoved { .. } => self.move_interaction(event),
            Event::LeadOpened { .. } => self.open_lead(event),
            Event::ConversionRecorded { .. } => self.record_conversion(event),
            Event::ConversionWithdrawn { lead, order, .. } => self.withdraw_conversion(*lead, *order),
            Event::CustomerLearned { .. }
            | Event::InteractionAttached { .. }
            | Event::ConversionRepeated { .. }
            | Event::LeadClosed { .. }
            | Event::LeadReopened { .. }
            | Event::LeadTypeChanged { .. }
            | Event::LeadAssigned { .. }
            | Event::NoteAdded { .. }
            | Event::AttributesSet { .. } => self.change_lead(event),
            Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::InteractionDiscredited { .. }
            | Event::ScoreChanged { .. }
            | Event::TemperatureChanged { .. }
            | Event::StageEntered { .. } => self.change_score(event),
            Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => self.change_nurture(event),
        }
    }

    pub(super) fn book_mut(&mut self, visitor: VisitorId) -> Option<&mut Book> {
        let survivor = self.survivor(visitor);
        self.books.get_mut(&survivor).map(|book| &mut **book)
    }

    pub(super) fn lead_mut(&mut self, lead: LeadId) -> Option<&mut Lead> {
        self.book_mut(lead.visitor)?.lead_mut(lead)
    }

    fn learn(&mut self, visitor: VisitorId, identifier: Identifier) {
        self.identifiers.insert(identifier, visitor);
        if let Some(book) = self.book_mut(visitor) {
            insert_held(book, Held { identifier, by: visitor });
        }
    }

    fn move_identifier(&mut self, identifier: Identifier, from: VisitorId, to: VisitorId) {
        if let Some(book) = self.book_mut(from) {
            book.identifiers.retain(|held| held.identifier != identifier);
        }
        self.learn(to, identifier);
    }

    fn merge(&mut self, survivor: VisitorId, absorbed: VisitorId) {
        let Some(mut other) = self.books.remove(&absorbed) else { return };
        let Some(book) = self.books.get_mut(&survivor) else {
            self.books.insert(absorbed, other);
            return;
        };
        for member in &mut other.members {
            if member.visitor == absorbed {
                member.into = survivor;
            }
        }
        book.members.append(&mut other.members);
        book.members.sort_unstable_by_key(|member| member.visitor);
        book.identifiers.append(&mut other.identifiers);
        book.identifiers.sort_unstable_by_key(|held| held.identifier);
        book.leads.append(&mut other.leads);
        book.leads.sort_unstable_by_key(|lead| lead.id);
        book.suspected.append(&mut other.suspected);
        book.suspected.sort_unstable_by_key(|suspected| (suspected.member, suspected.other));
        book.moved.append(&mut other.moved);
        book.moved.sort_unstable();
        if let Some(nurture) = other.nurture {
            book.nurture_mut().absorb(*nurture);
        }
        self.redirects.insert(absorbed, survivor);
    }

    fn unmerge(&mut self, survivor: VisitorId, restored: VisitorId, afterwards: AfterUnmerge) {
        let Some(book) = self.books.get_mut(&survivor) else { return };
        let leaving = leaving_with(book, restored);
        let leaves = |visitor: &VisitorId| leaving.contains(visitor);
        let mut own = Box::new(Book::new(restored, book.tenant));
        own.members = book.members.extract_if(.., |member| leaves(&member.visitor)).collect();
        for member in &mut own.members {
            if member.visitor == restored {
                member.into = restored;
            }
        }
        own.identifiers = book.identifiers.extract_if(.., |held| leaves(&held.by)).collect();
        own.leads = book.leads.extract_if(.., |lead| leaves(&lead.id.visitor)).collect();
        own.suspected = book.suspected.extract_if(.., |suspected| leaves(&suspected.member)).collect();
        own.moved = book.moved.extract_if(.., |moved| leaves(&moved.lead.visitor)).collect();
        if let Some(mut nurture) = book.nurture.take() {
            own.nurture = Some(Box::new(nurture.split(|visitor| leaves(&visitor)))).filter(|own| !own.is_empty());
            book.nurture = Some(nurture).filter(|kept| !kept.is_empty());
        }
        self.redirects.remove(&restored);
        self.books.insert(restored, own);
        if afterwards == AfterUnmerge::KeepApart {
            self.settle(survivor, restored);
            self.settle(restored, survivor);
        }
    }

    fn suspect(&mut self, visitor: VisitorId, other: VisitorId) {
        let Some(book) = self.book_mut(visitor) else { return };
        if book.suspicion(other).is_none() {
            book.suspected.push(Suspected { member: visitor, other, settled: false });
            book.suspected.sort_unstable_by_key(|suspected| (suspected.member, suspected.other));
        }
    }

    fn settle(&mut self, visitor: VisitorId, other: VisitorId) {
        self.suspect(visitor, other);
        let Some(book) = self.book_mut(visitor) else { return };
        for suspected in book.suspected.iter_mut().filter(|suspected| suspected.other == other) {
            suspected.settled = true;
        }
    }

    /// What leads back to the person goes; what counts stays. Orders stay too, so that none counts twice.
    fn erase(&mut self, visitor: VisitorId) {
        let Some(book) = self.book_mut(visitor) else { return };
        book.erased = true;
        book.suspected.clear();
        book.nurture = None;
        for lead in &mut book.leads {
            lead.customer = None;
        }
        let held = std::mem::take(&mut book.identifiers);
        for Held { identifier, .. } in held {
            self.identifiers.remove(&identifier);
            self.forgotten.push(identifier);
        }
    }

    fn open_lead(&mut self, event: &Event) {
        let Event::LeadOpened { lead, visitor, lead_type, at, customer, deadline } = event else { return };
        let Some(book) = self.book_mut(*visitor) else { return };
        for member in book.members.iter_mut().filter(|member| member.visitor == lead.visitor) {
            member.leads_opened = member.leads_opened.max(lead.ordinal);
        }
        let opened = Lead {
            id: *lead,
            lead_type: lead_type.clone(),
            status: Status::Open,
            opened_at: *at,
            first_interaction_at: *at,
            last_interaction_at: *at,
            reopened_at: None,
            deadline: *deadline,
            interactions: 0,
            customer: *customer,
            score: 0,
            ledger: None,
            owner: None,
            conversions: Vec::new(),
            version: 1,
        };
        if let Err(place) = book.leads.binary_search_by_key(lead, |lead| lead.id) {
            insert_tight(&mut book.leads, place, opened);
        }
    }

    /// Events that change one lead and nothing else, but for the moved list of an adopted orphan.
    fn change_lead(&mut self, event: &Event) {
        let Some(id) = event.leads().first().copied() else { return };
        let Some(lead) = self.lead_mut(id) else { return };
        lead.version = lead.version.saturating_add(1);
        match event {
            Event::CustomerLearned { customer, .. } => lead.customer = Some(*customer),
            Event::InteractionAttached { interaction, occurred_at, because, deadline, .. } => {
                attach(lead, *occurred_at, *deadline);
                if *because == AttachReason::Adopted {
                    self.note_adoption(*interaction, id);
                }
            }
            Event::LeadClosed { cause, at, .. } => lead.status = Status::Closed { cause: *cause, at: *at },
            Event::LeadReopened { at, because, deadline, .. } => {
                lead.status = Status::Open;
                lead.deadline = *deadline;
                // A late interaction belongs to the period that was running, so it starts no new one.
                if *because != ReopenReason::LateInteraction {
                    lead.reopened_at = Some(*at);
                }
            }
            Event::LeadTypeChanged { to, deadline, .. } => {
                lead.lead_type = to.clone();
                lead.deadline = *deadline;
            }
            Event::LeadAssigned { owner, .. } => lead.owner.clone_from(owner),
            Event::ConversionRepeated { .. } | Event::NoteAdded { .. } | Event::AttributesSet { .. } => {}
            Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::VisitorsUnmerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::VisitorErased { .. }
            | Event::LeadOpened { .. }
            | Event::InteractionOrphaned { .. }
            | Event::InteractionMoved { .. }
            | Event::ConversionRecorded { .. }
            | Event::ConversionWithdrawn { .. }
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
            | Event::NurtureStopped { .. } => {}
        }
    }

    fn record_conversion(&mut self, event: &Event) {
        let Event::ConversionRecorded { lead: id, interaction, at, value, rgus, order } = event else { return };
        if let Some(order) = order {
            self.orders.insert(*order, *id);
        }
        let Some(lead) = self.lead_mut(*id) else { return };
        lead.version = lead.version.saturating_add(1);
        let sale = Conversion {
            interaction: *interaction,
            at: *at,
            value: *value,
            rgus: *rgus,
            order: *order,
            withdrawn: false,
        };
        let end = lead.conversions.len();
        insert_tight(&mut lead.conversions, end, sale);
    }

    fn withdraw_conversion(&mut self, id: LeadId, order: Option<OrderKey>) {
        if let Some(order) = order {
            self.orders.remove(&order);
        }
        if let Some(lead) = self.lead_mut(id) {
            lead.version = lead.version.saturating_add(1);
            withdraw(lead, order);
        }
    }

    fn move_interaction(&mut self, event: &Event) {
        let Event::InteractionMoved { interaction, occurred_at, from, to, remaining, from_deadline, to_deadline } =
            event
        else {
            return;
        };
        if let Some(lead) = self.lead_mut(*from) {
            lead.version = lead.version.saturating_add(1);
            lead.interactions = lead.interactions.saturating_sub(1);
            let (first, last) = remaining.unwrap_or((lead.opened_at, lead.opened_at));
            lead.first_interaction_at = first;
            lead.last_interaction_at = last;
            lead.deadline = *from_deadline;
        }
        if let Some(lead) = self.lead_mut(*to) {
            lead.version = lead.version.saturating_add(1);
            attach(lead, *occurred_at, *to_deadline);
        }
        self.move_points(*interaction, *from, *to);
        if let Some(book) = self.book_mut(to.visitor) {
            book.note_move(*interaction, *to, &[from.visitor]);
        }
    }

    /// An orphan is adopted from whichever member it was recorded with.
    fn note_adoption(&mut self, interaction: InteractionId, lead: LeadId) {
        let Some(book) = self.book_mut(lead.visitor) else { return };
        let members: Vec<VisitorId> = book.members.iter().map(|member| member.visitor).collect();
        book.note_move(interaction, lead, &members);
    }
}

fn insert_held(book: &mut Book, held: Held) {
    match book.identifiers.binary_search_by_key(&held.identifier, |held| held.identifier) {
        Ok(_) => {}
        Err(place) => insert_tight(&mut book.identifiers, place, held),
    }
}

/// Inserts at a place that is there. Most books stay small and there are hundreds of thousands of them, so a list grows
/// by half of itself instead of starting with room for four.
pub(crate) fn insert_tight<T>(list: &mut Vec<T>, place: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 2);
    }
    list.insert(place, item);
}

/// `restored` and everyone who was merged into it, directly or not.
fn leaving_with(book: &Book, restored: VisitorId) -> Vec<VisitorId> {
    let mut leaving = vec![restored];
    // Members are sorted from old to young and merge into older ones, so one pass finds all.
    for member in &book.members {
        if member.visitor != restored && leaving.contains(&member.into) {
            leaving.push(member.visitor);
        }
    }
    leaving
}

fn attach(lead: &mut Lead, occurred_at: Time, deadline: Time) {
    if lead.interactions == 0 {
        lead.first_interaction_at = occurred_at;
        lead.last_interaction_at = occurred_at;
    }
    lead.first_interaction_at = lead.first_interaction_at.min(occurred_at);
    lead.last_interaction_at = lead.last_interaction_at.max(occurred_at);
    lead.interactions = lead.interactions.saturating_add(1);
    lead.deadline = deadline;
}

/// Takes back the latest counted sale of that order; without an order, the latest counted sale that has none.
fn withdraw(lead: &mut Lead, order: Option<OrderKey>) {
    let counted = |conversion: &&mut Conversion| !conversion.withdrawn && conversion.order == order;
    if let Some(conversion) = lead.conversions.iter_mut().rev().find(counted) {
        conversion.withdrawn = true;
    }
}
