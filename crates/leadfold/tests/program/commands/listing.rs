//! The listing: filters, sorts and pages against a naive look at all leads.

use serde_json::Value;

use super::ids;
use crate::support::{Folder, shop_policy};

type Filter = (Vec<&'static str>, Box<dyn Fn(&Value) -> bool>);

fn traffic() -> Folder {
    let folder = Folder::with_policy(shop_policy());
    folder.done(["generate", "--help"]);
    let run = folder.run(["generate", "--visitors", "500", "--interactions", "6000", "--seed", "9"]);
    assert_eq!(run.code, Some(0));
    folder.write("traffic.ndjson", run.stdout);
    folder.import("traffic.ndjson");
    folder
}

fn text(lead: &Value, field: &str) -> String {
    lead[field].as_str().unwrap_or_default().to_owned()
}

fn filters() -> Vec<Filter> {
    let is = |field: &'static str, values: &'static [&'static str]| -> Box<dyn Fn(&Value) -> bool> {
        Box::new(move |lead| values.contains(&lead[field].as_str().unwrap_or_default()))
    };
    let from = "2026-01-10T00:00:00Z";
    vec![
        (vec!["--status", "open"], is("status", &["open"])),
        (vec!["--status", "closed", "--close-cause", "conversion"], is("close_cause", &["conversion"])),
        (vec!["--close-cause", "inactivity,operator"], is("close_cause", &["inactivity", "operator"])),
        (vec!["--lead-type", "tablets, broadband"], is("lead_type", &["tablets", "broadband"])),
        (vec!["--group", "devices"], is("lead_type", &["shopping", "tablets", "phones", "trade-in"])),
        (vec!["--channel", "web"], is("channel", &["web"])),
        (vec!["--skill", "chat-de"], is("skill", &["chat-de"])),
        (vec!["--owner", "nobody"], Box::new(|_| false)),
        (vec!["--value-min", "10000"], Box::new(|lead| lead["sale_value"]["amount"].as_i64() >= Some(10_000))),
        (
            vec!["--value-min", "1", "--value-max", "20000"],
            Box::new(|lead| lead["sale_value"]["amount"].as_i64().is_some_and(|value| (1..=20_000).contains(&value))),
        ),
        (vec!["--opened-from", "2026-01-10"], Box::new(move |lead| text(lead, "opened_at").as_str() >= from)),
        (vec!["--opened-to", "2026-01-10"], Box::new(move |lead| text(lead, "opened_at").as_str() < from)),
        (
            vec!["--closed-from", from, "--closed-to", "2026-01-20T00:00:00+00:00"],
            Box::new(move |lead| (from..="2026-01-20T00:00:00").contains(&text(lead, "closed_at").as_str())),
        ),
        (
            vec!["--last-interaction-from", from],
            Box::new(move |lead| text(lead, "last_interaction_at").as_str() >= from),
        ),
        (
            vec!["--attr", "scroll_percent=50"],
            Box::new(|lead| lead["attributes"]["scroll_percent"].as_i64() == Some(50)),
        ),
        (vec!["--campaign", "spring"], Box::new(|lead| lead["campaign"]["name"] == "spring")),
    ]
}

#[test]
fn filters_find_what_a_naive_look_at_all_leads_finds() {
    let folder = traffic();
    let all = folder.json(["leads", "--limit", "100000"]);
    assert!(all.len() > 600, "more than one page of 500");
    let mut some = 0;
    for (args, wanted) in filters() {
        let query = ["leads", "--limit", "100000"].into_iter().chain(args.iter().copied());
        let found = folder.json(query);
        let expected: Vec<Value> = all.iter().filter(|lead| wanted(lead)).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{args:?}");
        assert_eq!(found, expected);
        some += usize::from(!expected.is_empty());
    }
    assert!(some >= 12, "{some} filters found something");
}

#[test]
fn a_contact_is_found_by_words_address_number_and_customer() {
    let folder = traffic();
    let all = folder.json(["leads", "--limit", "100000"]);
    let contact = |field: &str| all.iter().find_map(|lead| lead["contact"][field].as_str()).unwrap().to_owned();
    let (name, email, phone) = (contact("name"), contact("email"), contact("phone"));
    let customer = all.iter().find_map(|lead| lead["customer_id"].as_str()).unwrap().to_owned();
    let same = |field: &'static str, value: &str| {
        let value = value.to_owned();
        move |lead: &Value| lead["contact"][field].as_str() == Some(&value)
    };
    let word = name.split(' ').next_back().unwrap().to_lowercase();
    let found_by = |args: &[&str]| folder.json(["leads", "--limit", "100000"].into_iter().chain(args.iter().copied()));
    let check = |args: &[&str], wanted: &dyn Fn(&Value) -> bool| {
        let expected: Vec<Value> = all.iter().filter(|lead| wanted(lead)).cloned().collect();
        assert_eq!(ids(&found_by(args)), ids(&expected));
        assert!(!expected.is_empty());
    };
    check(&["--email", &email.to_uppercase()], &same("email", &email));
    check(&["--phone", &phone], &same("phone", &phone));
    check(&["--q", &phone], &same("phone", &phone));
    check(&["--customer-id", &customer], &|lead| lead["customer_id"].as_str() == Some(&customer));
    check(&["--q", &word], &|lead| {
        let contact = &lead["contact"];
        let fields = [&contact["name"], &contact["email"], &contact["phone"], &lead["customer_id"]];
        fields.iter().any(|field| field.as_str().is_some_and(|text| text.to_lowercase().contains(&word)))
    });
}

