//! The table of leads: a row is the whole lead after a batch that changed it.

use event_log::LogPosition;
use lead_domain::policy::grid::Grade;
use lead_domain::{Currency, Money, Time};
use proto_events::stored::{Device, Product};
use proto_events::text::Text;
use serde::{Deserialize, Serialize};

use crate::lead::{
    Attributes as Shown, Closing, Dated, LeadState, Points, Sales, Sum, TextAttribute, cause_of, lead_key,
    temperature_of,
};
use crate::ledger::{Ledger, Lexicon, StoredLive};
use crate::table::columns::{Amounts, Attributes, Ids, Instants, Numbers, Texts, Words, table};
use crate::table::reading::Reading;

table! {
    /// Lead rows, filled row by row.
    LeadColumns {
        position: Numbers = "The record that changed it last: of several rows of a lead the one behind all counts.",
        tenant: Words = "Whose.",
        lead_id: Ids = "Such as V42-1.",
        visitor_id: Ids = "Who owns it, after merges, such as V42.",
        lead_type: Words = "Its class.",
        lead_group: Words = "The group of its class by the policy in force when the row was written.",
        status: Words = "open or closed.",
        close_cause: Words = "How it ended: conversion, operator, inactivity, merged, erased.",
        close_reason: Words = "The operator's reason.",
        opened_at: Instants = "When it was opened.",
        closed_at: Instants = "When it ended.",
        deadline: Instants = "When it closes unless something happens; for a closed lead, when it would have.",
        first_interaction_at: Instants = "The earliest interaction; the opening where there is none.",
        last_interaction_at: Instants = "The latest interaction; the opening where there is none.",
        interactions: Numbers = "How many interactions it has.",
        skill: Words = "Of the interaction that it was opened for.",
        channel: Words = "Of the interaction that it was opened for.",
        campaign: Words = "utm_campaign of the interaction that it was opened for.",
        campaign_source: Words = "utm_source of that interaction.",
        campaign_medium: Words = "utm_medium of that interaction.",
        sale_value: Amounts = "The sum of the sales that count, in minor units of the first one's currency.",
        sale_currency: Words = "That currency.",
        rgus: Amounts = "Units sold.",
        conversions: Numbers = "How many sales count.",
        converted_at: Instants = "When the latest sale was counted; null where none counts.",
        owner: Words = "The operator's account name.",
        score: Amounts = "All its points, as they stood when the row was written.",
        score_fit: Amounts = "Those that say who they are.",
        score_engagement: Amounts = "Those that say what they do.",
        grade: Words = "What fit and engagement say together, A1 to C3, by the grid of the policy when the score last changed.",
        temperature: Words = "cold, warm or hot.",
        stage: Words = "The stage of the funnel that it has reached.",
        device_type: Words = "Of its latest interaction that tells.",
        device_browser: Words = "Of its latest interaction that tells.",
        device_os: Words = "Of its latest interaction that tells.",
        last_product_id: Words = "Of its latest interaction that is about a product.",
        last_product_name: Words = "Of its latest interaction that is about a product.",
        last_product_category: Words = "Of its latest interaction that is about a product.",
        last_product_price: Amounts = "In minor units.",
        last_product_currency: Words = "The currency of that price.",
        attributes: Attributes = "The latest value of each; personal where somebody gave personal things.",
        version: Numbers = "How many events have named it.",
        _visitor: Numbers = "The number in visitor_id, for Leadfold itself: read faster than the text.",
        _lead: Numbers = "The lead's number, for Leadfold itself: that of its visitor times 2^20, plus its own.",
        _state: Texts = "What the next change of the row needs to know, for Leadfold itself.",
    }
}

/// What a row's other columns don't tell.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hidden {
    /// When the device was seen.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none", default)]
    device_at: Option<i64>,
    /// When the product was seen.
    #[serde(rename = "p", skip_serializing_if = "Option::is_none", default)]
    product_at: Option<i64>,
    /// When each attribute was learnt, in their order.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty", default)]
    attributes_at: Vec<i64>,
    /// Currency, amount and number of sales, in the order in which currencies came.
    #[serde(rename = "s", skip_serializing_if = "Vec::is_empty", default)]
    sums: Vec<(String, i64, u32)>,
    /// The score rows that still have an effect.
    #[serde(rename = "l", skip_serializing_if = "Vec::is_empty", default)]
    ledger: Vec<StoredLive>,
}

