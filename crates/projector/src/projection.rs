//! What a projection promises to the projector that drives it.

use std::error::Error;

use event_log::{Chain, Header, LogPosition};
use lead_domain::Event;
use proto_events::Personal;
use proto_events::stored::InputRef;
use thiserror::Error;

use crate::parked::Parked;

/// How far a model has followed the log. The chain value tells whether it is still the same log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last record in the model; [`LogPosition::START`] for an empty model.
    pub position: LogPosition,
    /// That record's chain value.
    pub chain: Chain,
}

/// One record as a projection sees it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Place, times, tenant and visitor.
    pub header: &'a Header,
    /// What was decided about.
    pub input: InputRef<'a>,
    /// What was decided, in order.
    pub events: &'a [Event],
    /// The opened personal part. `None` when the projection did not want it, when the record has none, and when the
    /// visitor was erased.
    pub personal: Option<&'a Personal>,
}

/// Why a projection can't take a record.
#[derive(Debug, Error)]
pub enum FoldError {
    /// The record and the model don't fit together.
    #[error(transparent)]
    Park(#[from] Park),
    /// The model's store failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A record that doesn't fit into the model. The reason is a fixed sentence, so it can't carry personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Park {
    /// What doesn't fit, for people.
    pub reason: &'static str,
}

/// The store of a model failed. What was folded since the last commit is lost; the model stands at its checkpoint.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ModelError(
    /// What was being done, what the store said, and what to do about it.
    #[source]
    pub Box<dyn Error + Send + Sync>,
);

/// A pure fold into a read model.
///
/// Folding works in memory, so that many changes of one row become one write. [`Projection::commit`] puts the changes and
/// the checkpoint into the model in one step, and after a crash anywhere the model stands exactly at a checkpoint that it
/// had: the last one, where commits are durable. A model with a volatile tail keeps its latest commits in memory and makes
/// several of them durable at once, by itself and in [`Projection::seal`]; it stands at the last of those then, and the
/// records behind it are read again.
pub trait Projection {
    /// The name on disk, in commands and in metrics.
    fn name(&self) -> &'static str;

    /// The version of the model. Another version is another model, built anew.
    fn version(&self) -> u32;

    /// Where the model stands. What was just opened stands at its last durable commit.
    ///
    /// # Errors
    /// When the store can't be read.
    fn checkpoint(&self) -> Result<Checkpoint, ModelError>;

    /// Whether the record's personal part can change the model, by the record alone: records are opened ahead of the fold.
    /// Opening one costs about as much as folding one.
    fn wants_personal(header: &Header, input: InputRef<'_>) -> bool;

    /// Takes the next record into memory.
    ///
    /// # Errors
    /// When the record doesn't fit, or rows that it changes can't be read. The projector calls [`Projection::discard`]
    /// then.
    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError>;

    /// Whether what was folded should be committed before more is folded: this bounds the memory.
    fn is_full(&self) -> bool;

    /// Puts what was folded since the last commit, and the checkpoint, into the model in one step. Readers of the model see
    /// it on return. It is durable then, but for the tail of a model that has a volatile one.
    ///
    /// # Errors
    /// When the store fails. Nothing was written then, and the projector calls [`Projection::discard`].
    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError>;

    /// Forgets what was folded since the last commit, and the list that [`Projection::park`] brought.
    fn discard(&mut self);

    /// The streams that the model leaves out, as of its checkpoint.
    ///
    /// # Errors
    /// When the store can't be read.
    fn parked(&self) -> Result<Parked, ModelError> {
        Ok(Parked::default())
    }

    /// Takes the list of streams that the model leaves out into memory; the next commit stores it in the same step as the
    /// checkpoint. Whether the model has a place for it: one that has none stops at a record that doesn't fit.
    fn park(&mut self, parked: &Parked) -> bool {
        let _ = parked;
        false
    }

    /// Called before catching up, with the number of records to come. A model may prepare for many: an empty one may be
    /// loaded unseen. Its commits then need not survive a crash, and readers need not see them, until
    /// [`Projection::settle`]; a crash or [`Projection::discard`] puts it back to its beginning.
    ///
    /// # Errors
    /// When the store fails.
    fn prepare(&mut self, behind: u64) -> Result<(), ModelError> {
        let _ = behind;
        Ok(())
    }

    /// Called when a model that is built beside another one is near the end of the log, before the other one is closed: work
    /// that taking its place needs, and that may take long, belongs here.
    ///
    /// # Errors
    /// When the store fails.
    fn stand_by(&mut self) -> Result<(), ModelError> {
        Ok(())
    }

    /// Called when caught up and committed, with the number of records that have come since. A model that put work off
    /// may do it now.
    ///
    /// # Errors
    /// When the store fails.
    fn settle(&mut self, behind: u64) -> Result<(), ModelError> {
        let _ = behind;
        Ok(())
    }

    /// Makes all commits durable, before the process ends. Where every commit is, there is nothing to do.
    ///
    /// # Errors
    /// When the store fails. What was durable is so still.
    fn seal(&mut self) -> Result<(), ModelError> {
        Ok(())
    }
}
