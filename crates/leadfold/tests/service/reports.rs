//! Reports of a service: every measure counted again by another road, and what is wrong with a query told to its caller.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Running, Site, eventually, tool, workspace};

const CLOCK: &str = "2026-04-17T00:00:00Z";

/// A shop over the weeks in which clocks go forward, in America and in Europe.
fn shop() -> (Site, String) {
    let mut site = Site::shop();
    // Just behind the traffic, so that leads are open.
    site.set_clock(CLOCK);
    let sent = site.done(&[
        "generate",
        "--visitors",
        "200",
        "--interactions",
        "2500",
        "--seed",
        "7",
        "--start",
        "2026-03-02T00:00:00Z",
        "--days",
        "45",
    ]);
    site.write("traffic.ndjson", &sent);
    site.done(&["import", "traffic.ndjson"]);
    (site, sent)
}

/// Everything that can be measured, grouped by and filtered, in several zones.
fn questions() -> Vec<Value> {
    let all = json!(["count", "count_distinct:channel", "sum:interactions", "average:interactions", "min:interactions",
        "max:interactions", "p95:interactions", "p25:interactions", "median:interactions", "percentage",
        "percentage:interactions", "sum:sale_value", "average:sale_value", "p90:sale_value", "percentage:sale_value",
        "average:time_to_convert", "p50:time_to_convert", "max:time_to_close", "average:age", "count:closed_at",
        "min:opened_at", "max:closed_at", "sum:attr.seconds",
        { "name": "sold", "function": "count", "filters": [{ "field": "is_converted", "is": true }] },
        { "name": "rate", "formula": "sold / count * 100" },
        { "name": "value_of_sold", "formula": "sum_sale_value / sold" }]);
    let march = json!({ "from": "2026-03-05", "to": "2026-04-10" });
    let mut questions = vec![
        json!({ "source": "leads", "measures": all }),
        json!({ "source": "leads", "measures": all, "dimensions": ["lead_type"] }),
        json!({ "source": "leads", "measures": all, "dimensions": ["status", "channel", "attr.plan", "is_converted"] }),
        json!({ "source": "leads", "measures": ["count"], "dimensions": [{ "field": "age", "bands": ["2d", "5d", "9d"] }],
            "filters": [{ "field": "status", "is": "open" }] }),
        json!({ "source": "leads", "measures": ["count", "percentage"], "dimensions": [
            { "field": "opened_at", "by": "week", "name": "cohort" }, { "field": "time_to_convert", "bands": ["1d", "3d"] }] }),
        json!({ "source": "leads", "measures": ["count", "sum:sale_value"], "date_origin": "closed", "dimensions": ["week"],
            "period": march, "zone": "America/New_York" }),
        json!({ "source": "leads", "measures": ["count"], "date_origin": "interaction", "dimensions": ["day"],
            "filters": [{ "any": [{ "field": "campaign", "contains": "WINTER" }, { "field": "interactions", "at_least": 5 }] },
                { "field": "channel", "not_in": ["voice"] }, { "field": "close_cause", "is_not": "inactivity" }] }),
        json!({ "source": "interactions", "measures": ["count", "sum:attr.seconds", "average:attr.seconds", "median:product_price",
            "average:product_price", "percentage"], "dimensions": ["channel", "campaign", "is_orphan"] }),
        json!({ "source": "interactions", "measures": ["count", "count_distinct:lead_id"], "dimensions": ["lead.lead_type", "action"],
            "filters": [{ "field": "lead.status", "is": "closed" }, { "field": "attr.seconds", "above": 30 }] }),
        json!({ "source": "interactions", "measures": ["count"], "date_origin": "opened", "period": march, "dimensions": ["day"] }),
        json!({ "source": "events", "measures": ["count", "sum:amount"], "dimensions": ["event", "month"],
            "filters": [{ "field": "event", "in": ["lead_opened", "conversion_recorded", "lead_closed"] }] }),
        json!({ "source": "leads", "measures": ["count", "sum:sale_value", "percentage"], "dimensions": ["channel"],
            "period": { "from": "2026-03-25", "to": "2026-04-05" }, "compare": "previous_period" }),
        json!({ "source": "leads", "measures": ["count", "average:interactions"], "dimensions": ["day"],
            "period": { "from": "2026-03-25", "to": "2026-04-01" }, "compare": "previous_period" }),
    ];
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"] {
        for unit in ["hour", "day", "week", "month"] {
            questions.push(json!({ "source": "interactions", "measures": ["count"], "dimensions": [unit], "zone": zone, "limit": 10_000 }));
            let measures = json!(["count", "sum:sale_value",
                { "name": "a_day", "function": "average_per", "per": "day" },
                { "name": "an_hour", "function": "average_per", "per": "hour", "field": "interactions" }]);
            questions.push(
                json!({ "source": "leads", "measures": measures, "dimensions": [unit, "lead_type"], "zone": zone,
                "period": march, "limit": 10_000 }),
            );
        }
    }
    for model in ["first_touch", "last_touch", "linear", "position", "time_decay"] {
        for (by, look_back) in [("campaign", "30d"), ("channel", "2d")] {
            questions.push(json!({ "source": "attribution", "measures": ["count", "sum:credit", "sum:credited_value"],
                "dimensions": ["touch", "lead_type"], "attribution": { "model": model, "by": by, "look_back": look_back } }));
        }
    }
    questions
}

fn ask(service: &Running, question: &Value) -> Answer {
    service.client().post("/v1/analytics/query", question)
}

