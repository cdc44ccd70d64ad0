//! Open leads scored anew after a policy was adopted: a choice that stands in the log, then visitor by visitor.
//!
//! Each visitor's step is a record of its own with the events that it led to, so folding computes nothing. The steps say how
//! far they have come; whoever opens the log goes on from there. A visitor whose scores are right already gets no record.
//!
//! ```text
//! facts  "rescoring/" tenant u32 → version u32 | choice u64 | chosen_at i64 | last_visitor u64 | up_to u64 | leads u64
//!                                  | changed u64 | took u64, all ones while it is under way
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::{LogPosition, Table};
use lead_domain::decide::{is_rescored, rescore};
use lead_domain::{Book, Period, Policy, Shelf, TenantId, Time, VisitorId};
use proto_events::stored::{InputFacts, RequestKey, Rescoring};

use crate::batch::Pending;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::retracing::{Answered, Answers, Questions, Retracing};
use crate::timeline::TimelineQuery;

/// Interactions whose answers stand in one record; more of one visitor go ahead in records of their own.
const ANSWERED_MAX: usize = 4_096;
/// Visitors whose books are loaded in one go.
const LOADED_VISITORS: u64 = 256;
/// Records decided in one go before they are handed to the writer.
const BATCH_RECORDS: usize = 4_096;
/// Stands for "under way" where the duration would.
const UNDER_WAY: u64 = u64::MAX;

/// How far scoring anew has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RescoringState {
    /// The policy version that open leads are scored by.
    pub policy_version: u32,
    /// The record of the choice.
    pub choice: LogPosition,
    /// When it was chosen.
    pub chosen_at: Time,
    /// The last visitor who is concerned.
    pub last_visitor: VisitorId,
    /// Visitors up to this number are done.
    pub up_to: VisitorId,
    /// Open leads looked at.
    pub leads: u64,
    /// Those whose score changed.
    pub changed: u64,
    /// How long all of it took; `None` while it is under way.
    pub took: Option<Period>,
}

/// One that is under way.
pub(crate) struct UnderWay {
    state: RescoringState,
    rules: Option<Arc<Rules>>,
}

impl UnderWay {
    pub(crate) const fn policy_version(&self) -> u32 {
        self.state.policy_version
    }
}

struct Rules {
    policy: Policy,
    questions: Questions,
}

fn row_key(tenant: TenantId) -> Vec<u8> {
    [b"rescoring/".as_slice(), &tenant.0.to_be_bytes()].concat()
}

fn row(state: &RescoringState) -> Vec<u8> {
    let took = state.took.map_or(UNDER_WAY, |took| took.as_millis().cast_unsigned());
    let numbers = [state.choice.0, state.chosen_at.as_millis().cast_unsigned(), state.last_visitor.0, state.up_to.0];
    let counts = [state.leads, state.changed, took];
    let mut row = state.policy_version.to_be_bytes().to_vec();
    row.extend(numbers.iter().chain(&counts).flat_map(|number| number.to_be_bytes()));
    row
}

fn read_row(row: &[u8]) -> Option<RescoringState> {
    let (version, rest) = row.split_first_chunk::<4>()?;
    let mut numbers = rest.chunks_exact(8).map(|number| number.try_into().map(u64::from_be_bytes));
    let mut next = || numbers.next()?.ok();
    Some(RescoringState {
        policy_version: u32::from_be_bytes(*version),
        choice: LogPosition(next()?),
        chosen_at: Time::from_millis(next()?.cast_signed()),
        last_visitor: VisitorId(next()?),
        up_to: VisitorId(next()?),
        leads: next()?,
        changed: next()?,
        took: Some(next()?).filter(|took| *took != UNDER_WAY).map(|took| Period::from_millis(took.cast_signed())),
    })
}

