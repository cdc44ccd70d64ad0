//! The table of interactions.

use std::borrow::Cow;

use event_log::Header;
use lead_domain::event::{AttachReason, OrphanReason};
use lead_domain::policy::condition::SEALED_MARK;
use lead_domain::{InteractionId, LeadId, Name, VisitorId};
use proto_events::stored::{Attribute, Campaign, Device, Product, StoredSale, Value};
use proto_events::text::Text;
use proto_events::{InteractionFacts, lead_event};

use crate::lead::lead_key;
use crate::table::columns::{Amounts, Attributes, Flags, Ids, Instants, Numbers, Words, table};
use crate::table::reading::Reading;

table! {
    /// Interactions, filled row by row.
    InteractionColumns {
        position: Numbers = "The place of its record in the log.",
        tenant: Words = "Whose.",
        interaction_id: Ids = "Such as I1042.",
        visitor_id: Ids = "Who it was recorded for, such as V42; the lead says who owns it after merges.",
        lead_id: Ids = "The lead that has it, such as V42-1; null for an orphan.",
        at: Instants = "When it happened.",
        received_at: Instants = "When we received it.",
        recorded_at: Instants = "When it was recorded.",
        channel: Words = "The channel it came through.",
        skill: Words = "The operator group that it was addressed to.",
        action: Words = "A dotted word such as product.viewed.",
        campaign: Words = "utm_campaign.",
        campaign_source: Words = "utm_source.",
        campaign_medium: Words = "utm_medium.",
        campaign_term: Words = "utm_term.",
        campaign_content: Words = "utm_content.",
        product_id: Words = "The shop's number for the product.",
        product_name: Words = "The product's name.",
        product_category: Words = "The product's category.",
        product_price: Amounts = "The product's price in minor units.",
        product_currency: Words = "The currency of the price.",
        device_type: Words = "desktop, mobile, tablet ...",
        device_browser: Words = "Browser name.",
        device_os: Words = "Operating system.",
        country: Words = "ISO 3166 country.",
        locale: Words = "BCP 47 language tag.",
        conversion_value: Amounts = "What was paid, in minor units.",
        currency: Words = "The currency of what was paid.",
        rgus: Amounts = "Units sold.",
        is_orphan: Flags = "Whether no lead has it.",
        orphan_reason: Words = "Why no lead took it when it came.",
        attach_reason: Words = "Why its lead took it.",
        attributes: Attributes = "Free attributes; personal where the channel sent personal things.",
        _visitor: Numbers = "The number in visitor_id, for Leadfold itself: read faster than the text.",
        _lead: Numbers = "The lead's number, for Leadfold itself: that of its visitor times 2^20, plus its own.",
    }
}

/// Where an interaction is, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement<'a> {
    pub(crate) lead: Option<LeadId>,
    pub(crate) orphan_reason: Option<&'a str>,
    pub(crate) attach_reason: Option<&'a str>,
}

impl Placement<'static> {
    pub(crate) const fn attached(lead: LeadId, because: AttachReason) -> Self {
        Self { lead: Some(lead), orphan_reason: None, attach_reason: Some(lead_event::attach_reason(because)) }
    }

    pub(crate) const fn orphaned(reason: OrphanReason) -> Self {
        Self { lead: None, orphan_reason: Some(reason.code()), attach_reason: None }
    }
}

/// An interaction as the table has it.
#[derive(Clone, Debug)]
pub(crate) struct InteractionRow<'a> {
    pub(crate) position: u64,
    pub(crate) tenant: &'a str,
    pub(crate) visitor: u64,
    /// At, received, recorded.
    pub(crate) times: [i64; 3],
    pub(crate) facts: &'a InteractionFacts,
    pub(crate) sealed: &'a [Attribute],
    pub(crate) placement: Placement<'a>,
}

/// An interaction read back from the table.
#[derive(Clone, Debug)]
pub(crate) struct StoredInteraction {
    pub(crate) position: u64,
    pub(crate) tenant: Name,
    pub(crate) visitor: u64,
    pub(crate) times: [i64; 3],
    pub(crate) facts: InteractionFacts,
    pub(crate) lead: Option<LeadId>,
    pub(crate) orphan_reason: Option<Name>,
    pub(crate) attach_reason: Option<Name>,
}

fn text(text: &Option<Text>) -> Option<&str> {
    text.as_ref().map(|text| text.0.as_str())
}

fn code(currency: &[u8; 3]) -> Option<&str> {
    std::str::from_utf8(currency).ok()
}

/// A value as text.
pub(crate) fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Integer(number) => Cow::Owned(itoa::Buffer::new().format(*number).to_owned()),
        Value::Decimal(text) | Value::Text(text) => Cow::Borrowed(text.0.as_str()),
    }
}

