//! One tenant's rows of a table, at one position. Rows of others don't leave it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{and, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, Statistics, stats::Precision};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetSource, parquet::ParquetRowSelection,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;

use crate::store::file::DataFile;
use crate::store::part::Part;

/// What a session sees of a table.
#[derive(Debug)]
pub(crate) struct TenantTable {
    schema: SchemaRef,
    parts: Vec<Part>,
    tenant: String,
    store: ObjectStoreUrl,
}

/// What a scan is asked for.
struct Wanted<'a> {
    /// Columns by their places in the table.
    columns: Vec<usize>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    limit: Option<usize>,
    state: &'a dyn Session,
}

impl TenantTable {
    /// The rows of a tenant, with the columns of `schema`, which are all of the table's or the first of them.
    pub(crate) fn new(schema: SchemaRef, parts: &[Part], tenant: &str, store: ObjectStoreUrl) -> Self {
        let has_rows = |part: &&Part| part.file().is_none_or(|file| file.entry.tenants.iter().any(|it| it == tenant));
        let parts = parts.iter().filter(has_rows).cloned().collect();
        Self { schema, parts, tenant: tenant.to_owned(), store }
    }

    /// The tail: what counts of it, and is this tenant's.
    fn tail(&self, wanted: &Wanted<'_>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let mut batches = Vec::new();
        for part in &self.parts {
            let Some(batch) = part.batch() else { continue };
            let batch = RecordBatch::try_new(
                Arc::clone(&self.schema),
                batch.columns().iter().take(self.schema.fields().len()).cloned().collect(),
            )?;
            let own = and(&self.owned(&batch), &part.superseded.counting(0, part.rows))?;
            let batch = if own.true_count() == batch.num_rows() { batch } else { filter_record_batch(&batch, &own)? };
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        if batches.is_empty() {
            return Ok(None);
        }
        let columns = Some(wanted.columns.clone());
        Ok(Some(MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&self.schema), columns)?))
    }

    /// Which rows are this tenant's.
    fn owned(&self, batch: &RecordBatch) -> BooleanArray {
        let words = batch.column_by_name("tenant").and_then(|it| it.as_dictionary_opt::<Int32Type>());
        let own = words.and_then(|words| {
            let values = words.values().as_string_opt::<i32>()?;
            let own: Vec<bool> = values.iter().map(|value| value == Some(self.tenant.as_str())).collect();
            let is_own = |key: Option<i32>| {
                let place = usize::try_from(key?).ok()?;
                own.get(place).copied()
            };
            Some(words.keys().iter().map(|key| Some(is_own(key).unwrap_or(false))).collect())
        });
        own.unwrap_or_else(|| BooleanArray::from(vec![false; batch.num_rows()]))
    }

    /// A scan of files; `shared` ones have rows of several tenants.
    fn files(&self, wanted: &Wanted<'_>, shared: bool) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let is_shared = |file: &DataFile| file.entry.tenants.len() != 1;
        let own = self.parts.iter().filter(|part| part.file().is_some_and(|file| is_shared(file) == shared));
        let mut rows = 0;
        let mut groups = vec![Vec::new(); wanted.state.config().target_partitions().max(1)];
        for (place, part) in own.enumerate() {
            let Some(file) = part.file() else { continue };
            rows += part.counting() as usize;
            let mut scanned = PartitionedFile::new(file.entry.name.clone(), file.entry.bytes);
            if let Some(selection) = part.superseded.selection(part.rows) {
                scanned = scanned.with_extension(ParquetRowSelection::new(selection));
            }
            let group = place % groups.len();
            if let Some(group) = groups.get_mut(group) {
                group.push(scanned);
            }
        }
        groups.retain(|group| !group.is_empty());
        if groups.is_empty() {
            return Ok(None);
        }
        let tenant_at = self.schema.index_of("tenant")?;
        let mut columns = wanted.columns.clone();
        if shared && !columns.contains(&tenant_at) {
            columns.push(tenant_at);
        }
        let mut source = ParquetSource::new(Arc::clone(&self.schema)).with_pushdown_filters(false);
        if let Some(predicate) = &wanted.predicate {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(rows);
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(statistics)
            .with_projection_indices(Some(columns.clone()))?
            .with_limit(wanted.limit.filter(|_| !shared))
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        if !shared {
            return Ok(Some(scan));
        }
        let place = columns.iter().position(|column| *column == tenant_at).unwrap_or_default();
        let own: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(self.is_own(place), scan)?);
        if columns.len() == wanted.columns.len() {
            return Ok(Some(own));
        }
        let kept = wanted.columns.iter().enumerate().map(|(place, column)| {
            let name = self.schema.field(*column).name();
            ProjectionExpr { expr: Arc::new(Column::new(name, place)), alias: name.clone() }
        });
        Ok(Some(Arc::new(ProjectionExec::try_new(kept.collect::<Vec<_>>(), own)?)))
    }

    /// Whether a row is this tenant's; the tenant is the column at `place`.
    fn is_own(&self, place: usize) -> Arc<dyn PhysicalExpr> {
        let tenant =
            ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(ScalarValue::Utf8(Some(self.tenant.clone()))));
        let column = Arc::new(Column::new("tenant", place));
        Arc::new(BinaryExpr::new(column, Operator::Eq, Arc::new(Literal::new(tenant))))
    }
}

#[async_trait]
impl TableProvider for TenantTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files are left out by them as far as their statistics tell; rows are filtered behind the scan.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files: Vec<Arc<DataFile>> = self.parts.iter().filter_map(|part| part.file().cloned()).collect();
        let checked = tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.check()));
        let checked = checked.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        checked.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let predicate = match conjunction(filters.to_vec()) {
            Some(filter) => {
                let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
            None => None,
        };
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let limit = limit.filter(|_| filters.is_empty());
        let wanted = Wanted { columns, predicate, limit, state };
        let scans = [self.files(&wanted, false)?, self.files(&wanted, true)?, self.tail(&wanted)?];
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = scans.into_iter().flatten().collect();
        match scans.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&wanted.columns)?)))),
            1 => scans.pop().ok_or_else(|| DataFusionError::Internal("a scan is missing".to_owned())),
            _ => UnionExec::try_new(scans),
        }
    }
}
