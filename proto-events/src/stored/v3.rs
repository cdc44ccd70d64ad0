//! The frozen shapes of version 3: what concerns scores. Nothing here ever changes.
//!
//! Events that version 1 does not know stand behind a mark, which no event of version 1 begins with.
//!
//! ```text
//! event  = v1::EventV1  |  u8 200 | EventV3
//! ledger = behind a book of version 1, where one of its leads has a ledger: count | (place of the lead u32, LedgerV3) …
//! ```

use bincode::{BorrowDecode, Encode};
use lead_domain::event::{Event, ScoreReason};
use lead_domain::score::{Counted, Decay, Ledger, Score, ScoreRow, Temperature};
use lead_domain::{InteractionId, Period, Time};

use super::convert::{lead as lead_id, stored_lead};
use super::v1::LeadV1;
use crate::text::Text;

/// The first byte of an event of version 3. Version 1 numbers its events from 0 and has 21 of them.
pub const EVENT_MARK: u8 = 200;

/// One event about a score. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
#[expect(missing_docs, reason = "the fields are those of lead_domain::Event, under the same names")]
pub enum EventV3 {
    InteractionCounted { lead: LeadV1, interaction: u64, at: i64, rules: Vec<Text>, value: i64 },
    ScoreChanged { lead: LeadV1, at: i64, because: ScoreReasonV3, rows: Vec<ScoreRowV3>, score: ScoreV3 },
    TemperatureChanged { lead: LeadV1, at: i64, from: TemperatureV3, to: TemperatureV3, score: i32 },
    StageEntered { lead: LeadV1, at: i64, stage: Text, from: Option<Text>, stayed: Option<i64> },
}

/// A row of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ScoreRowV3 {
    /// The interaction's position.
    pub interaction: u64,
    /// When it happened.
    pub at: i64,
    /// The rule's name.
    pub rule: Text,
    /// The policy version.
    pub policy_version: u32,
    /// The rule's group.
    pub group: Text,
    /// What the points say.
    pub kind: ScoreKindV3,
    /// Points at first.
    pub points: i32,
    /// Milliseconds of a step, and hundredths of the points that go at each.
    pub decay: Option<(i64, u8)>,
    /// The product category in whose score they count too.
    pub category: Option<Text>,
    /// What the rule's limit counts by.
    pub limit_key: Option<u64>,
    /// Whether the rule has a limit.
    pub limited: bool,
}

/// A score.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ScoreV3 {
    /// The sum.
    pub total: i32,
    /// Who they are.
    pub fit: i32,
    /// What they do.
    pub engagement: i32,
    /// For each product category, sorted by name.
    pub by_category: Vec<(Text, i32)>,
}

/// A ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct LedgerV3 {
    /// In order of time, interaction and rule.
    pub rows: Vec<ScoreRowV3>,
    /// Interaction, time, rule, value.
    pub counted: Vec<(u64, i64, Text, i64)>,
    /// Interactions whose points were taken away.
    pub discredited: Vec<u64>,
    /// When the score stands.
    pub at: i64,
    /// The score then.
    pub score: ScoreV3,
    /// How warm the lead is.
    pub temperature: TemperatureV3,
    /// The stage, and since when.
    pub stage: Option<(Text, i64)>,
    /// When points next lapse.
    pub next_step: Option<i64>,
}

super::v1::mirrored! {
    /// `lead_domain::score::ScoreKind`.
    ScoreKindV3 = lead_domain::score::ScoreKind { Engagement, Fit }
}
super::v1::mirrored! {
    /// `lead_domain::Temperature`.
    TemperatureV3 = lead_domain::score::Temperature { Cold, Warm, Hot }
}
super::v1::mirrored! {
    /// `lead_domain::event::ScoreReason`.
    ScoreReasonV3 = lead_domain::event::ScoreReason { Interaction, Decay, Moved, Discredited, Rescored }
}

impl From<&ScoreRow> for ScoreRowV3 {
    fn from(row: &ScoreRow) -> Self {
        Self {
            interaction: row.interaction.0,
            at: row.at.as_millis(),
            rule: Text(row.rule.clone()),
            policy_version: row.policy_version,
            group: Text(row.group.clone()),
            kind: row.kind.into(),
            points: row.points,
            decay: row.decay.map(|decay| (decay.every.as_millis(), decay.percent)),
            category: row.category.clone().map(Text),
            limit_key: row.limit_key,
            limited: row.limited,
        }
    }
}

impl From<ScoreRowV3> for ScoreRow {
    fn from(row: ScoreRowV3) -> Self {
        Self {
            interaction: InteractionId(row.interaction),
            at: Time::from_millis(row.at),
            rule: row.rule.0,
            policy_version: row.policy_version,
            group: row.group.0,
            kind: row.kind.into(),
            points: row.points,
            decay: row.decay.map(|(every, percent)| Decay { every: Period::from_millis(every), percent }),
            category: row.category.map(|category| category.0),
            limit_key: row.limit_key,
            limited: row.limited,
        }
    }
}

