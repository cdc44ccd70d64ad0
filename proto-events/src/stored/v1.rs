//! The frozen shapes of version 1. Nothing here ever changes: a new shape is a new version beside this one.
//!
//! Field order is the byte order. Enum variants are numbered in order of declaration.

use bincode::{BorrowDecode, Encode};

use crate::text::Text;

/// An interaction without personal data: what was done where, and keyed hashes of who may have done it.
///
/// Each hash is the first 128 bits of keyed BLAKE3 over tenant, kind and normalised value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct InteractionV1 {
    /// Keyed hash of tenant, source and id: what makes a second one a duplicate.
    pub message: u128,
    /// Hash of the content, to tell a conflicting duplicate.
    pub fingerprint: u64,
    /// The channel or entry point.
    pub channel: Text,
    /// The operator group that it was addressed to.
    pub skill: Option<Text>,
    /// A dotted word such as `product.viewed`.
    pub action: Text,
    /// Hash of the tenant's own number for the customer.
    pub customer_id: Option<u128>,
    /// Hash of the e-mail address.
    pub email: Option<u128>,
    /// Hash of the phone number.
    pub phone: Option<u128>,
    /// Hash of the cookie or device id.
    pub visitor_id: Option<u128>,
    /// What was sold.
    pub sale: Option<SaleV1>,
    /// What it was about.
    pub product: Option<ProductV1>,
    /// What brought the visitor.
    pub campaign: Option<CampaignV1>,
    /// What the visitor used.
    pub device: Option<DeviceV1>,
    /// ISO 3166 country.
    pub country: Option<Text>,
    /// BCP 47 language tag.
    pub locale: Option<Text>,
    /// The attributes that the policy's conditions name, sorted by name. All others are sealed.
    pub attributes: Vec<AttributeV1>,
}

/// A sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct SaleV1 {
    /// What was paid: minor units and ISO 4217 code.
    pub value: Option<(i64, [u8; 3])>,
    /// Units sold.
    pub rgus: u32,
    /// Keyed hash of tenant and order id.
    pub order: Option<u128>,
}

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ProductV1 {
    /// The shop's number for it.
    pub id: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
    /// Its category.
    pub category: Option<Text>,
    /// Its price: minor units and ISO 4217 code.
    pub price: Option<(i64, [u8; 3])>,
}

/// A campaign, by UTM names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct CampaignV1 {
    /// `utm_campaign`.
    pub name: Option<Text>,
    /// `utm_source`.
    pub source: Option<Text>,
    /// `utm_medium`.
    pub medium: Option<Text>,
    /// `utm_term`.
    pub term: Option<Text>,
    /// `utm_content`.
    pub content: Option<Text>,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct DeviceV1 {
    /// Browser name.
    pub browser: Option<Text>,
    /// `desktop`, `mobile`, `tablet` …
    pub kind: Option<Text>,
    /// Operating system.
    pub os: Option<Text>,
}

/// A free attribute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct AttributeV1 {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: ValueV1,
}

/// A scalar. Numbers that are not whole are kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum ValueV1 {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number that is not whole, as written in JSON.
    Decimal(Text),
    /// Text.
    Text(Text),
}

/// Personal data of a record; stored sealed only. Everything is optional but what the kind of input brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, BorrowDecode)]
pub struct PersonalV1 {
    /// CloudEvents `source`.
    pub source: Text,
    /// CloudEvents `id`.
    pub id: Text,
    /// As sent.
    pub customer_id: Option<Text>,
    /// Normalised.
    pub email: Option<Text>,
    /// As sent, where that differs.
    pub email_raw: Option<Text>,
    /// E.164.
    pub phone: Option<Text>,
    /// As sent, where that differs.
    pub phone_raw: Option<Text>,
    /// As sent.
    pub visitor_id: Option<Text>,
    /// The contact's name.
    pub name: Option<Text>,
    /// The order id, as sent.
    pub order_id: Option<Text>,
    /// The page's address.
    pub page_url: Option<Text>,
    /// Where the visitor came from.
    pub referrer: Option<Text>,
    /// As sent, where it was parsed.
    pub user_agent: Option<Text>,
    /// The attributes that the facts don't hold; for a `SetAttributes` command, those set.
    pub attributes: Vec<AttributeV1>,
    /// An operator's note.
    pub note: Option<Text>,
    /// The bytes of an input that was not taken.
    pub bytes: Option<Vec<u8>>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct PolicyV1 {
    /// From 1 for each tenant.
    pub version: u32,
    /// The tenant's name.
    pub tenant: Text,
    /// The document, as adopted (TOML).
    pub document: String,
}

/// An input that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct QuarantinedV1 {
    /// Keyed hash of tenant and bytes: a second one is a duplicate.
    pub message: u128,
    /// A stable word, such as `missing_identifier`.
    pub code: Text,
    /// Where in the input, such as `data.email`; never a value.
    pub path: Text,
    /// What would be right, for people; never a value.
    pub message_text: Text,
    /// Where it came from: a file name and line, or a subject.
    pub origin: Text,
}

/// A conflicting duplicate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ConflictV1 {
    /// Keyed hash of tenant, source, id and content: a second one of the same content is a duplicate of this record.
    pub message: u128,
    /// The record that it conflicts with.
    pub original: u64,
    /// The hash of its content.
    pub fingerprint: u64,
}

/// The end of a quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct ReleasedV1 {
    /// The record of the quarantined input.
    pub quarantined: u64,
    /// Who asked: an account name.
    pub operator: Text,
}

/// An operator's request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct CommandV1 {
    /// Who asked: an account name.
    pub operator: Text,
    /// The lead's version that the caller had seen.
    pub expected_version: Option<u32>,
    /// What was asked.
    pub ask: AskV1,
}