impl Engine {
    /// How far scoring a tenant's open leads anew has come, or what the last time came to. `None` where it was never
    /// chosen.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn rescoring(&self, tenant: TenantId) -> Result<Option<RescoringState>, EngineError> {
        match self.rescoring.get(&tenant) {
            Some(under_way) => Ok(Some(under_way.state)),
            None => self.noted_rescoring(tenant),
        }
    }

    /// Whether leads are being scored anew.
    #[must_use]
    pub fn is_rescoring(&self) -> bool {
        !self.rescoring.is_empty()
    }

    /// Goes on with what is under way for about so long, or one visitor. Returns what came to its end. Decided on return,
    /// durable after [`Engine::flush`].
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn rescore(&mut self, turn: Duration) -> Result<Vec<(TenantId, RescoringState)>, EngineError> {
        let started = Instant::now();
        let mut ended = Vec::new();
        while let Some((tenant, mut under_way)) = self.rescoring.pop_first() {
            // Histories are read from the log.
            self.flush()?;
            let in_time = || started.elapsed() < turn;
            let done = self.rescore_visitors(tenant, &mut under_way, in_time)?;
            if done {
                ended.push((tenant, under_way.state));
            } else {
                self.rescoring.insert(tenant, under_way);
            }
            self.commit(None)?;
            if !done || !in_time() {
                break;
            }
        }
        Ok(ended)
    }

    fn noted_rescoring(&self, tenant: TenantId) -> Result<Option<RescoringState>, EngineError> {
        let row = self.library.row(Table::Facts, &row_key(tenant))?;
        row.map(|row| read_row(&row).ok_or(EngineError::Row { table: Table::Facts.name() })).transpose()
    }

    /// Takes up what was under way when the log ended.
    pub(crate) fn resume_rescoring(&mut self) -> Result<(), EngineError> {
        let tenants: Vec<TenantId> = self.registry.all().iter().map(|tenant| tenant.id).collect();
        for tenant in tenants {
            if let Some(state) = self.noted_rescoring(tenant)?.filter(|state| state.took.is_none()) {
                self.rescoring.insert(tenant, UnderWay { state, rules: None });
            }
        }
        Ok(())
    }

    /// Records the choice to score open leads anew by the policy in force.
    pub(crate) fn choose_rescoring(&mut self, tenant: TenantId, request: Option<RequestKey>) -> LogPosition {
        let policy_version = self.registry.get(tenant).map_or(0, |tenant| tenant.version);
        let last_visitor = self.library.shelf.last_visitor().0;
        let step = Rescoring::Chosen { policy_version, last_visitor, request };
        let now = self.options.clock.now();
        let position = self.record_step(tenant, step, now);
        self.remember_request(request, position);
        if let Ok(Some(state)) = self.noted_rescoring(tenant) {
            self.rescoring.insert(tenant, UnderWay { state, rules: None });
        }
        position
    }

    /// Records a step that concerns no visitor.
    fn record_step(&mut self, tenant: TenantId, step: Rescoring, now: Time) -> LogPosition {
        let position = self.next_position();
        let input = InputFacts::Rescoring(step);
        self.push(position, Pending::bare(&input, tenant, now, now));
        if let InputFacts::Rescoring(step) = &input {
            // The row was read or written by this engine before.
            let _ = self.note_rescoring(tenant, position, now, step);
        }
        position
    }

    /// Notes a step that stands in the log.
    pub(crate) fn note_rescoring(
        &mut self,
        tenant: TenantId,
        position: LogPosition,
        at: Time,
        step: &Rescoring,
    ) -> Result<(), EngineError> {
        let known = self.noted_rescoring(tenant)?;
        let state = match (step, known) {
            (Rescoring::Chosen { policy_version, last_visitor, request: _ }, _) => RescoringState {
                policy_version: *policy_version,
                choice: position,
                chosen_at: at,
                last_visitor: VisitorId(*last_visitor),
                up_to: VisitorId(0),
                leads: 0,
                changed: 0,
                took: None,
            },
            (Rescoring::Visitor { up_to, leads, changed, .. }, Some(known)) => {
                RescoringState { up_to: VisitorId(*up_to), leads: *leads, changed: *changed, ..known }
            }
            (Rescoring::Done { leads, changed, took, .. }, Some(known)) => {
                let took = Some(Period::from_millis(took.cast_signed()));
                RescoringState { up_to: known.last_visitor, leads: *leads, changed: *changed, took, ..known }
            }
            (Rescoring::Answered { .. } | Rescoring::Visitor { .. } | Rescoring::Done { .. }, _) => return Ok(()),
        };
        self.library.put_row(Table::Facts, row_key(tenant), Some(row(&state)));
        Ok(())
    }

    /// Whether all visitors are done.
    fn rescore_visitors(
        &mut self,
        tenant: TenantId,
        under_way: &mut UnderWay,
        in_time: impl Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let Some(rules) = self.rules(tenant, under_way) else { return Ok(true) };
        loop {
            let state = &under_way.state;
            if state.up_to >= state.last_visitor {
                self.end_rescoring(tenant, &mut under_way.state);
                return Ok(true);
            }
            let visitor = VisitorId(state.up_to.0.saturating_add(1));
            if state.up_to.0.is_multiple_of(LOADED_VISITORS) {
                let last = state.last_visitor.0.min(state.up_to.0.saturating_add(LOADED_VISITORS));
                self.library.load_visitors((visitor.0..=last).map(VisitorId).collect())?;
            }
            self.rescore_visitor(tenant, &rules, under_way, visitor)?;
            under_way.state.up_to = visitor;
            if self.batch.records.len() >= BATCH_RECORDS {
                self.hand_over()?;
            }
            if !in_time() {
                return Ok(false);
            }
        }
    }

    fn rules(&self, tenant: TenantId, under_way: &mut UnderWay) -> Option<Arc<Rules>> {
        if under_way.rules.is_none() {
            let policy = self.registry.get(tenant)?.policy().clone();
            let questions = Questions::of(&policy, tenant, self.hash_key());
            under_way.rules = Some(Arc::new(Rules { policy, questions }));
        }
        under_way.rules.clone()
    }

    fn end_rescoring(&mut self, tenant: TenantId, state: &mut RescoringState) {
        let now = self.options.clock.now();
        let took = now.as_millis().saturating_sub(state.chosen_at.as_millis()).max(0);
        state.took = Some(Period::from_millis(took));
        let RescoringState { policy_version, leads, changed, .. } = *state;
        let step = Rescoring::Done { policy_version, leads, changed, took: took.cast_unsigned() };
        self.record_step(tenant, step, now);
    }

    fn rescore_visitor(
        &mut self,
        tenant: TenantId,
        rules: &Rules,
        under_way: &mut UnderWay,
        visitor: VisitorId,
    ) -> Result<(), EngineError> {
        self.library.load_visitors(vec![visitor])?;
        let book = self.library.shelf.book(visitor).filter(|book| book.tenant == tenant);
        let Some(book) = book.filter(|book| is_rescored(&rules.policy, book, visitor)) else { return Ok(()) };
        let survivor = book.visitor;
        let clock = self.registry.get(tenant).map_or(Time::MIN, |tenant| tenant.clock);
        let at = if clock == Time::MIN { latest(book) } else { clock };
        let (scored, answers) = self.retraced_by(rules, tenant, survivor, at)?;
        let turn = Turn { tenant, survivor, at, member: visitor };
        self.record_visitor(rules, under_way, &turn, &scored, answers);
        Ok(())
    }

    /// The visitor's history scored by the rules, and the answers that the log lacks.
    fn retraced_by(
        &mut self,
        rules: &Rules,
        tenant: TenantId,
        visitor: VisitorId,
        at: Time,
    ) -> Result<(Shelf, Answered), EngineError> {
        let heads = self.library.heads(visitor);
        if heads.iter().any(|head| *head > self.head().position) {
            self.flush()?;
        }
        let query = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
        let entries = self.parts.timeline(heads, &query)?;
        let mut answers = Answers::default();
        entries.iter().for_each(|entry| answers.learn(&entry.facts));
        let mut retracing = Retracing::begin(&rules.policy, tenant);
        for entry in entries.iter().rev() {
            if let Some(personal) = &entry.personal {
                answers.ask(&rules.questions, &entry.header, &entry.facts, personal);
            }
            retracing.take(&entry.header, &entry.facts, &answers);
        }
        retracing.until(visitor, at);
        Ok((retracing.shelf, answers.into_fresh()))
    }

    fn record_visitor(
        &mut self,
        rules: &Rules,
        under_way: &mut UnderWay,
        turn: &Turn,
        scored: &Shelf,
        mut answers: Answered,
    ) {
        let policy_version = under_way.state.policy_version;
        while answers.len() > ANSWERED_MAX {
            let rest = answers.split_off(ANSWERED_MAX);
            let step = Rescoring::Answered { policy_version, answers: std::mem::replace(&mut answers, rest) };
            let (position, first) = (self.next_position(), self.batch.events.len());
            self.record_turn(turn, position, step, first);
        }
        loop {
            let (position, first) = (self.next_position(), self.batch.events.len());
            let streams = self.library.heads(turn.survivor).iter().map(|head| head.0).collect();
            let shelf = &mut self.library.shelf;
            let events = &mut self.batch.events;
            let found = rescore(&rules.policy, turn.tenant, shelf, scored, (turn.member, turn.at), events);
            let state = &mut under_way.state;
            state.changed += found.changed;
            if !found.goes_on {
                state.leads += found.leads;
            }
            if self.batch.events.len() == first {
                return;
            }
            let member = turn.member.0;
            let up_to = if found.goes_on { member.saturating_sub(1) } else { member };
            let RescoringState { leads, changed, .. } = *state;
            let answers = std::mem::take(&mut answers);
            let step = Rescoring::Visitor { policy_version, member, streams, answers, up_to, leads, changed };
            self.record_turn(turn, position, step, first);
            if !found.goes_on {
                return;
            }
        }
    }

    /// Records a step in the visitor's stream, with the events from `first` on.
    fn record_turn(&mut self, turn: &Turn, position: LogPosition, step: Rescoring, first: usize) {
        let events = first..self.batch.events.len();
        let stated = self.batch.events.get(events.clone()).unwrap_or_default();
        let previous = self.library.note(turn.tenant, turn.survivor, position, stated);
        // The row was written when the choice was noted, and it can be read as long as the tables can.
        let _ = self.note_rescoring(turn.tenant, position, turn.at, &step);
        let now = self.options.clock.now();
        let mut record = Pending::bare(&InputFacts::Rescoring(step), turn.tenant, turn.at, now);
        record.visitor = turn.survivor;
        record.previous = previous;
        record.events = events;
        self.push(position, record);
    }
}

/// A visitor's turn.
struct Turn {
    tenant: TenantId,
    /// Whose book it is.
    survivor: VisitorId,
    /// Up to when points lapse.
    at: Time,
    /// Whose leads: the survivor's own, or those of one that was merged into it.
    member: VisitorId,
}

/// The latest time of a book in a folder that no tick has given a time yet.
fn latest(book: &Book) -> Time {
    book.leads.iter().map(|lead| lead.last_interaction_at).max().unwrap_or(Time::MIN)
}
