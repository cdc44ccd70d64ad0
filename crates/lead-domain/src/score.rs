//! A lead's score as a ledger: rows of points, and the sum of them at any time. Knows no rules; see `policy`.
//!
//! ```text
//! row(t)    = points − points · min(100, percent · ⌊(t − at) / every⌋) / 100      (whole numbers, rounded towards 0)
//! group(t)  = the sum of its rows, not above its cap and not below its floor
//! total(t)  = the sum of all groups, not above the total cap and not below the total floor
//! ```
//!
//! What a cap takes off a sum is taken off its newest rows, so that the total is always the sum of what the rows show.

use std::borrow::Borrow;

use crate::Name;
use crate::ids::InteractionId;
use crate::policy::bots::BOT_MARK;
use crate::shelf::insert_tight;
use crate::time::{Period, Time};

/// The most rows of one lead. A ledger that is full takes no further points; rows without effect make room first.
pub const ROWS_MAX: usize = 256;
/// The most interactions that a lead remembers for frequency rules; older ones make room.
pub const COUNTED_MAX: usize = 1_024;
/// The most discredited interactions that a lead remembers.
pub const DISCREDITED_MAX: usize = 1_024;

/// What points say about a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScoreKind {
    /// What they do.
    Engagement,
    /// Who they are.
    Fit,
}

impl ScoreKind {
    /// The word in policies and APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Engagement => "engagement",
            Self::Fit => "fit",
        }
    }
}

/// How warm a lead is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Temperature {
    /// Below the lower threshold.
    #[default]
    Cold,
    /// Above it.
    Warm,
    /// Above the upper threshold.
    Hot,
}

impl Temperature {
    /// The word in policies and APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Hot => "hot",
        }
    }
}

/// Points that lapse step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decay {
    /// A step; more than nothing.
    pub every: Period,
    /// So many hundredths of the points at first go at each step: 1 to 100.
    pub percent: u8,
}

impl Decay {
    /// After how many steps nothing is left.
    fn steps(self) -> i64 {
        i64::from(100_u8.div_ceil(self.percent.max(1)))
    }
}

/// One entry of a ledger: what one interaction brought by one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreRow {
    /// The interaction.
    pub interaction: InteractionId,
    /// When it happened.
    pub at: Time,
    /// The rule's name.
    pub rule: Name,
    /// The policy version that the rule is of.
    pub policy_version: u32,
    /// The rule's group.
    pub group: Name,
    /// What the points say.
    pub kind: ScoreKind,
    /// Points at first; negative ones are taken away.
    pub points: i32,
    /// How they lapse; `None` for never.
    pub decay: Option<Decay>,
    /// The product category in whose score they count too.
    pub category: Option<Name>,
    /// Hash of the value that the rule's limit counts by.
    pub limit_key: Option<u64>,
    /// Whether the rule has a limit, which looks at the row even when its points have lapsed.
    pub limited: bool,
}

impl ScoreRow {
    /// How many steps of decay have passed at `at`.
    const fn steps(&self, at: Time, decay: Decay) -> i64 {
        let passed = at.as_millis().saturating_sub(self.at.as_millis());
        match passed.checked_div(decay.every.as_millis()) {
            Some(steps) if steps > 0 => steps,
            Some(_) | None => 0,
        }
    }

    const fn points_after(&self, steps: i64, decay: Decay) -> i32 {
        let gone = steps.saturating_mul(decay.percent as i64);
        let gone = if gone > 100 { 100 } else { gone };
        // It lies between 0 and the points, so it fits.
        let lapsed = ((self.points as i64).saturating_mul(gone) / 100) as i32;
        self.points.saturating_sub(lapsed)
    }

    /// The points at a time, before caps; nothing before the interaction.
    #[must_use]
    pub fn points_at(&self, at: Time) -> i32 {
        if at < self.at {
            return 0;
        }
        self.decay.map_or(self.points, |decay| self.points_after(self.steps(at, decay), decay))
    }

    /// The first time after `after` at which the points are others.
    #[must_use]
    pub fn next_change(&self, after: Time) -> Option<Time> {
        let decay = self.decay?;
        if after < self.at {
            return Some(self.at);
        }
        let passed = self.steps(after, decay);
        let now = self.points_after(passed, decay);
        let last = decay.steps();
        let step = (passed.saturating_add(1)..=last).find(|step| self.points_after(*step, decay) != now)?;
        Some(self.time_of(step, decay))
    }

