//! The thread that encodes, chains, seals and appends what was decided, so that deciding goes on while the disk works.
//!
//! It takes whatever is queued when it gets free, in one append: no timer delays a lone client, and a busy feed shares one
//! sync among thousands of records. After any failure it stops for good, because what is durable is unknown then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::{Batch, Chain, Head, Header, Record, RecordKind};
use key_vault::{KeySlot, SEAL_OVERHEAD, SubjectKey, VaultError};
use lead_domain::Time;
use proto_events::CODEC;
use proto_events::stored::encode_events;
use rustc_hash::FxHashMap;

use crate::batch::{FreshBatch, Pending, PendingBatch};
use crate::error::EngineError;
use crate::options::{Clock, Parts};

/// How many decided batches may wait. With those of some thousand records this keeps the writer busy, in some 10 MiB.
const BATCHES_QUEUED_MAX: usize = 3;
/// No append is larger, unless a single batch is.
const APPEND_BYTES_MAX: usize = 4 << 20;
/// How many keys stay in memory, at some 100 bytes each: as many as books do.
const KEYS_MAX: usize = 250_000;

enum Order {
    Write(PendingBatch),
    /// Answer once everything before is durable.
    Flush(SyncSender<Result<(), EngineError>>),
    /// Let go of these keys.
    Forget(Vec<u64>),
    /// From here on, hand over what has become durable, or stop doing so.
    Follow(Option<Follower>),
}

/// Who gets what has become durable.
enum Follower {
    /// One for whom the writer waits.
    Awaited(SyncSender<Vec<FreshBatch>>),
    /// One that misses what it has no room for.
    Loose(LooseFollower),
}

struct LooseFollower {
    records: Sender<Vec<FreshBatch>>,
    /// Records that were sent and not yet taken.
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Follower {
    /// Hands over; `false` when nobody follows any more.
    fn hand_over(&self, fresh: Vec<FreshBatch>) -> bool {
        match self {
            Self::Awaited(sender) => sender.send(fresh).is_ok(),
            Self::Loose(LooseFollower { records, waiting, waiting_max }) => {
                let count: usize = fresh.iter().map(FreshBatch::len).sum();
                if waiting.load(Ordering::Acquire).saturating_add(count) > *waiting_max {
                    return true;
                }
                waiting.fetch_add(count, Ordering::AcqRel);
                records.send(fresh).is_ok()
            }
        }
    }
}

/// What has become durable, for a follower that may miss some of it.
pub struct FreshRecords {
    records: Receiver<Vec<FreshBatch>>,
    waiting: Arc<AtomicUsize>,
}

impl FreshRecords {
    /// The next appends, waiting for them at most so long.
    ///
    /// # Errors
    /// When nothing came, or nothing can come any more.
    pub fn next(&self, limit: Duration) -> Result<Vec<FreshBatch>, RecvTimeoutError> {
        let fresh = self.records.recv_timeout(limit)?;
        self.waiting.fetch_sub(fresh.iter().map(FreshBatch::len).sum(), Ordering::AcqRel);
        Ok(fresh)
    }
}

/// The handle of the writer thread.
pub(crate) struct Writer {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread behind a log that ends at `head`, whose last record was recorded at `recorded_at`.
    pub(crate) fn start(parts: Parts, clock: Clock, head: Head, recorded_at: Time) -> Self {
        let (orders, receiver) = sync_channel(BATCHES_QUEUED_MAX);
        let failed = Arc::new(AtomicBool::new(false));
        let scribe = Scribe {
            failed: Arc::clone(&failed),
            parts,
            clock,
            head,
            recorded_at,
            keys: FxHashMap::default(),
            facts: Vec::new(),
            personal: Vec::new(),
            batch: Batch::default(),
            follower: None,
            fresh: Vec::new(),
        };
        let thread = std::thread::spawn(move || scribe.run(&receiver));
        Self { orders: Some(orders), thread: Some(thread), failed }
    }

