//! Opening: whatever the tables lack is replayed from the log.
//!
//! ```text
//! facts  "engine" → last visitor u64 | untaken keys u64 | state root 32
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use event_log::{LogError, LogPosition, Record, Table};
use lead_domain::{Event, TenantId, Time, VisitorId};
use proto_events::stored::{self, Facts, InputFacts, Rescoring};

use crate::batch::PendingBatch;
use crate::engine::{Counts, Engine};
use crate::error::EngineError;
use crate::library::Library;
use crate::options::{EngineOptions, Parts};
use crate::registry::Registry;
use crate::roots::StateRoot;
use crate::suppression::Suppressed;
use crate::writer::Writer;

pub(crate) const ENGINE: &[u8] = b"engine";

/// Books that may stand in memory during a replay before they are written back.
const REPLAY_RECORDS: u64 = 1 << 18;

pub(crate) fn engine_row(library: &mut Library, untaken: u64) -> Vec<u8> {
    let root = library.root().to_bytes();
    let last_visitor = library.shelf.last_visitor().0.to_be_bytes();
    [last_visitor.as_slice(), &untaken.to_be_bytes(), &root].concat()
}

struct EngineRow {
    last_visitor: VisitorId,
    untaken: u64,
    root: StateRoot,
}

fn read_engine_row(value: Option<Vec<u8>>) -> Result<EngineRow, EngineError> {
    let Some(value) = value else {
        return Ok(EngineRow { last_visitor: VisitorId(0), untaken: 0, root: StateRoot::default() });
    };
    let read = || {
        let (last_visitor, rest) = value.split_first_chunk::<8>()?;
        let (untaken, root) = rest.split_first_chunk::<8>()?;
        Some(EngineRow {
            last_visitor: VisitorId(u64::from_be_bytes(*last_visitor)),
            untaken: u64::from_be_bytes(*untaken),
            root: StateRoot::from_bytes(root.try_into().ok()?),
        })
    };
    read().ok_or(EngineError::Row { table: Table::Facts.name() })
}

impl Engine {
    /// Opens an engine on its parts: replays what the tables lack, and finishes ticks that a crash cut off.
    ///
    /// `progress` is told the replayed position and the end of the log, now and then.
    ///
    /// # Errors
    /// When the parts don't belong together, are damaged, or can't be read.
    pub fn open(
        parts: Parts,
        options: EngineOptions,
        progress: &mut dyn FnMut(LogPosition, LogPosition),
    ) -> Result<Self, EngineError> {
        let mut engine = Self::replayed(parts, options, progress)?;
        let clocks: Vec<(TenantId, Time)> =
            engine.registry.all().iter().map(|tenant| (tenant.id, tenant.clock)).collect();
        for (tenant, clock) in clocks {
            engine.fire(tenant, clock)?;
        }
        engine.flush()?;
        engine.resume_rescoring()?;
        engine.finish_erasures()?;
        engine.counts = Counts::default();
        Ok(engine)
    }

    /// An engine that stands where the log ends, and has decided nothing yet.
    pub(crate) fn replayed(
        parts: Parts,
        options: EngineOptions,
        progress: &mut dyn FnMut(LogPosition, LogPosition),
    ) -> Result<Self, EngineError> {
        let (head, stand) = (parts.log.head(), parts.tables.position());
        if stand > head.position {
            return Err(EngineError::TablesAhead { tables: stand, log: head.position });
        }
        let row = read_engine_row(parts.tables.get(Table::Facts, ENGINE)?)?;
        let registry = Registry::load(parts.tables.as_ref())?;
        let writer = Writer::start(parts.clone(), options.clock, head, recorded_at(&parts, head.position)?);
        let library = Library::new(parts.tables.clone(), row.root, row.last_visitor);
        let mut engine = Self {
            parts,
            options,
            library,
            registry,
            writer,
            decided: stand,
            untaken: row.untaken,
            unwritten: 0,
            batch: PendingBatch::default(),
            counts: Counts::default(),
            rescoring: BTreeMap::new(),
            suppressed: Suppressed::default(),
            attributes: Vec::new(),
        };
        engine.library.load_seen()?;
        for (key, position) in engine.library.suppressed()? {
            engine.suppressed.load(key, position);
        }
        engine.replay(head.position, progress)?;
        Ok(engine)
    }