#[test]
fn sorts_are_in_order_in_both_directions_and_pages_repeat_nothing() {
    let folder = traffic();
    let key = |lead: &Value, sort: &str| match sort {
        "value" => lead["sale_value"]["amount"].as_i64().map(|amount| format!("{amount:020}")),
        "score" => lead["score"]["total"].as_i64().map(|score| format!("{score:020}")),
        field => lead[field].as_str().map(ToOwned::to_owned),
    };
    let mut all = Vec::new();
    for sort in ["last_interaction_at", "opened_at", "closed_at", "value", "score"] {
        for direction in ["", "-"] {
            let flag = format!("--sort={direction}{sort}");
            let found = folder.json(["leads", "--limit", "100000", &flag]);
            let keys: Vec<Option<String>> = found.iter().map(|lead| key(lead, sort)).collect();
            let known: Vec<&String> = keys.iter().flatten().collect();
            assert!(keys.iter().skip(known.len()).all(Option::is_none), "{flag}: those without a value come last");
            let ordered = |pair: &[&String]| if direction.is_empty() { pair[0] <= pair[1] } else { pair[0] >= pair[1] };
            assert!(known.windows(2).all(ordered), "{flag}");
            let mut found: Vec<String> = ids(&found).into_iter().map(ToOwned::to_owned).collect();
            found.sort();
            all.push(found);
        }
    }
    all[0].windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    assert!(all.iter().all(|found| *found == all[0]));
    for limit in ["0", "1", "499", "501"] {
        assert_eq!(folder.json(["leads", "--limit", limit]).len().to_string(), limit);
    }
    let table = folder.done(["leads", "--limit", "3", "--count"]);
    assert_eq!(table.lines().count(), 5);
    assert!(table.ends_with(&format!("{} leads match\n", all[0].len())), "{table}");
}

#[test]
fn orphans_are_filtered_and_cut_off() {
    let folder = traffic();
    let all = folder.json(["orphans", "--limit", "100000"]);
    for (flag, field) in [("--channel", "channel"), ("--skill", "skill"), ("--reason", "reason")] {
        let value = all.iter().find_map(|orphan| orphan[field].as_str()).unwrap();
        let found = folder.json(["orphans", "--limit", "100000", flag, value]);
        let expected: Vec<Value> = all.iter().filter(|orphan| orphan[field] == value).cloned().collect();
        assert_eq!(found, expected);
    }
    let middle = all[all.len() / 2]["occurred_at"].as_str().unwrap();
    let (before, after) =
        (["orphans", "--limit", "1000", "--to", middle], ["orphans", "--limit", "1000", "--from", middle]);
    assert_eq!(folder.json(before).len() + folder.json(after).len(), all.len());
    assert_eq!(folder.json(["orphans", "--limit", "2"]), all[..2]);
}
