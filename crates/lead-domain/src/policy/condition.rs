//! Conditions: what an interaction and what came before it must be like. Does not know the document's syntax.
//!
//! What conditions ask about personal data is answered when an interaction is decoded: the answer stands in its facts as
//! an attribute of its own, whose name no channel can send, so that a decision can be made again after an erasure.

use crate::Name;
use crate::identifier::IdentifierKind;
use crate::interaction::{Interaction, Scalar};
use crate::policy::network::Network;
use crate::score::{Temperature, text_hash};
use crate::time::Period;

/// What the names of answers about personal data begin with.
pub const SEALED_MARK: char = '?';

/// An attribute that must have exactly this value.
pub type AttributeTest = (Name, Scalar);

/// How much must have happened lately, this interaction included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    /// At least so many interactions that fit.
    pub at_least: Option<u32>,
    /// At least so much was spent, in minor units of the policy's currency.
    pub total_value_at_least: Option<i64>,
    /// In the time up to the interaction.
    pub within: Period,
}

/// A field of an interaction that conditions may compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The channel or entry point.
    Channel,
    /// The operator group.
    Skill,
    /// The shop's number of the product.
    ProductId,
    /// The product's category.
    ProductCategory,
    /// `utm_campaign`.
    Campaign,
    /// `utm_source`.
    CampaignSource,
    /// `utm_medium`.
    CampaignMedium,
    /// ISO 3166 country of the contact.
    Country,
    /// BCP 47 language tag of the contact.
    Locale,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 9] = [
        Self::Channel,
        Self::Skill,
        Self::ProductId,
        Self::ProductCategory,
        Self::Campaign,
        Self::CampaignSource,
        Self::CampaignMedium,
        Self::Country,
        Self::Locale,
    ];

    /// The key in conditions.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Skill => "skill",
            Self::ProductId => "product_id",
            Self::ProductCategory => "product_category",
            Self::Campaign => "campaign",
            Self::CampaignSource => "campaign_source",
            Self::CampaignMedium => "campaign_medium",
            Self::Country => "country",
            Self::Locale => "locale",
        }
    }

    /// Its value in an interaction.
    #[must_use]
    pub const fn of<'a>(self, interaction: &Interaction<'a>) -> Option<&'a str> {
        match self {
            Self::Channel => Some(interaction.channel),
            Self::Skill => interaction.skill,
            Self::ProductId => interaction.details.product_id,
            Self::ProductCategory => interaction.details.product_category,
            Self::Campaign => interaction.details.campaign,
            Self::CampaignSource => interaction.details.campaign_source,
            Self::CampaignMedium => interaction.details.campaign_medium,
            Self::Country => interaction.details.country,
            Self::Locale => interaction.details.locale,
        }
    }
}

/// A field that must be one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTest {
    /// Which.
    pub field: Field,
    /// The values.
    pub values: Vec<Name>,
}

/// A question about personal data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedTest {
    /// There is an e-mail address, and its domain is one of these.
    EmailDomainIn(Vec<Name>),
    /// There is an e-mail address, and its domain is none of these.
    EmailDomainNotIn(Vec<Name>),
    /// The path of the page's address begins with one of these.
    PagePrefix(Vec<Name>),
    /// There is a user agent, and one of these stands in it, in whatever case; they are in lower case.
    AgentContains(Vec<Name>),
    /// There is an internet address, and it is one of these networks.
    AddressIn(Vec<Network>),
    /// Not a test but a keyed hash of the page's address, which limits count by.
    PageKey,
}

impl SealedTest {
    /// The name of the attribute that holds the answer: follows from the question alone.
    #[must_use]
    pub fn attribute(&self) -> Name {
        // The name of this one was given before it had a key.
        let word = if *self == Self::PageKey { "page_key" } else { self.key() };
        let mut text = word.to_owned();
        match self {
            Self::EmailDomainIn(values)
            | Self::EmailDomainNotIn(values)
            | Self::PagePrefix(values)
            | Self::AgentContains(values) => values.iter().for_each(|value| {
                text.push('\n');
                text.push_str(value);
            }),
            Self::AddressIn(networks) => networks.iter().for_each(|network| {
                text.push('\n');
                text.push_str(&network.to_string());
            }),
            Self::PageKey => {}
        }
        Name::from(format!("{SEALED_MARK}{:016x}", text_hash(&text)))
    }

    /// The key in conditions.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::EmailDomainIn(_) => "email_domain_in",
            Self::EmailDomainNotIn(_) => "email_domain_not_in",
            Self::PagePrefix(_) => "page_prefix",
            Self::AgentContains(_) => "agent_contains",
            Self::AddressIn(_) => "address_in",
            Self::PageKey => "page.url",
        }
    }
}

