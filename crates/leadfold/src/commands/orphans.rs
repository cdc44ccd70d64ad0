//! `leadfold orphans`, `leadfold orphan ID …` and `leadfold interaction ID …`

use lead_domain::TenantId;
use listing::{OrphanQuery, OrphanRow};
use proto_events::command_document::{AdoptInto, Ask};

use crate::cli::{InteractionAct, InteractionArgs, OrphanAct, OrphanArgs, OrphansArgs};
use crate::commands::act;
use crate::commands::leads::{query_error, usage};
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::output::{line, short_time, table};
use crate::remote::Call;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &OrphansArgs, settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let mut rows = Vec::new();
    let take = |orphan: Row<OrphanRow>| {
        if settings.json {
            orphan.print_json()?
        } else {
            rows.push(row(orphan.into_inner()?))
        }
        Ok(Taken::Yes)
    };
    match &source {
        Source::Folder(folder) => {
            let mut query = query(folder.tenant()?, args)?;
            let listing = folder.listing()?;
            let reader = listing.reader()?;
            let read = |wanted: &Wanted| {
                (query.limit, query.cursor) = (wanted.limit, wanted.cursor.clone());
                let page = reader.orphans(&query).map_err(query_error)?;
                let items = page.items.into_iter().map(Row::Ours).collect();
                Ok(Page { items, next_cursor: page.next_cursor, count: page.count })
            };
            each_row(args.limit, read, take)?
        }
        Source::Server(server) => {
            // What makes no sense is told in the words of the flags.
            query(TenantId(0), args)?;
            let read = |wanted: &Wanted| {
                let call = filters(args).fold(Call::get("/v1/orphans"), |call, (name, value)| call.query(name, value));
                Page::listed(server, call, wanted)
            };
            each_row(args.limit, read, take)?
        }
    };
    if settings.json {
        return source.close();
    }
    if rows.is_empty() {
        line("no orphans")?;
    } else {
        table(&["INTERACTION", "VISITOR", "HAPPENED", "CHANNEL", "SKILL", "ACTION", "REASON"], rows)?;
    }
    source.close()
}

/// The flags as the names and values of the HTTP listing.
fn filters(args: &OrphansArgs) -> impl Iterator<Item = (&'static str, &str)> {
    let named = [
        ("channel", &args.channel),
        ("skill", &args.skill),
        ("reason", &args.reason),
        ("from", &args.from),
        ("to", &args.to),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
}

fn query(tenant: TenantId, args: &OrphansArgs) -> anyhow::Result<OrphanQuery> {
    let mut query = OrphanQuery::new(tenant);
    for (name, value) in filters(args) {
        query.set(name, value).map_err(usage)?;
    }
    Ok(query)
}

fn row(orphan: OrphanRow) -> Vec<String> {
    vec![
        orphan.id.to_string(),
        orphan.visitor_id.to_string(),
        short_time(orphan.occurred_at),
        orphan.channel,
        orphan.skill.unwrap_or_default(),
        orphan.action,
        orphan.reason,
    ]
}

pub(crate) fn act(args: &OrphanArgs, settings: &Settings) -> anyhow::Result<()> {
    let OrphanAct::Adopt { lead, lead_type, act: shared } = &args.act;
    let into = match (lead, lead_type) {
        (Some(lead), _) => AdoptInto::LeadId(*lead),
        (None, lead_type) => AdoptInto::LeadType(lead_type.clone().unwrap_or_default()),
    };
    act::execute(Source::open(settings)?, Ask::AdoptOrphan { interaction_id: args.id, into }, shared, settings)
}

pub(crate) fn act_on_interaction(args: &InteractionArgs, settings: &Settings) -> anyhow::Result<()> {
    let interaction_id = args.id;
    let (ask, shared) = match &args.act {
        InteractionAct::Move { to, act } => (Ask::MoveInteraction { interaction_id, to_lead_id: *to }, act),
        InteractionAct::Discredit { note, act } => {
            (Ask::DiscreditInteraction { interaction_id, note: note.clone() }, act)
        }
    };
    act::execute(Source::open(settings)?, ask, shared, settings)
}
