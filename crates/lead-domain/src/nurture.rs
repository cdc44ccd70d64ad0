//! What is kept of nurture programmes in a visitor's book. Knows no rules; see `policy::nurture`. Domain section 9.

use crate::Name;
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::time::{Period, Time};

/// The most programmes that run for one visitor at a time. Further ones don't start.
pub const RUNS_MAX: usize = 32;
/// The most starts that a book remembers for caps; older ones make room.
pub const BEGUN_MAX: usize = 256;

/// The nurturing of one visitor. The lists are sorted by all their fields, in the order in which they stand here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nurture {
    /// What runs.
    pub runs: Vec<Run>,
    /// What began lately, for caps.
    pub begun: Vec<Begun>,
    /// What the visitor agreed to hear, and what not.
    pub consents: Vec<Consent>,
}

/// A programme under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The programme's name.
    pub programme: Name,
    /// The lead that it is about.
    pub lead: LeadId,
    /// When it began.
    pub started_at: Time,
    /// The interaction that began it; `None` for the passing of time and for commands.
    pub interaction: Option<InteractionId>,
    /// The place of the next step in the programme, from 0.
    pub step: u16,
    /// When the step before it was stated; the beginning for the first one.
    pub since: Time,
    /// When the next step is due.
    pub wait: Wait,
}

/// When the next step of a programme is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// At this time.
    Until(Time),
    /// When the visitor has done nothing for so long, counted from the step before at the earliest.
    Quiet(Period),
}

/// A programme that began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begun {
    /// When.
    pub at: Time,
    /// The programme's name.
    pub programme: Name,
    /// The lead that it was about.
    pub lead: LeadId,
}

/// What the visitor last said about one medium, or about all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consent {
    /// The member of the book who said it.
    pub by: VisitorId,
    /// Such as `email`; `None` for all media.
    pub medium: Option<Name>,
    /// When.
    pub at: Time,
    /// Whether messages are welcome.
    pub given: bool,
}

/// Why a due step is not for anybody to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// The visitor wants no messages by this medium.
    OptedOut,
    /// The policy asks for consent, and the visitor never gave it.
    NoConsent,
    /// Time passed too late over it: it would come out of the blue.
    Expired,
    /// The same programme has been running longer for a visitor who was merged with this one.
    OtherRun,
}

impl Suppression {
    /// The word in APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::NoConsent => "no_consent",
            Self::Expired => "expired",
            Self::OtherRun => "other_run",
        }
    }
}

/// Why a programme ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NurtureEnd {
    /// Its last step was stated.
    Finished,
    /// Its stop condition came to hold.
    StopCondition,
    /// Its lead was closed.
    LeadClosed,
    /// The policy has no such programme any more, or none with so many steps.
    PolicyChanged,
    /// The interaction that began it was discredited.
    Discredited,
}

impl NurtureEnd {
    /// The word in APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::StopCondition => "stop_condition",
            Self::LeadClosed => "lead_closed",
            Self::PolicyChanged => "policy_changed",
            Self::Discredited => "discredited",
        }
    }
}

impl Run {
    /// When the next step is due, given when the visitor last did something.
    #[must_use]
    pub fn due(&self, last_activity: Option<Time>) -> Time {
        match self.wait {
            Wait::Until(at) => at,
            Wait::Quiet(period) => last_activity.map_or(self.since, |last| self.since.max(last)).after(period),
        }
    }
}

