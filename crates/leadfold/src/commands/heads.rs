//! `leadfold heads`

use event_log::LogPosition;
use http_api::SignedHeadRow;
use lead_domain::Time;
use proto_events::lead_event::rfc3339;

use crate::cli::HeadsArgs;
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::folder::Folder;
use crate::output::{json_line, line, progress_bar, shown_time};
use crate::remote::Call;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &HeadsArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut source = Source::open(settings)?;
    match &mut source {
        Source::Folder(folder) if args.sign => print(&sign(folder)?, settings)?,
        Source::Folder(folder) => {
            for head in kept(folder, args.limit)? {
                print(&head, settings)?;
            }
        }
        Source::Server(server) if args.sign => print(&server.send(&Call::sign_head())?.json()?, settings)?,
        Source::Server(server) => {
            let read = |wanted: &Wanted| Page::sent(server, Call::get("/v1/heads"), wanted);
            let take = |row: Row<SignedHeadRow>| {
                if settings.json {
                    row.print_json()?
                } else {
                    print(&row.into_inner()?, settings)?
                }
                Ok(Taken::Yes)
            };
            each_row(args.limit as u64, read, take)?;
        }
    }
    source.close()
}

fn print(head: &SignedHeadRow, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return json_line(&serde_json::to_value(head)?);
    }
    line(format_args!("#{}  {}  over {} records", head.id, shown_time(&head.recorded_at), head.size))?;
    line(format_args!("key {}", head.key))?;
    line(&head.note)
}

/// Signs the head of the log in the folder.
fn sign(folder: &mut Folder) -> anyhow::Result<SignedHeadRow> {
    let notary = folder.notary()?;
    folder.engine.flush()?;
    let bar = progress_bar(folder.engine.head().position.0, "hashing the log's records");
    let now = rfc3339(folder.settings.clock.now());
    let (head, note) = notary.sign(&now, &mut |position| bar.set_position(position.0))?;
    bar.finish_and_clear();
    let position = folder.engine.record_signed_head(head.size, &note)?;
    folder.engine.flush()?;
    let recorded = folder.engine.parts().signed_heads(position, 1)?;
    let recorded_at = recorded.first().map_or(Time::MIN, |head| head.recorded_at);
    let key = notary.key().to_string();
    Ok(SignedHeadRow { id: position.0, size: head.size, recorded_at: rfc3339(recorded_at), note, key })
}

/// The newest signed heads in the folder.
fn kept(folder: &Folder, limit: usize) -> anyhow::Result<Vec<SignedHeadRow>> {
    let newest: LogPosition = folder.engine.newest_signed_head()?;
    let key = folder.notary()?.key().to_string();
    let heads = folder.engine.parts().signed_heads(newest, limit)?;
    let row = |head: engine::RecordedHead| SignedHeadRow {
        id: head.position.0,
        size: head.size,
        recorded_at: rfc3339(head.recorded_at),
        note: head.note,
        key: key.clone(),
    };
    Ok(heads.into_iter().map(row).collect())
}
