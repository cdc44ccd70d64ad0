//! The history of a real shop system, imported and counted once more by a program that shares no code with the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, Run, objects, workspace};

/// What a lead and its recount must agree on.
const FIELDS: [&str; 9] = [
    "lead_type",
    "status",
    "close_cause",
    "opened_at",
    "closed_at",
    "deadline",
    "first_interaction_at",
    "last_interaction_at",
    "interactions",
];

const UNPACK: &str = "import gzip, shutil, sys; shutil.copyfileobj(gzip.open(sys.argv[1]), open(sys.argv[2], 'wb'))";

/// Leads by user and their number among the user's leads.
type Leads = BTreeMap<(String, u64), Vec<Value>>;

/// The table, packed and unpacked, and what the recount says of it.
struct Shop {
    packed: PathBuf,
    table: String,
    leads: Leads,
    totals: Value,
}

impl Shop {
    /// `None`, with a printed reason, where something is missing.
    fn found() -> Option<Self> {
        let elsewhere = std::env::var_os("LEADFOLD_ECOM").map(PathBuf::from);
        let packed = elsewhere.unwrap_or_else(|| workspace().join("../shared/data/ecom/ecom.csv.gz"));
        if !packed.is_file() {
            println!("skipped: it needs the table ecom.csv.gz, whose path LEADFOLD_ECOM names");
            return None;
        }
        if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
            println!("skipped: it needs python3, which counts the leads once more");
            return None;
        }
        let folder = Folder::empty();
        let unpacked = folder.path("ecom.csv");
        let run = Run::of(Command::new("python3").args(["-c", UNPACK]).arg(&packed).arg(&unpacked));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let (leads, totals) = recount(&packed, &[]);
        Some(Self { packed, table: fs::read_to_string(unpacked).unwrap(), leads, totals })
    }

    /// The user of each session.
    fn users(&self) -> BTreeMap<&str, &str> {
        let rows = self.table.lines().skip(1);
        rows.map(|row| row.split(','))
            .map(|mut row| (row.next().unwrap(), row.next().unwrap()))
            .map(|(u, s)| (s, u))
            .collect()
    }

    /// The leads of a folder as the recount names them: by the user of the session that a lead remembers.
    fn leads_in(&self, folder: &Folder) -> Leads {
        let users = self.users();
        let named = |lead: Value| {
            let session = lead["attributes"]["session_id"].as_str().unwrap();
            let number = lead["id"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap();
            ((users[session].to_owned(), number), compared(&lead))
        };
        folder.json(["leads", "--limit", "1000000"]).into_iter().map(named).collect()
    }

    #[track_caller]
    fn assert_recounted(&self, folder: &Folder) {
        let found = self.leads_in(folder);
        for (name, lead) in &self.leads {
            assert_eq!(found.get(name), Some(lead), "{name:?}");
        }
        assert_eq!(found.len(), self.leads.len());
    }
}

fn compared(lead: &Value) -> Vec<Value> {
    FIELDS.iter().map(|field| lead[*field].clone()).collect()
}

fn recount(table: &PathBuf, more: &[&str]) -> (Leads, Value) {
    let mut command = Command::new("python3");
    command.current_dir(workspace()).arg("tests/recount/ecom_recount.py").arg(table);
    command.args(["examples/ecom/policy.toml", "--mapping", "examples/ecom/mapping.toml"]).args(more);
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut counted = objects(&run.stdout);
    let totals = counted.pop().unwrap()["totals"].clone();
    let named =
        |lead: Value| ((lead["user"].as_str().unwrap().to_owned(), lead["number"].as_u64().unwrap()), compared(&lead));
    (counted.into_iter().map(named).collect(), totals)
}

/// An empty folder with the shop's policy and the mapping of its table.
fn shop_folder() -> Folder {
    let folder = Folder::with_policy(workspace().join("examples/ecom/policy.toml"));
    folder.write("mapping.toml", fs::read(workspace().join("examples/ecom/mapping.toml")).unwrap());
    folder
}

fn import(folder: &Folder, file: &str) -> Value {
    folder.json_one(["import", "--mapping", "mapping.toml", file])
}

