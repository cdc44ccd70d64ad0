//! The words and numbers that a policy may use, and the spelling of periods.

use lead_domain::Period;
use lead_domain::policy::scoring::LimitKey;
use lead_domain::policy::{CountedFrom, CustomerIdMatch, Pick};
use lead_domain::score::{ScoreKind, Temperature};

/// Words and what they mean.
pub(super) type Words<T> = &'static [(&'static str, T)];

pub(super) const CUSTOMER_ID_MATCH: Words<CustomerIdMatch> =
    &[("lenient", CustomerIdMatch::Lenient), ("strict", CustomerIdMatch::Strict)];
pub(super) const COUNTED_FROM: Words<CountedFrom> =
    &[("first_interaction", CountedFrom::FirstInteraction), ("last_interaction", CountedFrom::LastInteraction)];
pub(super) const PICK: Words<Pick> = &[("most_recent", Pick::MostRecent), ("highest_score", Pick::HighestScore)];
pub(super) const SCORE_KIND: Words<ScoreKind> = &[("engagement", ScoreKind::Engagement), ("fit", ScoreKind::Fit)];
pub(super) const TEMPERATURE: Words<Temperature> =
    &[("cold", Temperature::Cold), ("warm", Temperature::Warm), ("hot", Temperature::Hot)];
/// What a limit may be counted by.
pub(super) const PER: Words<LimitKey> = &[
    ("product.id", LimitKey::ProductId),
    ("product.category", LimitKey::ProductCategory),
    ("page.url", LimitKey::PageUrl),
    ("channel", LimitKey::Channel),
];

/// A period as policies write it: a whole number and `s`, `m`, `h` or `d`, such as `36h`. `None` for anything else.
#[must_use]
pub fn period(text: &str) -> Option<Period> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = number.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(1_000)?;
    Some(Period::from_millis(millis))
}

/// The word among `known` that is most like `word`, if one is.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = word.chars().count().div_ceil(3);
    known
        .iter()
        .map(|known| (distance(word, known), *known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (b, above) in other.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_one_spelling() {
        for (text, expected) in [
            ("60s", Some(60_000)),
            ("5m", Some(300_000)),
            ("36h", Some(129_600_000)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("d", None),
            ("7", None),
            ("-7d", None),
            ("+7d", None),
            ("1.5h", None),
            ("7 d", None),
            ("7w", None),
            ("7é", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(period(text).map(Period::as_millis), expected, "{text}");
        }
    }

    #[test]
    fn a_typing_error_finds_the_word_that_was_meant() {
        let known = ["close_after", "counted_from", "converts_on", "name"];
        assert_eq!(nearest("close_afer", &known), Some("close_after"));
        assert_eq!(nearest("converted_on", &known), Some("converts_on"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("ab", "")), (3, 2, 2));
    }
}
