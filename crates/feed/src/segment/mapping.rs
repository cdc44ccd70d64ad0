//! From the fields of a message to those of an event.

use std::borrow::Cow;

use lead_domain::{Currency, Time};
use proto_events::cloud_event::{Campaign, Contact, Device, Fault, Page, Scalar, Str, code};
use proto_events::lead_event::rfc3339;
use proto_events::raw_object::RawObject;

use super::draft::{Draft, Place, scalar};
use super::section::{Field, Section};
use super::{Call, Message, action};

const ATTRIBUTES: &[&str] = &["data", "attributes"];

/// The draft of a message's event. `currency` is that of amounts that name none.
///
/// # Errors
/// When so little of the message can be read that there is nothing to make an event of: then its bytes are to be kept.
pub(crate) fn read<'a>(
    message: &Message<'a>,
    currency: Option<Currency>,
    received_at: Time,
) -> Result<Draft<'a>, Fault> {
    let root = Section::new(RawObject::from_bytes(message.bytes, "A message")?, "")?;
    let mut draft = Draft::new(currency, received_at);
    let mut context = draft.section(&root, "context", "context.", &["data", "contact"])?;
    if let Some(json) = message.context {
        let shared = Section::of("context", json);
        context = context.or(draft.section(&shared, "context", "context.", &["data", "contact"])?);
    }
    let call = draft.call(message, &root)?;
    draft.call = call;
    draft.envelope(message, &root, &context)?;
    draft.identifiers(call, &root)?;
    draft.channel(call, &root, &context)?;
    draft.contact(call, &root, &context)?;
    draft.circumstances(&context)?;
    draft.content(call, &root)?;
    Ok(draft)
}

impl<'a> Draft<'a> {
    fn call(&mut self, message: &Message<'a>, root: &Section<'a>) -> Result<Option<Call>, Fault> {
        if message.call.is_some() {
            return Ok(message.call);
        }
        let text = self.text(root, &["type"], &["data", "action"])?;
        let call = text.as_ref().and_then(|word| Call::named(word.as_str().trim()));
        let message = "The type must be track, identify, page, screen, group or alias.";
        match (call, text, root.get(&["type"])) {
            (None, Some(_), Some(field)) => self.misplace_as_text(field, &["type"], code::WRONG_EVENT_TYPE, message),
            (None, None, _) => self.missing("type", message),
            (_, _, _) => {}
        }
        Ok(call)
    }

    /// Id, source and times.
    fn envelope(&mut self, message: &Message<'a>, root: &Section<'a>, context: &Section<'a>) -> Result<(), Fault> {
        match self.text(root, &["messageId"], &["id"])? {
            Some(id) => self.event.id = id,
            None => self.missing("messageId", "The field is missing or empty."),
        }
        let library = self.section(context, "library", "context.library.", &["source", "name"])?;
        if let Some(name) = self.text(&library, &["name"], &["source"])? {
            self.event.source = Str(Cow::Owned(format!("segment/{}", name.as_str().trim())));
        }
        let mut sent_at = self.time(root, "sentAt", &["data", "sent_at"])?;
        if let (None, None, Some(json)) = (sent_at, root.get(&["sentAt"]), message.sent_at) {
            sent_at = self.time(&Section::of("sentAt", json), "sentAt", &["data", "sent_at"])?;
        }
        let mut time = self.time(root, "timestamp", &["time"])?;
        if time.is_none() {
            time = self.time(root, "originalTimestamp", &["time"])?;
        }
        self.is_timed = time.is_some();
        self.event.time = time.or(sent_at).unwrap_or(self.event.time);
        self.event.sent_at = sent_at;
        self.event.data.sent_at = sent_at.map(|time| Str(Cow::Owned(rfc3339(time))));
        Ok(())
    }

    fn identifiers(&mut self, call: Option<Call>, root: &Section<'a>) -> Result<(), Fault> {
        let visitor: &[&str] =
            if call == Some(Call::Alias) { &["previousId", "anonymousId"] } else { &["anonymousId"] };
        self.event.data.visitor_id = self.text(root, visitor, &["data", "visitor_id"])?;
        self.event.data.customer_id = self.text(root, &["userId"], &["data", "customer_id"])?;
        Ok(())
    }

