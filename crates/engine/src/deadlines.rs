//! Which visitor's book needs a tick when: one armed row a book, over the table and what changed since its write-back.
//!
//! Activity does not move a row: when it fires early, the book says when it is really due and the row is armed anew.

use std::collections::BTreeMap;

use event_log::{RowChanges, Table, Tables};
use lead_domain::{TenantId, Time, VisitorId};

use crate::error::EngineError;
use crate::library::rows::{deadline_key, read_deadline};

/// Rows looked at in one go.
const SCAN_ROWS: usize = 4_096;

/// When a book needs a tick, and whose it is.
pub(crate) type Due = (Time, VisitorId);

/// Armed rows that differ from the table's: present (`true`) or gone (`false`).
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    changed: BTreeMap<(TenantId, Time, VisitorId), bool>,
}

impl Deadlines {
    pub(crate) fn arm(&mut self, tenant: TenantId, due: Time, visitor: VisitorId) {
        self.changed.insert((tenant, due, visitor), true);
    }

    pub(crate) fn disarm(&mut self, tenant: TenantId, due: Time, visitor: VisitorId) {
        self.changed.insert((tenant, due, visitor), false);
    }

    /// The earliest rows of `tenant` that are due at or before `until`, from `from` on; at most some thousand. The second
    /// value says where to go on; `None` when there is nothing behind.
    ///
    /// Rows that are armed behind the last one returned are found by going on.
    pub(crate) fn due(
        &self,
        tables: &dyn Tables,
        tenant: TenantId,
        from: Due,
        until: Time,
    ) -> Result<(Vec<Due>, Option<Due>), EngineError> {
        let end = (until.after(lead_domain::Period::from_millis(1)), VisitorId(0));
        let first = deadline_key(tenant, from.0, from.1);
        let rows = tables.scan(Table::Deadlines, &first, &deadline_key(tenant, end.0, end.1), SCAN_ROWS)?;
        let full = rows.len() == SCAN_ROWS;
        let mut stored = Vec::with_capacity(rows.len());
        for (key, _) in &rows {
            let (_, due, visitor) = read_deadline(key)?;
            stored.push((due, visitor));
        }
        // A full scan says nothing about what comes behind it.
        let horizon = if full { stored.last().copied() } else { None };
        let last = horizon.map_or((tenant, end.0, end.1), |(due, visitor)| (tenant, due, visitor));
        stored.retain(|(due, visitor)| !self.changed.contains_key(&(tenant, *due, *visitor)));
        let start = (tenant, from.0, from.1);
        if start <= last {
            let changed = self.changed.range(start..=last);
            stored.extend(changed.filter(|(_, present)| **present).map(|((_, due, visitor), _)| (*due, *visitor)));
        }
        stored.sort_unstable();
        let next = horizon.map(|(due, visitor)| (due, VisitorId(visitor.0.saturating_add(1))));
        Ok((stored, next))
    }

    /// Adds the rows to write back, in key order; nothing differs from the table afterwards.
    pub(crate) fn take_rows(&mut self, rows: &mut RowChanges) {
        for ((tenant, due, visitor), present) in std::mem::take(&mut self.changed) {
            rows.set(Table::Deadlines, &deadline_key(tenant, due, visitor), present.then_some(&[]));
        }
    }
}
