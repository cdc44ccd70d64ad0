//! Records as they are stored: what the facts and the personal part of a record hold, and their codec.
//!
//! The types here are the newest shapes. [`v1`] to [`v9`] hold the frozen shapes of their versions; a later
//! version adds a module with its own frozen shapes and a `From` step upward, and records of every version stay readable
//! for ever. The log is never rewritten.
//!
//! ```text
//! facts    = input | event*          (bincode 2, standard configuration: variable-length integers, little-endian)
//! input    = u8 variant | its fields (see v1::InputV1)
//! event*   = count | v1::EventV1, or u8 200 and v3::EventV3, or u8 201 and v4::EventV4, or u8 202 and
//!            v5::EventV5, or u8 203 and v6::EventV6, or u8 204 and v7::EventV7 …
//! personal = v1::PersonalV1, sealed
//! ```

pub mod book;
mod convert;
pub mod v1;
pub mod v2;
pub mod v3;
pub mod v4;
pub mod v5;
pub mod v6;
pub mod v7;
pub mod v8;
pub mod v9;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use compact_str::CompactString;
use lead_domain::interaction::Details;
use lead_domain::{Command, Event, IdentifierKey, Identifiers, Interaction, OrderKey, Scalar, Time, VisitorId};
use thiserror::Error;

use crate::text::Text;
use convert::Recorded;
pub use v1::{
    AttributeV1 as Attribute, CampaignV1 as Campaign, ConflictV1 as Conflict, DeviceV1 as Device,
    InteractionV1 as InteractionFacts, PersonalV1 as Personal, ProductV1 as Product, QuarantinedV1 as Quarantined,
    SaleV1 as StoredSale, ValueV1 as Value,
};
pub use v2::{
    CommandV2 as StoredCommand, PolicyV2 as StoredPolicy, ReleasedV2 as Released, RequestKeyV2 as RequestKey,
};
pub use v5::DiscreditV5 as Discredit;
pub use v6::ErasureV6 as Erasure;
pub use v7::RescoringV7 as Rescoring;
pub use v8::SuppressionV8 as Suppression;
pub use v9::SignedHeadV9 as SignedHead;

/// The codec id of bincode 2.0.1, standard configuration, version 1 of the shapes.
pub const CODEC: u8 = 1;

/// No stored structure is larger; a length field that claims more is damage.
const DECODED_BYTES_MAX: usize = 64 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODED_BYTES_MAX>> =
    bincode::config::standard().with_limit::<DECODED_BYTES_MAX>();

/// Bytes that are not what their codec id says.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Encoded by a newer program.
    #[error("decode {what}: codec {found} is unknown to this program. Use a newer program")]
    Codec {
        /// What was to be decoded.
        what: &'static str,
        /// The codec id found.
        found: u8,
    },
    /// The bytes are damaged.
    #[error("decode {what}: the bytes are damaged")]
    Damaged {
        /// What was to be decoded.
        what: &'static str,
        /// What the codec said.
        #[source]
        source: bincode::error::DecodeError,
    },
    /// Bytes are left over.
    #[error("decode {what}: {bytes} bytes are left over")]
    LeftOver {
        /// What was to be decoded.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
}

/// What a record holds besides its header and personal part.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What was decided about.
    pub input: InputFacts,
    /// What was decided, in order.
    pub events: Vec<Event>,
}

/// An input as recorded, without personal data. Its times stand in the record's header.
#[derive(Clone, Debug, PartialEq)]
pub enum InputFacts {
    /// A touch of a visitor.
    Interaction(Box<InteractionFacts>),
    /// An operator's request.
    Command(StoredCommand),
    /// A policy was adopted.
    Policy(StoredPolicy),
    /// The tenant's clock advanced to the record's `occurred_at`.
    Tick,
    /// The tenant's clock, at `occurred_at`, had passed a deadline of the record's visitor.
    Deadline,
    /// An input that could not be taken.
    Quarantined(Quarantined),
    /// An interaction with a known source and id but other content.
    Conflict(Conflict),
    /// The hash over all canonical books as they stood after the record before.
    StateRoot([u8; 32]),
    /// A quarantined input was taken after all, by the record before, or set aside for good.
    Released(Released),
    /// Leads are scored anew under another policy.
    Rescoring(Rescoring),
    /// An operator's request to take the points of an interaction away.
    Discredit(Discredit),
    /// An operator's request to forget who a visitor is.
    Erasure(Erasure),
    /// An operator's request to collect nothing that carries some identifiers, or to collect it again.
    Suppression(Suppression),
    /// The log's head was signed.
    SignedHead(SignedHead),
}

