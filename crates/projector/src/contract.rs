//! The contract suite: what every projection must do, as functions that panic when it doesn't.
//!
//! A projection's tests name a home for it, a [`ModelHome`], fill a log with records of every kind, and call
//! [`holds`].

#![expect(clippy::expect_used, reason = "a test suite: a panic is how it reports")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use event_log::{EventLog, Header, LogPosition};
use key_vault::KeyVault;
use lead_domain::{Event, VisitorId};
use proto_events::stored::{self, InputRef};

use crate::parked::Parked;
use crate::projection::{Checkpoint, FoldError, ModelError, Park, Projection, Recorded};
use crate::projector::{Projector, ProjectorError};

/// Where models live. Every name is another model; opening one again is what restarting the process is.
pub trait ModelHome {
    /// The projection.
    type Projection: Projection;

    /// Opens the model of that name; an empty one the first time.
    fn open(&self, name: &str) -> Self::Projection;

    /// The whole stored model as text: the same for the same facts, however they were batched.
    fn dump(&self, projection: &Self::Projection) -> String;
}

/// A log and the keys of its sealed parts.
#[derive(Clone)]
pub struct Story {
    /// The records.
    pub log: Arc<dyn EventLog>,
    /// The keys.
    pub vault: Arc<KeyVault>,
}

/// Records that are made not to fit, one at a time, at most.
const UNFIT_TRIED_MAX: usize = 40;

/// Checks everything: batches of any size, crashes anywhere, reopening, being called again, and records that don't fit.
///
/// Every record is crashed at, so a log of some dozens to some hundreds of records is the right size.
///
/// # Panics
/// When the projection doesn't keep its promise; says which.
pub fn holds<H: ModelHome>(home: &H, story: &Story) {
    let whole = follow_in_steps(home, story, "whole", u64::MAX);
    assert!(!whole.is_empty(), "the model of a log with records is not empty");
    for records in [1, 2, 3, 7, 20, 64] {
        let steps = follow_in_steps(home, story, &format!("steps-of-{records}"), records);
        assert_same(&whole, &steps, &format!("catching up in steps of {records} records"));
        let batches = follow_in_batches(home, story, &format!("batches-of-{records}"), records);
        assert_same(&whole, &batches, &format!("committing every {records} records"));
    }
    let head = story.log.head().position;
    for position in 1..=head.0 {
        let resumed = crash_at(home, story, LogPosition(position));
        assert_same(&whole, &resumed, &format!("a crash at position {position}"));
    }
    settled_again_changes_nothing(home, story, &whole);
    if home.open("whole").park(&Parked::default()) {
        unfit_records_are_left_out_with_what_builds_on_them(home, story);
    }
}

fn assert_same(whole: &str, other: &str, what: &str) {
    if whole != other {
        let differing = whole.lines().zip(other.lines()).find(|(left, right)| left != right);
        panic!("{what} gives another model; the first difference: {differing:#?}");
    }
}

fn projector<P: Projection>(story: &Story, projection: P) -> Projector<P> {
    Projector::new(Arc::clone(&story.log), Arc::clone(&story.vault), projection).expect("the model opens")
}

/// Catches up `records` at a time and reopens the model in between.
fn follow_in_steps<H: ModelHome>(home: &H, story: &Story, name: &str, records: u64) -> String {
    let head = story.log.head().position;
    let mut at = LogPosition::START;
    while at < head {
        let mut projector = projector(story, home.open(name));
        assert_eq!(projector.checkpoint(), at, "a model that was opened again has its checkpoint");
        let until = LogPosition(at.0.saturating_add(records).min(head.0));
        let mut seen = at;
        at = projector.catch_up(until, &mut |position| seen = position).expect("it catches up");
        assert_eq!(at, until, "catching up ends where it was told to");
        assert_eq!(seen, until, "the last progress is the end");
        assert_eq!(projector.lag(), head.0 - until.0, "the lag is what is left");
        projector.seal().expect("it seals");
    }
    home.dump(&home.open(name))
}

