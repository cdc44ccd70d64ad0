//! From an event that was read to the facts and the personal part of an interaction.

use std::borrow::Cow;

use lead_domain::{Currency, IdentifierKind, Time};
use proto_events::cloud_event::{self, Amount, Attributes, Conversion, Fault, InteractionEvent, Scalar, Str, code};
use proto_events::stored::{Attribute, Campaign, Product, StoredSale, Value};
use proto_events::text::Text;
use proto_events::{InteractionFacts, Personal};

use super::sealed::answer;
use super::{InteractionDecoder, Tenant};
use crate::content::write_content;
use crate::entry::InteractionEntry;
use crate::hashing::Hasher;
use crate::normalise::Normalised;

/// An amount as it is stored: minor units and code.
type StoredAmount = (i64, [u8; 3]);

impl InteractionDecoder {
    /// The entry of an event that keeps the limits; its times and number are for the caller to set.
    pub(super) fn interaction(
        &mut self,
        event: &mut InteractionEvent<'_>,
        place: usize,
    ) -> Result<Box<InteractionEntry>, Fault> {
        let Self { tenants, hasher, devices, .. } = self;
        let unknown = || Fault::new("data.tenant", code::UNKNOWN_TENANT, "There is no tenant of that name.");
        let tenant = tenants.get_mut(place).ok_or_else(unknown)?;
        sort(&mut event.data.attributes)?;
        let (source, id) = (event.source.as_str().trim(), event.id.as_str().trim());
        let data = &event.data;
        let mut facts = InteractionFacts {
            message: hasher.message(tenant.id, source, id),
            fingerprint: hasher.content(tenant.id, |buffer| write_content(event.time, data, buffer)),
            channel: required(&data.channel, "data.channel")?,
            skill: text(data.skill.as_ref()),
            action: required(&data.action, "data.action")?,
            product: data.product.as_ref().map(|sent| product(sent, tenant.currency)).transpose()?,
            campaign: data.campaign.as_ref().and_then(campaign),
            device: data.device.as_ref().and_then(|sent| devices.device(sent)),
            country: data.contact.as_ref().and_then(|contact| text(contact.country.as_ref())),
            locale: data.contact.as_ref().and_then(|contact| text(contact.locale.as_ref())),
            ..InteractionFacts::default()
        };
        let mut personal = Personal {
            source: Text::from(source),
            id: Text::from(id),
            name: data.contact.as_ref().and_then(|contact| text(contact.name.as_ref())),
            page_url: data.page.as_ref().and_then(|page| text(page.url.as_ref())),
            referrer: data.page.as_ref().and_then(|page| text(page.referrer.as_ref())),
            user_agent: data.device.as_ref().and_then(|device| text(device.user_agent.as_ref())),
            ..Personal::default()
        };
        if let Some(conversion) = &data.conversion {
            personal.order_id = text(conversion.order_id.as_ref());
            facts.sale = Some(sale(conversion, tenant, hasher)?);
        }
        identify(data, tenant, hasher, &mut facts, &mut personal)?;
        divide(&data.attributes, tenant, &mut facts, &mut personal);
        answer(&tenant.sealed_tests, tenant.id, hasher, &personal, &mut facts);
        Ok(Box::new(InteractionEntry {
            tenant: tenant.id,
            occurred_at: Time::default(),
            received_at: Time::default(),
            feed_sequence: 0,
            facts,
            personal,
        }))
    }
}

fn text(sent: Option<&Str<'_>>) -> Option<Text> {
    sent.and_then(Str::trimmed).map(Text::from)
}

fn required(sent: &Str<'_>, path: &'static str) -> Result<Text, Fault> {
    let missing = || Fault::new(path, code::MISSING_FIELD, "The field is missing or empty.");
    sent.trimmed().map(Text::from).ok_or_else(missing)
}

/// Hashes the identifiers for the facts and keeps them for the personal part. A blocked one leaves no hash.
fn identify(
    data: &cloud_event::InteractionData<'_>,
    tenant: &mut Tenant,
    hasher: &mut Hasher,
    facts: &mut InteractionFacts,
    personal: &mut Personal,
) -> Result<(), Fault> {
    let id = tenant.id;
    let mut hash = |kind, normalised: &Normalised<'_>| match &normalised.value {
        Some(value) if !normalised.blocked => Some(hasher.identifier(id, kind, value)),
        _ => None,
    };
    let mut found = false;
    if let Some(value) = data.customer_id.as_ref().and_then(Str::trimmed) {
        facts.customer_id = hash(IdentifierKind::CustomerId, &tenant.normaliser.plain(value));
        personal.customer_id = Some(Text::from(value));
        found = true;
    }
    if let Some((raw, value)) = data.email.as_ref().and_then(with_raw) {
        let normalised = tenant.normaliser.email(value)?;
        facts.email = hash(IdentifierKind::Email, &normalised);
        (personal.email, personal.email_raw) = kept(normalised, raw);
        found = true;
    }
    if let Some((raw, value)) = data.phone.as_ref().and_then(with_raw) {
        let normalised = tenant.normaliser.phone(value)?;
        facts.phone = hash(IdentifierKind::Phone, &normalised);
        (personal.phone, personal.phone_raw) = kept(normalised, raw);
        found = true;
    }
    if let Some(value) = data.visitor_id.as_ref().and_then(Str::trimmed) {
        facts.visitor_id = hash(IdentifierKind::VisitorId, &tenant.normaliser.plain(value));
        personal.visitor_id = Some(Text::from(value));
        found = true;
    }
    if found {
        return Ok(());
    }
    let message = "One of customer_id, email, phone and visitor_id is needed.";
    Err(Fault::new("data", code::MISSING_IDENTIFIER, message))
}

