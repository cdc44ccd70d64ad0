//! How values look in JSON: ids as shown, times as RFC 3339 in UTC, money as amount and currency.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use lead_domain::{Currency, Money, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The span of RFC 3339: the years 0000 to 9999. Times beyond show as its ends.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;

#[derive(Serialize, Deserialize)]
struct MoneyJson {
    amount: i64,
    currency: String,
}

/// A time as RFC 3339 in UTC, with milliseconds where it has some.
pub(crate) fn rfc3339(time: Time) -> String {
    let millis = time.as_millis().clamp(FIRST_MILLIS, LAST_MILLIS);
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads an RFC 3339 time, or a day, which stands for its beginning in UTC.
pub(crate) fn read_time(text: &str) -> Option<Time> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Time::from_millis(time.timestamp_millis()));
    }
    let day: chrono::NaiveDate = text.parse().ok()?;
    Some(Time::from_millis(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis()))
}

pub(crate) fn shown<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn optional_shown<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn all_shown<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

pub(crate) fn time<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

pub(crate) fn optional_time<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

pub(crate) fn optional_money<S: Serializer>(money: &Option<Money>, serializer: S) -> Result<S::Ok, S::Error> {
    let json = money.map(|money| MoneyJson { amount: money.amount, currency: money.currency.code().to_owned() });
    json.serialize(serializer)
}

pub(crate) fn read_optional_money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    let Some(json) = Option::<MoneyJson>::deserialize(deserializer)? else { return Ok(None) };
    let currency = Currency::new(&json.currency).ok_or_else(|| serde::de::Error::custom("no currency code"))?;
    Ok(Some(Money { amount: json.amount, currency }))
}

pub(crate) fn read_shown<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

pub(crate) fn read_optional_shown<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
}

pub(crate) fn read_all_shown<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

pub(crate) fn read_shown_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    read_time(&text).ok_or_else(|| serde::de::Error::custom("no RFC 3339 time"))
}

pub(crate) fn read_optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let read = |text: String| read_time(&text).ok_or_else(|| serde::de::Error::custom("no RFC 3339 time"));
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_show_in_utc_and_never_leave_the_years_of_rfc_3339() {
        assert_eq!(rfc3339(Time::from_millis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Time::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(Time::from_millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(Time::MIN), "0000-01-01T00:00:00Z");
        assert_eq!(read_time("1970-01-01T01:00:00+01:00"), Some(Time::from_millis(0)));
        assert_eq!(read_time("1970-01-02"), Some(Time::from_millis(86_400_000)));
        assert_eq!(read_time("yesterday"), None);
    }
}
