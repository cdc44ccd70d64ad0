//! Lead events out: records become CloudEvents and go to destinations in order, at least once.
//!
//! Each destination has a worker and a cursor of its own, so a dead one delays nobody. Events go out only forward: a
//! projection that is rebuilt sends nothing again, because the cursors are not its.
//!
//! This crate knows logs and webhooks. It knows no NATS: that destination implements [`Destination`] elsewhere. It opens
//! no personal part and holds no keys. Nothing personal goes out but with a due step of a nurture programme, which tells
//! whom a message is for: whoever makes a delivery gives it somebody to ask ([`Persons`]).

#![forbid(unsafe_code)]

mod filter;
mod outgoing;
mod person;

mod cursor;
mod destination;

mod back_off;
mod delivery;
mod page;

mod webhook;

pub use cursor::{CursorError, CursorStore, FileCursors};
pub use delivery::{Delivery, DeliveryHandle, DeliveryOptions, DeliveryState, Ended, PublishError, StartAt};
pub use destination::{DeliveryError, Destination, Retry};
pub use filter::{EVENT_WORDS, EventFilter, Only, UnknownEvent};
pub use outgoing::{OutgoingEvent, outgoing_events};
pub use page::TenantNames;
pub use person::{NoPersons, PersonError, Persons};
pub use webhook::{BadSecret, Webhook, WebhookError, WebhookOptions, WebhookSecret};
