//! A lead's score ledger, read from the log: every row there ever was, what it counts for at a time, and why a rule did
//! or did not fire. Decides nothing; the sums are the domain's own.

use std::collections::BTreeMap;

use event_log::LogPosition;
use lead_domain::book::Status;
use lead_domain::event::{DiscreditReason, ScoreReason};
use lead_domain::policy::Scoring;
use lead_domain::policy::grid::Grade;
use lead_domain::policy::scoring::{Before, ScoringRule, Verdict};
use lead_domain::score::{Share, shares, sum};
use lead_domain::{Event, InteractionId, LeadId, Ledger, Name, Score, ScoreRow, Shelf, Temperature, TenantId, Time};
use proto_events::policy_document::{self, PolicyDocument};
use proto_events::stored::{Facts, InputFacts};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::options::Parts;
use crate::past::{Sieve, When};
use crate::registry::PolicyVersion;
use crate::timeline::{TimelineEntry, TimelineQuery};

/// The most interactions that an answer about a rule tells one by one, the latest ones.
const TOLD_MAX: usize = 100;

/// What is asked of a ledger.
#[derive(Clone, Debug)]
pub struct ScoreQuery {
    /// Whose lead it is.
    pub tenant: TenantId,
    /// Which lead.
    pub lead: LeadId,
    /// When; the time at which the score stands, where absent. A time that is still to come shows what will be left.
    pub as_of: Option<Time>,
    /// Only what was recorded by then; everything where absent.
    pub known_at: Option<Time>,
    /// Now: what happened later than an earlier time is left out.
    pub now: Time,
    /// The rule to tell about.
    pub why: Option<Name>,
}

/// The policy that was in force from a position on.
#[derive(Clone, Debug)]
pub struct RulesInForce {
    /// The record that put them in force.
    pub position: LogPosition,
    /// Which version of the policy.
    pub version: u32,
    /// When it was adopted.
    pub adopted_at: Time,
    /// The policy.
    pub document: PolicyDocument,
}

impl RulesInForce {
    /// The rules.
    #[must_use]
    pub const fn scoring(&self) -> &Scoring {
        &self.document.policy.scoring
    }
}

impl ScoreQuery {
    /// Which records and events count.
    fn past(&self) -> When {
        When { as_of: self.as_of.filter(|as_of| *as_of <= self.now), known_at: self.known_at }
    }
}

/// A ledger at a time.
#[derive(Clone, Debug)]
pub struct ScoreAccount {
    /// When.
    pub at: Time,
    /// The sums.
    pub score: Score,
    /// What the sums say in two characters; `None` where the policy has no grid.
    pub grade: Option<Grade>,
    /// Every row up to then with what it counts for, in order of time.
    pub rows: Vec<(ScoreRow, Share)>,
    /// Rows that count for nothing because their interaction was discredited by then, in order of time.
    pub taken_away: Vec<TakenAway>,
    /// The policy version whose caps count; 0 where no points were ever given.
    pub policy_version: u32,
    /// How warm the lead is now.
    pub temperature: Temperature,
    /// The stage that it is in now, and since when.
    pub stage: Option<(Name, Time)>,
    /// When points next lapse by a step.
    pub next_step: Option<Time>,
    /// What was asked about a rule; `None` when nothing was asked, or there is no such rule.
    pub why: Option<RuleAccount>,
}

/// A row that counts for nothing any more.
#[derive(Clone, Debug)]
pub struct TakenAway {
    /// The row.
    pub row: ScoreRow,
    /// Who took its points away, and when.
    pub by: TakenBy,
}

/// Who took the points of an interaction away.
#[derive(Clone, Debug)]
pub struct TakenBy {
    /// When.
    pub at: Time,
    /// An operator, or a rule of the policy.
    pub because: DiscreditReason,
    /// The operator's account name; `None` for a rule.
    pub operator: Option<Name>,
}

/// What a rule did about a lead.
#[derive(Clone, Debug)]
pub struct RuleAccount {
    /// The rule's name.
    pub rule: Name,
    /// How many of the lead's interactions it gave points for.
    pub fired: u32,
    /// How many had an action that it does not ask about.
    pub other_actions: u32,
    /// The other interactions, the latest first; at most a hundred.
    pub told: Vec<RuleVerdict>,
}

/// What a rule did about an interaction.
#[derive(Clone, Debug)]
pub struct RuleVerdict {
    /// Which.
    pub interaction: InteractionId,
    /// When it happened.
    pub at: Time,
    /// A stable word: `fired`, `condition`, `too_few`, `too_little`, `limit`, `not_in_force`, `ledger_full`, `discredited`,
    /// `rescored`.
    pub verdict: &'static str,
    /// What was missing, for people; empty when it fired.
    pub detail: String,
}

