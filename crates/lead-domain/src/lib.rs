//! What a lead is and how it lives: the pure decider of Leadfold.
//!
//! This crate takes data and returns data. It knows no clock, no randomness, no I/O, no storage and no wire format;
//! personal data never reaches it, because identifiers arrive as keyed hashes.
//!
//! The flow is the classic decider: [`decide`](decide::decide) looks at a [`Shelf`] of visitors' [`Book`]s, an [`Input`]
//! and the tenant's [`Policy`], and states [`Event`]s; [`Shelf::evolve`] is the only way in which a book changes.

#![forbid(unsafe_code)]

pub mod time;

pub mod ids;

pub mod money;

pub mod identifier;

pub mod score;

pub mod nurture;

pub mod policy;

pub mod interaction;

pub mod command;

pub mod event;

pub mod book;

pub mod shelf;

pub mod decide;

pub use book::{Book, CloseCause, Conversion, Lead, Place, Status};
pub use command::{Command, Input};
pub use decide::{Refusal, decide};
pub use event::Event;
pub use identifier::{Identifier, IdentifierKey, IdentifierKind, Identifiers};
pub use ids::{InteractionId, LeadId, OrderKey, TenantId, VisitorId};
pub use interaction::{Interaction, Scalar};
pub use money::{Currency, Money};
pub use policy::Policy;
pub use score::{Ledger, Score, ScoreRow, Temperature};
pub use shelf::Shelf;
pub use time::{Period, Time};

/// A short name that people chose: a lead type, skill, channel, action, reason.
///
/// Up to 24 bytes stand inline, so that cloning one usually allocates nothing.
pub type Name = compact_str::CompactString;
