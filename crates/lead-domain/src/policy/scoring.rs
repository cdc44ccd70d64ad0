//! What gives points, and what follows from a score: groups, rules, temperature, stages.
//!
//! Rules are indexed by action once, when a policy is adopted, so that an interaction that no rule asks about costs a few
//! look-ups and allocates nothing.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::Name;
use crate::interaction::{Interaction, Scalar};
use crate::policy::bots::BotRule;
use crate::policy::condition::{Condition, Missed, SealedTest};
use crate::policy::grid::{Grade, Grid};
use crate::score::{Bounds, Counted, Decay, Score, ScoreKind, ScoreRow, Temperature, shares, sum, text_hash};
use crate::time::{Period, Time};

/// The score's rules, and what follows from a score.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scoring {
    /// The highest and the lowest score of a lead.
    pub total: Bounds,
    /// Groups of rules.
    pub groups: Vec<ScoreGroup>,
    /// Rules, in the order of the document.
    pub rules: Vec<ScoringRule>,
    /// When a lead is warm and hot; `None` where leads have no temperature.
    pub temperature: Option<Thresholds>,
    /// The funnel's stages, in order.
    pub stages: Vec<FunnelStage>,
    /// What a score says in two characters; `None` where leads have no grade.
    pub grid: Option<Grid>,
    /// Which interactions nobody should get points for, in the order of the document.
    pub bot_rules: Vec<BotRule>,
    /// The rules by action; made by [`Scoring::compile`].
    index: RuleIndex,
}

/// Rules with common bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreGroup {
    /// The key.
    pub name: Name,
    /// What its points count as.
    pub kind: ScoreKind,
    /// The most and the least points of the group on one lead.
    pub bounds: Bounds,
}

/// Gives points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoringRule {
    /// The key.
    pub name: Name,
    /// The group that it belongs to.
    pub group: Name,
    /// How many points; negative ones are taken away, never 0.
    pub points: i32,
    /// When.
    pub when: Condition,
    /// How often.
    pub limit: Option<RuleLimit>,
    /// Whether the points also count in the score of the product's category.
    pub by_category: bool,
    /// How the points lapse.
    pub decay: Option<Decay>,
}

/// How often a rule counts for one lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleLimit {
    /// At most so often.
    pub times: u32,
    /// In this time; ever, where absent.
    pub within: Option<Period>,
    /// For each value of this field.
    pub per: Option<LimitKey>,
}

/// What a limit may be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// The product.
    ProductId,
    /// The product's category.
    ProductCategory,
    /// The page's address.
    PageUrl,
    /// The channel.
    Channel,
}

/// From which score on a lead is warm and hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Warm from here on.
    pub warm: i32,
    /// Hot from here on; above `warm`.
    pub hot: i32,
    /// How far below a threshold the score must fall to cross it back.
    pub hysteresis: i32,
}

/// A stage of the funnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunnelStage {
    /// The key.
    pub name: Name,
    /// When a lead enters it; only the first stage has no condition.
    pub enter_when: Option<Condition>,
}

/// The places of rules in the list, by what they ask of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RuleIndex {
    exact: FxHashMap<Name, Vec<u16>>,
    prefixes: FxHashMap<Name, Vec<u16>>,
    /// The lengths of prefixes that are there, sorted.
    prefix_lengths: Vec<usize>,
    /// Rules that fit every action.
    always: Vec<u16>,
}

/// The places of the rules that may fire.
pub type RulePlaces = SmallVec<[u16; 16]>;

/// Whether a rule fires, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It gives its points.
    Fires,
    /// A test of its condition does not hold.
    Missed(Missed<'a>),
    /// Too few interactions that fit, so far.
    TooFew {
        /// How many there are, this one included.
        found: u32,
        /// How many are asked for.
        needed: u32,
    },
    /// Too little was spent so far.
    TooLittle {
        /// How much, this time included, in minor units.
        found: i64,
        /// How much is asked for.
        needed: i64,
    },
    /// It has counted as often as it may.
    Limited,
}

/// What came before an interaction, as far as a rule looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The lead's rows.
    pub rows: &'a [ScoreRow],
    /// How much the visitor did that the rule counts, in its window.
    pub counted: u32,
    /// How much of it was spent.
    pub spent: i64,
}

