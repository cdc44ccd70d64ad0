//! What an answer to a webhook means.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::destination::{DeliveryError, Retry};

/// Whether the event was taken, and if not, when to try again.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Result<(), DeliveryError> {
    if status.is_success() {
        return Ok(());
    }
    let asked = || asked_wait(headers, now).map_or(Retry::BackOff, Retry::After);
    let (retry, note) = match status {
        StatusCode::GONE => (Retry::Never, ""),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (asked(), ""),
        _ if status.is_redirection() => (Retry::BackOff, "; redirects aren't followed, so give the new URL"),
        _ => (Retry::BackOff, ""),
    };
    Err(DeliveryError { retry, reason: format!("the answer was {status}{note}") })
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?.with_timezone(&Utc);
    Some((date - DateTime::<Utc>::from(now)).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(status: u16, after: Option<&'static str>) -> Option<Retry> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_400);
        judge(StatusCode::from_u16(status).unwrap(), &headers, now).err().map(|error| error.retry)
    }

    #[test]
    fn each_answer_means_one_thing() {
        let after = |seconds| Some(Retry::After(Duration::from_secs(seconds)));
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        for (status, header, expected) in [
            (200, None, None),
            (202, None, None),
            (204, Some("5"), None),
            (410, Some("5"), Some(Retry::Never)),
            (429, Some("5"), after(5)),
            (503, Some("120"), after(120)),
            (503, date, after(80)),
            (429, Some("Wed, 21 Oct 2009 07:28:00 GMT"), after(0)),
            (429, Some("soon"), Some(Retry::BackOff)),
            (429, Some("-5"), Some(Retry::BackOff)),
            (503, None, Some(Retry::BackOff)),
            (500, Some("5"), Some(Retry::BackOff)),
            (400, None, Some(Retry::BackOff)),
            (301, None, Some(Retry::BackOff)),
        ] {
            assert_eq!(retry(status, header), expected, "{status} {header:?}");
        }
    }
}
