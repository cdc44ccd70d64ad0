//! Which books have a deadline ahead: one row a book, never later than the book says.
//!
//! Activity does not move a row. Whoever takes one asks the book when it is really due. Knows no tables.

use std::collections::BTreeSet;

use lead_domain::{Book, Shelf, TenantId, Time, VisitorId};
use rustc_hash::FxHashMap;

/// The rows of all tenants.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    rows: BTreeSet<(TenantId, Time, VisitorId)>,
    armed: FxHashMap<VisitorId, Time>,
}

impl Agenda {
    /// Makes sure that the visitor's book is met no later than its next deadline.
    pub(super) fn arm(&mut self, shelf: &Shelf, visitor: VisitorId) {
        let Some(book) = shelf.book(visitor) else { return };
        let Some(due) = book.next_deadline() else { return };
        let (tenant, visitor) = (book.tenant, book.visitor);
        match self.armed.get(&visitor) {
            Some(armed) if *armed <= due => return,
            Some(armed) => {
                self.rows.remove(&(tenant, *armed, visitor));
            }
            None => {}
        }
        self.armed.insert(visitor, due);
        self.rows.insert((tenant, due, visitor));
    }

    /// The next visitor of the tenant who has a lead that is due at or before `until`. Rows that came too early are put
    /// where they belong on the way; the row of the visitor returned is gone until it is armed again.
    pub(super) fn take_due(&mut self, shelf: &Shelf, tenant: TenantId, until: Time) -> Option<VisitorId> {
        loop {
            let first = (tenant, Time::MIN, VisitorId(0));
            let row = self.rows.range(first..=(tenant, until, VisitorId(u64::MAX))).next().copied()?;
            let (_, _, visitor) = row;
            self.rows.remove(&row);
            self.armed.remove(&visitor);
            // A book that was merged into another one is met as part of that.
            let book = shelf.book(visitor).filter(|book| book.visitor == visitor);
            match book.and_then(Book::next_deadline) {
                Some(due) if due <= until => return Some(visitor),
                Some(_) => self.arm(shelf, visitor),
                None => {}
            }
        }
    }
}
