//! `[scoring]`: what gives points. Checked and kept; nothing counts points yet.

use lead_domain::{Name, Period};

use super::check_unique;
use super::condition::{self, Condition, Place};
use super::section::Section;
use super::words;

/// The most rules: each is looked at for every interaction.
const RULES_MAX: usize = 1_000;
/// No rule gives or takes more points at once.
const POINTS_MAX: i64 = 1_000;
/// No cap is higher.
const CAP_MAX: i64 = 1_000_000;

/// The score's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scoring {
    /// The highest score of a lead.
    pub total_cap: Option<i32>,
    /// Groups of rules.
    pub groups: Vec<ScoreGroup>,
    /// Rules, in the order of the document.
    pub rules: Vec<ScoringRule>,
}

/// What a group of rules says about a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreKind {
    /// What they do.
    Engagement,
    /// Who they are.
    Fit,
}

/// Rules with a common cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreGroup {
    /// The key.
    pub name: Name,
    /// What its points count as.
    pub kind: ScoreKind,
    /// The most points of the group on one lead.
    pub cap: Option<i32>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLimit {
    /// At most so often.
    pub times: u32,
    /// In this time; ever, where absent.
    pub within: Option<Period>,
    /// For each value of this field, such as `product.id`.
    pub per: Option<&'static str>,
}

/// Points that lapse step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decay {
    /// A step.
    pub every: Period,
    /// So many hundredths of the points at first go at each step: 1 to 100.
    pub percent: u8,
}

pub(super) fn scoring(root: &mut Section<'_>) -> Scoring {
    root.section("scoring", |section| {
        let scoring = Scoring {
            total_cap: cap(section, "total_cap"),
            groups: section.sections("group", group),
            rules: section.sections("rule", rule),
        };
        check_unique(section, "group", scoring.groups.iter().map(|group| &group.name));
        check_unique(section, "rule", scoring.rules.iter().map(|rule| &rule.name));
        check_groups(section, &scoring);
        scoring
    })
    .unwrap_or_default()
}

fn check_groups(section: &Section<'_>, scoring: &Scoring) {
    for (index, rule) in scoring.rules.iter().enumerate() {
        if !rule.group.is_empty() && !scoring.groups.iter().any(|group| group.name == rule.group) {
            let message = format!("there is no [[scoring.group]] \"{}\"", rule.group);
            section.fault(&format!("rule[{index}].group"), "unknown_group", &message);
        }
    }
    if scoring.rules.len() > RULES_MAX {
        let message = format!("has {} entries; {RULES_MAX} are allowed", scoring.rules.len());
        section.fault("rule", "too_many", &message);
    }
}

fn cap(section: &mut Section<'_>, key: &'static str) -> Option<i32> {
    section.integer(key, 1, CAP_MAX).and_then(|cap| i32::try_from(cap).ok())
}

fn group(section: &mut Section<'_>) -> ScoreGroup {
    ScoreGroup {
        name: section.required_name("name"),
        kind: section.required_word("kind", words::SCORE_KIND).unwrap_or(ScoreKind::Engagement),
        cap: cap(section, "cap"),
    }
}

fn rule(section: &mut Section<'_>) -> ScoringRule {
    let points = section.required_integer("points", -POINTS_MAX, POINTS_MAX);
    if points == Some(0) {
        section.fault("points", "out_of_range", "must not be 0");
    }
    ScoringRule {
        name: section.required_name("name"),
        group: section.required_name("group"),
        points: points.and_then(|points| i32::try_from(points).ok()).unwrap_or_default(),
        when: condition::required(section, "when", Place::ScoringRule),
        limit: section.section("limit", limit),
        by_category: section.boolean("by_category").unwrap_or(false),
        decay: section.section("decay", decay).flatten(),
    }
}

fn limit(section: &mut Section<'_>) -> RuleLimit {
    RuleLimit { times: times(section), within: section.positive_period("within"), per: section.word("per", words::PER) }
}

/// How often: at least once.
pub(super) fn times(section: &mut Section<'_>) -> u32 {
    section.required_integer("times", 1, 1_000_000).and_then(|times| u32::try_from(times).ok()).unwrap_or(1)
}

fn decay(section: &mut Section<'_>) -> Option<Decay> {
    let every = section.required_period("every");
    let percent = section.required_integer("percent", 1, 100).and_then(|percent| u8::try_from(percent).ok());
    Some(Decay { every: every?, percent: percent? })
}
