//! What a policy's conditions ask about personal data, answered before it is sealed.
//!
//! Only the answers go into the facts: that a test holds, or a keyed hash; never what was tested.

use std::net::IpAddr;

use lead_domain::TenantId;
use lead_domain::policy::condition::{Sealed, SealedTest};
use proto_events::stored::{Attribute, Value};
use proto_events::text::Text;
use proto_events::{InteractionFacts, Personal};

use crate::hashing::Hasher;

/// The attribute in which channels send the visitor's internet address: the contract has no field of its own for it.
const ADDRESS_ATTRIBUTE: &str = "ip";

/// Adds the answers to the facts' attributes, which stay sorted: their names begin with a mark of their own.
pub(super) fn answer(
    tests: &[Sealed],
    tenant: TenantId,
    hasher: &mut Hasher,
    personal: &Personal,
    facts: &mut InteractionFacts,
) {
    let mut answer = |sealed: &Sealed| {
        let Sealed { attribute, test } = sealed;
        let page = personal.page_url.as_ref().map(Text::as_str);
        let value = match test {
            SealedTest::EmailDomainIn(domains) => {
                let domain = email_domain(personal)?;
                domains.iter().any(|known| known == domain).then_some(Value::Bool(true))
            }
            SealedTest::EmailDomainNotIn(domains) => {
                let domain = email_domain(personal)?;
                (!domains.iter().any(|known| known == domain)).then_some(Value::Bool(true))
            }
            SealedTest::PagePrefix(prefixes) => {
                let path = path(page?);
                prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())).then_some(Value::Bool(true))
            }
            SealedTest::AgentContains(parts) => {
                let agent = personal.user_agent.as_ref()?.as_str().to_lowercase();
                parts.iter().any(|part| agent.contains(part.as_str())).then_some(Value::Bool(true))
            }
            SealedTest::AddressIn(networks) => {
                let address = address(personal, facts)?;
                networks.iter().any(|network| network.holds(address)).then_some(Value::Bool(true))
            }
            SealedTest::PageKey => Some(Value::Integer(hasher.page(tenant, page?).cast_signed())),
        };
        Some(Attribute { name: Text(attribute.clone()), value: value? })
    };
    let answers: Vec<Attribute> = tests.iter().filter_map(&mut answer).collect();
    let before = facts.attributes.len();
    facts.attributes.extend(answers);
    if facts.attributes.len() > before {
        facts.attributes.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    }
}

/// Adds the answers to facts that were decoded under other rules, as decoding them now would.
pub fn answer_sealed(
    tests: &[SealedTest],
    tenant: TenantId,
    hash_key: [u8; 32],
    personal: &Personal,
    facts: &mut InteractionFacts,
) {
    let tests: Vec<Sealed> = tests.iter().cloned().map(Sealed::from).collect();
    answer(&tests, tenant, &mut Hasher::new(hash_key), personal, facts);
}

/// The internet address that the channel has sent as an attribute.
fn address(personal: &Personal, facts: &InteractionFacts) -> Option<IpAddr> {
    let mut sent = personal.attributes.iter().chain(&facts.attributes);
    match &sent.find(|attribute| attribute.name.as_str() == ADDRESS_ATTRIBUTE)?.value {
        Value::Text(text) => text.as_str().trim().parse().ok(),
        Value::Bool(_) | Value::Integer(_) | Value::Decimal(_) => None,
    }
}

/// The domain of the address in its normal form.
fn email_domain(personal: &Personal) -> Option<&str> {
    personal.email.as_ref()?.as_str().rsplit_once('@').map(|(_, domain)| domain)
}

/// The path of an address, `/` where it has none; what is no address counts as a path.
fn path(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use lead_domain::policy::network::Network;

    use super::*;

    /// The answers, to tests of the user agent and of the address, for an interaction that brought these.
    fn answers(agent: &str, ip: Option<Value>) -> Vec<bool> {
        let network = |text: &str, bits| Network::of(text.parse().unwrap(), bits).unwrap();
        let tests = [
            SealedTest::AgentContains(vec!["bot".into(), "crawl er".into()]),
            SealedTest::AddressIn(vec![network("203.0.113.0", 24), network("2001:db8::", 32)]),
        ];
        let name = Text::from(ADDRESS_ATTRIBUTE);
        let attributes = ip.into_iter().map(|value| Attribute { name: name.clone(), value }).collect();
        let personal = Personal { user_agent: Some(Text::from(agent)), attributes, ..Personal::default() };
        let mut facts = InteractionFacts::default();
        answer_sealed(&tests, TenantId(1), [0; 32], &personal, &mut facts);
        let answered = |test: &SealedTest| facts.attributes.iter().any(|it| it.name.as_str() == test.attribute());
        tests.iter().map(answered).collect()
    }

    #[test]
    fn user_agents_and_addresses_are_answered_and_do_not_stand_in_the_facts() {
        let text = |text: &str| Some(Value::Text(Text::from(text)));
        assert_eq!(answers("Mozilla/5.0 (compatible; GoogleBot/2.1)", text("203.0.113.9")), [true, true]);
        assert_eq!(answers("Mozilla/5.0", text("2001:db8:1::2")), [false, true]);
        assert_eq!(answers("a CRAWL ER", text("203.0.114.9")), [true, false]);
        assert_eq!(answers("", text("no address")), [false, false]);
        assert_eq!(answers("", Some(Value::Integer(7))), [false, false]);
        assert_eq!(answers("", None), [false, false]);
    }

    #[test]
    fn a_path_begins_behind_the_host() {
        let cases = [
            ("https://shop.example/pricing/pro?x=1", "/pricing/pro?x=1"),
            ("https://shop.example", "/"),
            ("/pricing", "/pricing"),
            ("", ""),
        ];
        for (url, expected) in cases {
            assert_eq!(path(url), expected, "{url}");
        }
    }
}
