//! Points in time and spans between them, in whole milliseconds. Knows no clock and no calendar.

use std::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Ordered; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The earliest time there is; before every interaction.
    pub const MIN: Self = Self(i64::MIN);

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time `period` later; stays at the last representable time instead of overflowing.
    #[must_use]
    pub const fn after(self, period: Period) -> Self {
        Self(self.0.saturating_add(period.0))
    }

    /// The time `period` earlier; stays at the first representable time instead of overflowing.
    #[must_use]
    pub const fn before(self, period: Period) -> Self {
        Self(self.0.saturating_sub(period.0))
    }
}

/// A span of time in milliseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(i64);

impl Period {
    /// From milliseconds; negative ones count as zero.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// From seconds; saturates.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// From hours; saturates.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_seconds(hours.saturating_mul(3_600))
    }

    /// From days of 24 hours; saturates.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days.saturating_mul(24))
    }

    /// Milliseconds, at least 0.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Period {
    /// The largest unit that divides the span: `7d`, `36h`, `90s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        for (millis, unit) in units {
            if self.0 > 0 && self.0 % millis == 0 {
                return write!(f, "{}{unit}", self.0 / millis);
            }
        }
        write!(f, "{}ms", self.0)
    }
}
