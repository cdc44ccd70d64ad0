//! `leadfold keys …`

use access::{KeyRecord, KeyStore, NewKey};
use anyhow::Context;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::cli::KeysCommand;
use crate::output::{json_line, line, table};
use crate::settings::Settings;

pub(crate) fn run(command: &KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    std::fs::create_dir_all(&settings.data)
        .with_context(|| format!("cannot make the folder {}", settings.data.display()))?;
    let store = KeyStore::open(&settings.data)?;
    match command {
        KeysCommand::Create { role, name } => {
            let tenant = settings.tenant.as_deref().unwrap_or("*").parse()?;
            let (token, record) = store.create(NewKey { role: *role, tenant, name: name.clone(), now: Utc::now() })?;
            if settings.json {
                let mut shape = shape(&record);
                if let Value::Object(fields) = &mut shape {
                    fields.insert("key".to_owned(), json!(token.expose()));
                }
                return json_line(&shape);
            }
            line(token.expose())?;
            eprintln!(
                "This is shown once. It is key {}, of role {}, for tenant {}.",
                record.id, record.role, record.tenant
            );
            Ok(())
        }
        KeysCommand::List => list(&store.list()?, settings),
        KeysCommand::Revoke { id } => {
            let record = store.revoke(*id, Utc::now())?;
            if settings.json { json_line(&shape(&record)) } else { line(format_args!("key {} is revoked", record.id)) }
        }
    }
}

fn list(records: &[KeyRecord], settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return records.iter().try_for_each(|record| json_line(&shape(record)));
    }
    if records.is_empty() {
        return line("no API key was made");
    }
    let time = |time: chrono::DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let row = |record: &KeyRecord| {
        vec![
            record.id.to_string(),
            record.role.to_string(),
            record.tenant.to_string(),
            record.name.clone().unwrap_or_default(),
            time(record.created_at),
            record.revoked_at.map(time).unwrap_or_default(),
        ]
    };
    table(&["KEY", "ROLE", "TENANT", "NAME", "CREATED", "REVOKED"], records.iter().map(row).collect())
}

fn shape(record: &KeyRecord) -> Value {
    json!({
        "id": record.id.to_string(),
        "role": record.role.name(),
        "tenant": record.tenant.to_string(),
        "name": record.name,
        "created_at": record.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "revoked_at": record.revoked_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
    })
}
