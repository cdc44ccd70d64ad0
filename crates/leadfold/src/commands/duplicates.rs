//! `leadfold duplicates`

use listing::{DuplicatePairRow, DuplicateQuery};

use crate::cli::DuplicatesArgs;
use crate::commands::leads::query_error;
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::output::{line, table};
use crate::remote::Call;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &DuplicatesArgs, settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let mut rows = Vec::new();
    let take = |pair: Row<DuplicatePairRow>| {
        if settings.json {
            pair.print_json()?
        } else {
            rows.push(row(pair.into_inner()?))
        }
        Ok(Taken::Yes)
    };
    match &source {
        Source::Folder(folder) => {
            let mut query = DuplicateQuery::new(folder.tenant()?);
            query.settled = args.settled;
            let listing = folder.listing()?;
            let reader = listing.reader()?;
            let read = |wanted: &Wanted| {
                (query.limit, query.cursor) = (wanted.limit, wanted.cursor.clone());
                let page = reader.duplicates(&query).map_err(query_error)?;
                let items = page.items.into_iter().map(Row::Ours).collect();
                Ok(Page { items, next_cursor: page.next_cursor, count: page.count })
            };
            each_row(args.limit, read, take)?
        }
        Source::Server(server) => {
            let read = |wanted: &Wanted| {
                let call = Call::get("/v1/duplicates").query("settled", args.settled.to_string());
                Page::listed(server, call, wanted)
            };
            each_row(args.limit, read, take)?
        }
    };
    if settings.json {
        return source.close();
    }
    if rows.is_empty() {
        line("no suspected duplicates")?;
    } else {
        table(&["VISITOR", "OTHER", "SHARED", "STATE"], rows)?;
    }
    source.close()
}

fn row(pair: DuplicatePairRow) -> Vec<String> {
    let state = if pair.settled { "settled" } else { "open" };
    vec![
        pair.visitor_id.to_string(),
        pair.other_visitor_id.to_string(),
        pair.kind.unwrap_or_default(),
        state.to_owned(),
    ]
}
