//! `leadfold projections …`

use std::time::Instant;

use anyhow::bail;
use listing::Listing;
use projector::{Projection, Projector};
use serde_json::json;

use crate::cli::{ProjectionsAct, ProjectionsArgs};
use crate::failure::UsageError;
use crate::folder::{Folder, catch_up};
use crate::output::{json_line, line, table};
use crate::settings::Settings;

pub(crate) fn run(args: &ProjectionsArgs, settings: &Settings) -> anyhow::Result<()> {
    let folder = Folder::open(settings)?;
    match &args.act {
        None => show(&folder)?,
        Some(ProjectionsAct::Rebuild { name }) if name == "listing" => rebuild(&folder)?,
        Some(ProjectionsAct::Rebuild { name }) => {
            bail!(UsageError(format!("there is no projection \"{name}\"; there is: listing")));
        }
    }
    folder.close()
}

fn show(folder: &Folder) -> anyhow::Result<()> {
    let projector = folder.projector()?;
    let (name, version) = (projector.projection().name(), projector.projection().version());
    let (checkpoint, lag) = (projector.checkpoint(), projector.lag());
    if folder.settings.json {
        return json_line(&json!({ "name": name, "version": version, "checkpoint": checkpoint.0, "lag": lag }));
    }
    let row = vec![name.to_owned(), version.to_string(), checkpoint.to_string(), lag.to_string()];
    table(&["PROJECTION", "VERSION", "CHECKPOINT", "LAG"], vec![row])
}

/// Builds the listing anew beside the old one and switches.
fn rebuild(folder: &Folder) -> anyhow::Result<()> {
    let started = Instant::now();
    let path = &folder.settings.data;
    let parts = folder.engine.parts();
    let building = Listing::begin_rebuild(path)?;
    let mut projector = Projector::new(parts.log.clone(), parts.vault.clone(), building)?;
    let head = folder.engine.head().position;
    // Once it has caught up, it stands in the place of the old one.
    catch_up(&mut projector, head)?;
    let seconds = started.elapsed().as_secs_f64();
    if folder.settings.json {
        return json_line(&json!({ "name": "listing", "position": head.0, "seconds": seconds }));
    }
    line(format_args!("listing: built anew from {head} records in {seconds:.1} s"))
}
