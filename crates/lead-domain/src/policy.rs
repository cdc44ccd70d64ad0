//! Everything that people configure for one tenant, as far as decisions depend on it.
//!
//! Parsing a document is somebody else's work; this module says what a policy means and refuses one that breaks a rule,
//! whole and with every fault named by path ([`Policy::checked`]).

pub mod bots;
mod check;
pub mod condition;
pub mod grid;
pub mod network;
pub mod nurture;
pub mod scoring;

pub use check::Fault;
pub use nurture::Nurturing;
pub use scoring::Scoring;

use crate::Name;
use crate::interaction::{Interaction, Scalar};
use crate::money::Currency;
use crate::time::{Period, Time};

/// One tenant's rules. Made by [`Policy::checked`], which also sorts the lists by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose rules these are.
    pub tenant: Name,
    /// The default currency of sale values.
    pub currency: Currency,
    /// How far a live feed's ticks trail the log's clock.
    pub lateness: Period,
    /// When an interaction and a lead agree about the customer.
    pub customer_id_match: CustomerIdMatch,
    /// The reasons that an operator may close a lead with.
    pub close_reasons: Vec<Name>,
    /// Lead types, active and inactive.
    pub lead_types: Vec<LeadType>,
    /// Operator groups.
    pub skills: Vec<EntryPoint>,
    /// Channels, whose rule counts where no configured skill is named.
    pub channels: Vec<EntryPoint>,
    /// What gives points, and what follows from a score.
    pub scoring: Scoring,
    /// Who should hear from us when.
    pub nurture: Nurturing,
    /// Which version of the tenant's policy it is, from 1; 0 before it is adopted.
    pub version: u32,
}

/// When the customer ids of an interaction and a lead agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CustomerIdMatch {
    /// Equal, or unknown on either side.
    #[default]
    Lenient,
    /// Both equal, or both absent.
    Strict,
}

/// A class of leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadType {
    /// The key, never reused.
    pub name: Name,
    /// What people read.
    pub title: Name,
    /// For filtering and grouping.
    pub group: Option<Name>,
    /// Free labels.
    pub labels: Vec<Name>,
    /// Whether leads of it may be opened.
    pub active: bool,
    /// How long a lead may stay open.
    pub close_after: Period,
    /// Where that is counted from.
    pub counted_from: CountedFrom,
    /// What converts a lead of this type; any one rule is enough.
    pub converts_on: Vec<ConversionRule>,
}

/// The anchor of a lead's deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedFrom {
    /// An absolute lifetime.
    FirstInteraction,
    /// Inactivity.
    #[default]
    LastInteraction,
}

/// Converts a lead when action and conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionRule {
    /// The interaction's action, exactly.
    pub action: Name,
    /// The least sale value, in minor units; an interaction without a value counts as 0.
    pub min_value: Option<i64>,
    /// Attributes that must have exactly these values.
    pub attributes: Vec<(Name, Scalar)>,
}

/// What a skill or a channel does with the interactions that come through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The key, as interactions name it.
    pub name: Name,
    /// What people read.
    pub title: Name,
    /// The type of the leads that it opens; without one its interactions may stay orphans.
    pub default_lead_type: Option<Name>,
    /// Further types whose open leads take its interactions.
    pub also_allowed: Vec<Name>,
    /// Which of several leads takes an interaction.
    pub pick: Pick,
}

/// Which of several candidate leads takes an interaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// The one with the latest interaction.
    #[default]
    MostRecent,
    /// The one with the highest score.
    HighestScore,
}

/// Looks a name up in a list that is sorted by name.
fn by_name<'a, T>(list: &'a [T], name: &str, name_of: impl Fn(&T) -> &Name) -> Option<&'a T> {
    let place = list.binary_search_by(|item| name_of(item).as_str().cmp(name)).ok()?;
    list.get(place)
}

impl Policy {
    /// The lead type of that name.
    #[must_use]
    pub fn lead_type(&self, name: &str) -> Option<&LeadType> {
        by_name(&self.lead_types, name, |lead_type| &lead_type.name)
    }

    /// The rule for an interaction: its skill's if that is configured, otherwise its channel's.
    #[must_use]
    pub fn entry_point(&self, skill: Option<&str>, channel: &str) -> Option<&EntryPoint> {
        skill
            .and_then(|skill| by_name(&self.skills, skill, |point| &point.name))
            .or_else(|| by_name(&self.channels, channel, |point| &point.name))
    }

    /// The questions about personal data that conditions ask, sorted and without repetition.
    #[must_use]
    pub fn sealed_tests(&self) -> Vec<condition::SealedTest> {
        let mut tests = self.scoring.sealed_tests();
        let nurture = self.nurture.conditions().flat_map(|when| &when.sealed);
        tests.extend(nurture.map(|sealed| sealed.test.clone()));
        tests.sort_unstable();
        tests.dedup();
        tests
    }

    /// The names of the attributes that conditions look at, sorted and without repetition.
    #[must_use]
    pub fn tested_attributes(&self) -> Vec<Name> {
        let conversions = self.lead_types.iter().flat_map(|lead_type| &lead_type.converts_on);
        let conversions = conversions.flat_map(|rule| &rule.attributes);
        let conditions = self.scoring.conditions().chain(self.nurture.conditions());
        let tests = conversions.chain(conditions.flat_map(|when| &when.attributes));
        let mut names: Vec<Name> = tests.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl LeadType {
    /// Whether the interaction converts a lead of this type.
    #[must_use]
    pub fn converts_on(&self, interaction: &Interaction<'_>) -> bool {
        self.converts_on.iter().any(|rule| rule.holds(interaction))
    }

    /// The time at which a lead closes unless something happens, from the anchor.
    ///
    /// Never before `seen`, the latest time at which something is known to have happened on the lead: a shortened period
    /// or an earlier first interaction must not close a lead before its own last event.
    #[must_use]
    pub fn deadline(&self, anchors: Anchors) -> Time {
        let start = match self.counted_from {
            CountedFrom::FirstInteraction => anchors.first,
            CountedFrom::LastInteraction => anchors.last,
        };
        let start = anchors.reopened.map_or(start, |reopened| start.max(reopened));
        start.after(self.close_after).max(anchors.seen())
    }
}

/// The times of a lead that a deadline may be counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchors {
    /// First interaction, or the opening where there is none.
    pub first: Time,
    /// Last interaction, or the opening where there is none.
    pub last: Time,
    /// The latest reopening by an operator or a withdrawn conversion, which starts the period anew.
    pub reopened: Option<Time>,
}

impl Anchors {
    fn seen(self) -> Time {
        self.reopened.map_or(self.last, |reopened| self.last.max(reopened))
    }
}

impl ConversionRule {
    fn holds(&self, interaction: &Interaction<'_>) -> bool {
        let value = interaction.conversion.and_then(|sale| sale.value).map_or(0, |money| money.amount);
        self.action == interaction.action
            && self.min_value.is_none_or(|least| value >= least)
            && self.attributes.iter().all(|test| interaction.attributes.contains(test))
    }
}

impl EntryPoint {
    /// Whether leads of this type may take the entry point's interactions.
    #[must_use]
    pub fn allows(&self, lead_type: &Name) -> bool {
        self.default_lead_type.as_ref() == Some(lead_type) || self.also_allowed.contains(lead_type)
    }
}
