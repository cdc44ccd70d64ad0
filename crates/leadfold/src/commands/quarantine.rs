//! `leadfold quarantine …`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Answer, EngineError, QuarantineState, Release};
use event_log::LogPosition;
use feed::{ClockCorrection, Entry, InteractionEntry, Origin};
use http_api::QuarantineRow;
use proto_events::command_document::Ask;
use serde_json::value::RawValue;

use crate::cli::{QuarantineAct, QuarantineArgs, QuarantineFilter};
use crate::commands::act::{Told, answered, tell_events};
use crate::commands::import::decoder;
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{line, table};
use crate::remote::{Call, RemoteError, Route, Server};
use crate::settings::Settings;
use crate::source::Source;

/// What the columns of the table are called.
const HEAD: [&str; 7] = ["POSITION", "RECEIVED", "ORIGIN", "CODE", "PATH", "REASON", "STATE"];
/// The state of an input that still waits.
const HELD: &str = "held";

pub(crate) fn run(args: &QuarantineArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut source = Source::open(settings)?;
    let Some(position) = args.position.map(LogPosition) else {
        if args.act.is_some() {
            bail!(UsageError("name the position of the input, as `leadfold quarantine` lists it".into()));
        }
        list(&mut source, args, settings)?;
        return source.close();
    };
    match &args.act {
        None => {
            // Its bytes are left to `show`, since they may hold personal data.
            let found = QuarantineRow { bytes_base64: None, ..find(&source, position)? };
            if settings.json {
                Row::Ours(found).print_json()?;
            } else {
                table(&HEAD, vec![row(found)])?;
            }
        }
        Some(QuarantineAct::Show) => show(&find(&source, position)?, position)?,
        Some(QuarantineAct::Retry { repaired }) => {
            let told = match &mut source {
                Source::Folder(folder) => retry(folder, position, repaired.as_deref())?,
                Source::Server(server) => ask_to_retry(server, position, repaired.as_deref())?,
            };
            tell(told, &format!("input {position} was taken"), settings)?;
        }
        Some(QuarantineAct::Discard) => {
            let told = match &mut source {
                Source::Folder(folder) => release(folder, position, None)?,
                Source::Server(server) => {
                    let route = Route::of(&Ask::DiscardQuarantined { position: position.0 });
                    Row::only(&server.send(&Call::act(route, Vec::new(), None).once())?.body)?
                }
            };
            tell(told, &format!("input {position} was set aside; its record stays in the log"), settings)?;
        }
    }
    source.close()
}

fn list(source: &mut Source, args: &QuarantineArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let take = |quarantine: Row<QuarantineRow>| {
        let quarantine = quarantine.into_inner()?;
        let is_wanted = match args.state {
            QuarantineFilter::All => true,
            QuarantineFilter::Held => quarantine.state == HELD,
            QuarantineFilter::Released => quarantine.state != HELD,
        };
        if !is_wanted {
            return Ok(Taken::No);
        }
        if settings.json {
            Row::Ours(quarantine).print_json()?
        } else {
            rows.push(row(quarantine))
        }
        Ok(Taken::Yes)
    };
    match source {
        Source::Folder(folder) => each_row(args.limit as u64, |wanted| page(folder, wanted), take)?,
        Source::Server(server) => {
            let read = |wanted: &Wanted| Page::sent(server, Call::get("/v1/quarantine"), &wanted.whole());
            each_row(args.limit as u64, read, take)?
        }
    };
    if settings.json {
        return Ok(());
    }
    if rows.is_empty() {
        return line("nothing is in quarantine");
    }
    table(&HEAD, rows)
}

/// A page of what is in quarantine; its cursor is the last position.
fn page(folder: &mut Folder, wanted: &Wanted) -> anyhow::Result<Page<QuarantineRow>> {
    let after =
        wanted.cursor.as_ref().map(|cursor| cursor.parse()).transpose()?.map_or(LogPosition::START, LogPosition);
    let found = folder.engine.quarantine(after, wanted.whole().limit as usize)?;
    let next_cursor = found.last().map(|last| last.position.0.to_string());
    Ok(Page { items: found.iter().map(QuarantineRow::of).map(Row::Ours).collect(), next_cursor, count: None })
}

