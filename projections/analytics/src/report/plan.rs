//! A question as SQL over the tables. Fields and functions are ours; values of the caller's are literals.

use crate::report::calendar::Span;
use crate::report::document::Question;
use crate::report::document::dimension::{By, are_paired};
use crate::report::field::{Field, Kind, LEAD, ROW, Stored, instant};
use crate::report::ids::{DIFFERENT, LEAD_KEY};
use crate::report::measure::{Measure, What};
use crate::report::pair::PAIR;

/// The name of the function that tells the unit of a dimension.
pub(crate) fn unit_of(dimension: usize) -> String {
    format!("leadfold_unit_{dimension}")
}

/// The name of the function that numbers the words of a dimension.
pub(crate) fn word(dimension: usize) -> String {
    format!("leadfold_word_{dimension}")
}

/// The name of the function that numbers currencies.
pub(crate) const CURRENCY: &str = "leadfold_currency";

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
            format!(" left join leads as {LEAD} on {LEAD_KEY}({ROW}._lead) = {LEAD_KEY}({LEAD}._lead)")
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

    /// Whether leads are told apart by their keys.
    pub(crate) fn needs_lead_keys(&self) -> bool {
        let are_counted =
            |measure: &Measure| matches!(&measure.what, What::Distinct(field) if field.stored == Stored::Leads);
        self.attribution.is_some() || self.needs_leads() || self.measures.iter().any(are_counted)
    }

    /// Whether rows are joined with their leads.
    fn needs_leads(&self) -> bool {
        let of_measures = |measure: &Measure| {
            measure.what.field().is_some_and(|field| field.of_lead) || measure.filters.iter().any(|it| it.of_lead)
        };
        self.filters.iter().any(|filter| filter.of_lead)
            || self.origin.of_lead && (self.period.from.is_some() || self.period.to.is_some())
            || self.dimensions.iter().any(|dimension| dimension.field.of_lead)
            || self.measures.iter().any(of_measures)
    }

    /// Asks for the first and the last of instants: a row with two columns for each.
    pub(crate) fn extent(&self, instants: &[&Field], of: Of) -> String {
        let ends =
            instants.iter().flat_map(|field| ["min", "max"].map(|function| format!("{function}({})", field.sql)));
        let columns: Vec<String> = ends.enumerate().map(|(place, sql)| format!("{sql} as c{place}")).collect();
        format!("select {}{}", columns.join(", "), self.rows(of))
    }

    /// Asks for the groups: a column for each dimension, or one for both where [`are_paired`] says so, one for each measure
    /// that is no formula, and behind that of money the first and the last of its currencies' numbers.
    pub(crate) fn groups(&self, of: Of) -> String {
        let keys = self.dimensions.iter().enumerate().map(|(place, dimension)| {
            let sql = &dimension.field.sql;
            match &dimension.by {
                By::Value if dimension.is_of_words() => format!("{}({sql})", word(place)),
                By::Value => sql.clone(),
                By::Unit(..) => format!("{}({sql})", unit_of(place)),
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
        if are_paired(&self.dimensions) {
            columns = vec![format!("{PAIR}({})", columns.join(", "))];
        }
        let groups: Vec<String> = (1..=columns.len()).map(|place| place.to_string()).collect();
        for measure in &self.measures {
            let only = only(measure.filters.iter().map(|filter| filter.sql.as_str()));
            columns.extend(aggregate(&measure.what).map(|sql| format!("{sql}{only}")));
            let money = measure.what.money().and_then(|field| Some((&field.sql, field.currency.as_deref()?)));
            if let Some((amount, code)) = money {
                let paid = format!("{amount} is not null");
                let filters = measure.filters.iter().map(|filter| filter.sql.as_str());
                let only = self::only(filters.chain([paid.as_str()]));
                columns.extend(["min", "max"].map(|function| format!("{function}({CURRENCY}({code})){only}")));
            }
        }
        let named: Vec<String> = columns.iter().enumerate().map(|(place, sql)| format!("{sql} as c{place}")).collect();
        let grouped = if groups.is_empty() { String::new() } else { format!(" group by {}", groups.join(", ")) };
        format!("select {}{}{grouped}", named.join(", "), self.rows(of))
    }
}

fn only<'a>(conditions: impl Iterator<Item = &'a str>) -> String {
    let conditions: Vec<&str> = conditions.collect();
    if conditions.is_empty() { String::new() } else { format!(" filter (where {})", conditions.join(" and ")) }
}

/// A measure of a group; `None` for a formula.
fn aggregate(what: &What) -> Option<String> {
    let number = |field: &Field| field.number().unwrap_or_else(|| "null".to_owned());
    Some(match what {
        What::Count(None) | What::PerUnit(None, _) | What::Percentage(None) => "count(*)".to_owned(),
        What::Count(Some(field)) => format!("count({})", field.sql),
        What::Distinct(field) => {
            let alias = if field.of_lead { LEAD } else { ROW };
            match field.stored {
                Stored::Visitors => format!("{DIFFERENT}({alias}._visitor)"),
                Stored::Leads => format!("{DIFFERENT}({LEAD_KEY}({alias}._lead))"),
                Stored::Words | Stored::Otherwise => format!("count(distinct {})", field.sql),
            }
        }
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