    /// When nothing is left of the points; `None` for never.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Time> {
        let decay = self.decay?;
        let last = decay.steps();
        let step = (1..=last).find(|step| self.points_after(*step, decay) == 0)?;
        Some(self.time_of(step, decay))
    }

    const fn time_of(&self, step: i64, decay: Decay) -> Time {
        self.at.after(Period::from_millis(decay.every.as_millis().saturating_mul(step)))
    }

    /// The order of rows in a ledger.
    #[must_use]
    pub fn place(&self) -> (Time, InteractionId, &str) {
        (self.at, self.interaction, self.rule.as_str())
    }
}

/// A score as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The sum of all rows: `fit` and `engagement` together.
    pub total: i32,
    /// Who they are.
    pub fit: i32,
    /// What they do.
    pub engagement: i32,
    /// For each product category, sorted by name; none with 0 points.
    pub by_category: Vec<(Name, i32)>,
}

/// What took points off a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// The cap or floor of its group.
    Group,
    /// The cap or floor of the total.
    Total,
}

impl CutBy {
    /// The word in APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Total => "total",
        }
    }
}

/// What a row counts for at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Points, after decay and caps.
    pub points: i32,
    /// What took points off besides decay; of two, the last one.
    pub cut_by: Option<CutBy>,
}

/// The bounds of a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Not above; at least 1.
    pub cap: Option<i32>,
    /// Not below; at most 0.
    pub floor: Option<i32>,
}

/// Takes what a sum has too much or too little off its newest rows.
fn cut(shares: &mut [Share], chosen: impl Fn(usize) -> bool, bounds: Bounds, by: CutBy) {
    let points = |share: &Share| i64::from(share.points);
    let sum: i64 = shares.iter().enumerate().filter(|(place, _)| chosen(*place)).map(|(_, share)| points(share)).sum();
    let above = bounds.cap.map_or(0, |cap| sum.saturating_sub(i64::from(cap)).max(0));
    let below = bounds.floor.map_or(0, |floor| sum.saturating_sub(i64::from(floor)).min(0));
    let mut excess = if above > 0 { above } else { below };
    for (_, share) in shares.iter_mut().enumerate().rev().filter(|(place, _)| chosen(*place)) {
        // Only rows of the excess' own sign can give something back.
        let given = if excess > 0 { points(share).clamp(0, excess) } else { points(share).clamp(excess, 0) };
        if given == 0 {
            continue;
        }
        excess = excess.saturating_sub(given);
        share.points = share.points.saturating_sub(i32::try_from(given).unwrap_or(0));
        share.cut_by = Some(by);
    }
}

/// What each row counts for at `at`, in their order. `bounds_of` names the bounds of a group.
#[must_use]
pub fn shares<R: Borrow<ScoreRow>>(
    rows: &[R],
    at: Time,
    total: Bounds,
    bounds_of: impl Fn(&str) -> Bounds,
) -> Vec<Share> {
    let mut shares: Vec<Share> =
        rows.iter().map(|row| Share { points: row.borrow().points_at(at), cut_by: None }).collect();
    let mut done: smallvec::SmallVec<[&str; 8]> = smallvec::SmallVec::new();
    for row in rows {
        let group = row.borrow().group.as_str();
        if done.contains(&group) {
            continue;
        }
        done.push(group);
        let bounds = bounds_of(group);
        if bounds != Bounds::default() {
            let chosen = |place| rows.get(place).is_some_and(|row: &R| row.borrow().group == group);
            cut(&mut shares, chosen, bounds, CutBy::Group);
        }
    }
    cut(&mut shares, |_| true, total, CutBy::Total);
    shares
}

/// The sums of what the rows count for.
#[must_use]
pub fn sum<R: Borrow<ScoreRow>>(rows: &[R], shares: &[Share]) -> Score {
    let mut score = Score::default();
    for (row, share) in rows.iter().map(Borrow::borrow).zip(shares) {
        score.total = score.total.saturating_add(share.points);
        let kind = match row.kind {
            ScoreKind::Engagement => &mut score.engagement,
            ScoreKind::Fit => &mut score.fit,
        };
        *kind = kind.saturating_add(share.points);
        if let Some(category) = &row.category {
            match score.by_category.binary_search_by(|(name, _)| name.cmp(category)) {
                Ok(place) => {
                    if let Some((_, points)) = score.by_category.get_mut(place) {
                        *points = points.saturating_add(share.points);
                    }
                }
                Err(place) => score.by_category.insert(place, (category.clone(), share.points)),
            }
        }
    }
    score.by_category.retain(|(_, points)| *points != 0);
    score
}

/// An interaction that a frequency rule counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub interaction: InteractionId,
    /// When it happened.
    pub at: Time,
    /// The rule's name.
    pub rule: Name,
    /// What was paid, in minor units of the policy's currency.
    pub value: i64,
}

impl Counted {
    fn place(&self) -> (Time, InteractionId, &str) {
        (self.at, self.interaction, self.rule.as_str())
    }
}

