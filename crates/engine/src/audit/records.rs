//! The log's records in order, chained and decoded on a thread of their own while the last ones are looked at.
//!
//! Checks the chain and decodes facts. Personal parts stay closed: no key is needed.

use std::ops::ControlFlow;
use std::sync::mpsc::{SyncSender, sync_channel};

use event_log::{Chain, EventLog, Header, LogError, LogPosition, Record};
use proto_events::stored::{self, Facts};

use crate::error::EngineError;

/// Records decoded in one go: enough that handing them over costs nothing beside decoding them, and few enough that they are
/// still in the processor's cache then.
const CHUNK_RECORDS: usize = 512;
/// Chunks that may wait, of half a MiB each.
const CHUNKS_WAITING_MAX: usize = 2;

/// One record without its personal part.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) header: Header,
    pub(super) facts: Facts,
}

type Chunk = Result<Vec<Decoded>, EngineError>;

/// Gives every record up to `until` to `take`, in order, until that breaks.
pub(super) fn each(
    log: &dyn EventLog,
    until: LogPosition,
    mut take: impl FnMut(Decoded) -> Result<ControlFlow<()>, EngineError>,
) -> Result<(), EngineError> {
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel(CHUNKS_WAITING_MAX);
        scope.spawn(move || read(log, until, &sender));
        for chunk in chunks {
            for record in chunk? {
                if take(record)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

fn read(log: &dyn EventLog, until: LogPosition, chunks: &SyncSender<Chunk>) {
    let mut reading = Reading { next: LogPosition(1), chain: Chain::default(), chunk: Vec::new() };
    let mut failed = None;
    let read = log.read(LogPosition(1), &mut |record| {
        if record.header.position > until {
            return ControlFlow::Break(());
        }
        if let Err(error) = reading.add(&record) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        // Nobody listens any more once what was looked for is found.
        if reading.chunk.len() >= CHUNK_RECORDS && chunks.send(Ok(std::mem::take(&mut reading.chunk))).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let _ = chunks.send(Ok(reading.chunk));
    if let Some(error) = failed.or(read.err().map(EngineError::from)) {
        let _ = chunks.send(Err(error));
    }
}

struct Reading {
    next: LogPosition,
    chain: Chain,
    chunk: Vec<Decoded>,
}

impl Reading {
    fn add(&mut self, record: &Record<'_>) -> Result<(), EngineError> {
        let position = self.next;
        record.follows(position, self.chain).map_err(|fault| LogError::Damaged { position, fault })?;
        let facts = stored::decode_facts(record.header.codec, record.facts)
            .map_err(|source| EngineError::Record { position, source })?;
        self.chunk.reserve(CHUNK_RECORDS.saturating_sub(self.chunk.len()));
        self.chunk.push(Decoded { header: record.header, facts });
        self.next = position.next();
        self.chain = record.chain;
        Ok(())
    }
}
