//! Kinds of columns, and how a table is made of them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, ArrowPrimitiveType, BooleanBuilder, DictionaryArray, Int32Builder, Int64Builder,
    MapBuilder, MapFieldNames, PrimitiveBuilder, StringBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use foldhash::fast::RandomState;
use lead_domain::{InteractionId, LeadId, Name, VisitorId};

/// A column that is being filled.
pub(crate) trait Column {
    /// Its type in Arrow.
    fn data_type() -> DataType;
    /// Ends the column and begins an empty one.
    fn finish(&mut self) -> ArrayRef;
}

/// A builder whose nulls are written late, many at once: most columns of a row are empty, and counting is cheaper.
#[derive(Debug, Default)]
struct Sparse<B> {
    builder: B,
    /// Nulls that are not written yet.
    owed: usize,
}

/// A kind of builder.
trait Builder: Sized {
    fn append_nulls(&mut self, count: usize);
    /// Ends the array; the next one, which begins, has room for as much.
    fn end(&mut self) -> ArrayRef;
}

impl<T: ArrowPrimitiveType> Builder for PrimitiveBuilder<T> {
    fn append_nulls(&mut self, count: usize) {
        Self::append_nulls(self, count);
    }

    fn end(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

impl Builder for BooleanBuilder {
    fn append_nulls(&mut self, count: usize) {
        Self::append_nulls(self, count);
    }

    fn end(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

impl Builder for StringBuilder {
    fn append_nulls(&mut self, count: usize) {
        Self::append_nulls(self, count);
    }

    fn end(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len(), self.values_slice().len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

impl<B: Builder> Sparse<B> {
    fn push<V>(&mut self, value: Option<V>, append: impl FnOnce(&mut B, V)) {
        match value {
            Some(value) => append(self.settled(), value),
            None => self.owed += 1,
        }
    }

    /// The builder with all nulls.
    fn settled(&mut self) -> &mut B {
        if self.owed > 0 {
            self.builder.append_nulls(std::mem::take(&mut self.owed));
        }
        &mut self.builder
    }
}

/// Whole numbers that count or place something.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Sparse<UInt64Builder>);

/// Whole numbers that may be negative: minor units of money, units sold.
#[derive(Debug, Default)]
pub(crate) struct Amounts(Sparse<Int64Builder>);

/// Yes or no.
#[derive(Debug, Default)]
pub(crate) struct Flags(Sparse<BooleanBuilder>);

/// Times in UTC.
#[derive(Debug, Default)]
pub(crate) struct Instants(Sparse<TimestampMillisecondBuilder>);

/// Text of which nearly every row has another.
#[derive(Debug, Default)]
pub(crate) struct Texts(Sparse<StringBuilder>);

/// Numbered things by the names that people know: `V42`, `V42-1`, `I1042`.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    names: Sparse<StringBuilder>,
    /// Very often the next one too, and its name.
    last: Option<Id>,
    name: Name,
}

/// Something numbered, named as its `Display` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    prefix: char,
    number: u64,
    ordinal: Option<u32>,
}

impl From<VisitorId> for Id {
    fn from(visitor: VisitorId) -> Self {
        Self { prefix: 'V', number: visitor.0, ordinal: None }
    }
}

impl From<LeadId> for Id {
    fn from(lead: LeadId) -> Self {
        Self { prefix: 'V', number: lead.visitor.0, ordinal: Some(lead.ordinal) }
    }
}

impl From<InteractionId> for Id {
    fn from(interaction: InteractionId) -> Self {
        Self { prefix: 'I', number: interaction.0, ordinal: None }
    }
}

/// Text that repeats: stored once, and read as categories by pandas and Polars.
#[derive(Debug, Default)]
pub(crate) struct Words {
    keys: Sparse<Int32Builder>,
    words: StringBuilder,
    /// Seeded anew by every process: words come from outside.
    known: HashMap<Name, i32, RandomState>,
    /// Very often the next word too.
    last: Option<(Name, i32)>,
}

/// Free attributes: name to value, as text.
#[derive(Debug)]
pub(crate) struct Attributes(MapBuilder<StringBuilder, StringBuilder>);

impl Default for Attributes {
    fn default() -> Self {
        Self::with_capacity(StringBuilder::new(), StringBuilder::new(), 0)
    }
}

impl Numbers {
    pub(crate) fn push(&mut self, number: impl Into<Option<u64>>) {
        self.0.push(number.into(), UInt64Builder::append_value);
    }
}

impl Amounts {
    pub(crate) fn push(&mut self, amount: impl Into<Option<i64>>) {
        self.0.push(amount.into(), Int64Builder::append_value);
    }
}

impl Flags {
    pub(crate) fn push(&mut self, flag: impl Into<Option<bool>>) {
        self.0.push(flag.into(), BooleanBuilder::append_value);
    }
}

impl Instants {
    pub(crate) fn push(&mut self, millis: impl Into<Option<i64>>) {
        self.0.push(millis.into(), TimestampMillisecondBuilder::append_value);
    }
}

impl Texts {
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.0.push(text, |builder, text| builder.append_value(text));
    }
}

impl Ids {
    pub(crate) fn push(&mut self, id: Option<impl Into<Id>>) {
        let id = id.map(Into::into);
        let (last, name) = (&mut self.last, &mut self.name);
        self.names.push(id, |names, id| {
            if *last != Some(id) {
                *last = Some(id);
                name.clear();
                name.push(id.prefix);
                name.push_str(itoa::Buffer::new().format(id.number));
                if let Some(ordinal) = id.ordinal {
                    name.push('-');
                    name.push_str(itoa::Buffer::new().format(ordinal));
                }
            }
            names.append_value(name.as_str());
        });
    }
}

impl Words {
    pub(crate) fn push(&mut self, word: Option<&str>) {
        let Some(word) = word else {
            self.keys.owed += 1;
            return;
        };
        let key = match &self.last {
            Some((last, key)) if last == word => *key,
            Some(_) | None => self.key(word),
        };
        self.keys.settled().append_value(key);
    }

    fn key(&mut self, word: &str) -> i32 {
        let key = self.known.get(word).copied().unwrap_or_else(|| self.add(word));
        self.last = Some((word.into(), key));
        key
    }

    fn add(&mut self, word: &str) -> i32 {
        // A batch has fewer rows than would be needed.
        let key = i32::try_from(self.known.len()).unwrap_or(i32::MAX);
        self.known.insert(word.into(), key);
        self.words.append_value(word);
        key
    }
}

impl Attributes {
    fn with_capacity(names: StringBuilder, values: StringBuilder, rows: usize) -> Self {
        let of = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
        Self(MapBuilder::with_capacity(Some(of), names, values, rows))
    }

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
                self.0.settled().end()
            }
        }
    };
}

