//! The one place that normalises identifiers, and that knows which values never match anybody.

use std::borrow::Cow;

use compact_str::CompactString;
use phonenumber::Mode;
use phonenumber::country::Id as Region;
use proto_events::cloud_event::{Fault, code};
use rustc_hash::FxHashSet;

use crate::bounded_cache::BoundedCache;

/// Normalised phone numbers that are kept, for each tenant: parsing one takes tens of microseconds.
const PHONES_KEPT: usize = 50_000;
/// The digits that E.164 allows.
const PHONE_DIGITS_MAX: usize = 15;

/// One tenant's way to normalise.
pub(crate) struct Normaliser {
    region: Option<Region>,
    blocked: FxHashSet<CompactString>,
    /// By digits; `None` for what is no number.
    phones: BoundedCache<Option<CompactString>>,
}

/// A normalised identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Normalised<'a> {
    /// The value that is compared; `None` for a blocked value that has no normal form.
    pub(crate) value: Option<Cow<'a, str>>,
    /// Whether it never matches anybody.
    pub(crate) blocked: bool,
}

impl Normaliser {
    /// `region` is an ISO 3166 code; without a valid one only numbers with a country code are understood.
    pub(crate) fn new(region: &str, blocked: &[String]) -> Self {
        let mut normaliser =
            Self { region: region.parse().ok(), blocked: FxHashSet::default(), phones: BoundedCache::new(PHONES_KEPT) };
        for value in blocked {
            let value = value.trim();
            normaliser.blocked.insert(CompactString::new(value.to_lowercase()));
            if let Some(phone) = normaliser.e164(value) {
                normaliser.blocked.insert(phone);
            }
        }
        normaliser
    }

    /// A customer id, or a cookie or device id: as it is. `value` is trimmed and not empty, here and below.
    pub(crate) fn plain<'a>(&self, value: &'a str) -> Normalised<'a> {
        Normalised { value: Some(Cow::Borrowed(value)), blocked: self.is_blocked(value) }
    }

    /// An e-mail address, in lower case.
    pub(crate) fn email<'a>(&self, value: &'a str) -> Result<Normalised<'a>, Fault> {
        let blocked = self.is_blocked(value);
        let around = value.split_once('@');
        let good = around.is_some_and(|(before, after)| {
            !before.is_empty() && !after.is_empty() && !after.contains('@') && !value.contains(char::is_whitespace)
        });
        match (good, blocked) {
            (true, _) => Ok(Normalised { value: Some(lower_case(value)), blocked }),
            (false, true) => Ok(Normalised { value: None, blocked }),
            (false, false) => {
                let message = "The address must have one @ with something on both sides and no white space.";
                Err(Fault::new("data.email", code::BAD_EMAIL, message))
            }
        }
    }

    /// A phone number, in E.164.
    pub(crate) fn phone(&mut self, value: &str) -> Result<Normalised<'static>, Fault> {
        let written_so = self.is_blocked(value);
        match self.e164(value) {
            Some(number) => {
                let blocked = written_so || self.is_blocked(&number);
                Ok(Normalised { value: Some(Cow::Owned(number.into_string())), blocked })
            }
            None if written_so => Ok(Normalised { value: None, blocked: true }),
            None => {
                let message = "The number must be E.164, such as +4930123456, or one that can be dialled in the tenant's phone_region.";
                Err(Fault::new("data.phone", code::BAD_PHONE, message))
            }
        }
    }

    fn e164(&mut self, value: &str) -> Option<CompactString> {
        let digits = dialled(value)?;
        let region = self.region;
        self.phones.get_or_make(&digits, |digits| parse(digits, region))
    }

    fn is_blocked(&self, value: &str) -> bool {
        !self.blocked.is_empty() && self.blocked.contains(lower_case(value).as_ref())
    }
}

fn lower_case(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(value.to_lowercase())
    }
}

