//! Score ledgers: what is shown is the sum of its rows, at any time and wherever it is shown.

use serde_json::{Value, json};

use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, shop_policy, workspace};

/// The made-up shop with its traffic.
fn shop_under(policy: &str) -> Folder {
    let folder = Folder::with_policy(policy);
    folder.import(workspace().join("examples/shop/interactions.ndjson").to_str().unwrap());
    folder
}

fn shop() -> Folder {
    shop_under(shop_policy().to_str().unwrap())
}

/// The numbers of a field in the rows of a ledger.
fn sum(ledger: &Value, field: &str) -> i64 {
    ledger["rows"].as_array().unwrap().iter().map(|row| row[field].as_i64().unwrap()).sum()
}

#[test]
fn every_score_of_the_shop_is_the_sum_of_its_rows() {
    let folder = shop();
    let leads = folder.json(["leads", "--sort=-score", "--limit", "25"]);
    assert!(leads[0]["score"]["total"].as_i64().unwrap() > 60, "{}", leads[0]["score"]);
    assert_eq!(leads[0]["temperature"], "hot");
    let hot = folder.json(["leads", "--temperature", "hot", "--limit", "1000"]);
    assert!(!hot.is_empty() && hot.iter().all(|lead| lead["temperature"] == "hot"));
    for lead in &leads {
        let id = lead["id"].as_str().unwrap();
        let ledger = folder.json(["lead", id, "--score"]).pop().unwrap();
        assert_eq!(ledger["total"], sum(&ledger, "points_now"), "{id}");
        assert_eq!(ledger["total"], lead["score"]["total"], "{id}");
        assert_eq!(ledger["by_category"], lead["score"]["by_category"], "{id}");
        assert_eq!((&ledger["temperature"], &ledger["stage"]), (&lead["temperature"], &lead["stage"]), "{id}");
    }
}

#[test]
fn a_ledger_is_shown_at_any_time_and_says_why_a_rule_did_not_fire() {
    let folder = shop();
    let lead = folder.json(["leads", "--sort=-score", "--limit", "1"]).pop().unwrap();
    let id = lead["id"].as_str().unwrap();
    let opened = lead["opened_at"].as_str().unwrap();
    let early = folder.json(["lead", id, "--score", "--as-of", opened]).pop().unwrap();
    assert!(early["total"].as_i64() < lead["score"]["total"].as_i64());
    assert_eq!(early["total"], sum(&early, "points_now"));
    let told = folder.json(["lead", id, "--score", "--why", "comes back often"]).pop().unwrap();
    let interactions = told["why"]["interactions"].as_array().unwrap();
    let verdicts: Vec<&str> = interactions.iter().map(|told| told["verdict"].as_str().unwrap()).collect();
    assert!(
        verdicts.contains(&"fired") && verdicts.contains(&"too_few") && verdicts.contains(&"limit"),
        "{verdicts:?}"
    );
    let fired = verdicts.iter().filter(|verdict| **verdict == "fired").count();
    assert_eq!(told["why"]["fired"], fired);
}

/// Other rules for the shop.
fn draft() -> String {
    let text = std::fs::read_to_string(shop_policy()).unwrap();
    text.replace("points = 2\n", "points = 3\n")
        .replace("{ every = \"7d\", percent = 25 }", "{ every = \"1d\", percent = 20 }")
        .replace("{ email_domain_not_in = [", "{ action_prefix = \"cart.\", email_domain_in = [")
        .replace(
            "name = \"talked to us\"\ngroup = \"behaviour\"\npoints = 10\nwhen = { action = \"chat.started\" }",
            "name = \"searched\"\ngroup = \"behaviour\"\npoints = 4\nwhen = { action_prefix = \"search\" }",
        )
}

#[test]
fn a_draft_gives_what_it_would_have_given_from_the_start() {
    let scratch = Folder::empty();
    let draft = scratch.write("draft.toml", draft());
    let draft = draft.to_str().unwrap();
    let (live, fresh) = (shop(), shop_under(draft));
    let mut differing = 0;
    for lead in fresh.json(["leads", "--sort=-score", "--limit", "15"]) {
        let id = lead["id"].as_str().unwrap();
        let tried = live.json(["policy", "try", draft, "--lead", id]).pop().unwrap();
        let mut expected = fresh.json(["lead", id, "--score"]).pop().unwrap();
        // The draft would be the second version there.
        expected["policy_version"] = tried["policy_version"].clone();
        for row in expected["rows"].as_array_mut().unwrap() {
            row["policy_version"] = 2.into();
        }
        assert_eq!(tried, expected, "{id}");
        let now = live.json(["lead", id, "--score"]).pop().unwrap();
        differing += usize::from(now["total"] != tried["total"]);
    }
    assert!(differing > 5, "the draft must matter");
    let preview = live.json(["policy", "preview", draft]).pop().unwrap();
    let open = fresh.json(["leads", "--status", "open", "--limit", "100000"]);
    assert_eq!(preview["leads"], open.len());
    for band in preview["bands"].as_array().unwrap() {
        let from = band["score_from"].as_i64().unwrap();
        let within = open.iter().filter(|lead| (from..from + 10).contains(&lead["score"]["total"].as_i64().unwrap()));
        assert_eq!(band["leads_by_draft"], within.count(), "from {from}");
    }
    assert_eq!(live.log_position(), shop().log_position(), "trying changes nothing");
}

