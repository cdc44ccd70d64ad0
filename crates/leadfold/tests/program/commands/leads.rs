//! What is done to leads and interactions: told, in the lead, in its timeline, and there to stay.

use serde_json::{Value, json};

use super::{events, ids, lead, small_shop};
use crate::support::Folder;
use crate::support::event::hour;

/// An act on `V1-1`, the events that it leads to, and what the lead says afterwards.
struct Step {
    act: &'static [&'static str],
    events: &'static [&'static str],
    says: Value,
}

fn steps() -> Vec<Step> {
    let step = |act, events, says| Step { act, events, says };
    vec![
        step(&["assign", "piet"], &["lead_assigned"], json!({ "owner": "piet" })),
        step(&["assign"], &["lead_assigned"], json!({ "owner": null })),
        step(
            &["note", "call back on Tuesday"],
            &["note_added"],
            json!({ "notes": [{ "at": hour(7), "text": "call back on Tuesday" }] }),
        ),
        step(
            &["set", "plan=pro", "seats=3", "vip=true", "from=a=b"],
            &["attributes_set"],
            json!({ "attributes": { "plan": "pro", "seats": 3, "vip": true, "from": "a=b" } }),
        ),
        step(
            &["type", "tablets"],
            &["lead_type_changed"],
            json!({ "lead_type": "tablets", "deadline": hour(3 + 14 * 24) }),
        ),
        step(
            &["close", "--reason", "not_interested", "--note", "bought elsewhere"],
            &["lead_closed"],
            json!({ "status": "closed", "close_cause": "operator", "close_reason": "not_interested",
                "closed_at": hour(7),
                "notes": [{ "at": hour(7), "text": "call back on Tuesday" }, { "at": hour(7), "text": "bought elsewhere" }] }),
        ),
        step(
            &["reopen"],
            &["lead_reopened"],
            json!({ "status": "open", "close_cause": null, "close_reason": null, "closed_at": null,
                "deadline": hour(7 + 14 * 24) }),
        ),
        step(
            &["convert", "--value", "12900", "--currency", "USD", "--rgus", "2", "--order", "A-1"],
            &["conversion_recorded", "lead_closed"],
            json!({ "status": "closed", "close_cause": "conversion", "conversions": 1, "rgus": 2,
                "sale_value": { "amount": 12900, "currency": "USD" } }),
        ),
        step(
            &["withdraw", "--order", "A-1"],
            &["conversion_withdrawn", "lead_reopened"],
            json!({ "status": "open", "close_cause": null, "conversions": 0, "rgus": 0, "sale_value": null }),
        ),
        step(
            &["convert", "--value", "500", "--order", "A-1", "--at", "2026-01-01T06:30:00Z"],
            &["conversion_recorded", "lead_closed"],
            json!({ "closed_at": "2026-01-01T06:30:00Z", "sale_value": { "amount": 500, "currency": "EUR" } }),
        ),
    ]
}

#[test]
fn every_act_on_a_lead_is_told_shows_in_it_and_in_its_timeline_and_lasts() {
    let folder = small_shop();
    for (number, step) in steps().into_iter().enumerate() {
        let before = lead(&folder, "V1-1");
        let answer = folder.json_one(["lead", "V1-1"].into_iter().chain(step.act.iter().copied()));
        assert_eq!(events(&answer), step.events);
        let after = lead(&folder, "V1-1");
        for (field, value) in step.says.as_object().unwrap() {
            assert_eq!(&after[field], value, "{:?}: {field}", step.act);
        }
        let version = before["version"].as_u64().unwrap() + step.events.len() as u64;
        assert_eq!(after["version"], version, "{:?}", step.act);
        assert_eq!((&answer["lead"], &answer["repeated"]), (&after, &json!(false)));

        let timeline = folder.json(["lead", "V1-1", "--timeline"]);
        let newest = &timeline[0];
        assert_eq!(timeline.len(), 3 + number);
        assert_eq!((events(newest), &newest["position"]), (step.events.to_vec(), &answer["position"]));
        assert_eq!((&newest["input"]["kind"], &newest["input"]["operator"]), (&json!("command"), &json!("olga")));
        let note = step.act.iter().find(|word| word.contains(' '));
        assert_eq!(newest["input"]["note"].as_str(), note.copied());
    }
    let before = folder.picture();
    folder.done(["repair"]);
    folder.picture().assert_same(&before);
}

