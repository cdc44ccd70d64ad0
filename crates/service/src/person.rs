//! What a personal message to a visitor needs, read from their own records.

use std::collections::BTreeSet;

use engine::{EngineError, Parts};
use event_log::LogPosition;
use lead_domain::{Lead, LeadId};
use proto_events::lead_event::{LastProduct, Money, Person};
use proto_events::stored::{InputFacts, InteractionFacts, Personal, Product};
use proto_events::text::Text;

use crate::handle::{ServiceError, ServiceHandle};

/// How far back a visitor's records are searched.
const RECORDS_MAX: usize = 500;

impl ServiceHandle {
    /// What is known of the visitor whom a lead belongs to: the latest by the record at `until` of each, and how the lead
    /// stands now. Empty for one who was erased, or who isn't there.
    ///
    /// # Errors
    /// When the service stops; the inner one is that of the reading.
    pub async fn person(&self, lead: LeadId, until: LogPosition) -> Result<Result<Person, EngineError>, ServiceError> {
        let found = self.with_engine(move |engine| {
            let heads = engine.stream_heads(lead.visitor)?;
            let found = engine.tenants().iter().map(|tenant| tenant.id).collect::<Vec<_>>();
            let found = found.into_iter().find_map(|tenant| {
                let book = engine.book(tenant, lead.visitor).ok()?;
                book.lead(lead).map(standing)
            });
            Ok((heads, found.unwrap_or_default()))
        });
        let (heads, person) = match found.await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let head = heads.iter().copied().max().unwrap_or_default();
        self.read_records(head, move |parts| search(parts, heads, until, person)).await
    }
}

/// How the lead stands.
fn standing(lead: &Lead) -> Person {
    let ledger = lead.ledger.as_deref();
    Person {
        lead_type: Some(lead.lead_type.to_string()),
        stage: lead.stage().map(ToString::to_string),
        temperature: ledger.map(|ledger| ledger.temperature.code()),
        score: Some(lead.score),
        ..Person::default()
    }
}

/// Walks the visitor's records back until everything is found.
fn search(
    parts: &Parts,
    heads: Vec<LogPosition>,
    until: LogPosition,
    mut person: Person,
) -> Result<Person, EngineError> {
    let mut heads: BTreeSet<LogPosition> = heads.into_iter().filter(|head| *head > LogPosition::START).collect();
    for _ in 0..RECORDS_MAX {
        let Some(position) = heads.pop_last() else { break };
        let entry = parts.entry(position)?;
        if entry.header.previous > LogPosition::START {
            heads.insert(entry.header.previous);
        }
        if position > until {
            continue;
        }
        if let InputFacts::Interaction(facts) = &entry.facts.input {
            learn_touch(&mut person, facts);
        }
        if let Some(personal) = &entry.personal {
            learn_personal(&mut person, personal);
        }
        if is_complete(&person) {
            break;
        }
    }
    Ok(person)
}

fn learn(known: &mut Option<String>, text: Option<&Text>) {
    if known.is_none() {
        *known = text.map(|text| text.as_str().to_owned());
    }
}

fn learn_touch(person: &mut Person, facts: &InteractionFacts) {
    learn(&mut person.locale, facts.locale.as_ref());
    if person.last_product.is_none() {
        person.last_product = facts.product.as_ref().map(product);
    }
}

fn learn_personal(person: &mut Person, personal: &Personal) {
    learn(&mut person.customer_id, personal.customer_id.as_ref());
    learn(&mut person.name, personal.name.as_ref());
    learn(&mut person.email, personal.email.as_ref());
    learn(&mut person.phone, personal.phone.as_ref());
}

fn product(product: &Product) -> LastProduct {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
    let money = |(amount, code): (i64, [u8; 3])| {
        let currency = String::from_utf8(code.to_vec()).ok()?;
        Some(Money { amount, currency })
    };
    LastProduct {
        id: text(&product.id),
        name: text(&product.name),
        category: text(&product.category),
        price: product.price.and_then(money),
    }
}

const fn is_complete(person: &Person) -> bool {
    person.customer_id.is_some()
        && person.name.is_some()
        && person.email.is_some()
        && person.phone.is_some()
        && person.locale.is_some()
        && person.last_product.is_some()
}
