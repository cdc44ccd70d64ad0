//! Orphans as they are shown: one, and a page of them, the latest first.

use lead_domain::{InteractionId, VisitorId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::condition::Condition;
use super::lead::{campaign_row, read_contact};
use super::page::{Cut, check_reached, cut};
use crate::query::{After, CountMode, Cursor, OrphanQuery, Page, QueryError};
use crate::row::OrphanRow;
use crate::rows::{Columns, RowError, device_row, orphan, product_row};
use crate::store::State;

/// The columns are read in this order. The visitor is whoever holds the book now.
const SELECT: &str = "
WITH RECURSIVE holder (id, merged_into) AS (
  SELECT v.id, v.merged_into FROM orphans o JOIN visitors v ON v.id = o.visitor WHERE o.id = ?1
  UNION ALL
  SELECT v.id, v.merged_into FROM holder h JOIN visitors v ON v.id = h.merged_into
)
SELECT o.id, v.id, o.occurred_at, o.reason, o.channel, o.skill, o.action,
  v.name, v.email, v.phone, v.country, v.locale, o.facts
FROM orphans o JOIN visitors v ON v.id = (SELECT id FROM holder WHERE merged_into IS NULL)
WHERE o.id = ?1";

/// A page of orphans; an error in the query when its cursor is ahead of the model.
pub(super) fn page(
    connection: &Connection,
    state: &State,
    query: &OrphanQuery,
    after: Option<Cursor>,
) -> Result<Result<Page<OrphanRow>, QueryError>, RowError> {
    let position = state.checkpoint.position;
    if let Err(ahead) = check_reached(after, position) {
        return Ok(Err(ahead));
    }
    let mut condition = Condition::of_tenant(query.tenant.0);
    for (column, values) in [("l.channel", &query.channel), ("l.skill", &query.skill), ("l.reason", &query.reason)] {
        if !values.is_empty() {
            condition.and(Condition::one_of(column, values));
        }
    }
    condition.and(Condition::within("l.occurred_at", &query.occurred));
    let count = match query.count {
        CountMode::None => None,
        CountMode::Exact => Some(count(connection, &condition)?),
    };
    if let Some(Cursor { after: After { value: Some(value), id }, .. }) = after {
        let values = [Value::Integer(value), Value::Integer(id)];
        condition.and(Condition::new("(l.occurred_at, l.id) < (?, ?)", values));
    }
    let mut keys = first(connection, condition, query.limit + 1)?;
    let next_cursor = cut(&mut keys, query.limit, Cut { fingerprint: query.fingerprint(), after, position });
    let mut items = Vec::with_capacity(keys.len());
    for row in keys {
        items.push(read(connection, row.id)?.ok_or(RowError::Damaged)?);
    }
    Ok(Ok(Page { items, next_cursor, position, count }))
}

fn first(connection: &Connection, mut condition: Condition, most: u32) -> rusqlite::Result<Vec<After>> {
    let sql = format!(
        "SELECT l.occurred_at, l.id FROM orphans l WHERE {} ORDER BY l.occurred_at DESC, l.id DESC LIMIT ?",
        condition.sql
    );
    condition.values.push(Value::Integer(most.into()));
    let mut statement = connection.prepare_cached(&sql)?;
    let row = |row: &Row<'_>| Ok(After { value: row.get(0)?, id: row.get(1)? });
    statement.query_map(params_from_iter(condition.values), row)?.collect()
}

fn count(connection: &Connection, condition: &Condition) -> rusqlite::Result<u64> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT count(*) FROM orphans l WHERE {}", condition.sql))?;
    statement.query_row(params_from_iter(&condition.values), |row| Columns::of(row).unsigned())
}

/// The orphan of that row number.
fn read(connection: &Connection, key: i64) -> Result<Option<OrphanRow>, RowError> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let read = statement.query_row([key], |row| Ok(read_row(row))).optional()?;
    read.transpose()
}

fn read_row(row: &Row<'_>) -> Result<OrphanRow, RowError> {
    let columns = &mut Columns::of(row);
    let (id, visitor_id) = (InteractionId(columns.unsigned()?), VisitorId(columns.unsigned()?));
    let (occurred_at, reason) = (columns.time()?, columns.next()?);
    let (channel, skill, action) = (columns.next()?, columns.next()?, columns.next()?);
    let contact = read_contact(columns)?;
    let facts = orphan::read_facts(&columns.next::<Vec<u8>>()?)?;
    let campaign = facts.campaign.as_ref().and_then(|campaign| {
        let names = [&campaign.name, &campaign.source, &campaign.medium];
        campaign_row(names.map(|name| name.as_ref().map(|name| name.as_str().to_owned())))
    });
    let device = facts.device.as_ref().map(device_row);
    let product = facts.product.as_ref().map(product_row);
    Ok(OrphanRow { id, visitor_id, occurred_at, reason, channel, skill, action, campaign, device, product, contact })
}
