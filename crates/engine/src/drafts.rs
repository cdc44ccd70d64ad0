//! Scores by a policy that is not in force: one lead's ledger as it would be, and what would change for all of them.
//! Records nothing.

use std::collections::BTreeMap;

use lead_domain::score::{shares, sum};
use lead_domain::{Event, InteractionId, Lead, LeadId, Policy, ScoreRow, Temperature, TenantId, Time, VisitorId};
use proto_events::policy_document;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::retracing::{Answers, Questions, Retracing};
use crate::score::{ScoreAccount, TakenAway, TakenBy};
use crate::timeline::TimelineQuery;

/// Scores fall into bands of so many points in a preview.
const BAND: i32 = 10;

/// What a policy would change about the scores of open leads.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Open leads looked at.
    pub leads: u64,
    /// Those whose score would differ.
    pub changed: u64,
    /// The lowest score of each band of ten points, with the leads in it now and by the draft.
    pub bands: BTreeMap<i32, (u64, u64)>,
    /// Temperature now and by the draft, with the leads; only those that differ.
    pub crossings: BTreeMap<(Temperature, Temperature), u64>,
}

impl Engine {
    /// The number of the youngest visitor.
    #[must_use]
    pub const fn last_visitor(&self) -> VisitorId {
        self.library.shelf.last_visitor()
    }

    /// Reads a policy that may come next in force for a tenant.
    ///
    /// # Errors
    /// [`EngineError::Policy`] with every fault.
    pub fn draft(&self, tenant: TenantId, document: &str) -> Result<Policy, EngineError> {
        let known = self.registry.get(tenant);
        let read = policy_document::read(document, known.map(crate::registry::Tenant::policy));
        let mut policy = read.map_err(|faults| EngineError::Policy { faults })?.policy;
        policy.version = known.map_or(0, |known| known.version).saturating_add(1);
        Ok(policy)
    }

    /// The ledger of a lead as it would be, had a policy been in force from the start. `None` where there is no such lead.
    ///
    /// # Errors
    /// When the log, the tables or the keys fail.
    pub fn try_scoring(
        &mut self,
        draft: &Policy,
        tenant: TenantId,
        lead: LeadId,
    ) -> Result<Option<ScoreAccount>, EngineError> {
        if !self.book(tenant, lead.visitor).is_ok_and(|book| book.lead(lead).is_some()) {
            return Ok(None);
        }
        let questions = Questions::of(draft, tenant, self.hash_key());
        let Retracing { shelf, stated, .. } = self.retraced(draft, &questions, tenant, lead.visitor)?;
        let Some(found) = shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return Ok(None) };
        Ok(Some(account(draft, found, &stated)))
    }

    /// What a policy would change about the scores of a tenant's open leads. Reads the records of all their visitors.
    ///
    /// `progress` is told the number of each visitor.
    ///
    /// # Errors
    /// When the log, the tables or the keys fail.
    pub fn preview_scoring(
        &mut self,
        draft: &Policy,
        tenant: TenantId,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Preview, EngineError> {
        let mut preview = Preview::default();
        let questions = Questions::of(draft, tenant, self.hash_key());
        for number in 1..=self.library.shelf.last_visitor().0 {
            let visitor = VisitorId(number);
            progress(number);
            let Ok(book) = self.book(tenant, visitor) else { continue };
            // An absorbed visitor's leads are met with the survivor.
            if book.visitor != visitor || book.open_leads().next().is_none() {
                continue;
            }
            let now: Vec<Lead> = book.open_leads().cloned().collect();
            let Retracing { shelf, .. } = self.retraced(draft, &questions, tenant, visitor)?;
            for lead in now {
                let found = shelf.book(visitor).and_then(|book| book.lead(lead.id));
                preview.compare(&lead, found);
            }
            // Books that were only looked at must not fill the memory.
            self.maybe_write_back()?;
        }
        Ok(preview)
    }

    /// The visitor's history scored by the draft, up to the tenant's clock.
    pub(crate) fn retraced<'a>(
        &mut self,
        draft: &'a Policy,
        questions: &Questions,
        tenant: TenantId,
        visitor: VisitorId,
    ) -> Result<Retracing<'a>, EngineError> {
        let query = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
        let entries = self.timeline(&query)?;
        let mut answers = Answers::default();
        entries.iter().for_each(|entry| answers.learn(&entry.facts));
        let mut retracing = Retracing::begin(draft, tenant);
        for entry in entries.iter().rev() {
            if let Some(personal) = &entry.personal {
                answers.ask(questions, &entry.header, &entry.facts, personal);
            }
            retracing.take(&entry.header, &entry.facts, &answers);
        }
        let clock = self.registry.get(tenant).map_or(Time::MIN, |tenant| tenant.clock);
        retracing.until(visitor, clock);
        Ok(retracing)
    }
}

fn temperature(lead: &Lead) -> Temperature {
    lead.ledger.as_ref().map(|ledger| ledger.temperature).unwrap_or_default()
}

impl Preview {
    fn compare(&mut self, now: &Lead, then: Option<&Lead>) {
        let band = |score: i32| score.div_euclid(BAND).saturating_mul(BAND);
        let score = then.map_or(0, |lead| lead.score);
        self.leads = self.leads.saturating_add(1);
        self.changed = self.changed.saturating_add(u64::from(now.score != score));
        self.bands.entry(band(now.score)).or_default().0 += 1;
        self.bands.entry(band(score)).or_default().1 += 1;
        let (from, to) = (temperature(now), then.map(temperature).unwrap_or_default());
        if from != to {
            *self.crossings.entry((from, to)).or_default() += 1;
        }
    }
}

/// A ledger that would be, as one that is.
fn account(draft: &Policy, lead: &Lead, stated: &[Event]) -> ScoreAccount {
    let ledger = lead.ledger.as_deref().cloned().unwrap_or_default();
    let at = if lead.ledger.is_some() { ledger.at } else { lead.last_interaction_at };
    let discredited = stated.iter().filter_map(|event| {
        let Event::InteractionDiscredited { interaction, at, because, .. } = event else { return None };
        Some((*interaction, TakenBy { at: *at, because: because.clone(), operator: None }))
    });
    let discredited: BTreeMap<InteractionId, TakenBy> = discredited.collect();
    let of_lead = stated.iter().filter_map(|event| {
        let Event::ScoreChanged { lead: changed, rows, .. } = event else { return None };
        (*changed == lead.id).then_some(rows)
    });
    let mut rows: Vec<ScoreRow> = of_lead.flatten().cloned().collect();
    rows.sort_by(|a, b| a.place().cmp(&b.place()));
    let taken: Vec<ScoreRow> = rows.extract_if(.., |row| discredited.contains_key(&row.interaction)).collect();
    let taken_away =
        taken.into_iter().filter_map(|row| Some(TakenAway { by: discredited.get(&row.interaction)?.clone(), row }));
    let taken_away = taken_away.collect();
    let scoring = &draft.scoring;
    let counted = shares(&rows, at, scoring.total, |group| scoring.bounds_of(group));
    let score = sum(&rows, &counted);
    ScoreAccount {
        at,
        grade: scoring.grade(&score),
        score,
        rows: rows.into_iter().zip(counted).collect(),
        taken_away,
        policy_version: draft.version,
        temperature: ledger.temperature,
        stage: ledger.stage,
        next_step: ledger.next_step.filter(|_| lead.is_open()),
        why: None,
    }
}
