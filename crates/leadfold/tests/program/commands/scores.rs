//! Score ledgers: what is shown is the sum of its rows, at any time and wherever it is shown.

use serde_json::Value;

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
