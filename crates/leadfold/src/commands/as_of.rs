//! `leadfold as-of TIME …`, and a lead as it was

use anyhow::bail;
use lead_domain::{LeadId, TenantId, Time};
use listing::LeadRow;
use service::{Past, Streams, When};

use crate::cli::{AsOfArgs, AsOfCommand};
use crate::commands::rows::Row;
use crate::commands::{lead, leads};
use crate::failure::UsageError;
use crate::folder::{self, PAST};
use crate::output::{progress_bar, rfc3339};
use crate::remote::{Call, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &AsOfArgs, settings: &Settings) -> anyhow::Result<()> {
    let when = When { as_of: Some(args.time), known_at: args.known_at };
    refuse_future(when, settings)?;
    let parts = folder::parts_to_read(settings)?;
    let bar = progress_bar(parts.log.head().position.0, "listing the leads as they were");
    let past = Past::of_all(&parts, when, &settings.data.join(PAST), &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    let past = past?;
    let tenant = tenant(&past, settings)?;
    let reader = past.reader()?;
    match &args.what {
        AsOfCommand::Leads(args) => leads::show(settings, |take| leads::read(&reader, tenant, args, take)),
    }
}

/// The tenant that the command concerns, as far as it was known then.
fn tenant(past: &Past, settings: &Settings) -> anyhow::Result<TenantId> {
    match (&settings.tenant, past.tenants()) {
        (Some(name), tenants) => match tenants.iter().find(|(_, known)| known == name) {
            Some((tenant, _)) => Ok(*tenant),
            None => bail!(UsageError(format!("there was no tenant \"{name}\" then"))),
        },
        (None, [(only, _)]) => Ok(*only),
        (None, []) => bail!(UsageError("nothing was recorded by then".to_owned())),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            bail!(UsageError(format!("there are several tenants ({}); name one with --tenant", names.join(", "))))
        }
    }
}

fn refuse_future(when: When, settings: &Settings) -> Result<(), UsageError> {
    let now = settings.clock.now();
    match [when.as_of, when.known_at].into_iter().flatten().find(|time| *time > now) {
        None => Ok(()),
        Some(time) => Err(UsageError(format!("{} lies in the future, of which nothing is known yet", rfc3339(time)))),
    }
}

/// A lead as it was, from its visitor's own records.
pub(crate) fn lead(source: &mut Source, id: LeadId, when: When, settings: &Settings) -> anyhow::Result<Row<LeadRow>> {
    match source {
        Source::Folder(folder) => {
            refuse_future(when, settings)?;
            let tenant = folder.tenant()?;
            let streams = Streams::find(&mut folder.engine, tenant, id.visitor, when)?;
            let streams = streams.ok_or_else(|| lead::unknown(id))?;
            let past = Past::of_streams(folder.engine.parts(), streams, when, &settings.data.join(PAST))?;
            let (found, _) = past.reader()?.lead(tenant, id)?;
            found.map(Row::Ours).ok_or_else(|| lead::unknown(id))
        }
        Source::Server(server) => {
            let mut call = Call::get(format!("/v1/leads/{id}"));
            let named = |name: &str, time: Option<Time>| time.map(|time| (name.to_owned(), rfc3339(time)));
            for (name, time) in [named("as_of", when.as_of), named("known_at", when.known_at)].into_iter().flatten() {
                call = call.query(name, time);
            }
            Row::only(&server.send(&call).map_err(|error| missing(error, || lead::unknown(id)))?.body)
        }
    }
}