impl Engine {
    /// All versions of a tenant's scoring rules, oldest first.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn scoring_history(&self, tenant: TenantId) -> Result<Vec<RulesInForce>, EngineError> {
        let last = self.registry.get(tenant).map_or(0, |tenant| tenant.version);
        let mut history = Vec::new();
        for version in 1..=last {
            let Some(stored) = self.policy_version(tenant, version)? else { continue };
            let document = policy_document::read(&stored.document, None);
            let document = document.map_err(|faults| EngineError::Policy { faults })?;
            let PolicyVersion { position, adopted_at, .. } = stored;
            history.push(RulesInForce { position, version, adopted_at, document });
        }
        Ok(history)
    }

    /// A lead's ledger. `None` where there is no such lead.
    ///
    /// # Errors
    /// When the log, the tables or the keys fail.
    pub fn score(&mut self, query: &ScoreQuery) -> Result<Option<ScoreAccount>, EngineError> {
        if !self.book(query.tenant, query.lead.visitor).is_ok_and(|book| book.lead(query.lead).is_some()) {
            return Ok(None);
        }
        self.flush()?;
        let history = self.scoring_history(query.tenant)?;
        let heads = self.stream_heads(query.lead.visitor)?;
        self.parts.score(heads, query, &history)
    }
}

impl Parts {
    /// A lead's ledger, from the streams that end at `heads`. `None` where they don't know the lead.
    ///
    /// # Errors
    /// When the log or the keys fail.
    pub fn score(
        &self,
        heads: Vec<LogPosition>,
        query: &ScoreQuery,
        history: &[RulesInForce],
    ) -> Result<Option<ScoreAccount>, EngineError> {
        let all = TimelineQuery { visitor: query.lead.visitor, lead: None, limit: usize::MAX, before: None };
        let entries = self.timeline(heads, &all)?;
        let when = query.past();
        // A history may be older than every policy.
        let by_then = history.iter().filter(|rules| when.time().is_none_or(|time| rules.adopted_at <= time)).count();
        let history = history.get(..by_then.max(1)).unwrap_or_default();
        let rule = query.why.as_ref().and_then(|name| {
            let rules = &history.last()?.scoring().rules;
            rules.iter().find(|rule| rule.name == *name)
        });
        let mut reading = Reading::new(query, rule);
        for entry in in_the_past(entries, query, history.last()) {
            reading.take(&entry);
        }
        Ok(reading.finish(history))
    }
}

/// The records of that past, oldest first, each with the events that belong to it, and what was due by then.
fn in_the_past(entries: Vec<TimelineEntry>, query: &ScoreQuery, rules: Option<&RulesInForce>) -> Vec<TimelineEntry> {
    let when = query.past();
    let mut sieve = Sieve::new(when);
    if let Some(rules) = rules {
        sieve.note_policy(query.tenant, rules.document.clone());
    }
    let mut taken: Vec<TimelineEntry> = Vec::with_capacity(entries.len());
    for mut entry in entries.into_iter().rev() {
        if when.was_recorded(&entry.header)
            && let Some(events) = sieve.pass(&entry.header, &entry.facts)
        {
            entry.facts.events = events;
            taken.push(entry);
        }
    }
    let last = taken.last().map_or(LogPosition::START, |entry| entry.header.position);
    let met: Result<(), std::convert::Infallible> = sieve.meet_deadlines(last, |header, events| {
        let facts = Facts { input: InputFacts::Deadline, events: events.to_vec() };
        taken.push(TimelineEntry { header: *header, facts, personal: None });
        Ok(())
    });
    let Ok(()) = met;
    taken
}

/// A walk along a visitor's records.
struct Reading<'a> {
    query: &'a ScoreQuery,
    rule: Option<&'a ScoringRule>,
    shelf: Shelf,
    /// Every row that was ever entered, by lead.
    rows: BTreeMap<LeadId, Vec<ScoreRow>>,
    /// Interactions that were discredited.
    discredited: BTreeMap<InteractionId, TakenBy>,
    /// The record that opened the lead.
    opened: LogPosition,
    /// The records of the lead's scores, and when each stood.
    stood: Vec<(LogPosition, Time)>,
    /// Whether the lead was scored anew after the time that is asked for.
    ended: bool,
    account: RuleAccount,
}

impl RuleAccount {
    /// Corrects what was told, after the lead was scored anew: these are its rows from then on.
    fn rescored(&mut self, rows: &[ScoreRow]) {
        self.fired = 0;
        for told in &mut self.told {
            let fired = rows.iter().any(|row| row.interaction == told.interaction && row.rule == self.rule);
            if fired {
                self.fired = self.fired.saturating_add(1);
                (told.verdict, told.detail) = ("fired", String::new());
            } else if told.verdict == "fired" {
                let detail = "the lead was scored anew, and no points of this are left".to_owned();
                (told.verdict, told.detail) = ("rescored", detail);
            }
        }
    }
}

