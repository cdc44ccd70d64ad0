//! How long to wait before trying again.

use std::time::Duration;

use crate::destination::Retry;

/// The waits after the first failures in a row. No two destinations share a server by our doing, so nothing is gained by
/// spreading them.
const FIRST_WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
];
/// The wait after each later failure.
const LATER_WAIT: Duration = Duration::from_secs(30 * 60);
/// A destination that asks for less is asked again after this, so that it isn't flooded.
const ASKED_MIN: Duration = Duration::from_secs(1);
/// A destination that asks for more is taken to be mistaken.
const ASKED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// Counts a failure and says how long to wait; `None` for ever.
    pub(crate) fn after_failure(&mut self, retry: Retry) -> Option<Duration> {
        let by_schedule = FIRST_WAITS.get(self.failures as usize).copied().unwrap_or(LATER_WAIT);
        self.failures = self.failures.saturating_add(1);
        match retry {
            Retry::BackOff => Some(by_schedule),
            Retry::After(asked) => Some(asked.clamp(ASKED_MIN, ASKED_MAX)),
            Retry::Never => None,
        }
    }

    /// How many failures there were in a row.
    pub(crate) fn failures(self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_to_half_an_hour_and_stay_there() {
        let mut back_off = BackOff::default();
        let waits: Vec<u64> = (0..8).map(|_| back_off.after_failure(Retry::BackOff).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 5, 30, 120, 600, 1800, 1800, 1800]);
        assert_eq!(back_off.failures(), 8);
        assert_eq!(back_off.after_failure(Retry::Never), None);
    }

    #[test]
    fn a_destination_gets_the_wait_that_it_asks_for_within_reason() {
        let mut back_off = BackOff::default();
        for (asked, waits) in [(0, 1), (7, 7), (86_400, 86_400), (u64::MAX, 86_400)] {
            let wait = back_off.after_failure(Retry::After(Duration::from_secs(asked)));
            assert_eq!(wait, Some(Duration::from_secs(waits)));
        }
    }
}
