//! Asking the tables in tests, and following a world with them.

use std::path::Path;
use std::sync::Arc;

use analytics::{Analytics, Format, Limits, QueryError, QueryLimits, Session, Snapshot};
use event_log::LogPosition;
use projector::Projector;
use serde_json::Value as Json;

use crate::world::World;

/// A few rows fill the tail, so that there are many files.
pub(crate) const SMALL: Limits = Limits { pending_rows: 40, tail_rows: 60, tail_bytes: 64 << 20, kept_leads: 3 };

/// What a query of the tenant answers, in a format.
pub(crate) fn written(
    snapshot: &Arc<Snapshot>,
    tenant: &str,
    sql: &str,
    limits: QueryLimits,
    format: Format,
) -> Result<Vec<u8>, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = Session::new(Arc::clone(snapshot), tenant, limits)?;
        session.query(sql).await?.written(format).await
    })
}

/// The rows that acme sees.
pub(crate) fn rows(snapshot: &Arc<Snapshot>, sql: &str) -> Vec<Json> {
    let bytes = written(snapshot, "acme", sql, QueryLimits::default(), Format::Json).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A projector over a world's log.
pub(crate) fn projector(world: &World, analytics: Analytics) -> Projector<Analytics> {
    Projector::new(Arc::new(world.log.clone()), Arc::clone(&world.vault), analytics).unwrap()
}

/// The tables of a folder, having followed the world.
pub(crate) fn followed(world: &World, folder: &Path, limits: Limits) -> Projector<Analytics> {
    let mut projector = projector(world, Analytics::open_limited(folder, limits).unwrap());
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    projector
}
