//! What operators ask for: decided like any other input, answered once it is durable.

use event_log::LogPosition;
use lead_domain::command::{Adoption, RecordedInteraction};
use lead_domain::{
    Command, Event, Input, InteractionId, Lead, LeadId, Name, OrderKey, Place, TenantId, Time, VisitorId, decide,
};
use proto_events::stored::{Facts, InputFacts, Personal, RequestKey, encode_personal};

use crate::batch::{Pending, visitor_key_number};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::timeline::{TimelineQuery, facts_at};

/// An operator's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose data it concerns.
    pub tenant: TenantId,
    /// Who asks: an account name.
    pub operator: Name,
    /// When it counts as given. `None`: at the tenant's clock where ticks have set one, otherwise now. In a folder that no
    /// service ticks, time stands still between imports; an operator's "now" would find every lead timed out.
    pub at: Option<Time>,
    /// What is asked.
    pub command: Command,
    /// The version that the lead must have, if the caller cares.
    pub expected_version: Option<u32>,
    /// What travels sealed: a note's text, attributes' values, an order id.
    pub personal: Option<Personal>,
    /// The key that it was sent under: a second request under it is answered with what the first one led to.
    pub key: Option<RequestKey>,
}

/// Where a request came from, when a feed brought it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its number in the feed; 0 for none.
    pub feed_sequence: u64,
    /// When it reached us; `None` for now.
    pub received_at: Option<Time>,
}

/// What a request led to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its record.
    pub position: LogPosition,
    /// In whose stream.
    pub visitor: VisitorId,
    /// When it counts as given.
    pub at: Time,
    /// What was decided.
    pub events: Vec<Event>,
    /// The leads concerned, as they stand now.
    pub leads: Vec<Lead>,
    /// Whether the request had been carried out before, and nothing changed this time.
    pub repeated: bool,
}

impl Engine {
    /// Carries out a request. Durable on return.
    ///
    /// # Errors
    /// [`EngineError::Refused`] and [`EngineError::KeyReused`] without effect; anything else when the storage fails.
    pub fn execute(&mut self, request: Request) -> Result<Answer, EngineError> {
        let answer = self.carry_out(request, Origin::default())?;
        self.flush()?;
        Ok(answer)
    }

    /// Carries out a request that a feed brought. Decided on return; goes to the log with [`Engine::commit`].
    ///
    /// # Errors
    /// As [`Engine::execute`].
    pub fn carry_out(&mut self, request: Request, origin: Origin) -> Result<Answer, EngineError> {
        if let Some(answer) = self.carried_out_before(request.key)? {
            return Ok(answer);
        }
        self.load_for_command(&request.command)?;
        let untaken = self.untaken_keys(&request)?;
        let answer = self.decide_request(&request, origin, untaken)?;
        self.destroy_keys_of(&request.command, answer.position)?;
        Ok(answer)
    }

    /// Decides about a request that is new, and whose books are there. What its record destroys is still there.
    pub(crate) fn decide_request(
        &mut self,
        request: &Request,
        origin: Origin,
        untaken: Vec<u64>,
    ) -> Result<Answer, EngineError> {
        let position = self.next_position();
        let at = request.at.unwrap_or_else(|| self.command_time(request.tenant));
        let first = self.batch.events.len();
        let input = Input::Command { at, command: request.command.clone(), expected_version: request.expected_version };
        let Some(tenant) = self.registry.get(request.tenant) else {
            return Err(EngineError::UnknownTenant { name: format!("number {}", request.tenant.0) });
        };
        let shelf = &mut self.library.shelf;
        let visitor = decide(tenant.policy(), request.tenant, shelf, &input, &mut self.batch.events)?;
        let events = first..self.batch.events.len();
        let stated = self.batch.events.get(events.clone()).unwrap_or_default().to_vec();
        self.counts.add_events(&stated);
        let previous = self.library.note(request.tenant, visitor, position, &stated);
        let received_at = origin.received_at.unwrap_or(self.options.clock.now());
        let mut record = pending(request, untaken, (at, received_at), events);
        record.feed_sequence = origin.feed_sequence;
        record.previous = previous;
        self.push(position, record.of(visitor, request));
        self.remember_request(request.key, position);
        let leads = self.leads_of(&stated);
        Ok(Answer { position, visitor, at, events: stated, leads, repeated: false })
    }

