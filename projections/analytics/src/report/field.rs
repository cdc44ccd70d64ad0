//! What can be measured, grouped by and filtered: fields of the sources, and their form in SQL.

use datafusion::arrow::datatypes::DataType;

use crate::table::Table;

/// What the rows are that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Leads,
    Interactions,
    Events,
    /// A row for each interaction and rule that gave points for it.
    Score,
    /// A row for each lead that was sold something and each touch that has a part in it.
    Attribution,
}

/// What kind of thing a field holds, and with that what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    /// Minor units of the currency that stands in another field.
    Money,
    /// Seconds.
    Duration,
    Time,
    Flag,
    /// A free attribute: a text, which may be a number.
    Attribute,
}

/// A field as SQL has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) sql: String,
    /// Of money.
    pub(crate) currency: Option<String>,
    /// Whether the row's lead must be looked up for it.
    pub(crate) of_lead: bool,
    pub(crate) stored: Stored,
}

/// How texts are stored, and with that how they are best told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Once each, in a dictionary.
    Words,
    /// Ids of visitors, beside their numbers.
    Visitors,
    /// Ids of leads, beside their numbers.
    Leads,
    Otherwise,
}

/// The alias of the rows that are counted, and of their leads.
pub(crate) const ROW: &str = "s";
pub(crate) const LEAD: &str = "l";
/// In front of a field of the row's lead.
const OF_LEAD: &str = "lead.";
/// In front of a free attribute's name, as in the listing.
const ATTRIBUTE: &str = "attr.";
/// A longer name is none that an event can give.
const ATTRIBUTE_NAME_MAX: usize = 256;

/// Which field has the currency of an amount.
const CURRENCIES: [(&str, &str); 6] = [
    ("sale_value", "sale_currency"),
    ("credited_value", "sale_currency"),
    ("last_product_price", "last_product_currency"),
    ("product_price", "product_currency"),
    ("conversion_value", "currency"),
    ("amount", "currency"),
];

/// Fields of leads that are worked out.
const OF_LEADS: [(&str, Kind); 5] = [
    ("is_converted", Kind::Flag),
    ("time_to_convert", Kind::Duration),
    ("time_to_close", Kind::Duration),
    ("age", Kind::Duration),
    ("idle", Kind::Duration),
];

/// Fields of events that are worked out.
const OF_EVENTS: [(&str, Kind); 1] = [("stayed", Kind::Duration)];

const TOUCHED_AT: &str = "touched_at";

/// Fields of a touch.
const OF_TOUCHES: [(&str, Kind); 4] =
    [("touch", Kind::Text), (TOUCHED_AT, Kind::Time), ("credit", Kind::Number), ("credited_value", Kind::Money)];

impl Source {
    pub(crate) const ALL: [Self; 5] = [Self::Leads, Self::Interactions, Self::Events, Self::Score, Self::Attribution];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Interactions => "interactions",
            Self::Events => "events",
            Self::Score => "score",
            Self::Attribution => "attribution",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    pub(crate) const fn table(self) -> Table {
        match self {
            Self::Leads | Self::Attribution => Table::Leads,
            Self::Interactions => Table::Interactions,
            Self::Events => Table::LeadEvents,
            Self::Score => Table::ScoreRows,
        }
    }

    /// Whether a row is a lead itself.
    const fn is_of_leads(self) -> bool {
        match self {
            Self::Leads | Self::Attribution => true,
            Self::Interactions | Self::Events | Self::Score => false,
        }
    }

