//! Where a setting comes from: a flag, then the environment, then the configuration file, then its default.
//!
//! A setting is an option that has an environment variable. What the file says of it is put on the command line, as if it
//! had been typed there, unless a flag or the environment says something else: so an option needs nothing more to stand in
//! the file too. Knows no meaning of any option.

mod file;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use serde::Serialize;

use crate::cli::Cli;
use crate::settings::account;
use file::{ConfigFile, FileValue};

/// The command whose options stand in a table of the file that bears its name.
const SERVE: &str = "serve";

/// A setting with its value and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// As in the file, such as `data` or `serve.listen`.
    pub(crate) name: String,
    /// `None` where it has none; a secret is hidden.
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
    /// The flag, the variable or the file.
    pub(crate) from: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

/// The command line, with what the environment and the file add to it.
pub(crate) struct Configuration {
    file: Option<ConfigFile>,
    read: Lines,
}

/// A command line as it was typed, and with the file's values on it.
struct Lines {
    typed: ArgMatches,
    whole: ArgMatches,
}

impl Lines {
    /// A command line that makes no sense ends the process, as a call for help does.
    fn read(typed: &[OsString], file: Option<&ConfigFile>) -> Self {
        let parse = |line: &[OsString]| command().try_get_matches_from(line).unwrap_or_else(|error| error.exit());
        let matches = parse(typed);
        let whole = file.map_or_else(|| matches.clone(), |file| parse(&with_values(typed, &matches, file)));
        Self { typed: matches, whole }
    }
}

impl Configuration {
    /// Reads the command line of this process.
    pub(crate) fn read() -> anyhow::Result<(Cli, Self)> {
        let typed: Vec<OsString> = std::env::args_os().collect();
        let read = Lines::read(&typed, None);
        let path = read.typed.get_one::<PathBuf>("config");
        let file = path.map(|path| ConfigFile::read(path, &command())).transpose()?;
        let read = if file.is_some() { Lines::read(&typed, file.as_ref()) } else { read };
        let cli = Cli::from_arg_matches(&read.whole).unwrap_or_else(|error| error.exit());
        Ok((cli, Self { file, read }))
    }

    /// All settings, also those of a service that might be started here.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let described = command();
        let of = |table, command: &Command, lines: &Lines| -> Vec<Setting> {
            let settings = command.get_arguments().filter(|arg| is_setting(arg));
            settings.map(|arg| self.setting(table, arg, lines)).collect()
        };
        let mut settings = of(None, &described, &self.read);
        let typed = ["leadfold", SERVE].map(OsString::from);
        let Lines { mut typed, mut whole } = Lines::read(&typed, self.file.as_ref());
        let below = typed.remove_subcommand().zip(whole.remove_subcommand());
        if let (Some(serve), Some(((_, typed), (_, whole)))) = (described.find_subcommand(SERVE), below) {
            settings.extend(of(Some(SERVE), serve, &Lines { typed, whole }));
        }
        settings
    }

    fn setting(&self, table: Option<&'static str>, arg: &Arg, lines: &Lines) -> Setting {
        let id = arg.get_id().as_str();
        let raw = lines.whole.get_raw(id).into_iter().flatten();
        let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let value = if is_secret(arg) { "(hidden)".to_owned() } else { values.join(",") };
        let value = Some(value).filter(|_| !values.is_empty()).or_else(|| unsaid(arg));
        let in_file = self.file.as_ref().filter(|file| file.names(table, id));
        let (origin, from) = match (lines.typed.value_source(id), in_file) {
            (Some(ValueSource::CommandLine), _) => (Origin::Flag, arg.get_long().map(|long| format!("--{long}"))),
            (Some(ValueSource::EnvVariable), _) => {
                (Origin::Environment, arg.get_env().map(|name| name.to_string_lossy().into_owned()))
            }
            (_, Some(file)) => (Origin::File, Some(file.path.display().to_string())),
            (_, None) => (Origin::Default, None),
        };
        Setting { name: table.map_or_else(|| id.to_owned(), |table| format!("{table}.{id}")), value, origin, from }
    }
}

/// The description of the command line.
fn command() -> Command {
    Cli::command()
}

/// The value of a setting of which nobody says anything.
fn unsaid(arg: &Arg) -> Option<String> {
    (arg.get_id() == "operator").then(account)
}

/// Whether an option is a setting, which can stand in the environment and in the file.
fn is_setting(arg: &Arg) -> bool {
    arg.get_env().is_some() && !arg.is_hide_set() && arg.get_id() != "config"
}

/// A secret stands in no file that others may read, and is never shown.
fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}

/// The command line with the file's values on it: those that nobody said otherwise, where they can be said.
fn with_values(typed: &[OsString], matches: &ArgMatches, file: &ConfigFile) -> Vec<OsString> {
    let (described, mut line) = (command(), typed.to_vec());
    let (mut innermost, mut of_innermost) = (Some(&described), matches);
    while let Some((name, below)) = of_innermost.subcommand() {
        innermost = innermost.and_then(|command| command.find_subcommand(name));
        of_innermost = below;
    }
    for value in &file.values {
        // What every command takes is put before the command, what a service takes behind it.
        let (command, matches, place) = match value.table {
            None => (Some(&described), matches, 1.min(line.len())),
            Some(_) => (innermost, of_innermost, line.len()),
        };
        let mut known = command.into_iter().flat_map(Command::get_arguments);
        let said = || matches.value_source(&value.id);
        if known.any(|arg| arg.get_id() == value.id.as_str())
            && !matches!(said(), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        {
            line.splice(place..place, value.words());
        }
    }
    line
}

impl FileValue {
    /// The value as it is typed.
    fn words(&self) -> Vec<OsString> {
        match &self.texts {
            None => vec![format!("--{}", self.long).into()],
            Some(texts) => texts.iter().map(|text| format!("--{}={text}", self.long).into()).collect(),
        }
    }
}
