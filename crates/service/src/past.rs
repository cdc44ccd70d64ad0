//! Read models as they were: built from some of the log's records in a place of their own, asked, and thrown away.
//!
//! Which records and events these are is for the engine's sieve to say; how a model is folded, for the model.

mod base;
mod building;
mod kept;
mod streams;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{EngineError, Parts, When};
use event_log::LogPosition;
use lead_domain::{TenantId, Time};
use listing::{Listing, ListingReaders};
use projector::{FoldError, ModelError, Projection};
use proto_events::policy_document::PolicyDocument;
use proto_events::stored::kind;
use tempfile::TempDir;
use thiserror::Error;

pub use base::Base;
pub use kept::{PastLimits, Pasts, PastsError};
pub use streams::Streams;

use building::Building;

/// Why a past could not be built.
#[derive(Debug, Error)]
pub enum PastError {
    /// The log or its keys.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A record doesn't fit into the model.
    #[error("take the record at position {position} into a model of the past")]
    Fold {
        /// Which one.
        position: LogPosition,
        /// What doesn't fit.
        #[source]
        source: FoldError,
    },
    /// The model's store.
    #[error("build a model of the past")]
    Model(#[from] ModelError),
    /// The place for it.
    #[error("make a folder for a model of the past")]
    Folder(#[source] std::io::Error),
    /// Whoever was told the progress has had enough.
    #[error("go on building a model of the past: it is not wanted any more")]
    Unwanted,
}

/// How a kind of model is made and read.
#[derive(Debug)]
pub struct Maker<P, R> {
    /// Opens the model in a folder, or begins an empty one there.
    pub open: fn(&Path) -> Result<P, ModelError>,
    /// What reads the model after it has gone, as long as its files are there.
    pub reader: fn(&P) -> R,
}

impl<P, R> Clone for Maker<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for Maker<P, R> {}

/// How listings are made.
pub const LISTINGS: Maker<Listing, ListingReaders> = Maker {
    open: |folder| Listing::open(folder).map_err(|source| ModelError(Box::new(source))),
    reader: Listing::readers,
};

/// Told the position, now and then; says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(LogPosition) -> ControlFlow<()>;

/// What a past is built from and where.
#[derive(Clone, Copy)]
pub struct Build<'a> {
    /// Log and keys.
    pub parts: &'a Parts,
    /// Which past.
    pub when: When,
    /// Where a folder for it is made.
    pub scratch: &'a Path,
    /// A model to go on from, which must [fit](Base::fits); from nothing where absent.
    pub base: Option<&'a Base>,
}

/// A model of the past, to be read. Its files go when it does.
#[derive(Debug)]
pub struct Past<R> {
    reader: R,
    tenants: Vec<(TenantId, PolicyDocument)>,
    position: LogPosition,
    /// The last record that was looked at.
    seen: AtomicU64,
    when: When,
    folder: TempDir,
}

impl<R> Past<R> {
    /// Builds it from the whole log.
    ///
    /// # Errors
    /// When the log can't be read or the model can't be written; [`PastError::Unwanted`] when `progress` breaks it off.
    pub fn of_all<P: Projection>(
        build: Build<'_>,
        maker: Maker<P, R>,
        progress: Progress<'_>,
    ) -> Result<Self, PastError> {
        Building::begin(build, maker)?.of_all(progress, None)
    }

    /// The same, and hands a [`Base`] for later times to `keep`, where one is worth it.
    pub(crate) fn with_base<P: Projection>(
        build: Build<'_>,
        maker: Maker<P, R>,
        progress: Progress<'_>,
        keep: &mut dyn FnMut(Base),
    ) -> Result<Self, PastError> {
        Building::begin(build, maker)?.of_all(progress, Some(keep))
    }

    /// Builds it from a visitor's own records alone: enough for that visitor's leads.
    ///
    /// # Errors
    /// As [`Past::of_all`].
    pub fn of_streams<P: Projection>(
        build: Build<'_>,
        maker: Maker<P, R>,
        streams: Streams,
    ) -> Result<Self, PastError> {
        Building::begin(build, maker)?.of_streams(streams)
    }

    /// Who had a policy, each with the one that was adopted last by then, or else the first.
    #[must_use]
    pub fn tenants(&self) -> &[(TenantId, PolicyDocument)] {
        &self.tenants
    }

    /// The policy of a tenant.
    #[must_use]
    pub fn policy(&self, tenant: TenantId) -> Option<&PolicyDocument> {
        self.tenants.iter().find(|(known, _)| *known == tenant).map(|(_, policy)| policy)
    }

    /// The last record that is in it; [`LogPosition::START`] where nothing had happened.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        self.position
    }

    /// What reads it.
    #[must_use]
    pub const fn reader(&self) -> &R {
        &self.reader
    }

    /// Whether nothing was recorded since it was built that belongs to this past.
    fn still_holds(&self, parts: &Parts) -> Result<bool, EngineError> {
        let (mut holds, mut seen) = (true, self.seen.load(Ordering::Acquire));
        let when = self.when;
        parts.log.read(LogPosition(seen + 1), &mut |record| {
            let header = &record.header;
            if !when.was_recorded(header) {
                return ControlFlow::Break(());
            }
            let is_policy = matches!(header.kind.0, kind::POLICY | kind::KEYED_POLICY);
            holds = !is_policy && !when.had_happened(header);
            seen = header.position.0;
            if holds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if holds {
            self.seen.fetch_max(seen, Ordering::AcqRel);
        }
        Ok(holds)
    }

    fn bytes(&self) -> u64 {
        base::bytes_of(self.folder.path())
    }
}

/// The later of two times, of records that were folded.
fn later(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.max(other)))
}
