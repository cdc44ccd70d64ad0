//! The analytics tables of a running service: kept up to date beside everything else, and asked on threads of their own.
//!
//! What fails here stays here: the service goes on without the tables, and says why. They can be built anew meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use analytics::{Analytics, AnalyticsReader, QueryLimits};
use anyhow::Context;
use engine::Parts;
use event_log::LogPosition;
use http_api::Analysis;
use projector::{ModelError, PauseMark, Projector};
use service::{Followable, LogFollower, Models};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

/// Queries at the same time; each may take the memory of the limits.
const QUERIES_MAX: usize = 2;
/// Bytes of temporary files of one query.
const SPILL_BYTES_MAX: u64 = 4 << 30;

/// The tables of a running service.
pub(crate) struct Analysed {
    follower: LogFollower,
    reader: AnalyticsReader,
    runtime: Runtime,
    limits: QueryLimits,
}

/// New models of a data folder, for those who read the one in use.
struct AnalyticsModels {
    data: PathBuf,
    reader: AnalyticsReader,
}

impl Models<Analytics> for AnalyticsModels {
    fn begin(&self) -> Result<Analytics, ModelError> {
        let begun = Analytics::begin_rebuild_for(&self.data, self.reader.clone());
        begun.map_err(|error| ModelError(Box::new(error)))
    }

    fn is_unseen(&self, model: &Analytics) -> bool {
        model.is_unseen()
    }

    fn abandon(&self, model: Analytics) {
        model.abandon();
    }
}

impl Analysed {
    /// Opens the tables and begins to follow the log with them. Erasures are told as they happen, and the last one before.
    pub(crate) fn start(
        data: &Path,
        parts: &Parts,
        (erasures, erased_before): (watch::Receiver<u64>, LogPosition),
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("analytics query").enable_all().build();
        let runtime = runtime.context("cannot start the threads for queries")?;
        let opened = Analytics::open(data).map_err(anyhow::Error::from).and_then(|tables| {
            let reader = tables.reader();
            Ok((reader, Projector::new(parts.log.clone(), parts.vault.clone(), tables)?))
        });
        let (reader, projector) = match opened {
            Ok((reader, projector)) => (reader, Ok(projector)),
            Err(error) => {
                let error = format!("cannot {error:#}");
                tracing::error!(error, "the analytics tables can't be used; everything else goes on");
                (AnalyticsReader::empty(), Err(error))
            }
        };
        let given = Followable {
            name: Analytics::NAME,
            version: Analytics::VERSION,
            log: parts.log.clone(),
            vault: parts.vault.clone(),
            pause: PauseMark::of(data, Analytics::NAME),
            models: Box::new(AnalyticsModels { data: data.to_owned(), reader: reader.clone() }),
            erasures,
            erased_before,
        };
        let follower =
            LogFollower::start(projector, given).context("cannot start a thread for the analytics tables")?;
        Ok(Self { follower, reader, runtime, limits: limits(data) })
    }

    /// The way to them, for the API.
    pub(crate) fn analysis(&self) -> Analysis {
        Analysis {
            reader: self.reader.clone(),
            projection: self.follower.handle(),
            runtime: self.runtime.handle().clone(),
            turns: Arc::new(Semaphore::new(QUERIES_MAX)),
            limits: self.limits.clone(),
        }
    }

    /// Follows to the end of the log and makes the tail durable.
    pub(crate) fn stop(self) {
        let Self { follower, runtime, .. } = self;
        runtime.shutdown_background();
        let last = follower.finish();
        tracing::debug!(position = last.position.0, "the analytics tables are sealed");
    }
}

/// What a query may take: less time than a request, and temporary files in the data folder.
pub(crate) fn limits(data: &Path) -> QueryLimits {
    let spill = data.join("projections").join("temporary");
    // Without the folder there are no temporary files, and a query that needs them says so.
    let spill = std::fs::create_dir_all(&spill).is_ok().then_some((spill, SPILL_BYTES_MAX));
    QueryLimits { time: std::time::Duration::from_secs(20), spill, ..QueryLimits::default() }
}