impl Nurture {
    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.begun.is_empty() && self.consents.is_empty()
    }

    /// What the visitor last said about a medium, by itself or along with all others; of two at one time the refusal.
    /// `None` where they said nothing.
    #[must_use]
    pub fn consent(&self, medium: Option<&Name>) -> Option<bool> {
        let about = |consent: &&Consent| consent.medium.is_none() || consent.medium.as_ref() == medium;
        let last = self.consents.iter().filter(about).max_by_key(|consent| (consent.at, !consent.given));
        last.map(|consent| consent.given)
    }

    /// How often a programme began after `from`.
    #[must_use]
    pub fn begun_since(&self, programme: &Name, from: Option<Time>) -> usize {
        let counts = |begun: &&Begun| begun.programme == *programme && from.is_none_or(|from| begun.at > from);
        self.begun.iter().filter(counts).count()
    }

    pub(crate) fn begin(&mut self, run: Run) {
        let begun = Begun { at: run.started_at, programme: run.programme.clone(), lead: run.lead };
        let place = self.begun.partition_point(|known| *known < begun);
        self.begun.insert(place, begun);
        if self.begun.len() > BEGUN_MAX {
            self.begun.remove(0);
        }
        let place = self.runs.partition_point(|known| *known < run);
        self.runs.insert(place, run);
    }

    pub(crate) fn end(&mut self, programme: &Name, lead: LeadId) {
        self.runs.retain(|run| run.programme != *programme || run.lead != lead);
    }

    /// A step was stated at `at`; `wait` says when the next one is due.
    pub(crate) fn step(&mut self, programme: &Name, lead: LeadId, step: u16, at: Time, wait: Wait) {
        let own = |run: &&mut Run| run.programme == *programme && run.lead == lead;
        if let Some(run) = self.runs.iter_mut().find(own) {
            // Programme, lead and beginning stay, so the order does.
            run.step = step;
            run.since = at;
            run.wait = wait;
        }
    }

    /// A later word replaces an earlier one of the same member about the same medium; of two at one time the refusal
    /// stays. Policies name few media, so there are never many.
    pub(crate) fn agree(&mut self, consent: Consent) {
        let same = |known: &Consent| known.by == consent.by && known.medium == consent.medium;
        let stays = |known: &Consent| (known.at, !known.given) > (consent.at, !consent.given);
        if self.consents.iter().any(|known| same(known) && stays(known)) {
            return;
        }
        self.consents.retain(|known| !same(known));
        let place = self.consents.partition_point(|known| *known < consent);
        self.consents.insert(place, consent);
    }

    /// Takes in what another visitor's book held.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.runs.append(&mut other.runs);
        self.runs.sort_unstable();
        self.begun.append(&mut other.begun);
        self.begun.sort_unstable();
        self.consents.append(&mut other.consents);
        self.consents.sort_unstable();
    }

    /// Takes out what belongs to members of a book that leave it.
    pub(crate) fn split(&mut self, leaves: impl Fn(VisitorId) -> bool) -> Self {
        Self {
            runs: self.runs.extract_if(.., |run| leaves(run.lead.visitor)).collect(),
            begun: self.begun.extract_if(.., |begun| leaves(begun.lead.visitor)).collect(),
            consents: self.consents.extract_if(.., |consent| leaves(consent.by)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(by: u64, medium: Option<&str>, hour: i64, given: bool) -> Consent {
        let at = Time::from_millis(hour * 3_600_000);
        Consent { by: VisitorId(by), medium: medium.map(Name::new), at, given }
    }

    #[test]
    fn the_latest_word_about_a_medium_counts_and_of_two_the_refusal() {
        let mut nurture = Nurture::default();
        let email = Name::new("email");
        assert_eq!(nurture.consent(Some(&email)), None);
        nurture.agree(consent(1, None, 5, false));
        assert_eq!(nurture.consent(Some(&email)), Some(false));
        nurture.agree(consent(1, Some("email"), 6, true));
        assert_eq!(nurture.consent(Some(&email)), Some(true), "said later, about this medium");
        assert_eq!(nurture.consent(Some(&Name::new("phone"))), Some(false));
        assert_eq!(nurture.consent(None), Some(false), "a message of no named medium");
        nurture.agree(consent(1, Some("email"), 4, false));
        assert_eq!(nurture.consent(Some(&email)), Some(true), "a late word changes nothing");
        nurture.agree(consent(2, Some("email"), 6, false));
        assert_eq!(nurture.consent(Some(&email)), Some(false), "two members said two things at one time");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut nurture = Nurture::default();
        for hour in 0..1_000 {
            nurture.agree(consent(1, Some("email"), hour, hour % 2 == 0));
        }
        assert_eq!(nurture.consents.len(), 1);
        let lead = LeadId { visitor: VisitorId(1), ordinal: 1 };
        for hour in 0..1_000 {
            let at = Time::from_millis(hour);
            let programme = Name::new("cart");
            let run =
                Run { programme, lead, started_at: at, interaction: None, step: 0, since: at, wait: Wait::Until(at) };
            nurture.begin(run);
            nurture.end(&Name::new("cart"), lead);
        }
        assert_eq!((nurture.begun.len(), nurture.runs.len()), (BEGUN_MAX, 0));
        assert_eq!(nurture.begun_since(&"cart".into(), Some(Time::from_millis(989))), 10);
    }
}
