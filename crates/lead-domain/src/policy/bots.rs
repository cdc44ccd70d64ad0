//! Rules against bots: which interactions nobody should get points for.

use super::condition::Sealed;
use crate::Name;
use crate::interaction::{Interaction, Scalar};
use crate::score::Counted;
use crate::time::{Period, Time};

/// What the names begin with under which interactions are counted for rules against bots. No scoring rule is named so.
pub const BOT_MARK: &str = "bot:";

/// Takes an interaction for that of a bot when all of its tests hold. At least one is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotRule {
    /// The key.
    pub name: Name,
    /// Questions about the user agent and the internet address.
    pub sealed: Vec<Sealed>,
    /// Less time than this has passed since the visitor's interaction before.
    pub faster_than: Option<Period>,
    /// The visitor did so much lately.
    pub burst: Option<Burst>,
}

/// So many interactions of a visitor in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// At least so many that the rule's other tests fit.
    pub at_least: u32,
    /// In the time up to the last of them.
    pub within: Period,
}

impl BotRule {
    /// Whether what the interaction itself says fits, and how long the one before it is ago.
    #[must_use]
    pub fn fits(&self, interaction: &Interaction<'_>, before: Option<Time>) -> bool {
        let at = interaction.occurred_at.as_millis();
        let holds = |sealed: &Sealed| interaction.attribute(&sealed.attribute) == Some(&Scalar::Bool(true));
        let passed = before.map(|before| at.saturating_sub(before.as_millis()));
        self.sealed.iter().all(holds)
            && self.faster_than.is_none_or(|least| passed.is_some_and(|passed| passed < least.as_millis()))
    }

    /// The name under which it counts.
    #[must_use]
    pub fn counted_as(&self) -> Name {
        Name::from(format!("{BOT_MARK}{}", self.name))
    }

    /// Those of these interactions that fall in the time of the rule's burst up to `at`.
    pub fn lately<'a, T>(
        &self,
        counted: impl Iterator<Item = (T, &'a Counted)>,
        at: Time,
    ) -> impl Iterator<Item = (T, &'a Counted)> {
        let from = self.burst.map_or(at, |burst| at.before(burst.within));
        let name = self.counted_as();
        counted.filter(move |(_, counted)| counted.rule == name && counted.at > from && counted.at <= at)
    }
}
