//! All that is held about one person, in one document: for the person.

use engine::TimelineEntry;
use lead_domain::policy::condition::SEALED_MARK;
use lead_domain::{Event, Time, VisitorId};
use listing::VisitorRow;
use proto_events::lead_event::{LeadEvent, rfc3339};
use proto_events::stored::{Attribute, InputFacts, InteractionFacts, Personal, Value};
use proto_events::text::Text;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;

use crate::shown::{TimelineInput, timeline_row};

/// All that is held about a visitor and everyone who was merged into it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VisitorExport {
    /// Whose it is, after merges.
    visitor_id: String,
    /// The log position that it was true at.
    position: u64,
    /// When, by whom and why the person was erased; what is left then says nothing about who it was.
    erased: Option<ErasedRow>,
    /// Identifiers, contact, leads with their scores, notes and sales, and who may be the same person.
    visitor: Option<VisitorRow>,
    /// Every record, oldest first.
    records: Vec<ExportedRecord>,
    /// Inputs that were not taken, conflicting duplicates too, in which an identifier of the person was found.
    untaken: Vec<ExportedRecord>,
}

/// An erasure.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedRow {
    position: u64,
    #[schema(format = DateTime)]
    at: String,
    operator: Option<String>,
    reason: Option<String>,
}

/// One record with everything in it.
#[derive(Debug, Serialize, ToSchema)]
struct ExportedRecord {
    position: u64,
    #[schema(format = DateTime)]
    occurred_at: String,
    #[schema(format = DateTime)]
    received_at: String,
    #[schema(format = DateTime)]
    recorded_at: String,
    /// The member that it was recorded for; `null` for an input that was not taken.
    visitor_id: Option<String>,
    input: TimelineInput,
    /// What the log holds in clear of an interaction.
    #[schema(value_type = Option<Object>)]
    facts: Option<Json>,
    /// What was sealed; `null` where there was nothing or the person was erased.
    #[schema(value_type = Option<Object>)]
    personal: Option<Json>,
    /// What was decided, in order.
    #[schema(value_type = Vec<Object>)]
    events: Vec<LeadEvent>,
}

/// Puts a person's data together. `timeline` is newest first.
#[must_use]
pub fn visitor_export(
    visitor: Option<VisitorRow>,
    timeline: &[TimelineEntry],
    untaken: &[TimelineEntry],
    id: VisitorId,
) -> VisitorExport {
    VisitorExport {
        visitor_id: id.to_string(),
        position: timeline.first().map_or(0, |entry| entry.header.position.0),
        erased: timeline.iter().find_map(erased),
        visitor,
        records: timeline.iter().rev().map(exported).collect(),
        untaken: untaken.iter().map(exported).collect(),
    }
}

fn erased(entry: &TimelineEntry) -> Option<ErasedRow> {
    let is_erasure = |event: &Event| matches!(event, Event::VisitorErased { .. });
    entry.facts.events.iter().any(is_erasure).then(|| {
        let asked = if let InputFacts::Erasure(erasure) = &entry.facts.input { Some(erasure) } else { None };
        ErasedRow {
            position: entry.header.position.0,
            at: rfc3339(Time::from_millis(entry.header.occurred_at)),
            operator: asked.map(|erasure| erasure.operator.as_str().to_owned()),
            reason: asked.map(|erasure| erasure.reason.as_str().to_owned()),
        }
    })
}

fn exported(entry: &TimelineEntry) -> ExportedRecord {
    let row = timeline_row(entry);
    let facts = if let InputFacts::Interaction(facts) = &entry.facts.input { Some(facts_of(facts)) } else { None };
    let visitor = entry.header.visitor;
    ExportedRecord {
        position: row.position,
        occurred_at: row.occurred_at,
        received_at: row.received_at,
        recorded_at: row.recorded_at,
        visitor_id: (visitor != 0).then(|| VisitorId(visitor).to_string()),
        input: row.input,
        facts,
        personal: entry.personal.as_ref().map(personal_of),
        events: row.events,
    }
}

