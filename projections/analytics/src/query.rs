//! Read-only SQL over the tables of one tenant, at one position, within limits.
//!
//! A session sees the rows of its tenant and no others: the tables themselves leave them out, whatever the text of a query
//! says. There are no functions that read files or addresses, and nothing can be written or set.

mod error;
mod output;
mod sheet;
mod statement;
mod tenant_table;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use event_log::LogPosition;
use futures_util::StreamExt;
use tokio::time::Instant;

pub use error::{Place, QueryError};
pub use output::{Format, Output, Shown};
pub use sheet::{Sheet, SheetColumn, SheetKind};

use crate::snapshot::Snapshot;
use crate::table::Table;
use tenant_table::TenantTable;

/// What one query may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// From its beginning to its last row.
    pub time: Duration,
    /// Bytes for sorting, grouping and joining; beyond it parts go to temporary files.
    pub memory: usize,
    /// Rows of the answer.
    pub rows: u64,
    /// Where temporary files go, and how many bytes; without it there are none.
    pub spill: Option<(PathBuf, u64)>,
    /// Threads at most.
    pub threads: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        Self { time: Duration::from_secs(30), memory: 512 << 20, rows: 100_000, spill: None, threads }
    }
}

/// What queries of one tenant see: the tables at one position.
pub struct Session {
    /// Its memory and temporary files.
    runtime: Arc<RuntimeEnv>,
    pub(crate) snapshot: Arc<Snapshot>,
    tenant: String,
    pub(crate) limits: QueryLimits,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("position", &self.snapshot.position()).finish_non_exhaustive()
    }
}

/// The rows of an answer, batch by batch.
pub struct Answer {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    rows: u64,
    until: Instant,
    limits: QueryLimits,
    /// Its files stay as long as they are read.
    snapshot: Arc<Snapshot>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The address under which the tables' folder is known to the query engine.
const STORE: &str = "leadfold://analytics";

/// How large the smaller side of a join may be that all threads share.
const SHARED_JOIN_BYTES: usize = 256 << 20;
const SHARED_JOIN_ROWS: usize = 4 << 20;

impl Session {
    /// A session over the tables of `tenant`.
    ///
    /// # Errors
    /// When the folder of temporary files can't be used.
    pub fn new(snapshot: Arc<Snapshot>, tenant: &str, limits: QueryLimits) -> Result<Self, QueryError> {
        let disk = limits.spill.as_ref().map_or_else(
            || DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            |(folder, bytes)| {
                DiskManagerBuilder::default()
                    .with_mode(DiskManagerMode::Directories(vec![folder.clone()]))
                    .with_max_temp_directory_size(*bytes)
            },
        );
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory)))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        Ok(Self { runtime, snapshot, tenant: tenant.to_owned(), limits })
    }

    /// A context for queries of ours, which see hidden columns too.
    pub(crate) fn own_context(&self) -> Result<SessionContext, QueryError> {
        self.context(Table::schema)
    }

    /// A context in which the tables are those of the tenant, with these columns, and nothing else is.
    fn context(&self, columns: impl Fn(Table) -> SchemaRef) -> Result<SessionContext, QueryError> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("leadfold", "tables")
            .with_information_schema(true)
            .with_target_partitions(self.limits.threads.max(1))
            .with_collect_statistics(false);
        config.options_mut().sql_parser.collect_spans = true;
        config.options_mut().execution.parquet.schema_force_view_types = false;
        // Rows that are joined with leads stay where they are: all threads share one table of the leads.
        config.options_mut().optimizer.hash_join_single_partition_threshold = SHARED_JOIN_BYTES;
        config.options_mut().optimizer.hash_join_single_partition_threshold_rows = SHARED_JOIN_ROWS;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .with_table_functions(std::collections::HashMap::new())
            .with_table_factories(std::collections::HashMap::new())
            .with_file_formats(Vec::new())
            .build();
        let context = SessionContext::new_with_state(state);
        let url = ObjectStoreUrl::parse(STORE)?;
        if let Some(file) = self.snapshot.tables.files().next() {
            let folder = file.path.parent().map(PathBuf::from).unwrap_or_default();
            let store = LocalFileSystem::new_with_prefix(folder).map_err(datafusion::error::DataFusionError::from)?;
            context.register_object_store(url.as_ref(), Arc::new(store));
        }
        for table in Table::ALL {
            let provider = TenantTable::new(columns(table), self.snapshot.tables.get(table), &self.tenant, url.clone());
            context.register_table(table.name(), Arc::new(provider))?;
        }
        Ok(context)
    }

    /// Where the tables stand.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.snapshot.position()
    }

    /// Begins a query: one statement that only reads.
    ///
    /// # Errors
    /// When it isn't one, doesn't fit the tables, or is over a limit already.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        let until = Instant::now() + self.limits.time;
        let begun = tokio::time::timeout_at(until, self.begin(sql)).await;
        let stream = begun.map_err(|_| QueryError::TooLong { limit: self.limits.time })??;
        let (limits, snapshot) = (self.limits.clone(), Arc::clone(&self.snapshot));
        Ok(Answer { schema: stream.schema(), stream, rows: 0, until, limits, snapshot })
    }

    /// A whole table, in no particular order, and how many rows it has.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn whole(&self, table: Table) -> Result<(u64, Answer), QueryError> {
        let mut counted = self.query(&format!("select count(*) from {table}")).await?;
        let mut rows = 0;
        while let Some(batch) = counted.next().await? {
            let counts = batch.column(0).as_primitive_opt::<Int64Type>();
            rows +=
                counts.into_iter().flat_map(|counts| counts.values()).map(|count| count.unsigned_abs()).sum::<u64>();
        }
        Ok((rows, self.query(&format!("select * from {table}")).await?))
    }

    async fn begin(&self, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
        run(&self.context(Table::shown)?, statement::only_reading(sql)?).await
    }
}

