//! Files of every kind are read in order and in bounded memory, and damage is named after everything before it was delivered.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use feed::{
    ClockCorrection, Entry, FileSource, InteractionDecoder, Limits, Mapping, Reception, SourceError, TenantRules,
};
use lead_domain::{Currency, TenantId, Time};
use proto_events::cloud_event::code;
use proto_events::stored::{CODEC, decode_personal};

const MAPPING: &str = include_str!("../../../examples/ecom/mapping.toml");
const TABLE: &str = "\
user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle
user_0000,sess_000001,home,2024-03-13 10:21:14,desktop,email,2024-01,returning
user_0000,sess_000001,product_view,2024-03-13 10:22:12,desktop,email,2024-01,returning
user_0001,sess_000002,unheard_of,2024-03-13 10:23:32,mobile,organic,2024-01,new
user_0001,sess_000002,purchase,2024-03-13 10:24:32,mobile,organic,2024-01,new
";

fn decoder() -> InteractionDecoder {
    let rules = TenantRules {
        id: TenantId(1),
        name: "ecom".into(),
        phone_region: "DE".to_owned(),
        blocked_identifiers: Vec::new(),
        tested_attributes: vec!["user_lifecycle".into()],
        sealed_tests: Vec::new(),
        currency: Currency::new("EUR").unwrap(),
    };
    InteractionDecoder::new(vec![rules], Some(TenantId(1)), [7; 32], Limits::default())
}

fn reception() -> Reception {
    Reception { tenant: None, clock: ClockCorrection::History, received_at: Time::from_millis(1_800_000_000_000) }
}

/// All entries and what ended them.
fn read_all(bytes: impl Into<Vec<u8>>, mapping: Option<&str>) -> (Vec<Entry>, Option<SourceError>) {
    let mapping = mapping.map(|text| Mapping::parse(text).unwrap());
    let bytes = bytes.into();
    let total = bytes.len() as u64;
    let mut source = match FileSource::from_reader(Cursor::new(bytes), "events", Some(total), mapping) {
        Ok(source) => source,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut decoder = decoder();
    let mut entries = Vec::new();
    loop {
        match source.next_chunk() {
            Ok(Some(chunk)) => chunk.decode(&mut decoder, reception(), &mut entries).unwrap(),
            Ok(None) => return (entries, None),
            Err(error) => {
                assert!(source.next_chunk().unwrap().is_none(), "an error comes once");
                return (entries, Some(error));
            }
        }
    }
}

fn line(number: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{number}","source":"/s","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:00Z","data":{{"visitor_id":"v{number}","channel":"web","action":"a"}}}}"#
    )
}