#[test]
fn the_leads_of_the_shop_are_those_of_the_recount() {
    let Some(shop) = Shop::found() else { return };
    let folder = shop_folder();
    let counts = import(&folder, shop.packed.to_str().unwrap());
    let expected = [
        ("recorded", "interactions"),
        ("leads_opened", "leads"),
        ("leads_converted", "conversion"),
        ("leads_closed", "inactivity"),
        ("leads_open", "open"),
        ("orphans", "orphans"),
    ];
    for (count, total) in expected {
        assert_eq!(counts[count], shop.totals[total], "{count}");
    }
    assert_eq!((counts["duplicates"].as_u64(), counts["quarantined"].as_u64()), (Some(0), Some(0)));
    shop.assert_recounted(&folder);

    for visitor in ["V1", "V300", "V600"] {
        let visitor = folder.json_one(["visitor", visitor]);
        let user = visitor["identifiers"][0]["value"].as_str().unwrap();
        for lead in visitor["leads"].as_array().unwrap() {
            let number = lead["id"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap();
            assert_eq!(shop.leads[&(user.to_owned(), number)], compared(lead));
        }
    }
}

#[test]
fn the_table_comes_to_the_same_packed_and_unpacked() {
    let Some(shop) = Shop::found() else { return };
    let (packed, unpacked) = (shop_folder(), shop_folder());
    import(&packed, shop.packed.to_str().unwrap());
    unpacked.write("ecom.csv", &shop.table);
    import(&unpacked, "ecom.csv");
    let picture = packed.picture();
    unpacked.picture().assert_same(&picture);

    packed.write("ecom.csv", &shop.table);
    let counts = import(&packed, "ecom.csv");
    assert_eq!((counts["recorded"].as_u64(), counts["duplicates"].as_u64()), (Some(0), Some(31_106)));
    packed.picture().assert_same(&picture);
}

#[test]
fn the_table_comes_to_the_same_leads_by_user_and_by_time() {
    let Some(shop) = Shop::found() else { return };
    let (header, rows) = shop.table.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_by_key(|row| row.split(',').nth(3).unwrap());
    let folder = shop_folder();
    folder.write("by-time.csv", format!("{header}\n{}\n", rows.join("\n")));
    let counts = import(&folder, "by-time.csv");
    assert_eq!(counts["recorded"], shop.totals["interactions"]);
    shop.assert_recounted(&folder);
}

#[test]
fn what_if_gives_the_figures_of_the_recount_with_that_period() {
    let Some(shop) = Shop::found() else { return };
    let folder = shop_folder();
    import(&folder, shop.packed.to_str().unwrap());
    assert_eq!(folder.json_one(["replay"])["same"], true);
    let policy = fs::read_to_string(workspace().join("examples/ecom/policy.toml")).unwrap();
    let shorter: String =
        policy
            .lines()
            .map(|line| {
                if line.starts_with("close_after") { "close_after = \"3d\"\n".to_owned() } else { format!("{line}\n") }
            })
            .collect();
    assert_ne!(shorter, policy);
    folder.write("same.toml", &policy);
    folder.write("shorter.toml", shorter);
    let (_, three_days) = recount(&shop.packed, &["--close-after", "3d"]);
    let figures = [
        ("leads", "leads"),
        ("open", "open"),
        ("converted", "conversion"),
        ("timed_out", "inactivity"),
        ("timed_out_converted_later", "timed_out_converted_later"),
        ("interactions", "attached"),
        ("orphans", "orphans"),
    ];
    let found = folder.json_one(["what-if", "--policy", "shorter.toml", "--export", "differing.ndjson"]);
    for (figure, total) in figures {
        assert_eq!(found["recorded"][figure], shop.totals[total], "recorded {figure}");
        assert_eq!(found["what_if"][figure], three_days[total], "three days: {figure}");
    }
    let exported = objects(&fs::read_to_string(folder.path("differing.ndjson")).unwrap());
    assert_eq!(found["leads_differing"], exported.len());
    let only = |side: &str| exported.iter().filter(|row| row[side].is_null()).count() as u64;
    let more = found["what_if"]["leads"].as_u64().unwrap() - found["recorded"]["leads"].as_u64().unwrap();
    assert_eq!(only("recorded") - only("what_if"), more);

    let same = folder.json_one(["what-if", "--policy", "same.toml", "--export", "none.csv"]);
    assert_eq!((&same["leads_differing"], &same["recorded"]), (&Value::from(0), &same["what_if"]));
    assert_eq!(fs::read_to_string(folder.path("none.csv")).unwrap().lines().count(), 1);
}
