//! A lead's score rows while records are folded: which there are, and what each counts for. Decides nothing.
//!
//! Mirrors the decider's ledger, whose rows of no further effect leave; here they end and stay in the table. What a row
//! counts for is worked out once a batch, under the bounds of the policy that the last change was decided by.

use std::collections::BTreeMap;
use std::sync::Arc;

use lead_domain::policy::scoring::Scoring;
use lead_domain::score::{self, Bounds, CutBy, Decay, ROWS_MAX, ScoreKind, Share};
use lead_domain::{InteractionId, Name, Period, ScoreRow, Time};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// How many bits of a row's key hold the number of its rule.
const RULE_BITS: u32 = 20;

/// Terms as the manifest has them: rule, policy version, group, whether they say who somebody is, points, milliseconds and
/// percent of decay, whether the rule has a limit.
pub(crate) type StoredTerms = (String, u32, String, bool, i32, Option<(i64, u8)>, bool);

/// What a rule of one policy gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) rule: Name,
    pub(crate) policy_version: u32,
    pub(crate) group: Name,
    is_fit: bool,
    pub(crate) points: i32,
    /// Milliseconds and percent.
    decay: Option<(i64, u8)>,
    is_limited: bool,
}

impl Terms {
    fn of(row: &ScoreRow) -> Self {
        Self {
            rule: row.rule.clone(),
            policy_version: row.policy_version,
            group: row.group.clone(),
            is_fit: row.kind == ScoreKind::Fit,
            points: row.points,
            decay: row.decay.map(|decay| (decay.every.as_millis(), decay.percent)),
            is_limited: row.limited,
        }
    }

    fn store(&self) -> StoredTerms {
        let Self { rule, policy_version, group, is_fit, points, decay, is_limited } = self;
        (rule.to_string(), *policy_version, group.to_string(), *is_fit, *points, *decay, *is_limited)
    }

    fn read(stored: &StoredTerms) -> Self {
        let (rule, policy_version, group, is_fit, points, decay, is_limited) = stored;
        Self {
            rule: rule.as_str().into(),
            policy_version: *policy_version,
            group: group.as_str().into(),
            is_fit: *is_fit,
            points: *points,
            decay: *decay,
            is_limited: *is_limited,
        }
    }

    pub(crate) const fn kind(&self) -> ScoreKind {
        if self.is_fit { ScoreKind::Fit } else { ScoreKind::Engagement }
    }
}

/// Terms with their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Term {
    number: u32,
    /// The number of the first terms of that rule, whatever the policy.
    rule: u32,
    pub(crate) terms: Terms,
}

/// All terms that points were ever given by. Grows only.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    terms: Vec<Arc<Term>>,
    places: FxHashMap<Terms, u32>,
    rules: FxHashMap<Name, u32>,
}

impl Lexicon {
    pub(crate) fn of(stored: &[StoredTerms]) -> Self {
        let mut lexicon = Self::default();
        for terms in stored {
            lexicon.add(Terms::read(terms));
        }
        lexicon
    }

    fn add(&mut self, terms: Terms) -> Option<Arc<Term>> {
        let number = u32::try_from(self.terms.len()).ok().filter(|number| *number < 1 << RULE_BITS)?;
        let rule = *self.rules.entry(terms.rule.clone()).or_insert(number);
        self.places.insert(terms.clone(), number);
        let term = Arc::new(Term { number, rule, terms });
        self.terms.push(Arc::clone(&term));
        Some(term)
    }

    /// The terms of a row, and whether they are new; `None` when there are too many.
    fn term(&mut self, row: &ScoreRow) -> Option<(Arc<Term>, bool)> {
        let terms = Terms::of(row);
        let known = self.places.get(&terms).and_then(|place| self.terms.get(*place as usize));
        match known {
            Some(term) => Some((Arc::clone(term), false)),
            None => self.add(terms).map(|term| (term, true)),
        }
    }

