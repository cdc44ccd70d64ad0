//! The table of events: what was decided, with the figures that an event carries.

use event_log::Header;
use lead_domain::event::AfterUnmerge;
use lead_domain::nurture::Suppression;
use lead_domain::{Event, IdentifierKind, InteractionId, LeadId, Money, Period, Time, VisitorId};
use proto_events::lead_event;

use crate::lead::lead_key;
use crate::table::columns::{Amounts, Flags, Ids, Instants, Numbers, Words, table};

table! {
    /// Events, filled row by row.
    LeadEventColumns {
        position: Numbers = "The place of its record in the log.",
        index: Numbers = "Its place in the record, from 0.",
        tenant: Words = "Whose.",
        event: Words = "Its word, such as lead_opened.",
        lead_id: Ids = "The lead, such as V42-1; of a move, the one that has the interaction now.",
        visitor_id: Ids = "The visitor of the record, or whom the event is about, such as V42.",
        interaction_id: Ids = "The interaction, such as I1042.",
        at: Instants = "When it happened.",
        recorded_at: Instants = "When it was recorded.",
        lead_type: Words = "Of an opening, and of a change of lead type the new one.",
        from_lead_type: Words = "The lead type before a change.",
        amount: Amounts = "What was paid or taken back, in minor units.",
        currency: Words = "The currency of the amount.",
        rgus: Amounts = "Units sold or taken back.",
        close_cause: Words = "How the lead ended.",
        close_reason: Words = "The operator's reason.",
        reason: Words = "Why a lead took an interaction or goes on, why no lead took it, why nothing should be sent or a programme ended.",
        owner: Words = "The operator whom the lead was given to.",
        score: Amounts = "All points of the lead from then on.",
        temperature: Words = "What the lead became: cold, warm or hot.",
        from_temperature: Words = "What it was before.",
        stage: Words = "The stage of the funnel that it entered.",
        from_stage: Words = "The stage before.",
        stayed_ms: Amounts = "How many milliseconds it was in the stage before.",
        programme: Words = "The nurture programme.",
        step: Amounts = "The number of its step, from 1.",
        template: Words = "What should be sent.",
        medium: Words = "By which medium.",
        consent: Flags = "Whether the visitor wants to hear from us.",
        deadline: Instants = "When the lead closes from now on unless something happens.",
        other_lead_id: Ids = "Where a moved interaction was; the lead that a repeated order had counted for.",
        other_visitor_id: Ids = "Who was merged, restored, suspected, or had the identifier before.",
        identifier: Words = "The kind of identifier.",
        keeps_apart: Flags = "Whether two visitors that were taken apart may not merge again by themselves.",
        operator: Words = "Who asked, where an operator did.",
        policy_version: Numbers = "The tenant's policy when it was decided.",
        _visitor: Numbers = "The number in visitor_id, for Leadfold itself: read faster than the text.",
        _lead: Numbers = "The lead's number, for Leadfold itself: that of its visitor times 2^20, plus its own.",
    }
}

/// What is said of all events of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) header: &'a Header,
    pub(crate) tenant: &'a str,
    pub(crate) operator: Option<&'a str>,
    pub(crate) policy_version: u32,
}

/// What an event says; most of it is empty for most.
#[derive(Clone, Copy, Debug, Default)]
struct Said<'a> {
    lead: Option<LeadId>,
    visitor: Option<VisitorId>,
    interaction: Option<InteractionId>,
    at: Option<Time>,
    lead_type: Option<&'a str>,
    from_lead_type: Option<&'a str>,
    value: Option<Money>,
    rgus: Option<u32>,
    close_cause: Option<&'static str>,
    close_reason: Option<&'a str>,
    reason: Option<&'static str>,
    owner: Option<&'a str>,
    score: Option<i32>,
    temperature: Option<&'static str>,
    from_temperature: Option<&'static str>,
    stage: Option<&'a str>,
    from_stage: Option<&'a str>,
    stayed: Option<Period>,
    programme: Option<&'a str>,
    step: Option<u16>,
    template: Option<&'a str>,
    medium: Option<&'a str>,
    consent: Option<bool>,
    deadline: Option<Time>,
    other_lead: Option<LeadId>,
    other_visitor: Option<VisitorId>,
    identifier: Option<IdentifierKind>,
    keeps_apart: bool,
}

