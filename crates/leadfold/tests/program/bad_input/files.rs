//! Whole files that are not what they should be.

use std::process::{Command, Stdio};

use super::{SECRET, assert_discreet, quarantined, shop};
use crate::support::event::{Event, hour, lines};
use crate::support::{Folder, Run};

const MAPPING: &str = r#"
[columns]
visitor_id = "user"
action = "event"
time = "at"
channel = "channel"

[constants]
source = "https://acme.example.com/table"
tenant = "acme"

[time]
format = "rfc3339"
"#;

const HEADER: &str = "user,event,at,channel\n";

fn row(number: u32) -> String {
    format!("{SECRET}-{number},page.viewed,{},web\n", hour(500 + number))
}

/// A file, how it is imported, the end of the run, and what its sentence says.
struct Case<'a> {
    file: &'a str,
    bytes: Vec<u8>,
    flags: &'a [&'a str],
    code: i32,
    says: &'a [&'a str],
}

fn events() -> Vec<u8> {
    super::good_events().into_bytes()
}

fn not_even_begun() -> Vec<Case<'static>> {
    let case = |file, bytes: &[u8], flags, code, says| Case { file, bytes: bytes.to_vec(), flags, code, says };
    let table: &[&str] = &["--mapping", "mapping.toml"];
    vec![
        case("empty.ndjson", b"", &[], 1, &["empty.ndjson", "holds no events"]),
        case("blank.ndjson", b" \n\n\t\n", &[], 1, &["blank.ndjson", "holds no events"]),
        case("empty.csv", b"", table, 1, &["empty.csv", "holds no events"]),
        case("array.json", b"[{\"id\":\"sekreta\"}]\n", &[], 1, &["array.json", "JSON array", "jq -c"]),
        case("packed.zip", b"PK\x03\x04 sekreta", &[], 1, &["packed.zip", "ZIP archive", "gzip or zstd"]),
        case("wide.txt", b"\xff\xfe{\0", &[], 1, &["wide.txt", "UTF-16", "UTF-8"]),
        case("table.csv", b"a,b\nsekreta,1\n", &[], 1, &["table.csv", "CSV table", "--mapping"]),
        case("short.csv", b"user,event,at\n", table, 1, &["short.csv", "\"channel\"", "columns.channel"]),
        case("twice.csv", b"user,event,at,channel,user\n", table, 1, &["twice.csv", "\"user\"", "there twice"]),
        case("wrong.ndjson", b"{}\n", &["--mapping", "nowhere.toml"], 1, &["nowhere.toml", "No such file"]),
        case("wrong.ndjson", b"{}\n", &["--mapping", "broken.toml"], 2, &["broken.toml", "line 2"]),
        case("wrong.ndjson", b"{}\n", &["--mapping", "unknown.toml"], 2, &["columns.colour", "columns.time"]),
        case("wrong.ndjson", b"{}\n", &["--tenant", "nobody"], 1, &["\"nobody\"", "policy adopt"]),
    ]
}

#[test]
fn a_file_of_another_kind_is_named_and_nothing_of_it_is_recorded() {
    let (folder, before) = shop();
    folder.write("mapping.toml", MAPPING);
    folder.write("broken.toml", "[columns]\nuser = \n");
    folder.write("unknown.toml", "[columns]\ncolour = \"c\"\nvisitor_id = \"v\"\nchannel = \"c\"\naction = \"a\"\n");
    for case in not_even_begun() {
        folder.write(case.file, &case.bytes);
        let run = folder.run(["import", case.file].into_iter().chain(case.flags.iter().copied()));
        let sentence = run.failed(case.code);
        assert_discreet(sentence);
        for word in case.says {
            assert!(sentence.contains(word), "{sentence}: {word}");
        }
        assert_eq!(run.stdout, "");
    }
    for (file, says) in [("nowhere.ndjson", "No such file"), (".", "directory")] {
        let run = folder.run(["import", file]);
        assert!(run.failed(1).contains(file) && run.stderr.contains(says), "{}", run.stderr);
    }
    folder.picture().assert_same(&before);
}

/// The bytes, made smaller by a program that most machines have; `None` where this one hasn't.
fn compressed(with: &str, bytes: &[u8], folder: &Folder) -> Option<Vec<u8>> {
    folder.write("plain", bytes);
    let mut command = Command::new(with);
    command.args(["-c", "plain"]).current_dir(folder.path("")).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            println!("skipped: there is no {with} to compress with");
            None
        }
    }
}

/// Enough events that a part of the compressed file holds some of them.
fn many_events() -> Vec<u8> {
    let event =
        |number: u32| Event::page(&format!("many-{number}"), &hour(number % 700), &format!("{SECRET}-{number}"));
    lines((0..3_000).map(event)).into_bytes()
}

#[test]
fn of_a_compressed_file_that_is_cut_off_nothing_is_recorded() {
    for (program, file) in [("gzip", "cut.gz"), ("zstd", "cut.zst")] {
        let (undisturbed, _) = shop();
        let Some(whole) = compressed(program, &many_events(), &undisturbed) else { continue };
        undisturbed.write(file, &whole);
        undisturbed.import(file);
        let expected = undisturbed.picture();
        let (folder, before) = shop();
        folder.write(file, &whole[..whole.len() * 2 / 3]);
        let run = folder.run(["import", file]);
        let sentence = run.failed(1);
        for words in [file, "not complete", "Nothing of it was recorded", "fetch"] {
            assert!(sentence.contains(words), "{sentence}");
        }
        assert_discreet(sentence);
        folder.picture().assert_same(&before);
        folder.write(file, &whole);
        folder.import(file);
        folder.picture().assert_same(&expected);
    }
}

