//! What can be asked: filters, sorts, pages. Knows the names and values of the API, and no SQL.

mod cursor;
mod filter;

use event_log::LogPosition;
use lead_domain::TenantId;
use thiserror::Error;

pub(crate) use cursor::{After, Cursor, Fingerprint};
pub use filter::{Filters, RangeFilter, TextFilter};
pub(crate) use filter::{Span, Values};

use crate::json;

/// The most rows of one page.
pub const LIMIT_MAX: u32 = 500;
/// The rows of a page where nobody says.
pub const LIMIT_DEFAULT: u32 = 50;

/// Why a query makes no sense. Names the field, never a value that could be personal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// There is no such filter.
    #[error("there is no filter \"{name}\"")]
    UnknownFilter {
        /// The name given.
        name: String,
    },
    /// A value that the field doesn't take.
    #[error("{field} must be {expected}")]
    Value {
        /// Which field.
        field: String,
        /// What would be right.
        expected: &'static str,
    },
    /// More values than a filter takes.
    #[error("{field} takes at most {max} values")]
    TooMany {
        /// Which field.
        field: String,
        /// How many it takes.
        max: usize,
    },
    /// Not a cursor that this program gave out, or one that was changed.
    #[error("cursor must be the next_cursor of an earlier page, unchanged")]
    CursorMalformed,
    /// A cursor of another query.
    #[error("cursor must be used with the tenant, filters and sort of the page that it came from")]
    CursorOfOtherQuery,
    /// The model was built anew and is not where the cursor comes from yet.
    #[error("cursor comes from position {cursor}, but the listing stands at {model}; try again when it has caught up")]
    CursorAhead {
        /// Where the cursor's page was true.
        cursor: LogPosition,
        /// Where the model stands.
        model: LogPosition,
    },
}

impl QueryError {
    /// The query's field concerned, for the path of a problem.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::UnknownFilter { name } => name,
            Self::Value { field, .. } | Self::TooMany { field, .. } => field,
            Self::CursorMalformed | Self::CursorOfOtherQuery | Self::CursorAhead { .. } => "cursor",
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownFilter { .. } => "unknown_filter",
            Self::Value { .. } => "invalid_value",
            Self::TooMany { .. } => "too_many_values",
            Self::CursorMalformed => "cursor_malformed",
            Self::CursorOfOtherQuery => "cursor_of_other_query",
            Self::CursorAhead { .. } => "cursor_ahead",
        }
    }
}

/// Which leads, in what order, and which page of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub filters: Filters,
    /// In what order; the lead id breaks ties, in the same direction.
    pub sort: LeadSort,
    /// How many at most: 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The `next_cursor` of the page before; `None` for the first page.
    pub cursor: Option<String>,
    /// Whether to count all rows that match.
    pub count: CountMode,
}

/// What leads are sorted by. Rows without the value (an open lead has no `closed_at`) come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadSort {
    /// By what.
    pub key: SortKey,
    /// Which end comes first.
    pub direction: Direction,
}

/// A sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The latest interaction.
    LastInteractionAt,
    /// The total score.
    Score,
    /// The opening.
    OpenedAt,
    /// The end.
    ClosedAt,
    /// The sale value, in minor units, whatever the currency.
    Value,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest or earliest first.
    Ascending,
    /// Largest or latest first; `-` in front of the name.
    Descending,
}

/// Whether to count all rows that match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountMode {
    /// No; a count costs as much as reading all.
    #[default]
    None,
    /// Yes.
    Exact,
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
    /// The log position at which the page was true.
    pub position: LogPosition,
    /// How many rows match in all, where that was asked for.
    pub count: Option<u64>,
}

/// Which orphans; the latest come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrphanQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Any of these channels; all where empty.
    pub channel: Vec<String>,
    /// Any of these skills; all where empty.
    pub skill: Vec<String>,
    /// Any of these reasons; all where empty.
    pub reason: Vec<String>,
    /// When they happened.
    pub occurred: Span,
    /// How many at most: 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The `next_cursor` of the page before; `None` for the first page.
    pub cursor: Option<String>,
    /// Whether to count all rows that match.
    pub count: CountMode,
}

/// Which pairs of visitors who may be the same person; the oldest come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Those that an operator said are different people, or else those that nobody has looked at.
    pub settled: bool,
    /// How many at most: 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The `next_cursor` of the page before; `None` for the first page.
    pub cursor: Option<String>,
    /// Whether to count all pairs that match.
    pub count: CountMode,
}

impl LeadSort {
    /// All sorts, by the name in the API.
    const NAMES: [(&'static str, SortKey); 5] = [
        ("last_interaction_at", SortKey::LastInteractionAt),
        ("score", SortKey::Score),
        ("opened_at", SortKey::OpenedAt),
        ("closed_at", SortKey::ClosedAt),
        ("value", SortKey::Value),
    ];

    /// Reads a sort such as `-last_interaction_at`.
    ///
    /// # Errors
    /// When there is no such sort.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let (direction, name) = match text.strip_prefix('-') {
            Some(name) => (Direction::Descending, name),
            None => (Direction::Ascending, text),
        };
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, key)| Self { key, direction }).ok_or_else(|| QueryError::Value {
            field: "sort".to_owned(),
            expected: "last_interaction_at, score, opened_at, closed_at or value, with a \"-\" in front for the \
                       largest first",
        })
    }

    /// A number for cursors. Never reused.
    pub(crate) const fn number(self) -> u8 {
        let key = match self.key {
            SortKey::LastInteractionAt => 1,
            SortKey::Score => 2,
            SortKey::OpenedAt => 3,
            SortKey::ClosedAt => 4,
            SortKey::Value => 5,
        };
        match self.direction {
            Direction::Ascending => key,
            Direction::Descending => key | 0x80,
        }
    }
}

