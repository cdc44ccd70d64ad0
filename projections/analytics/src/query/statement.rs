//! What may be run: one statement that only reads.

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::{DFParserBuilder, ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use crate::query::error::QueryError;

const ONE: QueryError = QueryError::Refused { reason: "send one statement, a SELECT" };
const READS: QueryError =
    QueryError::Refused { reason: "only SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES and DESCRIBE are allowed" };
/// A longer text is no question of a person or a program that we know.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The statement, if it is one that only reads.
pub(crate) fn only_reading(sql: &str) -> Result<Statement, QueryError> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(QueryError::Refused { reason: "the text of a query may have 64 KiB" });
    }
    parsed(sql)
}

/// The same, however long it is.
pub(crate) fn parsed(sql: &str) -> Result<Statement, QueryError> {
    let mut statements = DFParserBuilder::new(sql).with_dialect(&PostgreSqlDialect {}).build()?.parse_statements()?;
    let statement = statements.pop_front().ok_or(ONE)?;
    if !statements.is_empty() {
        return Err(ONE);
    }
    if is_reading(&statement) { Ok(statement) } else { Err(READS) }
}

fn is_reading(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => is_reading_sql(statement),
        Statement::Explain(ExplainStatement { options, statement }) => !options.analyze && is_reading(statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

fn is_reading_sql(statement: &SqlStatement) -> bool {
    matches!(
        statement,
        SqlStatement::Query(_)
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ExplainTable { .. }
    )
}

/// Looks once more, at what the text was understood as.
pub(crate) fn verify(plan: &LogicalPlan) -> Result<(), QueryError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| READS)
}
