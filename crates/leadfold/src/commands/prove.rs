//! `leadfold prove`

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_api::{Evidence, ProofBundle, ProofRequest};
use proofs::BundleFile;
use proto_events::lead_event::rfc3339;
use serde_json::json;

use crate::cli::ProveArgs;
use crate::commands::lead;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, progress_bar};
use crate::remote::{Call, Server, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &ProveArgs, settings: &Settings) -> anyhow::Result<()> {
    check_place(&args.out)?;
    let since = args.since.as_ref().map(|file| {
        fs::read_to_string(file).with_context(|| format!("cannot read the signed head in {}", file.display()))
    });
    let since = since.transpose()?;
    let mut source = Source::open(settings)?;
    let files = match &mut source {
        Source::Folder(folder) => made_here(folder, args, since)?,
        Source::Server(server) => made_there(server, args, since)?,
    };
    source.close()?;
    write(&args.out, &files)?;
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    if settings.json {
        return json_line(&json!({
            "lead_id": args.lead.to_string(), "folder": args.out, "files": files.len(), "bytes": bytes,
        }));
    }
    let folder = args.out.display();
    line(format_args!("{} files ({bytes} bytes) about {} are in {folder}", files.len(), args.lead))?;
    line(format_args!("check them with `leadfold-check {folder}`"))
}

/// A bundle holds its own files and no others.
fn check_place(folder: &Path) -> anyhow::Result<()> {
    let is_empty = fs::read_dir(folder).map_or(!folder.exists(), |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(());
    }
    bail!(UsageError(format!("--out {} is there already and not an empty folder; name another", folder.display())))
}

fn made_here(folder: &mut Folder, args: &ProveArgs, since: Option<String>) -> anyhow::Result<Vec<BundleFile>> {
    let (id, name) = folder.whole_tenant().map(|tenant| (tenant.id, tenant.name.to_string()))?;
    let evidence = Evidence::find(&mut folder.engine, id, args.lead)?.ok_or_else(|| lead::unknown(args.lead))?;
    folder.engine.flush()?;
    let notary = folder.notary()?;
    let bar = progress_bar(folder.engine.head().position.0, "hashing the log's records");
    let request = ProofRequest { lead: args.lead, tenant: name, redact: args.redact, since };
    let time = rfc3339(folder.settings.clock.now());
    let parts = folder.engine.parts();
    let files = request.files(parts, &notary, &evidence, &time, &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    files.map_err(|error| anyhow::anyhow!("cannot {error}"))
}

fn made_there(server: &Server, args: &ProveArgs, since: Option<String>) -> anyhow::Result<Vec<BundleFile>> {
    let mut call = Call::get(format!("/v1/leads/{}/proof", args.lead)).query("redact", args.redact.to_string());
    if let Some(since) = since {
        call = call.query("since", since);
    }
    let answer = server.send(&call).map_err(|error| missing(error, || lead::unknown(args.lead)))?;
    let bundle: ProofBundle = answer.json()?;
    let file = |file: http_api::ProofFile| {
        let bytes = STANDARD.decode(&file.bytes_base64).context("cannot read the bundle that the service sent")?;
        Ok(BundleFile { path: file.path, bytes })
    };
    bundle.files.into_iter().map(file).collect()
}

fn write(folder: &Path, files: &[BundleFile]) -> anyhow::Result<()> {
    for BundleFile { path, bytes } in files {
        // A service that is not what it says must not write elsewhere.
        if path.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            bail!("cannot write the bundle: the service sent a path that leads out of it");
        }
        let place = folder.join(path);
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        fs::write(&place, bytes).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(())
}
