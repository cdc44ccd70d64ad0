//! The analytics tables of a running service: kept up to date beside everything else, and asked on threads of their own.
//!
//! What fails here stays here: the service goes on without the tables, and says why.

use std::path::Path;
use std::sync::Arc;

use analytics::{Analytics, AnalyticsReader, QueryLimits};
use anyhow::Context;
use http_api::Analysis;
use projector::Projector;
use service::{FollowedState, LogFollower};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use crate::folder::Folder;

/// Queries at the same time; each may take the memory of the limits.
const QUERIES_MAX: usize = 2;
/// Bytes of temporary files of one query.
const SPILL_BYTES_MAX: u64 = 4 << 30;

/// The tables of a running service.
pub(crate) struct Analysed {
    follower: Option<LogFollower>,
    reader: Option<AnalyticsReader>,
    state: watch::Receiver<FollowedState>,
    runtime: Runtime,
    limits: QueryLimits,
}

impl Analysed {
    /// Opens the tables and begins to follow the log with them.
    pub(crate) fn start(folder: &Folder) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("analytics query").enable_all().build();
        let runtime = runtime.context("cannot start the threads for queries")?;
        let limits = limits(&folder.settings.data);
        let parts = folder.engine.parts();
        let opened = Analytics::open(&folder.settings.data).map_err(anyhow::Error::from).and_then(|tables| {
            let reader = tables.reader();
            let projector = Projector::new(parts.log.clone(), parts.vault.clone(), tables)?;
            Ok((reader, LogFollower::start(projector, parts.log.clone())?))
        });
        match opened {
            Ok((reader, follower)) => {
                let state = follower.state();
                Ok(Self { follower: Some(follower), reader: Some(reader), state, runtime, limits })
            }
            Err(error) => {
                let error = format!("cannot {error:#}");
                tracing::error!(error, "the analytics tables can't be used; everything else goes on");
                let (_, state) = watch::channel(FollowedState { error: Some(error), ..FollowedState::default() });
                Ok(Self { follower: None, reader: None, state, runtime, limits })
            }
        }
    }

    /// The way to them, for the API.
    pub(crate) fn analysis(&self) -> Analysis {
        Analysis {
            reader: self.reader.clone(),
            state: self.state.clone(),
            runtime: self.runtime.handle().clone(),
            turns: Arc::new(Semaphore::new(QUERIES_MAX)),
            limits: self.limits.clone(),
        }
    }

    /// Follows to the end of the log and makes the tail durable.
    pub(crate) fn stop(self) {
        let Self { follower, runtime, .. } = self;
        runtime.shutdown_background();
        if let Some(last) = follower.map(LogFollower::finish) {
            tracing::debug!(position = last.position.0, "the analytics tables are sealed");
        }
    }
}

/// What a query may take: less time than a request, and temporary files in the data folder.
pub(crate) fn limits(data: &Path) -> QueryLimits {
    let spill = data.join("projections").join("temporary");
    // Without the folder there are no temporary files, and a query that needs them says so.
    let spill = std::fs::create_dir_all(&spill).is_ok().then_some((spill, SPILL_BYTES_MAX));
    QueryLimits { time: std::time::Duration::from_secs(20), spill, ..QueryLimits::default() }
}