    /// The time at which a request without one counts as given.
    fn command_time(&self, tenant: TenantId) -> Time {
        let clock = self.registry.get(tenant).map_or(Time::MIN, |tenant| tenant.clock);
        if clock == Time::MIN { self.options.clock.now() } else { clock }
    }

    pub(crate) fn leads_of(&self, events: &[Event]) -> Vec<Lead> {
        let mut ids: Vec<LeadId> = events.iter().flat_map(Event::leads).collect();
        ids.sort_unstable();
        ids.dedup();
        let shelf = &self.library.shelf;
        ids.iter().filter_map(|id| shelf.book(id.visitor)?.lead(*id).cloned()).collect()
    }

    fn load_for_command(&mut self, command: &Command) -> Result<(), EngineError> {
        let mut visitors = named_visitors(command);
        visitors.retain(|visitor| *visitor <= self.library.shelf.last_visitor());
        self.library.load_visitors(visitors)?;
        match command_order(command) {
            Some(order) => self.library.load_order(order),
            None => Ok(()),
        }
    }

    /// Reads an interaction of the tenant, to make a command about it.
    ///
    /// # Errors
    /// [`EngineError::UnknownInteraction`].
    pub fn recorded(&self, tenant: TenantId, id: InteractionId) -> Result<(RecordedInteraction, Facts), EngineError> {
        let unknown = EngineError::UnknownInteraction { id };
        let Some((header, facts)) = facts_at(&*self.parts.log, LogPosition(id.0))? else { return Err(unknown) };
        if header.tenant != tenant.0 || !matches!(facts.input, InputFacts::Interaction(_)) {
            return Err(unknown);
        }
        let occurred_at = Time::from_millis(header.occurred_at);
        Ok((RecordedInteraction { id, occurred_at, visitor: VisitorId(header.visitor) }, facts))
    }

    /// The command that adopts an orphan.
    ///
    /// # Errors
    /// [`EngineError::UnknownInteraction`], also when the interaction was no orphan.
    pub fn adoption(&self, tenant: TenantId, id: InteractionId, into: Adoption) -> Result<Command, EngineError> {
        let (orphan, facts) = self.recorded(tenant, id)?;
        let was_orphan = facts.events.iter().any(|event| matches!(event, Event::InteractionOrphaned { .. }));
        if was_orphan { Ok(Command::AdoptOrphan { orphan, into }) } else { Err(EngineError::UnknownInteraction { id }) }
    }

    /// The command that moves an attached interaction, with what the lead that it leaves will have left.
    ///
    /// # Errors
    /// [`EngineError::UnknownInteraction`], also when the interaction is an orphan.
    pub fn movement(&mut self, tenant: TenantId, id: InteractionId, to: LeadId) -> Result<Command, EngineError> {
        let (interaction, facts) = self.recorded(tenant, id)?;
        let attached = facts.events.iter().find_map(|event| {
            let Event::InteractionAttached { lead, .. } = event else { return None };
            Some(*lead)
        });
        let recorded_in = attached.ok_or(EngineError::UnknownInteraction { id })?;
        self.library.load_visitors(vec![interaction.visitor])?;
        let from = match self.library.shelf.book(interaction.visitor).map(|book| book.place_of(id)) {
            Some(Place::Lead(lead)) => lead,
            Some(Place::AsRecorded | Place::Elsewhere) | None => recorded_in,
        };
        let remaining = self.remaining(from, id)?;
        Ok(Command::MoveInteraction { interaction, recorded_in, to, remaining })
    }

