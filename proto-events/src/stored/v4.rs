//! The frozen shapes of version 4: what concerns consent and nurture programmes. Nothing here ever changes.
//!
//! ```text
//! event   = v1::EventV1  |  u8 200 | EventV3  |  u8 201 | EventV4
//! nurture = behind the ledgers of a book (their count is 0 where there are none), where a book has something of it
//! ```

use bincode::{BorrowDecode, Encode};
use lead_domain::event::Event;
use lead_domain::nurture::{Begun, Consent, Nurture, NurtureEnd, Run, Suppression, Wait};
use lead_domain::{InteractionId, Period, Time, VisitorId};

use super::convert::{lead as lead_id, stored_lead};
use super::v1::LeadV1;
use crate::text::Text;

/// The first byte of an event of version 4.
pub const EVENT_MARK: u8 = 201;

/// One event about consent or a programme. Times in milliseconds since the epoch; of two times, the first is the clock's
/// and the second says when the step was due.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
#[expect(missing_docs, reason = "the fields are those of lead_domain::Event, under the same names")]
pub enum EventV4 {
    ConsentChanged { visitor: u64, medium: Option<Text>, given: bool, at: i64 },
    NurtureStarted { lead: LeadV1, programme: Text, at: i64, interaction: Option<u64>, wait: WaitV4 },
    NurtureStepDue { lead: LeadV1, step: StepV4, expires_at: i64, passed_over: u16 },
    NurtureStepSuppressed { lead: LeadV1, step: StepV4, because: SuppressionV4 },
    NurtureStopped { lead: LeadV1, programme: Text, at: i64, because: NurtureEndV4 },
}

/// A step that was due.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct StepV4 {
    /// Of which programme.
    pub programme: Text,
    /// Its number, from 1.
    pub number: u16,
    /// What to send.
    pub template: Text,
    /// By which medium.
    pub medium: Option<Text>,
    /// The tenant's clock.
    pub at: i64,
    /// When it was due.
    pub due_at: i64,
    /// When the next one is due.
    pub wait: Option<WaitV4>,
}

/// When a step is due, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum WaitV4 {
    /// At this time.
    Until(i64),
    /// After so much quiet.
    Quiet(i64),
}

/// What a book keeps of nurturing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct NurtureV4 {
    /// What runs.
    pub runs: Vec<RunV4>,
    /// Time, programme, lead.
    pub begun: Vec<(i64, Text, LeadV1)>,
    /// Member, medium, time, whether given.
    pub consents: Vec<(u64, Option<Text>, i64, bool)>,
}

/// A programme under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct RunV4 {
    /// Its name.
    pub programme: Text,
    /// The lead.
    pub lead: LeadV1,
    /// When it began.
    pub started_at: i64,
    /// By which interaction.
    pub interaction: Option<u64>,
    /// The place of the next step.
    pub step: u16,
    /// When the step before it was stated.
    pub since: i64,
    /// When the next step is due.
    pub wait: WaitV4,
}

super::v1::mirrored! {
    /// `lead_domain::nurture::Suppression`.
    SuppressionV4 = lead_domain::nurture::Suppression { OptedOut, NoConsent, Expired, OtherRun }
}
super::v1::mirrored! {
    /// `lead_domain::nurture::NurtureEnd`.
    NurtureEndV4 = lead_domain::nurture::NurtureEnd { Finished, StopCondition, LeadClosed, PolicyChanged, Discredited }
}

impl From<Wait> for WaitV4 {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Until(at) => Self::Until(at.as_millis()),
            Wait::Quiet(period) => Self::Quiet(period.as_millis()),
        }
    }
}

impl From<WaitV4> for Wait {
    fn from(wait: WaitV4) -> Self {
        match wait {
            WaitV4::Until(at) => Self::Until(Time::from_millis(at)),
            WaitV4::Quiet(period) => Self::Quiet(Period::from_millis(period)),
        }
    }
}

impl From<&Nurture> for NurtureV4 {
    fn from(nurture: &Nurture) -> Self {
        let begun = |begun: &Begun| (begun.at.as_millis(), Text(begun.programme.clone()), stored_lead(begun.lead));
        let consent =
            |consent: &Consent| (consent.by.0, consent.medium.clone().map(Text), consent.at.as_millis(), consent.given);
        Self {
            runs: nurture.runs.iter().map(RunV4::from).collect(),
            begun: nurture.begun.iter().map(begun).collect(),
            consents: nurture.consents.iter().map(consent).collect(),
        }
    }
}

impl From<NurtureV4> for Nurture {
    fn from(nurture: NurtureV4) -> Self {
        let begun = |(at, programme, lead): (i64, Text, LeadV1)| Begun {
            at: Time::from_millis(at),
            programme: programme.0,
            lead: lead_id(lead),
        };
        let consent = |(by, medium, at, given): (u64, Option<Text>, i64, bool)| Consent {
            by: VisitorId(by),
            medium: medium.map(|medium| medium.0),
            at: Time::from_millis(at),
            given,
        };
        Self {
            runs: nurture.runs.into_iter().map(Run::from).collect(),
            begun: nurture.begun.into_iter().map(begun).collect(),
            consents: nurture.consents.into_iter().map(consent).collect(),
        }
    }
}

