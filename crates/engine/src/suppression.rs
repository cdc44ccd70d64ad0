//! Suppression: what carries certain identifiers is not collected. Known by keyed hashes only, so it works for people who
//! were erased, and for those who never came.
//!
//! ```text
//! facts  "suppressed/" | tenant u32 | identifier as in `identifiers` → position u64
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;

use event_log::{LogPosition, Table};
use feed::InteractionEntry;
use lead_domain::{Identifier, IdentifierKey, IdentifierKind, Name, Refusal, TenantId, Time, VisitorId};
use proto_events::stored::{InputFacts, RequestKey, Suppression};

use crate::batch::Pending;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::library::rows::suppressed_key;
use crate::operator::{Answer, Origin};
use crate::options::Parts;

/// Identifiers that may be suppressed at the same time, of all tenants: they stand in memory, about 70 bytes each.
pub const SUPPRESSED_MAX: usize = 1_000_000;

/// An operator's request that something is not collected, or is again.
#[derive(Clone, Debug)]
pub struct SuppressionRequest {
    /// Whose data it concerns.
    pub tenant: TenantId,
    /// Who asks: an account name.
    pub operator: Name,
    /// When it counts as given; now where absent.
    pub at: Option<Time>,
    /// Why.
    pub reason: Name,
    /// Whether it may be collected again.
    pub lifted: bool,
    /// A visitor, for all identifiers that it has.
    pub visitor: Option<VisitorId>,
    /// Identifiers that were named themselves.
    pub identifiers: Vec<Identifier>,
    /// The key that it was sent under.
    pub key: Option<RequestKey>,
}

/// An identifier that is not collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuppressionMark {
    /// Which, by its keyed hash.
    pub identifier: Identifier,
    /// The record of the latest request that says so.
    pub position: LogPosition,
}

/// The request that suppressed an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionSource {
    /// When it counts as given.
    pub at: Time,
    /// Who asked: an account name.
    pub operator: Name,
    /// Why.
    pub reason: Name,
}

/// The identifiers that are suppressed, and the record that says so of each.
#[derive(Debug, Default)]
pub(crate) struct Suppressed(BTreeMap<SuppressedKey, LogPosition>);

/// Tenant, kind and keyed hash of a suppressed identifier.
pub(crate) type SuppressedKey = (TenantId, u8, u128);

const fn key_of(tenant: TenantId, identifier: Identifier) -> SuppressedKey {
    (tenant, kind_number(identifier.kind), identifier.key.0)
}

impl Suppressed {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn holds(&self, tenant: TenantId, identifier: Identifier) -> bool {
        self.0.contains_key(&key_of(tenant, identifier))
    }

    /// Takes a request into account.
    pub(crate) fn fold(&mut self, tenant: TenantId, asked: &Suppression, position: LogPosition) {
        for (kind, hash) in &asked.identifiers {
            let place = (tenant, *kind, *hash);
            if asked.lifted {
                self.0.remove(&place);
            } else {
                self.0.insert(place, position);
            }
        }
    }

    /// Takes a row of the table.
    pub(crate) fn load(&mut self, key: SuppressedKey, position: LogPosition) {
        self.0.insert(key, position);
    }
}

const fn kind_number(kind: IdentifierKind) -> u8 {
    match kind {
        IdentifierKind::CustomerId => 1,
        IdentifierKind::Email => 2,
        IdentifierKind::Phone => 3,
        IdentifierKind::VisitorId => 4,
    }
}

impl Engine {
    /// Carries out a request about what is not to be collected. Durable on return.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a visitor who isn't there or was erased; [`EngineError::NothingToSuppress`] where no
    /// identifier is left; [`EngineError::TooManySuppressed`]; anything else when the storage fails.
    pub fn suppress(&mut self, request: SuppressionRequest) -> Result<Answer, EngineError> {
        let answer = self.carry_out_suppression(request, Origin::default())?;
        self.flush()?;
        Ok(answer)
    }

    /// The same as a feed asked for it. Decided on return; goes to the log with [`Engine::commit`].
    ///
    /// # Errors
    /// As [`Engine::suppress`], and [`EngineError::KeyReused`].
    pub fn carry_out_suppression(
        &mut self,
        request: SuppressionRequest,
        origin: Origin,
    ) -> Result<Answer, EngineError> {
        if let Some(answer) = self.carried_out_before(request.key)? {
            return Ok(answer);
        }
        let identifiers = self.suppressible(&request)?;
        let asked = Suppression {
            operator: request.operator.into(),
            reason: request.reason.into(),
            lifted: request.lifted,
            identifiers: identifiers.iter().map(|it| (kind_number(it.kind), it.key.0)).collect(),
            request: request.key,
        };
        let position = self.next_position();
        let now = self.options.clock.now();
        let at = request.at.unwrap_or(now);
        let tenant = request.tenant;
        self.note_suppression(tenant, position, &asked);
        let key = request.key;
        let mut record = Pending::bare(&InputFacts::Suppression(asked), tenant, at, origin.received_at.unwrap_or(now));
        record.feed_sequence = origin.feed_sequence;
        self.push(position, record);
        self.remember_request(key, position);
        Ok(Answer { position, visitor: VisitorId(0), at, events: Vec::new(), leads: Vec::new(), repeated: false })
    }