    fn channel(&mut self, call: Option<Call>, root: &Section<'a>, context: &Section<'a>) -> Result<(), Fault> {
        let mut channel = self.text(context, &["channel"], &["data", "channel"])?;
        if channel.is_none() {
            channel = self.text(root, &["channel"], &["data", "channel"])?;
        }
        let otherwise = if call == Some(Call::Screen) { "mobile" } else { "web" };
        self.event.data.channel = channel.unwrap_or_else(|| Str::from(otherwise));
        Ok(())
    }

    /// Who it is, by traits.
    fn contact(&mut self, call: Option<Call>, root: &Section<'a>, context: &Section<'a>) -> Result<(), Fault> {
        let mut traits = self.section(context, "traits", "context.traits.", &["data", "contact"])?;
        if call == Some(Call::Identify) {
            traits = self.section(root, "traits", "traits.", &["data", "contact"])?.or(traits);
        }
        self.event.data.email = self.text(&traits, &["email"], &["data", "email"])?;
        self.event.data.phone = self.text(&traits, &["phone"], &["data", "phone"])?;
        let name = self.text(&traits, &["name"], &["data", "contact", "name"])?;
        let first = self.text(&traits, &["firstName", "first_name"], &["data", "contact", "name"])?;
        let last = self.text(&traits, &["lastName", "last_name"], &["data", "contact", "name"])?;
        let full = match (first, last) {
            (Some(first), Some(last)) => {
                Some(Str(Cow::Owned(format!("{} {}", first.as_str().trim(), last.as_str().trim()))))
            }
            (first, last) => first.or(last),
        };
        let address =
            self.section(&traits, "address", "traits.address.", &["data", "contact", "country", "address"])?;
        let contact = Contact {
            name: name.or(full),
            locale: self.text(context, &["locale"], &["data", "contact", "locale"])?,
            country: self.text(&address, &["country"], &["data", "contact", "country"])?,
        };
        self.event.data.contact = (contact != Contact::default()).then_some(contact);
        Ok(())
    }

    /// Campaign, page and device.
    fn circumstances(&mut self, context: &Section<'a>) -> Result<(), Fault> {
        let sent = self.section(context, "campaign", "context.campaign.", &["data", "campaign"])?;
        let campaign = Campaign {
            name: self.text(&sent, &["name"], &["data", "campaign", "name"])?,
            source: self.text(&sent, &["source"], &["data", "campaign", "source"])?,
            medium: self.text(&sent, &["medium"], &["data", "campaign", "medium"])?,
            term: self.text(&sent, &["term"], &["data", "campaign", "term"])?,
            content: self.text(&sent, &["content"], &["data", "campaign", "content"])?,
        };
        self.event.data.campaign = (campaign != Campaign::default()).then_some(campaign);
        let sent = self.section(context, "page", "context.page.", &["data", "page"])?;
        self.page(&sent)?;
        let sent = self.section(context, "device", "context.device.", &["data", "device"])?;
        let os = self.section(context, "os", "context.os.", &["data", "device", "os", "name"])?;
        let device = Device {
            browser: None,
            kind: self.text(&sent, &["type"], &["data", "device", "type"])?.map(device_kind),
            os: self.text(&os, &["name"], &["data", "device", "os"])?,
            user_agent: self.text(context, &["userAgent"], &["data", "device", "user_agent"])?,
        };
        self.event.data.device = (device != Device::default()).then_some(device);
        Ok(())
    }

    /// Sets what is not known of the page yet.
    fn page(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        let known = self.event.data.page.take().unwrap_or_default();
        let url = self.text(section, &["url"], &["data", "page", "url"])?;
        let referrer = self.text(section, &["referrer"], &["data", "page", "referrer"])?;
        let page = Page { url: known.url.or(url), referrer: known.referrer.or(referrer) };
        self.event.data.page = (page != Page::default()).then_some(page);
        Ok(())
    }