fn find(source: &Source, position: LogPosition) -> anyhow::Result<QuarantineRow> {
    match source {
        Source::Folder(folder) => Ok(QuarantineRow::whole(&folder.engine.quarantined(position)?)),
        Source::Server(server) => server.send(&Call::get(format!("/v1/quarantine/{position}")))?.json(),
    }
}

fn row(quarantine: QuarantineRow) -> Vec<String> {
    let QuarantineRow { id, received_at, origin, code, path, message, state, released_by, bytes_base64: _ } =
        quarantine;
    let state = released_by.map_or(state, |by| format!("released by {by}"));
    vec![id.to_string(), received_at, origin, code, path, message, state]
}

fn show(quarantine: &QuarantineRow, position: LogPosition) -> anyhow::Result<()> {
    let Some(text) = &quarantine.bytes_base64 else {
        bail!("cannot show the bytes of input {position}: their key was destroyed");
    };
    let bytes = STANDARD.decode(text).context("cannot read the bytes that the service sent")?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn tell(told: Row<Told>, sentence: &str, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return told.print_json();
    }
    let told = told.into_inner()?;
    line(sentence)?;
    if told.events.is_empty() {
        return Ok(());
    }
    line(format_args!("recorded at position {}", told.position))?;
    tell_events(&told)
}

fn read(repaired: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(repaired).with_context(|| format!("cannot read {}", repaired.display()))
}

fn retry(folder: &mut Folder, position: LogPosition, repaired: Option<&Path>) -> anyhow::Result<Row<Told>> {
    let quarantine = folder.engine.quarantined(position)?;
    if quarantine.state != QuarantineState::Held {
        bail!(EngineError::NotQuarantined { position });
    }
    if let (None, Some(kept)) = (repaired, &quarantine.kept) {
        bail!("cannot retry input {position}: only {kept} were kept; name the repaired input with --with");
    }
    let bytes = match repaired {
        Some(path) => read(path)?,
        None => quarantine.bytes.with_context(|| format!("cannot retry input {position}: its key was destroyed"))?,
    };
    let tenant = folder.tenant()?;
    let origin =
        Origin { name: "quarantine", feed_sequence: position.0, tenant: Some(tenant), clock: ClockCorrection::History };
    let entry = decoder(folder, Some(tenant)).decode(&bytes, origin, quarantine.received_at)?;
    match entry {
        Entry::Interaction(entry) => release(folder, position, Some(entry)),
        Entry::Rejected(rejected) => {
            let facts = &rejected.facts;
            bail!(still_faulty(position, facts.path.as_str(), facts.message_text.as_str()))
        }
    }
}

fn still_faulty(position: LogPosition, path: &str, message: &str) -> String {
    let path = if path.is_empty() { String::new() } else { format!(" {path}:") };
    format!("cannot take input {position}:{path} {message}")
}

/// Takes a quarantined input out, with the entry that it is after all.
fn release(
    folder: &mut Folder,
    position: LogPosition,
    taken: Option<Box<InteractionEntry>>,
) -> anyhow::Result<Row<Told>> {
    let operator = folder.settings.operator.as_str().into();
    let answer = folder.engine.release(Release { position, operator, taken, key: None })?;
    // About an input, not about a lead: as a service answers.
    answered(folder, &Answer { leads: Vec::new(), ..answer })
}

fn ask_to_retry(server: &Server, position: LogPosition, repaired: Option<&Path>) -> anyhow::Result<Row<Told>> {
    let body = match repaired {
        None => Vec::new(),
        Some(path) => {
            let bytes = read(path)?;
            // As it stands in the file: numbers must not be written in another way.
            let event: &RawValue = serde_json::from_slice(&bytes)
                .with_context(|| format!("cannot take input {position}: {} is no JSON", path.display()))?;
            format!("{{\"event\":{}}}", event.get()).into_bytes()
        }
    };
    let route = Route::of(&Ask::RetryQuarantined { position: position.0, event: None });
    let answer = server.send(&Call::act(route, body, None).once()).map_err(|error| match error.downcast_ref() {
        Some(RemoteError::Refused { kind, faults, .. }) if kind == "still-faulty" => {
            let fault = faults.first().map(|fault| still_faulty(position, &fault.path, &fault.message));
            fault.map_or(error, anyhow::Error::msg)
        }
        _ => error,
    })?;
    Row::only(&answer.body)
}
