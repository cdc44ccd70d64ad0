//! How far time may pass while a feed brings the inputs: no further than it was read.
//!
//! What waits in a feed may have happened before what the clock says now. A tick that passed over it would close leads that
//! go on, and let messages become due for people who have bought meanwhile.

use std::sync::atomic::{AtomicU8, Ordering};

use lead_domain::Time;

/// What is known of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStanding {
    /// Nothing: it can't be reached now.
    Unknown,
    /// Inputs wait in it.
    Behind,
    /// Nothing waits in it.
    CaughtUp,
}

const UNKNOWN: u8 = 0;
const BEHIND: u8 = 1;
const CAUGHT_UP: u8 = 2;

/// What the reader of the feed and the thread that decides tell each other.
#[derive(Debug)]
pub(crate) struct Pace(AtomicU8);

impl Pace {
    /// Before anything was read; without a feed there is nothing to wait for.
    pub(crate) const fn new(fed: bool) -> Self {
        Self(AtomicU8::new(if fed { UNKNOWN } else { CAUGHT_UP }))
    }

    pub(crate) fn set(&self, standing: FeedStanding) {
        let number = match standing {
            FeedStanding::Unknown => UNKNOWN,
            FeedStanding::Behind => BEHIND,
            FeedStanding::CaughtUp => CAUGHT_UP,
        };
        self.0.store(number, Ordering::Release);
    }

    /// Inputs were decided about, with or without more behind them. A feed that can't be reached stays so.
    pub(crate) fn decided(&self, more: bool) {
        let (from, to) = if more { (CAUGHT_UP, BEHIND) } else { (BEHIND, CAUGHT_UP) };
        // It stands there already otherwise.
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// How far time may pass by `now`, when the last inputs decided about were received at `received`; `None` for not at all.
    pub(crate) fn until(&self, now: Time, received: Option<Time>) -> Option<Time> {
        match self.0.load(Ordering::Acquire) {
            CAUGHT_UP => Some(now),
            BEHIND => received.map(|received| received.min(now)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_as_far_as_the_feed_was_read() {
        let (now, read) = (Time::from_millis(1_000), Some(Time::from_millis(400)));
        assert_eq!(Pace::new(false).until(now, None), Some(now), "nothing to wait for");
        let pace = Pace::new(true);
        assert_eq!(pace.until(now, None), None, "nothing is known yet");
        pace.set(FeedStanding::Behind);
        assert_eq!((pace.until(now, None), pace.until(now, read)), (None, read));
        pace.decided(true);
        assert_eq!(pace.until(now, read), read);
        pace.decided(false);
        assert_eq!(pace.until(now, read), Some(now));
        pace.decided(true);
        assert_eq!(pace.until(now, read), read, "it fell behind");
        pace.set(FeedStanding::Unknown);
        pace.decided(false);
        assert_eq!(pace.until(now, read), None, "what was read before tells nothing about what came since");
        pace.set(FeedStanding::CaughtUp);
        assert_eq!(pace.until(now, read), Some(now));
    }
}
