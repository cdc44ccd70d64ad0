//! How the columns of a CSV table become an event: a TOML document.
//!
//! ```toml
//! delimiter = ","                     # the default
//! amounts = "minor"                   # the default: 12900 is 129.00; or "major": 129.00, which needs the currency
//!
//! [columns]                           # field = "column"
//! visitor_id = "user_id"
//! attributes.plan = "plan"
//! [actions]                           # word in the table = action; others pass unchanged
//! product_view = "product.viewed"
//! [channels]                          # likewise
//! [skills]                            # likewise, but where this section stands, other words mean no skill
//! [constants]                         # field = value, where a row has none
//! source = "https://shop.example.com"
//! [time]
//! format = "%Y-%m-%d %H:%M:%S"        # or "rfc3339", "unix", "unix_ms"
//! zone = "UTC"
//! ```

mod document;
mod time_format;

use std::collections::HashMap;
use std::fmt;

use lead_domain::Time;
use proto_events::cloud_event::{self, Fault, code};
use time_format::TimeFormat;

/// How the columns of a table become events.
#[derive(Clone, Debug)]
pub struct Mapping {
    columns: Vec<(Field, String)>,
    constants: Vec<(Field, String)>,
    actions: HashMap<String, String>,
    channels: HashMap<String, String>,
    skills: Option<HashMap<String, String>>,
    time: TimeFormat,
    delimiter: u8,
    amounts: Amounts,
}

/// A mapping with faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MappingError {
    /// All of them.
    pub faults: Vec<Fault>,
}

impl fmt::Display for MappingError {
    /// `path: message` of each fault, with semicolons between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            let (before, colon) = (if place == 0 { "" } else { "; " }, if fault.path.is_empty() { "" } else { ": " });
            write!(f, "{before}{}{colon}{}", fault.path, fault.message)?;
        }
        Ok(())
    }
}

/// What a row can say of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    Source,
    Time,
    Tenant,
    VisitorId,
    CustomerId,
    Email,
    Phone,
    Channel,
    Skill,
    Action,
    Name,
    Locale,
    Country,
    CampaignName,
    CampaignSource,
    CampaignMedium,
    CampaignTerm,
    CampaignContent,
    ProductId,
    ProductName,
    ProductCategory,
    ProductPrice,
    DeviceType,
    Browser,
    Os,
    UserAgent,
    Value,
    Currency,
    Rgus,
    OrderId,
    PageUrl,
    Referrer,
    Attribute(String),
}

/// The fields by their names; attributes are named `attributes.<name>`.
const FIELDS: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("source", Field::Source),
    ("time", Field::Time),
    ("tenant", Field::Tenant),
    ("visitor_id", Field::VisitorId),
    ("customer_id", Field::CustomerId),
    ("email", Field::Email),
    ("phone", Field::Phone),
    ("channel", Field::Channel),
    ("skill", Field::Skill),
    ("action", Field::Action),
    ("name", Field::Name),
    ("locale", Field::Locale),
    ("country", Field::Country),
    ("campaign_name", Field::CampaignName),
    ("campaign_source", Field::CampaignSource),
    ("campaign_medium", Field::CampaignMedium),
    ("campaign_term", Field::CampaignTerm),
    ("campaign_content", Field::CampaignContent),
    ("product_id", Field::ProductId),
    ("product_name", Field::ProductName),
    ("product_category", Field::ProductCategory),
    ("product_price", Field::ProductPrice),
    ("device_type", Field::DeviceType),
    ("browser", Field::Browser),
    ("os", Field::Os),
    ("user_agent", Field::UserAgent),
    ("value", Field::Value),
    ("currency", Field::Currency),
    ("rgus", Field::Rgus),
    ("order_id", Field::OrderId),
    ("page_url", Field::PageUrl),
    ("referrer", Field::Referrer),
];

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Attribute(name) = self {
            return write!(f, "attributes.{name}");
        }
        f.write_str(FIELDS.iter().find(|(_, field)| field == self).map(|(name, _)| *name).unwrap_or_default())
    }
}

/// The unit of a table's amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amounts {
    /// Cents: whole numbers.
    Minor,
    /// Euros: with as many digits behind the point as the currency has.
    Major,
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// Every fault of the document, with its path.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        document::read(text).map_err(|faults| MappingError { faults })
    }

    pub(crate) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.columns.iter().map(|(field, column)| (field, column.as_str()))
    }

    pub(crate) fn constants(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.constants.iter().map(|(field, value)| (field, value.as_str()))
    }

    pub(crate) fn has_id(&self) -> bool {
        self.columns.iter().any(|(field, _)| *field == Field::Id)
    }

    pub(crate) fn action<'a>(&'a self, word: &'a str) -> &'a str {
        self.actions.get(word).map_or(word, String::as_str)
    }

    pub(crate) fn channel<'a>(&'a self, word: &'a str) -> &'a str {
        self.channels.get(word).map_or(word, String::as_str)
    }

    /// The skill of a word, if it is one: a table without a column for skills can name them by the action's words.
    pub(crate) fn skill<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        match &self.skills {
            None => Some(word),
            Some(skills) => skills.get(word).map(String::as_str),
        }
    }

    pub(crate) fn time(&self, text: &str) -> Result<Time, Fault> {
        self.time.read(text).ok_or_else(|| {
            let message = format!("The time must be {} and exist in the zone {}.", self.time.format, self.time.zone);
            Fault::new("time", code::BAD_TIME, message)
        })
    }

    /// Minor units of an amount. Digits that the currency doesn't have are refused unless they are 0.
    pub(crate) fn amount(&self, text: &str, currency: Option<&str>, path: &str) -> Result<i64, Fault> {
        let bad = |message: &str| Fault::new(path, code::BAD_AMOUNT, message);
        if self.amounts == Amounts::Minor {
            return text.parse().map_err(|_| bad("The amount must be a whole number of minor units."));
        }
        let digits = currency.and_then(cloud_event::minor_digits).ok_or_else(|| {
            Fault::new(
                path,
                code::BAD_CURRENCY,
                "The amount needs a currency with a minor unit (ISO 4217), such as EUR.",
            )
        })?;
        major_to_minor(text, digits).ok_or_else(|| {
            bad(&format!("The amount must be a number with a point and at most {digits} digits behind it."))
        })
    }
}

/// `129.5` with two digits is 12950. The sign may be `-`; separators of thousands are refused.
pub(crate) fn major_to_minor(text: &str, digits: u32) -> Option<i64> {
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let digits = usize::try_from(digits).ok()?;
    let (kept, further) = fraction.split_at_checked(digits.min(fraction.len()))?;
    if whole.is_empty() || !plain(whole) || !plain(fraction) || further.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let minor: i64 = format!("{whole}{kept:0<digits$}").parse().ok()?;
    Some(if negative { -minor } else { minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_major_units_are_exact() {
        for (text, digits, expected) in [
            ("129.00", 2, Some(12_900)),
            ("129", 2, Some(12_900)),
            ("129.5", 2, Some(12_950)),
            ("-0.01", 2, Some(-1)),
            ("129.500", 2, Some(12_950)),
            ("129", 0, Some(129)),
            ("129.0", 0, Some(129)),
            ("129.001", 2, None),
            ("1,299.00", 2, None),
            (".5", 2, None),
            ("", 2, None),
            ("--1", 2, None),
            ("92233720368547758.08", 2, None),
        ] {
            assert_eq!(major_to_minor(text, digits), expected, "{text}");
        }
    }
}