#[test]
fn reports_say_what_counting_again_by_another_road_says() {
    let (site, sent) = shop();
    let service = site.serve();
    let questions = questions();
    // The service ticks once, to where its time stands still; then nothing changes any more.
    eventually("every lead that is due is closed", || {
        let open = service.client().get("/v1/leads?status=open&limit=500").ok(200);
        assert_eq!(open["next_cursor"], Value::Null);
        let due = |lead: &Value| lead["deadline"].as_str().unwrap() <= CLOCK;
        (!open["items"].as_array().unwrap().iter().any(due)).then_some(())
    });
    let answers = eventually("all at one position", || {
        let answers: Vec<Value> = questions.iter().map(|question| ask(&service, question).ok(200)).collect();
        answers.iter().all(|answer| answer["position"] == answers[0]["position"]).then_some(answers)
    });
    let leads: Vec<Value> = site
        .done(&["leads", "--limit", "100000", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let timeline = |lead: &Value| {
        let id = lead["id"].as_str().unwrap();
        let page = service.client().get(&format!("/v1/leads/{id}/timeline?limit=500")).ok(200);
        assert_eq!(page["next_cursor"], Value::Null);
        (id.to_owned(), page["items"].clone())
    };
    let timelines: serde_json::Map<String, Value> = leads.iter().map(timeline).collect();
    // What a folder says is what its service says.
    let first = site.done(&["analytics", &questions[1].to_string(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["items"], answers[1]["items"]);
    service.stop();
    let world =
        json!({ "sent": sent, "leads": leads, "timelines": timelines, "questions": questions, "answers": answers });
    let world = site.write("world.json", world.to_string());
    let first = site.done(&["analytics", &questions[1].to_string(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["items"], answers[1]["items"]);
    let script = workspace().join("crates/leadfold/tests/service/analytics/recount.py");
    let counted = Command::new(tool("python")).arg(script).arg(world).output().unwrap();
    assert!(counted.status.success(), "{}", String::from_utf8_lossy(&counted.stderr));
    let compared: u64 = String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap();
    assert!(compared > 5_000, "{compared}");
}

#[test]
fn every_fault_of_a_query_is_told_at_once_with_its_path() {
    let site = Site::shop();
    let service = site.serve();
    let problem = ask(&service, &json!({
        "source": "leads", "mesures": [], "measures": ["cuont", "sum:status", { "function": "average", "field": "sale_valu" },
            { "name": "x", "formula": "system('rm') / 2" }],
        "dimensions": ["lead_typ", { "field": "status", "by": "day" }],
        "filters": [{ "field": "status", "above": 5 }, { "field": "age", "is": "long" }, { "field": "status" }],
        "period": { "from": "tomorrow" }, "date_origin": "birth", "zone": "Europe/Berln", "order": ["nothing"], "limit": 1_000_000_000,
    }))
    .problem(422, "invalid-query");
    let paths: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    for path in [
        "mesures",
        "measures[0]",
        "measures[1]",
        "measures[2].field",
        "measures[3].formula",
        "dimensions[0]",
        "filters[0].above",
        "filters[1].is",
        "filters[2].is",
        "period.from",
        "date_origin",
        "zone",
        "limit",
    ] {
        assert!(paths.contains(&path), "{path}: {problem}");
    }
    for hint in [
        "did you mean \\\"measures\\\"",
        "did you mean \\\"count\\\"",
        "did you mean \\\"sale_value\\\"",
        "did you mean \\\"lead_type\\\"",
        "did you mean \\\"Europe/Berlin\\\"",
        "no function \\\"system\\\"",
    ] {
        assert!(problem.to_string().contains(hint), "{hint}: {problem}");
    }
    ask(&service, &json!([1])).problem(422, "invalid-query");
    let run = site.run(&["analytics", "{\"source\": \"leads\", \"measures\": [\"cuont\"]}"]);
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("did you mean \"count\""), "{run:?}");
    service.stop();
    let run = site.run(&["analytics", "{\"source\": \"leads\", \"measures\": [\"cuont\"]}"]);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
}

#[test]
fn hostile_names_and_values_are_only_names_and_values() {
    let (site, _) = shop();
    let service = site.serve();
    let hostile = "x') or 1=1; drop table leads; --\"'\\";
    let report = ask(&service, &json!({
        "source": "leads", "measures": ["count", { "name": hostile, "function": "count", "filters": [{ "field": "status", "is": hostile }] }],
        "dimensions": [{ "field": format!("attr.{hostile}"), "name": format!("{hostile}2") }],
        "filters": [{ "field": "campaign", "is_not": hostile }, { "field": "channel", "not_in": [hostile, "'"] },
            { "field": "lead_type", "is_not": "x' or ''='" }],
    }))
    .ok(200);
    let leads = ask(&service, &json!({ "source": "leads", "measures": ["count"] })).ok(200);
    assert_eq!(
        report["items"],
        json!([{ "count": leads["items"][0]["count"], hostile: 0, format!("{hostile}2"): null }])
    );
    let nothing = json!({ "source": "leads", "filters": [{ "field": "status", "is": "nothing" }],
        "measures": ["count", "sum:sale_value", { "name": "rate", "formula": "count / count" }] });
    let nothing = ask(&service, &nothing).ok(200);
    assert_eq!(nothing["items"], json!([{ "count": 0, "sum_sale_value": null, "rate": null }]));
    assert_eq!(nothing["notes"][0]["code"], "division_by_zero");
}