#[test]
fn the_same_acts_without_json_read_as_sentences() {
    let folder = small_shop();
    let told = folder.done(["lead", "V1-1", "close", "--reason", "duplicate"]);
    assert_eq!(told, "recorded at position 12, as of 2026-01-01T07:00:00Z\n  lead_closed V1-1\n");
    let shown = folder.done(["lead", "V1-1"]);
    for line in ["lead               V1-1", "status             closed (operator, duplicate)"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let timeline = folder.done(["lead", "V1-1", "--timeline"]);
    assert!(timeline.starts_with("2026-01-01 07:00:00  #12  command of olga\n    lead closed: V1-1"), "{timeline}");
    assert_eq!(folder.done(["lead", "V1-1", "--timeline", "--limit", "1"]).lines().count(), 2);
}

#[test]
fn an_act_counts_only_for_the_version_that_was_seen() {
    let folder = small_shop();
    let version = lead(&folder, "V1-1")["version"].as_u64().unwrap();
    let expected =
        format!("error: lead V1-1 is at version {}, not {version}; read it again and decide anew", version + 1);
    let version = version.to_string();
    folder.done(["lead", "V1-1", "note", "first", "--if-version", &version]);
    let head = folder.log_position();
    for act in [&["note", "second"][..], &["reopen"], &["close", "--reason", "duplicate"], &["convert"], &["assign"]] {
        let run = folder.run(["lead", "V1-1"].into_iter().chain(act.iter().copied()).chain(["--if-version", &version]));
        assert_eq!(run.failed(1), expected);
    }
    assert_eq!(folder.log_position(), head);
}

#[test]
fn a_closed_lead_takes_no_more_interactions_and_a_reopened_one_does() {
    use crate::support::event::{Event, lines};
    let folder = small_shop();
    folder.done(["lead", "V2-1", "close", "--reason", "not_interested"]);
    folder.write("later.ndjson", lines([Event::page("later", &hour(9), "b")]));
    folder.import("later.ndjson");
    assert_eq!(lead(&folder, "V2-1")["interactions"], 1);
    assert_eq!(lead(&folder, "V2-2")["opened_at"], hour(9));
    folder.done(["lead", "V3-1", "close", "--reason", "not_interested"]);
    folder.done(["lead", "V3-1", "reopen"]);
    folder.write("last.ndjson", lines([Event::page("last", &hour(10), "c")]));
    folder.import("last.ndjson");
    assert_eq!(lead(&folder, "V3-1")["interactions"], 2);
}

/// First, last and number of a lead's interactions, and its deadline.
fn interactions(folder: &Folder, id: &str) -> [Value; 4] {
    let lead = lead(folder, id);
    ["first_interaction_at", "last_interaction_at", "interactions", "deadline"].map(|field| lead[field].clone())
}

#[test]
fn an_orphan_is_adopted_by_a_lead_or_by_a_new_one() {
    let folder = small_shop();
    let answer = folder.json_one(["orphan", "I3", "adopt", "--lead", "V1-2"]);
    assert_eq!(events(&answer), ["interaction_attached"]);
    // Broadband counts from the first interaction, which is the orphan now.
    assert_eq!(interactions(&folder, "V1-2"), [json!(hour(1)), json!(hour(2)), json!(2), json!(hour(1 + 72))]);
    assert_eq!(ids(&folder.json(["orphans"])), ["I10"]);

    let answer = folder.json_one(["orphan", "I10", "adopt", "--lead-type", "tablets"]);
    assert_eq!(events(&answer), ["lead_opened", "stage_entered", "interaction_attached"]);
    let opened = lead(&folder, "V3-2");
    assert_eq!((&opened["lead_type"], &opened["channel"]), (&json!("tablets"), &json!("voice")));
    assert_eq!(interactions(&folder, "V3-2")[..3], [json!(hour(7)), json!(hour(7)), json!(1)]);
    assert_eq!(folder.done(["orphans"]), "no orphans\n");
    for id in ["V1-2", "V3-2"] {
        let timeline = folder.json(["lead", id, "--timeline"]);
        assert_eq!(timeline[0]["input"]["kind"], "command");
    }
    let before = folder.picture();
    folder.done(["projections", "rebuild", "listing"]);
    folder.picture().assert_same(&before);
}

#[test]
fn a_moved_interaction_leaves_one_lead_for_the_other_and_can_go_back() {
    let folder = small_shop();
    let (from, to) = (interactions(&folder, "V1-1"), interactions(&folder, "V1-2"));
    let answer = folder.json_one(["interaction", "I5", "move", "--to", "V1-2"]);
    assert_eq!(events(&answer), ["interaction_moved"]);
    assert_eq!(interactions(&folder, "V1-1"), [json!(hour(0)), json!(hour(0)), json!(1), json!(hour(7 * 24))]);
    assert_eq!(interactions(&folder, "V1-2"), [json!(hour(2)), json!(hour(3)), json!(2), json!(hour(2 + 72))]);
    for id in ["V1-1", "V1-2"] {
        assert_eq!(events(&folder.json(["lead", id, "--timeline"])[0]), ["interaction_moved"]);
    }
    folder.done(["interaction", "I5", "move", "--to", "V1-1"]);
    assert_eq!((interactions(&folder, "V1-1"), interactions(&folder, "V1-2")), (from, to));
    let before = folder.picture();
    folder.done(["repair"]);
    folder.picture().assert_same(&before);
}
