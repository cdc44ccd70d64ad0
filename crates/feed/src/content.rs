//! The content of an interaction as it was sent: all its texts with their paths, and its fingerprint.
//!
//! The fingerprint covers what was sent and not what we made of it: another policy, another version of the stored
//! format or a newer table of browsers must not make an old event, imported again, look like a conflicting one.

use lead_domain::Time;
use proto_events::cloud_event::{Amount, InteractionData, Scalar, Str};

use crate::hashing::push_part;

/// A text of an interaction.
pub(crate) struct TextField<'e> {
    /// Its number in the fingerprint. Never reused for another field.
    pub(crate) number: u8,
    /// Where it stands.
    pub(crate) path: &'static str,
    /// What was sent.
    pub(crate) value: Option<&'e Str<'e>>,
    /// Whether it is an address, which may be longer than other texts.
    pub(crate) long: bool,
}

/// The numbers of what is no text.
mod number {
    pub(super) const TIME: u8 = 200;
    pub(super) const PRICE: u8 = 201;
    pub(super) const VALUE: u8 = 202;
    pub(super) const RGUS: u8 = 203;
    pub(super) const ATTRIBUTE: u8 = 204;
}

const fn field<'e>(number: u8, path: &'static str, value: Option<&'e Str<'e>>) -> TextField<'e> {
    TextField { number, path, value, long: false }
}

const fn address<'e>(number: u8, path: &'static str, value: Option<&'e Str<'e>>) -> TextField<'e> {
    TextField { number, path, value, long: true }
}

fn currency<'e>(amount: Option<&'e Amount<'_>>) -> Option<&'e Str<'e>> {
    amount.and_then(|amount| amount.currency.as_ref())
}

/// All texts but the tenant, which is no content, and `sent_at`, which differs between two sendings of one event.
pub(crate) fn texts<'e>(data: &'e InteractionData<'e>) -> [TextField<'e>; 27] {
    let (contact, campaign, product) = (data.contact.as_ref(), data.campaign.as_ref(), data.product.as_ref());
    let (device, conversion, page) = (data.device.as_ref(), data.conversion.as_ref(), data.page.as_ref());
    let price = product.and_then(|product| product.price.as_ref());
    let value = conversion.and_then(|conversion| conversion.value.as_ref());
    [
        field(1, "data.visitor_id", data.visitor_id.as_ref()),
        field(2, "data.customer_id", data.customer_id.as_ref()),
        field(3, "data.email", data.email.as_ref()),
        field(4, "data.phone", data.phone.as_ref()),
        field(5, "data.channel", Some(&data.channel)),
        field(6, "data.skill", data.skill.as_ref()),
        field(7, "data.action", Some(&data.action)),
        field(8, "data.contact.name", contact.and_then(|contact| contact.name.as_ref())),
        field(9, "data.contact.locale", contact.and_then(|contact| contact.locale.as_ref())),
        field(10, "data.contact.country", contact.and_then(|contact| contact.country.as_ref())),
        field(11, "data.campaign.name", campaign.and_then(|campaign| campaign.name.as_ref())),
        field(12, "data.campaign.source", campaign.and_then(|campaign| campaign.source.as_ref())),
        field(13, "data.campaign.medium", campaign.and_then(|campaign| campaign.medium.as_ref())),
        field(14, "data.campaign.term", campaign.and_then(|campaign| campaign.term.as_ref())),
        field(15, "data.campaign.content", campaign.and_then(|campaign| campaign.content.as_ref())),
        field(16, "data.product.id", product.and_then(|product| product.id.as_ref())),
        field(17, "data.product.name", product.and_then(|product| product.name.as_ref())),
        field(18, "data.product.category", product.and_then(|product| product.category.as_ref())),
        field(19, "data.product.price.currency", currency(price)),
        field(20, "data.device.browser", device.and_then(|device| device.browser.as_ref())),
        field(21, "data.device.type", device.and_then(|device| device.kind.as_ref())),
        field(22, "data.device.os", device.and_then(|device| device.os.as_ref())),
        address(23, "data.device.user_agent", device.and_then(|device| device.user_agent.as_ref())),
        field(24, "data.conversion.value.currency", currency(value)),
        field(25, "data.conversion.order_id", conversion.and_then(|conversion| conversion.order_id.as_ref())),
        address(26, "data.page.url", page.and_then(|page| page.url.as_ref())),
        address(27, "data.page.referrer", page.and_then(|page| page.referrer.as_ref())),
    ]
}

/// Appends what the fingerprint covers: the claimed time and every field that is there, under its number. Empty texts
/// count as absent, as everywhere. The attributes must be sorted by name.
pub(crate) fn write_content(time: Time, data: &InteractionData<'_>, buffer: &mut Vec<u8>) {
    push_number(buffer, number::TIME, time.as_millis());
    for TextField { number, value, .. } in texts(data) {
        if let Some(text) = value.and_then(Str::trimmed) {
            buffer.push(number);
            push_part(buffer, text.as_bytes());
        }
    }
    if let Some(price) = data.product.as_ref().and_then(|product| product.price.as_ref()) {
        push_number(buffer, number::PRICE, price.amount);
    }
    if let Some(conversion) = &data.conversion {
        if let Some(value) = &conversion.value {
            push_number(buffer, number::VALUE, value.amount);
        }
        push_number(buffer, number::RGUS, i64::from(conversion.rgus.unwrap_or(0)));
    }
    for (name, value) in &data.attributes.0 {
        write_attribute(name, value, buffer);
    }
}

fn write_attribute(name: &Str<'_>, value: &Scalar<'_>, buffer: &mut Vec<u8>) {
    if *value == Scalar::Null {
        return;
    }
    buffer.push(number::ATTRIBUTE);
    push_part(buffer, name.as_str().as_bytes());
    match value {
        Scalar::Null => {}
        Scalar::Bool(value) => push_number(buffer, b'b', i64::from(*value)),
        Scalar::Integer(value) => push_number(buffer, b'i', *value),
        Scalar::Decimal(value) => {
            buffer.push(b'd');
            push_part(buffer, value.as_bytes());
        }
        Scalar::Text(value) => {
            buffer.push(b't');
            push_part(buffer, value.as_str().as_bytes());
        }
    }
}

fn push_number(buffer: &mut Vec<u8>, number: u8, value: i64) {
    buffer.push(number);
    buffer.extend_from_slice(&value.to_le_bytes());
}