fn text(text: &Option<Text>) -> Option<&str> {
    text.as_ref().map(|text| text.0.as_str())
}

impl LeadColumns {
    pub(crate) fn push(&mut self, lead: &LeadState, tenant: &str, group: Option<&str>) {
        let closing = lead.closing.as_ref();
        self.position.push(lead.changed_at.0);
        self.tenant.push(Some(tenant));
        self.lead_id.push(Some(lead.id));
        self.visitor_id.push(Some(lead.visitor));
        self._lead.push(lead_key(lead.id));
        self._visitor.push(lead.visitor.0);
        self.lead_type.push(Some(&lead.lead_type));
        self.lead_group.push(group);
        self.status.push(Some(if closing.is_some() { "closed" } else { "open" }));
        self.close_cause.push(closing.map(|closing| closing.cause.code()));
        self.close_reason.push(closing.and_then(|closing| closing.reason.as_deref()));
        self.opened_at.push(lead.opened_at.as_millis());
        self.closed_at.push(closing.map(|closing| closing.at.as_millis()));
        self.deadline.push(lead.deadline.as_millis());
        self.first_interaction_at.push(lead.first_interaction_at.as_millis());
        self.last_interaction_at.push(lead.last_interaction_at.as_millis());
        self.interactions.push(u64::from(lead.interactions));
        self.skill.push(lead.skill.as_deref());
        self.channel.push(lead.channel.as_deref());
        self.campaign.push(lead.campaign.as_deref());
        self.campaign_source.push(lead.campaign_source.as_deref());
        self.campaign_medium.push(lead.campaign_medium.as_deref());
        let value = lead.sales.value();
        self.sale_value.push(value.map(|value| value.amount));
        self.sale_currency.push(value.as_ref().map(|value| value.currency.code()));
        self.rgus.push(lead.sales.rgus);
        self.conversions.push(u64::from(lead.sales.conversions));
        self.converted_at.push(lead.converted_at.map(Time::as_millis));
        self.owner.push(lead.owner.as_deref());
        self.score.push(i64::from(lead.score.total));
        self.score_fit.push(i64::from(lead.score.fit));
        self.score_engagement.push(i64::from(lead.score.engagement));
        self.grade.push(lead.grade.map(Grade::code));
        self.temperature.push(Some(lead.temperature.code()));
        self.stage.push(lead.stage.as_deref());
        self.push_seen(lead);
        self.version.push(u64::from(lead.version));
        self._state.push(Some(&hidden(lead)));
    }

    fn push_seen(&mut self, lead: &LeadState) {
        let device = lead.device.as_ref().map(|dated| &dated.value);
        self.device_type.push(device.and_then(|it| text(&it.kind)));
        self.device_browser.push(device.and_then(|it| text(&it.browser)));
        self.device_os.push(device.and_then(|it| text(&it.os)));
        let product = lead.last_product.as_ref().map(|dated| &dated.value);
        let price = product.and_then(|it| it.price.as_ref());
        self.last_product_id.push(product.and_then(|it| text(&it.id)));
        self.last_product_name.push(product.and_then(|it| text(&it.name)));
        self.last_product_category.push(product.and_then(|it| text(&it.category)));
        self.last_product_price.push(price.map(|(amount, _)| *amount));
        self.last_product_currency.push(price.and_then(|(_, code)| std::str::from_utf8(code).ok()));
        self.attributes.push(lead.attributes.iter().map(|it| (it.name.as_str(), it.value.as_str())));
    }
}

fn hidden(lead: &LeadState) -> String {
    let sum = |sum: &Sum| (sum.total.currency.code().to_owned(), sum.total.amount, sum.sales);
    let hidden = Hidden {
        device_at: lead.device.as_ref().map(|dated| dated.at),
        product_at: lead.last_product.as_ref().map(|dated| dated.at),
        attributes_at: lead.attributes.iter().map(|attribute| attribute.at).collect(),
        sums: lead.sales.sums.iter().map(sum).collect(),
        ledger: lead.ledger.stored(),
    };
    // Numbers and texts always have a JSON form.
    serde_json::to_string(&hidden).unwrap_or_default()
}