/// An input, borrowed from wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputRef<'a> {
    /// A touch of a visitor.
    Interaction(&'a InteractionFacts),
    /// Any other input.
    Other(&'a InputFacts),
}

impl InputFacts {
    /// An operator's request as it is recorded.
    #[must_use]
    pub fn asked(
        command: &Command,
        operator: Text,
        expected_version: Option<u32>,
        request: Option<RequestKey>,
    ) -> Self {
        if let Some(discredit) = Discredit::of(command, operator.clone(), expected_version, request) {
            return Self::Discredit(discredit);
        }
        match Recorded::of(command) {
            Recorded::Ask(ask) => Self::Command(StoredCommand { operator, expected_version, ask, request }),
            Recorded::Erasure(VisitorId(visitor), reason) => {
                Self::Erasure(Erasure { operator, visitor, reason, untaken_keys: Vec::new(), request })
            }
        }
    }

    /// The input, borrowed.
    #[must_use]
    pub fn as_input(&self) -> InputRef<'_> {
        match self {
            Self::Interaction(facts) => InputRef::Interaction(facts),
            Self::Command(_)
            | Self::Policy(_)
            | Self::Tick
            | Self::Deadline
            | Self::Quarantined(_)
            | Self::Conflict(_)
            | Self::StateRoot(_)
            | Self::Released(_)
            | Self::Discredit(_)
            | Self::Erasure(_)
            | Self::Suppression(_)
            | Self::SignedHead(_)
            | Self::Rescoring(_) => InputRef::Other(self),
        }
    }
}

/// The kind numbers in record headers. Append only.
pub mod kind {
    /// An interaction.
    pub const INTERACTION: u8 = 1;
    /// An operator's command.
    pub const COMMAND: u8 = 2;
    /// A policy.
    pub const POLICY: u8 = 3;
    /// A tick of a tenant's clock.
    pub const TICK: u8 = 4;
    /// A visitor's deadline.
    pub const DEADLINE: u8 = 5;
    /// A quarantined input.
    pub const QUARANTINED: u8 = 6;
    /// A conflicting duplicate.
    pub const CONFLICT: u8 = 7;
    /// A state root.
    pub const STATE_ROOT: u8 = 8;
    /// A release from quarantine.
    pub const RELEASED: u8 = 9;
    /// An operator's command that was sent under a key.
    pub const KEYED_COMMAND: u8 = 10;
    /// A policy that was sent under a key.
    pub const KEYED_POLICY: u8 = 11;
    /// A release from quarantine that was sent under a key, or says where the input is now.
    pub const KEYED_RELEASE: u8 = 12;
    /// A step of scoring leads anew.
    pub const RESCORING: u8 = 13;
    /// An operator's request to take the points of an interaction away.
    pub const DISCREDIT: u8 = 14;
    /// An operator's request to forget who a visitor is.
    pub const ERASURE: u8 = 15;
    /// An operator's request about what is not to be collected.
    pub const SUPPRESSION: u8 = 16;
    /// A signed head of the log.
    pub const SIGNED_HEAD: u8 = 18;
}

/// Appends the encoding of `value` to `out`.
///
/// Encoding into memory can't fail: no stored type has a value that its encoding refuses.
fn encode_into<T: bincode::Encode>(value: &T, out: &mut Vec<u8>) {
    let written = bincode::encode_into_std_write(value, out, CONFIG);
    debug_assert!(written.is_ok(), "stored types always encode");
}

