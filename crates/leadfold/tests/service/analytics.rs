//! The analytics tables of a service and of a folder: asked over HTTP and on the command line, and read by other programs.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Event, Running, Site, eventually, tool, workspace};

/// A shop with some thousand interactions.
fn shop() -> Site {
    let site = Site::shop();
    let made = site.done(&["generate", "--visitors", "400", "--interactions", "6000", "--seed", "7"]);
    site.write("traffic.ndjson", made);
    site.done(&["import", "traffic.ndjson"]);
    site
}

fn rows(site: &Site, sql: &str) -> Vec<Value> {
    let lines = site.done(&["sql", sql, "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const SUMS: &str = "select lead_type, count(*) as leads, sum(conversions) as conversions, sum(sale_value) as value \
     from leads group by lead_type order by lead_type";
const DAYS: &str = "select to_char(date_trunc('day', at at time zone 'Europe/Berlin'), '%Y-%m-%d') as day, \
     count(*) as many from interactions group by 1 order by 1";

/// The values of each row, without the names.
fn values(rows: &[Value], names: &[&str]) -> Value {
    rows.iter().map(|row| names.iter().map(|name| row[name].clone()).collect::<Value>()).collect()
}

#[test]
fn duckdb_pandas_and_polars_read_the_files_and_count_the_same() {
    let site = shop();
    let sums = values(&rows(&site, SUMS), &["lead_type", "leads", "conversions", "value"]);
    let days = values(&rows(&site, DAYS), &["day", "many"]);
    assert!(sums.as_array().unwrap().len() > 1 && days.as_array().unwrap().len() > 1, "{sums} {days}");
    let script = workspace().join("crates/leadfold/tests/service/analytics/read.py");
    let read =
        Command::new(tool("python")).arg(script).arg(site.path("data/projections/analytics-v4")).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let found: Value = serde_json::from_slice(&read.stdout).unwrap();
    for program in ["duckdb", "pandas", "polars"] {
        assert_eq!(found[program], json!({ "sums": sums, "days": days }), "{program}");
    }
}

#[test]
fn the_tables_agree_with_the_listing_and_the_import() {
    let site = shop();
    let leads: Vec<Value> = site
        .done(&["leads", "--limit", "100000", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let listed = |status: &str| leads.iter().filter(|lead| lead["status"] == status).count();
    let counted = rows(&site, "select status, count(*) as many from leads group by 1 order by 1");
    assert_eq!(values(&counted, &["status", "many"]), json!([["closed", listed("closed")], ["open", listed("open")]]));
    let states: Vec<Value> =
        site.done(&["projections", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(states.iter().map(|state| &state["name"]).collect::<Vec<_>>(), ["listing", "analytics"]);
    assert!(states.iter().all(|state| state["lag"] == 0), "{states:?}");
    site.done(&["projections", "rebuild", "analytics"]);
    assert_eq!(rows(&site, "select status, count(*) as many from leads group by 1 order by 1"), counted);
    assert!(site.done(&["sql", "select 1 as one"]).contains("one"));
}

#[test]
fn a_wrong_query_on_the_command_line_is_wrong_usage() {
    let site = shop();
    let run = site.run(&["sql", "select lead_typ from leads"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean \"lead_type\""), "{said}");
    let run = site.run(&["sql", "select * from interactions", "--max-rows", "5"]);
    assert_eq!(run.status.code(), Some(1));
    let file = site.path("out.parquet");
    site.done(&["sql", "select * from interactions", "--format", "parquet", "-o", file.to_str().unwrap()]);
    assert_eq!(&std::fs::read(&file).unwrap()[..4], b"PAR1");
}

fn ask(service: &Running, body: &Value) -> crate::support::Answer {
    service.client().post("/v1/sql", body)
}

#[test]
fn a_service_answers_queries_at_the_position_that_was_asked_for() {
    let site = Site::shop();
    let service = site.serve();
    let recorded = service.client().record(&Event::page("event-1", "device-1").json());
    let path = format!("/v1/sql?min_position={}", recorded.position);
    let answer = service.client().post(&path, &json!({ "query": "select count(*) as many from interactions" }));
    let rows: Value = answer.ok(200);
    assert_eq!(rows, json!([{ "many": 1 }]));
    let table = site.done(&["sql", "select channel, is_orphan from interactions"]);
    assert!(table.contains("CHANNEL") || table.contains("channel"), "through the service: {table}");
    let lag = site.done(&["projections"]);
    assert!(lag.contains("analytics"), "{lag}");
    let (ended, said) = service.stop();
    assert!(ended.success(), "{said}");
    // It was sealed: nothing is read again.
    assert_eq!(rows_of_sealed(&site), 1);
}

fn rows_of_sealed(site: &Site) -> u64 {
    let manifest = std::fs::read(site.path("data/projections/analytics-v4/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap();
    files.iter().filter(|file| file["table"] == "interactions").map(|file| file["rows"].as_u64().unwrap()).sum()
}

#[test]
fn what_is_wrong_with_a_query_is_a_problem_of_the_caller() {
    let site = Site::shop();
    let service = site.serve();
    for (body, status, kind) in [
        (json!({ "query": "selec 1" }), 422, "invalid-query"),
        (json!({ "query": "drop table leads" }), 422, "query-refused"),
        (json!({ "query": "select lead_typ from leads" }), 422, "invalid-query"),
        (json!({ "query": "select * from secrets" }), 422, "invalid-query"),
        (json!({ "query": "select 1", "format": "xml" }), 400, "invalid-request"),
        (json!({ "sql": "select 1" }), 400, "invalid-request"),
        (json!({}), 400, "invalid-request"),
    ] {
        let answer = ask(&service, &body);
        let text = answer.text();
        assert_eq!(answer.status, status, "{body}: {text}");
        assert!(text.contains(&format!("urn:leadfold:problem:{kind}")), "{body}: {text}");
    }
    let csv = ask(&service, &json!({ "query": "select 1 as one", "format": "csv" }));
    assert_eq!(csv.text(), "one\n1\n");
}

fn status(service: &Running) -> u16 {
    let client = service.client();
    client.status(client.request(Method::POST, "/v1/sql").json(&json!({ "query": "select 1" })))
}

#[test]
fn damaged_tables_stop_neither_the_service_nor_the_listing() {
    let site = shop();
    // An import leaves the tables to whoever asks them first.
    assert_eq!(rows(&site, "select count(*) > 0 as are_there from leads"), [json!({ "are_there": true })]);
    let folder = site.path("data/projections/analytics-v4");
    let victim = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("leads-")));
    std::fs::write(victim.unwrap(), "nonsense").unwrap();
    let service = site.serve();
    service.client().get("/v1/leads").ok(200);
    assert_eq!(status(&service), 503);
    service.stop();
    site.done(&["projections", "rebuild", "analytics"]);
    let service = site.serve();
    eventually("the tables are back", || (status(&service) == 200).then_some(()));
}