fn ndjson(lines: u64) -> String {
    (1..=lines).map(|number| line(number) + "\n").collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn codes(entries: &[Entry]) -> Vec<(u64, &str)> {
    let code = |entry: &Entry| match entry {
        Entry::Interaction(_) => "",
        Entry::Rejected(entry) => match entry.facts.code.as_str() {
            code::INVALID_JSON => code::INVALID_JSON,
            code::INVALID_UTF8 => code::INVALID_UTF8,
            code::INVALID_ROW => code::INVALID_ROW,
            code::EVENT_TOO_LARGE => code::EVENT_TOO_LARGE,
            code::BAD_TIME => code::BAD_TIME,
            other => panic!("{other}: {:?}", entry.facts),
        },
    };
    entries.iter().map(|entry| (entry.feed_sequence(), code(entry))).collect()
}

#[test]
fn compression_is_told_by_the_bytes_and_changes_nothing() {
    let plain = ndjson(10_000);
    let (expected, error) = read_all(plain.clone(), None);
    assert!(error.is_none());
    assert_eq!(expected.len(), 10_000);
    let (one, other) = plain.split_at(plain.len() / 3);
    let members = [gzip(one.as_bytes()), gzip(other.as_bytes())].concat();
    let frames: Vec<u8> = [one, other].iter().flat_map(|part| zstd::encode_all(part.as_bytes(), 1).unwrap()).collect();
    for (name, bytes) in [("gzip", gzip(plain.as_bytes())), ("members", members), ("zstd frames", frames)] {
        let (entries, error) = read_all(bytes, None);
        assert!(error.is_none(), "{name}");
        assert!(entries == expected, "{name}");
    }
    let marked = [b"\xef\xbb\xbf", ndjson(2).as_bytes()].concat();
    assert_eq!(codes(&read_all(marked, None).0), [(1, ""), (2, "")]);
}

#[test]
fn what_is_no_event_is_rejected_with_its_line_and_the_rest_goes_on() {
    let long = "x".repeat(3 << 20);
    let middle = "y".repeat(100_000);
    let mut bytes = format!("{}\r\n\n  \nno event\n{{\"a\":\n{middle}\n{long}\n", line(1)).into_bytes();
    bytes.extend_from_slice(b"\xff\xfe\n");
    bytes.extend_from_slice(line(2).as_bytes());
    let (entries, error) = read_all(bytes, None);
    assert!(error.is_none());
    let expected = [
        (1, ""),
        (4, code::INVALID_JSON),
        (5, code::INVALID_JSON),
        (6, code::EVENT_TOO_LARGE),
        (7, code::EVENT_TOO_LARGE),
        (8, code::INVALID_UTF8),
        (9, ""),
    ];
    assert_eq!(codes(&entries), expected);
    let Entry::Rejected(cut) = &entries[4] else { panic!("taken") };
    let personal = decode_personal(CODEC, &cut.personal).unwrap();
    assert_eq!(personal.bytes.unwrap().len(), 1 << 20);
    assert_eq!(personal.note.unwrap().as_str(), "the first 1048576 of 3145728 bytes");
    assert_eq!(cut.facts.origin.as_str(), "events:7");
}

#[test]
fn damage_is_named_after_all_that_was_readable() {
    let plain = ndjson(20_000);
    let whole = gzip(plain.as_bytes());
    let cut = whole[..whole.len() * 2 / 3].to_vec();
    let (entries, error) = read_all(cut, None);
    assert!(entries.len() > 5_000, "{}", entries.len());
    let Some(SourceError::Truncated { line, .. }) = error else { panic!("{error:?}") };
    assert_eq!(line, entries.len() as u64);

    let mut frame = zstd::encode_all(plain.as_bytes(), 1).unwrap();
    frame.truncate(frame.len() - 10);
    assert!(matches!(read_all(frame, None).1, Some(SourceError::Truncated { .. })));

    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let (_, error) = read_all(damaged, None);
    assert!(matches!(error, Some(SourceError::Corrupt { .. })), "{error:?}");
}

#[test]
fn a_check_finds_every_altered_byte_of_a_compressed_file() {
    let whole = gzip(ndjson(40).as_bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        FileSource::check(file.path(), &mut |_| {})
    };
    check(&whole).unwrap();
    // Of the ten bytes of the header only the first three are told from others; a name or time says nothing about events.
    for place in 10..whole.len() {
        let mut altered = whole.clone();
        altered[place] ^= 1;
        assert!(matches!(check(&altered), Err(SourceError::Unsound { .. })), "byte {place}");
        assert!(matches!(check(&whole[..place]), Err(SourceError::Unsound { .. })), "cut at {place}");
    }
    // What isn't compressed has no checksum to fail.
    check(ndjson(3).as_bytes()).unwrap();
    FileSource::check(Path::new("-"), &mut |_| {}).unwrap();
}

#[test]
fn a_failing_disk_is_an_error_after_all_that_was_readable() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("disk")),
                bytes => Ok(bytes),
            }
        }
    }
    let reader = Failing(Cursor::new(ndjson(5).into_bytes()));
    let mut source = FileSource::from_reader(reader, "events", None, None).unwrap();
    assert_eq!(source.next_chunk().unwrap().unwrap().len(), 5);
    assert!(matches!(source.next_chunk(), Err(SourceError::Read { line: 5, .. })));
}

