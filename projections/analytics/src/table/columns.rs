//! Kinds of columns, and how a table is made of them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder,
    StringDictionaryBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int32Type, TimeUnit};

/// A column that is being filled.
pub(crate) trait Column {
    /// Its type in Arrow.
    fn data_type() -> DataType;
    /// Ends the column and begins an empty one.
    fn finish(&mut self) -> ArrayRef;
}

/// Whole numbers that count or place something.
#[derive(Debug, Default)]
pub(crate) struct Numbers(UInt64Builder);

/// Whole numbers that may be negative: minor units of money, units sold.
#[derive(Debug, Default)]
pub(crate) struct Amounts(Int64Builder);

/// Yes or no.
#[derive(Debug, Default)]
pub(crate) struct Flags(BooleanBuilder);

/// Times in UTC.
#[derive(Debug, Default)]
pub(crate) struct Instants(TimestampMillisecondBuilder);

/// Text of which nearly every row has another.
#[derive(Debug, Default)]
pub(crate) struct Texts(StringBuilder);

/// Text that repeats: stored once, and read as categories by pandas and Polars.
#[derive(Default)]
pub(crate) struct Words(StringDictionaryBuilder<Int32Type>);

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("rows", &self.0.len()).finish_non_exhaustive()
    }
}

/// Free attributes: name to value, as text.
#[derive(Debug)]
pub(crate) struct Attributes(MapBuilder<StringBuilder, StringBuilder>);

impl Default for Attributes {
    fn default() -> Self {
        let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
        Self(MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()))
    }
}

impl Numbers {
    pub(crate) fn push(&mut self, number: impl Into<Option<u64>>) {
        self.0.append_option(number.into());
    }
}

impl Amounts {
    pub(crate) fn push(&mut self, amount: impl Into<Option<i64>>) {
        self.0.append_option(amount.into());
    }
}

impl Flags {
    pub(crate) fn push(&mut self, flag: impl Into<Option<bool>>) {
        self.0.append_option(flag.into());
    }
}

impl Instants {
    pub(crate) fn push(&mut self, millis: impl Into<Option<i64>>) {
        self.0.append_option(millis.into());
    }
}

impl Texts {
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.0.append_option(text);
    }

    /// Writes without an allocation of its own.
    pub(crate) fn push_shown(&mut self, shown: Option<&dyn std::fmt::Display>) {
        match shown {
            Some(shown) => {
                // Writing to memory can't fail.
                let _ = std::fmt::Write::write_fmt(&mut self.0, format_args!("{shown}"));
                self.0.append_value("");
            }
            None => self.0.append_null(),
        }
    }
}

impl Words {
    pub(crate) fn push(&mut self, word: Option<&str>) {
        self.0.append_option(word);
    }
}

impl Attributes {
    pub(crate) fn push<'a>(&mut self, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, value) in attributes {
            self.0.keys().append_value(name);
            self.0.values().append_value(value);
        }
        // Names and values are written in pairs.
        let _ = self.0.append(true);
    }
}

macro_rules! column {
    ($kind:ty, $data_type:expr) => {
        impl Column for $kind {
            fn data_type() -> DataType {
                $data_type
            }

            fn finish(&mut self) -> ArrayRef {
                Arc::new(self.0.finish())
            }
        }
    };
}

column!(Numbers, DataType::UInt64);
column!(Amounts, DataType::Int64);
column!(Flags, DataType::Boolean);
column!(Texts, DataType::Utf8);
column!(Words, DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)));
column!(Attributes, map_type());

impl Column for Instants {
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish().with_timezone("UTC"))
    }
}

fn map_type() -> DataType {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
}

/// The columns of a table, filled row by row.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $kind:ty = $meaning:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(#[doc = $meaning] pub(crate) $column: $kind),+
        }

        impl $name {
            /// Names, types and meanings.
            pub(crate) fn schema() -> datafusion::arrow::datatypes::SchemaRef {
                use crate::table::columns::Column as _;
                static SCHEMA: std::sync::LazyLock<datafusion::arrow::datatypes::SchemaRef> =
                    std::sync::LazyLock::new(|| {
                        let fields: Vec<datafusion::arrow::datatypes::Field> = vec![$(
                            datafusion::arrow::datatypes::Field::new(stringify!($column), <$kind>::data_type(), true)
                                .with_metadata([("description".to_owned(), $meaning.to_owned())].into())
                        ),+];
                        std::sync::Arc::new(datafusion::arrow::datatypes::Schema::new(fields))
                    });
                std::sync::Arc::clone(&SCHEMA)
            }

            /// Ends the batch and begins an empty one.
            pub(crate) fn finish(
                &mut self,
            ) -> Result<datafusion::arrow::array::RecordBatch, datafusion::arrow::error::ArrowError> {
                use crate::table::columns::Column as _;
                datafusion::arrow::array::RecordBatch::try_new(Self::schema(), vec![$(self.$column.finish()),+])
            }
        }
    };
}
pub(crate) use table;