    /// Turns true when writing has failed; [`Writer::flush`] has the reason.
    pub(crate) fn failed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.failed)
    }

    /// Queues a batch; waits while the queue is full.
    pub(crate) fn write(&self, batch: PendingBatch) -> Result<(), EngineError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.send(Order::Write(batch))
    }

    /// Returns once everything queued so far is durable.
    pub(crate) fn flush(&self) -> Result<(), EngineError> {
        let (answer, durable) = sync_channel(1);
        self.send(Order::Flush(answer))?;
        durable.recv().unwrap_or(Err(EngineError::WriterStopped))
    }

    /// Hands over every record from here on, once it is durable. A follower that doesn't keep up delays the writer; one
    /// that has gone doesn't.
    pub(crate) fn follow(&self, appends_queued_max: usize) -> Result<Receiver<Vec<FreshBatch>>, EngineError> {
        let (sender, records) = sync_channel(appends_queued_max);
        self.send(Order::Follow(Some(Follower::Awaited(sender))))?;
        Ok(records)
    }

    /// Hands over every record from here on, once it is durable, as long as no more than so many wait to be taken. One
    /// that doesn't keep up misses appends, and finds them in the log.
    pub(crate) fn follow_loosely(&self, waiting_max: usize) -> Result<FreshRecords, EngineError> {
        let (sender, records) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let follower = LooseFollower { records: sender, waiting: Arc::clone(&waiting), waiting_max };
        self.send(Order::Follow(Some(Follower::Loose(follower))))?;
        Ok(FreshRecords { records, waiting })
    }

    /// Lets go of keys that were destroyed.
    pub(crate) fn forget(&self, keys: Vec<u64>) -> Result<(), EngineError> {
        self.send(Order::Forget(keys))
    }

    /// Ends [`Writer::follow`].
    pub(crate) fn unfollow(&self) -> Result<(), EngineError> {
        self.send(Order::Follow(None))
    }

    fn send(&self, order: Order) -> Result<(), EngineError> {
        let orders = self.orders.as_ref().ok_or(EngineError::WriterStopped)?;
        orders.send(order).map_err(|_| EngineError::WriterStopped)
    }
}

impl Drop for Writer {
    /// Lets the thread finish what is queued, so that nobody opens the folder again before it is released.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to say; its panic was printed.
            let _ = thread.join();
        }
    }
}

struct Scribe {
    failed: Arc<AtomicBool>,
    parts: Parts,
    clock: Clock,
    head: Head,
    recorded_at: Time,
    keys: FxHashMap<u64, SubjectKey>,
    /// Encoded facts and personal part of the record under way.
    facts: Vec<u8>,
    personal: Vec<u8>,
    batch: Batch,
    follower: Option<Follower>,
    /// What the follower gets after the append under way.
    fresh: Vec<FreshBatch>,
}

