//! Where the data is and who asks: flags, then the environment, then the configuration file, then defaults.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use engine::{Clock, EngineOptions};
use key_vault::MasterKey;
use lead_domain::Time;
use serde::Deserialize;

use crate::failure::UsageError;

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// The folder that holds the log, the keys and what is derived from them [default: ./leadfold-data]
    #[arg(long, global = true, value_name = "DIR", env = "LEADFOLD_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Whose data; may be left out where there is only one tenant
    #[arg(long, global = true, value_name = "NAME", env = "LEADFOLD_TENANT")]
    pub(crate) tenant: Option<String>,
    /// A configuration file (TOML) with any of: data, tenant, operator, master_key_file
    #[arg(long, global = true, value_name = "FILE", env = "LEADFOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The account name that commands are recorded under [default: the user name]
    #[arg(long, global = true, value_name = "NAME", env = "LEADFOLD_OPERATOR")]
    pub(crate) operator: Option<String>,
    /// A file with the master key as 64 hexadecimal digits, to keep it apart from the data [default: DIR/keys/master.key]
    #[arg(long, global = true, value_name = "FILE", env = "LEADFOLD_MASTER_KEY_FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// One JSON object a line, in the shapes of the HTTP interface
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// A fixed time for the log's clock, to compare logs byte for byte
    #[arg(long, global = true, hide = true, value_name = "TIME", env = "LEADFOLD_CLOCK")]
    pub(crate) clock: Option<String>,
    /// After how many records the tables follow the log, to meet the places between in tests
    #[arg(long, global = true, hide = true, value_name = "N", env = "LEADFOLD_WRITE_BACK_RECORDS")]
    pub(crate) write_back_records: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data: Option<PathBuf>,
    tenant: Option<String>,
    operator: Option<String>,
    master_key_file: Option<PathBuf>,
}

/// What the flags, the environment and the file come to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) tenant: Option<String>,
    pub(crate) operator: String,
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) clock: Clock,
    pub(crate) write_back_records: Option<u64>,
}

impl Settings {
    /// Puts the sources together.
    pub(crate) fn of(args: &GlobalArgs) -> anyhow::Result<Self> {
        let file = args.config.as_deref().map(read_config).transpose()?.unwrap_or_default();
        let account = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        Ok(Self {
            data: args.data.clone().or(file.data).unwrap_or_else(|| PathBuf::from("leadfold-data")),
            tenant: args.tenant.clone().or(file.tenant),
            operator: args.operator.clone().or(file.operator).or_else(account).unwrap_or_else(|| "cli".to_owned()),
            master_key_file: args.master_key_file.clone().or(file.master_key_file),
            json: args.json,
            clock: args.clock.as_deref().map(fixed_clock).transpose()?.unwrap_or(Clock::System),
            write_back_records: args.write_back_records,
        })
    }

    /// The engine's options.
    pub(crate) fn engine_options(&self) -> EngineOptions {
        let default = EngineOptions::default();
        let write_back_records = self.write_back_records.unwrap_or(default.write_back_records);
        EngineOptions { clock: self.clock, write_back_records, ..default }
    }

    /// The master key, where it is kept apart from the data.
    pub(crate) fn master_key(&self) -> anyhow::Result<Option<MasterKey>> {
        let Some(path) = &self.master_key_file else { return Ok(None) };
        let digits = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the master key file {}", path.display()))?;
        let key = MasterKey::from_hex(digits.trim());
        key.map(Some).with_context(|| format!("cannot use the master key file {}", path.display()))
    }
}

fn read_config(path: &Path) -> anyhow::Result<ConfigFile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (file, line) = (path.display(), before.matches('\n').count() + 1);
        UsageError(format!("the configuration file {file}, line {line}: {}", error.message())).into()
    })
}

fn fixed_clock(text: &str) -> anyhow::Result<Clock> {
    Ok(Clock::Fixed(parse_time(text).map_err(UsageError)?))
}

/// Reads an RFC 3339 time from the command line.
pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    parsed
        .map(|time| Time::from_millis(time.timestamp_millis()))
        .map_err(|_| format!("\"{text}\" is no time such as 2026-01-31T12:00:00Z"))
}
