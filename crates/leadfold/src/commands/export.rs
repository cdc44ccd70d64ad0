//! `leadfold visitor ID export`: all that is held about a person, as JSON.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use engine::{EngineError, TimelineQuery};
use lead_domain::VisitorId;
use serde_json::Value;

use crate::folder::Folder;
use crate::output::line;
use crate::remote::{Call, missing};
use crate::source::Source;

/// Writes the document to a file, or to standard output.
pub(crate) fn write(source: &mut Source, id: VisitorId, out: Option<&Path>) -> anyhow::Result<()> {
    let document = match source {
        Source::Folder(folder) => of_folder(folder, id)?,
        Source::Server(server) => {
            let answer = server.listed(Call::get(format!("/v1/visitors/{id}/export")));
            answer.map_err(|error| missing(error, || EngineError::UnknownVisitor { visitor: id }.into()))?.json()?
        }
    };
    let text = serde_json::to_string_pretty(&document)?;
    let Some(path) = out else { return line(text) };
    let context = || format!("cannot write {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).with_context(context)
}

fn of_folder(folder: &mut Folder, id: VisitorId) -> anyhow::Result<Value> {
    let tenant = folder.tenant()?;
    let visitor = folder.engine.book(tenant, id)?.visitor;
    let timeline = folder.engine.timeline(&TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None })?;
    let untaken = folder.engine.parts().untaken_of(tenant, &timeline)?;
    let (row, _) = folder.listing()?.reader()?.visitor(tenant, visitor)?;
    Ok(serde_json::to_value(http_api::visitor_export(row, &timeline, &untaken, visitor))?)
}
