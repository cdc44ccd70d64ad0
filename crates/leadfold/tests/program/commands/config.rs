//! Settings: where they come from, and what is wrong with a file.

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{Folder, Run};

const FILE: &str = r#"
data = "data"
tenant = "acme"
operator = "from-file"
api_key_file = "key"

[serve]
listen = "127.0.0.1:0"
connections_max = 77
cors_origins = ["https://a.example", "https://b.example"]
log_format = "json"
nats_tls = true
nats_no_create = false
"#;

/// A setting as `config show` tells it.
fn setting(shown: &[Value], name: &str) -> [Value; 3] {
    let found = shown.iter().find(|setting| setting["name"] == name).unwrap();
    ["value", "origin", "from"].map(|field| found[field].clone())
}

#[test]
fn every_setting_is_shown_with_where_it_comes_from() {
    let folder = Folder::empty();
    folder.write("config.toml", FILE);
    let mut command = folder.command(["config", "show", "--json", "--config", "config.toml", "--tenant", "zeta"]);
    command.env("LEADFOLD_CONNECTIONS_MAX", "88").env("LEADFOLD_API_KEY", "sekreta").env_remove("LEADFOLD_DATA");
    let run = Run::of(&mut command);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let shown = crate::support::objects(&run.stdout);
    let expected = [
        ("tenant", json!(["zeta", "flag", "--tenant"])),
        ("operator", json!(["olga", "environment", "LEADFOLD_OPERATOR"])),
        ("data", json!(["data", "file", "config.toml"])),
        ("api_key", json!(["(hidden)", "environment", "LEADFOLD_API_KEY"])),
        ("api_key_file", json!(["key", "file", "config.toml"])),
        ("server", json!([null, "default", null])),
        ("serve.listen", json!(["127.0.0.1:0", "file", "config.toml"])),
        ("serve.connections_max", json!(["88", "environment", "LEADFOLD_CONNECTIONS_MAX"])),
        ("serve.cors_origins", json!(["https://a.example,https://b.example", "file", "config.toml"])),
        ("serve.log_format", json!(["json", "file", "config.toml"])),
        ("serve.tls_key", json!([null, "default", null])),
        ("serve.nats_tls", json!(["true", "file", "config.toml"])),
        ("serve.nats_replicas", json!(["1", "default", null])),
    ];
    for (name, value) in expected {
        assert_eq!(json!(setting(&shown, name)), value, "{name}");
    }
    assert!(!run.stdout.contains("sekreta") && shown.iter().all(|setting| setting["name"] != "clock"));
    let table = folder.done(["config", "show", "--config", "config.toml"]);
    assert!(table.contains("file config.toml") && table.contains("environment LEADFOLD_OPERATOR"), "{table}");
}

#[test]
fn a_service_takes_its_options_from_the_file_where_no_flag_says_otherwise() {
    let folder = Folder::empty();
    folder.write("config.toml", FILE.replace("nats_tls = true", ""));
    let service = Service::run(&folder, &mut folder.command(["serve", "--config", "config.toml"]));
    let from_file = service.url();
    service.stop();
    assert!(from_file.starts_with("http://127.0.0.1:") && !from_file.ends_with(":8080"), "{from_file}");
    let options = ["--config", "config.toml", "serve", "--listen", "[::1]:0"];
    let service = Service::run(&folder, &mut folder.command(options));
    assert!(service.url().starts_with("http://[::1]:"));
    // Flags that belong together are asked for together, wherever they stand.
    folder.write("half.toml", "[serve]\ntls_key = \"key.pem\"\n");
    let half = folder.run(["serve", "--config", "half.toml"]);
    assert!(half.code == Some(2) && half.stderr.contains("--tls-certificate"), "{}", half.stderr);
}

#[test]
fn a_faulty_configuration_file_is_wrong_usage_with_its_line() {
    let folder = Folder::empty();
    let cases = [
        ("tenant = \"acme\"\noperator = 7\n", 2, "operator must be a text in quotes"),
        ("\ncolour = \"red\"\n", 2, "there is no setting `colour` here; there are: data, tenant,"),
        ("tenant = \"acme\n", 1, "invalid basic string"),
        ("json = true\n", 1, "`json`"),
        ("clock = \"2026-01-01T00:00:00Z\"\n", 1, "`clock`"),
        ("config = \"other.toml\"\n", 1, "`config`"),
        ("api_key = \"sekreta\"\n", 1, "name a file with `api_key_file`"),
        ("listen = \"127.0.0.1:0\"\n", 1, "`listen`"),
        ("[serve]\ndata = \"data\"\n", 2, "`data`"),
        ("[serve]\n\nlisten = \"here\"\n", 3, "listen can't be \"here\": invalid socket address syntax"),
        ("[serve]\nconnections_max = \"many\"\n", 2, "connections_max can't be \"many\""),
        ("[serve]\nlog_format = \"loud\"\n", 2, "it can be: text, json"),
        ("[serve]\nnats_tls = \"yes\"\n", 2, "nats_tls must be true or false"),
        ("[feed]\nx = 1\n", 1, "`feed`"),
    ];
    for (text, line, problem) in cases {
        folder.write("config.toml", text);
        let run = folder.run(["leads", "--config", "config.toml"]);
        let start = format!("error: the configuration file config.toml, line {line}: ");
        assert!(run.failed(2).starts_with(&start) && run.stderr.contains(problem), "{text}: {}", run.stderr);
        assert!(!run.stderr.contains("sekreta"));
    }
    assert!(folder.run(["leads", "--config", "nowhere.toml"]).failed(1).contains("nowhere.toml"));
}
