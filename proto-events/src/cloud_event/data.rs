//! The `data` of an interaction event. A key that is not listed here is refused: a typing error in it would lose money.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::optional;
use super::text::{Attributes, Str};

/// One touch of a visitor on a channel. At least one of the four identifiers is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractionData<'a> {
    /// The tenant's name; may be left out where the channel belongs to one tenant.
    #[serde(borrow)]
    pub tenant: Option<Str<'a>>,
    /// The channel's cookie or device id.
    #[serde(borrow)]
    pub visitor_id: Option<Str<'a>>,
    /// The tenant's own number for the customer.
    #[serde(borrow)]
    pub customer_id: Option<Str<'a>>,
    /// An e-mail address.
    #[serde(borrow)]
    pub email: Option<Str<'a>>,
    /// A phone number, in E.164 or as dialled in the tenant's region.
    #[serde(borrow)]
    pub phone: Option<Str<'a>>,
    /// The medium or configured entry point that the interaction came through.
    #[serde(borrow)]
    pub channel: Str<'a>,
    /// The operator group that it was addressed to.
    #[serde(borrow)]
    pub skill: Option<Str<'a>>,
    /// What was done: a dotted word such as `product.viewed`. Unknown words are welcome.
    #[serde(borrow)]
    pub action: Str<'a>,
    /// Who the visitor says to be.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub contact: Option<Contact<'a>>,
    /// What brought the visitor.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub campaign: Option<Campaign<'a>>,
    /// What it was about.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub product: Option<Product<'a>>,
    /// What the visitor used.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub device: Option<Device<'a>>,
    /// What was sold.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub conversion: Option<Conversion<'a>>,
    /// Where it happened.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub page: Option<Page<'a>>,
    /// Free attributes: text, numbers, `true` or `false`; `null` counts as absent.
    #[serde(borrow, default)]
    pub attributes: Attributes<'a>,
    /// When the channel sent the event, by the same clock as `time`; corrects that clock on live channels. RFC 3339.
    #[serde(borrow)]
    pub sent_at: Option<Str<'a>>,
}

/// Who the visitor says to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact<'a> {
    /// Full name.
    #[serde(borrow)]
    pub name: Option<Str<'a>>,
    /// BCP 47 language tag.
    #[serde(borrow)]
    pub locale: Option<Str<'a>>,
    /// ISO 3166 country.
    #[serde(borrow)]
    pub country: Option<Str<'a>>,
}

/// A campaign, by UTM names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign<'a> {
    /// `utm_campaign`.
    #[serde(borrow)]
    pub name: Option<Str<'a>>,
    /// `utm_source`.
    #[serde(borrow)]
    pub source: Option<Str<'a>>,
    /// `utm_medium`.
    #[serde(borrow)]
    pub medium: Option<Str<'a>>,
    /// `utm_term`.
    #[serde(borrow)]
    pub term: Option<Str<'a>>,
    /// `utm_content`.
    #[serde(borrow)]
    pub content: Option<Str<'a>>,
}

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product<'a> {
    /// The shop's number for it.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// Its name.
    #[serde(borrow)]
    pub name: Option<Str<'a>>,
    /// Its category.
    #[serde(borrow)]
    pub category: Option<Str<'a>>,
    /// What one costs.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub price: Option<Amount<'a>>,
}

/// A device: named, or as a raw `user_agent` that is parsed. A name wins over what the user agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device<'a> {
    /// Browser name.
    #[serde(borrow)]
    pub browser: Option<Str<'a>>,
    /// `desktop`, `mobile`, `tablet` …
    #[serde(borrow, rename = "type")]
    pub kind: Option<Str<'a>>,
    /// Operating system.
    #[serde(borrow)]
    pub os: Option<Str<'a>>,
    /// The HTTP header.
    #[serde(borrow)]
    pub user_agent: Option<Str<'a>>,
}

/// A sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversion<'a> {
    /// What was paid.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub value: Option<Amount<'a>>,
    /// Units sold ("revenue generating units"); 0 where absent.
    pub rgus: Option<u32>,
    /// The order, which counts once per tenant.
    #[serde(borrow)]
    pub order_id: Option<Str<'a>>,
}

/// An amount of money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amount<'a> {
    /// Minor units: 12900 is 129.00 EUR.
    pub amount: i64,
    /// ISO 4217 code; the tenant's currency where absent.
    #[serde(borrow)]
    pub currency: Option<Str<'a>>,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page<'a> {
    /// Its address.
    #[serde(borrow)]
    pub url: Option<Str<'a>>,
    /// Where the visitor came from.
    #[serde(borrow)]
    pub referrer: Option<Str<'a>>,
}
