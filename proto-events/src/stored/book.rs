//! A visitor's book as bytes, in one canonical form: equal books have equal bytes, whatever led to them.
//!
//! The bytes hold no personal data in clear (identifiers are keyed hashes), so a hash over them survives erasure.

use bincode::{BorrowDecode, Encode};
use lead_domain::book::{Book, Conversion, Held, Lead, Member, Moved, Status, Suspected};
use lead_domain::{IdentifierKey, InteractionId, LeadId, TenantId, Time, VisitorId};

use super::convert::{identifier, lead as lead_id, stored_identifier, stored_lead};
use super::v1::{CloseCauseV1, IdentifierV1, LeadV1, SaleV1};
use super::v3::LedgerV3;
use super::v4::NurtureV4;
use super::v6::ERASED_MARK;
use super::{DecodeError, decode_from, decode_whole, encode_into};
use crate::text::Text;

/// The frozen shape of a book, version 1.
#[derive(Clone, Debug, PartialEq, Eq, BorrowDecode)]
struct BookV1 {
    visitor: u64,
    tenant: u32,
    /// Visitor, merged into, leads opened.
    members: Vec<(u64, u64, u32)>,
    identifiers: Vec<(IdentifierV1, u64)>,
    leads: Vec<LeadStateV1>,
    /// Member, other, settled.
    suspected: Vec<(u64, u64, bool)>,
    moved: Vec<(u64, LeadV1)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
struct LeadStateV1 {
    id: LeadV1,
    lead_type: Text,
    closed: Option<(CloseCauseV1, i64)>,
    opened_at: i64,
    first_interaction_at: i64,
    last_interaction_at: i64,
    reopened_at: Option<i64>,
    deadline: i64,
    interactions: u32,
    customer: Option<u128>,
    score: i32,
    owner: Option<Text>,
    conversions: Vec<ConversionStateV1>,
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
struct ConversionStateV1 {
    interaction: Option<u64>,
    at: i64,
    sale: SaleV1,
    withdrawn: bool,
}

/// Appends the canonical bytes of a book.
///
/// Written field by field in the order of `BookV1`, which [`decode_book`] reads, so that hashing every changed book for a
/// state root allocates nothing.
pub fn encode_book(book: &Book, out: &mut Vec<u8>) {
    encode_into(&(book.visitor.0, book.tenant.0), out);
    encode_all(&book.members, out, |member| (member.visitor.0, member.into.0, member.leads_opened));
    encode_all(&book.identifiers, out, |held| (stored_identifier(held.identifier), held.by.0));
    encode_all(&book.leads, out, stored_state);
    encode_all(&book.suspected, out, |known| (known.member.0, known.other.0, known.settled));
    encode_all(&book.moved, out, |moved| (moved.interaction.0, stored_lead(moved.lead)));
    encode_ledgers(book, out);
    if book.erased {
        out.push(ERASED_MARK);
    }
}

/// Appends the ledgers and what is kept of nurturing; nothing where there is neither, so that a book without them has the
/// bytes of version 1, and one without nurturing those of version 3.
fn encode_ledgers(book: &Book, out: &mut Vec<u8>) {
    let ledgers = book.leads.iter().zip(0_u32..).filter_map(|(lead, place)| Some((place, lead.ledger.as_deref()?)));
    let count = ledgers.clone().count() as u64;
    if count == 0 && book.nurture.is_none() && !book.erased {
        return;
    }
    encode_into(&count, out);
    for (place, ledger) in ledgers {
        encode_into(&(place, LedgerV3::from(ledger)), out);
    }
    if let Some(nurture) = &book.nurture {
        encode_into(&NurtureV4::from(nurture.as_ref()), out);
    }
}

/// Appends a list: its length and its items, as bincode encodes a `Vec`.
fn encode_all<T, S: Encode>(items: &[T], out: &mut Vec<u8>, stored: impl Fn(&T) -> S) {
    encode_into(&(items.len() as u64), out);
    for item in items {
        encode_into(&stored(item), out);
    }
}

/// Reads a book from its canonical bytes.
///
/// # Errors
/// When the bytes are damaged.
pub fn decode_book(bytes: &[u8]) -> Result<Book, DecodeError> {
    let (book, rest) = decode_from::<BookV1>("a book", bytes)?;
    let mut book = restored(&book);
    if rest.is_empty() {
        return Ok(book);
    }
    let (ledgers, rest) = decode_from::<Vec<(u32, LedgerV3)>>("a book's ledgers", rest)?;
    // Nothing is kept of nurturing an erased person, and what is kept of others is never one byte.
    match rest {
        [] => {}
        [ERASED_MARK] => book.erased = true,
        [..] => {
            let nurture = decode_whole::<NurtureV4>("a book's nurture programmes", rest)?;
            book.nurture = Some(Box::new(nurture.into()));
        }
    }
    for (place, ledger) in ledgers {
        let lead = usize::try_from(place).ok().and_then(|place| book.leads.get_mut(place));
        if let Some(lead) = lead {
            lead.ledger = Some(Box::new(ledger.into()));
        }
    }
    Ok(book)
}

fn stored_state(lead: &Lead) -> LeadStateV1 {
    LeadStateV1 {
        id: stored_lead(lead.id),
        lead_type: Text(lead.lead_type.clone()),
        closed: match lead.status {
            Status::Open => None,
            Status::Closed { cause, at } => Some((cause.into(), at.as_millis())),
        },
        opened_at: lead.opened_at.as_millis(),
        first_interaction_at: lead.first_interaction_at.as_millis(),
        last_interaction_at: lead.last_interaction_at.as_millis(),
        reopened_at: lead.reopened_at.map(Time::as_millis),
        deadline: lead.deadline.as_millis(),
        interactions: lead.interactions,
        customer: lead.customer.map(|key| key.0),
        score: lead.score,
        owner: lead.owner.clone().map(Text),
        conversions: lead.conversions.iter().map(stored_conversion).collect(),
        version: lead.version,
    }
}

fn stored_conversion(conversion: &Conversion) -> ConversionStateV1 {
    let Conversion { interaction, at, value, rgus, order, withdrawn } = *conversion;
    ConversionStateV1 {
        interaction: interaction.map(|id| id.0),
        at: at.as_millis(),
        sale: SaleV1::from(&lead_domain::interaction::Sale { value, rgus, order }),
        withdrawn,
    }
}

fn restored(book: &BookV1) -> Book {
    Book {
        visitor: VisitorId(book.visitor),
        tenant: TenantId(book.tenant),
        members: book
            .members
            .iter()
            .map(|&(visitor, into, leads_opened)| Member {
                visitor: VisitorId(visitor),
                into: VisitorId(into),
                leads_opened,
            })
            .collect(),
        identifiers: book
            .identifiers
            .iter()
            .map(|&(held, by)| Held { identifier: identifier(held), by: VisitorId(by) })
            .collect(),
        leads: book.leads.iter().map(restored_lead).collect(),
        suspected: book
            .suspected
            .iter()
            .map(|&(member, other, settled)| Suspected { member: VisitorId(member), other: VisitorId(other), settled })
            .collect(),
        moved: book
            .moved
            .iter()
            .map(|&(interaction, lead)| Moved { interaction: InteractionId(interaction), lead: lead_id(lead) })
            .collect(),
        nurture: None,
        erased: false,
    }
}

fn restored_lead(lead: &LeadStateV1) -> Lead {
    let id: LeadId = lead_id(lead.id);
    Lead {
        id,
        lead_type: lead.lead_type.0.clone(),
        status: lead
            .closed
            .map_or(Status::Open, |(cause, at)| Status::Closed { cause: cause.into(), at: Time::from_millis(at) }),
        opened_at: Time::from_millis(lead.opened_at),
        first_interaction_at: Time::from_millis(lead.first_interaction_at),
        last_interaction_at: Time::from_millis(lead.last_interaction_at),
        reopened_at: lead.reopened_at.map(Time::from_millis),
        deadline: Time::from_millis(lead.deadline),
        interactions: lead.interactions,
        customer: lead.customer.map(IdentifierKey),
        score: lead.score,
        ledger: None,
        owner: lead.owner.as_ref().map(|owner| owner.0.clone()),
        conversions: lead.conversions.iter().map(restored_conversion).collect(),
        version: lead.version,
    }
}

fn restored_conversion(conversion: &ConversionStateV1) -> Conversion {
    let sale = lead_domain::interaction::Sale::from(&conversion.sale);
    Conversion {
        interaction: conversion.interaction.map(InteractionId),
        at: Time::from_millis(conversion.at),
        value: sale.value,
        rgus: sale.rgus,
        order: sale.order,
        withdrawn: conversion.withdrawn,
    }
}

#[cfg(test)]
mod tests {
    use lead_domain::identifier::{Identifier, IdentifierKind};
    use lead_domain::nurture::{Begun, Consent, Nurture, Run, Wait};
    use lead_domain::score::{Counted, Decay, Ledger, Score, ScoreKind, ScoreRow, Temperature};
    use lead_domain::{CloseCause, Currency, Money, OrderKey, Period};

