//! Messages of Segment's SDKs: mapped to events, and then on the way of every other event.

use lead_domain::Time;
use proto_events::cloud_event::Fault;

use super::{InteractionDecoder, NoTenant, Origin, Rejected};
use crate::entry::Entry;
use crate::segment::{self, Call, Draft, Message};

/// Where a field of the event stands in a message.
const PATHS: &[(&str, &str)] = &[
    ("id", "messageId"),
    ("source", "context.library.name"),
    ("time", "timestamp"),
    ("data", "userId"),
    ("data.customer_id", "userId"),
    ("data.channel", "context.channel"),
    ("data.skill", "properties.skill"),
    ("data.action", "event"),
    ("data.sent_at", "sentAt"),
    ("data.contact.locale", "context.locale"),
    ("data.device.os", "context.os.name"),
    ("data.device.user_agent", "context.userAgent"),
    ("data.product.id", "properties.product_id"),
    ("data.conversion.order_id", "properties.order_id"),
];

/// Where a section of the event stands.
const SECTIONS: &[(&str, &str)] = &[
    ("data.campaign", "context.campaign"),
    ("data.page", "context.page"),
    ("data.device", "context.device"),
    ("data.product", "properties"),
];

impl InteractionDecoder {
    /// Decodes a message of one of Segment's SDKs, as [`segment`] says.
    ///
    /// A rejected one has the path of the message's field, and is kept as the event that it would be, in structured JSON,
    /// so that it can be repaired and tried again like any other; only what can't be read at all is kept as it is.
    /// Amounts that could not be read stand in it as text.
    ///
    /// # Errors
    /// When the message can't be taken and there is no tenant to whose quarantine it could go.
    pub fn decode_segment(
        &mut self,
        message: &Message<'_>,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        let place = self.tenant_of(None, origin).ok();
        let currency = place.and_then(|place| self.tenants.get(place)).map(|tenant| tenant.currency);
        let draft = self.limits.check_size(message.size()).and_then(|()| segment::read(message, currency, received_at));
        let mut draft = match draft {
            Ok(draft) => draft,
            Err(fault) => {
                return self.reject(message.bytes(), message.bytes().len() as u64, fault, origin, received_at);
            }
        };
        let taken = match draft.take_fault() {
            Some(fault) => Err(fault),
            None => self.take_draft(&mut draft, origin, received_at).map_err(|fault| in_message(fault, draft.call)),
        };
        taken.or_else(|fault| {
            let (key, json) = (draft.rejection_key(), draft.to_json());
            let rejected = Rejected { key: &key, beginning: &json, whole_bytes: json.len() as u64 };
            self.reject_as(rejected, fault, origin, received_at)
        })
    }

    /// A time that the message does not say is no content: a second sending has another one.
    fn take_draft(&mut self, draft: &mut Draft<'_>, origin: Origin<'_>, received_at: Time) -> Result<Entry, Fault> {
        let checked = self.check(&draft.event, origin, received_at)?;
        let time = draft.event.time;
        if !draft.is_timed {
            draft.event.time = Time::default();
        }
        let entry = self.entry(&mut draft.event, checked, origin, received_at);
        draft.event.time = time;
        entry
    }
}

/// The fault with the path of the message.
fn in_message(fault: Fault, call: Option<Call>) -> Fault {
    if let Some((_, path)) = PATHS.iter().find(|(path, _)| *path == fault.path) {
        return Fault { path: (*path).to_owned(), ..fault };
    }
    let (own_traits, is_alias) = (call == Some(Call::Identify), call == Some(Call::Alias));
    let traits = if own_traits { "traits" } else { "context.traits" };
    let attributes = if own_traits || call == Some(Call::Group) { "traits" } else { "properties" };
    let path = match fault.path.as_str() {
        "data.visitor_id" if is_alias => "previousId".to_owned(),
        "data.visitor_id" => "anonymousId".to_owned(),
        "data.email" => format!("{traits}.email"),
        "data.phone" => format!("{traits}.phone"),
        "data.contact.name" => format!("{traits}.name"),
        "data.contact.country" => format!("{traits}.address.country"),
        path => {
            let sections = SECTIONS.iter().copied().chain([("data.attributes", attributes)]);
            let found = sections.into_iter().find_map(|(section, name)| Some((path.strip_prefix(section)?, name)));
            found.map_or_else(|| path.to_owned(), |(rest, name)| format!("{name}{rest}"))
        }
    };
    Fault { path, ..fault }
}
