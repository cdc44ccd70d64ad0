//! Answering a question: what must be known beforehand, the groups of the period and of the one before, and the rows.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::error::AnalyticsError;
use crate::query::{QueryError, Session, begin_own};
use crate::report::answer::Report;
use crate::report::bucket::bucket;
use crate::report::calendar::{Span, boundaries};
use crate::report::cell::{Cell, cells};
use crate::report::document::Question;
use crate::report::document::dimension::{By, are_paired};
use crate::report::field::Field;
use crate::report::figures::{Currencies, Gathered, currencies};
use crate::report::ids::{self, LeadKeys};
use crate::report::pair::{pairs, unpaired};
use crate::report::plan::{CURRENCY, Of, unit_of, word};
use crate::report::words::WordNumbers;
use crate::store::file::Extremes;
use crate::store::part::Part;

/// Hours of a century, and more days than anybody has recorded.
const UNITS_MAX: usize = 900_000;

/// So many units of time are given out whether they have rows or not; of more, a scan says which have.
const FEW_UNITS: usize = 50_000;

/// For each dimension that is a unit of time, from when to when its instants are.
type Extent = Vec<Option<Span>>;

impl Session {
    /// Answers a question, all of it at the position of the session.
    ///
    /// # Errors
    /// When it takes more than the limits allow, makes too many groups, or the tables can't be read.
    pub async fn report(&self, question: &Question) -> Result<Report, QueryError> {
        let until = Instant::now() + self.limits.time;
        let answered = tokio::time::timeout_at(until, self.answer(question)).await;
        // One that never had to wait was never looked at by the clock.
        let answered = answered.ok().filter(|_| Instant::now() <= until);
        answered.ok_or(QueryError::TooLong { limit: self.limits.time })?
    }

    async fn answer(&self, question: &Question) -> Result<Report, QueryError> {
        let context = &self.own_context()?;
        if question.needs_lead_keys() {
            let keys = LeadKeys::of(self.snapshot.tables.leads.iter().map(Part::keys));
            context.register_udf(ids::lead_keys(keys));
        }
        context.register_udaf(ids::different());
        context.register_udf(pairs());
        let codes = WordNumbers::default();
        context.register_udf(codes.function(CURRENCY));
        let extent = self.extent(context, question, Of::Period).await?;
        let mut now = self.gather(context, question, &extent, Of::Period).await?;
        let mut before = match question.previous {
            Some(span) => {
                let extent = self.extent(context, question, Of::Previous(span)).await?;
                Some(self.gather(context, question, &extent, Of::Previous(span)).await?)
            }
            None => None,
        };
        let rows = now.rows.iter().chain(before.iter().flat_map(|before| &before.rows));
        let found: Vec<Currencies> = currencies(question, rows);
        let several: Vec<bool> = found.iter().map(|found| *found == Currencies::Several).collect();
        for gathered in std::iter::once(&mut now).chain(&mut before) {
            gathered.several.clone_from(&several);
        }
        let only = found.into_iter().map(|found| match found {
            Currencies::One(number) => match codes.word(&number) {
                Cell::Text(code) => Some(code),
                Cell::Whole(_) | Cell::Real(_) | Cell::Flag(_) | Cell::Instant(_) | Cell::Nothing => None,
            },
            Currencies::None | Currencies::Several => None,
        });
        let only: Vec<Option<String>> = only.collect();
        Ok(Report::of(question, self.position(), now, before, &only))
    }

    async fn extent(&self, context: &SessionContext, question: &Question, of: Of) -> Result<Extent, QueryError> {
        let span = match of {
            Of::Period => question.period.span(),
            Of::Previous(span) => Some(span),
        };
        let mut asked: Vec<&Field> = Vec::new();
        let instants = question.dimensions.iter().map(|dimension| match dimension.by {
            By::Unit(..) if span.is_some() && dimension.field == question.origin => (span, false),
            By::Unit(..) => {
                asked.push(&dimension.field);
                (None, true)
            }
            By::Value | By::Bands(..) => (None, false),
        });
        let instants: Vec<(Option<Span>, bool)> = instants.collect();
        // Where two times are compared, no unit is asked for: it must be that of the period, which has both ends.
        if let Some(known) = self.extent_of_files(question, &instants).await? {
            return Ok(known);
        }
        let mut found = Vec::new();
        if !asked.is_empty() {
            let batches = self.batches(context, &question.extent(&asked, of)).await?;
            if let Some(batch) = batches.first() {
                for column in batch.columns() {
                    found.extend(cells(column)?.into_iter().next());
                }
            }
        }
        let mut found = found.into_iter();
        let mut pair = || found.next().zip(found.next());
        let instants = instants.into_iter().map(|(known, asked)| match (asked, if asked { pair() } else { None }) {
            (true, Some((Cell::Instant(from), Cell::Instant(to)))) => Some(Span { from, to: to.saturating_add(1) }),
            (_, _) => known,
        });
        Ok(instants.collect())
    }