impl<'a> Reading<'a> {
    fn new(query: &'a ScoreQuery, rule: Option<&'a ScoringRule>) -> Self {
        let rule_name = rule.map(|rule| rule.name.clone()).unwrap_or_default();
        Self {
            query,
            rule,
            shelf: Shelf::default(),
            rows: BTreeMap::new(),
            discredited: BTreeMap::new(),
            opened: LogPosition::START,
            stood: Vec::new(),
            ended: false,
            account: RuleAccount { rule: rule_name, fired: 0, other_actions: 0, told: Vec::new() },
        }
    }

    fn take(&mut self, entry: &TimelineEntry) {
        let before: Vec<ScoreRow> = self.ledger().map(|ledger| ledger.rows.clone()).unwrap_or_default();
        for event in &entry.facts.events {
            self.shelf.evolve(self.query.tenant, event);
            self.take_event(entry, event);
        }
        if let Some(rule) = self.rule {
            self.judge(rule, entry, &before);
        }
    }

    fn ledger(&self) -> Option<&Ledger> {
        let lead = self.shelf.book(self.query.lead.visitor)?.lead(self.query.lead)?;
        lead.ledger.as_deref()
    }

    fn take_event(&mut self, entry: &TimelineEntry, event: &Event) {
        let position = entry.header.position;
        if let Event::LeadOpened { lead, .. } = event
            && *lead == self.query.lead
        {
            self.opened = position;
        }
        if let Event::InteractionDiscredited { interaction, at, because, .. } = event {
            let operator = if let InputFacts::Discredit(asked) = &entry.facts.input
                && *because == DiscreditReason::Operator
            {
                Some(asked.operator.0.clone())
            } else {
                None
            };
            self.discredited.insert(*interaction, TakenBy { at: *at, because: because.clone(), operator });
        }
        if let Event::ScoreChanged { lead, at, because, rows, .. } = event {
            let of_query = *lead == self.query.lead;
            if of_query && self.is_before(*at, *because) {
                self.ended = true;
            }
            if of_query && self.ended {
                return;
            }
            let known = self.rows.entry(*lead).or_default();
            if *because == ScoreReason::Rescored {
                known.clear();
                if of_query {
                    self.stood.clear();
                    self.account.rescored(rows);
                }
            }
            known.extend(rows.iter().cloned());
            if of_query {
                self.stood.push((position, *at));
            }
        }
        if let Event::InteractionMoved { interaction, from, to, .. } = event {
            let taken = self.rows.entry(*from).or_default();
            let taken: Vec<ScoreRow> = taken.extract_if(.., |row| row.interaction == *interaction).collect();
            self.rows.entry(*to).or_default().extend(taken);
        }
    }

    /// Whether what is asked for is the score as it was before the lead was scored anew.
    fn is_before(&self, rescored_at: Time, because: ScoreReason) -> bool {
        because == ScoreReason::Rescored && self.query.as_of.is_some_and(|asked| asked < rescored_at)
    }

    /// Tells what the rule did about an interaction of the lead.
    fn judge(&mut self, rule: &ScoringRule, entry: &TimelineEntry, before: &[ScoreRow]) {
        let InputFacts::Interaction(facts) = &entry.facts.input else { return };
        let taken = entry.facts.events.iter().find_map(|event| {
            let Event::InteractionAttached { lead, interaction, .. } = event else { return None };
            (*lead == self.query.lead).then_some(*interaction)
        });
        let Some(interaction) = taken else { return };
        let at = Time::from_millis(entry.header.occurred_at);
        let mut attributes = Vec::new();
        let asked = facts.as_decided(at, &mut attributes);
        if !rule.when.fits_action(asked.action) {
            self.account.other_actions = self.account.other_actions.saturating_add(1);
            return;
        }
        let fired = entry.facts.events.iter().any(|event| {
            let Event::ScoreChanged { lead, rows, .. } = event else { return false };
            *lead == self.query.lead && rows.iter().any(|row| row.rule == rule.name)
        });
        let (verdict, detail) = if fired {
            self.account.fired = self.account.fired.saturating_add(1);
            ("fired", String::new())
        } else {
            let leads = self.shelf.book(self.query.lead.visitor).into_iter().flat_map(|book| &book.leads);
            let counted = leads.filter_map(|lead| lead.ledger.as_ref()).flat_map(|ledger| &ledger.counted);
            let (counted, spent) = rule.lately(counted, at);
            told(rule.verdict(&asked, Before { rows: before, counted, spent }), before.len())
        };
        self.account.told.push(RuleVerdict { interaction, at, verdict, detail });
    }

