//! Where the data is and who asks. Where the values come from is for `config` to say.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use engine::{Clock, EngineOptions};
use key_vault::MasterKey;
use lead_domain::Time;

use crate::failure::UsageError;

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// The folder that holds the log, the keys and what is derived from them
    #[arg(long, global = true, value_name = "DIR", env = "LEADFOLD_DATA", default_value = "leadfold-data")]
    pub(crate) data: PathBuf,
    /// Whose data; may be left out where there is only one tenant
    #[arg(long, global = true, value_name = "NAME", env = "LEADFOLD_TENANT")]
    pub(crate) tenant: Option<String>,
    /// A configuration file (TOML): data, tenant, operator, master_key_file, server, api_key_file, and a table serve with
    /// the options of the service, all of them with _ for -
    #[arg(long, global = true, value_name = "FILE", env = "LEADFOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The account name that commands are recorded under [default: the user name]
    #[arg(long, global = true, value_name = "NAME", env = "LEADFOLD_OPERATOR")]
    pub(crate) operator: Option<String>,
    /// A file with the master key as 64 hexadecimal digits, to keep it apart from the data [default: DIR/keys/master.key]
    #[arg(long, global = true, value_name = "FILE", env = "LEADFOLD_MASTER_KEY_FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// A running service to go to, by its http or https URL. Without it the folder counts, or the service that
    /// holds it
    #[arg(long, global = true, value_name = "URL", env = "LEADFOLD_SERVER")]
    pub(crate) server: Option<String>,
    /// The API key for a service; others can see a command line, so better name a file
    #[arg(long, global = true, value_name = "KEY", env = "LEADFOLD_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<ApiKey>,
    /// A file that holds the API key for a service
    #[arg(long, global = true, value_name = "FILE", env = "LEADFOLD_API_KEY_FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
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

/// An API key. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// The key itself, for the header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(key.trim().to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// What the flags, the environment and the file come to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) tenant: Option<String>,
    pub(crate) operator: String,
    pub(crate) master_key_file: Option<PathBuf>,
    /// The service that was named; without one the data folder counts.
    pub(crate) server: Option<String>,
    api_key: Option<ApiKey>,
    api_key_file: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) clock: Clock,
    pub(crate) write_back_records: Option<u64>,
}

impl Settings {
    /// Reads what the options say.
    pub(crate) fn of(args: &GlobalArgs) -> anyhow::Result<Self> {
        Ok(Self {
            data: args.data.clone(),
            tenant: args.tenant.clone(),
            operator: args.operator.clone().unwrap_or_else(account),
            master_key_file: args.master_key_file.clone(),
            server: args.server.clone().filter(|server| !server.is_empty()),
            api_key: args.api_key.clone().filter(|key| !key.expose().is_empty()),
            api_key_file: args.api_key_file.clone(),
            json: args.json,
            clock: args.clock.as_deref().map(fixed_clock).transpose()?.unwrap_or(Clock::System),
            write_back_records: args.write_back_records,
        })
    }

    /// The API key for a service: the one that was given, or the one in the file.
    pub(crate) fn api_key(&self) -> anyhow::Result<Option<ApiKey>> {
        if let Some(key) = &self.api_key {
            return Ok(Some(key.clone()));
        }
        let Some(path) = &self.api_key_file else { return Ok(None) };
        let text = std::fs::read_to_string(path);
        let key = ApiKey::from(text.with_context(|| format!("cannot read the API key file {}", path.display()))?);
        if key.expose().is_empty() {
            bail!(UsageError(format!("the API key file {} is empty", path.display())));
        }
        Ok(Some(key))
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

/// The account name that commands are recorded under where nobody says.
pub(crate) fn account() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "cli".to_owned())
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
