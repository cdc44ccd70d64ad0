//! What is done to visitors: merged, unmerged, kept apart, given a lead.

use serde_json::{Value, json};

use super::{events, ids, lead, small_shop};
use crate::support::Folder;
use crate::support::event::{Event, hour, lines};

fn visitor(folder: &Folder, id: &str) -> Value {
    folder.json_one(["visitor", id])
}

/// All leads but their versions, which only grow.
fn leads(folder: &Folder) -> Vec<Value> {
    let mut leads = folder.json(["leads"]);
    leads.iter_mut().for_each(|lead| drop(lead.as_object_mut().unwrap().remove("version")));
    leads
}

#[test]
fn merged_visitors_are_one_and_an_unmerge_undoes_it_exactly() {
    let folder = small_shop();
    let (before, second, third) = (leads(&folder), visitor(&folder, "V2"), visitor(&folder, "V3"));
    // The older one survives, whichever is named first.
    let answer = folder.json_one(["visitor", "V3", "merge", "V2"]);
    assert_eq!(
        answer["events"],
        json!([{ "event": "visitors_merged", "visitor_id": "V2",
        "absorbed_visitor_id": "V3" }])
    );
    assert_eq!(visitor(&folder, "V3")["merged_into"], "V2");
    let merged = visitor(&folder, "V2");
    assert_eq!(merged["members"], json!(["V3"]));
    assert_eq!(ids(merged["leads"].as_array().unwrap()), ["V2-1", "V3-1"]);
    assert_eq!(merged["identifiers"].as_array().unwrap().len(), 2);
    assert_eq!(lead(&folder, "V3-1")["visitor_id"], "V2");
    assert_eq!(folder.json(["orphans"])[0]["visitor_id"], "V2");
    for id in ["V2", "V3"] {
        assert_eq!(events(&folder.json(["visitor", id, "--timeline"])[0]), ["visitors_merged"]);
    }

    let answer = folder.json_one(["visitor", "V3", "unmerge"]);
    assert_eq!(events(&answer), ["visitors_unmerged"]);
    assert_eq!(leads(&folder), before);
    assert_eq!((visitor(&folder, "V2"), visitor(&folder, "V3")), (second, third));
    let picture = folder.picture();
    folder.done(["repair"]);
    folder.picture().assert_same(&picture);
}

/// The visitors of V2 and V3 give the same address.
fn meet(folder: &Folder) {
    let event = |id, time: String, device| Event::page(id, &time, device).with("email", "both@example.com");
    folder.write("meet.ndjson", lines([event("m1", hour(8), "b"), event("m2", hour(9), "c")]));
    folder.import("meet.ndjson");
}

#[test]
fn who_was_kept_apart_does_not_merge_again_and_others_do() {
    let folder = small_shop();
    folder.done(["visitor", "V2", "merge", "V3"]);
    folder.done(["visitor", "V3", "unmerge", "--keep-apart"]);
    meet(&folder);
    assert_eq!(visitor(&folder, "V3")["merged_into"], Value::Null);
    let folder = small_shop();
    folder.done(["visitor", "V2", "merge", "V3"]);
    folder.done(["visitor", "V3", "unmerge"]);
    meet(&folder);
    assert_eq!(visitor(&folder, "V3")["merged_into"], "V2");
}

#[test]
fn a_settled_suspicion_is_shown_as_settled_on_both_sides_and_leaves_the_list() {
    let folder = small_shop();
    let suspected = |id: &str| visitor(&folder, id)["suspected_duplicates"].clone();
    assert_eq!(suspected("V4"), json!([{ "visitor_id": "V5", "shared": "email", "settled": false }]));
    let pair =
        |settled: bool| json!({ "visitor_id": "V4", "other_visitor_id": "V5", "kind": "email", "settled": settled });
    assert_eq!(folder.json(["duplicates"]), [pair(false)]);
    assert!(folder.done(["duplicates"]).ends_with("V4       V5     email   open\n"), "{}", folder.done(["duplicates"]));
    let answer = folder.json_one(["visitor", "V5", "settle", "V4"]);
    assert_eq!(events(&answer), ["duplicate_settled"]);
    assert_eq!(suspected("V4"), json!([{ "visitor_id": "V5", "shared": "email", "settled": true }]));
    assert_eq!(suspected("V5"), json!([{ "visitor_id": "V4", "shared": "email", "settled": true }]));
    assert!(folder.done(["visitor", "V4"]).contains("settled: somebody else"));
    assert_eq!(folder.done(["duplicates"]), "no suspected duplicates\n");
    assert_eq!(folder.json(["duplicates", "--settled"]), [pair(true)]);
}

#[test]
fn a_lead_opened_by_hand_takes_what_comes_next() {
    let folder = small_shop();
    let answer = folder.json_one(["visitor", "V3", "open", "phones"]);
    assert_eq!(events(&answer), ["lead_opened", "stage_entered"]);
    let opened = lead(&folder, "V3-2");
    assert_eq!((&opened["interactions"], &opened["channel"]), (&json!(0), &Value::Null));
    assert_eq!((&opened["opened_at"], &opened["deadline"]), (&json!(hour(7)), &json!(hour(7 + 240))));
    let chat = Event::new("chat", &hour(8), "chat", "chat.started").with("skill", "chat-de").with("visitor_id", "c");
    folder.write("chat.ndjson", lines([chat]));
    folder.import("chat.ndjson");
    assert_eq!(lead(&folder, "V3-2")["interactions"], 1);
    assert!(folder.done(["visitor", "V3"]).contains("V3-2"));
}
