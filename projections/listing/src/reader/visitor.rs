//! Reads one visitor with members, leads and suspected duplicates.

use lead_domain::{TenantId, VisitorId};
use rusqlite::Connection;

use super::duplicate::Suspicion;
use super::{duplicate, lead};
use crate::row::{ContactRow, DuplicateRow, IdentifierRow, LeadRow, VisitorRow};
use crate::rows::{RowError, visitor};
use crate::state::contact::text;
use crate::state::lead_key;
use crate::state::visitor::VisitorState;

/// The most leads that are read with a visitor; the listing of leads pages through more.
const LEADS_SHOWN_MAX: usize = 500;

/// The visitor, if the tenant has it.
pub(super) fn read(connection: &Connection, tenant: TenantId, id: VisitorId) -> Result<Option<VisitorRow>, RowError> {
    let Some(asked) = visitor::read(connection, id)?.filter(|visitor| visitor.tenant == tenant.0) else {
        return Ok(None);
    };
    let family = read_family(connection, asked)?;
    let Some(asked) = family.first() else { return Ok(None) };
    let mut members: Vec<VisitorId> = family.iter().skip(1).map(|member| member.id).collect();
    members.sort_unstable();
    let shown = asked.shown();
    let field = |field| text(field).map(ToOwned::to_owned);
    Ok(Some(VisitorRow {
        id,
        merged_into: asked.merged_into.map(|survivor| holder(connection, survivor)).transpose()?,
        members,
        identifiers: family.iter().flat_map(identifier_rows).collect(),
        customer_id: field(&shown.customer_id),
        contact: ContactRow {
            name: field(&shown.name),
            email: field(&shown.email),
            phone: field(&shown.phone),
            country: field(&shown.country),
            locale: field(&shown.locale),
        },
        leads: read_leads(connection, tenant, &family)?,
        suspected_duplicates: read_duplicates(connection, &family)?,
    }))
}

/// A visitor and everyone who was merged into it, directly or not; the visitor itself comes first.
pub(super) fn read_family(connection: &Connection, visitor: VisitorState) -> Result<Vec<VisitorState>, RowError> {
    let mut family = vec![visitor];
    let mut place = 0;
    while let Some(absorbed) = family.get(place).map(|member| member.absorbed.clone()) {
        for id in absorbed {
            family.push(visitor::read(connection, id)?.ok_or(RowError::Damaged)?);
        }
        place += 1;
    }
    Ok(family)
}

/// Who holds a visitor's book after all merges.
pub(super) fn holder(connection: &Connection, visitor: VisitorId) -> Result<VisitorId, RowError> {
    let mut holder = visitor;
    let mut statement = connection.prepare_cached("SELECT merged_into FROM visitors WHERE id = ?1")?;
    while let Some(survivor) = statement.query_row([holder.0.cast_signed()], |row| row.get::<_, Option<i64>>(0))? {
        holder = VisitorId(survivor.cast_unsigned());
    }
    Ok(holder)
}

fn identifier_rows(member: &VisitorState) -> impl Iterator<Item = IdentifierRow> {
    member.identifiers.iter().map(|known| IdentifierRow {
        kind: known.kind.name().to_owned(),
        value: known.value.to_string(),
        as_sent: known.as_sent.as_ref().unwrap_or(&known.value).to_string(),
        learnt_for: member.id,
    })
}

fn read_leads(connection: &Connection, tenant: TenantId, family: &[VisitorState]) -> Result<Vec<LeadRow>, RowError> {
    let mut keys: Vec<i64> = family
        .iter()
        .flat_map(|member| (1..=member.leads_opened).map(|ordinal| lead_domain::LeadId { visitor: member.id, ordinal }))
        .filter_map(lead_key)
        .collect();
    keys.sort_unstable();
    keys.truncate(LEADS_SHOWN_MAX);
    let mut leads = Vec::with_capacity(keys.len());
    for key in keys {
        leads.push(lead::read(connection, tenant, key)?.ok_or(RowError::Damaged)?);
    }
    Ok(leads)
}

fn read_duplicates(connection: &Connection, family: &[VisitorState]) -> Result<Vec<DuplicateRow>, RowError> {
    let suspicions = duplicate::suspicions(connection, family)?.into_iter();
    let row = |(visitor_id, Suspicion { kind: shared, settled, .. })| DuplicateRow { visitor_id, shared, settled };
    Ok(suspicions.map(row).collect())
}
