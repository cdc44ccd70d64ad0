//! `[[bot_rule]]`: which interactions nobody should get points for.

use std::net::IpAddr;

use lead_domain::policy::bots::{BOT_MARK, BotRule, Burst};
use lead_domain::policy::condition::{Sealed, SealedTest};
use lead_domain::policy::network::Network;
use lead_domain::policy::scoring::Scoring;
use lead_domain::{Name, Period};

use super::check_unique;
use super::condition::{lower, values};
use super::section::Section;
use super::words::period;

/// The most rules: each is looked at for every interaction.
const RULES_MAX: usize = 100;
/// No burst has more interactions: a lead remembers as many.
const BURST_MAX: i64 = 1_000;
/// No burst lasts longer: it is what no person does, not what many days add up to.
const WINDOW_MAX: Period = Period::from_days(1);
/// Between interactions that are further apart nobody is fast.
const FASTER_MAX: Period = Period::from_hours(1);

pub(super) fn bot_rules(root: &mut Section<'_>, scoring: &Scoring) -> Vec<BotRule> {
    let rules = root.sections("bot_rule", rule);
    check_unique(root, "bot_rule", rules.iter().map(|rule| &rule.name));
    if rules.len() > RULES_MAX {
        root.fault("bot_rule", "too_many", &format!("has {} entries; {RULES_MAX} are allowed", rules.len()));
    }
    for (index, rule) in scoring.rules.iter().enumerate().filter(|(_, rule)| rule.name.starts_with(BOT_MARK)) {
        let bare = rule.name.trim_start_matches(BOT_MARK).trim();
        let message = format!("must not begin with \"{BOT_MARK}\", which is for [[bot_rule]]; \"{bare}\" would do");
        root.fault(&format!("scoring.rule[{index}].name"), "bad_name", &message);
    }
    rules
}

fn rule(section: &mut Section<'_>) -> BotRule {
    let tests = ["agent_contains", "address_in", "faster_than", "at_least", "within"];
    if !tests.iter().any(|test| section.has(test)) {
        let message = "tests nothing: give agent_contains, address_in, faster_than, or at_least with within";
        section.fault("", "bad_condition", message);
    }
    let name = section.required_name("name");
    let agents = lower(values(section, "agent_contains"));
    let networks = networks(section);
    let mut sealed = Vec::new();
    sealed.extend((!agents.is_empty()).then(|| Sealed::from(SealedTest::AgentContains(agents))));
    sealed.extend((!networks.is_empty()).then(|| Sealed::from(SealedTest::AddressIn(networks))));
    BotRule { name, sealed, faster_than: faster_than(section), burst: burst(section) }
}

fn networks(section: &mut Section<'_>) -> Vec<Network> {
    let texts = values(section, "address_in");
    let read = |text: &Name| match network(text) {
        Ok(network) => Some(network),
        Err(message) => {
            section.fault("address_in", "bad_network", &message);
            None
        }
    };
    texts.iter().filter_map(read).collect()
}

/// A network, or what would be right.
fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("\"{text}\" is no network, such as \"203.0.113.0/24\" or \"2001:db8::/32\"");
    let (address, bits) = match text.trim().split_once('/') {
        None => (text.trim(), None),
        Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let Some(bits) = bits else { return Ok(Network::single(address)) };
    let found = Network::of(address, bits).ok_or_else(wrong)?;
    if found.first() == address {
        Ok(found)
    } else {
        Err(format!("\"{text}\" has an address inside of the network; did you mean \"{found}\" or \"{address}\"?"))
    }
}

/// A whole number and `ms`, or a period as everywhere.
fn faster_than(section: &mut Section<'_>) -> Option<Period> {
    let text = section.text("faster_than")?;
    let millis = |text: &str| -> Option<Period> {
        let number = text.strip_suffix("ms")?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| number.parse().ok())?.map(Period::from_millis)
    };
    let Some(found) = millis(text).or_else(|| period(text)) else {
        let message = "must be a whole number and ms, s, m or h, such as \"200ms\" or \"2s\"";
        section.fault("faster_than", "bad_duration", message);
        return None;
    };
    if found == Period::default() || found > FASTER_MAX {
        section.fault("faster_than", "out_of_range", &format!("must be more than 0 and at most {FASTER_MAX}"));
        return None;
    }
    Some(found)
}

fn burst(section: &mut Section<'_>) -> Option<Burst> {
    let at_least = section.integer("at_least", 2, BURST_MAX).and_then(|number| u32::try_from(number).ok());
    let within = section.positive_period("within");
    match (section.has("at_least"), section.has("within")) {
        (true, false) => section.fault("within", "missing", "is missing: at_least needs the time to look back"),
        (false, true) => section.fault("at_least", "missing", "is missing: within needs how many are too many"),
        (true, true) | (false, false) => {}
    }
    if within.is_some_and(|within| within > WINDOW_MAX) {
        section.fault("within", "out_of_range", &format!("must be at most {WINDOW_MAX}"));
    }
    Some(Burst { at_least: at_least?, within: within? })
}
