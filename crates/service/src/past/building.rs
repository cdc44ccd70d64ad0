//! A model of the past on its way: records through the sieve, into the model, and what was due at its end.

use std::ops::ControlFlow;

use engine::{EngineError, Sieve, TimelineQuery, When};
use event_log::{Chain, Header, LogPosition, Record};
use lead_domain::{Event, Time};
use projector::{Checkpoint, Projection, Recorded};
use proto_events::Personal;
use proto_events::stored::{self, Facts, InputFacts};
use tempfile::TempDir;

use super::base::{Base, bytes_of, copy_all};
use super::streams::Streams;
use super::{Build, Maker, Past, PastError, Progress, later};

/// How often progress is told.
const PROGRESS_RECORDS: u64 = 1 << 13;
/// From so many records on a model is worth keeping to build later ones from: a tenth of a second of building.
const BASE_RECORDS_MIN: u64 = 10_000;

pub(super) struct Building<'a, P, R> {
    build: Build<'a>,
    maker: Maker<P, R>,
    sieve: Sieve,
    /// `None` only while its files are copied.
    model: Option<P>,
    /// The last record that was folded.
    position: LogPosition,
    /// Whether anything that was folded had happened.
    has_past: bool,
    /// The last record that was looked at, and when it was recorded.
    seen: LogPosition,
    recorded: Time,
    happened: Option<Time>,
    folder: TempDir,
}

impl<'a, P: Projection, R> Building<'a, P, R> {
    pub(super) fn begin(build: Build<'a>, maker: Maker<P, R>) -> Result<Self, PastError> {
        std::fs::create_dir_all(build.scratch).map_err(PastError::Folder)?;
        let folder = TempDir::new_in(build.scratch).map_err(PastError::Folder)?;
        if let Some(base) = build.base {
            copy_all(base.folder.path(), folder.path()).map_err(PastError::Folder)?;
        }
        let model = (maker.open)(folder.path())?;
        Ok(Self {
            build,
            maker,
            sieve: Sieve::new(build.when),
            model: Some(model),
            position: build.base.map_or(LogPosition::START, |base| base.position),
            has_past: build.base.is_some(),
            seen: LogPosition::START,
            recorded: Time::from_millis(0),
            happened: None,
            folder,
        })
    }

