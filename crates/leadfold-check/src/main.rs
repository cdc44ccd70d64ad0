//! `leadfold-check DIR`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use leadfold_check::{Checked, Known, check};

/// Check a bundle that `leadfold prove` wrote, without Leadfold and without a network
///
/// Ends with 0 where everything is in order, 1 where something is wrong, 2 for wrong usage.
///
/// Example: leadfold-check proof-of-lead/ --key "$(cat shop.pub)" --head last-head.note
#[derive(Parser)]
#[command(name = "leadfold-check", version)]
struct Args {
    /// The bundle's folder
    folder: PathBuf,
    /// The log's public key, NAME+ID+KEY, as you got it from elsewhere: as text, or the name of a file with it
    #[arg(long)]
    key: Option<String>,
    /// A file with a signed head of the log that you hold: the bundle must go on from it
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (key, head) = match known(&args) {
        Ok(known) => known,
        Err(error) => return end(&error, 2),
    };
    match check(&args.folder, Known { key: key.as_deref(), head: head.as_deref() }) {
        Ok(checked) if args.json => end_well(&json(&checked)),
        Ok(checked) => end_well(&sentences(&checked, &args)),
        Err(fault) if args.json => {
            let _ = end_well(&serde_json::json!({ "whole": false, "fault": fault.to_string() }).to_string());
            ExitCode::from(1)
        }
        Err(fault) => end(&format!("the bundle proves nothing: {fault}"), 1),
    }
}

/// The key and the head that were given.
fn known(args: &Args) -> Result<(Option<String>, Option<String>), String> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let key = match &args.key {
        Some(key) if key.contains('+') => Some(key.trim().to_owned()),
        Some(path) => Some(read(&PathBuf::from(path))?.trim().to_owned()),
        None => None,
    };
    Ok((key, args.head.as_ref().map(read).transpose()?))
}

fn json(checked: &Checked) -> String {
    let Checked { program, tenant, about, key, size, time, records, left_out, policies, earlier } = checked;
    serde_json::json!({
        "whole": true, "program": program, "tenant": tenant, "about": about, "key": key, "size": size, "time": time,
        "records": records, "left_out": left_out, "policies": policies, "earlier": earlier,
    })
    .to_string()
}

fn sentences(checked: &Checked, args: &Args) -> String {
    let Checked { program, tenant, about, key, size, time, records, left_out, policies, earlier } = checked;
    let mut lines = vec![
        format!("{about} of {tenant}: {records} records and {policies} policies, written by {program}"),
        format!("all stand in the log of {size} records that {key} signed at {time}, and no earlier one is missing"),
    ];
    if *earlier > 0 {
        lines.push(format!("the log only grew since {earlier} earlier signed head(s)"));
    }
    if *left_out > 0 {
        lines.push(format!("the sealed parts of {left_out} records were left out"));
    }
    if args.key.is_none() {
        lines.push(
            "the key is the bundle's own: compare it with the one that you know, or give that with --key".to_owned(),
        );
    }
    lines.push("the bundle is whole".to_owned());
    lines.join("\n")
}

fn end_well(text: &str) -> ExitCode {
    // A reader that has gone needs no answer.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn end(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "leadfold-check: {text}");
    ExitCode::from(code)
}