    /// A row as it was given by the record at `position`. New terms are added to `stored`. `None` when there are too many
    /// rules, or the interaction's number is none that is ever given.
    pub(crate) fn given(&mut self, row: &ScoreRow, position: u64, stored: &mut Vec<StoredTerms>) -> Option<LiveRow> {
        let (term, is_new) = self.term(row)?;
        if is_new {
            stored.push(term.terms.store());
        }
        row_key(row.interaction.0, term.rule)?;
        Some(LiveRow {
            interaction: row.interaction.0,
            at: row.at.as_millis(),
            term,
            category: row.category.as_deref().map(Into::into),
            position,
            share: Share::default(),
            is_lapsed: false,
            is_changed: true,
        })
    }
}

/// A row's key: `interaction << 20 | rule`. `None` for numbers that are never given.
fn row_key(interaction: u64, rule: u32) -> Option<u64> {
    (interaction < 1 << (63 - RULE_BITS)).then_some(interaction << RULE_BITS | u64::from(rule))
}

/// The keys that rows of an interaction may have.
pub(crate) fn keys_of(interaction: InteractionId) -> std::ops::Range<u64> {
    let first = interaction.0 << RULE_BITS;
    first..first + (1 << RULE_BITS)
}

/// The bounds of sums by the policy in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caps {
    total: Cap,
    groups: BTreeMap<String, Cap>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cap {
    cap: Option<i32>,
    floor: Option<i32>,
}

impl Cap {
    const fn of(bounds: Bounds) -> Self {
        Self { cap: bounds.cap, floor: bounds.floor }
    }

    const fn bounds(self) -> Bounds {
        Bounds { cap: self.cap, floor: self.floor }
    }
}

impl Caps {
    pub(crate) fn of(scoring: &Scoring) -> Self {
        let groups = scoring.groups.iter().map(|group| (group.name.to_string(), Cap::of(group.bounds)));
        Self { total: Cap::of(scoring.total), groups: groups.collect() }
    }
}

/// A row that still has an effect, or may have one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveRow {
    pub(crate) interaction: u64,
    /// When the interaction happened, in milliseconds since the epoch.
    pub(crate) at: i64,
    pub(crate) term: Arc<Term>,
    pub(crate) category: Option<Box<str>>,
    /// The record that gave it.
    pub(crate) position: u64,
    pub(crate) share: Share,
    /// Whether nothing is left of its points at the time at which the score stands.
    is_lapsed: bool,
    /// Whether the table has it otherwise.
    is_changed: bool,
}

/// A live row as the lead's row keeps it: interaction, time, number of its terms, points now, marks, record, category.
pub(crate) type StoredLive = (u64, i64, u32, i32, u8, u64, Option<Box<str>>);

const CUT_BY_GROUP: u8 = 1;
const CUT_BY_TOTAL: u8 = 2;
const LAPSED: u8 = 4;

impl LiveRow {
    pub(crate) fn key(&self) -> u64 {
        row_key(self.interaction, self.term.rule).unwrap_or_default()
    }

    fn place(&self) -> (i64, u64, &str) {
        (self.at, self.interaction, self.term.terms.rule.as_str())
    }

    fn row(&self) -> ScoreRow {
        let terms = &self.term.terms;
        ScoreRow {
            interaction: InteractionId(self.interaction),
            at: Time::from_millis(self.at),
            rule: terms.rule.clone(),
            policy_version: terms.policy_version,
            group: terms.group.clone(),
            kind: terms.kind(),
            points: terms.points,
            decay: terms.decay.map(|(every, percent)| Decay { every: Period::from_millis(every), percent }),
            category: None,
            limit_key: None,
            limited: terms.is_limited,
        }
    }

    /// When nothing is left of its points, in milliseconds since the epoch; `None` for never.
    pub(crate) fn lapses_at(&self) -> Option<i64> {
        self.term.terms.decay?;
        self.row().lapses_at().map(Time::as_millis)
    }

