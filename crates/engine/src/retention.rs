//! Retention: whoever was not heard of for as long as the policy says, and has no open lead, is erased.
//!
//! ```text
//! facts  "seen/" | tenant u32 | seen u64 (sign flipped) | visitor u64 → (empty)      one row a visitor
//! facts  "seen-armed/" | tenant u32 → (empty)                                        every visitor has its row
//! ```
//!
//! A row says that the visitor was heard of at that time, or later: activity does not move it. When it falls due, the book
//! and the records say when that really was. The rows don't depend on the period, so another one counts at once.

use event_log::{LogPosition, Table};
use lead_domain::{Book, Command, Period, TenantId, Time, VisitorId};
use proto_events::stored::InputFacts;

use crate::engine::Engine;
use crate::erasure::Traces;
use crate::error::EngineError;
use crate::library::rows::seen_key;
use crate::operator::{Origin, Request};
use crate::timeline::TimelineQuery;

/// Visitors looked at in one tick: their records are read, and their keys destroyed after one sync.
const BATCH_VISITORS: usize = 256;
/// Books loaded in one go while every visitor gets its row.
const ARM_VISITORS: u64 = 4_096;
/// Who asks, in the record.
const OPERATOR: &str = "retention";

/// A visitor who is to be erased.
struct Forgotten {
    visitor: VisitorId,
    due: Time,
    traces: Traces,
}

impl Engine {
    /// Whether anybody's time may have come by `at`: whether a tick is worth a record.
    pub(crate) fn is_retention_due(&self, tenant: TenantId, at: Time) -> Result<bool, EngineError> {
        let Some(period) = self.retention(tenant) else { return Ok(false) };
        if !self.library.knows_seen(tenant) {
            return Ok(self.library.shelf.last_visitor() > VisitorId(0));
        }
        Ok(!self.library.seen_until(tenant, at.before(period), 1)?.is_empty())
    }

    fn retention(&self, tenant: TenantId) -> Option<Period> {
        self.registry.get(tenant)?.document.erase_after
    }

    /// Erases everybody whose time has come by the tenant's clock, as ticks do some at a time. Durable on return.
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn finish_retention(&mut self, tenant: TenantId) -> Result<(), EngineError> {
        while let Some(clock) = self.registry.get(tenant).map(|tenant| tenant.clock)
            && self.is_retention_due(tenant, clock)?
        {
            self.retain(tenant, clock)?;
        }
        self.flush()
    }

    /// Erases some of those whose time has come by `until`.
    pub(crate) fn retain(&mut self, tenant: TenantId, until: Time) -> Result<(), EngineError> {
        let Some(period) = self.retention(tenant) else { return Ok(()) };
        self.arm_retention(tenant)?;
        let before = until.before(period);
        let due = self.library.seen_until(tenant, before, BATCH_VISITORS)?;
        if due.is_empty() {
            return Ok(());
        }
        self.library.load_visitors(due.iter().map(|(_, visitor)| *visitor).collect())?;
        let mut quiet = Vec::new();
        for (seen, visitor) in due {
            self.library.put_row(Table::Facts, seen_key(tenant, seen, visitor).to_vec(), None);
            let book = self.library.shelf.book(visitor).filter(|book| book.visitor == visitor && !book.erased);
            let Some(book) = book else { continue };
            match later_than(book, before, period) {
                Some(seen) => self.library.put_seen(tenant, seen, visitor),
                None => quiet.push(visitor),
            }
        }
        let forgotten = self.forgotten(tenant, &quiet, before, period)?;
        self.erase_all(tenant, forgotten)
    }

    /// Those of the quiet ones who were not heard of since by any record, orphans too.
    fn forgotten(
        &mut self,
        tenant: TenantId,
        quiet: &[VisitorId],
        before: Time,
        period: Period,
    ) -> Result<Vec<Forgotten>, EngineError> {
        let mut forgotten = Vec::new();
        for visitor in quiet.iter().copied() {
            let all = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
            let entries = self.timeline(&all)?;
            let interactions = entries.iter().filter(|entry| matches!(entry.facts.input, InputFacts::Interaction(_)));
            let last = interactions.map(|entry| Time::from_millis(entry.header.occurred_at)).max();
            match last {
                Some(last) if last > before => self.library.put_seen(tenant, last, visitor),
                Some(last) => {
                    forgotten.push(Forgotten { visitor, due: last.after(period), traces: Traces::of(&entries) });
                }
                // Nobody is a visitor without an interaction.
                None => {}
            }
        }
        Ok(forgotten)
    }

