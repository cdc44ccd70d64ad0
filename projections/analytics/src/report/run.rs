//! Answering a question: what must be known beforehand, the groups of the period and of the one before, and the rows.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::query::{QueryError, Session};
use crate::report::answer::Report;
use crate::report::bucket::Bucket;
use crate::report::calendar::{Span, boundaries};
use crate::report::cell::{Cell, cells};
use crate::report::document::Question;
use crate::report::document::dimension::By;
use crate::report::field::Field;
use crate::report::figures::Gathered;
use crate::report::plan::{Of, bucket};

/// Hours of a century, and more days than anybody has recorded.
const UNITS_MAX: usize = 900_000;

/// What is found out before groups are made.
#[derive(Debug, Default)]
struct Extent {
    /// For each unit of time.
    instants: Vec<Option<Span>>,
    /// For each measure, the first and the last currency of its money.
    currencies: Vec<Option<(String, String)>>,
}

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
        let extent = self.extent(question, Of::Period).await?;
        let before = match question.previous {
            Some(span) => Some((span, self.extent(question, Of::Previous(span)).await?)),
            None => None,
        };
        let mut currencies = extent.currencies.clone();
        if let Some((_, before)) = &before {
            for (now, before) in currencies.iter_mut().zip(&before.currencies) {
                *now = match (now.take(), before.clone()) {
                    (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
                    (one, other) => one.or(other),
                };
            }
        }
        let several: Vec<bool> =
            currencies.iter().map(|found| found.as_ref().is_some_and(|(first, last)| first != last)).collect();
        let now = self.gather(question, &extent, &several, Of::Period).await?;
        let before = match before {
            Some((span, extent)) => Some(self.gather(question, &extent, &several, Of::Previous(span)).await?),
            None => None,
        };
        let only = currencies.into_iter().map(|found| found.map(|(first, _)| first));
        let currencies: Vec<Option<String>> =
            only.zip(&several).map(|(code, several)| code.filter(|_| !several)).collect();
        Ok(Report::of(question, self.position(), now, before, &currencies))
    }

    async fn extent(&self, question: &Question, of: Of) -> Result<Extent, QueryError> {
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
        let money: Vec<Option<&Field>> = question.measures.iter().map(|measure| measure.what.money()).collect();
        let of_money: Vec<&Field> = money.iter().filter_map(|field| *field).collect();
        let mut found = Vec::new();
        if !asked.is_empty() || !of_money.is_empty() {
            let batches = self.batches(&question.extent(&asked, &of_money, of)).await?;
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
        let instants = instants.collect();
        let currencies = money.into_iter().map(|field| match field.and_then(|_| pair()) {
            Some((Cell::Text(first), Cell::Text(last))) => Some((first, last)),
            Some(_) | None => None,
        });
        Ok(Extent { instants, currencies: currencies.collect() })
    }

    async fn gather(
        &self,
        question: &Question,
        extent: &Extent,
        several: &[bool],
        of: Of,
    ) -> Result<Gathered, QueryError> {
        let mut units = Vec::new();
        for (place, (dimension, span)) in question.dimensions.iter().zip(&extent.instants).enumerate() {
            let By::Unit(unit, zone) = dimension.by else {
                units.push(None);
                continue;
            };
            // Without any row there is nothing to be in a unit.
            let span = span.unwrap_or(Span { from: 0, to: 1 });
            let starts = boundaries(zone, unit, span.from, span.to, UNITS_MAX);
            let starts = starts.map_err(|_| QueryError::TooManyUnits { unit: unit.name(), limit: UNITS_MAX })?;
            let starts: Arc<[i64]> = starts.into();
            self.context.register_udf(Bucket::function(bucket(place), Arc::clone(&starts)));
            units.push(Some(starts));
        }
        let span = match of {
            Of::Period => question.period.span(),
            Of::Previous(span) => Some(span),
        };
        let batches = self.batches(&question.groups(several, of)).await?;
        let mut gathered = Gathered { units, span, several: several.to_vec(), rows: Vec::new() };
        for batch in batches {
            let columns: Result<Vec<Vec<Cell>>, DataFusionError> = batch.columns().iter().map(cells).collect();
            let mut columns: Vec<_> = columns?.into_iter().map(Vec::into_iter).collect();
            for _ in 0..batch.num_rows() {
                gathered.rows.push(columns.iter_mut().filter_map(Iterator::next).collect());
            }
        }
        Ok(gathered)
    }

    /// All rows, if there aren't too many.
    async fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let mut stream = self.begin_own(sql).await?;
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