/// The digits of a number, with a `+` before them where there is one; without an extension, which E.164 doesn't have.
///
/// `None` where something else than a number stands there.
fn dialled(value: &str) -> Option<CompactString> {
    let value = match value.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest,
        _ => value,
    };
    let number = value.split([';', ',', '#', 'x', 'X', 'e', 'E']).next().unwrap_or_default();
    let mut digits = CompactString::default();
    for character in number.chars() {
        match character {
            '+' if digits.is_empty() => digits.push('+'),
            '0'..='9' => digits.push(character),
            ' ' | '\u{a0}' | '\t' | '(' | ')' | '-' | '\u{2010}' | '\u{2011}' | '.' | '/' => {}
            _ => return None,
        }
    }
    (3..=32).contains(&digits.len()).then_some(digits)
}

/// With a country code the tenant's region must stay out of it: its rules for leading zeros are not those of the other country.
fn parse(digits: &str, region: Option<Region>) -> Option<CompactString> {
    let region = if digits.starts_with('+') { None } else { Some(region?) };
    let number = phonenumber::parse(region, digits).ok()?;
    let number = CompactString::from(number.format().mode(Mode::E164).to_string());
    (number.len() <= PHONE_DIGITS_MAX + 1).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn german() -> Normaliser {
        let blocked = ["null", "NONE@example.com", "0000000000", "030 99"].map(str::to_owned);
        Normaliser::new("DE", &blocked)
    }

    fn phone(value: &str) -> Option<String> {
        german().phone(value).ok()?.value.map(Cow::into_owned)
    }

    #[test]
    fn phones_become_e164() {
        let cases = [
            ("+49 30 123456", Some("+4930123456")),
            ("030 123456", Some("+4930123456")),
            ("+49 (0)30/123-456", Some("+4930123456")),
            ("0049 30 123456", Some("+4930123456")),
            ("tel:+49-30-123456;ext=7", Some("+4930123456")),
            ("+44 20 7946 0958", Some("+442079460958")),
            ("+39 06 698 12345", Some("+390669812345")),
            ("12", None),
            ("call me", None),
            ("+", None),
            ("+999 123456789", None),
            ("123456789012345678901234567890", None),
        ];
        for (sent, expected) in cases {
            assert_eq!(phone(sent).as_deref(), expected, "{sent}");
        }
    }

    #[test]
    fn addresses_are_lower_case_and_have_one_at() {
        let normaliser = german();
        for (sent, expected) in [
            ("Ada@Example.COM", Some("ada@example.com")),
            ("a@b", Some("a@b")),
            ("Ä@x.de", Some("ä@x.de")),
            ("ab", None),
            ("@b", None),
            ("a@", None),
            ("a@b@c", None),
            ("a b@c", None),
        ] {
            let found = normaliser.email(sent).ok().and_then(|normalised| normalised.value);
            assert_eq!(found.as_deref(), expected, "{sent}");
        }
    }

    #[test]
    fn blocked_values_are_known_in_every_spelling() {
        let mut normaliser = german();
        assert!(normaliser.plain("NULL").blocked);
        assert!(!normaliser.plain("nullify").blocked);
        assert!(normaliser.email("none@EXAMPLE.com").unwrap().blocked);
        assert!(normaliser.email("null").unwrap().blocked, "no address at all, but blocked");
        assert!(normaliser.phone("0000000000").unwrap().blocked);
        assert!(normaliser.phone("null").unwrap().blocked);
        assert!(normaliser.phone("+49 30 99").unwrap().blocked);
        assert!(!normaliser.phone("+49 30 123456").unwrap().blocked);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
        #[test]
        fn no_text_makes_it_panic(value in "\\PC{0,40}", number in "[+0-9 ()x-]{0,40}") {
            let mut normaliser = german();
            let _ = normaliser.phone(&value);
            let _ = normaliser.phone(&number);
            let _ = normaliser.email(&value);
        }
    }
}