#[test]
fn files_of_another_kind_say_what_is_right() {
    let says_of = |bytes: &[u8], mapping: Option<&str>| {
        let (entries, error) = read_all(bytes, mapping);
        assert!(entries.is_empty());
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    let says = |bytes: &[u8], mapping: Option<&str>, expected: &str| {
        let error = says_of(bytes, mapping);
        assert!(error.contains(expected), "{expected}: {error}");
    };
    says(b"", None, "holds no events");
    says(b"\n \n", None, "holds no events");
    says(&gzip(b""), None, "holds no events");
    says(b"", Some(MAPPING), "holds no events");
    says(TABLE.lines().next().unwrap().as_bytes(), Some(MAPPING), "holds no events");
    says(b"[\n{}\n]", None, "JSON array");
    says(TABLE.as_bytes(), None, "--mapping");
    says(b"user_id,event,time\na,b\n", None, "--mapping");
    says(b"PK\x03\x04....", None, "ZIP");
    says(b"\xff\xfea\0", None, "UTF-16");
    says(
        b"user_id,event\na,b\n",
        Some(MAPPING),
        "\"session_id\" (columns.attributes.session_id), but the table has only: user_id, event",
    );
    let no_header = says_of(b"jane@example.com,s1,home\njane@example.com,s1,cart\n", Some(MAPPING));
    assert!(no_header.contains("of 3 column(s)") && !no_header.contains("jane"), "{no_header}");
    says(b"\"user_id\n", Some(MAPPING), "from line 1 on");
    let missing = FileSource::open(Path::new("no/such/file"), None).err().unwrap();
    assert!(matches!(missing, SourceError::Open { .. }));
}

#[test]
fn rows_become_events_by_the_mapping() {
    let (entries, error) = read_all(TABLE, Some(MAPPING));
    assert!(error.is_none());
    let taken: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Interaction(entry) => entry,
            Entry::Rejected(entry) => panic!("{:?}", entry.facts),
        })
        .collect();
    let actions: Vec<&str> = taken.iter().map(|entry| entry.facts.action.as_str()).collect();
    assert_eq!(actions, ["page.home", "product.viewed", "unheard_of", "purchase"]);
    let skills: Vec<_> = taken.iter().map(|entry| entry.facts.skill.as_ref().map(|skill| skill.as_str())).collect();
    assert_eq!(skills, [None, None, None, Some("checkout")]);
    assert_eq!((taken[0].feed_sequence, taken[0].occurred_at.as_millis()), (2, 1_710_325_274_000));
    assert_eq!(taken[2].facts.channel.as_str(), "organic");
    assert_eq!(taken[2].facts.device.as_ref().unwrap().kind.as_ref().unwrap().as_str(), "mobile");
    assert_eq!(taken[0].facts.visitor_id, taken[1].facts.visitor_id);
    assert_eq!(taken[0].facts.attributes[0].name.as_str(), "user_lifecycle");
    let personal = &taken[0].personal;
    assert_eq!((personal.attributes.len(), personal.id.as_str().len()), (2, 32));
}

#[test]
fn the_same_row_on_the_same_line_is_the_same_event_however_it_is_packed() {
    let (plain, _) = read_all(TABLE, Some(MAPPING));
    let (packed, _) = read_all(gzip(TABLE.replace('\n', "\r\n").as_bytes()), Some(MAPPING));
    assert!(plain == packed);
    let mut twice = TABLE.to_owned();
    twice.push_str(TABLE.lines().nth(1).unwrap());
    let messages: std::collections::BTreeSet<u128> = read_all(twice, Some(MAPPING))
        .0
        .iter()
        .map(|entry| match entry {
            Entry::Interaction(entry) => entry.facts.message,
            Entry::Rejected(_) => panic!("rejected"),
        })
        .collect();
    assert_eq!(messages.len(), 5, "the same row on another line is another event");
}

