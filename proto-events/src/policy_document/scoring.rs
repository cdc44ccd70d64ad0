//! `[scoring]`: what gives points.

use lead_domain::Period;
use lead_domain::policy::grid::{Grid, Steps};
use lead_domain::policy::scoring::{RuleLimit, ScoreGroup, Scoring, ScoringRule};
use lead_domain::score::{Bounds, Decay, ScoreKind};

use super::check_unique;
use super::condition::{self, Place};
use super::section::Section;
use super::words;

/// The most rules: each is looked at for every interaction that it may fit.
const RULES_MAX: usize = 1_000;
/// No rule gives or takes more points at once.
const POINTS_MAX: i64 = 1_000;
/// No cap is higher, and no floor lower than its negative.
const CAP_MAX: i64 = 1_000_000;
/// No window is longer, and points that lapse more slowly never do in the life of a lead.
const WINDOW_MAX: Period = Period::from_days(3_660);
/// No step of decay is shorter: each is an event of every lead concerned.
const STEP_MIN: Period = Period::from_hours(1);

pub(super) fn scoring(root: &mut Section<'_>) -> Scoring {
    root.section("scoring", |section| {
        let mut scoring = Scoring::default();
        scoring.total = bounds(section, "total_cap", "total_floor");
        scoring.groups = section.sections("group", group);
        scoring.rules = section.sections("rule", rule);
        scoring.grid = section.section("grid", grid).flatten();
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
            let known: Vec<&str> = scoring.groups.iter().map(|group| group.name.as_str()).collect();
            let meant = words::nearest(&rule.group, &known).map(|meant| format!("; did you mean \"{meant}\"?"));
            let message = format!("there is no [[scoring.group]] \"{}\"{}", rule.group, meant.unwrap_or_default());
            section.fault(&format!("rule[{index}].group"), "unknown_group", &message);
        }
    }
    if scoring.rules.len() > RULES_MAX {
        let message = format!("has {} entries; {RULES_MAX} are allowed", scoring.rules.len());
        section.fault("rule", "too_many", &message);
    }
}

/// A cap of at least 1 and a floor of at most 0, so that the floor is always below the cap.
fn bounds(section: &mut Section<'_>, cap: &'static str, floor: &'static str) -> Bounds {
    let points = |points: i64| i32::try_from(points).ok();
    Bounds {
        cap: section.integer(cap, 1, CAP_MAX).and_then(points),
        floor: section.integer(floor, -CAP_MAX, 0).and_then(points),
    }
}

fn grid(section: &mut Section<'_>) -> Option<Grid> {
    for part in ["fit", "engagement"] {
        if !section.has(part) {
            section.fault(
                part,
                "missing",
                "is missing: a grid has fit = { A = …, B = … } and engagement = { 1 = …, 2 = … }",
            );
        }
    }
    let fit = section.section("fit", |section| steps(section, "A", "B")).flatten();
    let engagement = section.section("engagement", |section| steps(section, "1", "2")).flatten();
    Some(Grid { fit: fit?, engagement: engagement? })
}

/// The points from which on the best step and the second one are reached.
fn steps(section: &mut Section<'_>, best_key: &'static str, second_key: &'static str) -> Option<Steps> {
    let best = section.required_integer(best_key, 1, CAP_MAX);
    let second = section.required_integer(second_key, 1, CAP_MAX);
    let (best, second) = (best?, second?);
    if best <= second {
        let swapped = if best < second { "; are the two swapped?" } else { "" };
        let message = format!("must be more than {second_key}, which is {second}{swapped}");
        section.fault(best_key, "out_of_range", &message);
    }
    Some(Steps { best: i32::try_from(best).ok()?, second: i32::try_from(second).ok()? })
}

fn group(section: &mut Section<'_>) -> ScoreGroup {
    ScoreGroup {
        name: section.required_name("name"),
        kind: section.required_word("kind", words::SCORE_KIND).unwrap_or(ScoreKind::Engagement),
        bounds: bounds(section, "cap", "floor"),
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
    RuleLimit { times: times(section), within: window(section), per: section.word("per", words::PER) }
}

/// A time to look back that some lead can live to see.
pub(super) fn window(section: &mut Section<'_>) -> Option<Period> {
    let within = section.positive_period("within")?;
    if within > WINDOW_MAX {
        section.fault("within", "out_of_range", &format!("must be at most {WINDOW_MAX}"));
        return None;
    }
    Some(within)
}

/// How often: at least once.
pub(super) fn times(section: &mut Section<'_>) -> u32 {
    section.required_integer("times", 1, 1_000_000).and_then(|times| u32::try_from(times).ok()).unwrap_or(1)
}

fn decay(section: &mut Section<'_>) -> Option<Decay> {
    let every = section.required_period("every");
    if every.is_some_and(|every| !(STEP_MIN..=WINDOW_MAX).contains(&every)) {
        section.fault("every", "out_of_range", &format!("must be from {STEP_MIN} to {WINDOW_MAX}"));
    }
    let percent = section.required_integer("percent", 1, 100).and_then(|percent| u8::try_from(percent).ok());
    Some(Decay { every: every?, percent: percent? })
}