    /// Takes the rows out whose points were taken away by the time that is asked for.
    fn take_away(&self, rows: &mut Vec<ScoreRow>) -> Vec<TakenAway> {
        let asked = self.query.as_of;
        let by_then = |row: &ScoreRow| {
            let discredit = self.discredited.get(&row.interaction)?;
            asked.is_none_or(|asked| discredit.at <= asked).then_some(discredit)
        };
        let taken: Vec<ScoreRow> = rows.extract_if(.., |row| by_then(row).is_some()).collect();
        taken.into_iter().filter_map(|row| Some(TakenAway { by: by_then(&row)?.clone(), row })).collect()
    }

    fn finish(mut self, history: &[RulesInForce]) -> Option<ScoreAccount> {
        let lead = self.shelf.book(self.query.lead.visitor)?.lead(self.query.lead)?.clone();
        let ledger = lead.ledger.as_deref().cloned().unwrap_or_default();
        let end = match lead.status {
            Status::Open => None,
            Status::Closed { at, .. } => Some(at),
        };
        let standing = if lead.ledger.is_some() { ledger.at } else { lead.last_interaction_at };
        let at = self.query.as_of.map_or(standing, |asked| end.map_or(asked, |end| asked.min(end.max(standing))));
        let mut rows = self.rows.remove(&lead.id).unwrap_or_default();
        rows.retain(|row| row.at <= at);
        rows.sort_by(|a, b| a.place().cmp(&b.place()));
        let taken_away = self.take_away(&mut rows);
        let last = self.stood.iter().rev().find(|(_, stood)| *stood <= at).map(|(position, _)| *position);
        let in_force = |at: LogPosition| history.iter().rev().find(|rules| rules.position < at);
        let rules = last.and_then(in_force);
        // A lead that has no points yet has its place in the grid from its opening on.
        let grid = rules.or_else(|| in_force(self.opened));
        let none = Scoring::default();
        let scoring = rules.map_or(&none, RulesInForce::scoring);
        let counted = shares(&rows, at, scoring.total, |group| scoring.bounds_of(group));
        let score = sum(&rows, &counted);
        let next_step = rows.iter().filter_map(|row| row.next_change(at)).min();
        let mut why = self.account;
        why.take_away(&self.discredited);
        why.told.reverse();
        why.told.truncate(TOLD_MAX);
        Some(ScoreAccount {
            at,
            grade: grid.and_then(|rules| rules.scoring().grade(&score)),
            score,
            rows: rows.into_iter().zip(counted).collect(),
            taken_away,
            policy_version: rules.map_or(0, |rules| rules.version),
            temperature: ledger.temperature,
            stage: ledger.stage,
            next_step: next_step.filter(|_| end.is_none()),
            why: self.rule.map(|_| why),
        })
    }
}

impl RuleAccount {
    /// Tells of discredited interactions that they are, whatever the rule did before.
    fn take_away(&mut self, discredited: &BTreeMap<InteractionId, TakenBy>) {
        for told in &mut self.told {
            let Some(discredit) = discredited.get(&told.interaction) else { continue };
            self.fired = self.fired.saturating_sub(u32::from(told.verdict == "fired"));
            told.verdict = "discredited";
            told.detail = match (&discredit.because, &discredit.operator) {
                (DiscreditReason::BotRule(rule), _) => format!("bot rule \"{rule}\" took it for that of a bot"),
                (DiscreditReason::Operator, Some(operator)) => format!("{operator} took its points away"),
                (DiscreditReason::Operator, None) => "an operator took its points away".to_owned(),
            };
        }
    }
}

/// Why a rule did not fire, in a word and for people.
fn told(verdict: Verdict<'_>, rows: usize) -> (&'static str, String) {
    use lead_domain::policy::condition::Missed;
    match verdict {
        Verdict::Fires if rows >= lead_domain::score::ROWS_MAX => {
            ("ledger_full", format!("the ledger has {rows} rows, the most there may be"))
        }
        Verdict::Fires => ("not_in_force", "the rule was another one, or none, at that time".to_owned()),
        Verdict::Missed(Missed::Action) => ("condition", "the action is another one".to_owned()),
        Verdict::Missed(Missed::Attribute(name)) => {
            ("condition", format!("attribute \"{name}\" has another value or is absent"))
        }
        Verdict::Missed(Missed::Key(key)) => ("condition", format!("\"{key}\" does not hold")),
        Verdict::TooFew { found, needed } => ("too_few", format!("{found} of {needed} in the window")),
        Verdict::TooLittle { found, needed } => ("too_little", format!("{found} of {needed} spent in the window")),
        Verdict::Limited => ("limit", "it has counted as often as its limit allows".to_owned()),
    }
}
