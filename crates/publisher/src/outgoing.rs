//! A lead event as it goes out: a CloudEvent, structured, in JSON.

use std::sync::Arc;

use bytes::Bytes;
use event_log::{Header, LogPosition};
use lead_domain::{Event, Time, VisitorId};
use proto_events::lead_event::{self, LeadEvent, Person, rfc3339};
use proto_events::stored::SignedHead;
use serde::Serialize;

use crate::person::is_stale;

/// The word for a signed head.
pub(crate) const HEAD_SIGNED: &str = "head_signed";

/// One lead event, ready to be sent. The same record gives the same bytes each time, but for a person erased meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The record's position and the event's place in it, from 0, such as `1042-0`: the same each time that the event
    /// is sent, and no other event's of the same log.
    pub id: String,
    /// The record that it stands in.
    pub position: LogPosition,
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// What happened, such as `lead_opened`.
    pub word: &'static str,
    /// The CloudEvent, to be sent as `application/cloudevents+json`.
    pub body: Bytes,
}

/// CloudEvents 1.0.2, with the recorded-time extension.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    recordedtime: String,
    leadfoldposition: String,
    datacontenttype: &'static str,
    data: LeadEvent,
}

impl OutgoingEvent {
    /// The `index`th event of a record, from 0.
    pub(crate) fn new(tenant: &Arc<str>, header: &Header, index: usize, event: &Event, whom: Option<Person>) -> Self {
        let mut data = LeadEvent::from(event);
        if let LeadEvent::NurtureStepDue { person, .. } = &mut data {
            *person = whom.map(Box::new);
        }
        Self::of(tenant, header, index, lead_event::name(event), subject(header, event), data)
    }

    /// A signed head of the log, as it goes to one of the tenants.
    pub(crate) fn head_signed(tenant: &Arc<str>, header: &Header, index: usize, head: &SignedHead) -> Self {
        let data = LeadEvent::HeadSigned { size: head.size, note: head.note.as_str().to_owned() };
        Self::of(tenant, header, index, HEAD_SIGNED, None, data)
    }

    #[expect(clippy::expect_used, reason = "texts and numbers always have a form in JSON")]
    fn of(
        tenant: &Arc<str>,
        header: &Header,
        index: usize,
        word: &'static str,
        subject: Option<String>,
        data: LeadEvent,
    ) -> Self {
        let id = format!("{}-{index}", header.position);
        let cloud_event = CloudEvent {
            specversion: "1.0",
            id: &id,
            source: format!("leadfold/{tenant}"),
            r#type: format!("leadfold.{word}.v1"),
            subject,
            time: rfc3339(Time::from_millis(header.occurred_at)),
            recordedtime: rfc3339(Time::from_millis(header.recorded_at)),
            leadfoldposition: header.position.to_string(),
            datacontenttype: "application/json",
            data,
        };
        let body = serde_json::to_vec(&cloud_event).expect("a lead event holds texts and numbers").into();
        Self { id, position: header.position, tenant: Arc::clone(tenant), word, body }
    }

    /// The subject to publish it under on NATS: `leadfold.out.<tenant>.<event>`. Senders of messages wait for
    /// `nurture-step-due`, the one name that has hyphens.
    #[must_use]
    pub fn nats_subject(&self) -> String {
        let word = if self.word == "nurture_step_due" { "nurture-step-due" } else { self.word };
        format!("leadfold.out.{}.{word}", self.tenant)
    }

    /// What a stream is to know it by when it comes again: the `Nats-Msg-Id`, the same each time. Others may publish to
    /// the stream, so it says whose number it is.
    #[must_use]
    pub fn nats_message_id(&self) -> String {
        format!("leadfold.out.{}", self.id)
    }
}

/// The events of one record as they go out, in order. `tenant` is the name of the record's tenant.
///
/// Steps of programmes that came too late don't go out; the others go without a person.
pub fn outgoing_events<'a>(
    tenant: &'a Arc<str>,
    header: &'a Header,
    events: &'a [Event],
) -> impl Iterator<Item = OutgoingEvent> + 'a {
    let timely = events.iter().enumerate().filter(|(_, event)| !is_stale(header.recorded_at, event));
    timely.map(move |(index, event)| OutgoingEvent::new(tenant, header, index, event, None))
}

/// The id of the lead that the event is about, or else of the visitor; of two the one that goes on.
fn subject(header: &Header, event: &Event) -> Option<String> {
    match event {
        Event::LeadOpened { lead, .. }
        | Event::CustomerLearned { lead, .. }
        | Event::InteractionAttached { lead, .. }
        | Event::InteractionMoved { to: lead, .. }
        | Event::ConversionRecorded { lead, .. }
        | Event::ConversionRepeated { lead, .. }
        | Event::ConversionWithdrawn { lead, .. }
        | Event::LeadClosed { lead, .. }
        | Event::LeadReopened { lead, .. }
        | Event::LeadTypeChanged { lead, .. }
        | Event::LeadAssigned { lead, .. }
        | Event::NoteAdded { lead }
        | Event::AttributesSet { lead, .. }
        | Event::InteractionCounted { lead, .. }
        | Event::InteractionsRecounted { lead, .. }
        | Event::InteractionDiscredited { lead, .. }
        | Event::ScoreChanged { lead, .. }
        | Event::TemperatureChanged { lead, .. }
        | Event::StageEntered { lead, .. }
        | Event::NurtureStarted { lead, .. }
        | Event::NurtureStepDue { lead, .. }
        | Event::NurtureStepSuppressed { lead, .. }
        | Event::NurtureStopped { lead, .. } => Some(lead.to_string()),
        Event::VisitorCreated { visitor }
        | Event::IdentifierLearned { visitor, .. }
        | Event::IdentifierMoved { to: visitor, .. }
        | Event::VisitorsMerged { survivor: visitor, .. }
        | Event::VisitorsUnmerged { survivor: visitor, .. }
        | Event::DuplicateSuspected { visitor, .. }
        | Event::DuplicateSettled { visitor, .. }
        | Event::VisitorErased { visitor, .. }
        | Event::ConsentChanged { visitor, .. } => Some(visitor.to_string()),
        Event::InteractionOrphaned { .. } => (header.visitor != 0).then(|| VisitorId(header.visitor).to_string()),
    }
}
