//! Two worlds side by side: what each comes to, and which leads differ.

use std::cmp::Ordering;

use event_log::LogPosition;
use lead_domain::{CloseCause, Lead, Status, Time};

use super::{Change, Figures, Side};

/// What one world comes to.
pub(super) fn figures(side: &Side) -> Figures {
    let mut figures = Figures {
        orphans: side.orphans.len() as u64,
        became_warm: side.warm.len() as u64,
        became_hot: side.hot.len() as u64,
        messages: side.messages,
        ..Figures::default()
    };
    for visitor in side.world.shelf.visitors() {
        let Some(book) = side.world.shelf.book(visitor) else { continue };
        let last_conversion = book.leads.iter().filter_map(converted_at).max();
        for lead in &book.leads {
            figures.count(lead, last_conversion);
            let hot_at = side.hot.get(&lead.id);
            let sold = hot_at.is_some_and(|hot_at| lead.counted_conversions().any(|sale| sale.at >= *hot_at));
            figures.hot_and_sold += u64::from(sold);
        }
    }
    figures
}

impl Figures {
    fn count(&mut self, lead: &Lead, last_conversion: Option<Time>) {
        self.leads += 1;
        self.attached += u64::from(lead.interactions);
        self.sales += lead.counted_conversions().count() as u64;
        match lead.status {
            Status::Open => self.open += 1,
            Status::Closed { cause: CloseCause::Conversion, .. } => self.converted += 1,
            Status::Closed { cause: CloseCause::Operator, .. } => self.closed_by_operator += 1,
            Status::Closed { cause: CloseCause::Inactivity, at } => {
                self.timed_out += 1;
                // An interaction exactly at the deadline finds the lead closed, so it counts as afterwards.
                self.timed_out_converted_later += u64::from(last_conversion.is_some_and(|last| last >= at));
            }
            Status::Closed { cause: CloseCause::Merged | CloseCause::Erased, .. } => {}
        }
    }
}

fn converted_at(lead: &Lead) -> Option<Time> {
    let Status::Closed { cause: CloseCause::Conversion, at } = lead.status else { return None };
    Some(at)
}

/// Every lead that only one world has, or that ends differently, in the order of opening.
pub(super) fn changes(recorded: &Side, other: &Side) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut left, mut right) = (by_opening(recorded).into_iter().peekable(), by_opening(other).into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((two, _))) => one.cmp(two),
        };
        let one = if order.is_le() { left.next() } else { None };
        let two = if order.is_ge() { right.next() } else { None };
        let Some(opened_by) = one.as_ref().or(two.as_ref()).map(|(position, _)| *position) else { continue };
        let (one, two) = (one.map(|(_, lead)| lead), two.map(|(_, lead)| lead));
        let (one_hot, two_hot) = (hot_at(recorded, one), hot_at(other, two));
        if one_hot != two_hot || !one.zip(two).is_some_and(|(one, two)| is_same(one, two)) {
            let (recorded, other) = (one.cloned(), two.cloned());
            changes.push(Change { opened_by, recorded, other, recorded_hot_at: one_hot, other_hot_at: two_hot });
        }
    }
}

/// When a lead of a world was first hot.
fn hot_at(side: &Side, lead: Option<&Lead>) -> Option<Time> {
    side.hot.get(&lead?.id).copied()
}

/// All leads with the records that opened them, sorted by these. A record opens one lead at most.
fn by_opening(side: &Side) -> Vec<(LogPosition, &Lead)> {
    let books = side.world.shelf.visitors().into_iter().filter_map(|visitor| side.world.shelf.book(visitor));
    let leads = books.flat_map(|book| &book.leads);
    let mut found: Vec<_> = leads.filter_map(|lead| Some((*side.opened.get(&lead.id)?, lead))).collect();
    found.sort_unstable_by_key(|(position, lead)| (*position, lead.id));
    found
}

/// Whether two leads are the same to whoever works with them. Numbers, versions and the deadlines of open leads may differ.
fn is_same(one: &Lead, two: &Lead) -> bool {
    let sales = |lead: &Lead| lead.counted_conversions().copied().collect::<Vec<_>>();
    one.lead_type == two.lead_type
        && one.status == two.status
        && one.interactions == two.interactions
        && one.first_interaction_at == two.first_interaction_at
        && one.last_interaction_at == two.last_interaction_at
        && one.score == two.score
        && one.owner == two.owner
        && sales(one) == sales(two)
}
