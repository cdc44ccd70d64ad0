//! A touch as a `CloudEvents` line. Draws nothing: the same touch gives the same bytes.

use super::calendar::{write_padded, write_time};
use super::catalogue::{CALL_OUTCOMES, CAMPAIGNS, FORMS, PAGES, PRODUCTS, Product, REFERRERS, SEARCHES};
use super::dice::{entry, mix};
use super::person::{Person, Shows};
use super::visit::{Step, Touch};

/// A contract runs for so many months.
const CONTRACT_MONTHS: u64 = 24;
/// One in so many shown customer ids is a placeholder of a badly wired form.
const PLACEHOLDER_EVERY: u64 = 700;

/// Writes the events of one run.
pub(super) struct Script {
    run: u64,
    tenant: String,
    /// Eight hexadecimal digits that all ids of the run begin with.
    tag: String,
}

impl Script {
    pub(super) fn new(tenant: &str, run: u64) -> Self {
        Self { run, tenant: tenant.into(), tag: format!("{:08x}", run >> 32) }
    }

    /// The number of the run.
    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    /// Appends one line. Nothing in it needs escaping: the texts are ours, and a tenant's name has plain letters only.
    pub(super) fn write(&self, touch: &Touch, out: &mut Vec<u8>) {
        let person = Person::new(self.run, u64::from(touch.visitor));
        let (channel, action) = (channel(touch.step), action(touch.step));
        let mut json = Json { out };
        json.open();
        json.text("specversion", "1.0");
        json.quoted("id", |out| self.write_number(touch.serial, out));
        json.quoted("source", |out| {
            for part in ["https://", self.tenant.as_str(), ".example.com/", channel] {
                out.extend_from_slice(part.as_bytes());
            }
        });
        json.text("type", "leadfold.interaction.v1");
        json.quoted("time", |out| write_time(touch.at, out));
        json.object("data", |json| {
            json.text("tenant", &self.tenant);
            write_identifiers(&person, touch, json);
            json.text("channel", channel);
            if let Some(skill) = skill(touch, &person) {
                json.text("skill", skill);
            }
            json.text("action", action);
            write_contact(&person, touch, json);
            write_origin(&person, touch, json);
            self.write_goods(touch, json);
            json.object("attributes", |json| write_attributes(touch, json));
        });
        json.close();
        json.out.push(b'\n');
    }

    fn write_number(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'-');
        write_padded(number, 1, out);
    }

    /// Product and sale.
    fn write_goods(&self, touch: &Touch, json: &mut Json<'_>) {
        let Some(place) = touch.product else { return };
        let product = entry(&PRODUCTS, u64::from(place));
        json.object("product", |json| {
            json.text("id", product.id);
            json.text("name", product.name);
            json.text("category", product.category);
            json.object("price", |json| write_money(product.cents, json));
        });
        let Some(value) = sale_cents(touch, product) else { return };
        json.object("conversion", |json| {
            json.object("value", |json| write_money(value, json));
            json.number("rgus", u64::from(touch.quantity));
            json.quoted("order_id", |out| {
                out.extend_from_slice(b"O-");
                self.write_number(touch.order.unwrap_or(touch.serial), out);
            });
        });
    }
}

/// What was paid, in minor units, if something was sold.
fn sale_cents(touch: &Touch, product: Product) -> Option<u64> {
    let pieces = u64::from(touch.quantity);
    if touch.step == Step::Purchase {
        Some(product.cents * pieces)
    } else if touch.step == Step::Contract {
        Some(product.cents * CONTRACT_MONTHS * pieces)
    } else if touch.step == Step::Subscription {
        Some(if touch.noise.is_multiple_of(3) { 499 } else { 1_299 })
    } else {
        None
    }
}

