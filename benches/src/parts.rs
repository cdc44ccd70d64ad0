//! What the parts of the engine do by themselves, on records that the program has just written: reading and appending the
//! log, encoding and decoding, deciding and folding. One thread, in memory but for the log.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use event_log::{Batch, Chain, EventLog, Head, LogPosition};
use lead_domain::{Event, Input, InteractionId, Policy, Shelf, TenantId, Time, decide};
use proto_events::stored::{decode_facts, encode_events, encode_input};
use proto_events::{Facts, InputFacts, policy_document};
use rocks_store::{LogOptions, ReadOnlyLog, RocksLog};

/// Records that are held in memory for this.
const RECORDS_MAX: usize = 500_000;
/// Records of one append, about as many as the writer takes together under load.
const RECORDS_PER_APPEND: usize = 5_000;

/// Records or interactions a second.
pub(crate) struct Rates {
    pub(crate) scan: f64,
    pub(crate) append: f64,
    pub(crate) decode: f64,
    pub(crate) encode: f64,
    pub(crate) decide: f64,
    pub(crate) fold: f64,
}

/// A record as it is worked on here.
struct Held {
    position: u64,
    tenant: TenantId,
    at: Time,
    codec: u8,
    facts: Vec<u8>,
    /// All of its bytes.
    whole: Vec<u8>,
}

/// Measures the parts on the log of a data folder.
pub(crate) fn measure(data: &Path, folder: &Path) -> anyhow::Result<Rates> {
    // A log leaves a mark beside its folder, so each has a place of its own.
    let own = tempfile::tempdir_in(folder).context("cannot make a temporary folder")?;
    let (held, chains, scan) = read(data)?;
    let append = append(&held, &chains, &own.path().join("log"))?;
    let started = Instant::now();
    let decoded: Vec<Facts> =
        held.iter().map(|record| decode_facts(record.codec, &record.facts)).collect::<Result<_, _>>()?;
    let decode = per_second(held.len(), started);
    let started = Instant::now();
    let (mut out, mut bytes) = (Vec::new(), 0);
    for facts in &decoded {
        out.clear();
        encode_input(&facts.input, &mut out);
        encode_events(&facts.events, &mut out);
        bytes += out.len();
    }
    let encode = per_second(held.len(), started);
    ensure!(bytes > 0, "the log is empty");
    let decide = decide_all(&held, &decoded)?;
    let mut shelf = Shelf::default();
    let started = Instant::now();
    for (record, facts) in held.iter().zip(&decoded) {
        evolve(&mut shelf, record.tenant, &facts.events);
    }
    let fold = per_second(held.len(), started);
    Ok(Rates { scan, append, decode, encode, decide, fold })
}

fn per_second(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

fn evolve(shelf: &mut Shelf, tenant: TenantId, events: &[Event]) {
    for event in events {
        shelf.evolve(tenant, event);
    }
}

/// The first records with the chain behind each, and how many a second are read and chained.
fn read(data: &Path) -> anyhow::Result<(Vec<Held>, Vec<Chain>, f64)> {
    let log = ReadOnlyLog::open(&data.join("log"), &LogOptions::default()).context("cannot open the log")?;
    let (mut chain, mut fault) = (Chain::default(), None);
    let started = Instant::now();
    let last = log.read(LogPosition(1), &mut |record| match record.follows(record.header.position, chain) {
        Ok(()) => {
            chain = record.chain;
            ControlFlow::Continue(())
        }
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = fault {
        return Err(error).context("the log is damaged");
    }
    let scan = last.0 as f64 / started.elapsed().as_secs_f64();
    let (mut held, mut chains) = (Vec::new(), Vec::new());
    log.read(LogPosition(1), &mut |record| {
        held.push(Held {
            position: record.header.position.0,
            tenant: TenantId(record.header.tenant),
            at: Time::from_millis(record.header.occurred_at),
            codec: record.header.codec,
            facts: record.facts.to_vec(),
            whole: Vec::new(),
        });
        chains.push(record.chain);
        if held.len() < RECORDS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for record in &mut held {
        record.whole = log.get(LogPosition(record.position))?.context("a record is missing")?;
    }
    Ok((held, chains, scan))
}

/// Appends the records as they are to an empty log, durable batch by batch.
fn append(held: &[Held], chains: &[Chain], folder: &Path) -> anyhow::Result<f64> {
    let log = RocksLog::open(folder, &LogOptions::default()).context("cannot make a log")?;
    let mut head = Head::default();
    let mut batches = Vec::new();
    for (records, chains) in held.chunks(RECORDS_PER_APPEND).zip(chains.chunks(RECORDS_PER_APPEND)) {
        let mut batch = Batch::after(head);
        for record in records {
            batch.bytes.extend_from_slice(&record.whole);
            batch.ends.push(batch.bytes.len());
        }
        batch.chain = *chains.last().context("a batch has records")?;
        head = batch.head();
        batches.push(batch);
    }
    let started = Instant::now();
    for batch in &batches {
        log.append(batch)?;
    }
    Ok(per_second(held.len(), started))
}

/// Decides about the interactions again, each on the books as they were then. What else is recorded is folded.
fn decide_all(held: &[Held], decoded: &[Facts]) -> anyhow::Result<f64> {
    let (mut shelf, mut attributes, mut events) = (Shelf::default(), Vec::new(), Vec::new());
    let mut policy: Option<Policy> = None;
    let (mut interactions, mut decided) = (0, 0);
    let started = Instant::now();
    for (record, facts) in held.iter().zip(decoded) {
        let InputFacts::Interaction(interaction) = &facts.input else {
            if let InputFacts::Policy(adopted) = &facts.input {
                let read = policy_document::read(&adopted.document, policy.as_ref()).ok();
                let mut read = read.context("the recorded policy can't be read")?.policy;
                read.version = adopted.version;
                policy = Some(read);
            }
            evolve(&mut shelf, record.tenant, &facts.events);
            continue;
        };
        let policy = policy.as_ref().context("the log begins without a policy")?;
        let input =
            Input::Interaction(InteractionId(record.position), interaction.as_decided(record.at, &mut attributes));
        events.clear();
        decide(policy, record.tenant, &mut shelf, &input, &mut events)?;
        interactions += 1;
        decided += usize::from(events == facts.events);
    }
    let rate = per_second(interactions, started);
    ensure!(decided == interactions, "{} decisions differ from the recorded ones", interactions - decided);
    Ok(rate)
}
