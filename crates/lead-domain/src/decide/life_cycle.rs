//! How leads end and go on. Domain section 6.

use super::Desk;
use crate::book::{Book, CloseCause, Due, DueKind, Status};
use crate::event::{Event, ReopenReason};
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::interaction::Sale;
use crate::time::Time;

impl Desk<'_> {
    /// Does what is due at or before `at`, in order of time: closes what timed out, and lets points lapse.
    pub(super) fn close_timed_out(&mut self, visitor: VisitorId, at: Time) {
        let mut before = None;
        while let Some(due) = self.shelf.book(visitor).and_then(Book::next_due).filter(|due| due.at <= at) {
            // Whatever is due is behind it afterwards. Nothing must hang on a damaged history, though.
            if before == Some(due) {
                return;
            }
            before = Some(due);
            let Due { at, what, lead } = due;
            let first = self.events.len();
            match what {
                DueKind::Deadline => {
                    self.state(Event::LeadClosed { lead, cause: CloseCause::Inactivity, at, reason: None });
                }
                DueKind::Decay => self.step(lead, at),
            }
            self.nurture(visitor, at, None, first);
        }
    }

    /// Records a sale, and closes the lead with it. The caller has made sure that the order doesn't count yet.
    ///
    /// A late sale ends a lead that seemed to have timed out by conversion, as it would have on time. A lead that ended by
    /// a conversion or an operator keeps its cause and gains the sale.
    pub(super) fn convert(&mut self, lead: LeadId, interaction: Option<InteractionId>, at: Time, sale: Sale) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let (status, deadline) = (found.status, found.deadline);
        let timed_out = matches!(status, Status::Closed { cause: CloseCause::Inactivity, .. });
        if timed_out {
            self.state(Event::LeadReopened { lead, at, because: ReopenReason::LateInteraction, deadline });
        }
        let Sale { value, rgus, order } = sale;
        self.state(Event::ConversionRecorded { lead, interaction, at, value, rgus, order });
        if timed_out || status == Status::Open {
            self.state(Event::LeadClosed { lead, cause: CloseCause::Conversion, at, reason: None });
        }
    }
}
