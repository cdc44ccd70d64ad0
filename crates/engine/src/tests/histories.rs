//! Generated histories: crashes anywhere and any batches lead to the same log and the same books.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Actions of a few devices at a few hours; ids repeat, so that there are duplicates and conflicts.
fn events() -> impl Strategy<Value = Vec<String>> {
    let action = prop_oneof![4 => Just("page.viewed"), 1 => Just("purchase")];
    let one = (0_u32..60, 1_u32..8, 0_i64..300, action)
        .prop_map(|(id, device, hour, action)| event(&format!("e{id}"), device, hour, action));
    vec(prop_oneof![12 => one, 1 => Just("not an event".to_owned())], 1..80)
}

/// Root, head and chain after everything is recorded and ticked.
fn outcome(engine: &mut Engine) -> ([u8; 32], event_log::Head) {
    engine.tick(TENANT, hours(400)).expect("memory does not fail");
    engine.flush().expect("memory does not fail");
    let verification = engine.verify(None, &mut |_| {}).expect("memory does not fail");
    assert_eq!(verification.findings, [], "what the log says is what the tables hold");
    (verification.state_root, engine.head())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn crashes_and_batches_leave_no_trace(
        events in events(),
        cuts in vec(0_usize..80, 0..6),
        write_back_records in 1_u64..40,
        chunk in 1_usize..20,
    ) {
        let undisturbed = Disk::new();
        let mut engine = undisturbed.open(1 << 20);
        engine.adopt(POLICY).expect("a policy without faults");
        submit(&mut engine, &events);
        let expected = outcome(&mut engine);
        drop(engine);

        let mut disk = Disk::new();
        for cut in cuts {
            let mut engine = disk.open(write_back_records);
            engine.adopt(POLICY).expect("a policy without faults");
            for chunk in events[..cut.min(events.len())].chunks(chunk) {
                submit(&mut engine, chunk);
            }
            // What was handed to the writer is finished when the engine is dropped; the tables lose what was not flushed.
            drop(engine);
            disk = disk.after_a_crash();
        }
        let mut engine = disk.open(write_back_records);
        engine.adopt(POLICY).expect("a policy without faults");
        for chunk in events.chunks(chunk) {
            submit(&mut engine, chunk);
        }
        prop_assert_eq!(outcome(&mut engine), expected);
    }
}

#[test]
fn state_roots_stand_in_the_log_and_are_checked_on_opening() {
    let disk = Disk::new();
    let mut engine = disk.open(1 << 20);
    engine.adopt(POLICY).expect("a policy without faults");
    let count = crate::roots::ROOT_EVERY + 10;
    for from in (0..count).step_by(4_096) {
        let events: Vec<String> =
            (from..(from + 4_096).min(count)).map(|id| event(&format!("e{id}"), id as u32 % 100, 1, "p")).collect();
        submit(&mut engine, &events);
    }
    engine.flush().expect("memory does not fail");
    let verification = engine.verify(None, &mut |_| {}).expect("memory does not fail");
    assert_eq!((verification.findings.as_slice(), verification.state_roots), (&[][..], 1));
    drop(engine);
    let disk = Disk { tables: MemoryTables::new(), ..disk };
    let replayed = disk.open(1 << 20);
    assert_eq!(replayed.head().position.0, count + 2);
}
