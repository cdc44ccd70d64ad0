//! `leadfold visitor ID …`

use engine::EngineError;
use lead_domain::VisitorId;
use listing::VisitorRow;
use proto_events::command_document::{Ask, Whom};

use crate::cli::{VisitorAct, VisitorArgs};
use crate::commands::rows::Row;
use crate::commands::{act, export, leads, nurture, timeline};
use crate::output::{line, table};
use crate::remote::{Call, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &VisitorArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut source = Source::open(settings)?;
    let visitor_id = args.id;
    let (ask, shared) = match &args.act {
        None => {
            if args.timeline {
                timeline::of_visitor(&mut source, visitor_id, args.limit, settings)?;
            } else if args.nurture {
                nurture::of_visitor(&mut source, visitor_id, settings)?;
            } else {
                let visitor = find(&source, visitor_id)?;
                if settings.json { visitor.print_json()? } else { print(&visitor.into_inner()?)? }
            }
            return source.close();
        }
        Some(VisitorAct::Merge { other, act }) => (Ask::MergeVisitors { visitor_id, other_visitor_id: *other }, act),
        Some(VisitorAct::Unmerge { keep_apart, act }) => {
            (Ask::UnmergeVisitor { visitor_id, keep_apart: *keep_apart }, act)
        }
        Some(VisitorAct::Settle { other, act }) => (Ask::SettleDuplicate { visitor_id, other_visitor_id: *other }, act),
        Some(VisitorAct::Erase { reason, act }) => (Ask::EraseVisitor { visitor_id, reason: reason.clone() }, act),
        Some(VisitorAct::Suppress { reason, act }) => {
            let whom = Whom { visitor_id: Some(visitor_id), ..Whom::default() };
            (Ask::Suppress { whom, reason: reason.clone() }, act)
        }
        Some(VisitorAct::Unsuppress { reason, act }) => {
            let whom = Whom { visitor_id: Some(visitor_id), ..Whom::default() };
            (Ask::Unsuppress { whom, reason: reason.clone() }, act)
        }
        Some(VisitorAct::Export { out }) => {
            export::write(&mut source, visitor_id, out.as_deref())?;
            return source.close();
        }
        Some(VisitorAct::Open { lead_type, act }) => (Ask::OpenLead { visitor_id, lead_type: lead_type.clone() }, act),
    };
    act::execute(source, ask, shared, settings)
}

fn find(source: &Source, id: VisitorId) -> anyhow::Result<Row<VisitorRow>> {
    let unknown = || EngineError::UnknownVisitor { visitor: id }.into();
    match source {
        Source::Folder(folder) => {
            let (found, _) = folder.listing()?.reader()?.visitor(folder.tenant()?, id)?;
            found.map(Row::Ours).ok_or_else(unknown)
        }
        Source::Server(server) => {
            let answer = server.listed(Call::get(format!("/v1/visitors/{id}")));
            Row::only(&answer.map_err(|error| missing(error, unknown))?.body)
        }
    }
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