/// Reads a row back; `None` when it is damaged.
pub(crate) fn read(row: Reading<'_>, tenant: u32, lexicon: &Lexicon) -> Option<LeadState> {
    let mut hidden: Hidden = serde_json::from_str(row.text("_state")?).ok()?;
    let instant = |name: &str| row.instant(name).map(Time::from_millis);
    let mut lead = LeadState::opened(
        row.text("lead_id")?.parse().ok()?,
        tenant,
        row.text("visitor_id")?.parse().ok()?,
        row.name("lead_type")?,
    );
    if row.text("status")? == "closed" {
        let cause = cause_of(row.text("close_cause")?)?;
        lead.closing = Some(Closing { cause, at: instant("closed_at")?, reason: row.name("close_reason") });
    }
    lead.opened_at = instant("opened_at")?;
    lead.deadline = instant("deadline")?;
    lead.first_interaction_at = instant("first_interaction_at")?;
    lead.last_interaction_at = instant("last_interaction_at")?;
    lead.interactions = u32::try_from(row.number("interactions")?).ok()?;
    lead.skill = row.name("skill");
    lead.channel = row.name("channel");
    lead.campaign = row.name("campaign");
    lead.campaign_source = row.name("campaign_source");
    lead.campaign_medium = row.name("campaign_medium");
    lead.converted_at = instant("converted_at");
    lead.owner = row.name("owner");
    let points = |name: &str| i32::try_from(row.amount(name)?).ok();
    lead.score = Points { total: points("score")?, fit: points("score_fit")?, engagement: points("score_engagement")? };
    lead.grade = match row.text("grade") {
        Some(code) => Some(Grade::of_code(code)?),
        None => None,
    };
    lead.ledger = Ledger::of(std::mem::take(&mut hidden.ledger), lexicon)?;
    lead.temperature = temperature_of(row.text("temperature")?)?;
    lead.stage = row.name("stage");
    lead.version = u32::try_from(row.number("version")?).ok()?;
    lead.changed_at = LogPosition(row.number("position")?);
    lead.sales = read_sales(row, &hidden)?;
    lead.device = hidden.device_at.map(|at| Box::new(Dated { value: read_device(row), at }));
    lead.last_product = hidden.product_at.map(|at| Box::new(Dated { value: read_product(row), at }));
    let attributes = row.attributes("attributes");
    if attributes.len() != hidden.attributes_at.len() {
        return None;
    }
    let attribute =
        |((name, value), at): ((&str, &str), i64)| TextAttribute { name: name.into(), value: value.into(), at };
    lead.attributes = Shown::from_sorted(attributes.into_iter().zip(hidden.attributes_at).map(attribute).collect());
    Some(lead)
}

fn read_sales(row: Reading<'_>, hidden: &Hidden) -> Option<Sales> {
    let sum = |(code, amount, sales): &(String, i64, u32)| {
        Some(Sum { total: Money { amount: *amount, currency: Currency::new(code)? }, sales: *sales })
    };
    Some(Sales {
        conversions: u32::try_from(row.number("conversions")?).ok()?,
        rgus: row.amount("rgus")?,
        sums: hidden.sums.iter().map(sum).collect::<Option<_>>()?,
    })
}

fn read_device(row: Reading<'_>) -> Device {
    let word = |name: &str| row.name(name).map(Text);
    Device { browser: word("device_browser"), kind: word("device_type"), os: word("device_os") }
}

fn read_product(row: Reading<'_>) -> Product {
    let word = |name: &str| row.name(name).map(Text);
    let price = || {
        let code = <[u8; 3]>::try_from(row.text("last_product_currency")?.as_bytes()).ok()?;
        Some((row.amount("last_product_price")?, code))
    };
    Product {
        id: word("last_product_id"),
        name: word("last_product_name"),
        category: word("last_product_category"),
        price: price(),
    }
}
