//! How a visitor can be reached: for each field the value that was given last.

use lead_domain::Name;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::state::{Dated, learn};

/// One dated text.
pub(crate) type Field = Option<Dated<Name>>;

/// What is known of a person, each field with the time when it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) name: Field,
    /// Normalised.
    pub(crate) email: Field,
    /// E.164.
    pub(crate) phone: Field,
    pub(crate) country: Field,
    pub(crate) locale: Field,
    /// The tenant's own number for the customer.
    pub(crate) customer_id: Field,
}

/// What one interaction says about the person.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) name: Option<&'a Name>,
    pub(crate) email: Option<&'a Name>,
    pub(crate) phone: Option<&'a Name>,
    pub(crate) country: Option<&'a Name>,
    pub(crate) locale: Option<&'a Name>,
    pub(crate) customer_id: Option<&'a Name>,
}

/// What learning has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Learnt {
    /// Nothing.
    Nothing,
    /// The time of a known value.
    Time,
    /// A value.
    Value,
}

impl Said<'_> {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields().iter().all(Option::is_none)
    }

    fn fields(&self) -> [Option<&Name>; 6] {
        [self.name, self.email, self.phone, self.country, self.locale, self.customer_id]
    }
}

impl Contact {
    fn fields(&self) -> [&Field; 6] {
        [&self.name, &self.email, &self.phone, &self.country, &self.locale, &self.customer_id]
    }

    fn fields_mut(&mut self) -> [&mut Field; 6] {
        let Self { name, email, phone, country, locale, customer_id } = self;
        [name, email, phone, country, locale, customer_id]
    }

    /// Takes what was said at `at`; empty texts say nothing.
    pub(crate) fn learn(&mut self, said: &Said<'_>, at: i64) -> Learnt {
        let mut learnt = Learnt::Nothing;
        for (known, text) in self.fields_mut().into_iter().zip(said.fields()) {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let change = if learn(known, text, at) { Learnt::Value } else { Learnt::Time };
            learnt = learnt.max(change);
        }
        learnt
    }

    /// Takes from `other` what is newer there.
    pub(crate) fn take_newer(&mut self, other: &Self) {
        for (known, theirs) in self.fields_mut().into_iter().zip(other.fields()) {
            let newer = match (&*known, theirs) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(known), Some(theirs)) => theirs.at > known.at,
            };
            if newer {
                known.clone_from(theirs);
            }
        }
    }

    /// Reads the stored form; `None` when it is damaged.
    pub(crate) fn from_json(json: &Json) -> Option<Self> {
        let stored = json.as_array()?;
        let mut contact = Self::default();
        for (known, stored) in contact.fields_mut().into_iter().zip(stored) {
            *known = match stored {
                Json::Null => None,
                Json::Array(pair) => {
                    let value = pair.first()?.as_str()?.into();
                    Some(Dated { value, at: pair.get(1)?.as_i64()? })
                }
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => return None,
            };
        }
        Some(contact)
    }

    /// What a search looks at: one text in lower case, a line for each field. `None` when there is nothing to find.
    pub(crate) fn search_text(&self) -> Option<String> {
        let searched = [&self.name, &self.email, &self.phone, &self.customer_id];
        let lines: Vec<String> =
            searched.into_iter().flatten().map(|dated| dated.value.as_str().to_lowercase()).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The stored form: a list of `[value, at]` or null.
impl Serialize for Contact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn stored(field: &Field) -> Option<(&str, i64)> {
            field.as_ref().map(|dated| (dated.value.as_str(), dated.at))
        }
        serializer.collect_seq(self.fields().into_iter().map(stored))
    }
}

/// The value of a field.
pub(crate) fn text(field: &Field) -> Option<&str> {
    field.as_ref().map(|dated| dated.value.as_str())
}
