//! Disks that take no more: one sentence, nothing lost, and the same end once there is room again.

use std::fs;
use std::process::Command;

use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, Picture, Run, shop_policy};

fn events(from: u32, to: u32) -> String {
    let event = |number: u32| {
        let event = Event::page(&format!("e{number}"), &hour(number / 4), &format!("device-{}", number % 900));
        event.with("contact", serde_json::json!({ "name": format!("Anna {number}") }))
    };
    lines((from..to).map(event))
}

/// A folder with some leads and a file with more.
fn prepared() -> Folder {
    let folder = Folder::with_policy(shop_policy());
    folder.write("first.ndjson", events(0, 500));
    folder.write("second.ndjson", events(500, 6_000));
    folder.import("first.ndjson");
    folder
}

fn undisturbed() -> Picture {
    let folder = prepared();
    folder.import("second.ndjson");
    folder.picture()
}

#[test]
fn files_that_may_not_grow_end_an_import_and_lose_nothing() {
    let expected = undisturbed();
    let mut failed = 0;
    for kilobytes in ["90", "150", "300", "600", "900", "1400", "2000"] {
        let folder = prepared();
        let (before, head) = (folder.picture(), folder.log_position());
        let mut command = Command::new("bash");
        folder.prepare(&mut command);
        let script = "trap '' XFSZ; ulimit -f \"$1\"; exec \"$0\" import second.ndjson";
        let run = Run::of(command.args(["-c", script, env!("CARGO_BIN_EXE_leadfold"), kilobytes]));
        if run.code != Some(0) {
            failed += 1;
            assert!(run.failed(1).contains("File too large"), "{}", run.stderr);
            assert_eq!(run.stdout, "");
        }
        let after = folder.picture();
        assert!(after.head >= head && after.leads.lines().count() >= before.leads.lines().count());
        folder.import("second.ndjson");
        folder.picture().assert_same(&expected);
    }
    assert!(failed >= 4, "{failed} imports met the limit");
}

/// Runs the import on a file system with so many KiB left, and keeps what it leaves in `after`.
const SMALL_DISK: &str = r#"
    mount -t tmpfs -o size=64m none data && cp -r before/. data || exit 99
    used=$(df -k data | awk 'END { print $3 }')
    mount -o remount,size=$((used + $1))k data || exit 99
    "$0" import second.ndjson
    code=$?
    cp -r data after || exit 99
    exit $code
"#;

#[test]
fn a_full_disk_ends_an_import_and_loses_nothing() {
    let probe = "mkdir -p data && mount -t tmpfs -o size=1m none data";
    let folder = Folder::empty();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", probe]).current_dir(folder.path(""));
    if !command.output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: this machine lets nobody mount a small file system (unshare -rm)");
    }
    let expected = undisturbed();
    let mut failed = 0;
    for kilobytes in ["100", "300", "700", "1500", "2500", "4000", "6000"] {
        let folder = prepared();
        let head = folder.log_position();
        fs::rename(folder.path("data"), folder.path("before")).unwrap();
        fs::create_dir(folder.path("data")).unwrap();
        let mut command = Command::new("unshare");
        folder.prepare(&mut command);
        let run = Run::of(command.args(["-rm", "sh", "-c", SMALL_DISK, env!("CARGO_BIN_EXE_leadfold"), kilobytes]));
        if run.code != Some(0) {
            failed += 1;
            let sentence = run.failed(1);
            println!("{kilobytes} KiB: {sentence}");
            assert!(["No space left on device", "is full"].iter().any(|words| sentence.contains(words)), "{sentence}");
            assert_eq!(run.stdout, "");
        }
        fs::remove_dir(folder.path("data")).unwrap();
        fs::rename(folder.path("after"), folder.path("data")).unwrap();
        assert!(folder.picture().head >= head);
        folder.import("second.ndjson");
        folder.picture().assert_same(&expected);
    }
    assert!(failed >= 3, "{failed} imports met the full disk");
}
