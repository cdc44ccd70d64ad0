//! Time without interactions: ticks close what timed out.

use std::collections::BTreeSet;

use lead_domain::{Input, TenantId, Time, VisitorId, decide};
use proto_events::stored::{InputFacts, kind};

use crate::batch::Pending;
use crate::engine::Engine;
use crate::error::EngineError;

/// Records decided in one go before they are handed to the writer.
const BATCH_RECORDS: usize = 4_096;

impl Engine {
    /// Advances a tenant's clock to `at` and closes every lead whose deadline it reaches, each at its deadline. A clock
    /// never goes back: an earlier `at` only fires what is due at the clock as it stands. Erases some of those whom the
    /// policy's retention says to; more of them with the next tick, or [`Engine::finish_retention`].
    ///
    /// Everything is decided on return and durable after [`Engine::flush`].
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn tick(&mut self, tenant: TenantId, at: Time) -> Result<(), EngineError> {
        let Some(clock) = self.registry.get(tenant).map(|tenant| tenant.clock) else { return Ok(()) };
        if at > clock {
            let position = self.next_position();
            let now = self.options.clock.now();
            self.push(position, Pending::bare(&InputFacts::Tick, tenant, at, now));
            self.set_clock(tenant, at);
        }
        self.fire(tenant, at.max(clock))?;
        self.retain(tenant, at.max(clock))
    }

    /// Whether a tick at `at` could close a lead of the tenant, or erase somebody: whether it is worth a record.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn is_due(&self, tenant: TenantId, at: Time) -> Result<bool, EngineError> {
        let (rows, next) =
            self.library.deadlines.due(self.library.tables().as_ref(), tenant, (Time::MIN, VisitorId(0)), at)?;
        Ok(!rows.is_empty() || next.is_some() || self.is_retention_due(tenant, at)?)
    }

    /// Fires every row that is due at `until`, in order of the real deadlines.
    ///
    /// A row may be older than its book's deadline. It is then armed anew and met again in its turn, so the order in which
    /// leads close is that of their deadlines, whatever the rows were.
    pub(crate) fn fire(&mut self, tenant: TenantId, until: Time) -> Result<(), EngineError> {
        let mut from = (Time::MIN, VisitorId(0));
        loop {
            let tables = self.library.tables().clone();
            let (rows, next) = self.library.deadlines.due(tables.as_ref(), tenant, from, until)?;
            let horizon = next.map_or(until, |(due, _)| due);
            self.library.load_visitors(rows.iter().map(|(_, visitor)| *visitor).collect())?;
            let mut rows: BTreeSet<(Time, VisitorId)> = rows.into_iter().collect();
            while let Some((due, visitor)) = rows.pop_first() {
                let rearmed = self.fire_row(tenant, (due, visitor), until);
                rows.extend(rearmed.filter(|due| *due <= horizon).map(|due| (due, visitor)));
                if self.batch.records.len() >= BATCH_RECORDS {
                    self.hand_over()?;
                }
            }
            self.hand_over()?;
            match next {
                Some(place) => from = place,
                None => return Ok(()),
            }
            self.maybe_write_back()?;
        }
    }

    /// Fires one row; returns when it is due again, if the book has another deadline up to `until`.
    fn fire_row(&mut self, tenant: TenantId, (due, visitor): (Time, VisitorId), until: Time) -> Option<Time> {
        self.library.fired(tenant, due, visitor);
        let deadline = self.library.shelf.book(visitor).and_then(lead_domain::Book::next_deadline)?;
        if deadline <= due {
            self.record_deadline(tenant, visitor, until);
        } else {
            self.library.arm(tenant, visitor);
        }
        let deadline = self.library.shelf.book(visitor).and_then(lead_domain::Book::next_deadline)?;
        (deadline <= until).then_some(deadline)
    }

    fn record_deadline(&mut self, tenant: TenantId, visitor: VisitorId, at: Time) {
        let position = self.next_position();
        let Some(found) = self.registry.get(tenant) else { return };
        let first = self.batch.events.len();
        let input = Input::Deadline { visitor, at };
        let decided = decide(found.policy(), tenant, &mut self.library.shelf, &input, &mut self.batch.events);
        let visitor = decided.unwrap_or(visitor);
        let events = first..self.batch.events.len();
        let stated = self.batch.events.get(events.clone()).unwrap_or_default();
        self.counts.add_events(stated);
        let previous = self.library.note(tenant, visitor, position, stated);
        let now = self.options.clock.now();
        let mut record = Pending::bare(&InputFacts::Deadline, tenant, at, now);
        record.kind = kind::DEADLINE;
        record.visitor = visitor;
        record.previous = previous;
        record.events = events;
        self.push(position, record);
    }
}