impl From<&Score> for ScoreV3 {
    fn from(score: &Score) -> Self {
        let by_category = score.by_category.iter().map(|(name, points)| (Text(name.clone()), *points)).collect();
        Self { total: score.total, fit: score.fit, engagement: score.engagement, by_category }
    }
}

impl From<ScoreV3> for Score {
    fn from(score: ScoreV3) -> Self {
        let by_category = score.by_category.into_iter().map(|(name, points)| (name.0, points)).collect();
        Self { total: score.total, fit: score.fit, engagement: score.engagement, by_category }
    }
}

impl From<&Ledger> for LedgerV3 {
    fn from(ledger: &Ledger) -> Self {
        let counted = |it: &Counted| (it.interaction.0, it.at.as_millis(), Text(it.rule.clone()), it.value);
        Self {
            rows: ledger.rows.iter().map(ScoreRowV3::from).collect(),
            counted: ledger.counted.iter().map(counted).collect(),
            discredited: ledger.discredited.iter().map(|id| id.0).collect(),
            at: ledger.at.as_millis(),
            score: (&ledger.score).into(),
            temperature: ledger.temperature.into(),
            stage: ledger.stage.as_ref().map(|(stage, since)| (Text(stage.clone()), since.as_millis())),
            next_step: ledger.next_step.map(Time::as_millis),
        }
    }
}

impl From<LedgerV3> for Ledger {
    fn from(ledger: LedgerV3) -> Self {
        let counted = |(interaction, at, rule, value): (u64, i64, Text, i64)| Counted {
            interaction: InteractionId(interaction),
            at: Time::from_millis(at),
            rule: rule.0,
            value,
        };
        Self {
            rows: ledger.rows.into_iter().map(ScoreRow::from).collect(),
            counted: ledger.counted.into_iter().map(counted).collect(),
            discredited: ledger.discredited.into_iter().map(InteractionId).collect(),
            at: Time::from_millis(ledger.at),
            score: ledger.score.into(),
            temperature: ledger.temperature.into(),
            stage: ledger.stage.map(|(stage, since)| (stage.0, Time::from_millis(since))),
            next_step: ledger.next_step.map(Time::from_millis),
        }
    }
}

/// The stored form of an event about a score; `None` for those that version 1 knows.
pub(super) fn stored(event: &Event) -> Option<EventV3> {
    // Version 1 names every event that it knows, so nothing is forgotten here.
    if let Event::InteractionCounted { lead, interaction, at, rules, value } = event {
        let rules = rules.iter().cloned().map(Text).collect();
        let (lead, at) = (stored_lead(*lead), at.as_millis());
        return Some(EventV3::InteractionCounted { lead, interaction: interaction.0, at, rules, value: *value });
    }
    if let Event::ScoreChanged { lead, at, because, rows, score } = event {
        let rows = rows.iter().map(ScoreRowV3::from).collect();
        let (lead, at, because) = (stored_lead(*lead), at.as_millis(), (*because).into());
        return Some(EventV3::ScoreChanged { lead, at, because, rows, score: score.into() });
    }
    if let Event::TemperatureChanged { lead, at, from, to, score } = event {
        let (lead, at) = (stored_lead(*lead), at.as_millis());
        return Some(EventV3::TemperatureChanged { lead, at, from: (*from).into(), to: (*to).into(), score: *score });
    }
    if let Event::StageEntered { lead, at, stage, from, stayed } = event {
        let (lead, at) = (stored_lead(*lead), at.as_millis());
        let (stage, from) = (Text(stage.clone()), from.clone().map(Text));
        return Some(EventV3::StageEntered { lead, at, stage, from, stayed: stayed.map(Period::as_millis) });
    }
    None
}

impl From<EventV3> for Event {
    fn from(event: EventV3) -> Self {
        match event {
            EventV3::InteractionCounted { lead, interaction, at, rules, value } => Self::InteractionCounted {
                lead: lead_id(lead),
                interaction: InteractionId(interaction),
                at: Time::from_millis(at),
                rules: rules.into_iter().map(|rule| rule.0).collect(),
                value,
            },
            EventV3::ScoreChanged { lead, at, because, rows, score } => Self::ScoreChanged {
                lead: lead_id(lead),
                at: Time::from_millis(at),
                because: ScoreReason::from(because),
                rows: rows.into_iter().map(ScoreRow::from).collect(),
                score: score.into(),
            },
            EventV3::TemperatureChanged { lead, at, from, to, score } => Self::TemperatureChanged {
                lead: lead_id(lead),
                at: Time::from_millis(at),
                from: Temperature::from(from),
                to: Temperature::from(to),
                score,
            },
            EventV3::StageEntered { lead, at, stage, from, stayed } => Self::StageEntered {
                lead: lead_id(lead),
                at: Time::from_millis(at),
                stage: stage.0,
                from: from.map(|from| from.0),
                stayed: stayed.map(Period::from_millis),
            },
        }
    }
}