/// A question about personal data, and where its answer stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sealed {
    /// The attribute that holds the answer.
    pub attribute: Name,
    /// The question.
    pub test: SealedTest,
}

impl From<SealedTest> for Sealed {
    fn from(test: SealedTest) -> Self {
        Self { attribute: test.attribute(), test }
    }
}

/// All tests that are there must hold; of `any`, one condition is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The action, exactly.
    pub action: Option<Name>,
    /// What the action begins with.
    pub action_prefix: Option<Name>,
    /// Attributes and their values.
    pub attributes: Vec<AttributeTest>,
    /// Fields and their values.
    pub fields: Vec<FieldTest>,
    /// The least price of the product, in minor units.
    pub min_price: Option<i64>,
    /// The least sale value, in minor units.
    pub min_value: Option<i64>,
    /// Identifiers that the interaction brings.
    pub known: Vec<IdentifierKind>,
    /// Questions about personal data.
    pub sealed: Vec<Sealed>,
    /// What must have happened lately.
    pub frequency: Option<Frequency>,
    /// The visitor has converted before.
    pub returning_customer: Option<bool>,
    /// The lead has become this.
    pub temperature: Option<Temperature>,
    /// The lead is in this stage of the funnel.
    pub stage: Option<Name>,
    /// The lead is closed.
    pub closed: Option<bool>,
    /// One of these holds.
    pub any: Vec<Condition>,
}

/// The first test of a condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed<'a> {
    /// `action` or `action_prefix`.
    Action,
    /// `attributes`: the name of the attribute.
    Attribute(&'a str),
    /// Another key of the condition.
    Key(&'static str),
}

impl Condition {
    /// Whether the action fits.
    #[must_use]
    pub fn fits_action(&self, action: &str) -> bool {
        self.action.as_ref().is_none_or(|wanted| wanted == action)
            && self.action_prefix.as_ref().is_none_or(|prefix| action.starts_with(prefix.as_str()))
    }

    /// The first test that does not hold of what the interaction itself says; `None` when all do. Frequency is for the
    /// caller, who knows what came before, and so are the tests of stages and programmes.
    #[must_use]
    pub fn missed(&self, interaction: &Interaction<'_>) -> Option<Missed<'_>> {
        if !self.fits_action(interaction.action) {
            return Some(Missed::Action);
        }
        for test in &self.attributes {
            if !interaction.attributes.contains(test) {
                return Some(Missed::Attribute(&test.0));
            }
        }
        for test in &self.fields {
            let value = test.field.of(interaction);
            if !value.is_some_and(|value| test.values.iter().any(|wanted| wanted == value)) {
                return Some(Missed::Key(test.field.key()));
            }
        }
        let price = interaction.details.product_price.unwrap_or(0);
        if self.min_price.is_some_and(|least| price < least) {
            return Some(Missed::Key("min_price"));
        }
        let value = interaction.conversion.and_then(|sale| sale.value).map_or(0, |money| money.amount);
        if self.min_value.is_some_and(|least| value < least) {
            return Some(Missed::Key("min_value"));
        }
        for kind in &self.known {
            if !interaction.identifiers.strongest_first().any(|identifier| identifier.kind == *kind) {
                return Some(Missed::Key("known"));
            }
        }
        let holds = |sealed: &Sealed| interaction.attribute(&sealed.attribute) == Some(&Scalar::Bool(true));
        self.sealed.iter().find(|sealed| !holds(sealed)).map(|sealed| Missed::Key(sealed.test.key()))
    }

    /// Whether one of its own tests, not those of `any`, is about the interaction itself.
    #[must_use]
    pub const fn tests_interaction(&self) -> bool {
        self.action.is_some()
            || self.action_prefix.is_some()
            || !self.attributes.is_empty()
            || !self.fields.is_empty()
            || self.min_price.is_some()
            || self.min_value.is_some()
            || !self.known.is_empty()
            || !self.sealed.is_empty()
    }

    /// Whether an interaction of this action may be what the condition, or one of `any`, waits for.
    #[must_use]
    pub fn may_fit(&self, action: &str) -> bool {
        (self.tests_interaction() && self.fits_action(action)) || self.any.iter().any(|one| one.may_fit(action))
    }

    /// Whether the condition asks about an interaction at all.
    #[must_use]
    pub fn asks_interaction(&self) -> bool {
        self.tests_interaction() || self.any.iter().any(Self::asks_interaction)
    }
}