/// What an event about a visitor says.
fn said_of_visitor<'a>(event: &'a Event) -> Option<Said<'a>> {
    let about = |visitor: VisitorId| Said { visitor: Some(visitor), ..Said::default() };
    let pair = |visitor: VisitorId, other: VisitorId| Said { other_visitor: Some(other), ..about(visitor) };
    Some(match event {
        Event::VisitorCreated { visitor } => about(*visitor),
        Event::IdentifierLearned { visitor, identifier } => {
            Said { identifier: Some(identifier.kind), ..about(*visitor) }
        }
        Event::IdentifierMoved { identifier, from, to } => {
            Said { identifier: Some(identifier.kind), ..pair(*to, *from) }
        }
        Event::VisitorsMerged { survivor, absorbed } => pair(*survivor, *absorbed),
        Event::VisitorsUnmerged { survivor, restored, afterwards } => {
            Said { keeps_apart: *afterwards == AfterUnmerge::KeepApart, ..pair(*survivor, *restored) }
        }
        Event::DuplicateSuspected { visitor, other, identifier } => {
            Said { identifier: Some(identifier.kind), ..pair(*visitor, *other) }
        }
        Event::DuplicateSettled { visitor, other } => pair(*visitor, *other),
        Event::ConsentChanged { visitor, medium, given, at } => {
            Said { medium: medium.as_deref(), consent: Some(*given), at: Some(*at), ..about(*visitor) }
        }
        Event::VisitorErased { visitor, .. } => about(*visitor),
        Event::LeadOpened { .. }
        | Event::CustomerLearned { .. }
        | Event::InteractionAttached { .. }
        | Event::InteractionOrphaned { .. }
        | Event::InteractionMoved { .. }
        | Event::ConversionRecorded { .. }
        | Event::ConversionRepeated { .. }
        | Event::ConversionWithdrawn { .. }
        | Event::LeadClosed { .. }
        | Event::LeadReopened { .. }
        | Event::LeadTypeChanged { .. }
        | Event::LeadAssigned { .. }
        | Event::NoteAdded { .. }
        | Event::AttributesSet { .. }
        | Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. } => return None,
    })
}

/// What an event about a lead's score and what follows from it says.
fn said_of_score<'a>(event: &'a Event) -> Option<Said<'a>> {
    if let Event::InteractionCounted { interaction, at, .. } = event {
        return Some(Said { interaction: Some(*interaction), at: Some(*at), ..Said::default() });
    }
    if let Event::InteractionDiscredited { interaction, at, because, .. } = event {
        let (interaction, reason) = (Some(*interaction), Some(because.code()));
        return Some(Said { interaction, at: Some(*at), reason, ..Said::default() });
    }
    if let Event::ScoreChanged { at, because, score, .. } = event {
        let (reason, score) = (Some(because.code()), Some(score.total));
        return Some(Said { at: Some(*at), reason, score, ..Said::default() });
    }
    if let Event::TemperatureChanged { at, from, to, score, .. } = event {
        let (temperature, from_temperature) = (Some(to.code()), Some(from.code()));
        return Some(Said { at: Some(*at), score: Some(*score), temperature, from_temperature, ..Said::default() });
    }
    if let Event::StageEntered { at, stage, from, stayed, .. } = event {
        let (stage, from_stage) = (Some(stage.as_str()), from.as_deref());
        return Some(Said { at: Some(*at), stage, from_stage, stayed: *stayed, ..Said::default() });
    }
    None
}

/// What an event about a nurture programme says.
fn said_of_nurture<'a>(event: &'a Event) -> Option<Said<'a>> {
    if let Event::NurtureStarted { programme, at, interaction, .. } = event {
        let (interaction, at, programme) = (*interaction, Some(*at), Some(programme.as_str()));
        return Some(Said { interaction, at, programme, ..Said::default() });
    }
    if let Event::NurtureStepDue { programme, step, template, medium, at, .. }
    | Event::NurtureStepSuppressed { programme, step, template, medium, at, .. } = event
    {
        let suppressed = if let Event::NurtureStepSuppressed { because, .. } = event { Some(*because) } else { None };
        let reason = suppressed.map(Suppression::code);
        let (programme, template) = (Some(programme.as_str()), Some(template.as_str()));
        let (medium, step) = (medium.as_deref(), Some(*step));
        return Some(Said { at: Some(*at), reason, programme, step, template, medium, ..Said::default() });
    }
    if let Event::NurtureStopped { programme, at, because, .. } = event {
        let (reason, programme) = (Some(because.code()), Some(programme.as_str()));
        return Some(Said { at: Some(*at), reason, programme, ..Said::default() });
    }
    None
}