impl InteractionColumns {
    pub(crate) fn push(&mut self, row: &InteractionRow<'_>) {
        let facts = row.facts;
        let [at, received_at, recorded_at] = row.times;
        self.position.push(row.position);
        self.tenant.push(Some(row.tenant));
        self.interaction_id.push(Some(InteractionId(row.position)));
        self.visitor_id.push(Some(VisitorId(row.visitor)));
        self.lead_id.push(row.placement.lead);
        self._visitor.push(row.visitor);
        self._lead.push(row.placement.lead.and_then(lead_key));
        self.at.push(at);
        self.received_at.push(received_at);
        self.recorded_at.push(recorded_at);
        self.channel.push(Some(facts.channel.0.as_str()));
        self.skill.push(text(&facts.skill));
        self.action.push(Some(facts.action.0.as_str()));
        self.push_about(facts);
        self.country.push(text(&facts.country));
        self.locale.push(text(&facts.locale));
        self.push_sale(facts.sale.as_ref());
        self.is_orphan.push(row.placement.lead.is_none());
        self.orphan_reason.push(row.placement.orphan_reason);
        self.attach_reason.push(row.placement.attach_reason);
        let mut attributes: Vec<(&str, Cow<'_, str>)> = facts
            .attributes
            .iter()
            // Answers for a policy's conditions say nothing to people.
            .filter(|attribute| !attribute.name.as_str().starts_with(SEALED_MARK))
            .chain(row.sealed)
            .map(|attribute| (attribute.name.0.as_str(), value_text(&attribute.value)))
            .collect();
        attributes.sort_by_key(|(name, _)| *name);
        attributes.dedup_by(|(later, _), (earlier, _)| later == earlier);
        self.attributes.push(attributes.iter().map(|(name, value)| (*name, value.as_ref())));
    }

    fn push_about(&mut self, facts: &InteractionFacts) {
        let campaign = facts.campaign.as_ref();
        self.campaign.push(campaign.and_then(|it| text(&it.name)));
        self.campaign_source.push(campaign.and_then(|it| text(&it.source)));
        self.campaign_medium.push(campaign.and_then(|it| text(&it.medium)));
        self.campaign_term.push(campaign.and_then(|it| text(&it.term)));
        self.campaign_content.push(campaign.and_then(|it| text(&it.content)));
        let product = facts.product.as_ref();
        let price = product.and_then(|it| it.price.as_ref());
        self.product_id.push(product.and_then(|it| text(&it.id)));
        self.product_name.push(product.and_then(|it| text(&it.name)));
        self.product_category.push(product.and_then(|it| text(&it.category)));
        self.product_price.push(price.map(|(amount, _)| *amount));
        self.product_currency.push(price.and_then(|(_, currency)| code(currency)));
        let device = facts.device.as_ref();
        self.device_type.push(device.and_then(|it| text(&it.kind)));
        self.device_browser.push(device.and_then(|it| text(&it.browser)));
        self.device_os.push(device.and_then(|it| text(&it.os)));
    }

    fn push_sale(&mut self, sale: Option<&StoredSale>) {
        let value = sale.and_then(|sale| sale.value.as_ref());
        self.conversion_value.push(value.map(|(amount, _)| *amount));
        self.currency.push(value.and_then(|(_, currency)| code(currency)));
        self.rgus.push(sale.map(|sale| i64::from(sale.rgus)));
    }
}

/// The row of an interaction when it is recorded.
pub(crate) fn recorded<'a>(
    header: &Header,
    tenant: &'a str,
    facts: &'a InteractionFacts,
    sealed: &'a [Attribute],
    placement: Placement<'a>,
) -> InteractionRow<'a> {
    let times = [header.occurred_at, header.received_at, header.recorded_at];
    InteractionRow { position: header.position.0, tenant, visitor: header.visitor, times, facts, sealed, placement }
}

impl StoredInteraction {
    /// `None` when the row is damaged.
    pub(crate) fn read(row: Reading<'_>) -> Option<Self> {
        let word = |name: &str| row.name(name).map(Text);
        let money = |amount: &str, currency: &str| {
            let code = <[u8; 3]>::try_from(row.text(currency)?.as_bytes()).ok()?;
            Some((row.amount(amount)?, code))
        };
        let campaign = Campaign {
            name: word("campaign"),
            source: word("campaign_source"),
            medium: word("campaign_medium"),
            term: word("campaign_term"),
            content: word("campaign_content"),
        };
        let product = Product {
            id: word("product_id"),
            name: word("product_name"),
            category: word("product_category"),
            price: money("product_price", "product_currency"),
        };
        let device = Device { browser: word("device_browser"), kind: word("device_type"), os: word("device_os") };
        let attribute = |(name, value): (&str, &str)| Attribute { name: name.into(), value: Value::Text(value.into()) };
        let rgus = row.amount("rgus").map(|rgus| u32::try_from(rgus).unwrap_or_default());
        let facts = InteractionFacts {
            channel: word("channel")?,
            skill: word("skill"),
            action: word("action")?,
            sale: rgus.map(|rgus| StoredSale { value: money("conversion_value", "currency"), rgus, order: None }),
            product: (product != Product::default()).then_some(product),
            campaign: (campaign != Campaign::default()).then_some(campaign),
            device: (device != Device::default()).then_some(device),
            country: word("country"),
            locale: word("locale"),
            attributes: row.attributes("attributes").into_iter().map(attribute).collect(),
            ..InteractionFacts::default()
        };
        Some(Self {
            position: row.number("position")?,
            tenant: row.name("tenant")?,
            visitor: row.text("visitor_id")?.parse::<VisitorId>().map_or(0, |visitor| visitor.0),
            times: [row.instant("at")?, row.instant("received_at")?, row.instant("recorded_at")?],
            facts,
            lead: row.text("lead_id").and_then(|lead| lead.parse().ok()),
            orphan_reason: row.name("orphan_reason"),
            attach_reason: row.name("attach_reason"),
        })
    }

    /// The row that it is written as.
    pub(crate) fn row(&self) -> InteractionRow<'_> {
        let placement = Placement {
            lead: self.lead,
            orphan_reason: self.orphan_reason.as_deref(),
            attach_reason: self.attach_reason.as_deref(),
        };
        InteractionRow {
            position: self.position,
            tenant: &self.tenant,
            visitor: self.visitor,
            times: self.times,
            facts: &self.facts,
            sealed: &[],
            placement,
        }
    }
}