    /// Whether it has no effect at `at`, nor later.
    fn has_lapsed(&self, at: Time) -> bool {
        // What doesn't decay never lapses; such a row needs no look at its points.
        if self.term.terms.decay.is_none() && self.term.terms.points != 0 {
            return false;
        }
        let row = self.row();
        row.at <= at && row.points_at(at) == 0 && row.next_change(at).is_none()
    }

    fn store(&self) -> StoredLive {
        let cut = match self.share.cut_by {
            None => 0,
            Some(CutBy::Group) => CUT_BY_GROUP,
            Some(CutBy::Total) => CUT_BY_TOTAL,
        };
        let marks = cut | if self.is_lapsed { LAPSED } else { 0 };
        (self.interaction, self.at, self.term.number, self.share.points, marks, self.position, self.category.clone())
    }

    fn read(stored: StoredLive, lexicon: &Lexicon) -> Option<Self> {
        let (interaction, at, term, points, marks, position, category) = stored;
        let term = Arc::clone(lexicon.terms.get(term as usize)?);
        let cut_by = match marks & !LAPSED {
            CUT_BY_GROUP => Some(CutBy::Group),
            CUT_BY_TOTAL => Some(CutBy::Total),
            _ => None,
        };
        let share = Share { points, cut_by };
        let is_lapsed = marks & LAPSED != 0;
        Some(Self { interaction, at, term, category, position, share, is_lapsed, is_changed: false })
    }
}

/// Rows that were taken out of a ledger: those with an effect, and those that have ended.
pub(crate) type Taken = (Vec<LiveRow>, Vec<(LiveRow, Fate)>);

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// In milliseconds since the epoch.
    pub(crate) at: Option<i64>,
    /// `lapsed`, `discredited` or `rescored`.
    pub(crate) because: Name,
    /// Of a discredited one: `operator` or `bot_rule`.
    pub(crate) by: Option<Name>,
}

/// A row as the table has it.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) row: &'a LiveRow,
    pub(crate) points_now: i32,
    pub(crate) cut_by: Option<CutBy>,
    pub(crate) fate: Option<Fate>,
}

/// The time and the bounds by which the rows are to be weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    at: Time,
    caps: Arc<Caps>,
}

/// The rows of a lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// In order of time, interaction and rule.
    live: Vec<LiveRow>,
    /// Since the last commit.
    ended: Vec<(LiveRow, Fate)>,
    /// Not yet worked out.
    standing: Option<Standing>,
}

impl Ledger {
    pub(crate) fn of(stored: Vec<StoredLive>, lexicon: &Lexicon) -> Option<Self> {
        let live = stored.into_iter().map(|row| LiveRow::read(row, lexicon)).collect::<Option<_>>()?;
        Some(Self { live, ..Self::default() })
    }

    pub(crate) fn stored(&self) -> Vec<StoredLive> {
        self.live.iter().map(LiveRow::store).collect()
    }

    /// Enters rows, and lets the score stand at `at`.
    pub(crate) fn enter(&mut self, rows: &[LiveRow], at: Time, caps: &Arc<Caps>) {
        self.insert(rows);
        self.end_lapsed(at);
        self.standing = Some(Standing { at, caps: Arc::clone(caps) });
    }

    /// All rows are these now.
    pub(crate) fn replace(&mut self, rows: &[LiveRow], at: Time, caps: &Arc<Caps>) {
        for row in std::mem::take(&mut self.live) {
            if !rows.iter().any(|new| new.key() == row.key()) {
                self.end(row, Fate { at: Some(at.as_millis()), because: "rescored".into(), by: None });
            }
        }
        self.enter(rows, at, caps);
    }

    /// Takes out what it has of an interaction.
    pub(crate) fn take(&mut self, interaction: InteractionId) -> Taken {
        let live = self.live.extract_if(.., |row| row.interaction == interaction.0).collect();
        let ended = self.ended.extract_if(.., |(row, _)| row.interaction == interaction.0).collect();
        (live, ended)
    }

