//! The thread that reads inputs: from bytes to what the engine can decide about.

use std::sync::mpsc::{Receiver, SyncSender};

use feed::segment;
use feed::{ClockCorrection, Entry, InteractionDecoder, Limits, NoTenant, Origin, TenantRules};
use lead_domain::TenantId;
use proto_events::cloud_event::{Fault, code};
use proto_events::command_document::CommandDocument;
use tokio::sync::mpsc;

use crate::command::{Asked, CommandError};
use crate::decide::{Decoded, Job, Step};
use crate::handle::{Inputs, Work};
use crate::input::{Form, RawInput, Reason};

/// Whose quarantine holds what arrived for a tenant that doesn't exist.
pub(crate) const NOBODY: TenantId = TenantId(0);

/// A decoder for the tenants of an engine.
pub(crate) struct DecoderSource {
    pub(crate) hash_key: [u8; 32],
    pub(crate) limits: Limits,
}

impl DecoderSource {
    pub(crate) fn decoder(&self, tenants: Vec<TenantRules>) -> Decoder {
        // An event that names no tenant, where the transport doesn't know one either, is nobody's.
        Decoder(InteractionDecoder::new(tenants, Some(NOBODY), self.hash_key, self.limits))
    }
}

/// Reads inputs until the queue is closed and empty.
///
/// After something that may change a policy it waits for the tenants' new rules: inputs behind it are read by them.
pub(crate) fn run(
    mut queue: mpsc::Receiver<Work>,
    jobs: &SyncSender<Job>,
    renewed: &Receiver<Vec<TenantRules>>,
    source: &DecoderSource,
    tenants: Vec<TenantRules>,
) {
    let mut decoder = source.decoder(tenants);
    while let Some(work) = queue.blocking_recv() {
        let job = match work {
            Work::Task(task) => Job::Task(task),
            Work::Inputs(inputs) => Job::Inputs(decoder.decode(inputs)),
            Work::Stop => return,
        };
        let may_change_policies = job.may_change_policies();
        if jobs.send(job).is_err() {
            return;
        }
        if may_change_policies {
            let Ok(rules) = renewed.recv() else { return };
            decoder = source.decoder(rules);
        }
    }
}

/// Reads inputs, whatever form they have.
pub(crate) struct Decoder(pub(crate) InteractionDecoder);

impl Decoder {
    fn decode(&mut self, inputs: Inputs) -> Decoded {
        let Inputs { inputs, fed, answer, room } = inputs;
        let received = inputs.last().map(|input| input.received_at);
        let mut steps = Vec::with_capacity(1);
        let mut entries: Vec<Entry> = Vec::with_capacity(inputs.len());
        for input in &inputs {
            if let Form::Command = &input.form {
                if !entries.is_empty() {
                    steps.push(Step::Entries(std::mem::take(&mut entries)));
                }
                steps.push(self.command(input));
            } else {
                match self.event(input) {
                    Ok(entry) => entries.push(entry),
                    // What has no tenant is nobody's, so this is out of reach.
                    Err(NoTenant { .. }) => debug_assert!(false, "an input without a tenant"),
                }
            }
        }
        if !entries.is_empty() {
            steps.push(Step::Entries(entries));
        }
        Decoded { steps, fed, received, answer, room }
    }

    fn tenant(&self, input: &RawInput) -> Option<TenantId> {
        input.tenant.as_ref().map(|name| self.0.tenant_named(name).unwrap_or(NOBODY))
    }

    fn event(&mut self, input: &RawInput) -> Result<Entry, NoTenant> {
        let origin = Origin {
            name: &input.origin,
            feed_sequence: input.feed_sequence,
            tenant: self.tenant(input),
            clock: ClockCorrection::Live,
        };
        let decoder = &mut self.0;
        match &input.form {
            Form::Structured | Form::Command => decoder.decode(&input.bytes, origin, input.received_at),
            Form::Binary { attributes, content_type } => {
                let attributes: Vec<(&str, &str)> =
                    attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let event = feed::BinaryEvent {
                    attributes: &attributes,
                    content_type: content_type.as_deref(),
                    data: &input.bytes,
                };
                decoder.decode_binary(&event, origin, input.received_at)
            }
            Form::Segment(Some(call)) => {
                decoder.decode_segment(&segment::Message::new(*call, &input.bytes), origin, input.received_at)
            }
            Form::Segment(None) => {
                match segment::read_batch(&input.bytes, 1).map(|batch| batch.messages.first().copied()) {
                    Ok(Some(message)) => decoder.decode_segment(&message, origin, input.received_at),
                    Ok(None) => {
                        let fault = Fault::new("batch", code::MISSING_FIELD, "The field is missing or empty.");
                        decoder.reject_input(&input.bytes, fault, origin, input.received_at)
                    }
                    Err(fault) => decoder.reject_input(&input.bytes, fault, origin, input.received_at),
                }
            }
        }
    }

    fn command(&mut self, input: &RawInput) -> Step {
        let tenant = self.tenant(input).unwrap_or(NOBODY);
        match CommandDocument::read(&input.bytes) {
            Ok(document) => {
                let (received_at, feed_sequence) = (input.received_at, input.feed_sequence);
                let tenant_name = input.tenant.clone();
                Step::Command(Box::new(Asked { tenant, tenant_name, received_at, feed_sequence, document }))
            }
            Err(faults) if input.feed_sequence == 0 => Step::Malformed(CommandError::Malformed { faults }),
            Err(faults) => self.quarantined(input, tenant, faults),
        }
    }

    /// A command of a feed that can't be read: kept, like an event.
    fn quarantined(&mut self, input: &RawInput, tenant: TenantId, faults: Vec<Fault>) -> Step {
        let origin = Origin {
            name: &input.origin,
            feed_sequence: input.feed_sequence,
            tenant: Some(tenant),
            clock: ClockCorrection::Live,
        };
        let fault =
            faults.into_iter().next().unwrap_or_else(|| Fault::new("", "malformed_command", "It can't be read."));
        match self.0.reject_input(&input.bytes, fault, origin, input.received_at) {
            Ok(entry) => Step::Entries(vec![entry]),
            Err(_) => Step::Entries(Vec::new()),
        }
    }
}

/// Why an entry could not be taken, if so.
pub(crate) fn reason(entry: &Entry) -> Option<Reason> {
    let Entry::Rejected(rejected) = entry else { return None };
    let facts = &rejected.facts;
    Some(Reason { code: facts.code.0.clone(), path: facts.path.0.clone(), message: facts.message_text.0.clone() })
}
