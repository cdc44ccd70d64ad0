//! When touches arrive: most at once, some late, some twice. Knows no JSON.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::dice::{Dice, LongTail, mix};
use super::visit::{Touch, Visits};
use super::{GenerateArgs, Summary};

/// The most touches that wait for their arrival. Beyond it the earliest arrives sooner than it would have.
const WAITING_MAX: usize = 65_536;
/// Of a thousand touches, how many come late.
const LATE_IN_THOUSAND: u64 = 20;
/// One line in so many is a conflicting duplicate.
const LINES_PER_CONFLICT: u64 = 2_000;
/// How late, in milliseconds: minutes to hours.
const LATENESS: LongTail = LongTail { median: 25 * 60_000, spread_percent: 120, least: 60_000, most: 14 * 3_600_000 };
/// A repetition by a sender who got no answer, in milliseconds.
const RETRY: LongTail = LongTail { median: 4_000, spread_percent: 90, least: 200, most: 120_000 };
/// A repetition by a second run of a job, in milliseconds.
const RERUN: LongTail = LongTail { median: 3 * 3_600_000, spread_percent: 100, least: 120_000, most: 72 * 3_600_000 };

/// A line to write.
pub(super) struct Arrival {
    pub(super) touch: Touch,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OnTime,
    Late,
    Duplicate,
    Conflict,
}

impl Arrival {
    /// Counts the line.
    pub(super) const fn count_in(&self, summary: &mut Summary) {
        summary.interactions += 1;
        match self.kind {
            Kind::OnTime => summary.distinct += 1,
            Kind::Late => {
                summary.distinct += 1;
                summary.late += 1;
            }
            Kind::Duplicate => summary.duplicates += 1,
            Kind::Conflict => summary.conflicting += 1,
        }
    }
}

struct Waiting {
    /// When it arrives, in milliseconds since the epoch; then the order in which they began to wait.
    place: (i64, u64),
    arrival: Arrival,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Waiting {}

/// All lines of a run, in order of arrival.
pub(super) struct Arrivals {
    visits: Visits,
    dice: Dice,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// How many have ever waited.
    queued: u64,
    touches_left: u64,
    repetitions_left: u64,
    conflicts_left: u64,
}

impl Arrivals {
    pub(super) fn new(args: &GenerateArgs, run: u64) -> Self {
        let repetitions = args.interactions * args.duplicates / 100;
        let touches = args.interactions - repetitions;
        Self {
            visits: Visits::new(args, run, touches),
            dice: Dice::new(mix(run)),
            waiting: BinaryHeap::new(),
            queued: 0,
            touches_left: touches,
            repetitions_left: repetitions,
            conflicts_left: repetitions.min(args.interactions / LINES_PER_CONFLICT),
        }
    }

    /// How many people have come.
    pub(super) fn visitors_seen(&self) -> u64 {
        self.visits.visitors_seen()
    }

    /// The next line.
    pub(super) fn next_arrival(&mut self) -> Option<Arrival> {
        loop {
            let next_touch = self.visits.next_at();
            let full = self.waiting.len() >= WAITING_MAX;
            let due = self
                .waiting
                .peek()
                .is_some_and(|Reverse(first)| full || next_touch.is_none_or(|next_touch| first.place.0 <= next_touch));
            if due {
                return self.waiting.pop().map(|Reverse(waiting)| waiting.arrival);
            }
            let touch = self.visits.next_touch()?;
            if let Some(arrival) = self.send(touch) {
                return Some(arrival);
            }
        }
    }

    /// Decides when the touch arrives and whether it arrives again; returns it if that is now.
    fn send(&mut self, touch: Touch) -> Option<Arrival> {
        let late = self.dice.chance(LATE_IN_THOUSAND);
        let arrives_at = if late { touch.at.saturating_add(self.dice.long_tailed(LATENESS) as i64) } else { touch.at };
        let arrival = Arrival { touch, kind: if late { Kind::Late } else { Kind::OnTime } };
        let now = if late {
            self.wait(arrives_at, arrival);
            None
        } else {
            Some(arrival)
        };
        // Knuth's selection sampling: exactly the wanted number, each touch as likely as any other.
        if self.dice.below(self.touches_left) < self.repetitions_left {
            self.repeat(touch, arrives_at);
        }
        self.touches_left = self.touches_left.saturating_sub(1);
        now
    }

    fn repeat(&mut self, touch: Touch, arrived_at: i64) {
        let conflict = self.dice.below(self.repetitions_left) < self.conflicts_left;
        self.repetitions_left -= 1;
        self.conflicts_left -= u64::from(conflict);
        let shape = if self.dice.chance(700) { RETRY } else { RERUN };
        let arrives_at = arrived_at.saturating_add(self.dice.long_tailed(shape) as i64);
        let kind = if conflict { Kind::Conflict } else { Kind::Duplicate };
        self.wait(arrives_at, Arrival { touch: Touch { revised: conflict, ..touch }, kind });
    }

    fn wait(&mut self, at: i64, arrival: Arrival) {
        self.queued += 1;
        self.waiting.push(Reverse(Waiting { place: (at, self.queued), arrival }));
    }
}
