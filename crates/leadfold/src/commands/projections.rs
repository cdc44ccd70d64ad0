//! `leadfold projections …`

use std::time::{Duration, Instant};

use analytics::Analytics;
use anyhow::bail;
use engine::Clock;
use event_log::LogPosition;
use http_api::{ParkedRow, ProjectionRow};
use lead_domain::VisitorId;
use listing::Listing;
use projector::{Parked, Projection, Projector};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cli::{ProjectionsAct, ProjectionsArgs};
use crate::commands::rows::Row;
use crate::failure::UsageError;
use crate::folder::{Folder, LISTING, TABLES, catch_up};
use crate::output::{json_line, line, progress_bar, table};
use crate::remote::{Call, PageOf, Server};
use crate::settings::Settings;
use crate::source::Source;

/// How often a service is asked how far a model is.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// The most characters of a reason.
const REASON_MAX: usize = 256;

pub(crate) fn run(args: &ProjectionsArgs, settings: &Settings) -> anyhow::Result<()> {
    let Some(act) = &args.act else { return show(settings) };
    let (ProjectionsAct::Rebuild { name }
    | ProjectionsAct::Pause { name }
    | ProjectionsAct::Resume { name }
    | ProjectionsAct::Parked { name }
    | ProjectionsAct::Discard { name, .. }) = act;
    let Some(name) = [Listing::NAME, Analytics::NAME].into_iter().find(|known| known == name) else {
        bail!(UsageError(format!("there is no projection \"{name}\"; there are: listing, analytics")));
    };
    if let ProjectionsAct::Discard { visitor, reason, .. } = act {
        check(visitor, reason)?;
    }
    let source = Source::open(settings)?;
    match act {
        ProjectionsAct::Rebuild { .. } => rebuild(&source, name, settings)?,
        ProjectionsAct::Pause { .. } => pause(&source, name, true, settings)?,
        ProjectionsAct::Resume { .. } => pause(&source, name, false, settings)?,
        ProjectionsAct::Parked { .. } => show_parked(&source, name, settings)?,
        ProjectionsAct::Discard { visitor, reason, .. } => discard(&source, name, (visitor, reason), settings)?,
    }
    source.close()
}

fn check(visitor: &str, reason: &str) -> Result<(), UsageError> {
    if visitor.parse::<VisitorId>().is_err() {
        return Err(UsageError(format!("\"{visitor}\" is no visitor; they are called such as V42")));
    }
    if reason.trim().is_empty() || reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        return Err(UsageError("--reason must be a text of 1 to 256 characters".to_owned()));
    }
    Ok(())
}

/// How a projection in a folder stands.
fn state_of<P: Projection>(projector: &Projector<P>, folder: &Folder) -> anyhow::Result<ProjectionRow> {
    let (checkpoint, name) = (projector.checkpoint(), projector.projection().name());
    let parked = projector.parked().waiting();
    Ok(ProjectionRow {
        name: name.to_owned(),
        version: projector.projection().version(),
        // Every command that reads it brings it up to date.
        state: if folder.pause(name).is_set() { "paused" } else { "following" }.to_owned(),
        position: checkpoint.0,
        lag: projector.lag(),
        lag_seconds: engine::lag_seconds(&*folder.engine.parts().log, checkpoint, Clock::System.now())?,
        parked,
        discarded: projector.parked().streams().count() - parked,
        rebuilding: None,
        error: None,
        rebuild_error: None,
    })
}

fn show(settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let states = match &source {
        Source::Folder(folder) => {
            let mut states = vec![state_of(&folder.projector()?, folder)?];
            match folder.analytics_projector() {
                Ok(projector) => states.push(state_of(&projector, folder)?),
                Err(error) => eprintln!("cannot {error:#}"),
            }
            states
        }
        Source::Server(server) => asked(server)?,
    };
    let mut rows = Vec::new();
    for state in states {
        if settings.json {
            json_line(&json!({
                "name": state.name, "version": state.version, "state": state.state, "checkpoint": state.position,
                "lag": state.lag, "lag_seconds": state.lag_seconds, "parked": state.parked,
                "discarded": state.discarded, "rebuilding": state.rebuilding, "error": state.error,
                "rebuild_error": state.rebuild_error,
            }))?;
            continue;
        }
        for error in state.error.iter().chain(&state.rebuild_error) {
            eprintln!("projection {}: {error}", state.name);
        }
        let word = state.rebuilding.map(|at| format!("{}, rebuilding at {at}", state.state)).unwrap_or(state.state);
        let waits = format!("{} s", state.lag_seconds);
        let numbers = [state.version.to_string(), state.position.to_string(), state.lag.to_string()];
        rows.push([vec![state.name], numbers.to_vec(), vec![waits, word, state.parked.to_string()]].concat());
    }
    if !settings.json {
        table(&["PROJECTION", "VERSION", "CHECKPOINT", "LAG", "FOR", "STATE", "PARKED"], rows)?;
    }
    source.close()
}

fn asked(server: &Server) -> anyhow::Result<Vec<ProjectionRow>> {
    items(server, "/v1/projections")
}

/// The rows of a list that has one page.
fn items<T: Serialize + DeserializeOwned>(server: &Server, path: impl Into<String>) -> anyhow::Result<Vec<T>> {
    let page: PageOf = server.send(&Call::get(path))?.json()?;
    page.items.into_iter().map(|row| Row::sent(row).into_inner()).collect()
}

