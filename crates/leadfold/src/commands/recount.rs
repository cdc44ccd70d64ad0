//! The read models against the books: each lead as the listing and the analytics tables have it, field by field.
//!
//! The books are those that `verify` has folded from the log and found the same. Rebuilds nothing.

use analytics::{Analytics, Format, QueryLimits, Session};
use anyhow::Context;
use engine::{Engine, EngineError, Finding};
use lead_domain::book::{CloseCause, Lead, Status};
use lead_domain::{LeadId, TenantId, Time, VisitorId};
use listing::{LeadQuery, LeadRow, LeadStatus, Listing, ListingReader};
use serde::Deserialize;

use crate::folder::Folder;
use crate::serve::query_limits;

const LISTING_CURE: &str = "derived data: rebuild it with `leadfold projections rebuild listing`";
const ANALYTICS_CURE: &str = "derived data: rebuild it with `leadfold projections rebuild analytics`";
/// Findings beyond this many say nothing new.
const FINDINGS_MAX: usize = 100;
/// Rows of a page of the listing: the most that there is.
const PAGE_ROWS: u32 = 500;
/// Analytics rows in one answer, of some hundred bytes each.
const ANSWER_ROWS: usize = 100_000;

/// What both models and the books say of a lead.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    lead_type: String,
    cause: Option<String>,
    opened_at: Time,
    closed_at: Option<Time>,
    deadline: Time,
    first_interaction_at: Time,
    last_interaction_at: Time,
    interactions: u32,
    score: i64,
    owner: Option<String>,
    version: u32,
}

/// How many leads were compared, and what differs.
#[derive(Debug, Default)]
pub(crate) struct Recount {
    pub(crate) listed: u64,
    pub(crate) analysed: u64,
    pub(crate) findings: Vec<Finding>,
}

impl Recount {
    fn find(&mut self, place: String, fault: String, cure: &'static str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place, fault, cure });
        }
    }
}

/// Compares both models with the books; brings them up to the end of the log first. Analytics tables that were never made
/// are left out, and so is a model that is paused.
pub(crate) fn recount(folder: &mut Folder) -> anyhow::Result<Recount> {
    let mut found = Recount::default();
    let tenants: Vec<(TenantId, String)> =
        folder.engine.tenants().iter().map(|tenant| (tenant.id, tenant.name.to_string())).collect();
    let is_paused = |folder: &Folder, name| folder.pause(name).is_set();
    // What can't be opened is damage of that model, and no reason to leave the other one out.
    match folder.listing().and_then(|listing| Ok(listing.reader()?)) {
        // It has said so.
        Ok(_) if is_paused(folder, Listing::NAME) => {}
        Ok(reader) => {
            for (tenant, _) in &tenants {
                listed(&mut folder.engine, &reader, *tenant, &mut found)?;
            }
        }
        Err(error) => found.find("the listing".to_owned(), format!("{error:#}"), LISTING_CURE),
    }
    if Analytics::is_in(&folder.settings.data) {
        match folder.analytics() {
            Ok(_) if is_paused(folder, Analytics::NAME) => {}
            Ok(tables) => {
                for (tenant, name) in &tenants {
                    if let Err(error) = analysed(folder, &tables, (*tenant, name), &mut found) {
                        found.find("the analytics tables".to_owned(), format!("{error:#}"), ANALYTICS_CURE);
                    }
                }
            }
            Err(error) => found.find("the analytics tables".to_owned(), format!("{error:#}"), ANALYTICS_CURE),
        }
    }
    let leads = count_leads(&mut folder.engine)?;
    if !is_paused(folder, Listing::NAME) && found.listed != leads && found.findings.is_empty() {
        found.find("the listing".to_owned(), format!("it has {} leads of {leads}", found.listed), LISTING_CURE);
    }
    Ok(found)
}

fn listed(engine: &mut Engine, reader: &ListingReader, tenant: TenantId, found: &mut Recount) -> anyhow::Result<()> {
    let mut query = LeadQuery::new(tenant);
    query.set("sort", "opened_at")?;
    query.limit = PAGE_ROWS;
    loop {
        let page = match reader.leads(&query) {
            Ok(page) => page,
            Err(error) => {
                found.find("the listing".to_owned(), error.to_string(), LISTING_CURE);
                return Ok(());
            }
        };
        for row in &page.items {
            found.listed += 1;
            compare(engine, (tenant, row.id), &told_by_listing(row), ("listing", LISTING_CURE), found)?;
        }
        if page.next_cursor.is_none() {
            return Ok(());
        }
        query.cursor = page.next_cursor;
    }
}