/// Fields that are there, in order of name.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl Fields {
    fn text(mut self, name: &str, text: Option<&Text>) -> Self {
        self.0.extend(text.map(|text| (name.to_owned(), text.as_str().into())));
        self
    }

    fn json(mut self, name: &str, value: Option<Json>) -> Self {
        self.0.extend(value.map(|value| (name.to_owned(), value)));
        self
    }

    fn into_json(self) -> Json {
        Json::Object(self.0)
    }
}

fn money(value: Option<&(i64, [u8; 3])>) -> Option<Json> {
    value.map(|(amount, code)| json!({ "amount": amount, "currency": String::from_utf8_lossy(code) }))
}

fn attributes(attributes: &[Attribute]) -> Option<Json> {
    // Answers for a policy's conditions stand there under names that nobody sent.
    let sent = attributes.iter().filter(|attribute| !attribute.name.as_str().starts_with(SEALED_MARK));
    let fields: Map<String, Json> =
        sent.map(|attribute| (attribute.name.as_str().to_owned(), scalar(&attribute.value))).collect();
    (!fields.is_empty()).then_some(Json::Object(fields))
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Decimal(text) | Value::Text(text) => Json::from(text.as_str()),
    }
}

fn facts_of(facts: &InteractionFacts) -> Json {
    let product = facts.product.as_ref().map(|product| {
        let fields = Fields::default().text("id", product.id.as_ref()).text("name", product.name.as_ref());
        fields.text("category", product.category.as_ref()).json("price", money(product.price.as_ref())).into_json()
    });
    let campaign = facts.campaign.as_ref().map(|campaign| {
        let fields = Fields::default().text("name", campaign.name.as_ref()).text("source", campaign.source.as_ref());
        let fields = fields.text("medium", campaign.medium.as_ref()).text("term", campaign.term.as_ref());
        fields.text("content", campaign.content.as_ref()).into_json()
    });
    let device = facts.device.as_ref().map(|device| {
        let fields = Fields::default().text("browser", device.browser.as_ref()).text("type", device.kind.as_ref());
        fields.text("os", device.os.as_ref()).into_json()
    });
    let sale = facts.sale.as_ref().map(|sale| json!({ "value": money(sale.value.as_ref()), "rgus": sale.rgus }));
    let fields = Fields::default().text("country", facts.country.as_ref()).text("locale", facts.locale.as_ref());
    let fields = fields.json("product", product).json("campaign", campaign).json("device", device).json("sale", sale);
    fields.json("attributes", attributes(&facts.attributes)).into_json()
}

fn personal_of(personal: &Personal) -> Json {
    let Personal { source, id, customer_id, email, email_raw, phone, phone_raw, visitor_id, name, order_id, .. } =
        personal;
    let given = |text: &'_ Text| !text.as_str().is_empty();
    let fields = Fields::default().text("source", Some(source).filter(|text| given(text)));
    let fields = fields.text("id", Some(id).filter(|text| given(text)));
    let fields = fields.text("customer_id", customer_id.as_ref()).text("email", email.as_ref());
    let fields = fields.text("email_as_sent", email_raw.as_ref()).text("phone", phone.as_ref());
    let fields = fields.text("phone_as_sent", phone_raw.as_ref()).text("visitor_id", visitor_id.as_ref());
    let fields = fields.text("name", name.as_ref()).text("order_id", order_id.as_ref());
    let fields = fields.text("page_url", personal.page_url.as_ref()).text("referrer", personal.referrer.as_ref());
    let fields = fields.text("user_agent", personal.user_agent.as_ref()).text("note", personal.note.as_ref());
    let bytes = personal.bytes.as_ref().map(|bytes| Json::from(String::from_utf8_lossy(bytes)));
    fields.json("attributes", attributes(&personal.attributes)).json("bytes", bytes).into_json()
}
