//! Finding the service and getting in: addresses, keys, and services that have gone.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::commands::small_shop;
use crate::support::event::hour;
use crate::support::service::Service;
use crate::support::{Folder, Run};

#[test]
fn a_service_elsewhere_is_named() {
    let folder = small_shop();
    let service = Service::start_at(&folder, &hour(7));
    let (elsewhere, url) = (Folder::empty(), service.url());
    let leads = service.done(["leads"]);
    assert_eq!(elsewhere.done(["leads", "--server", &url]), leads);
    assert_eq!(elsewhere.done(["--server", &format!("{url}/"), "leads"]), leads);
    let by_variable = Run::of(elsewhere.command(["leads"]).env("LEADFOLD_SERVER", &url));
    assert_eq!(by_variable.stdout, leads);
    elsewhere.write("config.toml", format!("server = \"{url}\"\n"));
    assert_eq!(elsewhere.done(["leads", "--config", "config.toml"]), leads);
    assert!(!elsewhere.path("data").exists());
}

#[test]
fn what_needs_the_folder_itself_names_the_holder() {
    let folder = small_shop();
    let service = Service::start_at(&folder, &hour(7));
    let (holder, url) = (service.id(), service.url());
    for args in [&["verify"][..], &["repair"]] {
        let held = service.run(args.iter().copied());
        let sentence =
            format!("error: cannot open the data folder data: process {holder} holds it and serves it at {url}");
        assert!(held.failed(1).starts_with(&sentence) && held.stderr.contains("stop the service"), "{}", held.stderr);
        let named = service.run(args.iter().copied().chain(["--server", &url]));
        assert!(named.failed(2).contains("leave --server out"), "{}", named.stderr);
    }
    service.stop();
    folder.done(["verify"]);
}

#[test]
fn an_address_that_leads_nowhere_is_told_in_one_sentence() {
    let folder = small_shop();
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{free}");
    let sentence = format!("error: cannot reach the service at {gone}: Connection refused");
    for args in [&["leads"][..], &["lead", "V1-1", "note", "x"], &["projections"]] {
        let run = folder.run(args.iter().copied().chain(["--server", &gone]));
        assert!(run.failed(1).starts_with(&sentence), "{}", run.stderr);
    }
    for wrong in ["localhost:8080", "nonsense", "ftp://example.com", "http://me:sekreta@example.com"] {
        let run = folder.run(["leads", "--server", wrong]);
        assert!(run.failed(2).starts_with("error: --server must be the address of a service"), "{}", run.stderr);
        assert!(!run.stderr.contains("sekreta"));
    }
    let service = Service::start_at(&folder, &hour(7));
    let beside = format!("{}/elsewhere", service.url());
    assert!(service.run(["leads", "--server", &beside]).failed(1).starts_with("error: "));
}

#[test]
fn a_killed_service_leaves_the_folder_to_the_commands() {
    let folder = small_shop();
    let leads = folder.done(["leads"]);
    let service = Service::start_at(&folder, &hour(7));
    let old = service.url();
    service.kill();
    assert_eq!(fs::read_to_string(folder.path("data/address")).unwrap().trim(), old);
    assert_eq!(folder.done(["leads"]), leads);
    assert!(!folder.path("data/address").exists(), "whoever holds the folder next can't be reached there");
    folder.done(["verify"]);
}

#[test]
fn a_service_that_does_not_answer_is_named_with_the_folder_that_it_holds() {
    let folder = small_shop();
    let service = Service::start_at(&folder, &hour(7));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(service.path("data/address"), format!("http://{free}\n")).unwrap();
    let run = service.run(["leads"]);
    let sentence = run.failed(1);
    assert!(
        sentence.contains("Connection refused") && sentence.contains("It holds the data folder data"),
        "{sentence}"
    );
}