#[test]
fn a_policy_that_scores_open_leads_anew_leaves_the_scores_of_one_from_the_start() {
    let scratch = Folder::empty();
    let draft = scratch.write("draft.toml", draft());
    let draft = draft.to_str().unwrap();
    let (live, fresh) = (shop(), shop_under(draft));
    let adopted = live.json(["policy", "adopt", draft, "--rescore", "open"]).pop().unwrap();
    let open = fresh.json(["leads", "--status", "open", "--sort=-score", "--limit", "100000"]);
    assert_eq!(adopted["rescored"]["leads"], open.len(), "{adopted}");
    assert!(adopted["rescored"]["changed"].as_u64().unwrap() > 5 && adopted["rescored"]["seconds"].is_number());
    // Each look at a lead is a start of the program.
    for expected in open.into_iter().take(15) {
        let id = expected["id"].as_str().unwrap();
        let lead = live.json(["lead", id]).pop().unwrap();
        for field in ["score", "temperature", "stage"] {
            assert_eq!(lead[field], expected[field], "{field} of {id}");
        }
        assert_eq!(sum(&live.json(["lead", id, "--score"])[0], "points_now"), lead["score"]["total"], "{id}");
    }
    let shown = live.json(["policy", "rescoring"]).pop().unwrap();
    assert_eq!(shown, adopted["rescored"]);
    assert_eq!(live.json(["replay"])[0]["difference"], serde_json::Value::Null);
    assert_eq!(live.run(["verify"]).code, Some(0));
}