    /// Takes in what another ledger had. The sums follow with the next change of the score.
    pub(crate) fn take_in(&mut self, live: Vec<LiveRow>, ended: Vec<(LiveRow, Fate)>) {
        let live: Vec<LiveRow> = live.into_iter().map(|row| LiveRow { is_changed: true, ..row }).collect();
        self.insert(&live);
        self.ended.extend(ended);
    }

    /// A row ends.
    pub(crate) fn end(&mut self, row: LiveRow, fate: Fate) {
        self.ended.push((row, fate));
    }

    fn insert(&mut self, rows: &[LiveRow]) {
        if rows.is_empty() {
            return;
        }
        self.live.reserve_exact(rows.len());
        for row in rows {
            self.ended.retain(|(ended, _)| ended.key() != row.key());
            let place = self.live.binary_search_by(|known| known.place().cmp(&row.place()));
            if let Err(place) = place {
                self.live.insert(place, row.clone());
            }
        }
    }

    /// Rows of no further effect end; those that a limit looks at only to make room, as in the decider's ledger.
    fn end_lapsed(&mut self, at: Time) {
        let lapsed = self.live.extract_if(.., |row| !row.term.terms.is_limited && row.has_lapsed(at));
        let mut lapsed: Vec<LiveRow> = lapsed.collect();
        while self.live.len() >= ROWS_MAX {
            let Some(place) = self.live.iter().position(|row| row.has_lapsed(at)) else { break };
            lapsed.push(self.live.remove(place));
        }
        for row in lapsed {
            let fate = lapsed_fate(&row);
            self.end(row, fate);
        }
    }

    /// Works out what each row counts for.
    pub(crate) fn settle(&mut self) {
        let Some(Standing { at, caps }) = self.standing.take() else { return };
        let rows: Vec<ScoreRow> = self.live.iter().map(LiveRow::row).collect();
        let bounds_of = |group: &str| caps.groups.get(group).copied().unwrap_or_default().bounds();
        let shares = score::shares(&rows, at, caps.total.bounds(), bounds_of);
        for (row, share) in self.live.iter_mut().zip(shares) {
            let is_lapsed = row.has_lapsed(at);
            row.is_changed |= row.share != share || row.is_lapsed != is_lapsed;
            (row.share, row.is_lapsed) = (share, is_lapsed);
        }
    }

    /// The rows that the table has otherwise.
    pub(crate) fn changed(&self) -> impl Iterator<Item = Shown<'_>> {
        let live = self.live.iter().filter(|row| row.is_changed).map(|row| Shown {
            row,
            points_now: row.share.points,
            cut_by: row.share.cut_by,
            fate: row.is_lapsed.then(|| lapsed_fate(row)),
        });
        let ended = self.ended.iter();
        live.chain(ended.map(|(row, fate)| Shown { row, points_now: 0, cut_by: None, fate: Some(fate.clone()) }))
    }

    /// The table has them all now.
    pub(crate) fn written(&mut self) {
        self.ended = Vec::new();
        self.live.iter_mut().for_each(|row| row.is_changed = false);
    }
}

fn lapsed_fate(row: &LiveRow) -> Fate {
    Fate { at: row.lapses_at(), because: "lapsed".into(), by: None }
}

/// A row that ended before the last commit, from its columns.
pub(crate) struct EndedParts<'a> {
    pub(crate) interaction: u64,
    pub(crate) at: i64,
    pub(crate) position: u64,
    pub(crate) rule: &'a str,
    pub(crate) policy_version: u32,
    pub(crate) category: Option<&'a str>,
}

impl Lexicon {
    /// A row that the table has; `None` when nobody knows its rule.
    pub(crate) fn ended(&self, parts: &EndedParts<'_>) -> Option<LiveRow> {
        let EndedParts { interaction, at, position, rule, policy_version, category } = *parts;
        let fits = |term: &&Arc<Term>| term.terms.rule == rule && term.terms.policy_version == policy_version;
        let term = Arc::clone(self.terms.iter().find(fits)?);
        let category = category.map(Into::into);
        let share = Share::default();
        Some(LiveRow { interaction, at, term, category, position, share, is_lapsed: false, is_changed: true })
    }
}