    /// Builds it from the whole log. Records that the base holds are only told to the sieve.
    pub(super) fn of_all(
        mut self,
        progress: Progress<'_>,
        mut keep: Option<&mut dyn FnMut(Base)>,
    ) -> Result<Past<R>, PastError> {
        let parts = self.build.parts;
        let behind = parts.log.head().position.0.saturating_sub(self.position.0);
        self.model()?.prepare(behind)?;
        let mut ended = Ok(());
        let read = parts.log.read(LogPosition(1), &mut |record| {
            let position = record.header.position;
            if position.0.is_multiple_of(PROGRESS_RECORDS) && progress(position).is_break() {
                ended = Err(PastError::Unwanted);
                return ControlFlow::Break(());
            }
            if !self.build.when.was_recorded(&record.header) {
                return ControlFlow::Break(());
            }
            match self.take_record(&record, &mut keep) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    ended = Err(error);
                    ControlFlow::Break(())
                }
            }
        });
        read.map_err(EngineError::from)?;
        ended?;
        if self.sieve.is_complete() {
            self.keep_base(&mut keep)?;
        }
        self.end()
    }

    /// Builds it from a visitor's own records.
    pub(super) fn of_streams(mut self, streams: Streams) -> Result<Past<R>, PastError> {
        let Streams { visitor, heads, tenant, policy } = streams;
        self.sieve.note_policy(tenant, policy);
        let query = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
        for entry in self.build.parts.timeline(heads, &query)?.iter().rev() {
            if self.build.when.was_recorded(&entry.header)
                && let Some(events) = self.sieve.pass(&entry.header, &entry.facts)
            {
                self.fold(&entry.header, &entry.facts.input, &events, entry.personal.as_ref())?;
            }
        }
        self.end()
    }

    fn take_record(&mut self, record: &Record<'_>, keep: &mut Option<&mut dyn FnMut(Base)>) -> Result<(), PastError> {
        let header = &record.header;
        if !self.sieve.wants(header) {
            // What is left out need not be decoded.
            return self.leave_out(header.position, keep);
        }
        let facts = decode(record)?;
        let events = self.sieve.pass(header, &facts);
        self.seen = header.position;
        self.recorded = Time::from_millis(header.recorded_at);
        let Some(events) = events else { return Ok(()) };
        if !matches!(facts.input, InputFacts::Policy(_)) {
            self.happened = later(self.happened, Time::from_millis(header.occurred_at));
        }
        if self.build.base.is_some_and(|base| header.position <= base.position) {
            return Ok(());
        }
        let wanted = P::wants_personal(header, facts.input.as_input());
        let personal = if wanted { self.build.parts.open_personal(record)? } else { None };
        self.fold(header, &facts.input, &events, personal.as_ref())
    }

    fn leave_out(&mut self, position: LogPosition, keep: &mut Option<&mut dyn FnMut(Base)>) -> Result<(), PastError> {
        if self.sieve.is_complete() {
            self.keep_base(keep)?;
        }
        self.sieve.leave_out();
        self.seen = position;
        Ok(())
    }

    fn fold(
        &mut self,
        header: &Header,
        input: &InputFacts,
        events: &[Event],
        personal: Option<&Personal>,
    ) -> Result<(), PastError> {
        let position = header.position;
        let recorded = Recorded { header, input: input.as_input(), events, personal };
        self.model()?.fold(&recorded).map_err(|source| PastError::Fold { position, source })?;
        self.position = position;
        self.has_past |= self.build.when.had_happened(header);
        if self.model()?.is_full() { self.commit() } else { Ok(()) }
    }

    fn model(&mut self) -> Result<&mut P, PastError> {
        if self.model.is_none() {
            self.model = Some((self.maker.open)(self.folder.path())?);
        }
        self.model.as_mut().ok_or(PastError::Unwanted)
    }

    fn commit(&mut self) -> Result<(), PastError> {
        // No other program goes on from here, so no chain value is needed.
        let checkpoint = Checkpoint { position: self.position, chain: Chain::default() };
        Ok(self.model()?.commit(checkpoint)?)
    }

    /// Keeps the model as it is, for later times, while nothing has been left out and where it holds enough.
    fn keep_base(&mut self, keep: &mut Option<&mut dyn FnMut(Base)>) -> Result<(), PastError> {
        let known = self.build.base.map_or(0, |base| base.position.0);
        let Some(keep) = keep.as_mut().filter(|_| self.position.0 >= known + BASE_RECORDS_MIN) else { return Ok(()) };
        self.commit()?;
        let model = self.model()?;
        model.settle(0)?;
        model.seal()?;
        // Closed, so that everything is in its files.
        self.model = None;
        let folder = TempDir::new_in(self.build.scratch).map_err(PastError::Folder)?;
        copy_all(self.folder.path(), folder.path()).map_err(PastError::Folder)?;
        let (position, happened, recorded) = (self.seen, self.happened, self.recorded);
        keep(Base { position, happened, recorded, bytes: bytes_of(folder.path()), folder });
        Ok(())
    }

    /// Meets what was due by then, and makes the model ready to be read.
    fn end(mut self) -> Result<Past<R>, PastError> {
        if !self.has_past {
            return self.empty();
        }
        let mut sieve = std::mem::replace(&mut self.sieve, Sieve::new(When::default()));
        sieve.meet_deadlines(self.position, |header, events| self.fold(header, &InputFacts::Deadline, events, None))?;
        self.sieve = sieve;
        self.commit()?;
        self.model()?.settle(0)?;
        self.finish()
    }

    /// Nothing had happened: policies that were adopted later are no past.
    fn empty(mut self) -> Result<Past<R>, PastError> {
        self.model = None;
        self.folder = TempDir::new_in(self.build.scratch).map_err(PastError::Folder)?;
        self.position = LogPosition::START;
        self.finish()
    }

    fn finish(mut self) -> Result<Past<R>, PastError> {
        let read = self.maker.reader;
        let reader = read(self.model()?);
        let tenants = self.sieve.policies().iter().map(|(tenant, policy)| (*tenant, policy.clone())).collect();
        let Self { build, position, seen, folder, .. } = self;
        Ok(Past { reader, tenants, position, seen: seen.0.into(), when: build.when, folder })
    }
}

fn decode(record: &Record<'_>) -> Result<Facts, PastError> {
    let position = record.header.position;
    let facts = stored::decode_facts(record.header.codec, record.facts);
    Ok(facts.map_err(|source| EngineError::Record { position, source })?)
}