    /// The same as the files tell it, which may be more than the rows have that count. `None` where that is too much, or
    /// isn't told.
    async fn extent_of_files(
        &self,
        question: &Question,
        instants: &[(Option<Span>, bool)],
    ) -> Result<Option<Extent>, QueryError> {
        let mut extent = Vec::new();
        for (dimension, (known, asked)) in question.dimensions.iter().zip(instants) {
            let By::Unit(unit, zone) = dimension.by else {
                extent.push(None);
                continue;
            };
            if !asked {
                extent.push(*known);
                continue;
            }
            let (table, column) = question.source.column_of(&dimension.field);
            let (parts, column) = (self.snapshot.tables.get(table).clone(), column.to_owned());
            let look = move || {
                let mut parts = parts.iter();
                parts.try_fold(Extremes::Nothing, |found, part| Ok(found.and(part.extremes(&column)?)))
            };
            let found = tokio::task::spawn_blocking(look).await;
            let found: Result<Extremes, AnalyticsError> =
                found.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let span = match found.map_err(QueryError::Tables)? {
                Extremes::Unknown => return Ok(None),
                Extremes::Nothing => None,
                Extremes::Between(from, to) => Some(Span { from, to: to.saturating_add(1) }),
            };
            if span.is_some_and(|span| boundaries(zone, unit, span.from, span.to, FEW_UNITS).is_err()) {
                return Ok(None);
            }
            extent.push(span);
        }
        Ok(Some(extent))
    }

    async fn gather(
        &self,
        context: &SessionContext,
        question: &Question,
        extent: &Extent,
        of: Of,
    ) -> Result<Gathered, QueryError> {
        let mut units = Vec::new();
        let mut numberings = Vec::new();
        for (place, (dimension, span)) in question.dimensions.iter().zip(extent).enumerate() {
            let By::Unit(unit, zone) = dimension.by else {
                if dimension.is_of_words() {
                    let numbering = WordNumbers::default();
                    context.register_udf(numbering.function(&word(place)));
                    numberings.push((place, numbering));
                }
                units.push(None);
                continue;
            };
            // Without any row there is nothing to be in a unit.
            let span = span.unwrap_or(Span { from: 0, to: 1 });
            let starts = boundaries(zone, unit, span.from, span.to, UNITS_MAX);
            let starts = starts.map_err(|_| QueryError::TooManyUnits { unit: unit.name(), limit: UNITS_MAX })?;
            let starts: Arc<[i64]> = starts.into();
            context.register_udf(bucket(&unit_of(place), Arc::clone(&starts)));
            units.push(Some(starts));
        }
        let span = match of {
            Of::Period => question.period.span(),
            Of::Previous(span) => Some(span),
        };
        let batches = self.batches(context, &question.groups(of)).await?;
        let mut gathered = Gathered { units, span, several: Vec::new(), rows: Vec::new() };
        for batch in batches {
            let columns: Result<Vec<Vec<Cell>>, DataFusionError> = batch.columns().iter().map(cells).collect();
            let mut columns = columns?;
            if are_paired(&question.dimensions) && !columns.is_empty() {
                let (ones, others) = columns.remove(0).iter().map(unpaired).unzip();
                columns.splice(0..0, [ones, others]);
            }
            for (place, numbering) in &numberings {
                let numbers = columns.get_mut(*place).into_iter().flatten();
                numbers.for_each(|number| *number = numbering.word(number));
            }
            let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
            for _ in 0..batch.num_rows() {
                gathered.rows.push(columns.iter_mut().filter_map(Iterator::next).collect());
            }
        }
        Ok(gathered)
    }

    /// All rows, if there aren't too many.
    async fn batches(&self, context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let mut stream = begin_own(context, sql).await?;
        let (mut batches, mut rows) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await.transpose()? {
            rows += batch.num_rows() as u64;
            if rows > self.limits.rows {
                return Err(QueryError::TooManyGroups { limit: self.limits.rows });
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}
