//! Rows of the tables: how states are written and read back. One file a table, so that both directions stand together.

pub(crate) mod lead;
pub(crate) mod orphan;
pub(crate) mod visitor;

use lead_domain::{Currency, Money, Name, Time};
use proto_events::stored::{Device, Product};
use proto_events::text::Text;
use rusqlite::Row;
use rusqlite::types::FromSql;

use crate::row::{DeviceRow, ProductRow};

/// A stored row that can't be what was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// SQLite failed, or a column has another type.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A column holds something that is never written.
    #[error("a stored row is damaged")]
    Damaged,
}

fn string(text: Option<&Text>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

fn stored_text(text: Option<String>) -> Option<Text> {
    text.map(|text| Text(Name::from(text)))
}

/// A device as it is shown, which is how it is stored.
pub(crate) fn device_row(device: &Device) -> DeviceRow {
    let Device { browser, kind, os } = device;
    DeviceRow { browser: string(browser.as_ref()), kind: string(kind.as_ref()), os: string(os.as_ref()) }
}

fn device_of(row: DeviceRow) -> Device {
    let DeviceRow { browser, kind, os } = row;
    Device { browser: stored_text(browser), kind: stored_text(kind), os: stored_text(os) }
}

/// A product as it is shown, which is how it is stored.
pub(crate) fn product_row(product: &Product) -> ProductRow {
    let Product { id, name, category, price } = product;
    let price = price.and_then(|(amount, code)| {
        let currency = std::str::from_utf8(&code).ok().and_then(Currency::new)?;
        Some(Money { amount, currency })
    });
    let [id, name, category] = [id, name, category].map(|text| string(text.as_ref()));
    ProductRow { id, name, category, price }
}

fn product_of(row: ProductRow) -> Product {
    let ProductRow { id, name, category, price } = row;
    let price = price.and_then(|money| Some((money.amount, money.currency.code().as_bytes().try_into().ok()?)));
    let [id, name, category] = [id, name, category].map(stored_text);
    Product { id, name, category, price }
}

fn millis(at: Time) -> i64 {
    at.as_millis()
}

pub(crate) fn opened<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, RowError> {
    serde_json::from_str(json).map_err(|_| RowError::Damaged)
}

fn closed<T: serde::Serialize>(value: &T) -> Option<String> {
    // Rows of texts and numbers have no value that JSON can't hold.
    serde_json::to_string(value).ok()
}

/// A row's columns, one after the other: by place, which is quicker than by name.
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    place: usize,
}

impl<'a> Columns<'a> {
    /// From the first one.
    pub(crate) const fn of(row: &'a Row<'a>) -> Self {
        Self { row, place: 0 }
    }

    /// The next column.
    pub(crate) fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let place = self.place;
        self.place += 1;
        self.row.get(place)
    }

    /// The next column, a number that is never negative.
    pub(crate) fn unsigned(&mut self) -> rusqlite::Result<u64> {
        self.next::<i64>().map(i64::cast_unsigned)
    }

    /// The next column, a time.
    pub(crate) fn time(&mut self) -> rusqlite::Result<Time> {
        self.next().map(Time::from_millis)
    }

    /// The next column, a short text.
    pub(crate) fn name(&mut self) -> rusqlite::Result<Option<Name>> {
        Ok(self.next::<Option<String>>()?.map(Name::from))
    }

    /// The next column, a JSON document.
    pub(crate) fn document<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, RowError> {
        self.next::<Option<String>>()?.map(|json| opened(&json)).transpose()
    }
}