    /// The dates that a period may be of, the usual one first, and their fields.
    pub(crate) const fn origins(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Leads => &[
                ("opened", "opened_at"),
                ("closed", "closed_at"),
                ("interaction", "last_interaction_at"),
                ("converted", "converted_at"),
            ],
            Self::Attribution => &[
                ("converted", "converted_at"),
                ("opened", "opened_at"),
                ("closed", "closed_at"),
                ("interaction", "touched_at"),
            ],
            Self::Interactions | Self::Score => &[
                ("interaction", "at"),
                ("opened", "lead.opened_at"),
                ("closed", "lead.closed_at"),
                ("converted", "lead.converted_at"),
            ],
            Self::Events => &[
                ("event", "at"),
                ("opened", "lead.opened_at"),
                ("closed", "lead.closed_at"),
                ("converted", "lead.converted_at"),
            ],
        }
    }

    /// The names of all fields, free attributes aside.
    pub(crate) fn field_names(self) -> Vec<String> {
        let mut names = own_names(self);
        if !self.is_of_leads() {
            names.extend(own_names(Self::Leads).into_iter().map(|name| format!("{OF_LEAD}{name}")));
        }
        names
    }

    /// Where a field of time stands: the table, and its column there.
    pub(crate) fn column_of(self, field: &Field) -> (Table, &str) {
        match field.name.strip_prefix(OF_LEAD) {
            Some(column) => (Table::Leads, column),
            None if self == Self::Attribution && field.name == TOUCHED_AT => (Table::Interactions, "at"),
            None => (self.table(), &field.name),
        }
    }

    /// The field of that name. Ages count up to `now`, in milliseconds since the epoch.
    pub(crate) fn field(self, name: &str, now: i64) -> Option<Field> {
        match name.strip_prefix(OF_LEAD) {
            Some(of_lead) if !self.is_of_leads() => {
                let field = column(Self::Leads, of_lead, LEAD, now)?;
                Some(Field { name: name.to_owned(), of_lead: true, ..field })
            }
            Some(_) | None => column(self, name, ROW, now),
        }
    }
}

fn own_names(source: Source) -> Vec<String> {
    let schema = source.table().schema();
    let columns = schema.fields().iter().filter(|field| kind_of(field.name(), field.data_type()).is_some());
    let mut names: Vec<String> = columns.map(|field| field.name().clone()).collect();
    if source.is_of_leads() {
        names.extend(OF_LEADS.iter().map(|(name, _)| (*name).to_owned()));
    }
    if source == Source::Events {
        names.extend(OF_EVENTS.iter().map(|(name, _)| (*name).to_owned()));
    }
    if source == Source::Attribution {
        names.extend(OF_TOUCHES.iter().map(|(name, _)| (*name).to_owned()));
    }
    names
}

fn column(source: Source, name: &str, alias: &str, now: i64) -> Option<Field> {
    let of_kind = |kind, sql| {
        let stored = Stored::Otherwise;
        Field { name: name.to_owned(), kind, sql, currency: None, of_lead: false, stored }
    };
    if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
        let has_some = source.table().schema().field_with_name("attributes").is_ok();
        let fits = has_some && !attribute.is_empty() && attribute.len() <= ATTRIBUTE_NAME_MAX;
        return fits.then(|| of_kind(Kind::Attribute, format!("{alias}.attributes[{}]", text(attribute))));
    }
    if source == Source::Attribution
        && let Some((_, kind)) = OF_TOUCHES.iter().find(|(touch, _)| *touch == name)
    {
        return Some(with_currency(of_kind(*kind, quoted(alias, name)), alias));
    }
    if source == Source::Events
        && let Some((_, kind)) = OF_EVENTS.iter().find(|(of_event, _)| *of_event == name)
    {
        return Some(of_kind(*kind, worked_out(name, alias, now)?));
    }
    if source.is_of_leads()
        && let Some((_, kind)) = OF_LEADS.iter().find(|(of_lead, _)| *of_lead == name)
    {
        return Some(of_kind(*kind, worked_out(name, alias, now)?));
    }
    let schema = source.table().schema();
    let data_type = schema.field_with_name(name).ok()?.data_type();
    let field = with_currency(of_kind(kind_of(name, data_type)?, quoted(alias, name)), alias);
    Some(Field { stored: stored_as(name, data_type), ..field })
}

fn with_currency(field: Field, alias: &str) -> Field {
    let currency = CURRENCIES.iter().find(|(amount, _)| *amount == field.name).map(|(_, code)| quoted(alias, code));
    Field { currency: currency.filter(|_| field.kind == Kind::Money), ..field }
}

