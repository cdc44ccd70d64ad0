//! A visitor's book: their leads, what they are known by, and who was merged into them.

use crate::Name;
use crate::identifier::{Identifier, IdentifierKey, IdentifierKind};
use crate::ids::{InteractionId, LeadId, OrderKey, TenantId, VisitorId};
use crate::money::Money;
use crate::nurture::{Nurture, Run};
use crate::policy::Anchors;
use crate::score::Ledger;
use crate::time::Time;

/// Everything that is needed to decide about one visitor. The lists are sorted by their first field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// Whose book it is.
    pub visitor: VisitorId,
    /// Whose visitor that is.
    pub tenant: TenantId,
    /// The visitor and everyone merged into it: each with its own numbering of leads.
    pub members: Vec<Member>,
    /// What the members are known by.
    pub identifiers: Vec<Held>,
    /// Every lead, open and closed, by id.
    pub leads: Vec<Lead>,
    /// Visitors who share an identifier but can't be the same person.
    pub suspected: Vec<Suspected>,
    /// Where operators moved or adopted interactions to.
    pub moved: Vec<Moved>,
    /// Programmes and consent; `None` where there is nothing of the kind.
    pub nurture: Option<Box<Nurture>>,
    /// Whether the person was erased. Nothing about the visitor changes from then on.
    pub erased: bool,
}

/// A visitor in a book: its owner, or one that was merged into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub visitor: VisitorId,
    /// Whom it was merged into; itself for the owner of the book.
    pub into: VisitorId,
    /// How many leads were opened for it.
    pub leads_opened: u32,
}

/// An identifier in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub identifier: Identifier,
    /// The member that learnt it.
    pub by: VisitorId,
}

/// Another visitor who looks like this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspected {
    /// The member concerned.
    pub member: VisitorId,
    /// The other visitor.
    pub other: VisitorId,
    /// Whether an operator said that they are different people.
    pub settled: bool,
}

/// An interaction that an operator put elsewhere than the decision did.
///
/// Beside the one that says where it is there are marks for visitors with whom it is not (any more). They go along when
/// such a visitor is taken apart from the others: what left cannot be taken, or counted, once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moved {
    /// Which.
    pub interaction: InteractionId,
    /// Where it is now. The ordinal 0, which no lead has, marks that it is in no lead of this visitor.
    pub lead: LeadId,
}

impl Moved {
    /// The mark that it is in no lead of this visitor.
    pub(crate) const fn away(interaction: InteractionId, visitor: VisitorId) -> Self {
        Self { interaction, lead: LeadId { visitor, ordinal: 0 } }
    }

    const fn is_away(&self) -> bool {
        self.lead.ordinal == 0
    }
}

/// What a book says of the place of an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing: it is where it was recorded.
    AsRecorded,
    /// An operator put it into this lead of the book.
    Lead(LeadId),
    /// An operator put it into a lead of a visitor who was taken apart from this one since.
    Elsewhere,
}

/// One opportunity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// Its class.
    pub lead_type: Name,
    /// Open or closed.
    pub status: Status,
    /// When it was opened.
    pub opened_at: Time,
    /// The earliest interaction; the opening where there is none.
    pub first_interaction_at: Time,
    /// The latest interaction; the opening where there is none.
    pub last_interaction_at: Time,
    /// The latest reopening that started the period anew.
    pub reopened_at: Option<Time>,
    /// When it closes unless something happens; for a closed lead, when it would have.
    pub deadline: Time,
    /// How many interactions it has.
    pub interactions: u32,
    /// Whose it is, where known.
    pub customer: Option<IdentifierKey>,
    /// The sum of its score ledger.
    pub score: i32,
    /// The ledger, with what follows from the score; `None` until there is something in it.
    pub ledger: Option<Box<Ledger>>,
    /// The operator's account name.
    pub owner: Option<Name>,
    /// Sales, in order of recording; withdrawn ones stay.
    pub conversions: Vec<Conversion>,
    /// How many events have changed it, for optimistic concurrency.
    pub version: u32,
}

/// Whether a lead is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes interactions.
    Open,
    /// It ended.
    Closed {
        /// How.
        cause: CloseCause,
        /// When.
        at: Time,
    },
}

/// How a lead ended. Exactly one for each closed lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseCause {
    /// A sale.
    Conversion,
    /// An operator.
    Operator,
    /// Its deadline.
    Inactivity,
    /// It became part of another lead.
    Merged,
    /// Its visitor was erased.
    Erased,
}

impl CloseCause {
    /// The word in APIs and listings.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::Operator => "operator",
            Self::Inactivity => "inactivity",
            Self::Merged => "merged",
            Self::Erased => "erased",
        }
    }
}

/// A sale that counted for a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The interaction that brought it; `None` for an operator's.
    pub interaction: Option<InteractionId>,
    /// When.
    pub at: Time,
    /// What was paid.
    pub value: Option<Money>,
    /// Units sold.
    pub rgus: u32,
    /// The order.
    pub order: Option<OrderKey>,
    /// Whether it was taken back.
    pub withdrawn: bool,
}

impl Book {
    /// The book of a visitor of whom nothing is known yet.
    #[must_use]
    pub fn new(visitor: VisitorId, tenant: TenantId) -> Self {
        Self {
            visitor,
            tenant,
            members: vec![Member { visitor, into: visitor, leads_opened: 0 }],
            identifiers: Vec::new(),
            leads: Vec::new(),
            suspected: Vec::new(),
            moved: Vec::new(),
            nurture: None,
            erased: false,
        }
    }