fn decode_from<'a, T: bincode::BorrowDecode<'a, ()>>(
    what: &'static str,
    bytes: &'a [u8],
) -> Result<(T, &'a [u8]), DecodeError> {
    let (value, read) =
        bincode::borrow_decode_from_slice(bytes, CONFIG).map_err(|source| DecodeError::Damaged { what, source })?;
    Ok((value, bytes.get(read..).unwrap_or_default()))
}

fn decode_whole<'a, T: bincode::BorrowDecode<'a, ()>>(what: &'static str, bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_from(what, bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::LeftOver { what, bytes: rest.len() }) }
}

/// Appends a count and the events: the second half of a record's facts.
pub fn encode_events(events: &[Event], out: &mut Vec<u8>) {
    encode_into(&(events.len() as u64), out);
    for event in events {
        if let Some(event) = v3::stored(event) {
            out.push(v3::EVENT_MARK);
            encode_into(&event, out);
        } else if let Some(event) = v4::stored(event) {
            out.push(v4::EVENT_MARK);
            encode_into(&event, out);
        } else if let Some(event) = v5::stored(event) {
            out.push(v5::EVENT_MARK);
            encode_into(&event, out);
        } else if let Some(event) = v7::stored(event) {
            out.push(v7::EVENT_MARK);
            encode_into(&event, out);
        } else if let Some(event) = v6::stored(event) {
            out.push(v6::EVENT_MARK);
            encode_into(&event, out);
        } else {
            encode_into(&v1::EventV1::from(event), out);
        }
    }
}

/// Appends an input: the first half of a record's facts.
pub fn encode_input(input: &InputFacts, out: &mut Vec<u8>) {
    out.push(input.kind());
    match input {
        InputFacts::Interaction(interaction) => encode_into(interaction.as_ref(), out),
        // Without a key the first version says all there is to say.
        InputFacts::Command(command) if command.request.is_none() => {
            let StoredCommand { operator, expected_version, ask, request: _ } = command.clone();
            encode_into(&v1::CommandV1 { operator, expected_version, ask }, out);
        }
        InputFacts::Command(command) => encode_into(command, out),
        InputFacts::Policy(policy) if policy.request.is_none() => {
            let StoredPolicy { version, tenant, document, request: _ } = policy.clone();
            encode_into(&v1::PolicyV1 { version, tenant, document }, out);
        }
        InputFacts::Policy(policy) => encode_into(policy, out),
        InputFacts::Tick | InputFacts::Deadline => {}
        InputFacts::Quarantined(quarantined) => encode_into(quarantined, out),
        InputFacts::Conflict(conflict) => encode_into(conflict, out),
        InputFacts::StateRoot(root) => encode_into(root, out),
        InputFacts::Released(released) if is_first_release(released) => {
            let Released { quarantined, operator, taken: _, request: _ } = released.clone();
            encode_into(&v1::ReleasedV1 { quarantined, operator }, out);
        }
        InputFacts::Released(released) => encode_into(released, out),
        InputFacts::Rescoring(rescoring) => encode_into(rescoring, out),
        InputFacts::Discredit(discredit) => encode_into(discredit, out),
        InputFacts::Erasure(erasure) => encode_into(erasure, out),
        InputFacts::Suppression(suppression) => encode_into(suppression, out),
        InputFacts::SignedHead(head) => encode_into(head, out),
    }
}

/// Whether the first version says all there is to say about a release.
const fn is_first_release(released: &Released) -> bool {
    released.taken.is_none() && released.request.is_none()
}

/// Appends an interaction as an input, borrowed: what [`encode_input`] appends for it.
pub fn encode_interaction(interaction: &InteractionFacts, out: &mut Vec<u8>) {
    out.push(kind::INTERACTION);
    encode_into(interaction, out);
}

/// Appends a personal part, before it is sealed.
pub fn encode_personal(personal: &Personal, out: &mut Vec<u8>) {
    encode_into(personal, out);
}

