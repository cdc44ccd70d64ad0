//! Exports: from a folder and from a service, whole or not at all, and at one position while data changes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Event, Site, tool};

/// A shop with some thousand interactions.
fn shop() -> Site {
    let site = Site::shop();
    let made = site.done(&["generate", "--visitors", "300", "--interactions", "4000", "--seed", "11"]);
    site.write("traffic.ndjson", made);
    site.done(&["import", "traffic.ndjson"]);
    site
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(rows: &[Value], name: &str) -> BTreeSet<String> {
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_export_of_leads_is_the_listing_with_its_filters_from_a_folder_and_a_service() {
    let site = shop();
    let filters = ["--status", "closed", "--close-cause", "inactivity", "--sort", "opened_at"];
    let listed = |arguments: &[&str]| {
        let all: Vec<&str> = [arguments, &filters, &["--json"]].concat();
        lines(&site.done(&all))
    };
    let expected = listed(&["leads", "--limit", "100000"]);
    assert!(expected.len() > 30, "{}", expected.len());
    assert_eq!(lines(&site.done(&[&["export", "leads"][..], &filters].concat())), expected);
    let service = site.serve();
    assert_eq!(lines(&site.done(&[&["export", "leads"][..], &filters].concat())), expected);
    let path = "/v1/export/leads?status=closed&close_cause=inactivity&sort=opened_at";
    let answer = service.client().get(path);
    assert_eq!(answer.headers["x-leadfold-rows"], expected.len().to_string().as_str());
    assert_eq!(lines(&answer.text()), expected);
    let wrong = service.client().get("/v1/export/leads?limit=3");
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let wrong = service.client().get("/v1/export/leads?format=xls");
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

/// How DuckDB, pandas and Polars count the rows of `file` and sum up its `column`.
fn counts_of(format: &str) -> String {
    let (duckdb, pandas, polars) = match format {
        "parquet" => ("read_parquet", "pandas.read_parquet(file)", "polars.read_parquet(file)"),
        "csv" => ("read_csv", "pandas.read_csv(file)", "polars.read_csv(file, infer_schema_length=None)"),
        _ => ("read_json", "pandas.read_json(file, lines=True)", "polars.read_ndjson(file, infer_schema_length=None)"),
    };
    format!(
        "counts = [duckdb.sql(f\"select count(*), sum({{column}}) from {duckdb}('{{file}}')\").fetchall()[0]]\n\
         counts += [(len(rows), rows[column].sum()) for rows in [{pandas}, {polars}]]"
    )
}

#[test]
fn exports_are_read_by_duckdb_pandas_and_polars_and_count_the_same() {
    let site = shop();
    for (what, table, points) in
        [("interactions", "interactions", "rgus"), ("events", "lead_events", "rgus"), ("score", "score_rows", "points")]
    {
        let sql = format!("select count(*) as many, sum({points}) as total from {table}");
        let counted = lines(&site.done(&["sql", &sql, "--json"])).remove(0);
        for format in ["parquet", "csv", "ndjson"] {
            let file = site.path(&format!("{what}.{format}"));
            let told = site.run(&["export", what, "--format", format, "--out", file.to_str().unwrap()]);
            assert!(told.status.success(), "{told:?}");
            let said = String::from_utf8_lossy(&told.stderr);
            assert!(said.contains(&format!("{} rows, true at position", counted["many"])), "{said}");
            let script = format!(
                "import duckdb, json, pandas, polars\n\
                 file, column = '{}', '{points}'\n\
                 {}\n\
                 print(json.dumps([[int(many), int(total)] for many, total in counts]))",
                file.display(),
                counts_of(format)
            );
            let read = Command::new(tool("python")).args(["-c", &script]).output().unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            let found: Value = serde_json::from_slice(&read.stdout).unwrap();
            let wanted = json!([counted["many"].as_i64(), counted["total"].as_i64()]);
            assert_eq!(found, json!([wanted, wanted, wanted]), "{what} as {format}");
        }
    }
}

#[test]
fn an_export_is_of_one_position_while_leads_come_and_change() {
    let site = shop();
    let service = site.serve();
    let client = service.client();
    for round in 0..10 {
        for path in ["/v1/export/leads", "/v1/export/interactions", "/v1/export/score", "/v1/export/events"] {
            let position = client.record(&Event::page(&format!("r{round}-{path}"), &format!("new-{round}")).json());
            let at_least = format!("{path}?min_position={}", position.position);
            std::thread::scope(|scope| {
                let other = service.client();
                scope.spawn(move || {
                    for more in 0..20 {
                        other.record(&Event::page(&format!("{path}-{round}-{more}"), "busy").json());
                    }
                });
                let answer = client.get(&at_least);
                let rows = lines(&answer.text());
                let stated: u64 = answer.headers["x-leadfold-position"].to_str().unwrap().parse().unwrap();
                assert_eq!(answer.headers["x-leadfold-rows"], rows.len().to_string().as_str(), "{path}");
                assert!(stated >= position.position);
                if let Some(latest) = rows.iter().filter_map(|row| row["position"].as_u64()).max() {
                    assert!(latest <= stated, "{path}: {latest} {stated}");
                }
                if path == "/v1/export/leads" {
                    assert_eq!(ids(&rows, "id").len(), rows.len(), "no lead twice");
                }
            });
        }
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_run_is_guarded_in_csv() {
    let site = Site::shop();
    let service = site.serve();
    let product = json!({ "name": "=HYPERLINK(\"http://example.com\")", "category": "-1+1" });
    let recorded = service.client().record(&Event::page("formula", "f").with("product", product).json());
    let answer = service.client().get(&format!("/v1/export/leads?format=csv&min_position={}", recorded.position));
    let text = answer.text();
    assert!(text.starts_with("id,visitor_id,customer_id,"), "{text}");
    assert!(text.contains(",\"'=HYPERLINK(") && text.contains(",'-1+1,"), "{text}");
}

#[test]
fn a_stream_that_is_cut_off_is_no_end_and_no_file() {
    let site = shop();
    let service = site.serve();
    // Whoever goes away in the middle takes nothing along, and the next one gets everything.
    let address = service.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    write!(socket, "GET /v1/export/interactions HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut some = [0_u8; 4_096];
    let read = socket.read(&mut some).unwrap();
    let head = String::from_utf8_lossy(&some[..read]).to_lowercase();
    assert!(head.contains("transfer-encoding: chunked") && head.contains("x-leadfold-rows"), "{head}");
    drop(socket);
    let answer = service.client().get("/v1/export/interactions");
    assert_eq!(answer.headers["x-leadfold-rows"], lines(&answer.text()).len().to_string().as_str());
    service.stop();
    let run = site.run(&["export", "leads", "--out", site.path("nowhere/leads.csv").to_str().unwrap()]);
    assert!(!run.status.success());
    let refused =
        site.run(&["export", "leads", "--status", "asleep", "--out", site.path("leads.csv").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!site.path("leads.csv").exists() && !site.path("leads.csv.part").exists());
}