const fn channel(step: Step) -> &'static str {
    match step {
        Step::Page | Step::Product | Step::Search | Step::Compare | Step::Video | Step::Login => "web",
        Step::Cart | Step::Purchase | Step::Subscription => "shop",
        Step::Form | Step::Subscribe => "form",
        Step::Banner | Step::Mailing | Step::Unsubscribe => "campaign",
        Step::ChatStart | Step::ChatMessage | Step::ChatEnd => "chat",
        Step::CallStart | Step::CallTransfer | Step::CallEnd | Step::CallMissed | Step::Contract => "voice",
        Step::Kiosk => "kiosk",
    }
}

const fn action(step: Step) -> &'static str {
    match step {
        Step::Page => "page.viewed",
        Step::Product => "product.viewed",
        Step::Search => "search.performed",
        Step::Compare => "product.compared",
        Step::Video => "video.played",
        Step::Cart => "cart.updated",
        Step::Purchase => "purchase",
        Step::Subscription => "subscription.started",
        Step::Login => "account.login",
        Step::Form => "form.submitted",
        Step::Subscribe => "newsletter.subscribed",
        Step::Unsubscribe => "newsletter.unsubscribed",
        Step::Banner => "banner.clicked",
        Step::Mailing => "email.clicked",
        Step::ChatStart => "chat.started",
        Step::ChatMessage => "chat.message",
        Step::ChatEnd => "chat.ended",
        Step::CallStart => "call.started",
        Step::CallTransfer => "call.transferred",
        Step::CallEnd => "call.ended",
        Step::CallMissed => "call.missed",
        Step::Contract => "contract.signed",
        Step::Kiosk => "store.visited",
    }
}

/// The operator group that the touch is addressed to; most have none.
fn skill(touch: &Touch, person: &Person) -> Option<&'static str> {
    match channel(touch.step) {
        "chat" if touch.support => Some("support"),
        "chat" if person.home().locale.starts_with("de") => Some("chat-de"),
        "chat" => Some("chat-en-uk"),
        "voice" if touch.support && touch.step != Step::Contract => Some("support"),
        "voice" if touch.step != Step::CallMissed => Some("voice-sales"),
        "form" if touch.step == Step::Form => Some("offers-desk"),
        _ => None,
    }
}

fn write_identifiers(person: &Person, touch: &Touch, json: &mut Json<'_>) {
    if touch.shows.has(Shows::DEVICE) || touch.shows == Shows::NOTHING {
        json.quoted("visitor_id", |out| person.write_device_id(touch.slot, out));
    }
    if touch.shows.has(Shows::CUSTOMER) {
        if touch.shows != Shows::CUSTOMER && mix(touch.noise).is_multiple_of(PLACEHOLDER_EVERY) {
            json.text("customer_id", "unknown");
        } else {
            json.quoted("customer_id", |out| person.write_customer_id(out));
        }
    }
    if touch.shows.has(Shows::EMAIL) {
        json.quoted("email", |out| person.write_email(touch.noise >> 8, out));
    }
    if touch.shows.has(Shows::PHONE) {
        json.quoted("phone", |out| person.write_phone(touch.noise >> 16, out));
    }
}

fn write_contact(person: &Person, touch: &Touch, json: &mut Json<'_>) {
    let named = touch.shows.has(Shows::EMAIL.and(Shows::PHONE)) && touch.noise & 3 == 0;
    if !named && !touch.first {
        return;
    }
    let home = person.home();
    json.object("contact", |json| {
        if named {
            json.quoted("name", |out| person.write_name(out));
        }
        json.text("locale", home.locale);
        json.text("country", home.country);
    });
}

/// Campaign, page and device.
fn write_origin(person: &Person, touch: &Touch, json: &mut Json<'_>) {
    if let Some(place) = touch.campaign {
        let campaign = entry(&CAMPAIGNS, u64::from(place));
        json.object("campaign", |json| {
            json.text("name", campaign.name);
            json.text("source", campaign.source);
            json.text("medium", campaign.medium);
            json.text("content", campaign.content);
        });
    }
    let channel = channel(touch.step);
    if channel == "voice" || channel == "kiosk" {
        return;
    }
    json.object("page", |json| {
        json.quoted("url", |out| write_page(touch, out));
        if touch.first && touch.campaign.is_none() && touch.noise >> 20 & 1 == 0 {
            json.text("referrer", entry(&REFERRERS, touch.noise >> 24));
        }
    });
    if !touch.first && touch.noise >> 28 & 7 != 0 {
        return;
    }
    let device = person.device(touch.slot);
    json.object("device", |json| {
        if touch.campaign.is_none() && touch.noise >> 32 & 15 == 0 {
            json.text("user_agent", device.user_agent);
        } else {
            json.text("browser", device.browser);
            json.text("type", device.kind);
            json.text("os", device.os);
        }
    });
}