column!(Numbers, DataType::UInt64);
column!(Amounts, DataType::Int64);
column!(Flags, DataType::Boolean);
column!(Texts, DataType::Utf8);

impl Column for Ids {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn finish(&mut self) -> ArrayRef {
        self.names.settled().end()
    }
}

impl Column for Instants {
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
    }

    fn finish(&mut self) -> ArrayRef {
        let next = TimestampMillisecondBuilder::with_capacity(self.0.settled().len());
        Arc::new(std::mem::replace(&mut self.0.builder, next).finish().with_timezone("UTC"))
    }
}

impl Column for Words {
    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Int32Builder::with_capacity(self.keys.settled().len());
        let (keys, words) = (std::mem::replace(&mut self.keys.builder, next).finish(), self.words.finish());
        self.known.clear();
        self.last = None;
        // Every key was given with its word.
        Arc::new(DictionaryArray::new(keys, Arc::new(words)))
    }
}

impl Column for Attributes {
    fn data_type() -> DataType {
        map_type()
    }

    fn finish(&mut self) -> ArrayRef {
        let next = |texts: &StringBuilder| StringBuilder::with_capacity(texts.len(), texts.values_slice().len());
        let (rows, (names, values)) = (self.0.len(), self.0.entries());
        let next = Self::with_capacity(next(names), next(values), rows);
        Arc::new(std::mem::replace(self, next).0.finish())
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray, StringArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn ids_are_written_as_people_know_them() {
        let mut ids = Ids::default();
        let lead = LeadId { visitor: VisitorId(u64::MAX >> 20), ordinal: u32::MAX };
        ids.push(Some(VisitorId(42)));
        ids.push(None::<VisitorId>);
        ids.push(Some(lead));
        ids.push(Some(InteractionId(u64::MAX)));
        ids.push(None::<LeadId>);
        let written = ids.finish();
        let written: Vec<Option<&str>> = written.as_string::<i32>().iter().collect();
        let (visitor, lead, interaction) =
            (VisitorId(42).to_string(), lead.to_string(), InteractionId(u64::MAX).to_string());
        assert_eq!(written, [Some(visitor.as_str()), None, Some(&lead), Some(&interaction), None]);
    }

    #[test]
    fn each_word_is_stored_once_and_a_batch_begins_without_those_before() {
        let mut words = Words::default();
        let rows = [None, Some("web"), Some("web"), Some(""), None, Some("chat"), Some("web"), None];
        for _ in 0..2 {
            rows.iter().for_each(|word| words.push(*word));
            let written = words.finish();
            let written = written.as_dictionary::<Int32Type>();
            assert_eq!(written.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["web", "", "chat"]);
            assert_eq!(written.downcast_dict::<StringArray>().unwrap().into_iter().collect::<Vec<_>>(), rows);
        }
        rows.iter().for_each(|_| words.push(None));
        assert_eq!(words.finish().null_count(), rows.len());
    }
}
