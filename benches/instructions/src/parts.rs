//! The parts whose instructions are counted: what every interaction costs, without I/O.
//!
//! Each has a function `measured_…` whose body is the work and nothing else; Callgrind counts while one of them runs.

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use feed::{ClockCorrection, Entry, InteractionDecoder, InteractionEntry, Limits, Origin, TenantRules};
use lead_domain::{Event, Input, InteractionId, Policy, Shelf, TenantId, Time, decide};
use proto_events::stored::{decode_facts, encode_events, encode_interaction};
use proto_events::{CODEC, Facts, policy_document};

const TENANT: TenantId = TenantId(1);
/// Any key will do; a fixed one gives the same hashes every time.
const HASH_KEY: [u8; 32] = [7; 32];
/// The year 2033 in milliseconds: behind all of the traffic.
const RECEIVED_AT: Time = Time::from_millis(2_000_000_000_000);

/// A part of the work on an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A CloudEvent is read, checked, normalised and its identifiers are hashed.
    DecodeEvent,
    /// It is decided about: visitor, lead, score, and what follows.
    Decide,
    /// What was decided is folded into books.
    Fold,
    /// Input and events become the bytes of a record.
    EncodeRecord,
    /// The bytes of a record become input and events.
    DecodeRecord,
}

impl Part {
    pub(crate) const ALL: [Self; 5] =
        [Self::DecodeEvent, Self::Decide, Self::Fold, Self::EncodeRecord, Self::DecodeRecord];

    /// The name on the command line and in the file of expected counts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DecodeEvent => "decode-event",
            Self::Decide => "decide",
            Self::Fold => "fold",
            Self::EncodeRecord => "encode-record",
            Self::DecodeRecord => "decode-record",
        }
    }

    /// The function in which instructions count.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::DecodeEvent => "measured_decode_event",
            Self::Decide => "measured_decide",
            Self::Fold => "measured_fold",
            Self::EncodeRecord => "measured_encode_record",
            Self::DecodeRecord => "measured_decode_record",
        }
    }
}

/// Does a part of the work on the traffic; returns for how many interactions.
pub(crate) fn run(part: Part, traffic: &str, policy: &str) -> anyhow::Result<usize> {
    let document =
        policy_document::read(policy, None).ok().context("the policy has faults; see `leadfold policy check`")?;
    let policy = &document.policy;
    let mut decoder = InteractionDecoder::new(vec![rules(&document)], Some(TENANT), HASH_KEY, Limits::default());
    let lines: Vec<&str> = traffic.lines().collect();
    let entries = measured_decode_event(&mut decoder, &lines)?;
    let count = entries.len();
    ensure!(count > 0, "the traffic is empty");
    if part == Part::DecodeEvent {
        return Ok(count);
    }
    let decided = measured_decide(policy, &entries)?;
    let encoded = measured_encode_record(&entries, &decided);
    match part {
        Part::DecodeEvent | Part::Decide | Part::EncodeRecord => {}
        Part::Fold => {
            let shelf = measured_fold(&decided);
            ensure!(shelf.last_visitor().0 > 0, "nobody came of the traffic");
        }
        Part::DecodeRecord => {
            let decoded = measured_decode_record(&encoded)?;
            ensure!(decoded.iter().map(|facts| &facts.events).eq(&decided), "what was decoded is not what was encoded");
        }
    }
    Ok(count)
}

fn rules(document: &policy_document::PolicyDocument) -> TenantRules {
    let policy = &document.policy;
    TenantRules {
        id: TENANT,
        name: policy.tenant.clone(),
        phone_region: document.phone_region.clone(),
        blocked_identifiers: document.blocked_identifiers.clone(),
        tested_attributes: policy.tested_attributes(),
        sealed_tests: policy.sealed_tests(),
        currency: policy.currency,
    }
}

#[inline(never)]
fn measured_decode_event(decoder: &mut InteractionDecoder, lines: &[&str]) -> anyhow::Result<Vec<InteractionEntry>> {
    let mut entries = Vec::with_capacity(lines.len());
    for line in lines {
        let origin = Origin { name: "traffic", feed_sequence: 0, tenant: None, clock: ClockCorrection::History };
        match decoder.decode(line.as_bytes(), origin, RECEIVED_AT) {
            Ok(Entry::Interaction(entry)) => entries.push(*entry),
            Ok(Entry::Rejected(_)) | Err(_) => bail!("the traffic has events that can't be taken"),
        }
    }
    Ok(entries)
}

#[inline(never)]
fn measured_decide(policy: &Policy, entries: &[InteractionEntry]) -> anyhow::Result<Vec<Vec<Event>>> {
    let (mut shelf, mut attributes) = (Shelf::default(), Vec::new());
    let mut decided = Vec::with_capacity(entries.len());
    for (position, entry) in (1..).zip(entries) {
        let input =
            Input::Interaction(InteractionId(position), entry.facts.as_decided(entry.occurred_at, &mut attributes));
        let mut events = Vec::new();
        decide(policy, TENANT, &mut shelf, &input, &mut events)?;
        decided.push(events);
    }
    Ok(decided)
}

#[inline(never)]
fn measured_fold(decided: &[Vec<Event>]) -> Shelf {
    let mut shelf = Shelf::default();
    for event in decided.iter().flatten() {
        shelf.evolve(TENANT, event);
    }
    shelf
}

/// The bytes of all records, and where each ends.
struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

#[inline(never)]
fn measured_encode_record(entries: &[InteractionEntry], decided: &[Vec<Event>]) -> Encoded {
    let mut encoded = Encoded { bytes: Vec::new(), ends: Vec::with_capacity(entries.len()) };
    for (entry, events) in entries.iter().zip(decided) {
        encode_interaction(&entry.facts, &mut encoded.bytes);
        encode_events(events, &mut encoded.bytes);
        encoded.ends.push(encoded.bytes.len());
    }
    encoded
}

#[inline(never)]
fn measured_decode_record(encoded: &Encoded) -> anyhow::Result<Vec<Facts>> {
    let mut decoded = Vec::with_capacity(encoded.ends.len());
    let mut start = 0;
    for end in &encoded.ends {
        decoded.push(decode_facts(CODEC, encoded.bytes.get(start..*end).unwrap_or_default())?);
        start = *end;
    }
    Ok(decoded)
}
