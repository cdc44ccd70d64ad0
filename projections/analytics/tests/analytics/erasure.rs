//! What an erased person's attributes were stands in no file any more, not even in rows that no longer count.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use analytics::{Analytics, Limits};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use event_log::LogPosition;
use lead_domain::{Command, VisitorId};
use proto_events::stored::Value;

use crate::asked::{SMALL, followed, projector, rows};
use crate::world::{World, touch};

const COUNTS: &str = "select (select count(*) from interactions) as interactions, \
     (select count(*) from leads) as leads, (select sum(interactions) from leads) as attached, \
     (select sum(rgus) from leads) as rgus";

/// Everything that the Parquet files of a folder hold, unpacked. Files are put together meanwhile, so one may be unfinished
/// or gone: then all of them are read again.
fn unpacked(data: &Path) -> String {
    let started = Instant::now();
    loop {
        match read_all(data) {
            Ok(text) => return text,
            Err(error) if started.elapsed() > Duration::from_secs(30) => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn read_all(data: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for model in fs::read_dir(data.join("projections"))? {
        let model = model?.path();
        if !model.is_dir() {
            continue;
        }
        for file in fs::read_dir(model)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "parquet") {
                let batches = ParquetRecordBatchReaderBuilder::try_new(File::open(&file)?)?.build()?;
                let batches = batches.collect::<Result<Vec<_>, _>>()?;
                text += &pretty_format_batches(&batches)?.to_string();
            }
        }
    }
    Ok(text)
}

/// Two people who come again and again, so that their rows are in many files, and one who is merged.
fn world() -> World {
    let mut world = World::new();
    let visit = |hour: i64, cookie: &str, plan: &str| {
        touch(hour).cookie(cookie).attribute("plan", Value::Text(plan.into())).attribute("hour", Value::Integer(hour))
    };
    for hour in 0..60 {
        world.happens(visit(hour * 10, "anna", "annas-plan"));
        world.happens(visit(hour * 10 + 1, "ben", "bens-plan"));
        world.happens(visit(hour * 10 + 2, "anna-too", "annas-other-plan"));
    }
    world.commanded(700, Command::MergeVisitors { one: VisitorId(1), other: VisitorId(3) });
    world
}

#[test]
fn no_file_has_what_was_erased_and_every_count_stays() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), Limits { pending_rows: 8, tail_rows: 8, ..SMALL });
    tables.seal().unwrap();
    let reader = tables.projection().reader();
    let (before, held) = (rows(&reader.snapshot(), COUNTS), reader.snapshot());
    assert!(unpacked(folder.path()).contains("annas-plan"));

    world.commanded(800, Command::EraseVisitor { visitor: VisitorId(1), reason: "asked for it".into() });
    tables.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(rows(&reader.snapshot(), COUNTS), before);
    assert_eq!(rows(&held, COUNTS), before, "who reads the old files goes on");
    drop(held);
    let left = unpacked(folder.path());
    assert!(!left.contains("annas") && left.contains("bens-plan"));
    let plans = "select count(*) as many from interactions where attributes['plan'] = 'bens-plan'";
    assert_eq!(rows(&reader.snapshot(), plans)[0]["many"], 60);

    // Also after files are put together, and in a model that starts again from what is on disk.
    let mut tables = tables.into_projection();
    tables.compact_fully();
    assert!(!unpacked(folder.path()).contains("annas"));
    drop((tables, reader));
    let opened = projector(&world, Analytics::open_limited(folder.path(), SMALL).unwrap());
    assert_eq!(rows(&opened.projection().reader().snapshot(), COUNTS), before);
    assert!(!unpacked(folder.path()).contains("annas"));
}

#[test]
fn what_is_erased_before_it_was_sealed_never_comes_into_a_file() {
    let mut world = world();
    world.commanded(800, Command::EraseVisitor { visitor: VisitorId(3), reason: "asked for it".into() });
    let folder = tempfile::tempdir().unwrap();
    let mut tables = followed(&world, folder.path(), Limits { pending_rows: 1 << 17, tail_rows: 1 << 17, ..SMALL });
    tables.seal().unwrap();
    let left = unpacked(folder.path());
    assert!(!left.contains("annas") && left.contains("bens-plan"));
}
