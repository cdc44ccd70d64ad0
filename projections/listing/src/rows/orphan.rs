//! The orphans table.

use lead_domain::event::OrphanReason;
use lead_domain::{InteractionId, VisitorId};
use proto_events::stored::{self, Attribute};
use proto_events::{InputFacts, InteractionFacts};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::rows::{Columns, RowError, millis};
use crate::state::orphan::OrphanState;

const INSERT: &str = "INSERT INTO orphans (id, tenant, visitor, occurred_at, reason, channel, skill, action, facts, \
     attributes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const SELECT: &str = "SELECT id, tenant, visitor, occurred_at, reason, facts, attributes FROM orphans WHERE id = ?1";
const ALL_REASONS: [OrphanReason; 4] = [
    OrphanReason::UnknownEntryPoint,
    OrphanReason::NoDefaultLeadType,
    OrphanReason::InactiveLeadType,
    OrphanReason::TooManyLeads,
];

/// Writes a new orphan.
pub(crate) fn insert(connection: &Connection, orphan: &OrphanState) -> rusqlite::Result<()> {
    let facts = &orphan.facts;
    let mut encoded = Vec::new();
    stored::encode_interaction(facts, &mut encoded);
    connection
        .prepare_cached(INSERT)?
        .execute(params![
            orphan.id.0.cast_signed(),
            orphan.tenant,
            orphan.visitor.0.cast_signed(),
            millis(orphan.occurred_at),
            orphan.reason.code(),
            facts.channel.as_str(),
            facts.skill.as_ref().map(proto_events::text::Text::as_str),
            facts.action.as_str(),
            encoded,
            attributes_to_bytes(&orphan.sealed_attributes),
        ])
        .map(|_| ())
}

/// Removes an orphan that a lead adopted.
pub(crate) fn delete(connection: &Connection, id: InteractionId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM orphans WHERE id = ?1")?.execute([id.0.cast_signed()]).map(|_| ())
}

/// Takes what is personal out of all orphans of a visitor.
pub(crate) fn erase_of(connection: &Connection, visitor: VisitorId) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT id, facts FROM orphans WHERE visitor = ?1")?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let orphans: Vec<(i64, Vec<u8>)> =
        statement.query_map([visitor.0.cast_signed()], read)?.collect::<Result<_, _>>()?;
    for (id, facts) in orphans {
        let mut encoded = Vec::new();
        // A row that can't be read is left with nothing in it but what its columns say.
        stored::encode_interaction(&impersonal(read_facts(&facts).unwrap_or_default()), &mut encoded);
        connection
            .prepare_cached("UPDATE orphans SET facts = ?2, attributes = NULL WHERE id = ?1")?
            .execute(params![id, encoded])?;
    }
    Ok(())
}

/// An interaction without what leads to a person.
fn impersonal(facts: InteractionFacts) -> InteractionFacts {
    InteractionFacts {
        message: 0,
        fingerprint: 0,
        customer_id: None,
        email: None,
        phone: None,
        visitor_id: None,
        country: None,
        locale: None,
        attributes: Vec::new(),
        ..facts
    }
}

/// Reads an orphan's state back.
pub(crate) fn read(connection: &Connection, id: InteractionId) -> Result<Option<OrphanState>, RowError> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let read = statement.query_row([id.0.cast_signed()], |row| Ok(read_state(row))).optional()?;
    read.transpose()
}

fn read_state(row: &Row<'_>) -> Result<OrphanState, RowError> {
    let columns = &mut Columns::of(row);
    let (id, tenant) = (InteractionId(columns.unsigned()?), columns.next()?);
    let (visitor, occurred_at) = (VisitorId(columns.unsigned()?), columns.time()?);
    let reason: String = columns.next()?;
    Ok(OrphanState {
        id,
        tenant,
        visitor,
        occurred_at,
        reason: ALL_REASONS.into_iter().find(|known| known.code() == reason).ok_or(RowError::Damaged)?,
        facts: read_facts(&columns.next::<Vec<u8>>()?)?,
        sealed_attributes: attributes_of_bytes(columns.next()?)?,
    })
}

/// The interaction of a stored orphan.
pub(crate) fn read_facts(bytes: &[u8]) -> Result<InteractionFacts, RowError> {
    match stored::decode_input(stored::CODEC, bytes) {
        Ok((InputFacts::Interaction(facts), [])) => Ok(*facts),
        Ok(_) | Err(_) => Err(RowError::Damaged),
    }
}

/// Sealed attributes are stored as a personal part that holds nothing else.
fn attributes_to_bytes(attributes: &[Attribute]) -> Option<Vec<u8>> {
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    let personal = proto_events::Personal { attributes: attributes.to_vec(), ..proto_events::Personal::default() };
    stored::encode_personal(&personal, &mut bytes);
    Some(bytes)
}

fn attributes_of_bytes(bytes: Option<Vec<u8>>) -> Result<Vec<Attribute>, RowError> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let personal = stored::decode_personal(stored::CODEC, &bytes).map_err(|_| RowError::Damaged)?;
    Ok(personal.attributes)
}
