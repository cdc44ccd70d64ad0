//! Imports beside a running service are sent to it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::event::{Event, hour, lines};
use crate::support::service::Service;
use crate::support::{Folder, Run, shop_policy, workspace};

const COUNTS: [&str; 7] =
    ["read", "recorded", "duplicates", "conflicting", "quarantined", "leads_opened", "leads_converted"];

fn traffic(folder: &Folder) -> String {
    let run = folder.run(["generate", "--visitors", "200", "--interactions", "2200", "--seed", "8"]);
    assert_eq!(run.code, Some(0));
    format!("{}{{\"broken\":\n", run.stdout)
}

fn counts(summary: &Value) -> Vec<Value> {
    COUNTS.iter().map(|count| summary[*count].clone()).collect()
}

fn packed(folder: &Folder, program: &str, name: &str) -> bool {
    let packed = Command::new(program).arg("-kf").arg(folder.path(name)).stderr(Stdio::null()).status();
    packed.is_ok_and(|status| status.success())
}

#[test]
fn a_file_counts_the_same_through_a_service_plain_packed_and_from_a_pipe() {
    let (here, there) = (Folder::with_policy(shop_policy()), Folder::with_policy(shop_policy()));
    let traffic = traffic(&here);
    for folder in [&here, &there] {
        folder.write("traffic.ndjson", &traffic);
    }
    let in_folder = here.import("traffic.ndjson");
    let service = Service::start(&there, []);
    let sent = service.import("traffic.ndjson");
    assert_eq!(counts(&sent), counts(&in_folder));
    assert_eq!((&sent["orphans"], sent["leads_open"].is_u64()), (&in_folder["orphans"], true));

    let again = |summary: &Value| {
        let [recorded, known] = ["recorded", "duplicates"].map(|count| summary[count].as_u64().unwrap());
        assert_eq!(recorded, 0);
        assert!(known > 2_000, "{summary}");
    };
    for (program, name) in [("gzip", "traffic.ndjson.gz"), ("zstd", "traffic.ndjson.zst")] {
        if packed(&service, program, "traffic.ndjson") {
            again(&service.import(name));
        }
    }
    let mut piped = service.command(["import", "-", "--json"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(traffic.as_bytes()).unwrap();
    let run = Run::ended(child.wait_with_output().unwrap());
    again(&serde_json::from_str(&run.stdout).unwrap());
    let told = service.done(["import", "traffic.ndjson"]);
    assert!(told.starts_with("read ") && told.contains("leads open now"), "{told}");
    service.stop();

    let leads = |folder: &Folder| -> Vec<Value> {
        let fields = ["id", "lead_type", "opened_at", "interactions", "conversions", "sale_value", "contact"];
        let leads = folder.json(["leads", "--limit", "100000", "--sort", "opened_at"]);
        leads.iter().map(|lead| fields.iter().map(|field| lead[*field].clone()).collect()).collect()
    };
    assert_eq!(leads(&there), leads(&here));
}

#[test]
fn what_was_sent_long_ago_keeps_its_time() {
    let folder = Folder::with_policy(shop_policy());
    let service = Service::start_at(&folder, &hour(9));
    let event = Event::page("1", &hour(1), "a").with("sent_at", hour(2));
    service.write("history.ndjson", lines([event]));
    assert_eq!(service.import("history.ndjson")["recorded"], 1);
    assert_eq!(service.json_one(["leads"])["opened_at"], hour(1));
    service.stop();
    assert_eq!(folder.import("history.ndjson")["duplicates"], 1);
}

#[test]
fn a_table_is_not_sent() {
    let folder = Folder::with_policy(workspace().join("examples/ecom/policy.toml"));
    folder.write("mapping.toml", std::fs::read(workspace().join("examples/ecom/mapping.toml")).unwrap());
    folder.write("table.csv", "user_id,session_id\n1,2\n");
    let service = Service::start(&folder, []);
    let run = service.run(["import", "--mapping", "mapping.toml", "table.csv"]);
    assert!(run.failed(2).contains("stop the service and import it into the folder"), "{}", run.stderr);
    assert!(service.run(["import", "table.csv"]).failed(1).contains("it looks like a CSV table"));
}