impl From<&Run> for RunV4 {
    fn from(run: &Run) -> Self {
        Self {
            programme: Text(run.programme.clone()),
            lead: stored_lead(run.lead),
            started_at: run.started_at.as_millis(),
            interaction: run.interaction.map(|id| id.0),
            step: run.step,
            since: run.since.as_millis(),
            wait: run.wait.into(),
        }
    }
}

impl From<RunV4> for Run {
    fn from(run: RunV4) -> Self {
        Self {
            programme: run.programme.0,
            lead: lead_id(run.lead),
            started_at: Time::from_millis(run.started_at),
            interaction: run.interaction.map(InteractionId),
            step: run.step,
            since: Time::from_millis(run.since),
            wait: run.wait.into(),
        }
    }
}

/// The stored form of an event about consent or a programme; `None` for those of other versions.
pub(super) fn stored(event: &Event) -> Option<EventV4> {
    // Version 1 names every event that it knows, so nothing is forgotten here.
    if let Event::ConsentChanged { visitor, medium, given, at } = event {
        let (medium, at) = (medium.clone().map(Text), at.as_millis());
        return Some(EventV4::ConsentChanged { visitor: visitor.0, medium, given: *given, at });
    }
    if let Event::NurtureStarted { lead, programme, at, interaction, wait } = event {
        let (lead, programme, at) = (stored_lead(*lead), Text(programme.clone()), at.as_millis());
        let (interaction, wait) = (interaction.map(|id| id.0), (*wait).into());
        return Some(EventV4::NurtureStarted { lead, programme, at, interaction, wait });
    }
    if let Event::NurtureStopped { lead, programme, at, because } = event {
        let (lead, programme, at) = (stored_lead(*lead), Text(programme.clone()), at.as_millis());
        return Some(EventV4::NurtureStopped { lead, programme, at, because: (*because).into() });
    }
    if let Event::NurtureStepDue {
        lead,
        programme,
        step,
        template,
        medium,
        at,
        due_at,
        wait,
        expires_at,
        passed_over,
    } = event
    {
        let step = StepV4 {
            programme: Text(programme.clone()),
            number: *step,
            template: Text(template.clone()),
            medium: medium.clone().map(Text),
            at: at.as_millis(),
            due_at: due_at.as_millis(),
            wait: wait.map(WaitV4::from),
        };
        let (lead, expires_at) = (stored_lead(*lead), expires_at.as_millis());
        return Some(EventV4::NurtureStepDue { lead, step, expires_at, passed_over: *passed_over });
    }
    if let Event::NurtureStepSuppressed { lead, programme, step, template, medium, at, due_at, wait, because } = event {
        let step = StepV4 {
            programme: Text(programme.clone()),
            number: *step,
            template: Text(template.clone()),
            medium: medium.clone().map(Text),
            at: at.as_millis(),
            due_at: due_at.as_millis(),
            wait: wait.map(WaitV4::from),
        };
        return Some(EventV4::NurtureStepSuppressed { lead: stored_lead(*lead), step, because: (*because).into() });
    }
    None
}

impl From<EventV4> for Event {
    fn from(event: EventV4) -> Self {
        match event {
            EventV4::ConsentChanged { visitor, medium, given, at } => Self::ConsentChanged {
                visitor: VisitorId(visitor),
                medium: medium.map(|medium| medium.0),
                given,
                at: Time::from_millis(at),
            },
            EventV4::NurtureStarted { lead, programme, at, interaction, wait } => Self::NurtureStarted {
                lead: lead_id(lead),
                programme: programme.0,
                at: Time::from_millis(at),
                interaction: interaction.map(InteractionId),
                wait: wait.into(),
            },
            EventV4::NurtureStepDue { lead, step, expires_at, passed_over } => Self::NurtureStepDue {
                lead: lead_id(lead),
                programme: step.programme.0,
                step: step.number,
                template: step.template.0,
                medium: step.medium.map(|medium| medium.0),
                at: Time::from_millis(step.at),
                due_at: Time::from_millis(step.due_at),
                expires_at: Time::from_millis(expires_at),
                passed_over,
                wait: step.wait.map(Wait::from),
            },
            EventV4::NurtureStepSuppressed { lead, step, because } => Self::NurtureStepSuppressed {
                lead: lead_id(lead),
                programme: step.programme.0,
                step: step.number,
                template: step.template.0,
                medium: step.medium.map(|medium| medium.0),
                at: Time::from_millis(step.at),
                due_at: Time::from_millis(step.due_at),
                because: Suppression::from(because),
                wait: step.wait.map(Wait::from),
            },
            EventV4::NurtureStopped { lead, programme, at, because } => Self::NurtureStopped {
                lead: lead_id(lead),
                programme: programme.0,
                at: Time::from_millis(at),
                because: NurtureEnd::from(because),
            },
        }
    }
}