/// A lead's id: visitor and ordinal.
pub type LeadV1 = (u64, u32);

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum AskV1 {
    /// Visitor, lead type.
    OpenLead(u64, Text),
    /// Lead, reason.
    CloseLead(LeadV1, Text),
    /// Lead, sale.
    ConvertLead(LeadV1, SaleV1),
    /// Lead, order.
    WithdrawConversion(LeadV1, Option<u128>),
    /// Lead.
    ReopenLead(LeadV1),
    /// Lead, lead type.
    ChangeLeadType(LeadV1, Text),
    /// Lead, owner.
    AssignLead(LeadV1, Option<Text>),
    /// Lead; the text is sealed.
    AddNote(LeadV1),
    /// Lead, names; the values are sealed.
    SetAttributes(LeadV1, Vec<Text>),
    /// Orphan, target lead or else lead type.
    AdoptOrphan(RecordedV1, Option<LeadV1>, Option<Text>),
    /// Interaction, where it was recorded, target, first and last of the interactions that the old lead keeps.
    MoveInteraction(RecordedV1, LeadV1, LeadV1, Option<(i64, i64)>),
    /// Two visitors.
    MergeVisitors(u64, u64),
    /// Visitor, whether the two are kept apart from then on.
    UnmergeVisitor(u64, bool),
    /// Two visitors.
    SettleDuplicate(u64, u64),
}

/// A recorded interaction: position, occurred at, visitor.
pub type RecordedV1 = (u64, i64, u64);

/// One event. Times in milliseconds since the epoch, leads as visitor and ordinal, hashes as 128 bits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
#[expect(missing_docs, reason = "the fields are those of lead_domain::Event, under the same names")]
pub enum EventV1 {
    VisitorCreated {
        visitor: u64,
    },
    IdentifierLearned {
        visitor: u64,
        identifier: IdentifierV1,
    },
    IdentifierMoved {
        identifier: IdentifierV1,
        from: u64,
        to: u64,
    },
    VisitorsMerged {
        survivor: u64,
        absorbed: u64,
    },
    VisitorsUnmerged {
        survivor: u64,
        restored: u64,
        keep_apart: bool,
    },
    DuplicateSuspected {
        visitor: u64,
        other: u64,
        identifier: IdentifierV1,
    },
    DuplicateSettled {
        visitor: u64,
        other: u64,
    },
    LeadOpened {
        lead: LeadV1,
        visitor: u64,
        lead_type: Text,
        at: i64,
        customer: Option<u128>,
        deadline: i64,
    },
    CustomerLearned {
        lead: LeadV1,
        customer: u128,
    },
    InteractionAttached {
        lead: LeadV1,
        interaction: u64,
        occurred_at: i64,
        because: AttachReasonV1,
        candidates: Vec<LeadV1>,
        deadline: i64,
    },
    InteractionOrphaned {
        interaction: u64,
        reason: OrphanReasonV1,
    },
    InteractionMoved {
        interaction: u64,
        occurred_at: i64,
        from: LeadV1,
        to: LeadV1,
        remaining: Option<(i64, i64)>,
        from_deadline: i64,
        to_deadline: i64,
    },
    ConversionRecorded {
        lead: LeadV1,
        interaction: Option<u64>,
        at: i64,
        sale: SaleV1,
    },
    ConversionRepeated {
        lead: LeadV1,
        order: u128,
        counted_for: LeadV1,
    },
    ConversionWithdrawn {
        lead: LeadV1,
        at: i64,
        sale: SaleV1,
    },
    LeadClosed {
        lead: LeadV1,
        cause: CloseCauseV1,
        at: i64,
        reason: Option<Text>,
    },
    LeadReopened {
        lead: LeadV1,
        at: i64,
        because: ReopenReasonV1,
        deadline: i64,
    },
    LeadTypeChanged {
        lead: LeadV1,
        from: Text,
        to: Text,
        deadline: i64,
    },
    LeadAssigned {
        lead: LeadV1,
        owner: Option<Text>,
    },
    NoteAdded {
        lead: LeadV1,
    },
    AttributesSet {
        lead: LeadV1,
        names: Vec<Text>,
    },
}

/// An identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct IdentifierV1 {
    /// What it is.
    pub kind: IdentifierKindV1,
    /// Keyed hash.
    pub key: u128,
}

macro_rules! mirrored {
    ($(#[$doc:meta])* $name:ident = $domain:path { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, BorrowDecode)]
        #[expect(missing_docs, reason = "the variants are the domain's, under the same names")]
        pub enum $name { $($variant),+ }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $domain {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

pub(super) use mirrored;

mirrored! {
    /// `lead_domain::IdentifierKind`.
    IdentifierKindV1 = lead_domain::IdentifierKind { CustomerId, Email, Phone, VisitorId }
}
mirrored! {
    /// `lead_domain::event::AttachReason`.
    AttachReasonV1 = lead_domain::event::AttachReason {
        Opened, OnlyCandidate, MostRecent, HighestScore, LateReopened, LateHistory, Adopted,
    }
}
mirrored! {
    /// `lead_domain::event::OrphanReason`.
    OrphanReasonV1 = lead_domain::event::OrphanReason {
        UnknownEntryPoint, NoDefaultLeadType, InactiveLeadType, TooManyLeads,
    }
}
mirrored! {
    /// `lead_domain::event::ReopenReason`.
    ReopenReasonV1 = lead_domain::event::ReopenReason { Operator, ConversionWithdrawn, LateInteraction }
}
mirrored! {
    /// `lead_domain::CloseCause`.
    CloseCauseV1 = lead_domain::CloseCause { Conversion, Operator, Inactivity, Merged, Erased }
}