#[test]
fn a_key_opens_what_its_role_may_do_and_is_never_shown() {
    let folder = small_shop();
    let create = |role: &str| -> String {
        let run = folder.run(["keys", "create", "--role", role, "--tenant", "acme"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout.trim().to_owned()
    };
    let (operator, analyst, publisher) = (create("operator"), create("analyst"), create("publisher"));
    let service = Service::start_at(&folder, &hour(7));
    let none = service.run(["leads"]);
    assert!(none.failed(1).contains("needs an API key") && none.stderr.contains("--api-key-file"), "{}", none.stderr);
    let wrong = "lfk_sekreta";
    let refused = service.run(["leads", "--api-key", wrong]);
    assert!(refused.failed(1).contains("refuses the API key: there is no such API key"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(wrong));

    service.write("operator.key", format!("{operator}\n"));
    let with_file = ["--api-key-file", "operator.key"];
    let leads = service.done(["leads"].into_iter().chain(with_file));
    assert!(leads.contains("V1-1"));
    service.done(["lead", "V1-1", "note", "x"].into_iter().chain(with_file));
    service.write("config.toml", "api_key_file = \"operator.key\"\n");
    assert_eq!(service.done(["leads", "--config", "config.toml"]), leads);
    let by_variable = Run::of(service.command(["leads"]).env("LEADFOLD_API_KEY", &operator));
    assert_eq!(by_variable.code, Some(0), "{}", by_variable.stderr);

    let denied = service.run(["lead", "V1-1", "note", "y", "--api-key", &analyst]);
    assert!(denied.failed(1).contains("the role analyst doesn't allow this"), "{}", denied.stderr);
    let help = Run::of(service.command(["leads", "--help"]).env("LEADFOLD_API_KEY", &operator));
    let shown = Run::of(service.command(["config", "show"]).env("LEADFOLD_API_KEY", &operator));
    for run in [&denied, &help, &shown] {
        assert!(!run.stdout.contains(&operator) && !run.stderr.contains(&analyst), "{run:?}");
    }
    assert!(shown.stdout.contains("(hidden)"));

    service.write("events.ndjson", "{\n");
    let sent = service.json_one(["import", "events.ndjson", "--api-key", &publisher]);
    assert_eq!((&sent["quarantined"], &sent["leads_open"]), (&1.into(), &serde_json::Value::Null));
    let revoked = service.json(["keys", "list"])[0]["id"].as_str().unwrap().to_owned();
    service.done(["keys", "revoke", &revoked]);
}

/// Reads a request and returns its head.
fn request(connection: &mut TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "a request goes on: {head}");
    }
    let length = header(&head, "content-length").parse().unwrap();
    reader.read_exact(&mut vec![0; length]).unwrap();
    head
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1
}

#[test]
fn a_request_is_made_again_under_the_same_key_when_it_breaks_or_should_come_back_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let busy = r#"{"type":"urn:leadfold:problem:busy","title":"t","status":503,"detail":"Busy. Try again."}"#;
    let told = r#"{"position":7,"at":"2026-01-01T00:00:00Z","repeated":false,"events":[],"lead":null}"#;
    let answers = [
        None,
        Some(format!("503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: {}\r\n\r\n{busy}", busy.len())),
        Some(format!("200 OK\r\ncontent-length: {}\r\n\r\n{told}", told.len())),
    ];
    let serving = std::thread::spawn(move || {
        let answer = |answer: Option<String>| {
            let (mut connection, _) = listener.accept().unwrap();
            let head = request(&mut connection);
            if let Some(answer) = answer {
                write!(connection, "HTTP/1.1 {}", answer.replacen("\r\n", "\r\nconnection: close\r\n", 1)).unwrap();
            }
            head
        };
        answers.map(answer)
    });
    let done = Folder::empty().done(["lead", "V1-1", "note", "x", "--if-version", "3", "--server", &url]);
    assert_eq!(done, "recorded at position 7, as of 2026-01-01T00:00:00Z\n");
    let heads = serving.join().unwrap();
    for head in &heads {
        assert!(head.starts_with("POST /v1/leads/V1-1/notes HTTP/1.1"), "{head}");
        assert_eq!(header(head, "idempotency-key"), header(&heads[0], "idempotency-key"));
        assert_eq!((header(head, "if-match"), header(head, "leadfold-operator")), ("\"3\"", "olga"));
    }
}