    use super::*;

    fn book() -> Book {
        let id = LeadId { visitor: VisitorId(7), ordinal: 1 };
        let at = Time::from_millis(-5);
        let money = Currency::new("EUR").map(|currency| Money { amount: 12_900, currency });
        let sale = Conversion {
            interaction: Some(InteractionId(9)),
            at,
            value: money,
            rgus: 3,
            order: Some(OrderKey(u128::MAX)),
            withdrawn: true,
        };
        let lead = Lead {
            id,
            lead_type: "tablets".into(),
            status: Status::Closed { cause: CloseCause::Conversion, at },
            opened_at: at,
            first_interaction_at: at,
            last_interaction_at: Time::from_millis(i64::MAX),
            reopened_at: Some(at),
            deadline: Time::MIN,
            interactions: u32::MAX,
            customer: Some(IdentifierKey(1)),
            score: -4,
            ledger: None,
            owner: Some("dana".into()),
            conversions: vec![sale],
            version: 2,
        };
        let mut book = Book::new(VisitorId(7), TenantId(1));
        book.members.push(Member { visitor: VisitorId(8), into: VisitorId(7), leads_opened: 1 });
        let identifier = Identifier { kind: IdentifierKind::Phone, key: IdentifierKey(4) };
        book.identifiers.push(Held { identifier, by: VisitorId(8) });
        book.leads.push(lead);
        book.suspected.push(Suspected { member: VisitorId(7), other: VisitorId(3), settled: true });
        book.moved.push(Moved { interaction: InteractionId(2), lead: id });
        book
    }

