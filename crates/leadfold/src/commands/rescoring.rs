//! Scoring open leads anew: brought to its end in a folder, waited for in a service, and shown.

use std::time::Duration;

use engine::RescoringState;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::output::{json_line, line, progress_bar};
use crate::remote::{Call, Server};
use crate::settings::Settings;
use crate::source::Source;

/// How long leads are scored before the bar moves.
const TURN: Duration = Duration::from_millis(200);
/// How often a service is asked how far it has come.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How far scoring anew has come, as a service shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Rescored {
    policy_version: Option<u32>,
    visitors: u64,
    visitors_done: u64,
    leads: u64,
    changed: u64,
    seconds: Option<f64>,
}

impl From<RescoringState> for Rescored {
    fn from(state: RescoringState) -> Self {
        Self {
            policy_version: Some(state.policy_version),
            visitors: state.last_visitor.0,
            visitors_done: state.up_to.0,
            leads: state.leads,
            changed: state.changed,
            seconds: state.took.map(|took| took.as_millis() as f64 / 1_000.0),
        }
    }
}

impl Rescored {
    pub(crate) fn as_json(&self) -> Value {
        let Self { policy_version, visitors, visitors_done, leads, changed, seconds } = self;
        json!({
            "policy_version": policy_version, "visitors": visitors, "visitors_done": visitors_done, "leads": leads,
            "changed": changed, "seconds": seconds,
        })
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let Self { policy_version, visitors, visitors_done, leads, changed, seconds } = self;
        let version = policy_version.unwrap_or_default();
        match seconds {
            Some(seconds) => line(format_args!(
                "{leads} open leads scored anew by version {version}, {changed} of them have another score; in {seconds:.1} s"
            )),
            None => line(format_args!(
                "open leads are being scored anew by version {version}: {visitors_done} of {visitors} visitors are done, \
                 {changed} of {leads} leads have another score"
            )),
        }
    }
}

/// Brings to its end what is under way in a folder, also what an earlier command was cut off in.
pub(crate) fn finish(folder: &mut Folder) -> anyhow::Result<()> {
    if !folder.engine.is_rescoring() {
        return Ok(());
    }
    let bar = progress_bar(folder.engine.last_visitor().0, "scoring anew");
    let tenants: Vec<_> = folder.engine.tenants().iter().map(|tenant| tenant.id).collect();
    while folder.engine.is_rescoring() {
        folder.engine.rescore(TURN)?;
        for tenant in &tenants {
            if let Some(state) = folder.engine.rescoring(*tenant)?.filter(|state| state.took.is_none()) {
                bar.set_position(state.up_to.0);
            }
        }
    }
    bar.finish_and_clear();
    Ok(folder.engine.flush()?)
}

/// Waits until a service has scored a tenant's open leads anew. `None` where it was not chosen.
pub(crate) fn wait(server: &Server, tenant: &str) -> anyhow::Result<Option<Rescored>> {
    let ask =
        || -> anyhow::Result<Rescored> { server.send(&Call::get("/v1/policy/rescoring").of_tenant(tenant)?)?.json() };
    let mut found = ask()?;
    let bar = progress_bar(found.visitors, "scoring anew");
    while found.policy_version.is_some() && found.seconds.is_none() {
        bar.set_position(found.visitors_done);
        std::thread::sleep(ASK_EVERY);
        found = ask()?;
    }
    bar.finish_and_clear();
    Ok(found.policy_version.map(|_| found))
}

/// Prints how far it has come, or what the last time came to.
pub(crate) fn show(settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let found = match &source {
        Source::Folder(folder) => folder.engine.rescoring(folder.tenant()?)?.map(Rescored::from),
        Source::Server(server) => {
            let found: Rescored = server.send(&Call::get("/v1/policy/rescoring"))?.json()?;
            found.policy_version.map(|_| found)
        }
    };
    match found {
        Some(found) if settings.json => json_line(&found.as_json())?,
        Some(found) => found.print()?,
        None if settings.json => json_line(&json!({ "policy_version": null }))?,
        None => line("no policy was adopted with --rescore open")?,
    }
    source.close()
}