#[test]
fn broken_rows_are_rejected_and_a_quote_that_swallows_the_file_is_an_error() {
    let row = TABLE.lines().nth(1).unwrap();
    let header = TABLE.lines().next().unwrap();
    let table = format!(
        "{header}\n{row}\n{row},one too many\na,b\n{}\n{}\n{row}\n\"{row}\n{row}\n",
        row.replace("desktop", "\"desk\"top"),
        row.replace("2024-03-13 10:21:14", "yesterday"),
    );
    let (entries, error) = read_all(table, Some(MAPPING));
    let expected =
        [(2, ""), (3, code::INVALID_ROW), (4, code::INVALID_ROW), (5, code::INVALID_ROW), (6, code::BAD_TIME), (7, "")];
    assert_eq!(codes(&entries), expected);
    assert!(matches!(error, Some(SourceError::QuoteNeverClosed { line: 8, .. })), "{error:?}");
    let Entry::Rejected(rejected) = &entries[1] else { panic!("taken") };
    assert_eq!(rejected.facts.message_text.as_str(), "The row has 9 fields; the header has 8.");
}

#[test]
fn a_row_that_is_rejected_for_what_it_says_can_be_tried_again_by_itself() {
    let mapping = MAPPING.replace("visitor_id = \"user_id\"", "email = \"user_id\"");
    let (entries, _) = read_all(TABLE.replacen("user_0000,", "a@b.c,", 1), Some(&mapping));
    let [Entry::Interaction(good), Entry::Rejected(bad), ..] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(bad.facts.code.as_str(), code::BAD_EMAIL);
    let bytes = decode_personal(CODEC, &bad.personal).unwrap().bytes.unwrap();
    let repaired = String::from_utf8(bytes).unwrap().replace("user_0000", "a@b.c");
    let (again, _) = read_all(repaired, None);
    let [Entry::Interaction(again)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!((again.facts.email, again.facts.action.as_str()), (good.facts.email, "product.viewed"));
    assert_eq!(again.facts.attributes, good.facts.attributes);
}

#[test]
fn a_table_with_every_field_becomes_a_full_event() {
    let mapping = "delimiter = ';'\namounts = 'major'\n[columns]\nid = 'nr'\ntime = 'at'\nemail = 'mail'\naction = 'what'\nchannel = 'way'\n\
        value = 'paid'\ncurrency = 'cur'\nrgus = 'units'\norder_id = 'order'\nproduct_price = 'price'\npage_url = 'page'\n[channels]\n'1' = 'web'\n[time]\nformat = 'unix'\n[constants]\ncountry = 'DE'\n";
    let table = "nr;at;mail;what;way;paid;cur;units;order;price;page\n7;1710325274;a@b.c;purchase;1;129.50;CHF;2;O1;\"64.75\";https://x\n8;1710325275;a@b.c;seen;2;;;;;;\n";
    let (entries, error) = read_all(table, Some(mapping));
    assert!(error.is_none());
    let [Entry::Interaction(sale), Entry::Interaction(seen)] = entries.as_slice() else { panic!("{entries:?}") };
    let stored = sale.facts.sale.as_ref().unwrap();
    assert_eq!((stored.value, stored.rgus), (Some((12_950, *b"CHF")), 2));
    assert_eq!(sale.facts.product.as_ref().unwrap().price, Some((6_475, *b"CHF")));
    assert_eq!((sale.facts.channel.as_str(), seen.facts.channel.as_str()), ("web", "2"));
    assert_eq!(seen.facts.sale, None);
    assert_eq!(seen.facts.country.as_ref().unwrap().as_str(), "DE");
}

#[test]
fn progress_counts_the_bytes_of_the_file_as_stored() {
    let bytes = gzip(ndjson(10_000).as_bytes());
    let total = bytes.len() as u64;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let mut source = FileSource::open(file.path(), None).unwrap();
    let mut last = 0;
    while source.next_chunk().unwrap().is_some() {
        let progress = source.progress();
        assert_eq!(progress.bytes_total, Some(total));
        assert!(progress.bytes_read >= last);
        last = progress.bytes_read;
    }
    assert_eq!(source.progress().bytes_read, total);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), text in "[a-c,\"\\n;]{0,60}") {
        read_all(bytes.clone(), None);
        read_all(bytes.clone(), Some(MAPPING));
        read_all([b"\x1f\x8b\x08".as_slice(), &bytes].concat(), None);
        read_all(format!("{}{text}", TABLE), Some(MAPPING));
    }
}
