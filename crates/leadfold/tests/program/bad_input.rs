//! Whatever comes in that is wrong: one clear sentence, the right exit code, no personal data said aloud, nothing lost
//! and nothing half recorded.

mod damage;
mod events;
mod files;
mod folders;
mod full_disk;
mod policies;

use serde_json::Value;

use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, Picture, shop_policy};

/// Stands for personal data: no message may hold it.
const SECRET: &str = "sekreta";

/// A shop with some leads, and what they come to.
fn shop() -> (Folder, Picture) {
    let folder = Folder::with_policy(shop_policy());
    folder.write("good.ndjson", good_events());
    assert_eq!(folder.import("good.ndjson")["recorded"], 40);
    let picture = folder.picture();
    assert_eq!(picture.leads.lines().count(), 20);
    (folder, picture)
}

fn good_events() -> String {
    let event = |number: u32| {
        let (id, device) = (format!("good-{number}"), format!("{SECRET}-device-{}", number % 20));
        Event::page(&id, &hour(number), &device)
            .with("contact", serde_json::json!({ "name": format!("Anna {SECRET}") }))
    };
    lines((0..40).map(event))
}

/// Neither a run's words nor the lists of what could not be taken hold personal data.
#[track_caller]
fn assert_discreet(text: &str) {
    assert!(!text.to_lowercase().contains(SECRET), "{text}");
}

/// What stands in quarantine, oldest first.
#[track_caller]
fn quarantined(folder: &Folder, state: &str) -> Vec<Value> {
    let found = folder.json(["quarantine", "--limit", "1000", "--state", state]);
    found.iter().for_each(|quarantine| assert_discreet(&quarantine.to_string()));
    found
}