    /// Folds the records behind the tables' position.
    fn replay(
        &mut self,
        head: LogPosition,
        progress: &mut dyn FnMut(LogPosition, LogPosition),
    ) -> Result<(), EngineError> {
        while self.decided < head {
            let log = self.parts.log.clone();
            let mut failed = None;
            let stop = LogPosition(self.decided.0.saturating_add(REPLAY_RECORDS)).min(head);
            log.read(self.decided.next(), &mut |record| {
                if let Err(error) = self.fold(&record) {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
                if record.header.position >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            progress(self.decided, head);
            if self.unwritten >= self.options.write_back_records {
                self.write_back()?;
            }
        }
        Ok(())
    }

    /// Folds one record, as if it had just been decided.
    fn fold(&mut self, record: &Record<'_>) -> Result<(), EngineError> {
        let position = self.decided.next();
        let header = &record.header;
        if header.position != position {
            return Err(LogError::Missing { position }.into());
        }
        let facts = stored::decode_facts(header.codec, record.facts)
            .map_err(|source| EngineError::Record { position, source })?;
        let tenant = TenantId(header.tenant);
        self.fold_input(record, tenant, &facts)?;
        if header.visitor > 0 {
            self.fold_events(tenant, VisitorId(header.visitor), position, &facts.events)?;
        }
        self.decided = position;
        self.unwritten += 1;
        Ok(())
    }

    fn fold_input(&mut self, record: &Record<'_>, tenant: TenantId, facts: &Facts) -> Result<(), EngineError> {
        let position = record.header.position;
        match &facts.input {
            InputFacts::Interaction(interaction) => {
                self.remember(interaction.message, position, interaction.fingerprint);
            }
            InputFacts::Policy(policy) => {
                let adopted_at = Time::from_millis(record.header.occurred_at);
                self.registry
                    .adopt(tenant, policy.version, &policy.document)
                    .map_err(|faults| EngineError::Policy { faults })?;
                self.note_policy(tenant, policy.version, position, adopted_at, &policy.document);
                self.remember_request(policy.request, position);
            }
            InputFacts::Tick => self.set_clock(tenant, Time::from_millis(record.header.occurred_at)),
            InputFacts::Quarantined(quarantined) => {
                self.remember(quarantined.message, position, 0);
                self.note_quarantined(position, quarantined);
                self.untaken += 1;
            }
            InputFacts::Conflict(conflict) => {
                self.remember(conflict.message, position, conflict.fingerprint);
                self.untaken += 1;
            }
            InputFacts::StateRoot(root) => {
                if self.library.root().to_bytes() != *root {
                    return Err(EngineError::StateRoot { position });
                }
            }
            InputFacts::Released(released) => {
                self.note_released(LogPosition(released.quarantined), position);
                self.remember_request(released.request, position);
            }
            InputFacts::Command(command) => self.remember_request(command.request, position),
            InputFacts::Rescoring(step) => {
                self.note_rescoring(tenant, position, Time::from_millis(record.header.occurred_at), step)?;
                if let Rescoring::Chosen { request, .. } = step {
                    self.remember_request(*request, position);
                }
            }
            InputFacts::Discredit(discredit) => self.remember_request(discredit.request, position),
            InputFacts::Erasure(erasure) => self.remember_request(erasure.request, position),
            InputFacts::Suppression(asked) => {
                self.note_suppression(tenant, position, asked);
                self.remember_request(asked.request, position);
            }
            InputFacts::SignedHead(_) => self.note_signed_head(position),
            InputFacts::Deadline => {}
        }
        Ok(())
    }

    fn fold_events(
        &mut self,
        tenant: TenantId,
        visitor: VisitorId,
        position: LogPosition,
        events: &[Event],
    ) -> Result<(), EngineError> {
        self.library.load_for_events(visitor, events)?;
        for event in events {
            self.library.shelf.evolve(tenant, event);
        }
        self.library.note(tenant, visitor, position, events);
        Ok(())
    }
}

/// When the last record was recorded: the log's clock never runs backwards.
fn recorded_at(parts: &Parts, head: LogPosition) -> Result<Time, EngineError> {
    let Some(bytes) = parts.log.get(head)?.filter(|_| head > LogPosition::START) else { return Ok(Time::MIN) };
    let record = Record::read(&bytes).map_err(|fault| LogError::Damaged { position: head, fault })?;
    Ok(Time::from_millis(record.header.recorded_at))
}
