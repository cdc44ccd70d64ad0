//! Hours, days, weeks, months of a time zone as instants, with days of 23 and 25 hours. All instants are milliseconds since
//! the epoch.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Offset, SecondsFormat, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    pub(crate) const ALL: [Self; 6] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// The first day of the unit that has this day; an hour's is the day itself.
    fn first_day(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Self::Hour | Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))),
            Self::Month => day.with_day(1),
            Self::Quarter => day.with_day(1).and_then(|it| it.with_month0(it.month0() / 3 * 3)),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        first.unwrap_or(day)
    }

    fn next_day(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => first.checked_add_days(Days::new(1)),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Quarter => first.checked_add_months(Months::new(3)),
            Self::Year => first.checked_add_months(Months::new(12)),
        }
    }
}

/// The local time of an instant; `None` beyond the years that a calendar has.
pub(crate) fn local(zone: Tz, millis: i64) -> Option<DateTime<Tz>> {
    // Two days less than chrono has, so that nothing overflows on the way.
    let utc = DateTime::<Utc>::from_timestamp_millis(millis).filter(|at| (-200_000..200_000).contains(&at.year()))?;
    Some(utc.with_timezone(&zone))
}

/// An instant with the zone's offset.
pub(crate) fn shown(zone: Tz, millis: i64) -> Option<String> {
    local(zone, millis).map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// When a day begins; where its midnight is left out by the clock, at the first instant behind.
pub(crate) fn start_of_day(zone: Tz, day: NaiveDate) -> Option<i64> {
    let midnight = day.and_hms_opt(0, 0, 0)?;
    if let Some(at) = zone.from_local_datetime(&midnight).earliest() {
        return Some(at.timestamp_millis());
    }
    // Clocks have left out whole days where a country changed sides of the date line.
    let wide = TimeDelta::hours(30);
    let before = zone.from_local_datetime(&midnight.checked_sub_signed(wide)?).latest()?.timestamp_millis();
    let behind = zone.from_local_datetime(&midnight.checked_add_signed(wide)?).earliest()?.timestamp_millis();
    change_of_offset(zone, before, behind)
}

fn offset_seconds(zone: Tz, millis: i64) -> Option<i64> {
    Some(i64::from(local(zone, millis)?.offset().fix().local_minus_utc()))
}

/// The first instant behind `before` whose offset is another; there is one change up to `behind`.
fn change_of_offset(zone: Tz, mut before: i64, mut behind: i64) -> Option<i64> {
    let offset = offset_seconds(zone, before)?;
    while behind - before > 1 {
        let middle = before + (behind - before) / 2;
        if offset_seconds(zone, middle)? == offset { before = middle } else { behind = middle }
    }
    Some(behind)
}

/// The hour that an instant is in: since when the local clock shows its hour.
fn start_of_hour(zone: Tz, millis: i64) -> Option<i64> {
    let at = local(zone, millis)?;
    let into = i64::from(at.minute()) * 60_000 + i64::from(at.second()) * 1_000 + millis.rem_euclid(1_000);
    let start = millis - into;
    if offset_seconds(zone, start)? == offset_seconds(zone, millis)? {
        return Some(start);
    }
    // The clock was put forward or back within the hour.
    let change = change_of_offset(zone, start, millis)?;
    if begins_hour(zone, change)? { Some(change) } else { start_of_hour(zone, change - 1) }
}

/// Whether an hour begins where the clock was changed: at a full hour, or because the clock shows another hour than before.
fn begins_hour(zone: Tz, change: i64) -> Option<bool> {
    let (at, before) = (local(zone, change)?, local(zone, change - 1)?);
    Some((at.minute(), at.second()) == (0, 0) || at.hour() != before.hour())
}

/// The next full hour of the local clock behind one.
fn next_hour(zone: Tz, millis: i64) -> Option<i64> {
    const HOUR: i64 = 3_600_000;
    let until_next = |at: i64| -> Option<i64> {
        let shifted = at + offset_seconds(zone, at)? * 1_000;
        Some(at + HOUR - shifted.rem_euclid(HOUR))
    };
    let next = until_next(millis)?;
    if offset_seconds(zone, next)? == offset_seconds(zone, millis)? {
        return Some(next);
    }
    let change = change_of_offset(zone, millis, next)?;
    if begins_hour(zone, change)? { Some(change) } else { until_next(change) }
}

/// More instants than `most`, or years that no calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooWide;

/// Where the units that touch `from` up to, but not at, `to` begin; rising, the first not behind `from`.
pub(crate) fn boundaries(zone: Tz, unit: Unit, from: i64, to: i64, most: usize) -> Result<Vec<i64>, TooWide> {
    let mut found = Vec::new();
    let mut add = |at: i64| {
        if found.last() != Some(&at) {
            found.push(at);
        }
        if found.len() > most { Err(TooWide) } else { Ok(()) }
    };
    if unit == Unit::Hour {
        let mut at = start_of_hour(zone, from).ok_or(TooWide)?;
        add(at)?;
        loop {
            at = next_hour(zone, at).ok_or(TooWide)?;
            if at >= to {
                return Ok(found);
            }
            add(at)?;
        }
    }
    let mut day = unit.first_day(local(zone, from).ok_or(TooWide)?.date_naive());
    let mut at = start_of_day(zone, day).ok_or(TooWide)?;
    // The first instants of a day that begins twice belong to the day before by their date.
    while at > from {
        day = unit.first_day(day.pred_opt().ok_or(TooWide)?);
        at = start_of_day(zone, day).ok_or(TooWide)?;
    }
    add(at)?;
    loop {
        day = unit.next_day(day).ok_or(TooWide)?;
        at = start_of_day(zone, day).ok_or(TooWide)?;
        if at >= to {
            return Ok(found);
        }
        add(at)?;
    }
}

/// From when, and up to, but not at, when; `None` is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Span {
    /// The time of the same length right before: as many months where these are whole months of the zone, as many days where
    /// they are whole days, or else as many milliseconds.
    pub(crate) fn previous(self, zone: Tz) -> Option<Self> {
        let Self { from, to } = self;
        let (first, last) = (local(zone, from)?.date_naive(), local(zone, to)?.date_naive());
        let whole_days = start_of_day(zone, first)? == from && start_of_day(zone, last)? == to;
        if !whole_days {
            return Some(Self { from: from.checked_sub(to.checked_sub(from)?)?, to: from });
        }
        let months = (last.year() - first.year()) * 12 + i32::try_from(last.month()).ok()?
            - i32::try_from(first.month()).ok()?;
        let earlier = if first.day() == 1 && last.day() == 1 {
            first.checked_sub_months(Months::new(u32::try_from(months).ok()?))?
        } else {
            first.checked_sub_days(Days::new(u64::try_from((last - first).num_days()).ok()?))?
        };
        Some(Self { from: start_of_day(zone, earlier)?, to: from })
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use chrono_tz::Tz;

    use super::{Span, TooWide, Unit, boundaries, shown, start_of_day};

    fn at(zone: Tz, year: i32, month: u32, day: u32) -> i64 {
        start_of_day(zone, NaiveDate::from_ymd_opt(year, month, day).unwrap()).unwrap()
    }

    fn lengths(zone: Tz, unit: Unit, from: i64, to: i64) -> Vec<i64> {
        let mut starts = boundaries(zone, unit, from, to, 1_000).unwrap();
        starts.push(to);
        starts.windows(2).map(|pair| (pair[1] - pair[0]) / 60_000).collect()
    }

    #[test]
    fn days_of_23_and_25_hours_are_one_day_each() {
        let berlin = Tz::Europe__Berlin;
        let spring = lengths(berlin, Unit::Day, at(berlin, 2026, 3, 28), at(berlin, 2026, 3, 31));
        assert_eq!(spring, [24 * 60, 23 * 60, 24 * 60]);
        let autumn = lengths(berlin, Unit::Day, at(berlin, 2026, 10, 24), at(berlin, 2026, 10, 27));
        assert_eq!(autumn, [24 * 60, 25 * 60, 24 * 60]);
        let hours = lengths(berlin, Unit::Hour, at(berlin, 2026, 10, 25), at(berlin, 2026, 10, 26));
        assert_eq!(hours, [60; 25]);
        let hours = lengths(berlin, Unit::Hour, at(berlin, 2026, 3, 29), at(berlin, 2026, 3, 30));
        assert_eq!(hours, [60; 23]);
    }

    #[test]
    fn odd_offsets_and_left_out_midnights_are_right() {
        // An offset of 5:45, a clock that is put forward by half an hour, a midnight that doesn't happen, a day that doesn't.
        let kathmandu = Tz::Asia__Kathmandu;
        assert_eq!(lengths(kathmandu, Unit::Hour, at(kathmandu, 2026, 1, 1), at(kathmandu, 2026, 1, 2)), [60; 24]);
        let howe = Tz::Australia__Lord_Howe;
        let hours = lengths(howe, Unit::Hour, at(howe, 2026, 10, 4), at(howe, 2026, 10, 5));
        assert_eq!((hours.len(), hours.iter().sum::<i64>()), (24, 23 * 60 + 30));
        let beirut = Tz::Asia__Beirut;
        let midnight = at(beirut, 2022, 3, 27);
        assert_eq!(shown(beirut, midnight).unwrap(), "2022-03-27T01:00:00+03:00");
        let apia = Tz::Pacific__Apia;
        let days = lengths(apia, Unit::Day, at(apia, 2011, 12, 29), at(apia, 2012, 1, 1));
        assert_eq!(days, [24 * 60; 2], "the 30th was left out");
    }

    #[test]
    fn units_begin_where_their_calendar_says() {
        let zone = Tz::UTC;
        let shown_all = |unit, from, to| -> Vec<String> {
            boundaries(zone, unit, from, to, 100).unwrap().into_iter().map(|it| shown(zone, it).unwrap()).collect()
        };
        let (from, to) = (at(zone, 2026, 5, 13), at(zone, 2026, 5, 20));
        assert_eq!(shown_all(Unit::Week, from, to), ["2026-05-11T00:00:00Z", "2026-05-18T00:00:00Z"]);
        assert_eq!(shown_all(Unit::Month, from, to), ["2026-05-01T00:00:00Z"]);
        assert_eq!(shown_all(Unit::Quarter, from, to), ["2026-04-01T00:00:00Z"]);
        assert_eq!(shown_all(Unit::Year, from, to), ["2026-01-01T00:00:00Z"]);
        assert_eq!(boundaries(zone, Unit::Hour, from, to, 10), Err(TooWide));
        assert_eq!(boundaries(zone, Unit::Day, i64::MIN, i64::MAX, 10), Err(TooWide));
    }

    #[test]
    fn the_previous_period_has_as_many_months_or_days() {
        let berlin = Tz::Europe__Berlin;
        let span = |from, to| Span { from, to };
        let march = span(at(berlin, 2026, 3, 1), at(berlin, 2026, 4, 1));
        assert_eq!(march.previous(berlin), Some(span(at(berlin, 2026, 2, 1), march.from)));
        let week = span(at(berlin, 2026, 3, 25), at(berlin, 2026, 4, 1));
        assert_eq!(week.previous(berlin), Some(span(at(berlin, 2026, 3, 18), week.from)));
        let odd = span(1_000, 1_500);
        assert_eq!(odd.previous(berlin), Some(span(500, 1_000)));
    }
}
