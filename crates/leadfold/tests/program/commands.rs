//! What people do with the program: acting on leads and visitors, asking, looking after the data.

mod as_of;
mod audit;
mod backup;
mod care;
mod config;
mod leads;
mod listing;
mod projections;
mod proofs;
pub(crate) mod refusals;
mod scores;
mod usage;
mod visitors;

use serde_json::Value;

use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, shop_policy};

/// A few visitors, all of whose leads are open at the tenant's clock, 7 hours after the beginning of the year:
///
/// ```text
/// V1    Anna   V1-1 shopping (I2, I5), V1-2 broadband (I4), orphan I3
/// V2    Ben    V2-1 shopping (I6)
/// V3    Cleo   V3-1 shopping (I7), orphan I10
/// V4 K1 Dora   V4-1 shopping (I8), suspected to be V5
/// V5 K2 Eva    V5-1 shopping (I9), suspected to be V4
/// ```
pub(crate) fn small_shop() -> Folder {
    let folder = Folder::with_policy(shop_policy());
    let named = |event: Event, name: &str| event.with("contact", serde_json::json!({ "name": name }));
    let customer = |event: Event, number: &str| event.with("customer_id", number).with("email", "shared@example.com");
    let call = Event::new("3", &hour(2), "chat", "chat.started").with("visitor_id", "a").with("skill", "voice-sales");
    let events = [
        named(Event::page("1", &hour(0), "a"), "Anna"),
        Event::new("2", &hour(1), "kiosk", "kiosk.touched").with("visitor_id", "a"),
        call,
        Event::page("4", &hour(3), "a"),
        named(Event::page("5", &hour(3), "b"), "Ben"),
        named(Event::page("6", &hour(4), "c"), "Cleo"),
        named(customer(Event::page("7", &hour(5), "d"), "K1"), "Dora"),
        named(customer(Event::page("8", &hour(6), "e"), "K2"), "Eva"),
        Event::new("9", &hour(7), "voice", "call.missed").with("visitor_id", "c"),
    ];
    folder.write("events.ndjson", lines(events));
    folder.import("events.ndjson");
    assert_eq!(folder.json(["leads"]).len(), 6);
    assert_eq!(ids(&folder.json(["orphans"])), ["I10", "I3"]);
    folder
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn lead(folder: &Folder, id: &str) -> Value {
    folder.json_one(["lead", id])
}

/// The names of an answer's events.
fn events(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}
