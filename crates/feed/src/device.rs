//! What a visitor used, from its names or from a raw user agent.

use proto_events::cloud_event::{self, Str};
use proto_events::stored::Device;
use proto_events::text::Text;
use woothee::parser::Parser;

use crate::bounded_cache::BoundedCache;

/// Parsed user agents that are kept.
const USER_AGENTS_KEPT: usize = 10_000;

/// Parses user agents.
pub(crate) struct Devices {
    parser: Parser,
    parsed: BoundedCache<Device>,
}

impl Devices {
    pub(crate) fn new() -> Self {
        Self { parser: Parser::new(), parsed: BoundedCache::new(USER_AGENTS_KEPT) }
    }

    /// The device, where anything is known of it. What was named wins over what the user agent says.
    pub(crate) fn device(&mut self, sent: &cloud_event::Device<'_>) -> Option<Device> {
        let parser = &self.parser;
        let parsed = sent
            .user_agent
            .as_ref()
            .and_then(Str::trimmed)
            .map(|user_agent| self.parsed.get_or_make(user_agent, |user_agent| parse(parser, user_agent)));
        let parsed = parsed.unwrap_or_default();
        let named = |name: &Option<Str<'_>>| name.as_ref().and_then(Str::trimmed).map(Text::from);
        let device = Device {
            browser: named(&sent.browser).or(parsed.browser),
            kind: named(&sent.kind).or(parsed.kind),
            os: named(&sent.os).or(parsed.os),
        };
        (device != Device::default()).then_some(device)
    }
}

fn parse(parser: &Parser, user_agent: &str) -> Device {
    let Some(found) = parser.parse(user_agent) else { return Device::default() };
    let known = |word: &str| (!word.is_empty() && word != "UNKNOWN").then(|| Text::from(word));
    let kind = match (found.category, found.os) {
        ("smartphone", "iPad") => Some("tablet"),
        ("pc", _) => Some("desktop"),
        ("smartphone" | "mobilephone", _) => Some("mobile"),
        ("crawler", _) => Some("bot"),
        ("appliance", _) => Some("console"),
        _ => None,
    };
    Device { browser: known(found.name), kind: kind.map(Text::from), os: known(found.os) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

    fn text(text: &str) -> Option<Text> {
        Some(Text::from(text))
    }

    #[test]
    fn a_user_agent_is_parsed_and_names_win() {
        let mut devices = Devices::new();
        let sent = cloud_event::Device { user_agent: Some(IPHONE.into()), ..Default::default() };
        let expected = Device { browser: text("Safari"), kind: text("mobile"), os: text("iPhone") };
        assert_eq!(devices.device(&sent), Some(expected));
        let sent =
            cloud_event::Device { user_agent: Some(WINDOWS.into()), kind: Some("kiosk".into()), ..Default::default() };
        let expected = Device { browser: text("Chrome"), kind: text("kiosk"), os: text("Windows 10") };
        assert_eq!(devices.device(&sent), Some(expected));
    }

    #[test]
    fn nothing_known_is_no_device() {
        let mut devices = Devices::new();
        let sent = cloud_event::Device { user_agent: Some("?".into()), os: Some(" ".into()), ..Default::default() };
        assert_eq!(devices.device(&sent), None);
    }
}