/// What was sent, and the same trimmed.
fn with_raw<'a>(sent: &'a Str<'_>) -> Option<(&'a str, &'a str)> {
    sent.trimmed().map(|trimmed| (sent.as_str(), trimmed))
}

/// The normal form, and the raw one where it differs.
fn kept(normalised: Normalised<'_>, raw: &str) -> (Option<Text>, Option<Text>) {
    let value = normalised.value.as_deref().map(Text::from);
    let differs = normalised.value.as_deref() != Some(raw);
    (value, differs.then(|| Text::from(raw)))
}

fn amount(sent: &Amount<'_>, default: Currency, path: &'static str) -> Result<StoredAmount, Fault> {
    let currency = match sent.currency.as_ref().and_then(Str::trimmed) {
        None => default,
        Some(currency) => cloud_event::currency(currency).ok_or_else(|| {
            Fault::new(path, code::BAD_CURRENCY, "The currency must be an ISO 4217 code in upper case, such as EUR.")
        })?,
    };
    let mut letters = [0; 3];
    letters.copy_from_slice(currency.code().as_bytes());
    Ok((sent.amount, letters))
}

fn product(sent: &cloud_event::Product<'_>, default: Currency) -> Result<Product, Fault> {
    let price = sent.price.as_ref().map(|price| amount(price, default, "data.product.price.currency")).transpose()?;
    Ok(Product {
        id: text(sent.id.as_ref()),
        name: text(sent.name.as_ref()),
        category: text(sent.category.as_ref()),
        price,
    })
}

fn campaign(sent: &cloud_event::Campaign<'_>) -> Option<Campaign> {
    let campaign = Campaign {
        name: text(sent.name.as_ref()),
        source: text(sent.source.as_ref()),
        medium: text(sent.medium.as_ref()),
        term: text(sent.term.as_ref()),
        content: text(sent.content.as_ref()),
    };
    (campaign != Campaign::default()).then_some(campaign)
}

fn sale(sent: &Conversion<'_>, tenant: &Tenant, hasher: &mut Hasher) -> Result<StoredSale, Fault> {
    let value = sent.value.as_ref();
    let value = value.map(|value| amount(value, tenant.currency, "data.conversion.value.currency")).transpose()?;
    let order = sent.order_id.as_ref().and_then(Str::trimmed).map(|order_id| hasher.order(tenant.id, order_id));
    Ok(StoredSale { value, rgus: sent.rgus.unwrap_or(0), order })
}

/// Sorts the attributes by name and refuses one that is there twice.
fn sort(attributes: &mut Attributes<'_>) -> Result<(), Fault> {
    attributes.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    let repeated = attributes.0.windows(2).find_map(|pair| match pair {
        [(a, _), (b, _)] if a == b => Some(a),
        _ => None,
    });
    match repeated {
        None => Ok(()),
        Some(name) => {
            let path = format!("data.attributes.{}", cloud_event::shown(name.as_str()));
            Err(Fault::new(path, code::REPEATED_FIELD, "An attribute is there twice."))
        }
    }
}

/// What conditions look at goes into the facts, everything else into the personal part; both stay sorted.
fn divide(attributes: &Attributes<'_>, tenant: &Tenant, facts: &mut InteractionFacts, personal: &mut Personal) {
    for (name, value) in &attributes.0 {
        let Some(value) = stored_value(value) else { continue };
        let attribute = Attribute { name: Text::from(name.as_str()), value };
        let tested = tenant.tested_attributes.binary_search_by(|tested| tested.as_str().cmp(name.as_str()));
        let part = if tested.is_ok() { &mut facts.attributes } else { &mut personal.attributes };
        part.push(attribute);
    }
}

fn stored_value(value: &Scalar<'_>) -> Option<Value> {
    match value {
        Scalar::Null => None,
        Scalar::Bool(value) => Some(Value::Bool(*value)),
        Scalar::Integer(value) => Some(Value::Integer(*value)),
        Scalar::Decimal(number) => Some(Value::Decimal(Text::from(*number))),
        Scalar::Text(text) => Some(Value::Text(Text(match &text.0 {
            Cow::Borrowed(text) => (*text).into(),
            Cow::Owned(text) => text.as_str().into(),
        }))),
    }
}
