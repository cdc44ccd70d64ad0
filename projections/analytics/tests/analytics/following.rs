//! The contract of projections.

use std::path::PathBuf;

use analytics::{Analytics, Format, Limits, QueryLimits};
use projector::contract::{self, ModelHome};

use crate::asked::{SMALL, written};
use crate::histories::{random_world, scored_world};

/// Models in folders of their own.
struct Folders(tempfile::TempDir, Limits);

impl Folders {
    fn folder(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl ModelHome for Folders {
    type Projection = Analytics;

    fn open(&self, name: &str) -> Analytics {
        Analytics::open_limited(&self.folder(name), self.1).unwrap()
    }

    fn dump(&self, analytics: &Analytics) -> String {
        let snapshot = analytics.reader().snapshot();
        let orders = [
            ("interactions", "position"),
            ("lead_events", "position, index"),
            ("score_rows", "interaction_id, rule"),
            ("leads", "lead_id"),
        ];
        let dump = orders.map(|(table, order)| {
            let sql = format!("select * from {table} order by {order}");
            String::from_utf8(written(&snapshot, "acme", &sql, QueryLimits::default(), Format::Ndjson).unwrap())
                .unwrap()
        });
        dump.concat()
    }
}

#[test]
fn the_tables_keep_the_contract_of_projections() {
    let folders = Folders(tempfile::tempdir().unwrap(), Limits::default());
    contract::holds(&folders, &random_world(3, 120).story());
}

#[test]
fn tables_of_many_small_files_keep_it_too() {
    let folders = Folders(tempfile::tempdir().unwrap(), Limits { tail_rows: 12, ..SMALL });
    contract::holds(&folders, &random_world(5, 90).story());
}

#[test]
fn tables_with_scores_keep_it_too() {
    let folders = Folders(tempfile::tempdir().unwrap(), Limits { tail_rows: 24, ..SMALL });
    contract::holds(&folders, &scored_world(6, 80).story());
}
