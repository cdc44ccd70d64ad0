//! One touch of a visitor on a channel, as far as decisions look at it.

use crate::identifier::Identifiers;
use crate::ids::OrderKey;
use crate::money::Money;
use crate::time::Time;

/// An interaction, borrowed from its stored form. Names are as the channel sent them, trimmed.
#[derive(Clone, Copy, Debug)]
pub struct Interaction<'a> {
    /// When it happened, by the channel's clock, corrected.
    pub occurred_at: Time,
    /// Who it may be.
    pub identifiers: Identifiers,
    /// The channel or entry point it came through.
    pub channel: &'a str,
    /// The operator group that it was addressed to.
    pub skill: Option<&'a str>,
    /// A dotted word such as `product.viewed`.
    pub action: &'a str,
    /// What was sold, if something was.
    pub conversion: Option<Sale>,
    /// What else conditions may ask about.
    pub details: Details<'a>,
    /// The attributes that the policy's conditions name, sorted by name.
    pub attributes: &'a [(crate::Name, Scalar)],
}

/// What an interaction was about and what brought the visitor, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// The shop's number of the product.
    pub product_id: Option<&'a str>,
    /// The product's category.
    pub product_category: Option<&'a str>,
    /// The product's price in minor units, whatever the currency.
    pub product_price: Option<i64>,
    /// `utm_campaign`.
    pub campaign: Option<&'a str>,
    /// `utm_source`.
    pub campaign_source: Option<&'a str>,
    /// `utm_medium`.
    pub campaign_medium: Option<&'a str>,
    /// ISO 3166 country of the contact.
    pub country: Option<&'a str>,
    /// BCP 47 language tag of the contact.
    pub locale: Option<&'a str>,
}

impl Interaction<'_> {
    /// The value of a tested attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Scalar> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A sale that an interaction or a command reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// What was paid.
    pub value: Option<Money>,
    /// Units sold ("revenue generating units").
    pub rgus: u32,
    /// The order, which counts once per tenant.
    pub order: Option<OrderKey>,
}

/// The value of an attribute. Numbers are integers in the decider; other numbers arrive as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Anything else, as written.
    Text(crate::Name),
}
