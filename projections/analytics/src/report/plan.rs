//! A question as SQL over the tables. Fields and functions are ours; values of the caller's are literals.

use crate::report::calendar::Span;
use crate::report::document::Question;
use crate::report::document::dimension::By;
use crate::report::field::{Field, Kind, LEAD, ROW, instant};
use crate::report::filter::Filter;
use crate::report::measure::{Measure, What};

/// The name of the function that tells the unit of a dimension.
pub(crate) fn bucket(dimension: usize) -> String {
    format!("leadfold_unit_{dimension}")
}

/// Which time rows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Period,
    Previous(Span),
}

impl Question {
    /// From where rows come, and which count.
    fn rows(&self, of: Of) -> String {
        let rows = match &self.attribution {
            Some(attribution) => attribution.rows(),
            None => format!("{} as {ROW}", self.source.table().name()),
        };
        let leads = if self.needs_leads() {
            format!(" left join leads as {LEAD} on {ROW}.lead_id = {LEAD}.lead_id")
        } else {
            String::new()
        };
        let (from, to) = match of {
            Of::Period => (self.period.from, self.period.to),
            Of::Previous(span) => (Some(span.from), Some(span.to)),
        };
        let mut conditions: Vec<String> = self.filters.iter().map(|filter| filter.sql.clone()).collect();
        conditions.extend(from.map(|from| format!("{} >= {}", self.origin.sql, instant(from))));
        conditions.extend(to.map(|to| format!("{} < {}", self.origin.sql, instant(to))));
        let only = if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
        format!(" from {rows}{leads}{only}")
    }

    fn needs_leads(&self) -> bool {
        let of_measures = |measure: &Measure| {
            measure.what.field().is_some_and(|field| field.of_lead) || measure.filters.iter().any(|it| it.of_lead)
        };
        self.filters.iter().any(|filter| filter.of_lead)
            || self.origin.of_lead && (self.period.from.is_some() || self.period.to.is_some())
            || self.dimensions.iter().any(|dimension| dimension.field.of_lead)
            || self.measures.iter().any(of_measures)
    }

    /// Asks for the first and the last of instants and of currencies: a row with two columns for each.
    pub(crate) fn extent(&self, instants: &[&Field], money: &[&Field], of: Of) -> String {
        let mut columns = Vec::new();
        let mut extent = |sql: &str, only: &str| {
            for function in ["min", "max"] {
                columns.push(format!("{function}({sql}){only} as c{}", columns.len()));
            }
        };
        for field in instants {
            extent(&field.sql, "");
        }
        for field in money {
            let code = field.currency.as_deref().unwrap_or("null");
            extent(&format!("arrow_cast({code}, 'Utf8')"), &format!(" filter (where {} is not null)", field.sql));
        }
        format!("select {}{}", columns.join(", "), self.rows(of))
    }

    /// Asks for the groups: a column for each dimension, one for each measure that is no formula, and two for each money
    /// whose rows have `several` currencies.
    pub(crate) fn groups(&self, several: &[bool], of: Of) -> String {
        let keys = self.dimensions.iter().enumerate().map(|(place, dimension)| {
            let sql = &dimension.field.sql;
            match &dimension.by {
                By::Value => sql.clone(),
                By::Unit(..) => format!("{}({sql})", bucket(place)),
                By::Bands(thresholds, _) => {
                    let number = dimension.field.number().unwrap_or_else(|| "null".to_owned());
                    let bands = thresholds.iter().enumerate();
                    let cases: Vec<String> =
                        bands.map(|(band, below)| format!("when {number} < {below:?} then {band}")).collect();
                    let last = thresholds.len();
                    format!("case when {number} is null then null {} else {last} end", cases.join(" "))
                }
            }
        });
        let mut columns: Vec<String> = keys.collect();
        let groups: Vec<String> = (1..=columns.len()).map(|place| place.to_string()).collect();
        for (measure, several) in self.measures.iter().zip(several) {
            let only = only(&measure.filters);
            columns.extend(aggregate(&measure.what).map(|sql| format!("{sql}{only}")));
            if let Some(code) = measure.what.money().and_then(|field| field.currency.as_deref()).filter(|_| *several) {
                let code = format!("arrow_cast({code}, 'Utf8')");
                columns.push(format!("min({code}){only}"));
                columns.push(format!("max({code}){only}"));
            }
        }
        let named: Vec<String> = columns.iter().enumerate().map(|(place, sql)| format!("{sql} as c{place}")).collect();
        let grouped = if groups.is_empty() { String::new() } else { format!(" group by {}", groups.join(", ")) };
        format!("select {}{}{grouped}", named.join(", "), self.rows(of))
    }
}

fn only(filters: &[Filter]) -> String {
    if filters.is_empty() {
        return String::new();
    }
    let conditions: Vec<&str> = filters.iter().map(|filter| filter.sql.as_str()).collect();
    format!(" filter (where {})", conditions.join(" and "))
}

/// A measure of a group; `None` for a formula.
fn aggregate(what: &What) -> Option<String> {
    let number = |field: &Field| field.number().unwrap_or_else(|| "null".to_owned());
    Some(match what {
        What::Count(None) | What::PerUnit(None, _) | What::Percentage(None) => "count(*)".to_owned(),
        What::Count(Some(field)) => format!("count({})", field.sql),
        What::Distinct(field) => format!("count(distinct {})", field.sql),
        What::Sum(field) | What::PerUnit(Some(field), _) | What::Percentage(Some(field)) => {
            // A sum of whole numbers is exact and can't overflow.
            let exact = || format!("arrow_cast({}, 'Decimal128(20, 0)')", field.sql);
            format!("sum({})", if field.is_whole() { exact() } else { number(field) })
        }
        What::Average(field) => format!("avg({})", number(field)),
        What::Percentile(field, share) => {
            format!("percentile_cont({share:?}) within group (order by {})", number(field))
        }
        What::Min(field) => format!("min({})", extreme(field)),
        What::Max(field) => format!("max({})", extreme(field)),
        What::Formula(_) => return None,
    })
}

fn extreme(field: &Field) -> String {
    if field.kind == Kind::Time || field.is_whole() {
        return field.sql.clone();
    }
    field.number().unwrap_or_else(|| field.sql.clone())
}