fn write_page(touch: &Touch, out: &mut Vec<u8>) {
    out.extend_from_slice(b"https://www.example.com/");
    match (touch.product, touch.step) {
        (_, Step::Cart | Step::Purchase) => out.extend_from_slice(b"checkout"),
        (Some(place), _) => {
            let product = entry(&PRODUCTS, u64::from(place));
            for part in [product.category, "/", product.id] {
                out.extend(part.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
        }
        (None, _) => out.extend_from_slice(entry(&PAGES, touch.noise >> 34).as_bytes()),
    }
}

fn write_attributes(touch: &Touch, json: &mut Json<'_>) {
    let (noise, more) = (touch.noise >> 40, touch.noise >> 52);
    match touch.step {
        Step::Page | Step::Product | Step::Compare => {
            json.number("seconds", noise % 240);
            json.number("scroll_percent", more % 101);
        }
        Step::Video => {
            json.number("seconds", noise % 120);
            json.flag("to_the_end", more & 1 == 0);
        }
        Step::Search => {
            json.text("query", entry(&SEARCHES, noise));
            json.number("results", more % 60);
        }
        Step::Cart | Step::Purchase | Step::Subscription => {
            json.number("quantity", u64::from(touch.quantity));
            json.flag("gift", noise % 9 == 0);
        }
        Step::Login => json.flag("remembered", noise & 1 == 0),
        Step::Form => {
            json.text("form", entry(&FORMS, noise));
            json.flag("business", more % 10 < 3);
        }
        Step::Subscribe | Step::Unsubscribe => json.text("list", "monthly-letter"),
        Step::Banner | Step::Mailing => json.number("placement", 1 + noise % 6),
        Step::ChatStart => json.number("queue_seconds", noise % 180),
        Step::ChatMessage => {
            json.flag("from_visitor", noise & 1 == 0);
            json.number("characters", 4 + more % 300);
        }
        Step::ChatEnd => json.decimal("rating", 10 + more % 41),
        Step::CallStart | Step::CallTransfer | Step::CallMissed => json.number("queue_seconds", noise % 600),
        Step::CallEnd => {
            json.number("talk_seconds", 20 + noise % 900);
            json.text("outcome", entry(&CALL_OUTCOMES, more));
        }
        Step::Contract => {
            json.number("months", CONTRACT_MONTHS);
            json.flag("porting", more & 1 == 0);
        }
        Step::Kiosk => json.text("store", entry(&["berlin", "hamburg", "leeds"], noise)),
    }
    if touch.revised {
        json.number("revision", 2);
    }
}

fn write_money(cents: u64, json: &mut Json<'_>) {
    json.number("amount", cents);
    json.text("currency", "EUR");
}

/// Writes JSON whose texts need no escaping.
struct Json<'a> {
    out: &'a mut Vec<u8>,
}

impl Json<'_> {
    fn open(&mut self) {
        self.out.push(b'{');
    }

    fn close(&mut self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(if self.out.ends_with(b"{") { b"\"" } else { b",\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn object(&mut self, key: &str, fields: impl FnOnce(&mut Json<'_>)) {
        self.key(key);
        self.open();
        fields(&mut Json { out: self.out });
        self.close();
    }

    fn quoted(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.quoted(key, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        write_padded(number, 1, self.out);
    }

    /// A number with one decimal place, given in tenths.
    fn decimal(&mut self, key: &str, tenths: u64) {
        self.number(key, tenths / 10);
        self.out.push(b'.');
        write_padded(tenths % 10, 1, self.out);
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }
}
