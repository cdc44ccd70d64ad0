//! What SQL may do, and what answers look like.

use std::sync::Arc;
use std::time::Duration;

use analytics::{Format, Place, QueryError, QueryLimits, Snapshot};
use lead_domain::TenantId;
use proto_events::stored::Value;
use serde_json::{Value as Json, json};

use crate::asked::{SMALL, followed, rows, written};
use crate::histories::random_world;
use crate::world::{World, touch};

/// Two tenants whose rows share files, and a tail.
fn two_tenants() -> (World, tempfile::TempDir, Arc<Snapshot>) {
    let mut world = random_world(11, 200);
    let other = TenantId(2);
    world.adopt("berta", other);
    for hour in 0..40 {
        world.happens_to(other, touch(1_000 + hour).cookie(&format!("b{hour}")).campaign("secret-campaign"));
    }
    for hour in 0..5 {
        world.happens(touch(1_100 + hour).cookie(&format!("a{hour}")));
    }
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    (world, folder, snapshot)
}

fn asked(snapshot: &Arc<Snapshot>, tenant: &str, sql: &str) -> Result<Vec<Json>, QueryError> {
    let bytes = written(snapshot, tenant, sql, QueryLimits::default(), Format::Json)?;
    Ok(serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn another_tenants_rows_are_out_of_reach() {
    let (_world, _folder, snapshot) = two_tenants();
    for table in ["interactions", "lead_events", "leads"] {
        let tenants = |who: &str| asked(&snapshot, who, &format!("select distinct tenant from {table}")).unwrap();
        assert_eq!(tenants("acme"), [json!({ "tenant": "acme" })], "{table}");
        assert_eq!(tenants("berta"), [json!({ "tenant": "berta" })], "{table}");
        assert_eq!(tenants("nobody"), Vec::<Json>::new(), "{table}");
    }
    let sneaky = [
        "select count(*) as many from interactions where tenant = 'berta'",
        "select count(*) as many from interactions where tenant = 'acme' and campaign = 'secret-campaign' or tenant = 'berta'",
        "select count(*) as many from leadfold.tables.interactions where campaign = 'secret-campaign'",
        "select count(*) as many from leads l join interactions i on true where i.tenant <> 'acme'",
        "select (select count(*) from leads where tenant != 'acme') as many",
    ];
    for sql in sneaky {
        assert_eq!(asked(&snapshot, "acme", sql).unwrap(), [json!({ "many": 0 })], "{sql}");
    }
    let plain = asked(&snapshot, "berta", "select count(*) as many from interactions").unwrap();
    assert_eq!(plain, [json!({ "many": 40 })]);
}

#[test]
fn a_query_only_reads_the_tables() {
    let (_world, folder, snapshot) = two_tenants();
    let file = folder.path().join("mine.csv");
    let mine = file.display();
    let refused = [
        "create table x as select 1".to_owned(),
        "create view x as select 1".to_owned(),
        format!("create external table x stored as csv location '{mine}'"),
        "insert into leads select * from leads".to_owned(),
        "delete from leads".to_owned(),
        "update leads set owner = 'me'".to_owned(),
        "drop table leads".to_owned(),
        format!("copy (select 1) to '{mine}'"),
        format!("copy leads to '{mine}' stored as parquet"),
        "set datafusion.execution.batch_size = 1".to_owned(),
        "reset datafusion.execution.batch_size".to_owned(),
        "explain analyze select 1".to_owned(),
        "explain insert into leads select * from leads".to_owned(),
        "begin".to_owned(),
        "prepare p as select 1".to_owned(),
        "select 1; select 2".to_owned(),
        "select 1; drop table leads".to_owned(),
        String::new(),
        ";".to_owned(),
        "-- nothing".to_owned(),
        "x".repeat(70_000),
    ];
    for sql in refused {
        let error = asked(&snapshot, "acme", &sql).unwrap_err();
        assert!(matches!(error, QueryError::Refused { .. } | QueryError::Syntax { .. }), "{sql}: {error:?}");
    }
    let unknown = [
        format!("select * from '{mine}'"),
        "select * from 'http://example.com/x.parquet'".to_owned(),
        "select * from generate_series(1, 10)".to_owned(),
        "select * from read_csv('x')".to_owned(),
        "select load_extension('x')".to_owned(),
        "select _state from leads".to_owned(),
        "select * from other.tables.leads".to_owned(),
        "select 1 into x".to_owned(),
    ];
    for sql in unknown {
        let error = asked(&snapshot, "acme", &sql).unwrap_err();
        assert!(matches!(error, QueryError::Invalid { .. } | QueryError::Refused { .. }), "{sql}: {error:?}");
    }
    assert!(!file.exists());
    for allowed in
        ["show tables", "describe leads", "explain select 1", "values (1)", "with x as (select 1) select * from x"]
    {
        asked(&snapshot, "acme", allowed).unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    let tables = "select table_name from information_schema.tables where table_schema = 'tables' order by 1";
    let names: Vec<Json> = asked(&snapshot, "acme", tables).unwrap();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn what_is_wrong_with_a_query_is_said_with_its_place() {
    let (_world, _folder, snapshot) = two_tenants();
    let error = asked(&snapshot, "acme", "select lead_id\nfrom leads\ngroup lead_id").unwrap_err();
    let QueryError::Syntax { place, .. } = &error else { panic!("{error:?}") };
    assert_eq!(place.map(|place| place.line), Some(3), "{error}");
    let error = asked(&snapshot, "acme", "select lead_typ from leads").unwrap_err();
    let QueryError::Invalid { message, place } = &error else { panic!("{error:?}") };
    assert!(message.contains("did you mean \"lead_type\""), "{message}");
    assert_eq!(*place, Some(Place { line: 1, column: 8 }));
    for (sql, says) in [
        ("select * from lead", "lead"),
        ("select nonsense(1)", "nonsense"),
        ("select lead_id from leads group by lead_type", "GROUP BY"),
        ("select 1/0", "ivide by zero"),
        ("select cast('x' as int)", "x"),
    ] {
        let error = asked(&snapshot, "acme", sql).unwrap_err();
        assert!(matches!(error, QueryError::Invalid { .. }), "{sql}: {error:?}");
        assert!(error.to_string().contains(says), "{sql}: {error}");
        assert!(!error.to_string().contains("DataFusion"), "{sql}: {error}");
    }
    let nested = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(asked(&snapshot, "acme", &nested).is_err(), "and the process lives");
}

#[test]
fn a_query_has_limits() {
    let (_world, _folder, snapshot) = two_tenants();
    let limited = |sql: &str, limits| written(&snapshot, "acme", sql, limits, Format::Json).unwrap_err();
    let everything =
        "select * from interactions a cross join interactions b cross join interactions c order by a.at, b.at";
    let short = QueryLimits { time: Duration::from_millis(200), ..QueryLimits::default() };
    let error = limited(
        "select sum(a.position + b.position + c.position + d.position) from interactions a \
         cross join interactions b cross join interactions c cross join interactions d",
        short,
    );
    assert!(matches!(error, QueryError::TooLong { .. }), "{error:?}");
    let small = QueryLimits { memory: 2 << 20, ..QueryLimits::default() };
    let error = limited(everything, small);
    assert!(matches!(error, QueryError::TooMuchMemory), "{error:?}");
    let few = QueryLimits { rows: 10, ..QueryLimits::default() };
    assert!(matches!(limited("select * from interactions", few.clone()), QueryError::TooManyRows { limit: 10 }));
    written(&snapshot, "acme", "select * from interactions limit 10", few, Format::Json).unwrap();
}

#[test]
fn answers_are_pinned_to_a_position_while_the_tables_go_on() {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    world.happens(touch(1).cookie("a"));
    let mut tables = followed(&world, folder.path(), SMALL);
    let reader = tables.projection().reader();
    let before = reader.snapshot();
    world.happens(touch(2).cookie("a"));
    tables.catch_up(event_log::LogPosition(u64::MAX), &mut |_| {}).unwrap();
    tables.seal().unwrap();
    let sql = "select interactions, version from leads";
    assert_eq!(rows(&before, sql), [json!({ "interactions": 1, "version": 2 })]);
    assert_eq!(rows(&reader.snapshot(), sql), [json!({ "interactions": 2, "version": 3 })]);
    assert!(before.position() < reader.snapshot().position());
}

#[test]
fn answers_come_in_every_format() {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    world.happens(touch(1).cookie("a").campaign("=cmd()").attribute("plan", Value::Text("-5".into())));
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let sql = "select at, campaign, skill, conversion_value, attributes['plan'] as plan from interactions";
    let as_text = |format| String::from_utf8(written(&snapshot, "acme", sql, QueryLimits::default(), format).unwrap());
    let row = r#"{"at":"1970-01-01T01:00:00Z","campaign":"=cmd()","skill":null,"conversion_value":null,"plan":"-5"}"#;
    assert_eq!(as_text(Format::Json).unwrap(), format!("[{row}]"));
    assert_eq!(as_text(Format::Ndjson).unwrap(), format!("{row}\n"));
    let csv = "at,campaign,skill,conversion_value,plan\n1970-01-01T01:00:00+00:00,'=cmd(),,,-5\n";
    assert_eq!(as_text(Format::Csv).unwrap(), csv);
    for (format, begin) in [(Format::Arrow, [0xff; 4]), (Format::Parquet, *b"PAR1")] {
        let bytes = written(&snapshot, "acme", sql, QueryLimits::default(), format).unwrap();
        assert_eq!(bytes[..4], begin, "{format:?}");
    }
    let empty = written(&snapshot, "acme", "select 1 as x where false", QueryLimits::default(), Format::Json).unwrap();
    assert_eq!(empty, b"[]");
    let days = "select date_trunc('day', at at time zone 'Europe/Berlin') as day, count(*) as many from interactions group by 1";
    assert_eq!(rows(&snapshot, days).len(), 1);
}
