//! Filters of leads: which there are, what values they take, and how they are read from text.

use std::collections::BTreeMap;

use lead_domain::policy::grid::Grade;

use super::cursor::Fingerprint;
use super::{QueryError, parse_time};

/// The most values that one filter takes.
const VALUES_MAX: usize = 100;
/// The most words that a search takes.
const WORDS_MAX: usize = 8;
/// The fewest digits that make a search one for a phone number.
const PHONE_DIGITS_MIN: usize = 3;

/// A filter on a text: a lead matches when it has one of the values, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the fields of a lead, under the same names")]
pub enum TextFilter {
    /// `open` or `closed`.
    Status,
    LeadType,
    /// The group of the lead type, in the policy in force.
    Group,
    Skill,
    Channel,
    Temperature,
    /// What fit and engagement say together, A1 to C3.
    Grade,
    Stage,
    Owner,
    CloseCause,
    CustomerId,
    /// The address that the contact shows; case and surrounding space don't matter.
    Email,
    /// The number that the contact shows; only digits and a leading `+` matter.
    Phone,
    /// The campaign's name.
    Campaign,
}

/// A filter on a number or a time: a lead without the value doesn't match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the fields of a lead, under the same names")]
pub enum RangeFilter {
    Score,
    /// In minor units.
    Value,
    Opened,
    Closed,
    LastInteraction,
}

/// A span of times, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment in it.
    pub from: Option<i64>,
    /// The first moment behind it.
    pub to: Option<i64>,
}

/// Any of these.
pub(crate) type Values = Vec<String>;

/// Which leads. All filters must hold; of one filter's values any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    pub(crate) texts: BTreeMap<TextFilter, Values>,
    pub(crate) ranges: BTreeMap<RangeFilter, Span>,
    pub(crate) attributes: BTreeMap<String, Values>,
    /// Words that a contact must all hold, in lower case; a phone number is one word.
    pub(crate) search: Values,
}

impl TextFilter {
    const NAMES: [(&'static str, Self); 14] = [
        ("status", Self::Status),
        ("lead_type", Self::LeadType),
        ("group", Self::Group),
        ("skill", Self::Skill),
        ("channel", Self::Channel),
        ("temperature", Self::Temperature),
        ("grade", Self::Grade),
        ("stage", Self::Stage),
        ("owner", Self::Owner),
        ("close_cause", Self::CloseCause),
        ("customer_id", Self::CustomerId),
        ("email", Self::Email),
        ("phone", Self::Phone),
        ("campaign", Self::Campaign),
    ];

    /// The value as it is stored; what would be right where it can't be one.
    fn normalised(self, value: &str) -> Result<String, &'static str> {
        let known = |known: &[&str], expected| {
            if known.contains(&value) { Ok(value.to_owned()) } else { Err(expected) }
        };
        match self {
            Self::Status => known(&["open", "closed"], "open or closed"),
            Self::CloseCause => known(
                &["conversion", "operator", "inactivity", "merged", "erased"],
                "conversion, operator, inactivity, merged or erased",
            ),
            Self::Grade => Grade::of_code(&value.to_uppercase())
                .map(|grade| grade.code().to_owned())
                .ok_or("A1 to C3: a letter for fit and a digit for engagement"),
            Self::Email => Ok(value.to_lowercase()),
            Self::Phone => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                if digits.is_empty() { Err("a phone number such as +4930123456") } else { Ok(format!("+{digits}")) }
            }
            Self::LeadType
            | Self::Group
            | Self::Skill
            | Self::Channel
            | Self::Temperature
            | Self::Stage
            | Self::Owner
            | Self::CustomerId
            | Self::Campaign => Ok(value.to_owned()),
        }
    }
}

