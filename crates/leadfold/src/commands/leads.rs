//! `leadfold leads`

use lead_domain::{Money, TenantId, Time};
use listing::{LeadQuery, LeadRow, LeadStatus, ListingError, ListingReader, QueryError};

use crate::cli::{LeadsArgs, LeadsWanted};
use crate::commands::rows::{Page, Row, Taken, Wanted, each_row};
use crate::failure::UsageError;
use crate::output::{line, short_time, table};
use crate::remote::{Call, Server};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &LeadsArgs, settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    show(settings, |take| match &source {
        Source::Folder(folder) => read(&folder.listing()?.reader()?, folder.tenant()?, args, take),
        Source::Server(server) => ask(server, args, &[], take),
    })?;
    source.close()
}

/// Takes one lead after the other.
type Take<'a> = &'a mut dyn FnMut(Row<LeadRow>) -> anyhow::Result<Taken>;

/// Shows the leads that `read` gives.
pub(crate) fn show(
    settings: &Settings,
    read: impl FnOnce(Take<'_>) -> anyhow::Result<Option<u64>>,
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let count = read(&mut |lead: Row<LeadRow>| {
        if settings.json {
            lead.print_json()?
        } else {
            rows.push(row(&lead.into_inner()?))
        }
        Ok(Taken::Yes)
    })?;
    if settings.json { Ok(()) } else { print(rows, count) }
}

/// The query of a listing.
pub(crate) fn query(tenant: TenantId, args: &LeadsWanted) -> anyhow::Result<LeadQuery> {
    let mut query = LeadQuery::new(tenant);
    for (name, value) in filters(args)? {
        query.set(&name, &value).map_err(usage)?;
    }
    Ok(query)
}

/// Reads what the arguments ask of a listing.
pub(crate) fn read(
    reader: &ListingReader,
    tenant: TenantId,
    args: &LeadsArgs,
    take: Take<'_>,
) -> anyhow::Result<Option<u64>> {
    let mut query = query(tenant, &args.wanted)?;
    let read = |wanted: &Wanted| {
        let counts = args.count && wanted.is_first;
        query.set("count", if counts { "exact" } else { "none" }).map_err(usage)?;
        (query.limit, query.cursor) = (wanted.limit, wanted.cursor.clone());
        let page = reader.leads(&query).map_err(query_error)?;
        let items = page.items.into_iter().map(Row::Ours).collect();
        Ok(Page { items, next_cursor: page.next_cursor, count: page.count })
    };
    each_row(args.limit, read, take)
}

/// Asks a service, with further parameters.
pub(crate) fn ask(
    server: &Server,
    args: &LeadsArgs,
    further: &[(String, String)],
    take: Take<'_>,
) -> anyhow::Result<Option<u64>> {
    // What makes no sense is told in the words of the flags.
    query(TenantId(0), &args.wanted)?;
    let filters = filters(&args.wanted)?;
    let read = |wanted: &Wanted| {
        let mut call = Call::get("/v1/leads");
        for (name, value) in filters.iter().chain(further) {
            call = call.query(name, value);
        }
        if args.count && wanted.is_first {
            call = call.query("count", "exact");
        }
        Page::listed(server, call, wanted)
    };
    each_row(args.limit, read, take)
}

fn print(rows: Vec<Vec<String>>, count: Option<u64>) -> anyhow::Result<()> {
    if rows.is_empty() {
        line("no leads")?;
    } else {
        table(
            &[
                "LEAD",
                "TYPE",
                "STATUS",
                "OPENED",
                "LAST INTERACTION",
                "NO.",
                "SCORE",
                "STAGE",
                "VALUE",
                "CHANNEL",
                "CONTACT",
            ],
            rows,
        )?;
    }
    count.map_or(Ok(()), |count| line(format_args!("{count} leads match")))
}

/// The flags as the names and values of the HTTP listing.
pub(crate) fn filters(args: &LeadsWanted) -> anyhow::Result<Vec<(String, String)>> {
    let named = [
        ("status", &args.status),
        ("lead_type", &args.lead_type),
        ("group", &args.group),
        ("skill", &args.skill),
        ("channel", &args.channel),
        ("temperature", &args.temperature),
        ("grade", &args.grade),
        ("stage", &args.stage),
        ("owner", &args.owner),
        ("close_cause", &args.close_cause),
        ("customer_id", &args.customer_id),
        ("email", &args.email),
        ("phone", &args.phone),
        ("campaign", &args.campaign),
        ("score_min", &args.score_min),
        ("score_max", &args.score_max),
        ("value_min", &args.value_min),
        ("value_max", &args.value_max),
        ("opened_from", &args.opened_from),
        ("opened_to", &args.opened_to),
        ("closed_from", &args.closed_from),
        ("closed_to", &args.closed_to),
        ("last_interaction_from", &args.last_interaction_from),
        ("last_interaction_to", &args.last_interaction_to),
        ("q", &args.q),
    ];
    let given = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let mut filters: Vec<(String, String)> = given.collect();
    filters.push(("sort".to_owned(), args.sort.clone()));
    for attribute in &args.attributes {
        let Some((name, value)) = attribute.split_once('=') else {
            anyhow::bail!(UsageError("--attr must be NAME=VALUE".to_owned()));
        };
        filters.push((format!("attr.{name}"), value.to_owned()));
    }
    Ok(filters)
}

/// A query that makes no sense is wrong usage of the command, whose flags are the fields with dashes.
pub(crate) fn usage(error: QueryError) -> anyhow::Error {
    let sentence = error.to_string();
    let flag = sentence.strip_prefix(error.field()).map(|rest| format!("--{}{rest}", error.field().replace('_', "-")));
    UsageError(flag.unwrap_or(sentence)).into()
}

pub(crate) fn query_error(error: ListingError) -> anyhow::Error {
    if let ListingError::Query(error) = error { usage(error) } else { error.into() }
}

/// A lead as a row of the table.
pub(crate) fn row(lead: &LeadRow) -> Vec<String> {
    let status = match (lead.status, &lead.close_cause) {
        (LeadStatus::Open, _) => "open".to_owned(),
        (LeadStatus::Closed, Some(cause)) => format!("closed ({cause})"),
        (LeadStatus::Closed, None) => "closed".to_owned(),
    };
    let contact = &lead.contact;
    let known = [&contact.name, &contact.email, &contact.phone, &lead.customer_id];
    vec![
        lead.id.to_string(),
        lead.lead_type.clone(),
        status,
        short_time(lead.opened_at),
        short_time(lead.last_interaction_at),
        lead.interactions.to_string(),
        if lead.score.total == 0 { String::new() } else { lead.score.total.to_string() },
        lead.stage.clone().unwrap_or_default(),
        lead.sale_value.map(money).unwrap_or_default(),
        lead.channel.clone().unwrap_or_default(),
        known.into_iter().flatten().next().cloned().unwrap_or_default(),
    ]
}

/// An amount for people, with the currency's decimals.
pub(crate) fn money(money: Money) -> String {
    let currency = iso_currency::Currency::from_code(money.currency.code());
    let decimals = currency.and_then(|currency| currency.exponent()).unwrap_or(2);
    let unit = 10_u64.pow(u32::from(decimals));
    let (sign, amount) = (if money.amount < 0 { "-" } else { "" }, money.amount.unsigned_abs());
    let width = usize::from(decimals);
    if width == 0 {
        return format!("{sign}{amount} {}", money.currency);
    }
    format!("{sign}{}.{:0width$} {}", amount / unit, amount % unit, money.currency)
}

/// A time that may be missing.
pub(crate) fn optional_time(time: Option<Time>) -> String {
    time.map(short_time).unwrap_or_default()
}
