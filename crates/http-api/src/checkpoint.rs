//! A copy of the log inside of the data folder, from which whoever has the folder takes a backup. Copies no keys.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use access::Permission;
use axum::extract::State;
use engine::{EngineError, Parts};
use event_log::{Head, LogError, LogPosition};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::At;
use crate::caller::Caller;
use crate::problem::{CommonProblems, Problem};
use crate::state::Api;

/// One copy at a time: there is one place for it.
static ONE: Mutex<()> = Mutex::new(());

/// Where a copy of the log ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointMade {
    /// Its last record.
    position: u64,
    /// The chain value of that record, in hexadecimal digits.
    chain: String,
}

/// Copy the log for a backup
///
/// The copy stands in the data folder under `checkpoint`, in place of an earlier one. `leadfold backup` asks for it, takes
/// it over, and removes it.
#[utoipa::path(
    post, path = "/v1/checkpoint", tag = "operations",
    responses((status = 201, body = CheckpointMade, description = "Made"), CommonProblems)
)]
pub(crate) async fn make(State(api): State<Api>, caller: Caller) -> Result<At<CheckpointMade>, Problem> {
    caller.must(Permission::Configure)?;
    let folder = api.options.checkpoint_folder.clone().ok_or_else(Problem::no_route)?;
    let copied = api.service.read_records(LogPosition::START, move |parts| copy(parts, &folder)).await??;
    let made = CheckpointMade { position: copied.position.0, chain: copied.chain.digits() };
    Ok(At::new(copied.position, made).status(StatusCode::CREATED))
}

fn copy(parts: &Parts, folder: &Path) -> Result<Head, EngineError> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LogError::Storage { doing: "remove an older copy of", source: Box::new(error) })?
        }
        Ok(()) | Err(_) => {}
    }
    // The copy has its head mark beside it, so both stand in a folder.
    std::fs::create_dir_all(folder).map_err(|error| LogError::Storage { doing: "copy", source: Box::new(error) })?;
    Ok(parts.log.checkpoint(&folder.join("log"))?)
}
