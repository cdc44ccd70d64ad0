//! `leadfold projections …`

use std::time::Instant;

use analytics::Analytics;
use anyhow::bail;
use engine::Clock;
use listing::Listing;
use projector::{Projection, Projector};
use serde::Deserialize;
use serde_json::json;

use crate::cli::{ProjectionsAct, ProjectionsArgs};
use crate::failure::UsageError;
use crate::folder::{Folder, LISTING, catch_up};
use crate::output::{json_line, line, table};
use crate::remote::{Call, Server};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &ProjectionsArgs, settings: &Settings) -> anyhow::Result<()> {
    match &args.act {
        None => show(settings),
        Some(ProjectionsAct::Rebuild { name }) => {
            let folder = Folder::open_itself(settings)?;
            match name.as_str() {
                Listing::NAME => rebuild(&folder, Listing::begin_rebuild(&settings.data)?, LISTING)?,
                Analytics::NAME => {
                    rebuild(&folder, Analytics::begin_rebuild(&settings.data)?, "filling the analytics tables")?;
                    // Opening it removes the files of the old one.
                    Analytics::open(&settings.data)?;
                }
                _ => bail!(UsageError(format!("there is no projection \"{name}\"; there are: listing, analytics"))),
            }
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
    lag_seconds: u64,
}

impl State {
    fn of<P: Projection>(projector: &Projector<P>, folder: &Folder) -> anyhow::Result<Self> {
        let checkpoint = projector.checkpoint();
        Ok(Self {
            name: projector.projection().name().to_owned(),
            version: Some(projector.projection().version()),
            checkpoint: checkpoint.0,
            lag: projector.lag(),
            lag_seconds: engine::lag_seconds(&*folder.engine.parts().log, checkpoint, Clock::System.now())?,
        })
    }
}

fn show(settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let states = match &source {
        Source::Folder(folder) => {
            let mut states = vec![State::of(&folder.projector()?, folder)?];
            match folder.analytics_projector() {
                Ok(projector) => states.push(State::of(&projector, folder)?),
                Err(error) => eprintln!("cannot {error:#}"),
            }
            states
        }
        Source::Server(server) => asked(server)?,
    };
    let mut rows = Vec::new();
    for State { name, version, checkpoint, lag, lag_seconds } in states {
        if settings.json {
            json_line(&json!({
                "name": name, "version": version, "checkpoint": checkpoint, "lag": lag, "lag_seconds": lag_seconds,
            }))?;
        } else {
            let version = version.map(|version| version.to_string()).unwrap_or_default();
            let waits = format!("{lag_seconds} s");
            rows.push(vec![name, version, checkpoint.to_string(), lag.to_string(), waits]);
        }
    }
    if !settings.json {
        table(&["PROJECTION", "VERSION", "CHECKPOINT", "LAG", "FOR"], rows)?;
    }
    source.close()
}

fn asked(server: &Server) -> anyhow::Result<Vec<State>> {
    #[derive(Deserialize)]
    struct Health {
        position: u64,
        listing_position: u64,
        #[serde(default)]
        listing_lag_seconds: u64,
        analytics_position: Option<u64>,
        #[serde(default)]
        analytics_lag_seconds: u64,
    }
    // A service that isn't ready says all the same how far it is.
    let health: Health = server.send_any(&Call::get("/readyz"))?.json()?;
    let state = |name: &str, checkpoint: u64, lag_seconds: u64| State {
        name: name.to_owned(),
        version: None,
        checkpoint,
        lag: health.position.saturating_sub(checkpoint),
        lag_seconds,
    };
    let mut states = vec![state(Listing::NAME, health.listing_position, health.listing_lag_seconds)];
    let analytics = health.analytics_position;
    states.extend(analytics.map(|checkpoint| state(Analytics::NAME, checkpoint, health.analytics_lag_seconds)));
    Ok(states)
}

/// Builds a read model anew beside the old one and switches.
fn rebuild<P: Projection>(folder: &Folder, building: P, what: &'static str) -> anyhow::Result<()> {
    let started = Instant::now();
    let parts = folder.engine.parts();
    let mut projector = Projector::new(parts.log.clone(), parts.vault.clone(), building)?;
    let head = folder.engine.head().position;
    // Once it has caught up, it stands in the place of the old one.
    catch_up(&mut projector, head, what)?;
    projector.seal()?;
    let name = projector.projection().name();
    let seconds = started.elapsed().as_secs_f64();
    if folder.settings.json {
        return json_line(&json!({ "name": name, "position": head.0, "seconds": seconds }));
    }
    line(format_args!("{name}: built anew from {head} records in {seconds:.1} s"))
}
