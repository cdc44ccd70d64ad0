//! `leadfold quarantine …`

use std::io::Write;

use anyhow::{Context, bail};
use engine::{EngineError, Outcome, Quarantine, QuarantineState};
use event_log::LogPosition;
use feed::{ClockCorrection, Entry, Origin};
use serde_json::{Value, json};

use crate::cli::{QuarantineAct, QuarantineArgs, QuarantineFilter};
use crate::commands::import::decoder;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, rfc3339, table};
use crate::settings::Settings;

/// Inputs read in one go.
const PAGE: usize = 500;

pub(crate) fn run(args: &QuarantineArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut folder = Folder::open(settings)?;
    match (args.position, &args.act) {
        (None, None) => list(&mut folder, args)?,
        (None, Some(_)) => {
            bail!(UsageError("name the position of the input, as `leadfold quarantine` lists it".into()))
        }
        (Some(position), act) => {
            let position = LogPosition(position);
            match act {
                None => print_one(&folder.engine.quarantined(position)?, settings)?,
                Some(QuarantineAct::Show) => show(&folder, position)?,
                Some(QuarantineAct::Retry { repaired }) => retry(&mut folder, position, repaired.as_deref())?,
                Some(QuarantineAct::Discard) => discard(&mut folder, position)?,
            }
        }
    }
    folder.close()
}

fn wanted(quarantine: &Quarantine, filter: QuarantineFilter) -> bool {
    match filter {
        QuarantineFilter::All => true,
        QuarantineFilter::Held => quarantine.state == QuarantineState::Held,
        QuarantineFilter::Released => quarantine.state != QuarantineState::Held,
    }
}

fn list(folder: &mut Folder, args: &QuarantineArgs) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut after = LogPosition::START;
    let mut shown = 0;
    'pages: loop {
        let page = folder.engine.quarantine(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for quarantine in page.iter().filter(|quarantine| wanted(quarantine, args.state)) {
            if shown == args.limit {
                break 'pages;
            }
            shown += 1;
            if folder.settings.json {
                json_line(&shape(quarantine))?;
            } else {
                rows.push(row(quarantine));
            }
        }
    }
    if folder.settings.json {
        return Ok(());
    }
    if rows.is_empty() {
        return line("nothing is in quarantine");
    }
    table(&["POSITION", "RECEIVED", "ORIGIN", "CODE", "PATH", "REASON", "STATE"], rows)
}

fn state(quarantine: &Quarantine) -> String {
    match quarantine.state {
        QuarantineState::Held => "held".to_owned(),
        QuarantineState::Released(by) => format!("released by {by}"),
    }
}

fn row(quarantine: &Quarantine) -> Vec<String> {
    let reason = &quarantine.reason;
    vec![
        quarantine.position.to_string(),
        rfc3339(quarantine.received_at),
        reason.origin.as_str().to_owned(),
        reason.code.as_str().to_owned(),
        reason.path.as_str().to_owned(),
        reason.message_text.as_str().to_owned(),
        state(quarantine),
    ]
}

/// The shape for programs; the bytes are left to `show`, since they may hold personal data.
fn shape(quarantine: &Quarantine) -> Value {
    let reason = &quarantine.reason;
    json!({
        "id": quarantine.position.0,
        "received_at": rfc3339(quarantine.received_at),
        "origin": reason.origin.as_str(),
        "code": reason.code.as_str(),
        "path": reason.path.as_str(),
        "message": reason.message_text.as_str(),
        "state": state(quarantine),
        "bytes": quarantine.bytes.as_ref().map(Vec::len),
    })
}

fn print_one(quarantine: &Quarantine, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return json_line(&shape(quarantine));
    }
    table(&["POSITION", "RECEIVED", "ORIGIN", "CODE", "PATH", "REASON", "STATE"], vec![row(quarantine)])
}

fn show(folder: &Folder, position: LogPosition) -> anyhow::Result<()> {
    let Some(bytes) = folder.engine.quarantined(position)?.bytes else {
        bail!("cannot show the bytes of input {position}: their key was destroyed");
    };
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn retry(folder: &mut Folder, position: LogPosition, repaired: Option<&std::path::Path>) -> anyhow::Result<()> {
    let quarantine = folder.engine.quarantined(position)?;
    if quarantine.state != QuarantineState::Held {
        bail!(EngineError::NotQuarantined { position });
    }
    if let (None, Some(kept)) = (repaired, &quarantine.kept) {
        bail!("cannot retry input {position}: only {kept} were kept; name the repaired input with --with");
    }
    let bytes = match repaired {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => quarantine.bytes.with_context(|| format!("cannot retry input {position}: its key was destroyed"))?,
    };
    let tenant = folder.tenant()?;
    let origin =
        Origin { name: "quarantine", feed_sequence: position.0, tenant: Some(tenant), clock: ClockCorrection::History };
    let entry = decoder(folder, Some(tenant)).decode(&bytes, origin, quarantine.received_at)?;
    if let Entry::Rejected(rejected) = &entry {
        let (path, text) = (rejected.facts.path.as_str(), rejected.facts.message_text.as_str());
        let path = if path.is_empty() { String::new() } else { format!(" {path}:") };
        bail!("cannot take input {position}:{path} {text}");
    }
    let outcome = folder.engine.release(position, folder.settings.operator.as_str().into(), Some(entry))?;
    let (word, at) = match outcome {
        Some(Outcome::Recorded(at)) => ("recorded", at.0),
        Some(Outcome::Duplicate(at)) => ("duplicate", at.0),
        Some(Outcome::Conflict(at)) => ("conflict", at.0),
        Some(Outcome::Quarantined(at)) => ("quarantined", at.0),
        None => ("discarded", position.0),
    };
    if folder.settings.json {
        return json_line(&json!({ "id": position.0, "result": word, "position": at }));
    }
    line(format_args!("input {position}: {word}, at position {at}"))
}

fn discard(folder: &mut Folder, position: LogPosition) -> anyhow::Result<()> {
    folder.engine.release(position, folder.settings.operator.as_str().into(), None)?;
    if folder.settings.json {
        return json_line(&json!({ "id": position.0, "result": "discarded" }));
    }
    line(format_args!("input {position} was set aside; its record stays in the log"))
}
