//! `leadfold orphans`, `leadfold orphan ID …` and `leadfold interaction ID …`

use lead_domain::Name;
use lead_domain::command::Adoption;
use listing::OrphanQuery;

use crate::cli::{InteractionAct, InteractionArgs, OrphanAct, OrphanArgs, OrphansArgs};
use crate::commands::act;
use crate::commands::leads::{query_error, usage};
use crate::folder::Folder;
use crate::output::{json_line, line, short_time, table};
use crate::settings::Settings;

/// Rows read in one go.
const PAGE: u64 = 500;

pub(crate) fn run(args: &OrphansArgs, settings: &Settings) -> anyhow::Result<()> {
    let folder = Folder::open(settings)?;
    let mut query = OrphanQuery::new(folder.tenant()?);
    let filters = [
        ("channel", &args.channel),
        ("skill", &args.skill),
        ("reason", &args.reason),
        ("from", &args.from),
        ("to", &args.to),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            query.set(name, value).map_err(usage)?;
        }
    }
    let listing = folder.listing()?;
    let reader = listing.reader()?;
    let (mut rows, mut left) = (Vec::new(), args.limit);
    while left > 0 {
        query.limit = u32::try_from(left.min(PAGE)).unwrap_or(1);
        let page = reader.orphans(&query).map_err(query_error)?;
        left = left.saturating_sub(page.items.len() as u64);
        for orphan in &page.items {
            if settings.json {
                json_line(orphan)?;
                continue;
            }
            rows.push(vec![
                orphan.id.to_string(),
                orphan.visitor_id.to_string(),
                short_time(orphan.occurred_at),
                orphan.channel.clone(),
                orphan.skill.clone().unwrap_or_default(),
                orphan.action.clone(),
                orphan.reason.clone(),
            ]);
        }
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    if !settings.json {
        if rows.is_empty() {
            line("no orphans")?;
        } else {
            table(&["INTERACTION", "VISITOR", "HAPPENED", "CHANNEL", "SKILL", "ACTION", "REASON"], rows)?;
        }
    }
    folder.close()
}

pub(crate) fn act(args: &OrphanArgs, settings: &Settings) -> anyhow::Result<()> {
    let folder = Folder::open(settings)?;
    let OrphanAct::Adopt { lead, lead_type, act: shared } = &args.act;
    let into = match (lead, lead_type) {
        (Some(lead), _) => Adoption::Lead(*lead),
        (None, lead_type) => Adoption::NewLead(Name::new(lead_type.as_deref().unwrap_or_default())),
    };
    let command = folder.engine.adoption(folder.tenant()?, args.id, into)?;
    act::execute(folder, command, None, shared)
}

pub(crate) fn move_interaction(args: &InteractionArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut folder = Folder::open(settings)?;
    let InteractionAct::Move { to, act: shared } = &args.act;
    let tenant = folder.tenant()?;
    let command = folder.engine.movement(tenant, args.id, *to)?;
    act::execute(folder, command, None, shared)
}