/// Catches up once, committing every `records` records.
fn follow_in_batches<H: ModelHome>(home: &H, story: &Story, name: &str, records: u64) -> String {
    let staged = Staged::of(home.open(name), records, Staging::Plain);
    let mut projector = projector(story, staged);
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).expect("it catches up");
    projector.seal().expect("it seals");
    home.dump(&projector.into_projection().inner)
}

/// Dies at `position`, before it is folded, with some records committed and some not; then goes on in a new process.
fn crash_at<H: ModelHome>(home: &H, story: &Story, position: LogPosition) -> String {
    let name = format!("crash-at-{position}");
    let staged = Staged::of(home.open(&name), 5, Staging::DiesAt(position));
    let mut doomed = projector(story, staged);
    let died = doomed.catch_up(LogPosition(u64::MAX), &mut |_| {});
    assert!(
        matches!(died, Err(ProjectorError::Unfit { position: at, .. }) if at == position),
        "an error names its position"
    );
    drop(doomed);
    let mut resumed = projector(story, home.open(&name));
    assert!(resumed.checkpoint() < position, "what was folded after the last commit is not in the model");
    resumed.catch_up(LogPosition(u64::MAX), &mut |_| {}).expect("it catches up");
    home.dump(resumed.projection())
}

fn settled_again_changes_nothing<H: ModelHome>(home: &H, story: &Story, whole: &str) {
    let mut projector = projector(story, home.open("whole"));
    let before = projector.checkpoint();
    let after = projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).expect("it catches up");
    assert_eq!(before, after, "there is nothing to take twice");
    assert_same(whole, &home.dump(projector.projection()), "catching up with nothing new");
}

/// What a record that doesn't fit takes out of a model, by another road than the projector's.
struct LeftOut {
    records: BTreeSet<LogPosition>,
    visitors: BTreeSet<VisitorId>,
}

impl LeftOut {
    /// `None` when nothing can be left out for the record, or an erasure comes for what is.
    fn behind(story: &Story, unfit: LogPosition) -> Option<Self> {
        let mut left = Self { records: BTreeSet::new(), visitors: BTreeSet::new() };
        let mut can_be = true;
        let read = story.log.read(unfit, &mut |record| {
            let facts = stored::decode_facts(record.header.codec, record.facts).expect("the facts are whole");
            let mut named: BTreeSet<VisitorId> = BTreeSet::new();
            facts.events.iter().for_each(|event| {
                event.each_visitor(&mut |visitor| {
                    named.insert(visitor);
                })
            });
            named.extend((record.header.visitor > 0).then_some(VisitorId(record.header.visitor)));
            let erases = facts.events.iter().any(|event| matches!(event, Event::VisitorErased { .. }));
            let is_unfit = record.header.position == unfit;
            let builds_on_it = named.iter().any(|visitor| left.visitors.contains(visitor));
            if is_unfit || builds_on_it {
                can_be &= !erases && record.header.visitor > 0;
                left.records.insert(record.header.position);
                left.visitors.extend(named);
            }
            ControlFlow::Continue(())
        });
        read.expect("the log is whole");
        can_be.then_some(left)
    }
}