impl Default for LeadSort {
    fn default() -> Self {
        Self { key: SortKey::LastInteractionAt, direction: Direction::Descending }
    }
}

impl LeadQuery {
    /// The first page of all leads of a tenant, the latest interaction first.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            filters: Filters::default(),
            sort: LeadSort::default(),
            limit: LIMIT_DEFAULT,
            cursor: None,
            count: CountMode::None,
        }
    }

    /// Sets one field by its name in the API: `sort`, `limit`, `cursor`, `count`, or a filter (see [`Filters::set`]).
    ///
    /// # Errors
    /// Names the field and what would be right.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "sort" => self.sort = LeadSort::parse(value)?,
            "limit" => self.limit = parse_limit(value)?,
            "cursor" => self.cursor = Some(value.to_owned()),
            "count" => self.count = parse_count(value)?,
            _ => self.filters.set(name, value)?,
        }
        Ok(())
    }

    /// The query with the row that the cursor stands behind.
    pub(crate) fn after(&self) -> Result<Option<Cursor>, QueryError> {
        place(self.limit, self.cursor.as_deref(), self.fingerprint())
    }

    /// Tells this query from every other one, apart from the page.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::begin("leads", self.tenant);
        fingerprint.add(&[self.sort.number()]);
        self.filters.add_to(&mut fingerprint);
        fingerprint
    }
}

impl OrphanQuery {
    /// The first page of all orphans of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            channel: Vec::new(),
            skill: Vec::new(),
            reason: Vec::new(),
            occurred: Span::default(),
            limit: LIMIT_DEFAULT,
            cursor: None,
            count: CountMode::None,
        }
    }

    /// Sets one field by its name in the API: `channel`, `skill`, `reason`, `from` (inclusive), `to` (exclusive),
    /// `limit`, `cursor`, `count`. Several values of one field, with commas between them, mean any of them.
    ///
    /// # Errors
    /// Names the field and what would be right.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "channel" => filter::add_values(&mut self.channel, name, value)?,
            "skill" => filter::add_values(&mut self.skill, name, value)?,
            "reason" => filter::add_values(&mut self.reason, name, value)?,
            "from" => self.occurred.from = Some(parse_time(name, value)?.as_millis()),
            "to" => self.occurred.to = Some(parse_time(name, value)?.as_millis()),
            "limit" => self.limit = parse_limit(value)?,
            "cursor" => self.cursor = Some(value.to_owned()),
            "count" => self.count = parse_count(value)?,
            _ => return Err(QueryError::UnknownFilter { name: name.to_owned() }),
        }
        Ok(())
    }

    pub(crate) fn after(&self) -> Result<Option<Cursor>, QueryError> {
        place(self.limit, self.cursor.as_deref(), self.fingerprint())
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::begin("orphans", self.tenant);
        for values in [&self.channel, &self.skill, &self.reason] {
            fingerprint.add_all(values);
        }
        fingerprint.add_span(&self.occurred);
        fingerprint
    }
}

impl DuplicateQuery {
    /// The first page of the pairs of a tenant that nobody has settled.
    #[must_use]
    pub const fn new(tenant: TenantId) -> Self {
        Self { tenant, settled: false, limit: LIMIT_DEFAULT, cursor: None, count: CountMode::None }
    }

    /// Sets one field by its name in the API: `settled`, `limit`, `cursor`, `count`.
    ///
    /// # Errors
    /// Names the field and what would be right.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            "settled" => {
                let wrong = |_| QueryError::Value { field: name.to_owned(), expected: "true or false" };
                self.settled = value.parse().map_err(wrong)?;
            }
            "limit" => self.limit = parse_limit(value)?,
            "cursor" => self.cursor = Some(value.to_owned()),
            "count" => self.count = parse_count(value)?,
            _ => return Err(QueryError::UnknownFilter { name: name.to_owned() }),
        }
        Ok(())
    }

    pub(crate) fn after(&self) -> Result<Option<Cursor>, QueryError> {
        place(self.limit, self.cursor.as_deref(), self.fingerprint())
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::begin("duplicates", self.tenant);
        fingerprint.add(&[u8::from(self.settled)]);
        fingerprint
    }
}

/// Where the page of a query begins: behind the row that its cursor names.
fn place(limit: u32, cursor: Option<&str>, query: Fingerprint) -> Result<Option<Cursor>, QueryError> {
    check_limit(limit)?;
    match cursor.map(Cursor::read).transpose()? {
        Some(cursor) if cursor.fingerprint != query => Err(QueryError::CursorOfOtherQuery),
        other => Ok(other),
    }
}

fn check_limit(limit: u32) -> Result<(), QueryError> {
    let fits = (1..=LIMIT_MAX).contains(&limit);
    if fits { Ok(()) } else { Err(QueryError::Value { field: "limit".to_owned(), expected: "1 to 500" }) }
}

fn parse_limit(value: &str) -> Result<u32, QueryError> {
    let limit = value.parse().unwrap_or_default();
    check_limit(limit).map(|()| limit)
}

fn parse_count(value: &str) -> Result<CountMode, QueryError> {
    match value {
        "exact" => Ok(CountMode::Exact),
        "none" => Ok(CountMode::None),
        _ => Err(QueryError::Value { field: "count".to_owned(), expected: "exact or none" }),
    }
}

/// Reads a time as filters take it.
///
/// # Errors
/// [`QueryError::Value`] of that field.
pub fn parse_time(field: &str, value: &str) -> Result<lead_domain::Time, QueryError> {
    json::read_time(value).ok_or_else(|| QueryError::Value {
        field: field.to_owned(),
        expected: "an RFC 3339 time such as 2025-03-01T09:00:00+01:00, or a day such as 2025-03-01 (UTC)",
    })
}
