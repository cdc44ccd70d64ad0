//! `[temperature]` and `[[funnel.stage]]`: what follows from a score.

use lead_domain::Name;
use lead_domain::policy::condition::Condition;
use lead_domain::policy::scoring::{FunnelStage, Thresholds};

use super::check_unique;
use super::condition::{self, Place};
use super::section::Section;

/// No threshold is higher.
const SCORE_MAX: i64 = 1_000_000;

pub(super) fn thresholds(root: &mut Section<'_>) -> Option<Thresholds> {
    root.section("temperature", |section| {
        let warm = section.required_integer("warm", 1, SCORE_MAX);
        let hot = section.required_integer("hot", 1, SCORE_MAX);
        let hysteresis = section.integer("hysteresis", 0, SCORE_MAX).unwrap_or(0);
        let (warm, hot) = (warm?, hot?);
        if warm >= hot {
            section.fault("hot", "out_of_range", "must be more than warm");
        } else if hysteresis >= hot - warm {
            section.fault("hysteresis", "out_of_range", "must be less than hot minus warm");
        }
        let points = |score: i64| i32::try_from(score).unwrap_or(i32::MAX);
        Some(Thresholds { warm: points(warm), hot: points(hot), hysteresis: points(hysteresis) })
    })
    .flatten()
}

pub(super) fn funnel(root: &mut Section<'_>) -> Vec<FunnelStage> {
    root.section("funnel", |section| {
        let stages = section.sections("stage", |section| FunnelStage {
            name: section.required_name("name"),
            enter_when: condition::optional(section, "enter_when", Place::FunnelStage),
        });
        check_unique(section, "stage", stages.iter().map(|stage| &stage.name));
        for (index, _) in stages.iter().enumerate().skip(1).filter(|(_, stage)| stage.enter_when.is_none()) {
            let message = "is missing: only the first stage is entered without one";
            section.fault(&format!("stage[{index}].enter_when"), "missing", message);
        }
        check_reachable(section, &stages);
        stages
    })
    .unwrap_or_default()
}

/// Two stages that are entered by the same condition overlap: the earlier one is never entered.
fn check_reachable(section: &Section<'_>, stages: &[FunnelStage]) {
    if let Some(Some(_)) = stages.first().map(|first| first.enter_when.as_ref()) {
        let message = "is for later stages: leads begin in the first one";
        section.fault("stage[0].enter_when", "bad_condition", message);
    }
    for (index, stage) in stages.iter().enumerate() {
        let Some(when) = &stage.enter_when else { continue };
        let later =
            stages.iter().skip(index + 1).find(|later| later.enter_when.as_ref().is_some_and(|it| covers(it, when)));
        if let Some(later) = later {
            let message = format!(
                "overlaps: whatever enters it enters the later stage \"{}\" at once; give that one a narrower condition",
                later.name
            );
            section.fault(&format!("stage[{index}].enter_when"), "overlapping_stages", &message);
        }
    }
}

/// Whether whatever fits `narrow` surely fits `wide`, as far as actions say.
fn covers(wide: &Condition, narrow: &Condition) -> bool {
    if wide == narrow {
        return true;
    }
    let only_any = |when: &Condition| *when == Condition { any: when.any.clone(), ..Condition::default() };
    if !narrow.any.is_empty() && only_any(narrow) {
        return narrow.any.iter().all(|narrow| covers(wide, narrow));
    }
    if !wide.any.is_empty() {
        return only_any(wide) && wide.any.iter().any(|wide| covers(wide, narrow));
    }
    let (Some(prefix), rest) = (&wide.action_prefix, Condition { action_prefix: None, ..wide.clone() }) else {
        return false;
    };
    let begins = |text: &Option<Name>| text.as_ref().is_some_and(|text| text.starts_with(prefix.as_str()));
    rest == Condition::default() && (begins(&narrow.action) || begins(&narrow.action_prefix))
}