    /// What was done, and the attributes.
    fn content(&mut self, call: Option<Call>, root: &Section<'a>) -> Result<(), Fault> {
        let properties = self.section(root, "properties", "properties.", ATTRIBUTES)?;
        self.event.data.skill = self.text(&properties, &["skill"], &["data", "skill"])?;
        let word = match call {
            Some(Call::Identify | Call::Alias) => "identified",
            Some(Call::Page) => "page.viewed",
            Some(Call::Screen) => "screen.viewed",
            Some(Call::Group) => "group.joined",
            Some(Call::Track) | None => "",
        };
        self.event.data.action = Str::from(word);
        match call {
            Some(Call::Track) => {
                self.tracked(root)?;
                let taken = self.order(&properties)?;
                self.attributes(&properties, &[&taken, &["skill"]])?;
            }
            Some(Call::Identify) => {
                let traits = self.section(root, "traits", "traits.", ATTRIBUTES)?;
                self.attributes(&traits, &[TRAITS])?;
            }
            Some(Call::Group) => {
                self.attribute(root, "groupId", &["data", "attributes", "group_id"])?;
                let traits = self.section(root, "traits", "traits.", ATTRIBUTES)?;
                self.attributes(&traits, &[])?;
            }
            Some(Call::Page | Call::Screen) => {
                self.attribute(root, "name", &["data", "attributes", "name"])?;
                self.attribute(root, "category", &["data", "attributes", "category"])?;
                if call == Some(Call::Page) {
                    self.page(&properties)?;
                    self.attributes(&properties, &[&["skill", "url", "referrer", "path", "search"]])?;
                } else {
                    self.attributes(&properties, &[&["skill"]])?;
                }
            }
            Some(Call::Alias) => {}
            None => self.attributes(&properties, &[&["skill"]])?,
        }
        let attributes = &mut self.event.data.attributes.0;
        attributes.sort_by(|(one, _), (other, _)| one.cmp(other));
        attributes.dedup_by(|(later, _), (first, _)| later == first);
        Ok(())
    }

    fn tracked(&mut self, root: &Section<'a>) -> Result<(), Fault> {
        let event = self.text(root, &["event"], &["data", "action"])?;
        let word = event.as_ref().map(|event| action(event.as_str())).unwrap_or_default();
        if word.is_empty() {
            self.missing("event", "The field is missing or empty.");
        }
        self.event.data.action = Str(Cow::Owned(word));
        Ok(())
    }

    /// One field of the message as an attribute, whose name ends its place.
    fn attribute(&mut self, root: &Section<'a>, field: &str, place: Place) -> Result<(), Fault> {
        if let (Some(text), Some(name)) = (self.text(root, &[field], place)?, place.last()) {
            self.event.data.attributes.0.push((Str::from(*name), Scalar::Text(text)));
        }
        Ok(())
    }

    /// The scalars among the fields, and those in objects among them, but for those that were taken.
    fn attributes(&mut self, section: &Section<'a>, taken: &[&[&str]]) -> Result<(), Fault> {
        let is_taken = |name: &str| taken.iter().any(|names| names.contains(&name));
        for field in section.fields().iter().filter(|field| !is_taken(field.name.as_str())) {
            match scalar(field)? {
                Some(value) => self.event.data.attributes.0.push((field.name.clone(), value)),
                None => self.inner_attributes(field)?,
            }
        }
        Ok(())
    }

    fn inner_attributes(&mut self, outer: &Field<'a>) -> Result<(), Fault> {
        let Some(object) = RawObject::from_json(outer.json) else { return Ok(()) };
        for field in Section::new(object, "")?.fields() {
            if let Some(value) = scalar(field)? {
                let name = format!("{}.{}", outer.name.as_str(), field.name.as_str());
                self.event.data.attributes.0.push((Str(Cow::Owned(name)), value));
            }
        }
        Ok(())
    }
}

/// The traits that are more than attributes.
const TRAITS: &[&str] = &["email", "phone", "name", "firstName", "first_name", "lastName", "last_name"];

/// What kind of device it is: mobile SDKs name the system.
fn device_kind(kind: Str<'_>) -> Str<'_> {
    let is_mobile = ["ios", "android"].iter().any(|system| kind.as_str().trim().eq_ignore_ascii_case(system));
    if is_mobile { Str::from("mobile") } else { kind }
}