impl Scribe {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut failed: Option<EngineError> = None;
        let mut next = orders.recv().ok();
        while let Some(order) = next {
            match order {
                Order::Write(batch) if failed.is_none() => {
                    let mut behind = None;
                    if let Err(error) = self.write_queued(batch, orders, &mut behind) {
                        tracing::error!(%error, "writing to the log failed; nothing more is taken");
                        failed = Some(error);
                        self.failed.store(true, Ordering::Release);
                        // It must not wait for records that never come.
                        self.follower = None;
                    }
                    next = behind.or_else(|| orders.recv().ok());
                    continue;
                }
                Order::Write(_) => {}
                Order::Follow(follower) => self.follower = follower,
                Order::Forget(keys) => self.keys.retain(|number, _| !keys.contains(number)),
                Order::Flush(answer) => {
                    let result = failed.take().map_or(Ok(()), Err);
                    let stop = result.is_err();
                    // Who asked may have gone; that changes nothing.
                    let _ = answer.send(result);
                    if stop {
                        return;
                    }
                }
            }
            next = orders.recv().ok();
        }
    }

    /// Writes the batch and whatever else is queued. The order that ended the queue is put `behind`, also when writing
    /// fails: somebody may be waiting for its answer.
    fn write_queued(
        &mut self,
        first: PendingBatch,
        orders: &Receiver<Order>,
        behind: &mut Option<Order>,
    ) -> Result<(), EngineError> {
        self.batch.bytes.clear();
        self.batch.ends.clear();
        self.batch.meta.clear();
        self.batch.after = self.head.position;
        self.batch.chain = self.head.chain;
        self.recorded_at = self.recorded_at.max(self.clock.now());
        self.encode(first)?;
        while self.batch.bytes.len() < APPEND_BYTES_MAX {
            match orders.try_recv() {
                Ok(Order::Write(batch)) => self.encode(batch)?,
                Ok(order @ (Order::Flush(_) | Order::Follow(_) | Order::Forget(_))) => {
                    *behind = Some(order);
                    break;
                }
                Err(_) => break,
            }
        }
        // Keys must be durable before the first record that is sealed with them.
        self.parts.vault.sync()?;
        self.parts.log.append(&self.batch)?;
        self.head = self.batch.head();
        self.hand_over();
        Ok(())
    }

    /// Gives the follower what has just become durable.
    fn hand_over(&mut self) {
        let Some(follower) = &self.follower else { return };
        if !follower.hand_over(std::mem::take(&mut self.fresh)) {
            self.follower = None;
        }
    }

    fn encode(&mut self, pending: PendingBatch) -> Result<(), EngineError> {
        if self.keys.len() > KEYS_MAX {
            self.keys.clear();
        }
        if !pending.new_keys.is_empty() {
            let keys = self.parts.vault.create_many(&pending.new_keys)?;
            self.keys.extend(pending.new_keys.iter().copied().zip(keys));
        }
        let PendingBatch { records, events, meta, .. } = pending;
        let mut written = Vec::with_capacity(records.len());
        for record in &records {
            self.facts.clear();
            record.body.encode_input(&mut self.facts);
            encode_events(events.get(record.events.clone()).unwrap_or_default(), &mut self.facts);
            written.push(self.encode_record(record)?);
        }
        if self.follower.is_some() {
            self.fresh.push(FreshBatch::new(written, records, events));
        }
        self.batch.meta.extend(meta);
        Ok(())
    }

    fn encode_record(&mut self, record: &Pending) -> Result<(Header, Chain), EngineError> {
        let position = self.batch.head().position.next();
        self.personal.clear();
        record.body.encode_personal(&mut self.personal);
        let wanted = !self.personal.is_empty();
        let key = if wanted { load_key(&mut self.keys, &self.parts, record.key)? } else { None };
        let sealed_len = if key.is_some() { self.personal.len() + SEAL_OVERHEAD } else { 0 };
        let header = Header {
            codec: CODEC,
            kind: RecordKind(record.kind),
            tenant: record.tenant.0,
            position,
            visitor: record.visitor.0,
            feed_sequence: record.feed_sequence,
            occurred_at: record.occurred_at.as_millis(),
            received_at: record.received_at.as_millis(),
            recorded_at: self.recorded_at.as_millis(),
            previous: record.previous,
            key: if sealed_len == 0 { 0 } else { record.key },
            facts_len: length(self.facts.len()),
            personal_len: length(sealed_len),
        };
        let chain = Record::write(&header, self.batch.chain, &self.facts, &mut self.batch.bytes);
        if let Some(key) = key {
            key.seal_into(&chain.0, &self.personal, &mut self.batch.bytes);
        }
        self.batch.ends.push(self.batch.bytes.len());
        self.batch.chain = chain;
        Ok((header, chain))
    }
}

/// The key of that number; `None` for one that was destroyed. A log that was restored from before an erasure still knows
/// the person, and what they do is recorded without what is personal.
fn load_key<'a>(
    keys: &'a mut FxHashMap<u64, SubjectKey>,
    parts: &Parts,
    number: u64,
) -> Result<Option<&'a SubjectKey>, EngineError> {
    use std::collections::hash_map::Entry;
    match keys.entry(number) {
        Entry::Occupied(entry) => Ok(Some(entry.into_mut())),
        Entry::Vacant(entry) => match parts.vault.get(number)? {
            KeySlot::Live(key) => Ok(Some(entry.insert(key))),
            KeySlot::Destroyed => Ok(None),
            KeySlot::Empty => Err(VaultError::SlotDamaged { number }.into()),
        },
    }
}

/// Lengths are bounded by the limits of the feed, far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
