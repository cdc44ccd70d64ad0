//! Reads one lead as it is shown.

use event_log::LogPosition;
use lead_domain::{Currency, Money, TenantId, Time, VisitorId};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::row::{CampaignRow, ContactRow, LeadRow, LeadStatus, NoteRow, ScoreRow};
use crate::rows::{Columns, RowError, lead, opened};
use crate::state::lead_of;

/// The columns are read in this order.
const SELECT: &str = "SELECT l.id, l.visitor, l.customer_id, l.lead_type, l.close_cause, l.close_reason, l.opened_at, \
     l.closed_at, l.deadline, l.first_interaction_at, l.last_interaction_at, l.interactions, l.skill, l.channel, \
     l.campaign, l.campaign_source, l.campaign_medium, l.stage, l.temperature, l.grade, l.score, l.fit, l.engagement, \
     l.score_by_category, l.sale_value, l.sale_currency, l.rgus, l.conversions, l.owner, \
     v.name, v.email, v.phone, v.country, v.locale, l.device, l.last_product, l.attributes, l.notes, l.version, \
     l.changed_at \
     FROM leads l LEFT JOIN visitors v ON v.id = l.visitor WHERE l.id = ?1 AND l.tenant = ?2";

/// The lead of that row number, if the tenant has it.
pub(super) fn read(connection: &Connection, tenant: TenantId, key: i64) -> Result<Option<LeadRow>, RowError> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let read = statement.query_row((key, tenant.0), |row| Ok(read_row(row))).optional()?;
    read.transpose()
}

fn read_row(row: &Row<'_>) -> Result<LeadRow, RowError> {
    let columns = &mut Columns::of(row);
    let (id, visitor_id) = (lead_of(columns.next()?), VisitorId(columns.unsigned()?));
    let (customer_id, lead_type) = (columns.next()?, columns.next()?);
    let close_cause: Option<String> = columns.next()?;
    Ok(LeadRow {
        id,
        visitor_id,
        customer_id,
        lead_type,
        status: if close_cause.is_none() { LeadStatus::Open } else { LeadStatus::Closed },
        close_cause,
        close_reason: columns.next()?,
        opened_at: columns.time()?,
        closed_at: columns.next::<Option<i64>>()?.map(Time::from_millis),
        deadline: columns.time()?,
        first_interaction_at: columns.time()?,
        last_interaction_at: columns.time()?,
        interactions: columns.next()?,
        skill: columns.next()?,
        channel: columns.next()?,
        campaign: read_campaign(columns)?,
        stage: columns.next()?,
        temperature: columns.next()?,
        grade: columns.next()?,
        score: read_score(columns)?,
        sale_value: read_value(columns)?,
        rgus: columns.next()?,
        conversions: columns.next()?,
        owner: columns.next()?,
        contact: read_contact(columns)?,
        device: columns.document()?,
        last_product: columns.document()?,
        attributes: lead::attributes_of(columns.next()?)?.shown(),
        notes: read_notes(columns)?,
        version: columns.next()?,
        changed_at: LogPosition(columns.unsigned()?),
    })
}

fn read_campaign(columns: &mut Columns<'_>) -> Result<Option<CampaignRow>, RowError> {
    let (name, source, medium) = (columns.next()?, columns.next()?, columns.next()?);
    Ok(campaign_row([name, source, medium]))
}

/// A campaign of which something is known.
pub(super) fn campaign_row([name, source, medium]: [Option<String>; 3]) -> Option<CampaignRow> {
    let known = name.is_some() || source.is_some() || medium.is_some();
    known.then_some(CampaignRow { name, source, medium })
}

fn read_score(columns: &mut Columns<'_>) -> Result<ScoreRow, RowError> {
    let (total, fit, engagement) = (columns.next()?, columns.next()?, columns.next()?);
    let by_category: Option<String> = columns.next()?;
    let by_category = by_category.map_or_else(|| Ok(std::collections::BTreeMap::new()), |json| opened(&json))?;
    Ok(ScoreRow { total, fit, engagement, by_category })
}

fn read_value(columns: &mut Columns<'_>) -> Result<Option<Money>, RowError> {
    let (amount, currency): (Option<i64>, Option<String>) = (columns.next()?, columns.next()?);
    let (Some(amount), Some(currency)) = (amount, currency) else { return Ok(None) };
    let currency = Currency::new(&currency).ok_or(RowError::Damaged)?;
    Ok(Some(Money { amount, currency }))
}

/// Name, e-mail, phone, country and locale.
pub(super) fn read_contact(columns: &mut Columns<'_>) -> Result<ContactRow, RowError> {
    Ok(ContactRow {
        name: columns.next()?,
        email: columns.next()?,
        phone: columns.next()?,
        country: columns.next()?,
        locale: columns.next()?,
    })
}

fn read_notes(columns: &mut Columns<'_>) -> Result<Vec<NoteRow>, RowError> {
    let notes = lead::notes_of(columns.next()?)?;
    Ok(notes.into_iter().map(|(at, text)| NoteRow { at: Time::from_millis(at), text }).collect())
}