impl Scoring {
    /// The same rules, indexed by action.
    #[must_use]
    pub fn compile(mut self) -> Self {
        let mut index = RuleIndex::default();
        for (rule, place) in self.rules.iter().zip(0_u16..) {
            match (&rule.when.action, &rule.when.action_prefix) {
                (Some(action), _) => index.exact.entry(action.clone()).or_default().push(place),
                (None, Some(prefix)) => {
                    index.prefix_lengths.push(prefix.len());
                    index.prefixes.entry(prefix.clone()).or_default().push(place);
                }
                (None, None) => index.always.push(place),
            }
        }
        index.prefix_lengths.sort_unstable();
        index.prefix_lengths.dedup();
        self.index = index;
        self
    }

    /// The rules that an interaction of this action may fire, in the order of the document.
    #[must_use]
    pub fn rules_for(&self, action: &str) -> RulePlaces {
        let mut places = RulePlaces::from_slice(&self.index.always);
        if let Some(exact) = self.index.exact.get(action) {
            places.extend_from_slice(exact);
        }
        for length in &self.index.prefix_lengths {
            if let Some(fitting) = action.get(..*length).and_then(|prefix| self.index.prefixes.get(prefix)) {
                places.extend_from_slice(fitting);
            }
        }
        places.sort_unstable();
        places
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&ScoreGroup> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The bounds of a group's sum. Rows of a group that the policy does not know any more have none.
    #[must_use]
    pub fn bounds_of(&self, group: &str) -> Bounds {
        self.group(group).map_or(Bounds::default(), |group| group.bounds)
    }

    /// The score of these rows at a time. They must be in the order of a ledger.
    #[must_use]
    pub fn score(&self, rows: &[&ScoreRow], at: Time) -> Score {
        sum(rows, &shares(rows, at, self.total, |group| self.bounds_of(group)))
    }

    /// What a score says in two characters; `None` where the policy has no grid.
    #[must_use]
    pub fn grade(&self, score: &Score) -> Option<Grade> {
        self.grid.map(|grid| grid.grade(score))
    }

    /// How warm a lead of this score is, coming from a temperature.
    #[must_use]
    pub fn temperature(&self, from: Temperature, score: i32) -> Temperature {
        let Some(Thresholds { warm, hot, hysteresis }) = self.temperature else { return from };
        let (warm_again, hot_again) = (warm.saturating_sub(hysteresis), hot.saturating_sub(hysteresis));
        let reached = |up: i32, back: i32, known: Temperature| score >= if from >= known { back } else { up };
        if reached(hot, hot_again, Temperature::Hot) {
            Temperature::Hot
        } else if reached(warm, warm_again, Temperature::Warm) {
            Temperature::Warm
        } else {
            Temperature::Cold
        }
    }

    /// All conditions, of rules and stages.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let stages = self.stages.iter().filter_map(|stage| stage.enter_when.as_ref());
        self.rules.iter().map(|rule| &rule.when).chain(stages.flat_map(|when| when.any.iter().chain([when])))
    }

    /// The questions about personal data that the rules ask, sorted and without repetition.
    #[must_use]
    pub fn sealed_tests(&self) -> Vec<SealedTest> {
        let of_bots = self.bot_rules.iter().flat_map(|rule| &rule.sealed);
        let asked = self.conditions().flat_map(|when| &when.sealed).chain(of_bots);
        let asked = asked.map(|sealed| sealed.test.clone());
        let per_page = self.rules.iter().filter_map(|rule| rule.limit?.per).any(|per| per == LimitKey::PageUrl);
        let mut tests: Vec<SealedTest> = asked.chain(per_page.then_some(SealedTest::PageKey)).collect();
        tests.sort_unstable();
        tests.dedup();
        tests
    }
}

impl ScoringRule {
    /// Whether the interaction fires the rule, given what came before it.
    #[must_use]
    pub fn verdict(&self, interaction: &Interaction<'_>, before: Before<'_>) -> Verdict<'_> {
        if let Some(missed) = self.when.missed(interaction) {
            return Verdict::Missed(missed);
        }
        if let Some(frequency) = self.when.frequency {
            if let Some(needed) = frequency.at_least.filter(|needed| before.counted < *needed) {
                return Verdict::TooFew { found: before.counted, needed };
            }
            if let Some(needed) = frequency.total_value_at_least.filter(|needed| before.spent < *needed) {
                return Verdict::TooLittle { found: before.spent, needed };
            }
        }
        let full = self.limit.is_some_and(|limit| !limit.allows(self, interaction, before.rows));
        if full { Verdict::Limited } else { Verdict::Fires }
    }

    /// How many of these interactions, and how much money, fall in the rule's window up to `at`.
    pub fn lately<'a>(&self, counted: impl Iterator<Item = &'a Counted>, at: Time) -> (u32, i64) {
        let Some(frequency) = self.when.frequency else { return (0, 0) };
        let from = at.before(frequency.within);
        counted
            .filter(|counted| counted.rule == self.name && counted.at > from && counted.at <= at)
            .fold((0_u32, 0_i64), |(number, spent), counted| {
                (number.saturating_add(1), spent.saturating_add(counted.value))
            })
    }
}

