//! Leads as lines, as comma-separated values and as Parquet. Knows no connection and no file.

use std::io::Write;

use analytics::{Format, QueryError, Sheet, SheetColumn, SheetKind};
use event_log::LogPosition;
use listing::LeadRow;

/// The columns of a lead in CSV and Parquet, and where they stand in its JSON.
const COLUMNS: &[SheetColumn] = &[
    text("id", "/id"),
    text("visitor_id", "/visitor_id"),
    text("customer_id", "/customer_id"),
    text("lead_type", "/lead_type"),
    text("status", "/status"),
    text("close_cause", "/close_cause"),
    text("close_reason", "/close_reason"),
    time("opened_at", "/opened_at"),
    time("closed_at", "/closed_at"),
    time("deadline", "/deadline"),
    time("first_interaction_at", "/first_interaction_at"),
    time("last_interaction_at", "/last_interaction_at"),
    whole("interactions", "/interactions"),
    text("skill", "/skill"),
    text("channel", "/channel"),
    text("campaign", "/campaign/name"),
    text("campaign_source", "/campaign/source"),
    text("campaign_medium", "/campaign/medium"),
    text("stage", "/stage"),
    text("temperature", "/temperature"),
    text("grade", "/grade"),
    whole("score", "/score/total"),
    whole("score_fit", "/score/fit"),
    whole("score_engagement", "/score/engagement"),
    json("score_by_category", "/score/by_category"),
    whole("sale_value", "/sale_value/amount"),
    text("sale_currency", "/sale_value/currency"),
    whole("rgus", "/rgus"),
    whole("conversions", "/conversions"),
    text("owner", "/owner"),
    text("name", "/contact/name"),
    text("email", "/contact/email"),
    text("phone", "/contact/phone"),
    text("device_type", "/device/type"),
    text("device_browser", "/device/browser"),
    text("device_os", "/device/os"),
    text("last_product_id", "/last_product/id"),
    text("last_product_name", "/last_product/name"),
    text("last_product_category", "/last_product/category"),
    whole("last_product_price", "/last_product/price/amount"),
    text("last_product_currency", "/last_product/price/currency"),
    json("attributes", "/attributes"),
    json("notes", "/notes"),
    whole("version", "/version"),
];

const fn text(name: &'static str, pointer: &'static str) -> SheetColumn {
    SheetColumn { name, pointer, kind: SheetKind::Text }
}

const fn whole(name: &'static str, pointer: &'static str) -> SheetColumn {
    SheetColumn { name, pointer, kind: SheetKind::Whole }
}

const fn time(name: &'static str, pointer: &'static str) -> SheetColumn {
    SheetColumn { name, pointer, kind: SheetKind::Time }
}

const fn json(name: &'static str, pointer: &'static str) -> SheetColumn {
    SheetColumn { name, pointer, kind: SheetKind::Json }
}

/// Leads that are being written. Lines have the shape of `GET /v1/leads`; other formats a column a field.
#[derive(Debug)]
pub struct LeadWriter<W: Write + Send>(Form<W>);

#[derive(Debug)]
enum Form<W: Write + Send> {
    Lines(W),
    Sheet(Box<Sheet<W>>),
}

fn failed(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed { message: error.to_string() }
}

impl<W: Write + Send> LeadWriter<W> {
    /// Begins an export.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new(format: Format, to: W) -> Result<Self, QueryError> {
        if format == Format::Ndjson {
            return Ok(Self(Form::Lines(to)));
        }
        Ok(Self(Form::Sheet(Box::new(Sheet::new(COLUMNS, format, to)?))))
    }

    /// Adds a lead.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn push(&mut self, lead: &LeadRow) -> Result<(), QueryError> {
        match &mut self.0 {
            Form::Lines(to) => {
                serde_json::to_writer(&mut *to, lead).map_err(failed)?;
                to.write_all(b"\n").map_err(failed)
            }
            Form::Sheet(sheet) => sheet.push(&serde_json::to_value(lead).map_err(failed)?),
        }
    }

    /// Ends the export, which was true at a position, and hands back what it was written to.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(self, position: LogPosition) -> Result<W, QueryError> {
        match self.0 {
            Form::Lines(to) => Ok(to),
            Form::Sheet(sheet) => sheet.finish(position),
        }
    }
}