    /// Everything that a request names, each once and in order.
    fn suppressible(&mut self, request: &SuppressionRequest) -> Result<Vec<Identifier>, EngineError> {
        let mut identifiers = request.identifiers.clone();
        if let Some(visitor) = request.visitor {
            let unknown = Refusal::UnknownVisitor { visitor };
            let book = self.book(request.tenant, visitor).map_err(|_| EngineError::Refused(unknown))?;
            if book.erased {
                return Err(EngineError::Refused(Refusal::VisitorErased { visitor: book.visitor }));
            }
            identifiers.extend(book.identifiers.iter().map(|held| held.identifier));
        }
        identifiers.sort_unstable_by_key(|it| (kind_number(it.kind), it.key.0));
        identifiers.dedup();
        if identifiers.is_empty() {
            return Err(EngineError::NothingToSuppress);
        }
        if !request.lifted && self.suppressed.0.len() + identifiers.len() > SUPPRESSED_MAX {
            return Err(EngineError::TooManySuppressed { most: SUPPRESSED_MAX });
        }
        Ok(identifiers)
    }

    /// Takes a request into account that stands at `position`.
    pub(crate) fn note_suppression(&mut self, tenant: TenantId, position: LogPosition, asked: &Suppression) {
        self.suppressed.fold(tenant, asked, position);
        for (kind, hash) in &asked.identifiers {
            let value = (!asked.lifted).then(|| position.0.to_be_bytes().to_vec());
            self.library.put_row(Table::Facts, suppressed_key(tenant, *kind, *hash).to_vec(), value);
        }
    }

    /// Whether an interaction carries an identifier that is suppressed.
    pub(crate) fn is_suppressed(&self, entry: &InteractionEntry) -> bool {
        if self.suppressed.is_empty() {
            return false;
        }
        let facts = &entry.facts;
        let carried = [
            (IdentifierKind::CustomerId, facts.customer_id),
            (IdentifierKind::Email, facts.email),
            (IdentifierKind::Phone, facts.phone),
            (IdentifierKind::VisitorId, facts.visitor_id),
        ];
        carried.into_iter().any(|(kind, hash)| {
            hash.is_some_and(|hash| self.suppressed.holds(entry.tenant, Identifier { kind, key: IdentifierKey(hash) }))
        })
    }

    /// The identifiers of a tenant that are suppressed, behind `after`: strongest kind first, then by hash.
    #[must_use]
    pub fn suppressions(&self, tenant: TenantId, after: Option<Identifier>, limit: usize) -> Vec<SuppressionMark> {
        let first = after.map_or(Bound::Included((tenant, 0, 0)), |after| Bound::Excluded(key_of(tenant, after)));
        let mine = self.suppressed.0.range((first, Bound::Included((tenant, u8::MAX, u128::MAX))));
        let mark = |(&(_, number, hash), &position): (&SuppressedKey, &LogPosition)| {
            let kind = IdentifierKind::STRONGEST_FIRST.into_iter().find(|kind| kind_number(*kind) == number)?;
            Some(SuppressionMark { identifier: Identifier { kind, key: IdentifierKey(hash) }, position })
        };
        mine.filter_map(mark).take(limit).collect()
    }

    /// The mark of one identifier, if it is suppressed.
    #[must_use]
    pub fn suppression(&self, tenant: TenantId, identifier: Identifier) -> Option<SuppressionMark> {
        let position = *self.suppressed.0.get(&key_of(tenant, identifier))?;
        Some(SuppressionMark { identifier, position })
    }

    /// Whether an identifier is suppressed.
    #[must_use]
    pub fn suppresses(&self, tenant: TenantId, identifier: Identifier) -> bool {
        self.suppressed.holds(tenant, identifier)
    }
}

impl Parts {
    /// Who suppressed something, when and why, as the record at `position` has it. It must be durable.
    ///
    /// # Errors
    /// When the log fails, or a row of the tables named a record of something else.
    pub fn suppression_source(&self, position: LogPosition) -> Result<SuppressionSource, EngineError> {
        let entry = self.entry(position)?;
        let InputFacts::Suppression(asked) = entry.facts.input else {
            return Err(EngineError::Row { table: Table::Facts.name() });
        };
        let at = Time::from_millis(entry.header.occurred_at);
        Ok(SuppressionSource { at, operator: asked.operator.as_str().into(), reason: asked.reason.as_str().into() })
    }
}