impl RuleLimit {
    /// The hash of the value that the limit counts by; `None` for the lead as a whole.
    #[must_use]
    pub fn key_of(&self, interaction: &Interaction<'_>) -> Option<u64> {
        match self.per? {
            LimitKey::ProductId => interaction.details.product_id.map(text_hash),
            LimitKey::ProductCategory => interaction.details.product_category.map(text_hash),
            LimitKey::Channel => Some(text_hash(interaction.channel)),
            LimitKey::PageUrl => match interaction.attribute(&SealedTest::PageKey.attribute())? {
                Scalar::Integer(hash) => Some(hash.cast_unsigned()),
                Scalar::Bool(_) | Scalar::Text(_) => None,
            },
        }
    }

    /// Whether one row more stays within the limit, in every window that it falls into.
    fn allows(&self, rule: &ScoringRule, interaction: &Interaction<'_>, rows: &[ScoreRow]) -> bool {
        let key = self.key_of(interaction);
        let same = rows.iter().filter(|row| row.rule == rule.name && row.limit_key == key).map(|row| row.at);
        let times = usize::try_from(self.times).unwrap_or(usize::MAX);
        let Some(within) = self.within else { return same.count() < times };
        let at = interaction.occurred_at;
        let mut all: SmallVec<[Time; 16]> =
            same.filter(|row| *row > at.before(within) && *row < at.after(within)).collect();
        if all.len() < times {
            return true;
        }
        all.push(at);
        all.sort_unstable();
        let span = |window: &[Time]| window.first().zip(window.last()).map(|(first, last)| first.after(within) > *last);
        !all.windows(times.saturating_add(1)).any(|window| span(window) == Some(true) && window.contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds() -> Scoring {
        Scoring { temperature: Some(Thresholds { warm: 25, hot: 60, hysteresis: 5 }), ..Scoring::default() }
    }

    #[test]
    fn a_temperature_falls_only_below_its_hysteresis() {
        use Temperature::{Cold, Hot, Warm};
        let scoring = thresholds();
        let steps = [(24, Cold), (25, Warm), (20, Warm), (19, Cold), (60, Hot), (55, Hot), (54, Warm), (59, Warm)];
        let mut now = Cold;
        for (score, expected) in steps {
            now = scoring.temperature(now, score);
            assert_eq!(now, expected, "{score}");
        }
        assert_eq!(scoring.temperature(Hot, 0), Cold, "one crossing may pass two thresholds");
        assert_eq!(Scoring::default().temperature(Cold, 1_000), Cold, "without thresholds nothing warms");
    }

    #[test]
    fn rules_are_found_by_action_and_by_prefix_in_their_order() {
        let rule = |name: &str, action: Option<&str>, prefix: Option<&str>| ScoringRule {
            name: name.into(),
            group: "g".into(),
            points: 1,
            when: Condition {
                action: action.map(Name::new),
                action_prefix: prefix.map(Name::new),
                ..Condition::default()
            },
            limit: None,
            by_category: false,
            decay: None,
        };
        let rules = vec![
            rule("prefix", None, Some("page.")),
            rule("exact", Some("page.viewed"), None),
            rule("always", None, None),
            rule("longer", None, Some("page.view")),
            rule("other", Some("purchase"), None),
        ];
        let scoring = Scoring { rules, ..Scoring::default() }.compile();
        assert_eq!(scoring.rules_for("page.viewed").as_slice(), [0, 1, 2, 3]);
        assert_eq!(scoring.rules_for("page").as_slice(), [2]);
        assert_eq!(scoring.rules_for("p\u{e4}ge.").as_slice(), [2], "a prefix that would split a letter");
        assert!(!scoring.rules_for("page.viewed").spilled(), "no allocation");
    }
}