/// The ledger of one lead, with what follows from its score.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The rows, in order of time, interaction and rule.
    pub rows: Vec<ScoreRow>,
    /// What frequency rules have counted, in the same order.
    pub counted: Vec<Counted>,
    /// Interactions whose points were taken away for good, sorted.
    pub discredited: Vec<InteractionId>,
    /// The time at which the score stands.
    pub at: Time,
    /// The score at that time.
    pub score: Score,
    /// How warm the lead is.
    pub temperature: Temperature,
    /// The stage that it is in, and since when.
    pub stage: Option<(Name, Time)>,
    /// When the points of a row next lapse by a step.
    pub next_step: Option<Time>,
}

impl Ledger {
    /// Enters rows and lets the score stand at `at`. Rows of no further effect leave.
    pub(crate) fn enter(&mut self, rows: &[ScoreRow], at: Time, score: Score) {
        for row in rows {
            let place = self.rows.binary_search_by(|known| known.place().cmp(&row.place()));
            if let Err(place) = place {
                insert_tight(&mut self.rows, place, row.clone());
            }
        }
        self.at = at;
        self.score = score;
        let counts = |row: &ScoreRow| row.at > at || row.points_at(at) != 0 || row.next_change(at).is_some();
        self.rows.retain(|row| row.limited || counts(row));
        self.make_room();
        self.find_next_step();
    }

    /// When the next step of a row is, after the time at which the score stands.
    pub(crate) fn find_next_step(&mut self) {
        self.next_step = self.rows.iter().filter_map(|row| row.next_change(self.at)).min();
    }

    /// Lapsed rows that only a limit still looks at leave a full ledger, oldest first.
    fn make_room(&mut self) {
        while self.rows.len() >= ROWS_MAX {
            let lapsed = |row: &ScoreRow| row.points_at(self.at) == 0 && row.next_change(self.at).is_none();
            let Some(place) = self.rows.iter().position(lapsed) else { return };
            self.rows.remove(place);
        }
    }

    /// Notes an interaction for frequency rules.
    pub(crate) fn count(&mut self, counted: Counted) {
        let at = self.counted.partition_point(|known| known.place() < counted.place());
        insert_tight(&mut self.counted, at, counted);
        if self.counted.len() > COUNTED_MAX {
            self.counted.remove(0);
        }
    }

    /// Whether it holds points of an interaction.
    #[must_use]
    pub fn has(&self, interaction: InteractionId) -> bool {
        self.rows.iter().any(|row| row.interaction == interaction)
    }

    /// Whether the points of an interaction were taken away.
    #[must_use]
    pub fn is_discredited(&self, interaction: InteractionId) -> bool {
        self.discredited.binary_search(&interaction).is_ok()
    }

    /// Takes the points of an interaction away for good. Of very many, the oldest are forgotten.
    ///
    /// What rules against bots have counted stays: the next interaction of the same bot must not begin anew.
    pub(crate) fn discredit(&mut self, interaction: InteractionId) {
        let (_, counted) = self.take(interaction);
        counted
            .into_iter()
            .filter(|counted| counted.rule.starts_with(BOT_MARK))
            .for_each(|counted| self.count(counted));
        if let Err(place) = self.discredited.binary_search(&interaction) {
            self.discredited.insert(place, interaction);
            if self.discredited.len() > DISCREDITED_MAX {
                self.discredited.remove(0);
            }
        }
    }

    /// Forgets that an interaction was discredited; says whether it was.
    pub(crate) fn take_discredit(&mut self, interaction: InteractionId) -> bool {
        let place = self.discredited.binary_search(&interaction);
        place.map(|place| self.discredited.remove(place)).is_ok()
    }

    /// Takes the rows and counts of an interaction out.
    pub(crate) fn take(&mut self, interaction: InteractionId) -> (Vec<ScoreRow>, Vec<Counted>) {
        let rows = self.rows.extract_if(.., |row| row.interaction == interaction).collect();
        let counted = self.counted.extract_if(.., |counted| counted.interaction == interaction).collect();
        self.find_next_step();
        (rows, counted)
    }
}