    /// Records the erasures, makes them durable together, and destroys the keys.
    fn erase_all(&mut self, tenant: TenantId, forgotten: Vec<Forgotten>) -> Result<(), EngineError> {
        let version = self.registry.get(tenant).map_or(0, |tenant| tenant.version);
        let untaken = if self.untaken > 0 && !forgotten.is_empty() {
            self.flush()?;
            let traces: Vec<&Traces> = forgotten.iter().map(|it| &it.traces).collect();
            self.parts.untaken_keys_of(tenant, &traces)?
        } else {
            vec![Vec::new(); forgotten.len()]
        };
        let mut positions: Vec<LogPosition> = Vec::with_capacity(forgotten.len());
        for (Forgotten { visitor, due, .. }, untaken) in forgotten.into_iter().zip(untaken) {
            let request = Request {
                tenant,
                operator: OPERATOR.into(),
                at: Some(due),
                command: Command::EraseVisitor {
                    visitor,
                    reason: format!("retention, policy version {version}").as_str().into(),
                },
                expected_version: None,
                personal: None,
                key: None,
            };
            positions.push(self.decide_request(&request, Origin::default(), untaken)?.position);
        }
        if !positions.is_empty() {
            self.flush()?;
        }
        for position in positions {
            self.destroy_keys(position)?;
            self.counts.erased += 1;
        }
        Ok(())
    }

    /// Gives every visitor of the tenant its row, once: from then on each gets it when it comes. Reads all books.
    fn arm_retention(&mut self, tenant: TenantId) -> Result<(), EngineError> {
        if self.library.knows_seen(tenant) {
            return Ok(());
        }
        let last = self.library.shelf.last_visitor().0;
        let mut from = 1;
        while from <= last {
            let until = last.min(from + ARM_VISITORS - 1);
            self.library.load_visitors((from..=until).map(VisitorId).collect())?;
            for visitor in (from..=until).map(VisitorId) {
                self.library.see(tenant, visitor);
            }
            from = until + 1;
            // Books that were only looked at must not fill the memory.
            self.maybe_write_back()?;
        }
        self.library.know_seen(tenant);
        Ok(())
    }

    /// How many visitors of a tenant would be erased by the tenant's clock, were `period` the policy's. Reads all books, and
    /// the records of those who are quiet.
    ///
    /// # Errors
    /// When the log or the tables fail.
    pub fn preview_retention(&mut self, tenant: TenantId, period: Period) -> Result<u64, EngineError> {
        let Some(clock) = self.registry.get(tenant).map(|tenant| tenant.clock) else { return Ok(0) };
        let before = clock.before(period);
        let mut erased = 0;
        for visitor in (1..=self.library.shelf.last_visitor().0).map(VisitorId) {
            let Ok(book) = self.book(tenant, visitor) else { continue };
            if book.visitor != visitor || book.erased || later_than(book, before, period).is_some() {
                continue;
            }
            let all = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
            let entries = self.timeline(&all)?;
            let heard = entries.iter().filter(|entry| matches!(entry.facts.input, InputFacts::Interaction(_)));
            let last = heard.map(|entry| Time::from_millis(entry.header.occurred_at)).max();
            erased += u64::from(last.is_some_and(|last| last <= before));
            self.maybe_write_back()?;
        }
        Ok(erased)
    }
}

/// When the visitor counts as heard of, by its book, if that is later than `before`: an open lead keeps it until its end.
fn later_than(book: &Book, before: Time, period: Period) -> Option<Time> {
    let open = book.open_leads().map(|lead| lead.deadline.before(period)).max();
    let just_later = before.after(Period::from_millis(1));
    let kept = open.map(|seen| seen.max(just_later));
    kept.max(book.last_activity().filter(|seen| *seen > before))
}
