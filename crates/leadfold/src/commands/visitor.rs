//! `leadfold visitor ID …`

use anyhow::bail;
use lead_domain::event::AfterUnmerge;
use lead_domain::{Command, Name};
use listing::VisitorRow;

use crate::cli::{VisitorAct, VisitorArgs};
use crate::commands::{act, leads, timeline};
use crate::folder::Folder;
use crate::output::{json_line, line, table};
use crate::settings::Settings;

pub(crate) fn run(args: &VisitorArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut folder = Folder::open(settings)?;
    let visitor = args.id;
    let (command, shared) = match &args.act {
        None if args.timeline => {
            let tenant = folder.tenant()?;
            folder.engine.book(tenant, visitor)?;
            timeline::print(&mut folder, visitor, None, args.limit)?;
            return folder.close();
        }
        None => return show(folder, args),
        Some(VisitorAct::Merge { other, act }) => (Command::MergeVisitors { one: visitor, other: *other }, act),
        Some(VisitorAct::Unmerge { keep_apart, act }) => {
            let afterwards = if *keep_apart { AfterUnmerge::KeepApart } else { AfterUnmerge::MayMergeAgain };
            (Command::UnmergeVisitor { visitor, afterwards }, act)
        }
        Some(VisitorAct::Settle { other, act }) => (Command::SettleDuplicate { one: visitor, other: *other }, act),
        Some(VisitorAct::Open { lead_type, act }) => {
            (Command::OpenLead { visitor, lead_type: Name::new(lead_type) }, act)
        }
    };
    act::execute(folder, command, None, shared)
}

fn show(folder: Folder, args: &VisitorArgs) -> anyhow::Result<()> {
    let listing = folder.listing()?;
    let (found, _) = listing.reader()?.visitor(folder.tenant()?, args.id)?;
    let Some(visitor) = found else {
        bail!(engine::EngineError::UnknownVisitor { visitor: args.id });
    };
    if folder.settings.json {
        json_line(&visitor)?
    } else {
        print(&visitor)?
    }
    folder.close()
}

fn print(visitor: &VisitorRow) -> anyhow::Result<()> {
    line(format_args!("visitor            {}", visitor.id))?;
    if let Some(survivor) = visitor.merged_into {
        line(format_args!("merged into        {survivor}"))?;
    }
    for member in visitor.members.iter().filter(|member| **member != visitor.id) {
        line(format_args!("holds              {member}"))?;
    }
    let contact = &visitor.contact;
    let known = [&contact.name, &contact.email, &contact.phone].into_iter().flatten().cloned().collect::<Vec<_>>();
    if !known.is_empty() {
        line(format_args!("contact            {}", known.join(", ")))?;
    }
    for identifier in &visitor.identifiers {
        line(format_args!("{:<18} {}", identifier.kind, identifier.value))?;
    }
    for other in &visitor.suspected_duplicates {
        let settled = if other.settled { "settled: somebody else" } else { "suspected duplicate" };
        line(format_args!("{settled:<18} {}", other.visitor_id))?;
    }
    if visitor.leads.is_empty() {
        return line("no leads");
    }
    let rows = visitor.leads.iter().map(leads::row).collect();
    table(&["LEAD", "TYPE", "STATUS", "OPENED", "LAST INTERACTION", "NO.", "VALUE", "CHANNEL", "CONTACT"], rows)
}
