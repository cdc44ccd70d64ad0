//! Made-up products, campaigns, people's names and devices. Rows only.

/// What a shop sells.
#[derive(Clone, Copy, Default)]
pub(super) struct Product {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// Minor units of the currency.
    pub(super) cents: u64,
}

/// What brings a visitor, by UTM names.
#[derive(Clone, Copy, Default)]
pub(super) struct Campaign {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    pub(super) medium: &'static str,
    pub(super) content: &'static str,
}

/// What a visitor uses.
#[derive(Clone, Copy, Default)]
pub(super) struct Device {
    pub(super) browser: &'static str,
    pub(super) kind: &'static str,
    pub(super) os: &'static str,
    pub(super) user_agent: &'static str,
}

/// Where a visitor lives.
#[derive(Clone, Copy, Default)]
pub(super) struct Home {
    pub(super) country: &'static str,
    pub(super) locale: &'static str,
}

/// A part of a name: as people write it, and as it stands in an e-mail address.
pub(super) type NamePart = (&'static str, &'static str);

/// Products of one category stand together, in tables of this length.
pub(super) const PRODUCTS_PER_CATEGORY: u64 = 6;
/// The number of categories.
pub(super) const CATEGORIES: u64 = PRODUCTS.len() as u64 / PRODUCTS_PER_CATEGORY;
/// The category of contracts that are signed on the phone.
pub(super) const BROADBAND: u64 = 3;

const fn product(id: &'static str, name: &'static str, category: &'static str, cents: u64) -> Product {
    Product { id, name, category, cents }
}

pub(super) const PRODUCTS: [Product; 36] = [
    product("TAB-080", "Slate 8", "tablets", 19_900),
    product("TAB-101", "Slate 10", "tablets", 29_900),
    product("TAB-110", "Slate 11 Pro", "tablets", 64_900),
    product("TAB-124", "Slate 12 Studio", "tablets", 99_900),
    product("TAB-090", "Slate 9 Kids", "tablets", 17_900),
    product("TAB-105", "Slate 10 LTE", "tablets", 44_900),
    product("PHO-210", "Pebble 2", "phones", 24_900),
    product("PHO-220", "Pebble 2 Plus", "phones", 34_900),
    product("PHO-310", "Pebble 3", "phones", 49_900),
    product("PHO-320", "Pebble 3 Max", "phones", 89_900),
    product("PHO-330", "Pebble 3 Fold", "phones", 149_900),
    product("PHO-110", "Pebble Go", "phones", 12_900),
    product("LAP-130", "Feather 13", "laptops", 89_900),
    product("LAP-140", "Feather 14", "laptops", 109_900),
    product("LAP-150", "Feather 15 Work", "laptops", 139_900),
    product("LAP-160", "Anvil 16", "laptops", 189_900),
    product("LAP-135", "Feather 13 Touch", "laptops", 99_900),
    product("LAP-115", "Feather 11 School", "laptops", 39_900),
    product("NET-050", "Home 50", "broadband", 2_999),
    product("NET-100", "Home 100", "broadband", 3_999),
    product("NET-250", "Home 250", "broadband", 4_499),
    product("NET-500", "Home 500", "broadband", 5_499),
    product("NET-01K", "Fibre 1000", "broadband", 6_999),
    product("NET-OFF", "Office 500", "broadband", 8_999),
    product("TVS-430", "Frame 43", "television", 44_900),
    product("TVS-500", "Frame 50", "television", 54_900),
    product("TVS-550", "Frame 55", "television", 69_900),
    product("TVS-650", "Frame 65", "television", 99_900),
    product("TVS-BAR", "Soundbar 2.1", "television", 19_900),
    product("TVS-BOX", "Stream Box", "television", 8_900),
    product("ACC-CAS", "Tablet sleeve", "accessories", 2_900),
    product("ACC-CHG", "Charger 65 W", "accessories", 3_900),
    product("ACC-PEN", "Stylus", "accessories", 5_900),
    product("ACC-EAR", "Earbuds", "accessories", 7_900),
    product("ACC-KEY", "Folding keyboard", "accessories", 6_900),
    product("ACC-DOC", "Dock", "accessories", 12_900),
];

const fn campaign(name: &'static str, source: &'static str, medium: &'static str, content: &'static str) -> Campaign {
    Campaign { name, source, medium, content }
}

pub(super) const CAMPAIGNS: [Campaign; 10] = [
    campaign("winter-tablets", "search-ads", "cpc", "headline-a"),
    campaign("winter-tablets", "search-ads", "cpc", "headline-b"),
    campaign("fibre-upgrade", "portal", "banner", "skyscraper"),
    campaign("fibre-upgrade", "video-site", "video", "preroll-20s"),
    campaign("back-to-work", "social", "paid-social", "carousel"),
    campaign("back-to-work", "social", "story", "swipe-up"),
    campaign("weekend-deals", "portal", "banner", "leaderboard"),
    campaign("monthly-letter", "newsletter", "email", "hero"),
    campaign("monthly-letter", "newsletter", "email", "footer"),
    campaign("cart-reminder", "automation", "email", "button"),
];
/// The campaigns from here on are sent by e-mail.
pub(super) const FIRST_MAILING: u64 = 7;

