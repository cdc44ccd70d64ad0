//! The funnel, counted again from the books and from the events of the log.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use analytics::{Fault, Funnel, QueryLimits, Session, Setting, Snapshot};
use event_log::{EventLog, LogPosition};
use lead_domain::{Event, LeadId};
use proto_events::stored::decode_facts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

use crate::asked::{SMALL, followed};
use crate::histories::{any_command, someone_comes};
use crate::world::{World, hours, touch};

const STAGES: [&str; 4] = ["awareness", "research", "purchase", "retention"];
const FUNNEL: &str = r#"
[[funnel.stage]]
name = "awareness"
[[funnel.stage]]
name = "research"
enter_when = { any = [{ channel = "chat" }, { skill = "sales" }] }
[[funnel.stage]]
name = "purchase"
enter_when = { action = "purchase" }
[[funnel.stage]]
name = "retention"
enter_when = { returning_customer = true }
"#;

fn read(parameters: &[(&str, &str)], stages: &[&str]) -> Result<Funnel, Vec<Fault>> {
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let setting = Setting { now: hours(10_000).as_millis(), zone: "UTC".to_owned() };
    Funnel::read(&parameters, stages.iter().map(|stage| (*stage).to_owned()), &setting)
}

fn asked(snapshot: &Arc<Snapshot>, parameters: &[(&str, &str)]) -> Json {
    let funnel = read(parameters, &STAGES).unwrap_or_else(|faults| panic!("{faults:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = QueryLimits::default();
    let report = async { Session::new(Arc::clone(snapshot), "acme", limits).unwrap().funnel(&funnel).await };
    serde_json::to_value(runtime.block_on(report).unwrap()).unwrap()
}

/// A history of some hundred leads that get further or don't.
fn world() -> World {
    let mut world = World::with(FUNNEL);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for step in 0..900 {
        someone_comes(&mut world, &mut random, step);
        if let Some(command) = any_command(&world, &mut random).filter(|_| step % 9 == 0) {
            let _ = world.asked(step * 3, command, proto_events::Personal::default());
        }
    }
    world
}

#[derive(Debug, Default)]
struct Counted {
    leads: u64,
    converted: u64,
    reached: [u64; 4],
    here: [u64; 4],
    stayed: [Vec<i64>; 4],
}

fn place(stage: &str) -> usize {
    STAGES.iter().position(|known| *known == stage).unwrap()
}

/// By lead type, from the books; the time between stages from the log's own events.
fn counted(world: &World) -> BTreeMap<String, Counted> {
    let mut types: BTreeMap<LeadId, String> = BTreeMap::new();
    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    for visitor in world.shelf.visitors() {
        for lead in world.shelf.book(visitor).into_iter().flat_map(|book| &book.leads) {
            types.insert(lead.id, lead.lead_type.to_string());
            let counted = counted.entry(lead.lead_type.to_string()).or_default();
            counted.leads += 1;
            counted.converted += u64::from(lead.counted_conversions().next().is_some());
            let stage = place(lead.stage().unwrap());
            counted.here[stage] += 1;
            counted.reached[..=stage].iter_mut().for_each(|reached| *reached += 1);
        }
    }
    let mut last: BTreeMap<LeadId, i64> = BTreeMap::new();
    let read = world.log.read(LogPosition(1), &mut |record| {
        for event in decode_facts(record.header.codec, record.facts).unwrap().events {
            let Event::StageEntered { lead, at, stage, .. } = event else { continue };
            if let Some(before) = last.insert(lead, at.as_millis()) {
                let of_type = counted.get_mut(&types[&lead]).unwrap();
                // One that came late took no time.
                of_type.stayed[place(&stage)].push((at.as_millis() - before).max(0));
            }
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    counted
}

fn median_seconds(mut stayed: Vec<i64>) -> Option<f64> {
    stayed.sort_unstable();
    let middle = stayed.len() / 2;
    let median = match (stayed.len(), stayed.len() % 2) {
        (0, _) => return None,
        (_, 1) => stayed[middle] as f64,
        (_, _) => (stayed[middle - 1] + stayed[middle]) as f64 / 2.0,
    };
    Some(median / 1_000.0)
}

#[test]
fn stages_reached_and_the_time_between_them_are_those_of_the_books_and_the_events() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let expected = counted(&world);
    let answer = asked(&snapshot, &[("by", "lead_type")]);
    assert_eq!((&answer["position"], &answer["stages"]), (&json!(world.log_head()), &json!(STAGES)));
    let groups = answer["groups"].as_array().unwrap();
    assert_eq!(groups.len(), expected.len());
    for group in groups {
        let of_type = &expected[group["group"]["lead_type"].as_str().unwrap()];
        assert_eq!((&group["leads"], &group["converted"]), (&json!(of_type.leads), &json!(of_type.converted)));
        assert_eq!(group["in_no_stage"], 0);
        for (stage, shown) in group["stages"].as_array().unwrap().iter().enumerate() {
            assert_eq!(shown["stage"], STAGES[stage]);
            assert_eq!(
                (&shown["reached"], &shown["here"]),
                (&json!(of_type.reached[stage]), &json!(of_type.here[stage]))
            );
            let before = if stage == 0 { of_type.reached[0] } else { of_type.reached[stage - 1] };
            assert_eq!(shown["dropped_off"], json!(before - of_type.reached[stage]));
            let share = of_type.reached[stage] as f64 / of_type.leads as f64 * 100.0;
            assert!((shown["reached_percent"].as_f64().unwrap() - share).abs() < 1e-9);
            assert_eq!(shown["entered_from_before"], json!(of_type.stayed[stage].len()));
            let median = median_seconds(of_type.stayed[stage].clone());
            assert_eq!(shown["median_seconds_from_before"].as_f64(), median, "{stage}");
        }
        assert!(of_type.reached[2] > 3 && of_type.stayed[1].len() > 3, "{of_type:?}");
    }
    let all = asked(&snapshot, &[]);
    let leads: u64 = expected.values().map(|of_type| of_type.leads).sum();
    assert_eq!((all["groups"].as_array().unwrap().len(), &all["groups"][0]["leads"]), (1, &json!(leads)));
}

#[test]
fn a_funnel_is_of_the_leads_that_the_parameters_name() {
    let mut world = World::with(FUNNEL);
    world.happens(touch(1).cookie("a").campaign("spring"));
    world.happens(touch(3).cookie("a").campaign("spring").purchase(900, *b"EUR", Some(1)));
    world.happens(touch(30).cookie("b").campaign("summer"));
    let folder = tempfile::tempdir().unwrap();
    let snapshot = followed(&world, folder.path(), SMALL).projection().reader().snapshot();
    let reached = |parameters: &[(&str, &str)]| {
        let answer = asked(&snapshot, parameters);
        let stages = answer["groups"][0]["stages"].as_array().unwrap().clone();
        stages.iter().map(|stage| stage["reached"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(reached(&[]), [2, 1, 1, 0], "the stage in between was skipped, and so reached");
    assert_eq!(reached(&[("campaign", "spring")]), [1, 1, 1, 0]);
    assert_eq!(reached(&[("campaign", "spring,summer"), ("status", "open")]), [1, 0, 0, 0]);
    assert_eq!(reached(&[("is_converted", "true")]), [1, 1, 1, 0]);
    assert_eq!(reached(&[("from", "1970-01-02")]), [1, 0, 0, 0]);
    assert_eq!(reached(&[("to", "1970-01-01")]), [0, 0, 0, 0], "nobody");
    let days = asked(&snapshot, &[("by", "day,campaign")]);
    assert_eq!(days["groups"][1]["group"], json!({ "day": "1970-01-02T00:00:00Z", "campaign": "summer" }));
    let wait = &asked(&snapshot, &[])["groups"][0]["stages"][2];
    assert_eq!((&wait["entered_from_before"], &wait["median_seconds_from_before"]), (&json!(1), &json!(7_200.0)));
}

#[test]
fn what_is_wrong_with_a_funnel_is_told_by_parameter() {
    let paths = |parameters: &[(&str, &str)]| -> Vec<(String, &'static str)> {
        let faults = read(parameters, &STAGES).unwrap_err();
        faults.into_iter().map(|fault| (fault.path, fault.code)).collect()
    };
    assert_eq!(paths(&[("by", "chanel")]), [("by".to_owned(), "unknown_field")]);
    assert_eq!(paths(&[("chanel", "web")]), [("chanel".to_owned(), "unknown_value")]);
    assert_eq!(paths(&[("interactions", "many")]), [("interactions".to_owned(), "invalid_value")]);
    assert_eq!(paths(&[("date_origin", "birth")]), [("date_origin".to_owned(), "unknown_value")]);
    assert_eq!(paths(&[("zone", "Mars/Olympus")])[0].0, "zone");
    assert_eq!(paths(&[("from", "soon")])[0].0, "from");
    assert_eq!(paths(&[("by", "a,b,c,d")]), [("by".to_owned(), "too_many")]);
    assert_eq!(read(&[], &[]).unwrap_err()[0].code, "no_stages");
}
