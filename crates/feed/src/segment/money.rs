//! Amounts as minor units, from the decimal text that was sent and nothing else.

use crate::mapping::major_to_minor;

/// The powers of ten that a number may be written with.
const EXPONENT_MAX: i32 = 30;
/// A sum of floating-point numbers, such as 194.85000000000002 for 3 × 64.95, has at least so many digits.
const NOISY_DIGITS_MIN: usize = 15;
/// So many digits behind those of the currency must be 0, or 9, before a number counts as such a sum.
const NOISE_AFTER: usize = 6;

/// The minor units of an amount in major ones; `None` where it is no number, too large, or not a whole number of them.
///
/// Digits that the currency doesn't have must be 0. One exception: where a program added numbers in floating point, its
/// error stands far behind the digits of the currency, and the amount that was meant is the next one.
pub(super) fn minor_units(text: &str, digits: u32) -> Option<i64> {
    let plain = plain_decimal(text.trim())?;
    major_to_minor(&plain, digits)
        .or_else(|| major_to_minor(&without_noise(&plain, usize::try_from(digits).ok()?)?, digits))
}

/// A number without an exponent and with digits on both sides of a point.
fn plain_decimal(text: &str) -> Option<String> {
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        None => (number, 0),
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
        return None;
    }
    let zeros = "0".repeat(exponent.unsigned_abs().try_into().ok()?);
    let digits = match exponent {
        ..=-1 => format!("{zeros}{whole}{fraction}"),
        _ => format!("{whole}{fraction}{zeros}"),
    };
    let point = whole.len() + if exponent > 0 { zeros.len() } else { 0 };
    let (whole, fraction) = digits.split_at_checked(point)?;
    Some(format!("{sign}{whole}.{fraction}"))
}

/// The amount that was meant by a number with the error of a floating-point sum; `None` where it has none.
fn without_noise(plain: &str, digits: usize) -> Option<String> {
    let (sign, number) = plain.strip_prefix('-').map_or(("", plain), |number| ("-", number));
    let (whole, fraction) = number.split_once('.')?;
    let (kept, noise) = fraction.split_at_checked(digits)?;
    let significant = number.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
    let begins_with = |digit: &str| noise.starts_with(&digit.repeat(NOISE_AFTER));
    if significant < NOISY_DIGITS_MIN {
        return None;
    }
    let minor: u64 = format!("{whole}{kept}").parse().ok()?;
    let minor = match (begins_with("0"), begins_with("9")) {
        (true, _) => minor,
        (false, true) => minor.checked_add(1)?,
        (false, false) => return None,
    };
    let minor = format!("{minor:0>width$}", width = digits + 1);
    let (whole, kept) = minor.split_at_checked(minor.len() - digits)?;
    Some(format!("{sign}{whole}.{kept}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let cases = [
            ("129.9", 2, Some(12_990)),
            ("129.90", 2, Some(12_990)),
            ("19", 2, Some(1_900)),
            ("0.01", 2, Some(1)),
            ("-2.5", 2, Some(-250)),
            (" 7 ", 2, Some(700)),
            ("129.500", 3, Some(129_500)),
            ("129", 0, Some(129)),
            ("129.0", 0, Some(129)),
            ("1.2e2", 2, Some(12_000)),
            ("1.5E-1", 2, Some(15)),
            ("1e+3", 0, Some(1_000)),
            ("12345e-5", 5, Some(12_345)),
            ("9007199254740993", 2, Some(900_719_925_474_099_300)),
            ("92233720368547758.07", 2, Some(i64::MAX)),
            ("194.85000000000002", 2, Some(19_485)),
            ("129.89999999999998", 2, Some(12_990)),
            ("0.30000000000000004", 2, Some(30)),
            ("99.99999999999999", 2, Some(10_000)),
            ("-0.30000000000000004", 2, Some(-30)),
            ("1299.9999999999998", 0, Some(1_300)),
            ("129.001", 2, None),
            ("129.999", 2, None),
            ("0.0000009", 2, None),
            ("129.5", 0, None),
            ("194.85000500000002", 2, None),
            ("194.85999999", 2, None),
            ("92233720368547758.08", 2, None),
            ("1e31", 2, None),
            ("1e99999999999", 2, None),
            ("1e30", 2, None),
            ("1,299.00", 2, None),
            ("€ 5", 2, None),
            ("NaN", 2, None),
            ("Infinity", 2, None),
            (".5", 2, None),
            ("5.", 2, None),
            ("--1", 2, None),
            ("+1", 2, None),
            ("1e", 2, None),
            ("", 2, None),
            ("0x10", 2, None),
        ];
        for (text, digits, expected) in cases {
            assert_eq!(minor_units(text, digits), expected, "{text} with {digits} digits");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 5_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_amount_comes_back(minor in proptest::num::i64::ANY, digits in 0..5_u32) {
            let power = 10_i128.pow(digits);
            let (sign, whole, fraction) = (if minor < 0 { "-" } else { "" }, i128::from(minor).abs() / power, i128::from(minor).abs() % power);
            let text = if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0>width$}", width = digits as usize) };
            if minor != i64::MIN {
                proptest::prop_assert_eq!(minor_units(&text, digits), Some(minor));
            }
        }

        /// What a program computed in floating point from amounts with two digits is what it meant.
        #[test]
        fn sums_in_floating_point_are_what_was_meant(cents in 1..1_000_000_u32, times in 1..100_u32) {
            let sum = f64::from(cents) / 100.0 * f64::from(times);
            proptest::prop_assert_eq!(minor_units(&sum.to_string(), 2), Some(i64::from(cents) * i64::from(times)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9.eE+]{0,40}", other in "\\PC{0,20}", digits in 0..6_u32) {
            minor_units(&text, digits);
            minor_units(&other, digits);
        }
    }
}
