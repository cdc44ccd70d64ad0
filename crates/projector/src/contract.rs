//! The contract suite: what every projection must do, as functions that panic when it doesn't.
//!
//! A projection's tests name a home for it, a [`ModelHome`], fill a log with records of every kind, and call
//! [`holds`].

#![expect(clippy::expect_used, reason = "a test suite: a panic is how it reports")]

use std::sync::Arc;

use event_log::{EventLog, Header, LogPosition};
use key_vault::KeyVault;
use proto_events::stored::InputRef;

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

/// Checks everything: batches of any size, crashes anywhere, reopening, and being called again.
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
    let staged = Staged { inner: home.open(name), commit_every: records, folded: 0, crash_at: LogPosition(u64::MAX) };
    let mut projector = projector(story, staged);
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).expect("it catches up");
    projector.seal().expect("it seals");
    home.dump(&projector.into_projection().inner)
}

/// Dies at `position`, before it is folded, with some records committed and some not; then goes on in a new process.
fn crash_at<H: ModelHome>(home: &H, story: &Story, position: LogPosition) -> String {
    let name = format!("crash-at-{position}");
    let staged = Staged { inner: home.open(&name), commit_every: 5, folded: 0, crash_at: position };
    let mut doomed = projector(story, staged);
    let died = doomed.catch_up(LogPosition(u64::MAX), &mut |_| {});
    assert!(
        matches!(died, Err(ProjectorError::Parked { position: at, .. }) if at == position),
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

/// A projection that commits as told, and dies before it takes a certain record.
struct Staged<P> {
    inner: P,
    commit_every: u64,
    folded: u64,
    crash_at: LogPosition,
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

    fn wants_personal(&self, header: &Header, input: InputRef<'_>) -> bool {
        self.inner.wants_personal(header, input)
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError> {
        if recorded.header.position == self.crash_at {
            return Err(FoldError::Park(Park { reason: "the process died" }));
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

    fn prepare(&mut self, behind: u64) -> Result<(), ModelError> {
        self.inner.prepare(behind)
    }

    fn settle(&mut self, behind: u64) -> Result<(), ModelError> {
        self.inner.settle(behind)
    }

    fn seal(&mut self) -> Result<(), ModelError> {
        self.inner.seal()
    }
}