#[test]
fn points_that_were_taken_away_stay_as_history() {
    let folder = shop();
    let lead = folder.json(["leads", "--sort=-score", "--status", "open", "--limit", "1"]).pop().unwrap();
    let id = lead["id"].as_str().unwrap();
    let before = folder.json(["lead", id, "--score"]).pop().unwrap();
    let row = before["rows"].as_array().unwrap().iter().find(|row| row["points_now"].as_i64() > Some(0)).unwrap();
    let (interaction, rule) = (row["interaction_id"].as_str().unwrap(), row["rule"].as_str().unwrap());
    let args = ["interaction", interaction, "discredit", "--note", "our own monitoring", "--operator", "olga"];
    let answer = folder.json_one(args);
    let words: Vec<&str> =
        answer["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(words.starts_with(&["interaction_discredited", "score_changed"]), "{words:?}");
    let again = folder.run(["interaction", interaction, "discredit"]);
    assert_eq!(again.failed(1), format!("error: interaction {interaction} of lead {id} is discredited already"));

    let after = folder.json(["lead", id, "--score", "--why", rule]).pop().unwrap();
    assert_eq!(after["total"], sum(&after, "points_now"));
    let has = |row: &Value| row["interaction_id"] == interaction;
    assert!(!after["rows"].as_array().unwrap().iter().any(has));
    let taken = after["taken_away"].as_array().unwrap();
    assert!(taken.iter().all(has) && taken.iter().any(|row| row["rule"] == rule));
    assert_eq!((&taken[0]["because"], &taken[0]["operator"]), (&"operator".into(), &"olga".into()));
    let told = after["why"]["interactions"].as_array().unwrap().iter().find(|told| has(told)).unwrap();
    assert_eq!(told["verdict"], "discredited");
    assert_eq!(folder.json(["lead", id])[0]["score"]["total"], after["total"], "the listing has it too");
    let early = folder.json(["lead", id, "--score", "--as-of", before["at"].as_str().unwrap()]).pop().unwrap();
    let rows = |ledger: &Value| ledger["rows"].as_array().unwrap().len();
    assert!(early["taken_away"] == after["taken_away"] || rows(&early) == rows(&before));
    let newest = &folder.json(["lead", id, "--timeline"])[0];
    assert_eq!(
        (&newest["input"]["operator"], &newest["input"]["note"]),
        (&"olga".into(), &"our own monitoring".into())
    );

    // The same rules, from the start, come to the same.
    let tried = folder.json(["policy", "try", shop_policy().to_str().unwrap(), "--lead", id]).pop().unwrap();
    assert_eq!((&tried["total"], rows(&tried)), (&after["total"], rows(&after)));
    assert_eq!(tried["taken_away"].as_array().unwrap().len(), taken.len());
    folder.done(["replay"]);
    folder.done(["verify"]);
}

#[test]
fn score_rows_that_do_not_sum_to_the_scores_are_found_by_verify() {
    let folder = shop();
    folder.done(["sql", "select 1"]);
    folder.done(["verify"]);
    let manifest = folder.path("data/projections/analytics-v4/manifest.json");
    let mut told: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let files = told["files"].as_array_mut().unwrap();
    let before = files.len();
    files.retain(|file| file["table"] != "score_rows");
    assert!(files.len() < before);
    std::fs::write(&manifest, told.to_string()).unwrap();
    let run = folder.run(["verify"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let said = [run.stderr.as_str(), &run.stdout].concat();
    assert!(said.contains("its score rows don't sum to its score"), "{said}");
    assert!(said.contains("`leadfold projections rebuild analytics`"), "{said}");
    folder.done(["projections", "rebuild", "analytics"]);
    folder.done(["verify"]);
}

const BOT_RULES: &str = r#"
[[bot_rule]]
name = "says so itself"
agent_contains = ["crawler"]
[[bot_rule]]
name = "monitoring"
address_in = ["203.0.113.0/24"]
[[bot_rule]]
name = "far too much"
at_least = 5
within = "1m"
"#;

#[test]
fn bots_bring_no_points_and_their_interactions_stay() {
    let scratch = Folder::empty();
    let plain = std::fs::read_to_string(shop_policy()).unwrap();
    let policy = scratch.write("bots.toml", format!("{plain}{BOT_RULES}"));
    let policy = policy.to_str().unwrap();
    let chat =
        |id: &str, time: &str, device: &str| Event::new(id, time, "web", "chat.started").with("visitor_id", device);
    let many = (0..6).map(|second| chat(&format!("many-{second}"), &format!("2026-01-01T01:00:0{second}Z"), "fourth"));
    let events = [
        chat("agent", &hour(1), "first")
            .with("device", json!({ "user_agent": "Example-Crawler/1.0 (+https://x.example)" })),
        chat("address", &hour(1), "second").with("attributes", json!({ "ip": "203.0.113.9" })),
        chat("person", &hour(1), "third").with("attributes", json!({ "ip": "203.0.114.9" })),
    ];
    let events = lines(events.into_iter().chain(many));
    let imported = |policy: &str| {
        let folder = Folder::with_policy(policy);
        folder.write("events.ndjson", &events);
        folder.import("events.ndjson");
        folder
    };
    let (live, lax) = (imported(policy), imported(shop_policy().to_str().unwrap()));
    let leads = ["V1-1", "V2-1", "V3-1", "V4-1"];
    let totals = |folder: &Folder| leads.map(|id| folder.json(["lead", id])[0]["score"]["total"].as_i64().unwrap());
    let [_, _, person, _] = totals(&lax);
    assert!(person > 0 && totals(&lax).iter().all(|total| *total >= person), "{:?}", totals(&lax));
    assert_eq!(totals(&live), [0, 0, person, 0]);
    assert_eq!(live.json(["lead", "V4-1"])[0]["interactions"], 6);
    let of_rule = |id: &str| {
        let told = live.json(["lead", id, "--timeline"]);
        let events: Vec<Value> = told.iter().flat_map(|record| record["events"].as_array().unwrap().clone()).collect();
        let rules = events.iter().filter(|event| event["event"] == "interaction_discredited");
        rules.map(|event| event["bot_rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of_rule("V1-1"), of_rule("V2-1")), (vec!["says so itself".to_owned()], vec!["monitoring".to_owned()]));
    assert_eq!((of_rule("V3-1").len(), of_rule("V4-1").len()), (0, 6));
    assert!(!live.done(["lead", "V1-1", "--timeline"]).contains("Crawler"));
    // A draft takes what it would have taken from the start, also the address, which the log has sealed.
    for (id, total) in leads.into_iter().zip(totals(&live)) {
        let tried = lax.json(["policy", "try", policy, "--lead", id]).pop().unwrap();
        assert_eq!(tried["total"], total, "{id}");
    }
    live.done(["replay"]);
    live.done(["verify"]);
}

#[test]
fn grades_say_what_fit_and_engagement_say_together() {
    let scratch = Folder::empty();
    let plain = std::fs::read_to_string(shop_policy()).unwrap();
    let grid = "[scoring]\ngrid = { fit = { A = 8, B = 4 }, engagement = { 1 = 40, 2 = 10 } }\n";
    assert_eq!(plain.matches("[scoring]\n").count(), 1);
    let policy = scratch.write("grid.toml", plain.replace("[scoring]\n", grid));
    let folder = shop_under(policy.to_str().unwrap());
    let place = |score: &Value| {
        let (fit, engagement) = (score["fit"].as_i64().unwrap(), score["engagement"].as_i64().unwrap());
        let step = |points: i64, best, second| if points >= best { 0 } else { 1 + usize::from(points < second) };
        format!("{}{}", ["A", "B", "C"][step(fit, 8, 4)], step(engagement, 40, 10) + 1)
    };
    let all = folder.json(["leads", "--limit", "100000"]);
    let mut found = std::collections::BTreeMap::<&str, usize>::new();
    for lead in &all {
        let grade = lead["grade"].as_str().unwrap();
        assert_eq!(grade, place(&lead["score"]), "{}", lead["id"]);
        *found.entry(grade).or_default() += 1;
    }
    assert!(found.len() > 3, "{found:?}");
    for (grade, leads) in &found {
        assert_eq!(folder.json(["leads", "--grade", grade, "--limit", "100000"]).len(), *leads, "{grade}");
    }
    let (first, second) = (found.keys().next().unwrap(), found.keys().nth(1).unwrap());
    let both = folder.json(["leads", "--grade", &format!("{first},{second}"), "--limit", "100000"]);
    assert_eq!(both.len(), found[first] + found[second]);
    for lead in all.iter().step_by(all.len() / 10) {
        let id = lead["id"].as_str().unwrap();
        assert_eq!(folder.json(["lead", id, "--score"])[0]["grade"], lead["grade"], "{id}");
        assert!(folder.done(["lead", id]).contains(lead["grade"].as_str().unwrap()));
    }
    assert!(folder.run(["leads", "--grade", "D1"]).failed(2).contains("A1 to C3"));
    assert_eq!(shop().json(["leads", "--limit", "1"])[0]["grade"], Value::Null);
}

#[test]
fn a_draft_is_kept_tried_and_adopted_by_its_name() {
    let scratch = Folder::empty();
    let file = scratch.write("draft.toml", draft());
    let (file, folder) = (file.to_str().unwrap(), shop());
    assert_eq!(folder.done(["policy", "draft", "list"]), "no drafts\n");
    folder.done(["policy", "draft", "save", "spring", file]);
    assert_eq!(folder.done(["policy", "draft", "show", "spring"]).trim_end(), draft().trim_end());
    assert_eq!(folder.json(["policy", "draft", "list"]), [json!({ "draft": "spring", "tenant": "acme", "faults": 0 })]);
    let lead = folder.json(["leads", "--sort=-score", "--limit", "1"]).pop().unwrap();
    let id = lead["id"].as_str().unwrap();
    assert_eq!(
        folder.json(["policy", "try", "draft:spring", "--lead", id]),
        folder.json(["policy", "try", file, "--lead", id])
    );
    let preview = |policy: &str| folder.json(["policy", "preview", policy]).pop().unwrap()["bands"].clone();
    assert_eq!(preview("draft:spring"), preview(file));
    let tried = folder.json(["what-if", "--policy", "draft:spring"]).pop().unwrap();
    assert!(tried["what_if"]["became_hot"].is_number());
    folder.done(["policy", "adopt", "draft:spring", "--rescore", "open"]);
    assert_eq!(folder.done(["policy", "show"]).trim_end(), draft().trim_end());
    folder.done(["policy", "draft", "delete", "spring"]);
    assert!(folder.run(["policy", "adopt", "draft:spring"]).failed(2).contains("there is no draft spring"));
    assert!(folder.run(["policy", "draft", "save", "../up", file]).failed(2).contains("can't name a draft"));
    let faulty = scratch.write("faulty.toml", draft().replace("points", "pints"));
    let refused = folder.run(["policy", "draft", "save", "spring", faulty.to_str().unwrap()]);
    assert!(refused.code == Some(1) && refused.stderr.contains("see above"), "{}", refused.stderr);
    assert_eq!(folder.done(["policy", "draft", "list"]), "no drafts\n", "nothing of it was kept");
}
