//! Nurture programmes: when somebody should hear from us. Nothing here sends anything. Domain section 9.

use crate::Name;
use crate::interaction::Interaction;
use crate::policy::condition::Condition;
use crate::time::{Period, Time};

/// How late a step may be stated where its programme doesn't say.
pub const EXPIRE_AFTER_DEFAULT: Period = Period::from_days(1);

/// The programmes, and what counts as consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nurturing {
    /// The programmes, in the order of the document.
    pub programmes: Vec<Programme>,
    /// What counts as consent, and as its withdrawal.
    pub consent: ConsentRules,
}

/// Says when which message should go to a visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// The key.
    pub name: Name,
    /// When it begins.
    pub start_when: Condition,
    /// When it ends before its time.
    pub stop_when: Option<Condition>,
    /// What becomes due, in order; at least one.
    pub steps: Vec<Step>,
    /// How often it may begin for one visitor.
    pub at_most: Option<AtMost>,
    /// By which medium its messages go; consent is asked for that one.
    pub medium: Option<Name>,
    /// A step that is stated so much later than it was due is not for anybody to send.
    pub expire_after: Period,
}

/// A step of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it is due.
    pub delay: StepDelay,
    /// What somebody else should send.
    pub template: Name,
}

/// When a step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDelay {
    /// So long after the programme's beginning.
    After(Period),
    /// When the visitor has been quiet for so long.
    AfterQuiet(Period),
}

/// How often a programme may begin for one visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMost {
    /// So often.
    pub times: u32,
    /// In this time; ever, where absent.
    pub within: Option<Period>,
}

/// Which interactions give and withdraw consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentRules {
    /// Those that give it.
    pub opt_in: Vec<ConsentRule>,
    /// Those that withdraw it. Of an interaction that does both, this counts.
    pub opt_out: Vec<ConsentRule>,
    /// Whether a visitor who said nothing hears nothing.
    pub required: bool,
}

/// An interaction that is about consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRule {
    /// Which.
    pub when: Condition,
    /// For which medium; `None` for all.
    pub medium: Option<Name>,
}

impl Nurturing {
    /// The programme of that name.
    #[must_use]
    pub fn programme(&self, name: &str) -> Option<&Programme> {
        self.programmes.iter().find(|programme| programme.name == name)
    }

    /// All conditions, those inside of `any` included.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let starts = self.programmes.iter().map(|programme| &programme.start_when);
        let stops = self.programmes.iter().filter_map(|programme| programme.stop_when.as_ref());
        let consents = self.consent.opt_in.iter().chain(&self.consent.opt_out).map(|rule| &rule.when);
        starts.chain(stops).flat_map(|when| when.any.iter().chain([when])).chain(consents)
    }

    /// Whether nothing can ever follow from an interaction or a lead.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.programmes.is_empty() && self.consent.opt_in.is_empty() && self.consent.opt_out.is_empty()
    }
}

impl ConsentRules {
    /// What an interaction says about consent: for which media, and whether it is given.
    pub fn said_by<'a>(&'a self, interaction: &'a Interaction<'_>) -> impl Iterator<Item = (Option<&'a Name>, bool)> {
        let fits = |rule: &&ConsentRule| rule.when.missed(interaction).is_none();
        let given = self.opt_in.iter().filter(fits).map(|rule| (rule.medium.as_ref(), true));
        let fits = |rule: &&ConsentRule| rule.when.missed(interaction).is_none();
        let withdrawn = self.opt_out.iter().filter(fits).map(|rule| (rule.medium.as_ref(), false));
        given.chain(withdrawn)
    }
}

impl StepDelay {
    /// When the step is due, for a programme that began at `started_at`.
    #[must_use]
    pub fn wait(self, started_at: Time) -> crate::nurture::Wait {
        match self {
            Self::After(period) => crate::nurture::Wait::Until(started_at.after(period)),
            Self::AfterQuiet(period) => crate::nurture::Wait::Quiet(period),
        }
    }
}
