//! `leadfold projections …`

use std::time::Instant;

use anyhow::bail;
use listing::Listing;
use projector::{Projection, Projector};
use serde::Deserialize;
use serde_json::json;

use crate::cli::{ProjectionsAct, ProjectionsArgs};
use crate::failure::UsageError;
use crate::folder::{Folder, catch_up};
use crate::output::{json_line, line, table};
use crate::remote::{Call, Server};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &ProjectionsArgs, settings: &Settings) -> anyhow::Result<()> {
    match &args.act {
        None => show(settings),
        Some(ProjectionsAct::Rebuild { name }) => {
            let folder = Folder::open_itself(settings)?;
            if name != "listing" {
                bail!(UsageError(format!("there is no projection \"{name}\"; there is: listing")));
            }
            rebuild(&folder)?;
            folder.close()
        }
    }
}

/// How far a projection has followed.
struct State {
    name: String,
    /// Of its model; a service doesn't tell.
    version: Option<u32>,
    checkpoint: u64,
    lag: u64,
}

fn show(settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let State { name, version, checkpoint, lag } = match &source {
        Source::Folder(folder) => {
            let projector = folder.projector()?;
            let (name, version) = (projector.projection().name().to_owned(), projector.projection().version());
            State { name, version: Some(version), checkpoint: projector.checkpoint().0, lag: projector.lag() }
        }
        Source::Server(server) => asked(server)?,
    };
    if settings.json {
        json_line(&json!({ "name": name, "version": version, "checkpoint": checkpoint, "lag": lag }))?;
    } else {
        let version = version.map(|version| version.to_string()).unwrap_or_default();
        let row = vec![name, version, checkpoint.to_string(), lag.to_string()];
        table(&["PROJECTION", "VERSION", "CHECKPOINT", "LAG"], vec![row])?;
    }
    source.close()
}

fn asked(server: &Server) -> anyhow::Result<State> {
    #[derive(Deserialize)]
    struct Health {
        position: u64,
        listing_position: u64,
    }
    // A service that isn't ready says all the same how far it is.
    let Health { position, listing_position } = server.send_any(&Call::get("/readyz"))?.json()?;
    let lag = position.saturating_sub(listing_position);
    Ok(State { name: "listing".to_owned(), version: None, checkpoint: listing_position, lag })
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
