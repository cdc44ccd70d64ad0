//! `leadfold as-of TIME …`, and a lead as it was

use std::ops::ControlFlow;

use ::analytics::{AnalyticsReader, Setting};
use anyhow::{Context, bail};
use engine::{Parts, When};
use http_api::PAST_TABLES;
use lead_domain::{LeadId, TenantId};
use listing::LeadRow;
use projector::Projection;
use proto_events::policy_document::PolicyDocument;
use serde_json::Value;
use service::{Build, LISTINGS, Maker, Past, Streams};

use crate::cli::{AnalyticsArgs, AsOfArgs, AsOfCommand, FunnelArgs, LeadsArgs};
use crate::commands::rows::Row;
use crate::commands::{analytics, funnel, lead, leads, score};
use crate::failure::UsageError;
use crate::folder::{self, PAST};
use crate::output::{progress_bar, rfc3339};
use crate::remote::{Call, Server, UNREADABLE, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &AsOfArgs, settings: &Settings) -> anyhow::Result<()> {
    let when = When { as_of: Some(args.time), known_at: args.known_at };
    match &args.what {
        AsOfCommand::Lead(args) => {
            let mut source = Source::open(settings)?;
            lead::show(lead(&mut source, args.id, when, settings)?, settings)?;
            source.close()
        }
        AsOfCommand::Score(args) => {
            let mut source = Source::open(settings)?;
            refuse_future(when, settings)?;
            let asked = score::Asked { id: args.id, when, why: args.why.as_deref() };
            score::of_lead(&mut source, &asked, settings)?;
            source.close()
        }
        AsOfCommand::Leads(args) => list(args, when, settings),
        AsOfCommand::Analytics(args) => measure(args, when, settings),
        AsOfCommand::Funnel(args) => show_funnel(args, when, settings),
    }
}

fn list(args: &LeadsArgs, when: When, settings: &Settings) -> anyhow::Result<()> {
    if let Some(server) = server(settings)? {
        return leads::show(settings, |take| leads::ask(&server, args, &parameters(when), take));
    }
    let past = build(when, LISTINGS, "listing the leads as they were", settings)?;
    let reader = past.reader().open()?;
    let (tenant, _) = tenant(&past, settings)?;
    leads::show(settings, |take| leads::read(&reader, tenant, args, take))
}

fn measure(args: &AnalyticsArgs, when: When, settings: &Settings) -> anyhow::Result<()> {
    let document = analytics::document(&args.query)?;
    if let Some(server) = server(settings)? {
        return analytics::show(&ask(&server, Call::report(document), when)?, settings);
    }
    let past = tables(when, settings)?;
    let (_, policy) = tenant(&past, settings)?;
    let question = analytics::question(&document, &setting(policy, when))?;
    let limits = analytics::limits(args, settings);
    let report = analytics::ask_tables(past.reader().snapshot(), &policy.policy.tenant, &question, limits);
    analytics::show(&report?, settings)
}

fn show_funnel(args: &FunnelArgs, when: When, settings: &Settings) -> anyhow::Result<()> {
    let asked = funnel::parameters(args)?;
    if let Some(server) = server(settings)? {
        let call = Call::get("/v1/analytics/funnel");
        let call = asked.iter().fold(call, |call, (name, value)| call.query(name, value));
        return funnel::show(&ask(&server, call, when)?, settings);
    }
    let past = tables(when, settings)?;
    let (_, policy) = tenant(&past, settings)?;
    let funnel = funnel::read(&asked, policy, &setting(policy, when))?;
    let report = funnel::ask_tables(past.reader().snapshot(), &policy.policy.tenant, &funnel, settings);
    funnel::show(&report?, settings)
}

fn setting(policy: &PolicyDocument, when: When) -> Setting {
    let now = when.time().unwrap_or_default().as_millis();
    Setting { now, zone: policy.time_zone.clone() }
}