impl RangeFilter {
    /// Name, filter, and whether it is the end of the range.
    const NAMES: [(&'static str, Self, bool); 10] = [
        ("score_min", Self::Score, false),
        ("score_max", Self::Score, true),
        ("value_min", Self::Value, false),
        ("value_max", Self::Value, true),
        ("opened_from", Self::Opened, false),
        ("opened_to", Self::Opened, true),
        ("closed_from", Self::Closed, false),
        ("closed_to", Self::Closed, true),
        ("last_interaction_from", Self::LastInteraction, false),
        ("last_interaction_to", Self::LastInteraction, true),
    ];

    /// The bound as a number, and for an upper bound the first value beyond it.
    fn bound(self, name: &str, value: &str, is_end: bool) -> Result<i64, QueryError> {
        match self {
            Self::Score | Self::Value => {
                let expected = "a whole number";
                let number: i64 = value.parse().map_err(|_| QueryError::Value { field: name.to_owned(), expected })?;
                // The greatest number that there is needs no bound behind it.
                Ok(if is_end { number.saturating_add(1) } else { number })
            }
            Self::Opened | Self::Closed | Self::LastInteraction => Ok(parse_time(name, value)?.as_millis()),
        }
    }
}

impl Filters {
    /// Adds a filter by its name in the API.
    ///
    /// Texts take several values with commas between them: any of them. `…_from` is inclusive, `…_to` exclusive;
    /// `…_min` and `…_max` are both inclusive. `attr.<name>` compares an attribute's value, `q` looks for words or parts
    /// of them in name, e-mail address, phone number and customer id.
    ///
    /// # Errors
    /// Names the filter and what would be right.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        if let Some((_, filter)) = TextFilter::NAMES.iter().find(|(known, _)| *known == name) {
            return self.add_text(*filter, name, value);
        }
        if let Some((_, filter, is_end)) = RangeFilter::NAMES.iter().find(|(known, ..)| *known == name) {
            let bound = filter.bound(name, value, *is_end)?;
            let span = self.ranges.entry(*filter).or_default();
            *(if *is_end { &mut span.to } else { &mut span.from }) = Some(bound);
            return Ok(());
        }
        if let Some(attribute) = name.strip_prefix("attr.").filter(|attribute| !attribute.is_empty()) {
            // A quote would end the path in the database's language.
            if attribute.contains('"') {
                return Err(QueryError::UnknownFilter { name: name.to_owned() });
            }
            return add_values(self.attributes.entry(attribute.to_owned()).or_default(), name, value);
        }
        if name == "q" {
            return self.set_search(value);
        }
        Err(QueryError::UnknownFilter { name: name.to_owned() })
    }

    fn add_text(&mut self, filter: TextFilter, name: &str, value: &str) -> Result<(), QueryError> {
        let mut added = Values::new();
        add_values(&mut added, name, value)?;
        let values = self.texts.entry(filter).or_default();
        for value in added {
            let refused = |expected| QueryError::Value { field: name.to_owned(), expected };
            values.push(filter.normalised(&value).map_err(refused)?);
        }
        check_count(values, name)
    }

    fn set_search(&mut self, value: &str) -> Result<(), QueryError> {
        self.search = match phone_digits(value) {
            Some(digits) => vec![digits],
            None => value.to_lowercase().split_whitespace().map(ToOwned::to_owned).collect(),
        };
        if self.search.is_empty() {
            return Err(QueryError::Value { field: "q".to_owned(), expected: "a word or more to look for" });
        }
        if self.search.len() > WORDS_MAX {
            return Err(QueryError::TooMany { field: "q".to_owned(), max: WORDS_MAX });
        }
        Ok(())
    }

    pub(super) fn add_to(&self, fingerprint: &mut Fingerprint) {
        for (filter, values) in &self.texts {
            let name = TextFilter::NAMES.iter().find(|(_, known)| known == filter).map_or("", |(name, _)| *name);
            fingerprint.add(name.as_bytes());
            fingerprint.add_all(values);
        }
        for (filter, span) in &self.ranges {
            let name = RangeFilter::NAMES.iter().find(|(_, known, _)| known == filter).map_or("", |(name, ..)| *name);
            fingerprint.add(name.as_bytes());
            fingerprint.add_span(span);
        }
        for (name, values) in &self.attributes {
            fingerprint.add(b"attr");
            fingerprint.add(name.as_bytes());
            fingerprint.add_all(values);
        }
        fingerprint.add_all(&self.search);
    }
}

/// Adds the values of a text with commas between them.
pub(super) fn add_values(values: &mut Values, name: &str, text: &str) -> Result<(), QueryError> {
    let given = text.split(',').map(str::trim).filter(|value| !value.is_empty());
    values.extend(given.map(ToOwned::to_owned));
    if values.is_empty() {
        return Err(QueryError::Value { field: name.to_owned(), expected: "a value, or several with commas between" });
    }
    check_count(values, name)
}

fn check_count(values: &Values, name: &str) -> Result<(), QueryError> {
    let fits = values.len() <= VALUES_MAX;
    if fits { Ok(()) } else { Err(QueryError::TooMany { field: name.to_owned(), max: VALUES_MAX }) }
}

/// The digits of a text that looks like a phone number, without the zeros in front that are no part of E.164.
fn phone_digits(text: &str) -> Option<String> {
    let looks_so = text.chars().all(|character| character.is_ascii_digit() || " +-()/.".contains(character));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (looks_so && digits.len() >= PHONE_DIGITS_MIN).then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_read_values_and_name_what_is_wrong() {
        let mut filters = Filters::default();
        filters.set("status", "open").unwrap();
        filters.set("lead_type", "tablets, broadband").unwrap();
        filters.set("email", "Anna@Example.COM").unwrap();
        filters.set("phone", "+49 (30) 12-34").unwrap();
        filters.set("score_max", "10").unwrap();
        filters.set("attr.plan", "pro").unwrap();
        filters.set("q", " Anna  Schmidt ").unwrap();
        assert_eq!(filters.texts[&TextFilter::LeadType], ["tablets", "broadband"]);
        assert_eq!(filters.texts[&TextFilter::Email], ["anna@example.com"]);
        assert_eq!(filters.texts[&TextFilter::Phone], ["+49301234"]);
        assert_eq!(filters.ranges[&RangeFilter::Score], Span { from: None, to: Some(11) });
        assert_eq!(filters.search, ["anna", "schmidt"]);
        filters.set("q", "0151 / 23 45").unwrap();
        assert_eq!(filters.search, ["1512345"]);
        for (name, value) in [
            ("status", "sleeping"),
            ("close_cause", "boredom"),
            ("opened_from", "yesterday"),
            ("score_min", "1.5"),
            ("q", " "),
            ("skill", ","),
            ("phone", "none"),
            ("attr.", "x"),
            ("attr.a\"b", "x"),
            ("colour", "red"),
        ] {
            let error = filters.set(name, value).unwrap_err();
            assert_eq!(error.field(), name, "{error}");
        }
    }
}
