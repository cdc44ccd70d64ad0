//! Rows of a CSV table (RFC 4180) become events by a mapping, and then go the way of every other event.
//!
//! Rows are split here and not by a library, because the same few states that split a row also find its end in bounded
//! memory and notice a quote that never closes; a test holds the splitting against the `csv` crate.

use std::borrow::Cow;
use std::fmt;

use proto_events::cloud_event::{
    Amount, Attributes, Campaign, Contact, Conversion, Device, Fault, InteractionData, InteractionEvent, Page, Product,
    Scalar, Str, code,
};
use thiserror::Error;

use crate::mapping::{Field, Mapping};

/// Why a table's first line doesn't fit its mapping.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The line can't be split.
    #[error("its first line is no header: {problem}")]
    Unreadable {
        /// What is wrong.
        problem: String,
    },
    /// No mapped column is there, so the line may be a row: it is not quoted, since a row may hold personal data.
    #[error(
        "its first line, of {columns} column(s), names none of the mapping's columns. Put a header line first, or correct the mapping"
    )]
    NoHeader {
        /// How many columns the line has.
        columns: usize,
    },
    /// The mapping names a column that the table doesn't have.
    #[error("the mapping names the column \"{column}\" (columns.{field}), but the table has only: {columns}")]
    MissingColumn {
        /// The field that is mapped.
        field: String,
        /// Its column.
        column: String,
        /// Those that are there.
        columns: String,
    },
    /// A column that the mapping names is there twice.
    #[error("the column \"{column}\" (columns.{field}) is there twice. Rename one of them")]
    RepeatedColumn {
        /// The field that is mapped.
        field: String,
        /// Its column.
        column: String,
    },
}

/// A table with a header, and what its columns mean.
pub(crate) struct Table {
    mapping: Mapping,
    columns: usize,
    /// The places of the mapped columns.
    places: Vec<(usize, Field)>,
}

impl Table {
    pub(crate) fn new(header: &[u8], mapping: Mapping) -> Result<Self, HeaderError> {
        let unreadable = |problem: &dyn fmt::Display| HeaderError::Unreadable { problem: problem.to_string() };
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        let header = std::str::from_utf8(header).map_err(|_| unreadable(&"it is not UTF-8"))?;
        let mut columns = Vec::new();
        split(header, mapping.delimiter(), &mut columns).map_err(|fault| unreadable(&fault.message))?;
        if !mapping.columns().any(|(_, column)| columns.iter().any(|name| name.trim() == column)) {
            return Err(HeaderError::NoHeader { columns: columns.len() });
        }
        let mut places = Vec::new();
        for (field, column) in mapping.columns() {
            let named = || columns.iter().enumerate().filter(|(_, name)| name.trim() == column);
            let (field_name, column) = (field.to_string(), column.to_owned());
            match (named().next(), named().count()) {
                (Some((place, _)), 1) => places.push((place, field.clone())),
                (Some(_), _) => return Err(HeaderError::RepeatedColumn { field: field_name, column }),
                (None, _) => {
                    let columns = columns.join(", ");
                    return Err(HeaderError::MissingColumn { field: field_name, column, columns });
                }
            }
        }
        let columns = columns.len();
        Ok(Self { mapping, columns, places })
    }

    /// How many columns it has.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// The id of a row in a table without an id column: the same row on the same line is the same event, however the
    /// file is compressed. Empty where there is an id column.
    pub(crate) fn derived_id(&self, line: u64, row: &[u8]) -> String {
        if self.mapping.has_id() {
            return String::new();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&line.to_le_bytes());
        hasher.update(row);
        let mut half = [0; 16];
        hasher.finalize_xof().fill(&mut half);
        half.iter().fold(String::with_capacity(32), |mut hex, byte| {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            hex.push(digit(byte >> 4));
            hex.push(digit(byte & 15));
            hex
        })
    }