const fn device(browser: &'static str, kind: &'static str, os: &'static str, user_agent: &'static str) -> Device {
    Device { browser, kind, os, user_agent }
}

pub(super) const DEVICES: [Device; 8] = [
    device(
        "Chrome",
        "mobile",
        "Android",
        "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    ),
    device(
        "Chrome",
        "desktop",
        "Windows",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    ),
    device(
        "Safari",
        "mobile",
        "iOS",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    ),
    device("Firefox", "desktop", "Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
    device(
        "Firefox",
        "desktop",
        "Windows",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    ),
    device(
        "Safari",
        "tablet",
        "iPadOS",
        "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    ),
    device(
        "Safari",
        "desktop",
        "macOS",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    ),
    device(
        "Edge",
        "desktop",
        "Windows",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    ),
];

const fn home(country: &'static str, locale: &'static str) -> Home {
    Home { country, locale }
}

/// A country stands here as often as its share.
pub(super) const HOMES: [Home; 16] = [
    home("DE", "de-DE"),
    home("DE", "de-DE"),
    home("DE", "de-DE"),
    home("DE", "de-DE"),
    home("DE", "de-DE"),
    home("DE", "de-DE"),
    home("DE", "en-GB"),
    home("DE", "tr-TR"),
    home("GB", "en-GB"),
    home("GB", "en-GB"),
    home("IE", "en-IE"),
    home("AT", "de-AT"),
    home("CH", "de-CH"),
    home("NL", "nl-NL"),
    home("PL", "pl-PL"),
    home("FR", "fr-FR"),
];

pub(super) const FIRST_NAMES: [NamePart; 32] = [
    ("Anna", "anna"),
    ("Bruno", "bruno"),
    ("Clara", "clara"),
    ("David", "david"),
    ("Elif", "elif"),
    ("Felix", "felix"),
    ("Greta", "greta"),
    ("Hüseyin", "hueseyin"),
    ("Ida", "ida"),
    ("Jürgen", "juergen"),
    ("Katarzyna", "katarzyna"),
    ("Liam", "liam"),
    ("Mia", "mia"),
    ("Noor", "noor"),
    ("Oskar", "oskar"),
    ("Petra", "petra"),
    ("Quentin", "quentin"),
    ("Rosa", "rosa"),
    ("Søren", "soeren"),
    ("Tilda", "tilda"),
    ("Umut", "umut"),
    ("Vera", "vera"),
    ("Wanda", "wanda"),
    ("Xenia", "xenia"),
    ("Yara", "yara"),
    ("Zoë", "zoe"),
    ("Aoife", "aoife"),
    ("Benedikt", "benedikt"),
    ("Chloé", "chloe"),
    ("Daan", "daan"),
    ("Emre", "emre"),
    ("Fiona", "fiona"),
];

/// No family bears these; they are everyday things.
pub(super) const LAST_NAMES: [NamePart; 32] = [
    ("Ackerbohne", "ackerbohne"),
    ("Butterdose", "butterdose"),
    ("Candlewick", "candlewick"),
    ("Drahtkorb", "drahtkorb"),
    ("Eierbecher", "eierbecher"),
    ("Featherduster", "featherduster"),
    ("Gießkanne", "giesskanne"),
    ("Haferkeks", "haferkeks"),
    ("Inkwell", "inkwell"),
    ("Jutesack", "jutesack"),
    ("Käseglocke", "kaeseglocke"),
    ("Lampshade", "lampshade"),
    ("Mörserstein", "moerserstein"),
    ("Nussknacker", "nussknacker"),
    ("Ofenrohr", "ofenrohr"),
    ("Pincushion", "pincushion"),
    ("Quirl", "quirl"),
    ("Regenfass", "regenfass"),
    ("Siebträger", "siebtraeger"),
    ("Teacosy", "teacosy"),
    ("Uhrkette", "uhrkette"),
    ("Vorhängeschloss", "vorhaengeschloss"),
    ("Washboard", "washboard"),
    ("Xylofon", "xylofon"),
    ("Yarnbasket", "yarnbasket"),
    ("Zuckerdose", "zuckerdose"),
    ("Bügelbrett", "buegelbrett"),
    ("Cookiejar", "cookiejar"),
    ("Dosenöffner", "dosenoeffner"),
    ("Eggtimer", "eggtimer"),
    ("Fußmatte", "fussmatte"),
    ("Garlicpress", "garlicpress"),
];

pub(super) const SEARCHES: [&str; 8] = [
    "tablet 11 zoll",
    "phone dual sim",
    "fibre availability",
    "laptop leicht",
    "65 inch",
    "charger usb-c",
    "stylus",
    "returns",
];
pub(super) const FORMS: [&str; 5] = ["offer", "offer", "contact", "callback", "newsletter"];
pub(super) const PAGES: [&str; 8] =
    ["", "deals", "tablets", "phones", "broadband/check", "help/delivery", "help/returns", "stores"];
pub(super) const REFERRERS: [&str; 4] = [
    "https://search.example.net/",
    "https://news.example.org/tech",
    "https://compare.example.com/tablets",
    "https://social.example.net/feed",
];
pub(super) const CALL_OUTCOMES: [&str; 4] = ["callback", "no_interest", "info_sent", "offer_sent"];