/// A hash of a text that a limit counts by: FNV-1a, 64 bits. Not secret; the same on every machine.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(interaction: u64, hour: i64, group: &str, points: i32, decay: Option<(i64, u8)>) -> ScoreRow {
        ScoreRow {
            interaction: InteractionId(interaction),
            at: Time::from_millis(hour * 3_600_000),
            rule: "rule".into(),
            policy_version: 1,
            group: group.into(),
            kind: if group == "profile" { ScoreKind::Fit } else { ScoreKind::Engagement },
            points,
            decay: decay.map(|(hours, percent)| Decay { every: Period::from_hours(hours), percent }),
            category: interaction.is_multiple_of(2).then(|| "tablets".into()),
            limit_key: None,
            limited: false,
        }
    }

    fn rows() -> impl Strategy<Value = Vec<ScoreRow>> {
        let decay = proptest::option::of((1_i64..50, 1_u8..=100));
        let group = prop_oneof![Just("behaviour"), Just("profile"), Just("uncapped")];
        let one = (0_i64..200, group, -30_i32..30, decay);
        proptest::collection::vec(one, 0..40).prop_map(|rows| {
            let mut rows: Vec<ScoreRow> = rows
                .into_iter()
                .zip(1..)
                .map(|((hour, group, points, decay), id)| row(id, hour, group, points, decay))
                .collect();
            rows.sort_by(|a, b| a.place().cmp(&b.place()));
            rows
        })
    }

    fn bounds_of(group: &str) -> Bounds {
        match group {
            "behaviour" => Bounds { cap: Some(70), floor: Some(-20) },
            "profile" => Bounds { cap: Some(30), floor: None },
            _ => Bounds::default(),
        }
    }

    const TOTAL: Bounds = Bounds { cap: Some(90), floor: Some(-25) };

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_rows_sum_to_the_score_and_keep_to_caps_and_floors(rows in rows(), hour in 0_i64..400) {
            let at = Time::from_millis(hour * 3_600_000);
            let shares = shares(&rows, at, TOTAL, bounds_of);
            let score = sum(&rows, &shares);
            let shown: i32 = shares.iter().map(|share| share.points).sum();
            prop_assert_eq!(score.total, shown);
            prop_assert_eq!(score.total, score.fit + score.engagement);
            prop_assert!((-25..=90).contains(&score.total));
            let raw = |group: &str| -> i32 {
                rows.iter().filter(|row| row.group == group).map(|row| row.points_at(at)).sum()
            };
            let groups = raw("behaviour").clamp(-20, 70) + raw("profile").min(30) + raw("uncapped");
            prop_assert_eq!(score.total, groups.clamp(-25, 90), "the closed form");
            for (row, share) in rows.iter().zip(&shares) {
                let raw = row.points_at(at);
                prop_assert!(share.points.abs() <= raw.abs() && share.points.signum() * raw.signum() >= 0);
                prop_assert_eq!(share.cut_by.is_some(), share.points != raw);
            }
        }

        #[test]
        fn stepping_from_change_to_change_gives_the_closed_form(points in -100_i32..100, every in 1_i64..40, percent in 1_u8..=100, hour in 0_i64..4_500) {
            let row = row(1, 3, "behaviour", points, Some((every, percent)));
            let at = Time::from_millis(hour * 3_600_000);
            let mut seen = 0;
            let mut time = row.at;
            if at >= row.at {
                seen = row.points;
                while let Some(next) = row.next_change(time).filter(|next| *next <= at) {
                    prop_assert!(next > time);
                    time = next;
                    seen = row.points_at(next);
                }
            }
            prop_assert_eq!(seen, row.points_at(at));
            let steps = ((hour - 3).max(0) / every).min(1_000);
            let left = i64::from(points) - i64::from(points) * (steps * i64::from(percent)).min(100) / 100;
            prop_assert_eq!(i64::from(row.points_at(at)), if hour < 3 { 0 } else { left });
            if let Some(lapses) = row.lapses_at() {
                prop_assert_eq!(row.points_at(lapses), 0);
                prop_assert!(points == 0 || row.points_at(lapses.before(Period::from_millis(1))) != 0);
            }
        }
    }

    #[test]
    fn caps_cut_the_newest_rows() {
        let rows =
            [row(1, 0, "behaviour", 50, None), row(3, 1, "behaviour", 15, None), row(5, 2, "behaviour", 15, None)];
        let shown = shares(&rows, Time::from_millis(i64::MAX), TOTAL, bounds_of);
        let points: Vec<i32> = shown.iter().map(|share| share.points).collect();
        assert_eq!(points, [50, 15, 5]);
        assert_eq!(shown[2].cut_by, Some(CutBy::Group));
    }

    #[test]
    fn extreme_rows_never_overflow() {
        let mut wild = row(1, 0, "uncapped", i32::MAX, Some((1, 1)));
        wild.at = Time::MIN;
        assert_eq!(wild.points_at(Time::from_millis(i64::MAX)), 0);
        let _ = (wild.next_change(Time::MIN), wild.lapses_at());
        let rows = vec![wild.clone(), wild];
        let _ = sum(&rows, &shares(&rows, Time::MIN, Bounds::default(), bounds_of));
    }
}
