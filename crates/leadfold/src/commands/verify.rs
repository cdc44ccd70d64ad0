//! `leadfold verify` and `leadfold repair`

use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use crate::cli::VerifyArgs;
use crate::commands::recount::recount;
use crate::failure::DamageFound;
use crate::folder::{self, Folder, PROOFS};
use crate::output::{json_line, line, progress_bar, short_root};
use crate::settings::Settings;

pub(crate) fn run(args: &VerifyArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut folder = Folder::open_itself(settings)?;
    let started = Instant::now();
    let bar = progress_bar(folder.engine.head().position.0, "verifying");
    let tiles = folder.settings.data.join(PROOFS);
    let mut found = folder.engine.verify(Some(&tiles), &mut |position| bar.set_position(position.0))?;
    bar.finish_and_clear();
    // Books that are not right say nothing about models.
    let models = if found.is_whole() && !args.skip_models { Some(recount(&mut folder)?) } else { None };
    let (listed, analysed) = models.as_ref().map_or((0, 0), |models| (models.listed, models.analysed));
    found.findings.extend(models.into_iter().flat_map(|models| models.findings));
    let root = short_root(&found.state_root);
    if settings.json {
        for finding in &found.findings {
            json_line(&json!({ "place": finding.place, "fault": finding.fault, "cure": finding.cure }))?;
        }
        json_line(&json!({
            "whole": found.is_whole(), "records": found.records, "bytes": found.bytes, "sealed": found.sealed,
            "erased": found.erased, "signed_heads": found.signed_heads, "state_roots": found.state_roots, "rows": found.rows,
            "leads_listed": listed, "leads_analysed": analysed,
            "head": found.head.position.0, "chain": found.head.chain.short(), "state_root": root,
            "findings": found.findings.len() as u64 + found.more_findings,
        }))?;
    } else {
        for finding in &found.findings {
            line(format_args!("{}: {}; {}", finding.place, finding.fault, finding.cure))?;
        }
        line(format_args!(
            "{} records ({} bytes), {} seals opened, {} erased, {} state roots, {} signed heads, {} rows of tables, {} leads \
             of the listing and {} of the analytics tables compared, in {:.1} s",
            found.records,
            found.bytes,
            found.sealed,
            found.erased,
            found.state_roots,
            found.signed_heads,
            found.rows,
            listed,
            analysed,
            started.elapsed().as_secs_f64()
        ))?;
        line(format_args!("head {} with chain {}, state root {root}", found.head.position, found.head.chain.short()))?;
    }
    if !found.is_whole() {
        let count = found.findings.len() as u64 + found.more_findings;
        bail!(DamageFound(format!("{count} finding(s): the data is not whole")));
    }
    if !settings.json {
        line("everything is whole")?;
    }
    folder.close()
}

/// Rebuilds tables and read models from the log.
pub(crate) fn repair(settings: &Settings) -> anyhow::Result<()> {
    folder::discard_derived(settings)?;
    let folder = Folder::open(settings)?;
    folder.listing()?;
    let head = folder.engine.head().position;
    folder.close()?;
    if settings.json {
        return json_line(&json!({ "position": head.0 }));
    }
    line(format_args!("tables and read models were rebuilt from the log, up to position {head}"))
}