    /// The event of a row. `values` is scratch space that the event borrows.
    pub(crate) fn event<'a>(
        &'a self,
        row: &'a [u8],
        id: &'a str,
        values: &'a mut Vec<Cow<'a, str>>,
    ) -> Result<InteractionEvent<'a>, Fault> {
        let row = std::str::from_utf8(row).map_err(|_| Fault::new("", code::INVALID_UTF8, "The row must be UTF-8."))?;
        split(row, self.mapping.delimiter(), values)?;
        if values.len() != self.columns {
            let lines = row.matches('\n').count() + 1;
            let over = if lines > 1 { format!(" and spans {lines} lines") } else { String::new() };
            let message = format!("The row has {} fields{over}; the header has {}.", values.len(), self.columns);
            return Err(Fault::new("", code::INVALID_ROW, message));
        }
        let values: &'a [Cow<'a, str>] = values;
        let mut row = Row::new(&self.mapping, id);
        for (field, value) in self.mapping.constants() {
            row.set(field, value)?;
        }
        for (place, field) in &self.places {
            let value = values.get(*place).map(|value| value.trim()).unwrap_or_default();
            if !value.is_empty() {
                row.set(field, value)?;
            }
        }
        row.finish()
    }
}

/// A row while it becomes an event.
struct Row<'a> {
    mapping: &'a Mapping,
    event: InteractionEvent<'a>,
    time: Option<&'a str>,
    value: Option<&'a str>,
    price: Option<&'a str>,
    currency: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(mapping: &'a Mapping, id: &'a str) -> Self {
        let event = InteractionEvent {
            source: Str::from("csv"),
            id: Str::from(id),
            time: lead_domain::Time::default(),
            sent_at: None,
            data: InteractionData::default(),
        };
        Self { mapping, event, time: None, value: None, price: None, currency: None }
    }

    /// Sets one field; `value` is trimmed and not empty.
    fn set(&mut self, field: &'a Field, value: &'a str) -> Result<(), Fault> {
        let text = Str::from(value);
        let data = &mut self.event.data;
        match field {
            Field::Id => self.event.id = text,
            Field::Source => self.event.source = text,
            Field::Time => self.time = Some(value),
            Field::Tenant => data.tenant = Some(text),
            Field::VisitorId => data.visitor_id = Some(text),
            Field::CustomerId => data.customer_id = Some(text),
            Field::Email => data.email = Some(text),
            Field::Phone => data.phone = Some(text),
            Field::Channel => data.channel = Str::from(self.mapping.channel(value)),
            Field::Skill => data.skill = self.mapping.skill(value).map(Str::from),
            Field::Action => data.action = Str::from(self.mapping.action(value)),
            Field::Name => contact(data).name = Some(text),
            Field::Locale => contact(data).locale = Some(text),
            Field::Country => contact(data).country = Some(text),
            Field::CampaignName => campaign(data).name = Some(text),
            Field::CampaignSource => campaign(data).source = Some(text),
            Field::CampaignMedium => campaign(data).medium = Some(text),
            Field::CampaignTerm => campaign(data).term = Some(text),
            Field::CampaignContent => campaign(data).content = Some(text),
            Field::ProductId => product(data).id = Some(text),
            Field::ProductName => product(data).name = Some(text),
            Field::ProductCategory => product(data).category = Some(text),
            Field::ProductPrice => self.price = Some(value),
            Field::DeviceType => device(data).kind = Some(text),
            Field::Browser => device(data).browser = Some(text),
            Field::Os => device(data).os = Some(text),
            Field::UserAgent => device(data).user_agent = Some(text),
            Field::Value => self.value = Some(value),
            Field::Currency => self.currency = Some(value),
            Field::Rgus => conversion(data).rgus = Some(units(value)?),
            Field::OrderId => conversion(data).order_id = Some(text),
            Field::PageUrl => page(data).url = Some(text),
            Field::Referrer => page(data).referrer = Some(text),
            Field::Attribute(name) => set_attribute(&mut data.attributes, name, text),
        }
        Ok(())
    }

    /// Reads what depends on several columns: the time's format and the currency of amounts.
    fn finish(mut self) -> Result<InteractionEvent<'a>, Fault> {
        let missing = |path| Fault::new(path, code::MISSING_FIELD, "The field is missing or empty.");
        if self.event.id.trimmed().is_none() {
            return Err(missing("id"));
        }
        self.event.time = self.mapping.time(self.time.ok_or_else(|| missing("time"))?)?;
        let amount = |text: &str, path| {
            let amount = self.mapping.amount(text, self.currency, path)?;
            Ok(Amount { amount, currency: self.currency.map(Str::from) })
        };
        if let Some(value) = self.value {
            conversion(&mut self.event.data).value = Some(amount(value, "data.conversion.value.amount")?);
        }
        if let Some(price) = self.price {
            product(&mut self.event.data).price = Some(amount(price, "data.product.price.amount")?);
        }
        Ok(self.event)
    }
}