    /// The visitor's customer id, of which there is at most one.
    #[must_use]
    pub fn customer(&self) -> Option<IdentifierKey> {
        let first = self.identifiers.first()?.identifier;
        (first.kind == IdentifierKind::CustomerId).then_some(first.key)
    }

    /// What is said of the place of an interaction that was recorded with one of the members.
    #[must_use]
    pub fn place_of(&self, interaction: InteractionId) -> Place {
        let first = self.moved.partition_point(|moved| moved.interaction < interaction);
        let told = self.moved.iter().skip(first).take_while(|moved| moved.interaction == interaction);
        told.fold(Place::AsRecorded, |place, moved| match place {
            Place::Lead(_) => place,
            Place::AsRecorded | Place::Elsewhere if moved.is_away() => Place::Elsewhere,
            Place::AsRecorded | Place::Elsewhere => Place::Lead(moved.lead),
        })
    }

    /// Notes that an interaction is in this lead now, and with none of `left` any more.
    pub(crate) fn note_move(&mut self, interaction: InteractionId, lead: LeadId, left: &[VisitorId]) {
        self.moved.retain(|moved| {
            moved.interaction != interaction || (moved.is_away() && moved.lead.visitor != lead.visitor)
        });
        let away = left.iter().filter(|visitor| **visitor != lead.visitor);
        let away = away.map(|visitor| Moved::away(interaction, *visitor));
        for moved in away.chain([Moved { interaction, lead }]) {
            if let Err(place) = self.moved.binary_search(&moved) {
                self.moved.insert(place, moved);
            }
        }
    }

    /// The lead of that id.
    #[must_use]
    pub fn lead(&self, id: LeadId) -> Option<&Lead> {
        let place = self.leads.binary_search_by_key(&id, |lead| lead.id).ok()?;
        self.leads.get(place)
    }

    /// The lead of that id, to change.
    pub(crate) fn lead_mut(&mut self, id: LeadId) -> Option<&mut Lead> {
        let place = self.leads.binary_search_by_key(&id, |lead| lead.id).ok()?;
        self.leads.get_mut(place)
    }

    /// The leads that are open.
    pub fn open_leads(&self) -> impl Iterator<Item = &Lead> {
        self.leads.iter().filter(|lead| lead.is_open())
    }

    /// When something next happens by itself: an open lead's deadline, a step of its decaying points, or a step of a
    /// nurture programme.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let due = self.next_due().map(|due| due.at);
        let Some(nurture) = self.nurture.as_deref().filter(|nurture| !nurture.runs.is_empty()) else { return due };
        let last = self.last_activity();
        nurture.runs.iter().map(|run| run.due(last)).chain(due).min()
    }

    /// When one of the leads last took an interaction.
    #[must_use]
    pub fn last_activity(&self) -> Option<Time> {
        self.leads.iter().map(|lead| lead.last_interaction_at).max()
    }

    /// The nurture programmes with a step that is due at or before `at`, and since when it is.
    pub fn due_runs(&self, at: Time) -> impl Iterator<Item = (Time, &Run)> {
        let last = self.last_activity();
        let runs = self.nurture.iter().flat_map(|nurture| &nurture.runs);
        runs.map(move |run| (run.due(last), run)).filter(move |(due, _)| *due <= at)
    }

    /// What is kept of nurturing, begun if need be.
    pub(crate) fn nurture_mut(&mut self) -> &mut Nurture {
        self.nurture.get_or_insert_default()
    }

    /// What next happens to a lead by itself. Of what is due at one time leads close first, in order of id.
    #[must_use]
    pub fn next_due(&self) -> Option<Due> {
        self.open_leads().map(Lead::due).min()
    }

    /// Whether `visitor` owns the book or was merged into it.
    #[must_use]
    pub fn has_member(&self, visitor: VisitorId) -> bool {
        self.members.iter().any(|member| member.visitor == visitor)
    }

    /// Whether an operator said that `other` is somebody else, or a clash with it is already known.
    #[must_use]
    pub fn suspicion(&self, other: VisitorId) -> Option<&Suspected> {
        self.suspected.iter().find(|suspected| suspected.other == other)
    }
}

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Time,
    /// What.
    pub what: DueKind,
    /// To which lead.
    pub lead: LeadId,
}

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueKind {
    /// The lead closes.
    Deadline,
    /// Points of its ledger lapse by a step.
    Decay,
}

impl Lead {
    /// What next happens to the lead by itself while it is open.
    fn due(&self) -> Due {
        let step = self.ledger.as_ref().and_then(|ledger| ledger.next_step);
        match step.filter(|step| *step < self.deadline) {
            Some(at) => Due { at, what: DueKind::Decay, lead: self.id },
            None => Due { at: self.deadline, what: DueKind::Deadline, lead: self.id },
        }
    }

    /// The stage of the funnel that it is in, where the policy has one.
    #[must_use]
    pub fn stage(&self) -> Option<&Name> {
        self.ledger.as_ref()?.stage.as_ref().map(|(stage, _)| stage)
    }

    /// The ledger, begun if need be.
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        self.ledger.get_or_insert_default()
    }

    /// Whether it takes interactions.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.status, Status::Open)
    }

    /// The times that a deadline may be counted from.
    #[must_use]
    pub const fn anchors(&self) -> Anchors {
        Anchors { first: self.first_interaction_at, last: self.last_interaction_at, reopened: self.reopened_at }
    }

    /// The sales that count.
    pub fn counted_conversions(&self) -> impl Iterator<Item = &Conversion> {
        self.conversions.iter().filter(|conversion| !conversion.withdrawn)
    }
}