fn compare(
    engine: &mut Engine,
    (tenant, id): (TenantId, LeadId),
    told: &Told,
    (model, cure): (&str, &'static str),
    found: &mut Recount,
) -> anyhow::Result<()> {
    let book = engine.book(tenant, id.visitor).ok();
    let fault = match book.and_then(|book| book.lead(id)) {
        None => "the log knows no such lead",
        Some(lead) if told_by_book(lead) != *told => "the lead differs from what the log says",
        Some(_) => return Ok(()),
    };
    found.find(format!("{model}, lead {id}"), fault.to_owned(), cure);
    Ok(())
}

fn told_by_book(lead: &Lead) -> Told {
    let (cause, closed_at) = match lead.status {
        Status::Open => (None, None),
        Status::Closed { cause, at } => (Some(CloseCause::code(cause).to_owned()), Some(at)),
    };
    Told {
        lead_type: lead.lead_type.to_string(),
        cause,
        opened_at: lead.opened_at,
        closed_at,
        deadline: lead.deadline,
        first_interaction_at: lead.first_interaction_at,
        last_interaction_at: lead.last_interaction_at,
        interactions: lead.interactions,
        score: i64::from(lead.score),
        owner: lead.owner.as_ref().map(ToString::to_string),
        version: lead.version,
    }
}

fn told_by_listing(row: &LeadRow) -> Told {
    Told {
        lead_type: row.lead_type.clone(),
        cause: row.close_cause.clone().filter(|_| row.status == LeadStatus::Closed),
        opened_at: row.opened_at,
        closed_at: row.closed_at,
        deadline: row.deadline,
        first_interaction_at: row.first_interaction_at,
        last_interaction_at: row.last_interaction_at,
        interactions: row.interactions,
        score: row.score.total,
        owner: row.owner.clone(),
        version: row.version,
    }
}

/// A lead as the analytics tables have it; times in milliseconds.
#[derive(Deserialize)]
struct AnalysedRow {
    lead_id: String,
    lead_type: String,
    close_cause: Option<String>,
    opened_at: i64,
    closed_at: Option<i64>,
    deadline: i64,
    first_interaction_at: i64,
    last_interaction_at: i64,
    interactions: u32,
    score: i64,
    owner: Option<String>,
    version: u32,
}

const SELECTED: &str = "lead_id, lead_type, close_cause, \
    cast(opened_at as bigint) as opened_at, cast(closed_at as bigint) as closed_at, \
    cast(deadline as bigint) as deadline, \
    cast(first_interaction_at as bigint) as first_interaction_at, \
    cast(last_interaction_at as bigint) as last_interaction_at, interactions, score, owner, version";

fn analysed(
    folder: &mut Folder,
    tables: &Analytics,
    (tenant, name): (TenantId, &str),
    found: &mut Recount,
) -> anyhow::Result<()> {
    let limits = QueryLimits {
        time: std::time::Duration::from_secs(3_600),
        rows: u64::MAX,
        ..query_limits(&folder.settings.data)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the query")?;
    let session = Session::new(tables.reader().snapshot(), name, limits)?;
    let leads = count_leads_of(&mut folder.engine, tenant)?;
    let mut compared = 0;
    let mut last = String::new();
    loop {
        let sql = format!("select {SELECTED} from leads where lead_id > '{last}' order by lead_id limit {ANSWER_ROWS}");
        let lines = runtime.block_on(async { session.query(&sql).await?.written(Format::Ndjson).await })?;
        let mut rows = 0;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let row: AnalysedRow = serde_json::from_slice(line).context("cannot read a row of the leads")?;
            rows += 1;
            last.clone_from(&row.lead_id);
            let id: LeadId = row.lead_id.parse().map_err(|_| anyhow::anyhow!("cannot read the id of a lead"))?;
            compare(&mut folder.engine, (tenant, id), &told_by_tables(row), ("analytics", ANALYTICS_CURE), found)?;
        }
        compared += rows as u64;
        if rows < ANSWER_ROWS {
            break;
        }
    }
    found.analysed += compared;
    summed(&runtime, &session, found)?;
    if compared != leads {
        found.find("the analytics tables".to_owned(), format!("they have {compared} leads of {leads}"), ANALYTICS_CURE);
    }
    Ok(())
}

/// Leads whose score rows don't sum to their scores.
const UNEVEN: &str = "select l.lead_id from leads l \
    left join (select lead_id, sum(points_now) as points from score_rows group by lead_id) s on s.lead_id = l.lead_id \
    where l.score <> coalesce(s.points, 0) order by l.lead_id limit 100";

/// Sums up the score rows.
fn summed(runtime: &tokio::runtime::Runtime, session: &Session, found: &mut Recount) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Uneven {
        lead_id: String,
    }
    let lines = runtime.block_on(async { session.query(UNEVEN).await?.written(Format::Ndjson).await })?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Uneven { lead_id } = serde_json::from_slice(line).context("cannot read the id of a lead")?;
        let fault = "its score rows don't sum to its score".to_owned();
        found.find(format!("analytics, lead {lead_id}"), fault, ANALYTICS_CURE);
    }
    Ok(())
}

fn told_by_tables(row: AnalysedRow) -> Told {
    Told {
        lead_type: row.lead_type,
        cause: row.close_cause,
        opened_at: Time::from_millis(row.opened_at),
        closed_at: row.closed_at.map(Time::from_millis),
        deadline: Time::from_millis(row.deadline),
        first_interaction_at: Time::from_millis(row.first_interaction_at),
        last_interaction_at: Time::from_millis(row.last_interaction_at),
        interactions: row.interactions,
        score: row.score,
        owner: row.owner,
        version: row.version,
    }
}

fn count_leads(engine: &mut Engine) -> anyhow::Result<u64> {
    let tenants: Vec<TenantId> = engine.tenants().iter().map(|tenant| tenant.id).collect();
    tenants.into_iter().map(|tenant| count_leads_of(engine, tenant)).sum()
}

/// The tenant's leads in all books.
fn count_leads_of(engine: &mut Engine, tenant: TenantId) -> anyhow::Result<u64> {
    let mut leads = 0;
    for visitor in (1..=engine.last_visitor().0).map(VisitorId) {
        match engine.book(tenant, visitor) {
            // The book of one who was merged is the survivor's.
            Ok(book) if book.visitor == visitor => leads += book.leads.len() as u64,
            Ok(_) | Err(EngineError::UnknownVisitor { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(leads)
}
