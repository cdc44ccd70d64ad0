//! What Segment's SDKs send, as interactions: its tracking API, unchanged.
//!
//! | Segment | interaction |
//! |---|---|
//! | `messageId`; `context.library.name` | `id`; `source` is `segment/<name>`, without a version, since a message that is sent again after an update is the same |
//! | `timestamp`, else `originalTimestamp`, else `sentAt`, else the reception | `time`; one that was not sent is no content, and neither is `sentAt`, which is `sent_at` |
//! | `anonymousId`; `userId`; in `alias` calls `previousId` and `userId` | `visitor_id`; `customer_id` |
//! | `traits` (in `identify` calls) and `context.traits`: `email`, `phone`, `name` or `firstName` and `lastName`, `address.country` | the identifiers and `contact`; names in snake case too |
//! | `context.locale`, `.campaign`, `.page`, `.userAgent`, `.device.type`, `.os.name` | `contact.locale`, `campaign`, `page`, `device` |
//! | `context.channel`, else `channel`; `properties.skill` | `channel`: `mobile` for `screen` calls and `web` for others where absent; `skill` |
//! | the call, and `event` of `track` calls | `action`: see [`action`] |
//! | `properties.product_id` or `sku`, `name`, `category`, `price`; or those of the only one of `products` | `product` |
//! | of an order that was completed: `total`, else `revenue`, else `value`; `order_id`; the quantities of `products` | `conversion` |
//! | `properties`, in `identify` and `group` calls `traits`; `name` and `category` of `page` and `screen` calls; `groupId` as `group_id` | `attributes` |
//!
//! Amounts are read as decimal text and never pass through floating point. Of the properties only scalars become
//! attributes, and those of objects one level down, with a dot: arrays, deeper objects and what else of `context` there
//! is are left out, as are `path` and `search` of pages, which their `url` holds. The traits of a group are those of a
//! company, and so identify nobody.
//!
//! Knows no HTTP, no keys and no compression.

mod action;
mod draft;
mod mapping;
mod money;
mod order;
mod section;

use std::fmt;

use proto_events::cloud_event::{Fault, Scalar, code, split_batch};
use proto_events::raw_object::RawObject;

pub use action::action;
pub(crate) use draft::Draft;
pub(crate) use mapping::read;

/// The calls of the tracking API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Something was done.
    Track,
    /// Somebody is known.
    Identify,
    /// A page was seen.
    Page,
    /// A screen of an app was seen.
    Screen,
    /// Somebody belongs to a company.
    Group,
    /// Two ids are one person.
    Alias,
}

impl Call {
    /// The word of the call, in a message's `type` and in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    /// The call of a message's `type`, or of the last part of an address; `None` for a word that is none.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "track" => Some(Self::Track),
            "identify" => Some(Self::Identify),
            "page" => Some(Self::Page),
            "screen" => Some(Self::Screen),
            "group" => Some(Self::Group),
            "alias" => Some(Self::Alias),
            _ => None,
        }
    }
}

/// One message, with what its batch says of all of them.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// What the address says; in a batch the message's own `type` does.
    call: Option<Call>,
    bytes: &'a [u8],
    /// JSON of the batch's `context`, which the message's own one comes before.
    context: Option<&'a str>,
    /// JSON of the batch's `sentAt`.
    sent_at: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// The body of a request that is one call.
    #[must_use]
    pub const fn new(call: Call, bytes: &'a [u8]) -> Self {
        Self { call: Some(call), bytes, context: None, sent_at: None }
    }

    /// A batch with nothing but this message, which [`read_batch`] reads again.
    #[must_use]
    pub fn as_batch(&self) -> Vec<u8> {
        let mut batch = Vec::with_capacity(self.size() + 64);
        batch.extend_from_slice(b"{\"batch\":[");
        batch.extend_from_slice(self.bytes);
        batch.push(b']');
        for (name, json) in [("context", self.context), ("sentAt", self.sent_at)] {
            if let Some(json) = json {
                batch.extend_from_slice(format!(",\"{name}\":").as_bytes());
                batch.extend_from_slice(json.as_bytes());
            }
        }
        batch.push(b'}');
        batch
    }

    /// Its bytes, without what its batch says.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes it has, with those of the batch's context.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.context.map_or(0, str::len)
    }
}

impl fmt::Debug for Message<'_> {
    /// Without the bytes, which hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("call", &self.call).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A request with several messages.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// In the order in which they were sent; each is good or bad on its own.
    pub messages: Vec<Message<'a>>,
}

/// Reads a request to `/v1/batch` of at most `most` messages.
///
/// # Errors
/// One fault for the whole request, of which nothing is taken then: bytes that are no JSON object, no array `batch` in it,
/// or more messages than `most`.
pub fn read_batch(bytes: &[u8], most: usize) -> Result<Batch<'_>, Fault> {
    let root = RawObject::from_bytes(bytes, "A batch")?;
    if let Some(name) = root.repeated() {
        let path = proto_events::cloud_event::shown(name);
        return Err(Fault::new(path, code::REPEATED_FIELD, "The field is there twice."));
    }
    let field = |name| root.0.iter().find(|(key, json)| key.as_str() == name && *json != "null").map(|(_, json)| *json);
    let missing = || Fault::new("batch", code::MISSING_FIELD, "The field is missing or empty.");
    let list = field("batch").ok_or_else(missing)?;
    let messages = split_batch(list.as_bytes(), most).map_err(|fault| Fault { path: "batch".to_owned(), ..fault })?;
    let (context, sent_at) = (field("context"), field("sentAt"));
    Ok(Batch { messages: messages.into_iter().map(|bytes| Message { call: None, bytes, context, sent_at }).collect() })
}

/// The write key in the body of a request, single call or batch, where the request's headers have none. It is a secret.
#[must_use]
pub fn write_key(bytes: &[u8]) -> Option<String> {
    let root = RawObject::from_bytes(bytes, "A request").ok()?;
    let (_, json) = root.0.iter().find(|(name, _)| name.as_str() == "writeKey")?;
    match Scalar::from_json(json)? {
        Scalar::Text(text) => text.trimmed().map(str::to_owned),
        Scalar::Null | Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Decimal(_) => None,
    }
}