/// Builds a read model anew beside the old one and switches.
fn rebuild(source: &Source, name: &'static str, settings: &Settings) -> anyhow::Result<()> {
    let started = Instant::now();
    let position = match source {
        Source::Server(server) => rebuild_there(server, name)?,
        Source::Folder(folder) if name == Listing::NAME => {
            let earlier = folder.projector().map(|old| old.parked().clone()).unwrap_or_default();
            rebuild_here(folder, Listing::begin_rebuild(&settings.data)?, earlier, LISTING)?
        }
        Source::Folder(folder) => {
            let earlier = Analytics::left_out(&settings.data).unwrap_or_default();
            let position = rebuild_here(folder, Analytics::begin_rebuild(&settings.data)?, earlier, TABLES)?;
            Analytics::remove_replaced(&settings.data)?;
            position
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if settings.json {
        return json_line(&json!({ "name": name, "position": position.0, "seconds": seconds }));
    }
    line(format_args!("{name}: built anew from {position} records in {seconds:.1} s"))
}

fn rebuild_here<P: Projection>(
    folder: &Folder,
    building: P,
    earlier: Parked,
    what: &'static str,
) -> anyhow::Result<LogPosition> {
    let parts = folder.engine.parts();
    let mut projector = Projector::new(parts.log.clone(), parts.vault.clone(), building)?.after(earlier);
    let head = folder.engine.head().position;
    // Once it has caught up, it stands in the place of the old one.
    catch_up(&mut projector, head, what)?;
    projector.seal()?;
    tell_left_out(projector.projection().name(), projector.parked().waiting());
    Ok(head)
}

/// Lets a service build it, and waits for that.
fn rebuild_there(server: &Server, name: &'static str) -> anyhow::Result<LogPosition> {
    let begun: ProjectionRow = server.send(&Call::tell_projection(name, "rebuild"))?.json()?;
    let bar = progress_bar(begun.position + begun.lag, "building it anew; the service goes on");
    loop {
        std::thread::sleep(ASK_EVERY);
        let Some(state) = asked(server)?.into_iter().find(|state| state.name == name) else {
            bail!("cannot tell how far projection {name} is: the service no longer has it");
        };
        if let Some(reached) = state.rebuilding {
            bar.set_position(reached);
            continue;
        }
        bar.finish_and_clear();
        if let Some(error) = state.rebuild_error.or(state.error) {
            bail!("cannot build projection {name} anew; the one in use stays: {error}");
        }
        tell_left_out(name, state.parked);
        return Ok(LogPosition(state.position));
    }
}

fn tell_left_out(name: &str, left_out: usize) {
    if left_out > 0 {
        eprintln!("{left_out} visitors are left out of it; see `leadfold projections parked {name}`");
    }
}

fn pause(source: &Source, name: &'static str, paused: bool, settings: &Settings) -> anyhow::Result<()> {
    match source {
        Source::Folder(folder) => folder.pause(name).set(paused)?,
        Source::Server(server) => {
            let what = if paused { "pause" } else { "resume" };
            server.send(&Call::tell_projection(name, what))?;
        }
    }
    if settings.json {
        return json_line(&json!({ "name": name, "paused": paused }));
    }
    let said = if paused { "paused, but for erasures, until it is resumed" } else { "goes on" };
    line(format_args!("{name}: {said}"))
}

fn show_parked(source: &Source, name: &'static str, settings: &Settings) -> anyhow::Result<()> {
    let rows = match source {
        Source::Folder(folder) if name == Listing::NAME => parked_in(folder, folder.projector()?.parked()),
        Source::Folder(folder) => parked_in(folder, folder.analytics_projector()?.parked()),
        Source::Server(server) => items(server, format!("/v1/projections/{name}/parked"))?,
    };
    if settings.json {
        return rows.iter().try_for_each(json_line);
    }
    if rows.is_empty() {
        return line(format_args!("nobody is left out of projection {name}"));
    }
    let cells = rows.into_iter().map(|row| {
        let [since, cause, records] = [row.since, row.cause, row.records].map(|number| number.to_string());
        vec![row.visitor_id, row.tenant, since, records, cause, row.reason, row.discarded.unwrap_or_default()]
    });
    table(&["VISITOR", "TENANT", "SINCE", "RECORDS", "CAUSE", "BECAUSE", "DISCARDED"], cells.collect())
}

fn parked_in(folder: &Folder, parked: &Parked) -> Vec<ParkedRow> {
    let tenants = folder.engine.tenants();
    let row = |(visitor, stream): (VisitorId, &projector::ParkedStream)| ParkedRow {
        visitor_id: visitor.to_string(),
        tenant: tenants.iter().find(|it| it.id.0 == stream.tenant).map(|it| it.name.to_string()).unwrap_or_default(),
        since: stream.since,
        cause: stream.cause,
        reason: stream.reason.clone(),
        records: stream.records,
        discarded: stream.discarded.clone(),
    };
    parked.streams().map(row).collect()
}

fn discard(
    source: &Source,
    name: &'static str,
    (visitor, reason): (&str, &str),
    settings: &Settings,
) -> anyhow::Result<()> {
    let reason = reason.trim();
    let is_done = match source {
        Source::Folder(folder) => {
            let visitor: VisitorId = visitor.parse().map_err(|_| UsageError("that is no visitor".to_owned()))?;
            match name {
                Listing::NAME => folder.projector()?.discard_parked(visitor, reason)?,
                _ => folder.analytics_projector()?.discard_parked(visitor, reason)?,
            }
        }
        Source::Server(server) => {
            server.send(&Call::discard_parked(name, visitor, reason))?;
            true
        }
    };
    if !is_done {
        bail!("cannot discard {visitor}: there is no such visitor among those that the projection leaves out");
    }
    if settings.json {
        return json_line(&json!({ "name": name, "visitor_id": visitor, "reason": reason }));
    }
    line(format_args!("{name}: does without {visitor}"))
}
