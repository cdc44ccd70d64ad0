//! Kills the program at random moments, starts it again, and compares with a folder where nothing ever happened.

use std::fs;

use crate::support::event::{Event, hour, lines};
use crate::support::kill::{Dice, feed, kill_when, looks};
use crate::support::{Folder, Picture, shop_policy};

/// After so few records the tables follow, so that a kill often meets them on their way.
const FOLLOW_OFTEN: [&str; 2] = ["--write-back-records", "150"];

/// Made-up traffic with duplicates and conflicts, and here and there a line that can't be taken.
fn traffic(seed: u64) -> String {
    let seed = seed.to_string();
    let args = ["generate", "--visitors", "400", "--interactions", "6000", "--seed", &seed];
    let run = Folder::empty().run(args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut text = String::new();
    for (number, line) in run.stdout.lines().enumerate() {
        text.push_str(line);
        text.push('\n');
        if number % 97 == 0 {
            text.push_str(&format!("{{\"broken\":{number}\n"));
        }
    }
    text
}

/// Writes the traffic into the folder, in files of a hundred lines, which are read one after the other.
fn write_parts(folder: &Folder, traffic: &str) -> Vec<String> {
    let lines: Vec<&str> = traffic.split_inclusive('\n').collect();
    let parts = lines.chunks(100).map(<[&str]>::concat).enumerate();
    parts
        .map(|(number, part)| {
            let name = format!("part-{number:03}.ndjson");
            folder.write(&name, part);
            name
        })
        .collect()
}

fn importing(parts: &[String]) -> Vec<&str> {
    let parts = parts.iter().map(String::as_str);
    FOLLOW_OFTEN.into_iter().chain(["import"]).chain(parts).collect()
}

/// Imports the parts while being killed so many times, at random positions of the log; between two imports other
/// commands are killed too.
fn import_and_kill(folder: &Folder, parts: &[String], end: u64, dice: &mut Dice, kills: u64) {
    let mut killed = 0;
    while killed < kills {
        let left = end - folder.log_position();
        let target = end - left + 1 + dice.below((left * 2 / (kills - killed)).min(left));
        let mut any_moment = looks(dice.below(20_000));
        // When everything stands in the log, any moment of reading it again will do.
        let has_come = || if target > end { any_moment() } else { folder.log_position() >= target };
        killed += u64::from(kill_when(folder.start(importing(parts)), has_come));
        let other = match dice.below(8) {
            0 => vec!["verify"],
            1 => vec!["leads"],
            2 => vec!["projections", "rebuild", "listing"],
            3 => vec!["repair"],
            4 => vec!["projections", "rebuild", "analytics"],
            5 => vec!["sql", "select count(*) from leads"],
            _ => continue,
        };
        killed += u64::from(kill_when(folder.start(other), looks(dice.below(20_000))));
    }
}

fn any_order_of_kills_and_restarts_ends_in_the_same_state(seed: u64) {
    let traffic = traffic(seed);
    let undisturbed = Folder::with_policy(shop_policy());
    let parts = write_parts(&undisturbed, &traffic);
    undisturbed.done(importing(&parts));
    let expected = undisturbed.picture();
    assert!(expected.leads.lines().count() > 500 && expected.quarantine.lines().count() > 50);

    let folder = Folder::with_policy(shop_policy());
    write_parts(&folder, &traffic);
    import_and_kill(&folder, &parts, expected.head, &mut Dice::new(seed), 16);
    folder.done(importing(&parts));
    folder.picture().assert_same(&expected);

    folder.done(importing(&parts));
    folder.picture().assert_same(&expected);
}

#[test]
fn any_order_of_kills_and_restarts_ends_in_the_same_state_first_seed() {
    any_order_of_kills_and_restarts_ends_in_the_same_state(1);
}

#[test]
fn any_order_of_kills_and_restarts_ends_in_the_same_state_second_seed() {
    any_order_of_kills_and_restarts_ends_in_the_same_state(2);
}

#[test]
fn any_order_of_kills_and_restarts_ends_in_the_same_state_third_seed() {
    any_order_of_kills_and_restarts_ends_in_the_same_state(3);
}

#[test]
fn a_pipe_that_is_fed_again_after_kills_ends_in_the_same_state() {
    let traffic = traffic(4);
    let undisturbed = Folder::with_policy(shop_policy());
    undisturbed.write("traffic.ndjson", &traffic);
    undisturbed.import("traffic.ndjson");
    let expected = undisturbed.picture();

    let folder = Folder::with_policy(shop_policy());
    let mut dice = Dice::new(4);
    for round in 0..12 {
        let head = folder.log_position();
        let mut import = folder.start(FOLLOW_OFTEN.into_iter().chain(["import", "-"]));
        let fed = usize::try_from(dice.below(traffic.len() as u64)).expect("a length");
        feed(&mut import, &traffic.as_bytes()[..fed]);
        // Sometimes at once, and sometimes when something was recorded, if what was fed is enough for that.
        let mut any_moment = looks(if round % 2 == 0 { 0 } else { 60_000 });
        let killed = kill_when(import, || folder.log_position() > head || any_moment());
        assert!(killed, "an import waits for the end of its input");
    }
    assert!(folder.log_position() > 1, "something was recorded before a kill");
    folder.write("traffic.ndjson", &traffic);
    folder.import("traffic.ndjson");
    folder.picture().assert_same_leads(&expected);
}

/// Several thousand visitors, many of whose leads time out in the same moment; some of them are one person. The last
/// event comes when all others have timed out, so that the tick closes all of them.
fn leads_that_time_out_together() -> String {
    const VISITORS: u32 = 9_000;
    let device = |number: u32| {
        let event = Event::page(&format!("a{number}"), &hour(number % 50), &format!("device-{number}"));
        if number.is_multiple_of(10) { event.with("email", format!("p{}@example.com", number / 20)) } else { event }
    };
    let last = Event::page("last", &hour(24 * 60), "device-last");
    lines((0..VISITORS).map(device).chain([last]))
}

#[test]
fn a_killed_tick_is_finished_as_if_nothing_had_happened() {
    let undisturbed = Folder::with_policy(shop_policy());
    undisturbed.write("leads.ndjson", leads_that_time_out_together());
    let counts = undisturbed.import("leads.ndjson");
    assert!(counts["leads_closed"].as_u64() > Some(8_500), "{counts}");
    let expected = undisturbed.picture();
    let recorded = counts["recorded"].as_u64().expect("a number");

    let import = FOLLOW_OFTEN.into_iter().chain(["import", "leads.ndjson"]);
    let mut dice = Dice::new(5);
    let mut within = Vec::new();
    for _ in 0..8 {
        let folder = Folder::with_policy(shop_policy());
        folder.write("leads.ndjson", leads_that_time_out_together());
        let target = recorded + dice.below(expected.head - recorded);
        kill_when(folder.start(import.clone()), || folder.log_position() >= target);
        within.push(folder.log_position());
        kill_when(folder.start(["leads"]), looks(dice.below(10_000)));
        folder.done(import.clone());
        folder.picture().assert_same(&expected);
    }
    println!("killed at {within:?} of {recorded} to {}", expected.head);
}

#[test]
fn a_killed_adoption_is_done_or_not_and_can_be_done_again() {
    let first = fs::read_to_string(shop_policy()).expect("the example is there");
    let second = first.replace("close_after = \"7d\"", "close_after = \"8d\"");
    let with_files = || {
        let folder = Folder::empty();
        folder.write("first.toml", &first);
        folder.write("second.toml", &second);
        folder
    };
    let adopt = |folder: &Folder, file: &str| folder.done(["policy", "adopt", file]);
    let undisturbed = with_files();
    adopt(&undisturbed, "first.toml");
    adopt(&undisturbed, "second.toml");
    let (history, expected) = (undisturbed.json(["policy", "history"]), undisturbed.picture());
    assert_eq!(history.len(), 2);

    let mut dice = Dice::new(6);
    let mut killed = 0;
    for round in 0..16 {
        let folder = with_files();
        let files = round * 2;
        killed += u32::from(kill_when(folder.start(["policy", "adopt", "first.toml"]), || folder.files() >= files));
        adopt(&folder, "first.toml");
        let mut any_moment = looks(dice.below(20_000));
        let has_come = || any_moment() || folder.log_position() == 2;
        killed += u32::from(kill_when(folder.start(["policy", "adopt", "second.toml"]), has_come));
        adopt(&folder, "second.toml");
        assert_eq!(folder.json(["policy", "history"]), history);
        folder.picture().assert_same(&expected);
    }
    assert!(killed >= 20, "{killed} kills");
}

#[test]
fn a_killed_first_run_that_made_its_own_master_key_can_go_on() {
    let policy = shop_policy();
    let policy = policy.to_str().expect("paths of tests are text");
    for files in 0..10 {
        let folder = Folder::empty();
        let adopt = || {
            let mut command = folder.command(["policy", "adopt", policy]);
            command.env_remove("LEADFOLD_MASTER_KEY_FILE");
            command
        };
        let child = adopt().stdout(std::process::Stdio::null()).spawn().expect("the program starts");
        kill_when(child, || folder.files() >= files);
        let output = adopt().output().expect("the program starts");
        assert!(output.status.success(), "{files} files: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_killed_build_of_the_listing_leaves_the_same_leads() {
    let folder = Folder::with_policy(shop_policy());
    folder.write("traffic.ndjson", traffic(7));
    folder.import("traffic.ndjson");
    let expected = folder.picture();
    let mut dice = Dice::new(7);
    for round in 0..12 {
        let command = if round % 2 == 0 {
            vec!["projections", "rebuild", "listing"]
        } else {
            fs::remove_dir_all(folder.path("data/projections")).expect("the listing is there");
            vec!["leads"]
        };
        let bytes = dice.below(1 << 20);
        kill_when(folder.start(command), || folder_bytes(&folder, "data/projections") >= bytes);
        folder.picture().assert_same(&expected);
    }
}

#[test]
fn a_killed_command_is_carried_out_once_or_not_at_all() {
    let folder = Folder::with_policy(shop_policy());
    let first = Event::page("first", &hour(0), "first");
    folder.write("events.ndjson", lines([first]) + "{\n");
    folder.import("events.ndjson");
    let held = folder.json_one(["quarantine"])["id"].to_string();
    let mut dice = Dice::new(9);
    let mut written = 0;
    for round in 0..12 {
        let text = format!("note {round}");
        let head = folder.log_position();
        let mut any_moment = looks(dice.below(20_000));
        let has_come = || any_moment() || round % 2 == 0 && folder.log_position() > head;
        kill_when(folder.start(["lead", "V1-1", "note", &text]), has_come);
        let notes = folder.json_one(["lead", "V1-1"])["notes"].clone();
        let found = notes.as_array().map(|notes| notes.iter().filter(|note| note["text"] == *text).count());
        written += found.filter(|found| *found <= 1).expect("once or not at all");
        assert_eq!(notes.as_array().map(Vec::len), Some(written));

        folder.write("repaired.json", lines([Event::page("second", &hour(1), "second")]));
        let repair = ["quarantine", &held, "retry", "--with", "repaired.json"];
        kill_when(folder.start(repair), looks(dice.below(20_000)));
        let released = folder.json(["quarantine"]).is_empty();
        assert_eq!(folder.json(["leads"]).len(), 1 + usize::from(released));
    }
    folder.picture();
}

/// How many bytes are in the files of a folder; 0 where there is none.
fn folder_bytes(folder: &Folder, name: &str) -> u64 {
    let Ok(entries) = fs::read_dir(folder.path(name)) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

#[test]
fn importing_the_same_file_again_changes_nothing() {
    let folder = Folder::with_policy(shop_policy());
    folder.write("traffic.ndjson", traffic(8));
    folder.import("traffic.ndjson");
    let before: Picture = folder.picture();
    let counts = folder.import("traffic.ndjson");
    assert_eq!((counts["recorded"].as_u64(), counts["quarantined"].as_u64()), (Some(0), Some(0)), "{counts}");
    folder.picture().assert_same(&before);
}