fn contact<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Contact<'a> {
    data.contact.get_or_insert_default()
}

fn campaign<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Campaign<'a> {
    data.campaign.get_or_insert_default()
}

fn product<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Product<'a> {
    data.product.get_or_insert_default()
}

fn device<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Device<'a> {
    data.device.get_or_insert_default()
}

fn conversion<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Conversion<'a> {
    data.conversion.get_or_insert_default()
}

fn page<'d, 'a>(data: &'d mut InteractionData<'a>) -> &'d mut Page<'a> {
    data.page.get_or_insert_default()
}

/// A column wins over a constant of the same name.
fn set_attribute<'a>(attributes: &mut Attributes<'a>, name: &'a str, value: Str<'a>) {
    attributes.0.retain(|(known, _)| known.as_str() != name);
    attributes.0.push((Str::from(name), Scalar::Text(value)));
}

fn units(value: &str) -> Result<u32, Fault> {
    let message = "The field must be a whole number from 0 to 4294967295.";
    value.parse().map_err(|_| Fault::new("data.conversion.rgus", code::WRONG_TYPE, message))
}

/// Splits a row into its fields, borrowed wherever no doubled quotes stand in them.
fn split<'a>(row: &'a str, delimiter: u8, fields: &mut Vec<Cow<'a, str>>) -> Result<(), Fault> {
    fields.clear();
    let mut rest = Some(row);
    while let Some(text) = rest {
        let (field, after) = match text.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, delimiter)?,
            None => match text.split_once(char::from(delimiter)) {
                Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                None => (Cow::Borrowed(text), None),
            },
        };
        fields.push(field);
        rest = after;
    }
    Ok(())
}

/// The field behind an opening quote, and what follows its delimiter; `None` at the end of the row.
fn quoted_field(text: &str, delimiter: u8) -> Result<(Cow<'_, str>, Option<&str>), Fault> {
    let broken = |message| Fault::new("", code::INVALID_ROW, message);
    let mut from = 0;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let quote = from + rest.find('"').ok_or_else(|| broken("A quote of the row is not closed."))?;
        let (field, after) = (text.get(..quote).unwrap_or_default(), text.get(quote + 1..).unwrap_or_default());
        match after.as_bytes().first() {
            Some(b'"') => from = quote + 2,
            None => return Ok((unquoted(field), None)),
            Some(byte) if *byte == delimiter => return Ok((unquoted(field), after.get(1..))),
            Some(_) => return Err(broken("Behind a closing quote of the row the field goes on.")),
        }
    }
}

fn unquoted(field: &str) -> Cow<'_, str> {
    if field.contains('"') { Cow::Owned(field.replace("\"\"", "\"")) } else { Cow::Borrowed(field) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(row: &str) -> Result<Vec<String>, Fault> {
        let mut fields = Vec::new();
        split(row, b',', &mut fields)?;
        Ok(fields.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn a_row_is_split_as_rfc_4180_says() {
        let good = [
            ("a,b", vec!["a", "b"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"a\"\"b\",\"\"", vec!["a\"b", ""]),
            ("5\" tv,x", vec!["5\" tv", "x"]),
            ("\"a\nb\"", vec!["a\nb"]),
        ];
        for (row, expected) in good {
            assert_eq!(fields(row).unwrap(), expected, "{row}");
        }
        for row in ["\"a", "\"a\"b,c", "\"a\" ,b"] {
            assert_eq!(fields(row).unwrap_err().code, code::INVALID_ROW, "{row}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        /// What a library writes is read as it was meant, and what is read here a library reads alike.
        #[test]
        fn splitting_agrees_with_the_csv_crate(row in proptest::collection::vec("[a,\"\n é]{0,5}", 2..5), raw in "[a,\" é]{1,20}") {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&row).unwrap();
            let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            assert_eq!(fields(written.trim_end_matches('\n')).unwrap(), row);
            if let Ok(found) = fields(&raw) {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(raw.as_bytes());
                let record = reader.records().next().unwrap().unwrap();
                assert_eq!(found, record.iter().map(str::to_owned).collect::<Vec<_>>());
            }
        }
    }
}