fn kind_of(name: &str, data_type: &DataType) -> Option<Kind> {
    if name.starts_with('_') || name == "tenant" {
        return None;
    }
    if data_type.is_integer() {
        return Some(if CURRENCIES.iter().any(|(amount, _)| *amount == name) { Kind::Money } else { Kind::Number });
    }
    if data_type.is_temporal() {
        return Some(Kind::Time);
    }
    if *data_type == DataType::Boolean {
        return Some(Kind::Flag);
    }
    // What is left are texts, and the free attributes, which are named one by one.
    (!data_type.is_nested()).then_some(Kind::Text)
}

fn stored_as(name: &str, data_type: &DataType) -> Stored {
    match name {
        "visitor_id" => Stored::Visitors,
        "lead_id" => Stored::Leads,
        _ if matches!(data_type, DataType::Dictionary(..)) => Stored::Words,
        _ => Stored::Otherwise,
    }
}

fn worked_out(name: &str, alias: &str, now: i64) -> Option<String> {
    let at = |column: &str| millis(&quoted(alias, column));
    let between = |from: &str, to: String| format!("(({to} - {}) / 1000.0)", at(from));
    let open = |from: &str| {
        let status = quoted(alias, "status");
        format!("(case when {status} = 'open' then {} end)", between(from, now.to_string()))
    };
    match name {
        "is_converted" => Some(format!("({} > 0)", quoted(alias, "conversions"))),
        "time_to_convert" => Some(between("opened_at", at("converted_at"))),
        "time_to_close" => Some(between("opened_at", at("closed_at"))),
        "age" => Some(open("opened_at")),
        "stayed" => Some(format!("({} / 1000.0)", quoted(alias, "stayed_ms"))),
        "idle" => Some(open("last_interaction_at")),
        _ => None,
    }
}

/// An instant as milliseconds since the epoch.
pub(crate) fn millis(sql: &str) -> String {
    format!("arrow_cast({sql}, 'Int64')")
}

/// Milliseconds since the epoch as an instant that can be compared with a column.
pub(crate) fn instant(millis: i64) -> String {
    format!("arrow_cast({millis}, 'Timestamp(Millisecond, Some(\"UTC\"))')")
}

/// A column. Names of columns are ours and have no quotes in them.
fn quoted(alias: &str, column: &str) -> String {
    format!("{alias}.\"{column}\"")
}

/// A text of the caller's.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Field {
    /// The field as a number, null where it is none; `None` where it never is.
    pub(crate) fn number(&self) -> Option<String> {
        match self.kind {
            Kind::Number | Kind::Money | Kind::Duration => Some(format!("cast({} as double)", self.sql)),
            Kind::Attribute => Some(format!("try_cast({} as double)", self.sql)),
            Kind::Text | Kind::Time | Kind::Flag => None,
        }
    }

    /// Whether its numbers are whole, so that their sum is exact.
    pub(crate) fn is_whole(&self) -> bool {
        match self.kind {
            Kind::Number => self.name != "credit",
            Kind::Money => self.name != "credited_value",
            Kind::Duration | Kind::Attribute | Kind::Text | Kind::Time | Kind::Flag => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Source};

    #[test]
    fn every_named_field_is_there_and_hidden_ones_are_not() {
        for source in Source::ALL {
            for name in source.field_names() {
                assert!(source.field(&name, 0).is_some(), "{source:?} {name}");
            }
            for (_, field) in source.origins() {
                assert_eq!(source.field(field, 0).unwrap().kind, Kind::Time, "{source:?} {field}");
            }
            for name in ["_state", "tenant", "attributes", "nothing", "", "attr."] {
                assert!(source.field(name, 0).is_none(), "{source:?} {name}");
            }
        }
    }

    #[test]
    fn a_name_of_an_attribute_is_a_text_in_sql() {
        let field = Source::Interactions.field("attr.it's']", 0).unwrap();
        assert_eq!((field.kind, field.sql.as_str()), (Kind::Attribute, "s.attributes['it''s'']']"));
        assert!(Source::Interactions.field("lead.attr.plan", 0).unwrap().of_lead);
    }
}
