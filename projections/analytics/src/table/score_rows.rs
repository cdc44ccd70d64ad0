//! The table of score rows: what each interaction brought by each rule, and what is left of it.

use event_log::LogPosition;
use lead_domain::{InteractionId, LeadId, VisitorId};

use crate::lead::lead_key;
use crate::ledger::{EndedParts, Fate, Lexicon, LiveRow, Shown};
use crate::table::columns::{Amounts, Ids, Instants, Numbers, Words, table};
use crate::table::reading::Reading;

table! {
    /// Score rows, filled row by row.
    ScoreRowColumns {
        position: Numbers = "The record that gave the points.",
        tenant: Words = "Whose.",
        interaction_id: Ids = "The interaction that brought the points, such as I1042.",
        lead_id: Ids = "The lead that has them, such as V42-1.",
        visitor_id: Ids = "Whom that lead was opened for, such as V42; the lead says who owns it after merges.",
        rule: Words = "The rule of the policy.",
        policy_version: Numbers = "The policy version that the rule is of.",
        rule_group: Words = "The rule's group.",
        kind: Words = "What the points say: fit or engagement.",
        category: Words = "The product category in whose score they count too.",
        at: Instants = "When the interaction happened.",
        points: Amounts = "Points at first.",
        points_now: Amounts = "What is left of them where the lead's score stands: their sum is the score of the lead.",
        cut_by: Words = "The bound that took points off: group or total.",
        lapses_at: Instants = "When decay leaves nothing; null for never.",
        ended_at: Instants = "Since when they count for nothing; null while they count.",
        ended_because: Words = "Why: lapsed, discredited or rescored.",
        discredited_by: Words = "Who took them away: operator or bot_rule.",
        _visitor: Numbers = "The number in visitor_id, for Leadfold itself: read faster than the text.",
        _lead: Numbers = "The lead's number, for Leadfold itself: that of its visitor times 2^20, plus its own.",
        _key: Numbers = "Which row it is: of several the one behind all counts.",
    }
}

impl ScoreRowColumns {
    pub(crate) fn push(&mut self, tenant: &str, lead: LeadId, shown: &Shown<'_>) {
        let Shown { row, points_now, cut_by, fate } = shown;
        let terms = &row.term.terms;
        self.position.push(row.position);
        self.tenant.push(Some(tenant));
        self.interaction_id.push(Some(InteractionId(row.interaction)));
        self.lead_id.push(Some(lead));
        self.visitor_id.push(Some(VisitorId(lead.visitor.0)));
        self._lead.push(lead_key(lead));
        self._visitor.push(lead.visitor.0);
        self.rule.push(Some(&terms.rule));
        self.policy_version.push(u64::from(terms.policy_version));
        self.rule_group.push(Some(&terms.group));
        self.kind.push(Some(terms.kind().code()));
        self.category.push(row.category.as_deref());
        self.at.push(row.at);
        self.points.push(i64::from(terms.points));
        self.points_now.push(i64::from(*points_now));
        self.cut_by.push(cut_by.map(|by| by.code()));
        self.lapses_at.push(row.lapses_at());
        self.ended_at.push(fate.as_ref().and_then(|fate| fate.at));
        self.ended_because.push(fate.as_ref().map(|fate| fate.because.as_str()));
        self.discredited_by.push(fate.as_ref().and_then(|fate| fate.by.as_deref()));
        self._key.push(row.key());
    }
}

/// Reads a row back that has ended. `None` when it is damaged.
pub(crate) fn read_ended(row: Reading<'_>, lexicon: &Lexicon) -> Option<(LiveRow, Fate)> {
    let parts = EndedParts {
        interaction: row.text("interaction_id")?.parse::<InteractionId>().ok()?.0,
        at: row.instant("at")?,
        position: LogPosition(row.number("position")?).0,
        rule: row.text("rule")?,
        policy_version: u32::try_from(row.number("policy_version")?).ok()?,
        category: row.text("category"),
    };
    let fate =
        Fate { at: row.instant("ended_at"), because: row.name("ended_because")?, by: row.name("discredited_by") };
    Some((lexicon.ended(&parts)?, fate))
}
