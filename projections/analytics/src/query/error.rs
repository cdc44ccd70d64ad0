//! Why a query has no answer, in sentences for whoever wrote it.

use std::time::Duration;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use thiserror::Error;

use crate::error::AnalyticsError;
use crate::nearest::nearest;

/// Where in the text of a query, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character in it.
    pub column: u64,
}

/// A query without an answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The text is no SQL.
    #[error("read the query: {message}")]
    Syntax {
        /// What was expected.
        message: String,
        /// Where, if that is known.
        place: Option<Place>,
    },
    /// It is SQL that this service doesn't run.
    #[error("run this: {reason}")]
    Refused {
        /// What is allowed.
        reason: &'static str,
    },
    /// It doesn't fit the tables, or a value doesn't fit what is done with it.
    #[error("answer the query: {message}")]
    Invalid {
        /// What doesn't fit, and what was perhaps meant.
        message: String,
        /// Where, if that is known.
        place: Option<Place>,
    },
    /// It took too long.
    #[error("answer within {} s. Ask for a shorter period or fewer columns, or raise the limit", limit.as_secs_f64())]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// It needed too much memory.
    #[error("answer within the memory that one query may take. Group by less, or ask for a shorter period")]
    TooMuchMemory,
    /// The answer has too many rows.
    #[error("answer with more than {limit} rows. Add a LIMIT, group, or raise the limit")]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// There are too many groups.
    #[error("make more than {limit} groups. Group by less or by coarser things, filter, or ask for a shorter period")]
    TooManyGroups {
        /// The limit.
        limit: u64,
    },
    /// The time has too many units.
    #[error("tell more than {limit} units of time ({unit}) apart. Ask for a shorter period, or a larger unit")]
    TooManyUnits {
        /// The unit.
        unit: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The tables can't be read.
    #[error(transparent)]
    Tables(AnalyticsError),
    /// The answer can't be written, or the query engine failed. Try again; look at the log of the service.
    #[error("answer the query: {message}")]
    Failed {
        /// What went wrong.
        message: String,
    },
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let place = error.diagnostic().and_then(|it| it.span).map(|span| span.start);
        let place = place.filter(|at| at.line > 0).map(|at| Place { line: at.line, column: at.column });
        classified(error, place)
    }
}

fn classified(error: DataFusionError, place: Option<Place>) -> QueryError {
    match error {
        DataFusionError::External(source) => match source.downcast::<AnalyticsError>() {
            Ok(tables) => QueryError::Tables(*tables),
            Err(source) => QueryError::Failed { message: source.to_string() },
        },
        DataFusionError::SQL(parser, _) => syntax(&parser),
        DataFusionError::SchemaError(schema, _) => QueryError::Invalid { message: of_schema(&schema), place },
        DataFusionError::ResourcesExhausted(_) => QueryError::TooMuchMemory,
        DataFusionError::Plan(message) | DataFusionError::NotImplemented(message) => {
            QueryError::Invalid { message: plain(&message), place }
        }
        DataFusionError::Execution(message) => QueryError::Invalid { message: plain(&message), place },
        DataFusionError::ArrowError(source, _) => QueryError::Invalid { message: plain(&source.to_string()), place },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classified(*inner, place),
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => classified(first, place),
            None => QueryError::Failed { message: "for no known reason".to_owned() },
        },
        DataFusionError::Shared(shared) => shared_error(&shared, place),
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_) => QueryError::Failed { message: plain(&error.strip_backtrace()) },
    }
}

/// One that several threads got at once.
fn shared_error(error: &DataFusionError, place: Option<Place>) -> QueryError {
    let root = error.find_root();
    if matches!(root, DataFusionError::ResourcesExhausted(_)) {
        return QueryError::TooMuchMemory;
    }
    QueryError::Invalid { message: plain(&root.strip_backtrace()), place }
}

fn syntax(error: &ParserError) -> QueryError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    };
    let number = |name: &str| {
        let rest = message.split(name).nth(1)?;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let place = number("Line: ").zip(number("Column: ")).map(|(line, column)| Place { line, column });
    QueryError::Syntax { message, place }
}

fn of_schema(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound { field, valid_fields } = error else { return plain(&error.to_string()) };
    let names: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
    match nearest(&field.name, names.iter().copied()) {
        Some(name) => format!("there is no column \"{}\"; did you mean \"{name}\"?", field.name),
        None if names.is_empty() => format!("there is no column \"{}\"", field.name),
        None => format!("there is no column \"{}\"; there are: {}", field.name, names.join(", ")),
    }
}

/// Without what only the engine's makers need.
fn plain(message: &str) -> String {
    let message = message.split("\n\nbacktrace").next().unwrap_or(message);
    let message = message.strip_prefix("Error during planning: ").unwrap_or(message);
    message.replace("leadfold.tables.", "").trim().to_owned()
}