/// Reads a record's facts.
///
/// # Errors
/// When the codec is unknown or the bytes are damaged.
pub fn decode_facts(codec: u8, bytes: &[u8]) -> Result<Facts, DecodeError> {
    let (input, rest) = decode_input(codec, bytes)?;
    let (count, mut rest) = decode_from::<u64>("events", rest)?;
    // An event takes at least one byte, so a larger count is damage and must not reserve memory.
    let mut events = Vec::with_capacity(usize::try_from(count).unwrap_or(usize::MAX).min(rest.len()));
    for _ in 0..count {
        let (event, tail) = match rest.split_first() {
            Some((&v3::EVENT_MARK, rest)) => {
                decode_from::<v3::EventV3>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
            Some((&v4::EVENT_MARK, rest)) => {
                decode_from::<v4::EventV4>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
            Some((&v5::EVENT_MARK, rest)) => {
                decode_from::<v5::EventV5>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
            Some((&v7::EVENT_MARK, rest)) => {
                decode_from::<v7::EventV7>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
            Some((&v6::EVENT_MARK, rest)) => {
                decode_from::<v6::EventV6>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
            Some(_) | None => {
                decode_from::<v1::EventV1>("an event", rest).map(|(event, tail)| (Event::from(event), tail))?
            }
        };
        events.push(event);
        rest = tail;
    }
    if rest.is_empty() {
        Ok(Facts { input, events })
    } else {
        Err(DecodeError::LeftOver { what: "facts", bytes: rest.len() })
    }
}

/// Reads the input of a record's facts and returns the bytes of its events.
///
/// # Errors
/// When the codec is unknown or the bytes are damaged.
pub fn decode_input(codec: u8, bytes: &[u8]) -> Result<(InputFacts, &[u8]), DecodeError> {
    if codec != CODEC {
        return Err(DecodeError::Codec { what: "facts", found: codec });
    }
    let (&number, rest) = bytes.split_first().ok_or(DecodeError::LeftOver { what: "an empty input", bytes: 0 })?;
    Ok(match number {
        kind::INTERACTION => {
            let (interaction, rest) = decode_from("an interaction", rest)?;
            (InputFacts::Interaction(Box::new(interaction)), rest)
        }
        kind::COMMAND => decode_from::<v1::CommandV1>("a command", rest)
            .map(|(command, rest)| (InputFacts::Command(command.into()), rest))?,
        kind::KEYED_COMMAND => {
            decode_from("a command", rest).map(|(command, rest)| (InputFacts::Command(command), rest))?
        }
        kind::POLICY => decode_from::<v1::PolicyV1>("a policy", rest)
            .map(|(policy, rest)| (InputFacts::Policy(policy.into()), rest))?,
        kind::KEYED_POLICY => decode_from("a policy", rest).map(|(policy, rest)| (InputFacts::Policy(policy), rest))?,
        kind::TICK => (InputFacts::Tick, rest),
        kind::DEADLINE => (InputFacts::Deadline, rest),
        kind::QUARANTINED => {
            decode_from("a quarantined input", rest).map(|(input, rest)| (InputFacts::Quarantined(input), rest))?
        }
        kind::CONFLICT => decode_from("a conflict", rest).map(|(input, rest)| (InputFacts::Conflict(input), rest))?,
        kind::STATE_ROOT => {
            decode_from("a state root", rest).map(|(root, rest)| (InputFacts::StateRoot(root), rest))?
        }
        kind::RELEASED => decode_from::<v1::ReleasedV1>("a release", rest)
            .map(|(released, rest)| (InputFacts::Released(released.into()), rest))?,
        kind::KEYED_RELEASE => {
            decode_from("a release", rest).map(|(released, rest)| (InputFacts::Released(released), rest))?
        }
        kind::DISCREDIT => {
            decode_from("a discredit", rest).map(|(discredit, rest)| (InputFacts::Discredit(discredit), rest))?
        }
        kind::RESCORING => {
            decode_from("a step of scoring anew", rest).map(|(step, rest)| (InputFacts::Rescoring(step), rest))?
        }
        kind::ERASURE => decode_from("an erasure", rest).map(|(erasure, rest)| (InputFacts::Erasure(erasure), rest))?,
        kind::SUPPRESSION => {
            decode_from("a suppression", rest).map(|(asked, rest)| (InputFacts::Suppression(asked), rest))?
        }
        kind::SIGNED_HEAD => {
            decode_from("a signed head", rest).map(|(head, rest)| (InputFacts::SignedHead(head), rest))?
        }
        unknown => return Err(DecodeError::Codec { what: "an input of this kind", found: unknown }),
    })
}

/// Reads a personal part that was opened.
///
/// # Errors
/// When the codec is unknown or the bytes are damaged.
pub fn decode_personal(codec: u8, bytes: &[u8]) -> Result<Personal, DecodeError> {
    if codec != CODEC {
        return Err(DecodeError::Codec { what: "a personal part", found: codec });
    }
    decode_whole("a personal part", bytes)
}

impl InputFacts {
    /// The kind number for the record's header.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Interaction(_) => kind::INTERACTION,
            Self::Command(command) if command.request.is_none() => kind::COMMAND,
            Self::Command(_) => kind::KEYED_COMMAND,
            Self::Policy(policy) if policy.request.is_none() => kind::POLICY,
            Self::Policy(_) => kind::KEYED_POLICY,
            Self::Tick => kind::TICK,
            Self::Deadline => kind::DEADLINE,
            Self::Quarantined(_) => kind::QUARANTINED,
            Self::Conflict(_) => kind::CONFLICT,
            Self::StateRoot(_) => kind::STATE_ROOT,
            Self::Released(released) if is_first_release(released) => kind::RELEASED,
            Self::Released(_) => kind::KEYED_RELEASE,
            Self::Rescoring(_) => kind::RESCORING,
            Self::Discredit(_) => kind::DISCREDIT,
            Self::Erasure(_) => kind::ERASURE,
            Self::Suppression(_) => kind::SUPPRESSION,
            Self::SignedHead(_) => kind::SIGNED_HEAD,
        }
    }
}

fn as_str(text: &Option<Text>) -> Option<&str> {
    text.as_ref().map(Text::as_str)
}

impl InteractionFacts {
    /// What the decider looks at. `attributes` is scratch space that the result borrows.
    #[must_use]
    pub fn as_decided<'a>(
        &'a self,
        occurred_at: Time,
        attributes: &'a mut Vec<(CompactString, Scalar)>,
    ) -> Interaction<'a> {
        attributes.clear();
        attributes
            .extend(self.attributes.iter().map(|attribute| (attribute.name.0.clone(), (&attribute.value).into())));
        let (product, campaign) = (self.product.as_ref(), self.campaign.as_ref());
        Interaction {
            occurred_at,
            identifiers: self.identifiers(),
            channel: self.channel.as_str(),
            skill: self.skill.as_ref().map(Text::as_str),
            action: self.action.as_str(),
            conversion: self.sale.as_ref().map(lead_domain::interaction::Sale::from),
            details: Details {
                product_id: product.and_then(|product| as_str(&product.id)),
                product_category: product.and_then(|product| as_str(&product.category)),
                product_price: product.and_then(|product| product.price).map(|(amount, _)| amount),
                campaign: campaign.and_then(|campaign| as_str(&campaign.name)),
                campaign_source: campaign.and_then(|campaign| as_str(&campaign.source)),
                campaign_medium: campaign.and_then(|campaign| as_str(&campaign.medium)),
                country: as_str(&self.country),
                locale: as_str(&self.locale),
            },
            attributes,
        }
    }

    /// Whom it names.
    #[must_use]
    pub fn identifiers(&self) -> Identifiers {
        let key = |hash: Option<u128>| hash.map(IdentifierKey);
        Identifiers {
            customer_id: key(self.customer_id),
            email: key(self.email),
            phone: key(self.phone),
            visitor_id: key(self.visitor_id),
        }
    }

    /// The order that the interaction reports, if any.
    #[must_use]
    pub fn order(&self) -> Option<OrderKey> {
        self.sale.as_ref().and_then(|sale| sale.order).map(OrderKey)
    }
}