/// The service that was named; beside one that holds the folder its log can be read.
fn server(settings: &Settings) -> anyhow::Result<Option<Server>> {
    settings.server.as_deref().map(|url| Server::named(url, settings)).transpose()
}

fn ask(server: &Server, call: Call, when: When) -> anyhow::Result<Value> {
    let call = parameters(when).into_iter().fold(call, |call, (name, time)| call.query(name, time));
    serde_json::from_slice(&server.listed(call)?.body).context(UNREADABLE)
}

fn tables(when: When, settings: &Settings) -> anyhow::Result<Past<AnalyticsReader>> {
    build(when, PAST_TABLES, "filling the analytics tables as they were", settings)
}

fn build<P: Projection, R>(
    when: When,
    maker: Maker<P, R>,
    what: &'static str,
    settings: &Settings,
) -> anyhow::Result<Past<R>> {
    refuse_future(when, settings)?;
    let parts: Parts = folder::parts_to_read(settings)?;
    let bar = progress_bar(parts.log.head().position.0, what);
    let build = Build { parts: &parts, when, scratch: &settings.data.join(PAST), base: None };
    let past = Past::of_all(build, maker, &mut |position| {
        bar.set_position(position.0);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    Ok(past?)
}

/// The tenant that the command concerns, as far as it was known then.
fn tenant<'a, R>(past: &'a Past<R>, settings: &Settings) -> anyhow::Result<(TenantId, &'a PolicyDocument)> {
    match (&settings.tenant, past.tenants()) {
        (Some(name), tenants) => match tenants.iter().find(|(_, policy)| policy.policy.tenant == *name) {
            Some((tenant, policy)) => Ok((*tenant, policy)),
            None => bail!(UsageError(format!("there was no tenant \"{name}\" then"))),
        },
        (None, [(tenant, policy)]) => Ok((*tenant, policy)),
        (None, []) => bail!(UsageError("nothing was recorded by then".to_owned())),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(_, policy)| policy.policy.tenant.as_str()).collect();
            bail!(UsageError(format!("there are several tenants ({}); name one with --tenant", names.join(", "))))
        }
    }
}

pub(crate) fn refuse_future(when: When, settings: &Settings) -> Result<(), UsageError> {
    let now = settings.clock.now();
    match [when.as_of, when.known_at].into_iter().flatten().find(|time| *time > now) {
        None => Ok(()),
        Some(time) => Err(UsageError(format!("{} lies in the future, of which nothing is known yet", rfc3339(time)))),
    }
}

/// The past as parameters of a request.
pub(crate) fn parameters(when: When) -> Vec<(String, String)> {
    let named = [("as_of", when.as_of), ("known_at", when.known_at)];
    named.into_iter().filter_map(|(name, time)| Some((name.to_owned(), rfc3339(time?)))).collect()
}

/// A lead as it was, from its visitor's own records.
pub(crate) fn lead(source: &mut Source, id: LeadId, when: When, settings: &Settings) -> anyhow::Result<Row<LeadRow>> {
    match source {
        Source::Folder(folder) => {
            refuse_future(when, settings)?;
            let tenant = folder.tenant()?;
            let streams = Streams::find(&mut folder.engine, tenant, id.visitor, when)?;
            let streams = streams.ok_or_else(|| lead::unknown(id))?;
            let scratch = settings.data.join(PAST);
            let build = Build { parts: folder.engine.parts(), when, scratch: &scratch, base: None };
            let past = Past::of_streams(build, LISTINGS, streams)?;
            let (found, _) = past.reader().open()?.lead(tenant, id)?;
            found.map(Row::Ours).ok_or_else(|| lead::unknown(id))
        }
        Source::Server(server) => {
            let call = Call::get(format!("/v1/leads/{id}"));
            let call = parameters(when).into_iter().fold(call, |call, (name, time)| call.query(name, time));
            Row::only(&server.send(&call).map_err(|error| missing(error, || lead::unknown(id)))?.body)
        }
    }
}