/// Begins a query of ours, which may be longer than anybody's.
pub(crate) async fn begin_own(context: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
    run(context, statement::parsed(sql)?).await
}

async fn run(context: &SessionContext, statement: Statement) -> Result<SendableRecordBatchStream, QueryError> {
    let plan = context.state().statement_to_plan(statement).await?;
    statement::verify(&plan)?;
    let frame = context.execute_logical_plan(plan).await?;
    let task = Arc::new(frame.task_ctx());
    let plan = yielding(frame.create_physical_plan().await?)?;
    Ok(execute_stream(plan, task)?)
}

/// The plan with a place to stop behind every operator: a join that makes many rows of few would run on, whatever the
/// limit of time says.
fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let wrapped = |node| {
        let node: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
        Ok(Transformed::yes(node))
    };
    Ok(plan.transform_up(wrapped)?.data)
}

impl Answer {
    /// Names and types of its columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Where the tables stood.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.snapshot.position()
    }

    /// The next rows; `None` behind the last ones.
    ///
    /// # Errors
    /// When the query fails, or is over a limit. There are no rows behind that.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let next = tokio::time::timeout_at(self.until, self.stream.next()).await;
        let next = next.map_err(|_| QueryError::TooLong { limit: self.limits.time })?;
        let Some(batch) = next.transpose()? else { return Ok(None) };
        self.rows += batch.num_rows() as u64;
        if self.rows > self.limits.rows {
            return Err(QueryError::TooManyRows { limit: self.limits.rows });
        }
        Ok(Some(batch))
    }

    /// All rows, as bytes of a format.
    ///
    /// # Errors
    /// As [`Answer::next`].
    pub async fn written(mut self, format: Format) -> Result<Vec<u8>, QueryError> {
        let mut output = Output::new(format, self.schema(), Vec::new())?;
        while let Some(batch) = self.next().await? {
            output.write(&batch)?;
        }
        output.finish()
    }
}