    #[test]
    fn a_book_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        encode_book(&book(), &mut bytes);
        assert_eq!(decode_book(&bytes).unwrap(), book());
        for length in 0..bytes.len() {
            assert!(decode_book(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn an_erased_book_says_so_behind_its_ledgers() {
        let (mut plain, mut bytes) = (Vec::new(), Vec::new());
        encode_book(&book(), &mut plain);
        let erased = Book { erased: true, ..book() };
        encode_book(&erased, &mut bytes);
        assert_eq!(bytes, [plain.as_slice(), &[0, 1]].concat());
        assert_eq!(decode_book(&bytes).unwrap(), erased);
        bytes.push(1);
        assert!(decode_book(&bytes).is_err());
    }

    #[test]
    fn a_ledger_stands_behind_the_bytes_of_version_1() {
        let mut scored = book();
        let row = ScoreRow {
            interaction: InteractionId(9),
            at: Time::from_millis(-5),
            rule: "looked at a product".into(),
            policy_version: 3,
            group: "behaviour".into(),
            kind: ScoreKind::Fit,
            points: -2,
            decay: Some(Decay { every: Period::from_days(7), percent: 25 }),
            category: Some("tablets".into()),
            limit_key: Some(u64::MAX),
            limited: true,
        };
        let counted = Counted { interaction: InteractionId(9), at: Time::MIN, rule: "often".into(), value: -1 };
        scored.leads[0].ledger = Some(Box::new(Ledger {
            rows: vec![row],
            counted: vec![counted],
            discredited: vec![InteractionId(4)],
            at: Time::from_millis(7),
            score: Score { total: -2, fit: -2, engagement: 0, by_category: vec![("tablets".into(), -2)] },
            temperature: Temperature::Hot,
            stage: Some(("research".into(), Time::from_millis(1))),
            next_step: Some(Time::from_millis(i64::MAX)),
        }));
        let (mut plain, mut bytes) = (Vec::new(), Vec::new());
        encode_book(&book(), &mut plain);
        encode_book(&scored, &mut bytes);
        assert!(bytes.starts_with(&plain));
        assert_eq!(decode_book(&bytes).unwrap(), scored);
        for length in (0..bytes.len()).filter(|length| *length != plain.len()) {
            assert!(decode_book(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn nurturing_stands_behind_the_ledgers() {
        let lead = LeadId { visitor: VisitorId(7), ordinal: 1 };
        let at = Time::from_millis(-5);
        let run = |programme: &str, wait| Run {
            programme: programme.into(),
            lead,
            started_at: at,
            interaction: Some(InteractionId(9)),
            step: 2,
            since: Time::MIN,
            wait,
        };
        let consent = Consent { by: VisitorId(8), medium: Some("email".into()), at, given: true };
        let mut nurtured = book();
        nurtured.nurture = Some(Box::new(Nurture {
            runs: vec![run("cart", Wait::Until(at)), run("quiet", Wait::Quiet(Period::from_days(3)))],
            begun: vec![Begun { at, programme: "cart".into(), lead }],
            consents: vec![consent],
        }));
        for ledger in [None, Some(Box::<Ledger>::default())] {
            nurtured.leads[0].ledger = ledger;
            let mut without = nurtured.clone();
            without.nurture = None;
            let (mut shorter, mut bytes) = (Vec::new(), Vec::new());
            encode_book(&without, &mut shorter);
            encode_book(&nurtured, &mut bytes);
            assert_eq!(decode_book(&bytes).unwrap(), nurtured);
            // Where a book without ledgers ends, the count of ledgers may stand or not.
            let whole = |length: &usize| [shorter.len(), shorter.len() + 1].contains(length);
            for length in (0..bytes.len()).filter(|length| !whole(length)) {
                let read = decode_book(&bytes[..length]);
                assert!(read.is_err() || read.unwrap().nurture.is_none(), "{length} bytes");
            }
        }
    }
}
