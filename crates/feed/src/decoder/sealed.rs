//! What a policy's conditions ask about personal data, answered before it is sealed.
//!
//! Only the answers go into the facts: that a test holds, or a keyed hash; never what was tested.

use lead_domain::TenantId;
use lead_domain::policy::condition::{Sealed, SealedTest};
use proto_events::stored::{Attribute, Value};
use proto_events::text::Text;
use proto_events::{InteractionFacts, Personal};

use crate::hashing::Hasher;

/// Adds the answers to the facts' attributes, which stay sorted: their names begin with a mark of their own.
pub(super) fn answer(
    tests: &[Sealed],
    tenant: TenantId,
    hasher: &mut Hasher,
    personal: &Personal,
    facts: &mut InteractionFacts,
) {
    let answers = tests.iter().filter_map(|sealed| {
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
            SealedTest::PageKey => Some(Value::Integer(hasher.page(tenant, page?).cast_signed())),
        };
        Some(Attribute { name: Text(attribute.clone()), value: value? })
    });
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
    use super::path;

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
