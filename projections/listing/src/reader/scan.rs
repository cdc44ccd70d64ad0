//! Reads leads into columns. Knows no queries.

use event_log::LogPosition;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params_from_iter};

use super::condition::Condition;
use crate::columns::{Entry, LeadColumns};
use crate::rows::RowError;

/// Id, visitor and tenant; then numbers at the places of `SortKey` and texts at those of `TextColumn`.
const SELECT: &str = "SELECT l.id, l.visitor, l.tenant, \
     l.last_interaction_at, l.score, l.opened_at, l.closed_at, l.sale_value, \
     l.lead_type, l.skill, l.channel, l.campaign, l.close_cause, l.owner, l.stage, l.temperature, l.grade FROM leads l";
const NUMBERS_FROM: usize = 3;
const TEXTS_FROM: usize = 8;

/// All leads.
pub(super) fn all(connection: &Connection, position: LogPosition) -> Result<LeadColumns, RowError> {
    read(connection, position, (&format!("{SELECT} ORDER BY l.id"), &Condition::default()))
}

/// The leads that meet a condition. `index` is empty or says which index finds them.
pub(super) fn some(
    connection: &Connection,
    position: LogPosition,
    (index, condition): (&str, &Condition),
) -> Result<LeadColumns, RowError> {
    let sql = format!("{SELECT} {index} WHERE {} ORDER BY l.id", condition.sql);
    read(connection, position, (&sql, condition))
}

fn read(
    connection: &Connection,
    position: LogPosition,
    (sql, condition): (&str, &Condition),
) -> Result<LeadColumns, RowError> {
    let mut columns = LeadColumns::at(position);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(&condition.values))?;
    while let Some(row) = rows.next()? {
        columns.read(&entry(row)?);
    }
    Ok(columns)
}

fn entry<'a>(row: &'a Row<'_>) -> Result<Entry<&'a str>, RowError> {
    let mut entry = Entry {
        id: row.get(0)?,
        visitor: row.get(1)?,
        tenant: row.get(2)?,
        numbers: Default::default(),
        texts: Default::default(),
    };
    for (number, place) in entry.numbers.iter_mut().zip(NUMBERS_FROM..) {
        *number = row.get(place)?;
    }
    for (text, place) in entry.texts.iter_mut().zip(TEXTS_FROM..) {
        *text = match row.get_ref(place)? {
            ValueRef::Null => None,
            ValueRef::Text(bytes) => Some(std::str::from_utf8(bytes).map_err(|_| RowError::Damaged)?),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => return Err(RowError::Damaged),
        };
    }
    Ok(entry)
}