    /// The command that takes the points of an interaction away.
    ///
    /// # Errors
    /// [`EngineError::UnknownInteraction`].
    pub fn discrediting(&self, tenant: TenantId, id: InteractionId) -> Result<Command, EngineError> {
        let (interaction, facts) = self.recorded(tenant, id)?;
        let recorded_in = facts.events.iter().find_map(|event| {
            let Event::InteractionAttached { lead, interaction, .. } = event else { return None };
            (*interaction == id).then_some(*lead)
        });
        Ok(Command::DiscreditInteraction { interaction, recorded_in })
    }

    /// First and last interaction of a lead without this one, read from its visitor's streams.
    fn remaining(&mut self, lead: LeadId, without: InteractionId) -> Result<Option<(Time, Time)>, EngineError> {
        let mut times = std::collections::BTreeMap::new();
        let entries =
            self.timeline(&TimelineQuery { visitor: lead.visitor, lead: Some(lead), limit: usize::MAX, before: None })?;
        for entry in entries.iter().rev() {
            for event in &entry.facts.events {
                if let Event::InteractionAttached { lead: taken, interaction, occurred_at, .. } = event
                    && *taken == lead
                {
                    times.insert(*interaction, *occurred_at);
                }
                if let Event::InteractionMoved { interaction, occurred_at, from, to, .. } = event {
                    if *to == lead {
                        times.insert(*interaction, *occurred_at);
                    } else if *from == lead {
                        times.remove(interaction);
                    }
                }
            }
        }
        times.remove(&without);
        Ok(times.values().min().copied().zip(times.values().max().copied()))
    }
}

fn pending(
    request: &Request,
    untaken_keys: Vec<u64>,
    (at, received_at): (Time, Time),
    events: std::ops::Range<usize>,
) -> Pending {
    let operator = request.operator.clone().into();
    let mut input = InputFacts::asked(&request.command, operator, request.expected_version, request.key);
    if let InputFacts::Erasure(erasure) = &mut input {
        erasure.untaken_keys = untaken_keys;
    }
    let mut record = Pending::bare(&input, request.tenant, at, received_at);
    record.events = events;
    record
}

impl Pending {
    /// The same record in the stream of `visitor`, with the personal part of the request.
    fn of(mut self, visitor: VisitorId, request: &Request) -> Self {
        self.visitor = visitor;
        let Some(personal) = &request.personal else { return self };
        let mut part = Vec::new();
        encode_personal(personal, &mut part);
        self.sealed_with(visitor_key_number(visitor), part)
    }
}

fn named_visitors(command: &Command) -> Vec<VisitorId> {
    match command {
        Command::OpenLead { visitor, .. }
        | Command::UnmergeVisitor { visitor, .. }
        | Command::EraseVisitor { visitor, .. } => vec![*visitor],
        Command::CloseLead { lead, .. }
        | Command::ConvertLead { lead, .. }
        | Command::WithdrawConversion { lead, .. }
        | Command::ReopenLead { lead }
        | Command::ChangeLeadType { lead, .. }
        | Command::AssignLead { lead, .. }
        | Command::AddNote { lead }
        | Command::SetAttributes { lead, .. } => vec![lead.visitor],
        Command::AdoptOrphan { orphan, into } => match into {
            Adoption::Lead(lead) => vec![orphan.visitor, lead.visitor],
            Adoption::NewLead(_) => vec![orphan.visitor],
        },
        Command::MoveInteraction { interaction, recorded_in, to, .. } => {
            vec![interaction.visitor, recorded_in.visitor, to.visitor]
        }
        Command::DiscreditInteraction { interaction, recorded_in } => {
            recorded_in.map(|lead| lead.visitor).into_iter().chain([interaction.visitor]).collect()
        }
        Command::MergeVisitors { one, other } | Command::SettleDuplicate { one, other } => vec![*one, *other],
    }
}

/// The order whose lead the decision asks for.
const fn command_order(command: &Command) -> Option<OrderKey> {
    if let Command::ConvertLead { sale, .. } = command { sale.order } else { None }
}