/// One record after the other doesn't fit: the model is the one of a log without it and what builds on it.
fn unfit_records_are_left_out_with_what_builds_on_them<H: ModelHome>(home: &H, story: &Story) {
    let head = story.log.head().position;
    let candidates = (1..=head.0).filter_map(|at| Some((LogPosition(at), LeftOut::behind(story, LogPosition(at))?)));
    let candidates: Vec<_> = candidates.collect();
    let every = candidates.len().div_ceil(UNFIT_TRIED_MAX).max(1);
    for (unfit, left) in candidates.into_iter().step_by(every) {
        let what = format!("a record that doesn't fit, at position {unfit},");
        let expected = {
            let without = Staged::of(home.open(&format!("without-{unfit}")), 5, Staging::Without(left.records));
            let mut projector = projector(story, without);
            projector.catch_up(head, &mut |_| {}).expect("it catches up");
            home.dump(&projector.into_projection().inner)
        };
        let name = format!("unfit-{unfit}");
        let until = LogPosition(unfit.0.saturating_add(3).min(head.0));
        let staged = Staged::of(home.open(&name), 5, Staging::UnfitAt(unfit));
        let mut first = projector(story, staged);
        assert_eq!(first.catch_up(until, &mut |_| {}).expect("it goes on"), until, "{what} stops nothing");
        first.seal().expect("it seals");
        drop(first);
        let mut resumed = projector(story, home.open(&name));
        assert_eq!(resumed.parked().waiting(), resumed.parked().streams().count(), "nobody decided anything");
        assert!(resumed.parked().streams().all(|(_, stream)| stream.cause == unfit.0), "{what} is the cause");
        resumed.catch_up(head, &mut |_| {}).expect("it catches up");
        let parked: BTreeSet<VisitorId> = resumed.parked().streams().map(|(visitor, _)| visitor).collect();
        assert_eq!(parked, left.visitors, "{what} parks whom it concerns, and whom they concern");
        assert_same(&expected, &home.dump(resumed.projection()), &what);
        let someone = parked.first().copied().expect("somebody is concerned");
        assert!(
            resumed.discard_parked(someone, "not worth it").expect("it is kept"),
            "who is left out can be discarded"
        );
        drop(resumed);
        let reopened = projector(story, home.open(&name));
        let reason = reopened.parked().stream(someone).and_then(|stream| stream.discarded.as_deref());
        assert_eq!(reason, Some("not worth it"), "what was decided is kept");
        assert_same(&expected, &home.dump(reopened.projection()), &what);
    }
}

/// What happens to a projection on its way.
enum Staging {
    Plain,
    /// It dies before it takes that record.
    DiesAt(LogPosition),
    /// That record turns out not to fit when half of it is folded.
    UnfitAt(LogPosition),
    /// It never sees these records.
    Without(BTreeSet<LogPosition>),
}

/// A projection that commits as told, and to which something happens.
struct Staged<P> {
    inner: P,
    commit_every: u64,
    folded: u64,
    staging: Staging,
}

impl<P> Staged<P> {
    const fn of(inner: P, commit_every: u64, staging: Staging) -> Self {
        Self { inner, commit_every, folded: 0, staging }
    }
}

impl<P: Projection> Projection for Staged<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn version(&self) -> u32 {
        self.inner.version()
    }

    fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        self.inner.checkpoint()
    }

    fn wants_personal(header: &Header, input: InputRef<'_>) -> bool {
        P::wants_personal(header, input)
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError> {
        let position = recorded.header.position;
        match &self.staging {
            Staging::DiesAt(at) if *at == position => {
                return Err(FoldError::Park(Park { reason: "the process died" }));
            }
            Staging::UnfitAt(at) if *at == position => {
                self.inner.fold(recorded)?;
                return Err(FoldError::Park(Park { reason: "it doesn't fit" }));
            }
            Staging::Without(left) if left.contains(&position) => return Ok(()),
            Staging::Plain | Staging::DiesAt(_) | Staging::UnfitAt(_) | Staging::Without(_) => {}
        }
        self.folded += 1;
        self.inner.fold(recorded)
    }

    fn is_full(&self) -> bool {
        self.folded >= self.commit_every
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError> {
        self.folded = 0;
        self.inner.commit(checkpoint)
    }

    fn discard(&mut self) {
        self.folded = 0;
        self.inner.discard();
    }

    fn parked(&self) -> Result<Parked, ModelError> {
        self.inner.parked()
    }

    fn park(&mut self, parked: &Parked) -> bool {
        // Where a record kills it, it has no place to remember that.
        !matches!(self.staging, Staging::DiesAt(_)) && self.inner.park(parked)
    }

    fn prepare(&mut self, behind: u64) -> Result<(), ModelError> {
        self.inner.prepare(behind)
    }

    fn stand_by(&mut self) -> Result<(), ModelError> {
        self.inner.stand_by()
    }

    fn settle(&mut self, behind: u64) -> Result<(), ModelError> {
        self.inner.settle(behind)
    }

    fn seal(&mut self) -> Result<(), ModelError> {
        self.inner.seal()
    }
}
