//! `leadfold suppress`, `leadfold unsuppress` and `leadfold suppressions`

use http_api::{SuppressionRow, suppression_at, suppression_cursor};
use proto_events::command_document::{Ask, Whom};

use crate::cli::{SuppressArgs, SuppressionsArgs, WhomArgs};
use crate::commands::act;
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::folder::Folder;
use crate::output::{line, table};
use crate::remote::Call;
use crate::settings::Settings;
use crate::source::Source;

/// What the columns of the table are called.
const HEAD: [&str; 6] = ["KIND", "KEY", "SINCE", "BY", "REASON", "RECORD"];

pub(crate) fn suppress(args: &SuppressArgs, settings: &Settings) -> anyhow::Result<()> {
    let ask = Ask::Suppress { whom: whom(&args.whom), reason: args.reason.clone() };
    act::execute(Source::open(settings)?, ask, &args.act, settings)
}

pub(crate) fn unsuppress(args: &SuppressArgs, settings: &Settings) -> anyhow::Result<()> {
    let ask = Ask::Unsuppress { whom: whom(&args.whom), reason: args.reason.clone() };
    act::execute(Source::open(settings)?, ask, &args.act, settings)
}

fn whom(args: &WhomArgs) -> Whom {
    Whom {
        visitor_id: None,
        customer_id: args.customer_id.clone(),
        email: args.email.clone(),
        phone: args.phone.clone(),
        device_id: args.device_id.clone(),
    }
}

pub(crate) fn list(args: &SuppressionsArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut source = Source::open(settings)?;
    let mut rows = Vec::new();
    let take = |row: Row<SuppressionRow>| {
        if settings.json {
            row.print_json()?;
        } else {
            rows.push(cells(row.into_inner()?));
        }
        Ok(Taken::Yes)
    };
    match &mut source {
        Source::Folder(folder) => each_row(args.limit as u64, |wanted| page(folder, args, wanted), take)?,
        Source::Server(server) => {
            let read = |wanted: &Wanted| Page::sent(server, call(&args.whom), wanted);
            each_row(args.limit as u64, read, take)?
        }
    };
    source.close()?;
    match (settings.json, rows.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => line("nothing of that is suppressed"),
        (false, false) => table(&HEAD, rows),
    }
}

fn call(args: &WhomArgs) -> Call {
    let named = [
        ("customer_id", &args.customer_id),
        ("email", &args.email),
        ("phone", &args.phone),
        ("device_id", &args.device_id),
    ];
    let call = Call::get("/v1/suppressions");
    named.into_iter().fold(call, |call, (name, value)| match value {
        Some(value) => call.query(name, value.clone()),
        None => call,
    })
}

fn page(folder: &Folder, args: &SuppressionsArgs, wanted: &Wanted) -> anyhow::Result<Page<SuppressionRow>> {
    let whom = whom(&args.whom);
    let (limit, after) = (wanted.limit as usize, wanted.cursor.as_deref().and_then(suppression_at));
    let found = service::suppressed(&folder.engine, folder.tenant()?, &whom, after, limit);
    let found = found.map_err(|faults| act::wrong(&faults))?;
    let names_nobody = whom == Whom::default();
    let next_cursor = found.last().filter(|_| names_nobody).map(|last| suppression_cursor(last.identifier));
    let rows = found.into_iter().map(|mark| SuppressionRow::of(folder.engine.parts(), mark).map(Row::Ours));
    Ok(Page { items: rows.collect::<Result<_, _>>()?, next_cursor, count: None })
}

fn cells(row: SuppressionRow) -> Vec<String> {
    let SuppressionRow { kind, key, position, suppressed_at, operator, reason } = row;
    vec![kind, key, suppressed_at, operator, reason, position.to_string()]
}