#[test]
fn a_compressed_stream_that_is_cut_off_can_be_imported_again() {
    let (undisturbed, _) = shop();
    let Some(whole) = compressed("gzip", &many_events(), &undisturbed) else { return };
    undisturbed.write("whole.gz", &whole);
    undisturbed.import("whole.gz");
    let (folder, before) = shop();
    let import = |name: &str| {
        let input = std::fs::File::open(folder.path(name)).unwrap();
        Run::of(folder.command(["import", "-"]).stdin(input))
    };
    folder.write("cut.gz", &whole[..whole.len() * 2 / 3]);
    let run = import("cut.gz");
    let sentence = run.failed(1);
    for words in ["standard input", "middle of compressed data", "after line", "import it again"] {
        assert!(sentence.contains(words), "{sentence}");
    }
    assert_discreet(sentence);
    let leads = |folder: &Folder| folder.picture().leads.lines().count();
    assert!(leads(&folder) >= before.leads.lines().count() && leads(&folder) < leads(&undisturbed));
    folder.write("whole.gz", &whole);
    assert_eq!(import("whole.gz").code, Some(0));
    assert!(folder.picture().leads == undisturbed.picture().leads);
}

#[test]
fn of_a_compressed_file_that_was_altered_nothing_is_recorded() {
    for (program, file) in [("gzip", "altered.gz"), ("zstd", "altered.zst")] {
        let (folder, before) = shop();
        let Some(whole) = compressed(program, &many_events(), &folder) else { continue };
        // Wherever the bit is: at most places decompressing goes on for a while, with wrong bytes.
        for part in [3, 5, 7] {
            let mut altered = whole.clone();
            let place = altered.len() * part / 8;
            altered[place] ^= 0x10;
            folder.write(file, &altered);
            let run = folder.run(["import", file]);
            let sentence = run.failed(1);
            assert!(sentence.contains(file) && sentence.contains("damaged"), "{sentence}");
            assert_discreet(sentence);
        }
        folder.picture().assert_same(&before);
    }
}

#[test]
fn rows_that_make_no_event_are_quarantined_and_the_others_recorded() {
    let (folder, _) = shop();
    folder.write("mapping.toml", MAPPING);
    let bad = [
        format!("{SECRET},page.viewed,{}\n", hour(500)),
        format!("{SECRET},page.viewed,yesterday,web\n"),
        format!("{SECRET},\"page\"viewed,{},web\n", hour(500)),
        format!(",page.viewed,{},web\n", hour(500)),
    ];
    let table = [HEADER.to_owned(), row(1), bad.concat(), row(2)].concat();
    folder.write("table.csv", table);
    let counts = folder.json_one(["import", "table.csv", "--mapping", "mapping.toml"]);
    assert_eq!((counts["recorded"].as_u64(), counts["quarantined"].as_u64()), (Some(2), Some(4)));
    let held = quarantined(&folder, "held");
    let found: Vec<[&str; 3]> =
        held.iter().map(|held| ["code", "path", "origin"].map(|name| held[name].as_str().unwrap())).collect();
    let expected = [
        ["invalid_row", "", "table.csv:3"],
        ["bad_time", "time", "table.csv:4"],
        ["invalid_row", "", "table.csv:5"],
        ["missing_identifier", "data", "table.csv:6"],
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_quote_that_never_closes_names_its_line_and_keeps_what_stands_before() {
    let (folder, before) = shop();
    folder.write("mapping.toml", MAPPING);
    let broken = format!("{HEADER}{}{SECRET},\"page.viewed,{},web\n{}", row(1), hour(502), row(3));
    folder.write("table.csv", &broken);
    let run = folder.run(["import", "table.csv", "--mapping", "mapping.toml"]);
    let sentence = run.failed(1);
    assert!(sentence.contains("\"table.csv\" from line 3 on") && sentence.contains("quote"), "{sentence}");
    assert_discreet(sentence);
    let after = folder.picture();
    assert_eq!(after.leads.lines().count(), before.leads.lines().count() + 1);

    folder.write("table.csv", broken.replace(",\"page", ",page"));
    let counts = folder.json_one(["import", "table.csv", "--mapping", "mapping.toml"]);
    assert_eq!((counts["recorded"].as_u64(), counts["duplicates"].as_u64()), (Some(2), Some(1)));
}

#[test]
fn a_later_file_that_fails_loses_nothing_of_an_earlier_one() {
    let folder = Folder::with_policy(crate::support::shop_policy());
    folder.write("good.ndjson", events());
    let run = folder.run(["import", "good.ndjson", "nowhere.ndjson"]);
    assert!(run.failed(1).contains("nowhere.ndjson"));
    assert_eq!(folder.picture().leads.lines().count(), 20);
    folder.import("good.ndjson");
    let (undisturbed, expected) = shop();
    assert_eq!(undisturbed.log_position(), folder.log_position());
    folder.picture().assert_same(&expected);
}

#[test]
fn standard_input_is_named_as_such() {
    let (folder, before) = shop();
    let run = Run::of(&mut folder.command(["import", "-"]));
    assert_eq!(run.failed(1), "error: cannot import \"standard input\": it holds no events");
    folder.picture().assert_same(&before);
}
