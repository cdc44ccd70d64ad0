//! Which programmes begin, go on and end, and what becomes due. Domain section 9.
//!
//! Beginnings and ends follow from what happens, at the time when it happened. A step is stated by the passing of time
//! alone: by the first tick at or after its due time, and only if its programme still runs then. What was known by then
//! counts, so nothing is stated after a stop condition held, also when a tick comes late.

use super::Desk;
use crate::book::{Book, Lead};
use crate::event::Event;
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::interaction::Interaction;
use crate::nurture::{NurtureEnd, RUNS_MAX, Run, Suppression, Wait};
use crate::policy::condition::Condition;
use crate::policy::nurture::{Programme, Step};
use crate::time::Time;

/// Something that may begin or end programmes.
struct Moment<'a> {
    at: Time,
    /// The interaction that was just taken, and the lead that took it.
    touch: Option<(InteractionId, &'a Interaction<'a>, Option<LeadId>)>,
    /// Leads of which a temperature, a stage or the end is news, with what it is.
    news: Vec<(LeadId, News)>,
    /// Interactions that bring nothing any more: a bot's, or what an operator says.
    discredited: Vec<InteractionId>,
}

/// What just became so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Temperature,
    Stage,
    Closed,
}

impl Desk<'_> {
    /// Begins and ends programmes after what was stated since `first`, by an interaction or without one.
    pub(super) fn nurture(
        &mut self,
        visitor: VisitorId,
        at: Time,
        touch: Option<(InteractionId, &Interaction<'_>)>,
        first: usize,
    ) {
        let policy = self.policy;
        let is_erased = self.shelf.book(visitor).is_some_and(|book| book.erased);
        if policy.nurture.is_empty() || is_erased {
            return;
        }
        if let Some((_, interaction)) = touch {
            self.agree(visitor, interaction);
        }
        let moment = self.moment(at, touch, first);
        self.end_programmes(visitor, &moment);
        self.begin_programmes(visitor, &moment);
    }

    /// Takes what an interaction says about consent.
    fn agree(&mut self, visitor: VisitorId, interaction: &Interaction<'_>) {
        let policy = self.policy;
        let visitor = self.shelf.survivor(visitor);
        let at = interaction.occurred_at;
        for (medium, given) in policy.nurture.consent.said_by(interaction) {
            self.state(Event::ConsentChanged { visitor, medium: medium.cloned(), given, at });
        }
    }

    /// What the events since `first` tell.
    fn moment<'a>(&self, at: Time, touch: Option<(InteractionId, &'a Interaction<'a>)>, first: usize) -> Moment<'a> {
        let (mut news, mut discredited, mut taken_by) = (Vec::new(), Vec::new(), None);
        for event in self.events.iter().skip(first) {
            if let Event::InteractionAttached { lead, .. } = event {
                taken_by = Some(*lead);
            } else if let Event::TemperatureChanged { lead, .. } = event {
                news.push((*lead, News::Temperature));
            } else if let Event::StageEntered { lead, .. } = event {
                news.push((*lead, News::Stage));
            } else if let Event::LeadClosed { lead, .. } = event {
                news.push((*lead, News::Closed));
            } else if let Event::InteractionDiscredited { interaction, .. } = event {
                discredited.push(*interaction);
            }
        }
        let touch = touch.map(|(id, interaction)| (id, interaction, taken_by));
        Moment { at, touch, news, discredited }
    }

    /// Ends the programmes whose stop condition holds after scores were changed by other rules; none begins by that.
    pub(super) fn nurture_rescored(&mut self, visitor: VisitorId, at: Time) {
        self.end_programmes(visitor, &Moment { at, touch: None, news: Vec::new(), discredited: Vec::new() });
    }

    fn end_programmes(&mut self, visitor: VisitorId, moment: &Moment<'_>) {
        let Some(book) = self.shelf.book(visitor) else { return };
        let Some(nurture) = book.nurture.as_ref() else { return };
        let ended =
            |run: &Run| self.end_of(book, run, moment).map(|because| (run.lead, run.programme.clone(), because));
        let ended: Vec<_> = nurture.runs.iter().filter_map(ended).collect();
        for (lead, programme, because) in ended {
            self.state(Event::NurtureStopped { lead, programme, at: moment.at, because });
        }
    }

    /// Why a run ends at this moment.
    fn end_of(&self, book: &Book, run: &Run, moment: &Moment<'_>) -> Option<NurtureEnd> {
        let Some(programme) = self.policy.nurture.programme(&run.programme) else {
            return Some(NurtureEnd::PolicyChanged);
        };
        // What belongs to the time before the run began can't end it.
        let touch = moment.touch.filter(|_| moment.at >= run.started_at);
        if run.interaction.is_some_and(|id| moment.discredited.contains(&id)) {
            return Some(NurtureEnd::Discredited);
        }
        let lead = book.lead(run.lead)?;
        if let Some(stop) = &programme.stop_when
            && self.holds(stop, lead, touch.map(|(_, interaction, _)| interaction))
        {
            return Some(NurtureEnd::StopCondition);
        }
        (!lead.is_open() && !programme.begins_closed()).then_some(NurtureEnd::LeadClosed)
    }

    fn begin_programmes(&mut self, visitor: VisitorId, moment: &Moment<'_>) {
        let policy = self.policy;
        let action = moment.touch.map(|(_, interaction, _)| interaction.action);
        for programme in &policy.nurture.programmes {
            let asks = action.is_some_and(|action| programme.start_when.may_fit(action));
            if !asks && moment.news.is_empty() {
                continue;
            }
            let Some(book) = self.shelf.book(visitor) else { return };
            let Some(lead) = self.beginning(book, programme, moment) else { continue };
            let Some(step) = programme.steps.first() else { continue };
            let own = moment.touch.filter(|(_, _, taken_by)| *taken_by == Some(lead));
            let interaction = own.map(|(id, _, _)| id);
            let wait = step.delay.wait(moment.at);
            let programme = programme.name.clone();
            self.state(Event::NurtureStarted { lead, programme, at: moment.at, interaction, wait });
        }
    }

    /// The lead for which a programme begins at this moment.
    fn beginning(&self, book: &Book, programme: &Programme, moment: &Moment<'_>) -> Option<LeadId> {
        let touched = moment.touch.and_then(|(_, _, taken_by)| taken_by);
        let concerned = touched.into_iter().chain(moment.news.iter().map(|(lead, _)| *lead));
        let mut concerned = concerned.filter_map(|lead| book.lead(lead));
        // One that comes late, behind others of the visitor, tells nothing about where they stand now.
        let latest = book.last_activity().is_none_or(|last| last <= moment.at);
        // Nobody should hear from us for what a bot did.
        let counts = |id: &InteractionId| latest && !moment.discredited.contains(id);
        let lead = concerned.find(|lead| {
            let touch = moment.touch.filter(|(id, _, taken_by)| counts(id) && *taken_by == Some(lead.id));
            let interaction = touch.map(|(_, interaction, _)| interaction);
            let alive = lead.is_open() || programme.begins_closed();
            let stops = programme.stop_when.as_ref().is_some_and(|stop| self.holds(stop, lead, interaction));
            alive && !stops && self.begins(&programme.start_when, lead, interaction, moment)
        })?;
        let Some(nurture) = book.nurture.as_ref() else { return Some(lead.id) };
        let runs = nurture.runs.iter().any(|run| run.programme == programme.name);
        let full = programme.at_most.is_some_and(|most| {
            let from = most.within.map(|within| moment.at.before(within));
            nurture.begun_since(&programme.name, from) >= usize::try_from(most.times).unwrap_or(usize::MAX)
        });
        (!runs && !full && nurture.runs.len() < RUNS_MAX).then_some(lead.id)
    }

    /// Whether the condition holds and something of it has just become so.
    fn begins(&self, when: &Condition, lead: &Lead, touch: Option<&Interaction<'_>>, moment: &Moment<'_>) -> bool {
        let news = |what| moment.news.contains(&(lead.id, what));
        let just = (when.tests_interaction() && touch.is_some())
            || (when.temperature.is_some() && news(News::Temperature))
            || (when.stage.is_some() && news(News::Stage))
            || (when.closed.is_some() && news(News::Closed))
            || when.any.iter().any(|one| self.begins(one, lead, touch, moment));
        just && self.holds(when, lead, touch)
    }

    /// Whether the condition holds for a lead, with the interaction of the moment.
    fn holds(&self, when: &Condition, lead: &Lead, touch: Option<&Interaction<'_>>) -> bool {
        let temperature = lead.ledger.as_deref().map(|ledger| ledger.temperature).unwrap_or_default();
        when.temperature.is_none_or(|wanted| wanted == temperature)
            && when.stage.as_ref().is_none_or(|wanted| lead.stage() == Some(wanted))
            && when.closed.is_none_or(|wanted| wanted != lead.is_open())
            && when.returning_customer.is_none_or(|wanted| wanted == self.is_returning(lead.id))
            && (!when.tests_interaction() || touch.is_some_and(|touch| when.missed(touch).is_none()))
            && (when.any.is_empty() || when.any.iter().any(|one| self.holds(one, lead, touch)))
    }

    /// States the steps that are due at or before `at`, in order of time. For the passing of time only.
    pub(super) fn state_due_steps(&mut self, visitor: VisitorId, at: Time) {
        loop {
            let Some(book) = self.shelf.book(visitor) else { return };
            let Some((_, run)) = book.due_runs(at).min_by_key(|(due, run)| (*due, &run.programme, run.lead)) else {
                return;
            };
            let run = run.clone();
            let due_at = run.due(book.last_activity());
            // Whatever is due is behind it afterwards, or gone.
            self.state_due_step(&run, due_at, at);
        }
    }

    fn state_due_step(&mut self, run: &Run, due_at: Time, at: Time) {
        let (lead, programme) = (run.lead, run.programme.clone());
        let stopped = |because| Event::NurtureStopped { lead, programme: programme.clone(), at, because };
        let found = self.policy.nurture.programme(&run.programme);
        let Some((rules, place, step)) = found.and_then(|rules| last_due(rules, run, at)) else {
            return self.state(stopped(NurtureEnd::PolicyChanged));
        };
        let nothing = Moment { at, touch: None, news: Vec::new(), discredited: Vec::new() };
        let ended = self.shelf.book(lead.visitor).and_then(|book| self.end_of(book, run, &nothing));
        if let Some(because) = ended {
            return self.state(stopped(because));
        }
        let due_at = if place == run.step { due_at } else { due_of(step, run, due_at) };
        let next = rules.steps.get(usize::from(place).saturating_add(1));
        let wait = next.map(|next| next.delay.wait(run.started_at));
        let number = place.saturating_add(1);
        let template = step.template.clone();
        let medium = rules.medium.clone();
        let expires_at = due_at.after(rules.expire_after);
        let event = match self.suppression(run, rules, at > expires_at) {
            Some(because) => {
                let (step, programme) = (number, programme.clone());
                Event::NurtureStepSuppressed { lead, programme, step, template, medium, at, due_at, because, wait }
            }
            None => {
                let (step, programme) = (number, programme.clone());
                let passed_over = place.saturating_sub(run.step);
                Event::NurtureStepDue {
                    lead,
                    programme,
                    step,
                    template,
                    medium,
                    at,
                    due_at,
                    expires_at,
                    passed_over,
                    wait,
                }
            }
        };
        self.state(event);
        if wait.is_none() {
            self.state(Event::NurtureStopped { lead, programme, at, because: NurtureEnd::Finished });
        }
    }

    /// Why nobody should send a step that is due.
    fn suppression(&self, run: &Run, rules: &Programme, late: bool) -> Option<Suppression> {
        let book = self.shelf.book(run.lead.visitor)?;
        let nurture = book.nurture.as_ref()?;
        let older = |other: &Run| {
            other.programme == run.programme && (other.started_at, other.lead) < (run.started_at, run.lead)
        };
        match nurture.consent(rules.medium.as_ref()) {
            Some(false) => Some(Suppression::OptedOut),
            None if self.policy.nurture.consent.required => Some(Suppression::NoConsent),
            Some(true) | None if late => Some(Suppression::Expired),
            Some(true) | None => nurture.runs.iter().any(older).then_some(Suppression::OtherRun),
        }
    }
}

impl Programme {
    /// Whether it is about leads that are closed.
    fn begins_closed(&self) -> bool {
        let start = &self.start_when;
        start.closed == Some(true) || start.any.iter().any(|one| one.closed == Some(true))
    }
}

/// The last step of a run that is due by `at`: of several that time has passed over, one message is enough.
fn last_due<'p>(rules: &'p Programme, run: &Run, at: Time) -> Option<(&'p Programme, u16, &'p Step)> {
    let mut place = run.step;
    let mut step = rules.steps.get(usize::from(place))?;
    while let Some(next) = rules.steps.get(usize::from(place).saturating_add(1)) {
        match next.delay.wait(run.started_at) {
            Wait::Until(due) if due <= at => {
                place = place.saturating_add(1);
                step = next;
            }
            Wait::Until(_) | Wait::Quiet(_) => break,
        }
    }
    Some((rules, place, step))
}

/// When a step behind the next one was due.
fn due_of(step: &Step, run: &Run, otherwise: Time) -> Time {
    match step.delay.wait(run.started_at) {
        Wait::Until(due) => due,
        Wait::Quiet(_) => otherwise,
    }
}
