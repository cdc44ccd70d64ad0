//! Conditions in SQL with the values of their places.

use rusqlite::types::Value;

use crate::query::{Span, Values};

/// A condition on rows; empty while it says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Condition {
    pub(super) fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), values: values.into_iter().collect() }
    }

    /// That it is the tenant's.
    pub(super) fn of_tenant(tenant: u32) -> Self {
        Self::new("l.tenant = ?", [Value::Integer(tenant.into())])
    }

    /// That a column has one of the values.
    pub(super) fn one_of(column: &str, values: &Values) -> Self {
        let places = vec!["?"; values.len()].join(", ");
        Self::new(format!("{column} IN ({places})"), values.iter().cloned().map(Value::Text))
    }

    /// That a column lies in a span.
    pub(super) fn within(column: &str, span: &Span) -> Self {
        let mut condition = Self::default();
        for (operator, bound) in [(">=", span.from), ("<", span.to)] {
            if let Some(bound) = bound {
                condition.and(Self::new(format!("{column} {operator} ?"), [Value::Integer(bound)]));
            }
        }
        condition
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sql.is_empty()
    }

    /// Adds a condition that must hold too.
    pub(super) fn and(&mut self, other: Self) {
        if !self.is_empty() && !other.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(&other.sql);
        self.values.extend(other.values);
    }
}