/// What any other event about a lead says, beyond the lead.
fn said_of_lead<'a>(event: &'a Event) -> Said<'a> {
    match event {
        Event::LeadOpened { visitor, lead_type, at, deadline, .. } => Said {
            visitor: Some(*visitor),
            lead_type: Some(lead_type),
            at: Some(*at),
            deadline: Some(*deadline),
            ..Said::default()
        },
        Event::InteractionAttached { interaction, occurred_at, because, deadline, .. } => Said {
            interaction: Some(*interaction),
            at: Some(*occurred_at),
            reason: Some(lead_event::attach_reason(*because)),
            deadline: Some(*deadline),
            ..Said::default()
        },
        Event::InteractionOrphaned { interaction, reason } => {
            Said { interaction: Some(*interaction), reason: Some(reason.code()), ..Said::default() }
        }
        Event::InteractionMoved { interaction, occurred_at, from, to, to_deadline, .. } => Said {
            lead: Some(*to),
            interaction: Some(*interaction),
            at: Some(*occurred_at),
            other_lead: Some(*from),
            deadline: Some(*to_deadline),
            ..Said::default()
        },
        Event::ConversionRecorded { interaction, at, value, rgus, .. } => {
            Said { interaction: *interaction, at: Some(*at), value: *value, rgus: Some(*rgus), ..Said::default() }
        }
        Event::ConversionRepeated { counted_for, .. } => Said { other_lead: Some(*counted_for), ..Said::default() },
        Event::ConversionWithdrawn { at, value, rgus, .. } => {
            Said { at: Some(*at), value: *value, rgus: Some(*rgus), ..Said::default() }
        }
        Event::LeadClosed { cause, at, reason, .. } => {
            Said { close_cause: Some(cause.code()), close_reason: reason.as_deref(), at: Some(*at), ..Said::default() }
        }
        Event::LeadReopened { at, because, deadline, .. } => Said {
            at: Some(*at),
            reason: Some(lead_event::reopen_reason(*because)),
            deadline: Some(*deadline),
            ..Said::default()
        },
        Event::LeadTypeChanged { from, to, deadline, .. } => {
            Said { from_lead_type: Some(from), lead_type: Some(to), deadline: Some(*deadline), ..Said::default() }
        }
        Event::LeadAssigned { owner, .. } => Said { owner: owner.as_deref(), ..Said::default() },
        Event::CustomerLearned { .. }
        | Event::NoteAdded { .. }
        | Event::AttributesSet { .. }
        | Event::VisitorCreated { .. }
        | Event::IdentifierLearned { .. }
        | Event::IdentifierMoved { .. }
        | Event::VisitorsMerged { .. }
        | Event::VisitorsUnmerged { .. }
        | Event::DuplicateSuspected { .. }
        | Event::DuplicateSettled { .. }
        | Event::VisitorErased { .. }
        | Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::ConsentChanged { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. } => Said::default(),
    }
}

impl LeadEventColumns {
    pub(crate) fn push(&mut self, decided: &Decided<'_>, index: u64, event: &Event) {
        let said = said_of_visitor(event).or_else(|| said_of_score(event)).or_else(|| said_of_nurture(event));
        let said = said.unwrap_or_else(|| said_of_lead(event));
        let header = decided.header;
        let recorded_for = (header.visitor != 0).then_some(VisitorId(header.visitor));
        self.position.push(header.position.0);
        self.index.push(index);
        self.tenant.push(Some(decided.tenant));
        self.event.push(Some(lead_event::name(event)));
        let (lead, visitor) = (said.lead.or_else(|| event.leads().first().copied()), said.visitor.or(recorded_for));
        self.lead_id.push(lead);
        self.visitor_id.push(visitor);
        self._lead.push(lead.and_then(lead_key));
        self._visitor.push(visitor.map(|visitor| visitor.0));
        self.interaction_id.push(said.interaction);
        self.at.push(said.at.map_or(header.occurred_at, Time::as_millis));
        self.recorded_at.push(header.recorded_at);
        self.push_figures(&said);
        self.other_lead_id.push(said.other_lead);
        self.other_visitor_id.push(said.other_visitor);
        self.identifier.push(said.identifier.map(IdentifierKind::name));
        self.keeps_apart.push(said.keeps_apart);
        self.operator.push(decided.operator);
        self.policy_version.push(u64::from(decided.policy_version));
    }

    fn push_figures(&mut self, said: &Said<'_>) {
        self.lead_type.push(said.lead_type);
        self.from_lead_type.push(said.from_lead_type);
        self.amount.push(said.value.map(|value| value.amount));
        self.currency.push(said.value.as_ref().map(|value| value.currency.code()));
        self.rgus.push(said.rgus.map(i64::from));
        self.close_cause.push(said.close_cause);
        self.close_reason.push(said.close_reason);
        self.reason.push(said.reason);
        self.owner.push(said.owner);
        self.score.push(said.score.map(i64::from));
        self.temperature.push(said.temperature);
        self.from_temperature.push(said.from_temperature);
        self.stage.push(said.stage);
        self.from_stage.push(said.from_stage);
        self.stayed_ms.push(said.stayed.map(Period::as_millis));
        self.programme.push(said.programme);
        self.step.push(said.step.map(i64::from));
        self.template.push(said.template);
        self.medium.push(said.medium);
        self.consent.push(said.consent);
        self.deadline.push(said.deadline.map(Time::as_millis));
    }
}
