//! Reads the times of a table.

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{NaiveTime, TimeZone};
use chrono_tz::Tz;
use lead_domain::Time;
use proto_events::cloud_event;

/// How a table writes its times.
#[derive(Clone, Debug)]
pub(super) struct TimeFormat {
    /// As configured.
    pub(super) format: String,
    /// Whose local time it is, unless it has an offset of its own.
    pub(super) zone: Tz,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Rfc3339,
    /// Seconds since 1970, with a point where there are fractions.
    Unix,
    UnixMillis,
    Pattern(Vec<Item<'static>>),
}

impl TimeFormat {
    /// `None` where the format is no pattern of chrono's strftime.
    pub(super) fn new(format: &str, zone: Tz) -> Option<Self> {
        let kind = match format {
            "rfc3339" => Kind::Rfc3339,
            "unix" => Kind::Unix,
            "unix_ms" => Kind::UnixMillis,
            pattern if pattern.contains('%') => Kind::Pattern(StrftimeItems::new(pattern).parse_to_owned().ok()?),
            _ => return None,
        };
        Some(Self { format: format.to_owned(), zone, kind })
    }

    /// The default.
    pub(super) fn rfc3339() -> Self {
        Self { format: "rfc3339".to_owned(), zone: Tz::UTC, kind: Kind::Rfc3339 }
    }

    /// The time of a text; `None` where it doesn't fit or where the zone's clocks skipped it. Of a time that the clocks
    /// went through twice it is the first.
    pub(super) fn read(&self, text: &str) -> Option<Time> {
        match &self.kind {
            Kind::Rfc3339 => cloud_event::time(text),
            Kind::Unix => seconds(text),
            Kind::UnixMillis => text.parse().ok().map(Time::from_millis),
            Kind::Pattern(items) => self.by_pattern(text, items),
        }
    }

    fn by_pattern(&self, text: &str, items: &[Item<'static>]) -> Option<Time> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
        if parsed.offset().is_some() {
            return parsed.to_datetime().ok().map(|time| Time::from_millis(time.timestamp_millis()));
        }
        let date = parsed.to_naive_date().ok()?;
        // A pattern without hours means the beginning of the day.
        let dated_only = parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none();
        let time = if dated_only { NaiveTime::MIN } else { parsed.to_naive_time().ok()? };
        let local = self.zone.from_local_datetime(&date.and_time(time)).earliest()?;
        Some(Time::from_millis(local.timestamp_millis()))
    }
}

/// Seconds with at most three digits that count behind the point.
fn seconds(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let (whole, millis): (i64, i64) = (whole.parse().ok()?, millis.parse().ok()?);
    let millis = if text.starts_with('-') { -millis } else { millis };
    Some(Time::from_millis(whole.checked_mul(1_000)?.checked_add(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_format_and_zone() {
        let berlin = chrono_tz::Europe::Berlin;
        for (format, zone, text, expected) in [
            ("%Y-%m-%d %H:%M:%S", Tz::UTC, "2024-03-13 10:21:14", Some(1_710_325_274_000)),
            ("%Y-%m-%d %H:%M:%S", berlin, "2024-03-13 11:21:14", Some(1_710_325_274_000)),
            ("%d.%m.%Y", berlin, "13.03.2024", Some(1_710_284_400_000)),
            ("%Y-%m-%d %H:%M:%S", berlin, "2024-03-31 02:30:00", None),
            ("%Y-%m-%d %H:%M:%S", berlin, "2024-10-27 02:30:00", Some(1_729_989_000_000)),
            ("%Y-%m-%d %H:%M:%S%.f %z", berlin, "2024-03-13 10:21:14.250 +0000", Some(1_710_325_274_250)),
            ("%Y-%m-%d %H:%M:%S", Tz::UTC, "13.03.2024", None),
            ("rfc3339", Tz::UTC, "2024-03-13T10:21:14Z", Some(1_710_325_274_000)),
            ("unix", Tz::UTC, "1710325274", Some(1_710_325_274_000)),
            ("unix", Tz::UTC, "1710325274.25", Some(1_710_325_274_250)),
            ("unix", Tz::UTC, "-1.5", Some(-1_500)),
            ("unix", Tz::UTC, "now", None),
            ("unix_ms", Tz::UTC, "1710325274250", Some(1_710_325_274_250)),
        ] {
            let found = TimeFormat::new(format, zone).unwrap().read(text).map(Time::as_millis);
            assert_eq!(found, expected, "{format} {text}");
        }
        assert!(TimeFormat::new("iso", Tz::UTC).is_none());
        assert!(TimeFormat::new("%Q", Tz::UTC).is_none());
    }
}
