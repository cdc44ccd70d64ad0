//! The shape of days and weeks: quiet nights, busy evenings, and how a time is written. Knows no visitors.

use super::dice::entry;

/// 9000-01-01T00:00:00Z.
pub(super) const YEAR_9000_MILLIS: i64 = 221_845_392_000_000;

const HOUR_MILLIS: u64 = 3_600_000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

/// How much happens in each hour of a day (UTC; a European shop).
const HOURS: [u64; 24] = [9, 5, 4, 4, 5, 9, 20, 38, 52, 60, 64, 68, 74, 66, 60, 62, 70, 84, 104, 120, 112, 78, 42, 20];
/// How much happens on each day of a week, from Monday.
const WEEKDAYS: [u64; 7] = [10, 10, 9, 10, 11, 13, 14];

/// Spreads a run evenly over what happens, which is unevenly over time.
pub(super) struct Calendar {
    start: i64,
    /// What has happened by the end of each hour.
    sums: Vec<u64>,
}

impl Calendar {
    /// `days` days from `start`, in milliseconds since the epoch.
    pub(super) fn new(start: i64, days: u64) -> Self {
        let first_hour = start.cast_unsigned() / HOUR_MILLIS;
        let mut sum = 0;
        let sums = (first_hour..first_hour + days * 24)
            .map(|hour| {
                // The epoch was a Thursday.
                sum += entry(&HOURS, hour % 24) * entry(&WEEKDAYS, hour / 24 + 3);
                sum
            })
            .collect();
        Self { start, sums }
    }

    /// The time at which `done` of `whole` of everything has happened, in milliseconds since the epoch.
    pub(super) fn time_at(&self, done: u64, whole: u64) -> i64 {
        // A thousand steps within each unit of weight, for times finer than minutes.
        let end = u128::from(self.sums.last().copied().unwrap_or(1));
        let target = u128::from(done) * end * 1_000 / u128::from(whole.max(1));
        let hour = self.sums.partition_point(|sum| u128::from(*sum) * 1_000 <= target);
        let before = hour.checked_sub(1).and_then(|hour| self.sums.get(hour)).copied().unwrap_or(0);
        let within = self.sums.get(hour).map_or(1, |sum| sum - before);
        let part = (target - u128::from(before) * 1_000) * u128::from(HOUR_MILLIS) / (u128::from(within) * 1_000);
        self.start.saturating_add((hour as u64 * HOUR_MILLIS).cast_signed()).saturating_add(part as i64)
    }
}

/// Appends `2026-01-05T08:12:33.123Z`. `millis` is not before the epoch.
pub(super) fn write_time(millis: i64, out: &mut Vec<u8>) {
    let millis = millis.max(0).cast_unsigned();
    let (year, month, day) = civil_date(millis / DAY_MILLIS);
    let rest = millis % DAY_MILLIS;
    let fields = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (rest / HOUR_MILLIS, 2, b':'),
        (rest / 60_000 % 60, 2, b':'),
        (rest / 1_000 % 60, 2, b'.'),
        (rest % 1_000, 3, b'Z'),
    ];
    for (number, width, mark) in fields {
        write_padded(number, width, out);
        out.push(mark);
    }
}

/// Appends a number with leading zeros up to `width` digits.
pub(super) fn write_padded(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut left = number;
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        if left == 0 && used >= width {
            break;
        }
        *place += (left % 10) as u8;
        left /= 10;
        used += 1;
    }
    out.extend(digits.iter().skip(digits.len() - used));
}

/// Year, month and day of a day counted from 1970-01-01 (after Howard Hinnant's `civil_from_days`).
const fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        for millis in [0, 951_782_399_999, 951_782_400_000, 1_767_571_200_123, 4_107_542_399_001, YEAR_9000_MILLIS - 1]
        {
            let mut written = Vec::new();
            write_time(millis, &mut written);
            let time = chrono::DateTime::from_timestamp_millis(millis).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        }
        assert_eq!(
            chrono::DateTime::from_timestamp_millis(YEAR_9000_MILLIS).unwrap().to_rfc3339(),
            "9000-01-01T00:00:00+00:00"
        );
    }

    #[test]
    fn evenings_are_busier_than_nights_and_time_never_runs_backwards() {
        let calendar = Calendar::new(1_767_571_200_000, 7);
        let times: Vec<i64> = (0..10_000).map(|done| calendar.time_at(done, 10_000)).collect();
        assert!(times.is_sorted());
        let in_hours =
            |from: i64, to: i64| times.iter().filter(|time| (from..to).contains(&(*time / 3_600_000 % 24))).count();
        assert!(in_hours(18, 21) > 10 * in_hours(1, 4));
        let span = times.last().unwrap() - times.first().unwrap();
        assert!((6 * 86_400_000..7 * 86_400_000).contains(&span));
    }
}
