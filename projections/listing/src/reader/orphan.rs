//! Reads one orphan as it is shown.

use lead_domain::{InteractionId, VisitorId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::lead::{campaign_row, read_contact};
use crate::row::OrphanRow;
use crate::rows::{Columns, RowError, device_row, orphan, product_row};

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

/// The orphan of that row number.
pub(super) fn read(connection: &Connection, key: i64) -> Result<Option<OrphanRow>, RowError> {
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
