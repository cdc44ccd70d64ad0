//! The configuration file: TOML whose keys are the ids of options.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{SERVE, is_secret, is_setting};
use crate::failure::UsageError;

/// A file whose keys and values fit to the options.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) values: Vec<FileValue>,
}

/// What the file says of one option.
pub(super) struct FileValue {
    /// The table that it stands in.
    pub(super) table: Option<&'static str>,
    /// The option's id.
    pub(super) id: String,
    /// Its flag, without dashes.
    pub(super) long: String,
    /// What comes behind the flag, for each time that it is given; `None` for a flag that stands alone.
    pub(super) texts: Option<Vec<String>>,
}

impl ConfigFile {
    /// Reads a file. A key that is no option, and a value that the option doesn't take, are wrong usage.
    pub(super) fn read(path: &Path, command: &Command) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let mut reading = Reading { path, text: &text, values: Vec::new() };
        let table = DeTable::parse(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            reading.wrong(start, error.message())
        })?;
        for (key, value) in table.get_ref() {
            let (DeValue::Table(inner), SERVE) = (value.get_ref(), key.get_ref().as_ref()) else {
                reading.take(None, command, key, value)?;
                continue;
            };
            let serve = command.find_subcommand(SERVE).context("cannot find the options of the service")?;
            for (key, value) in inner {
                reading.take(Some(SERVE), serve, key, value)?;
            }
        }
        Ok(Self { path: path.to_owned(), values: reading.values })
    }

    /// Whether it says something of an option.
    pub(super) fn names(&self, table: Option<&str>, id: &str) -> bool {
        self.values.iter().any(|value| value.table == table && value.id == id)
    }
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    values: Vec<FileValue>,
}

impl Reading<'_> {
    fn wrong(&self, start: usize, problem: &str) -> UsageError {
        let before = self.text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        UsageError(format!("the configuration file {}, line {line}: {problem}", self.path.display()))
    }

    fn take(
        &mut self,
        table: Option<&'static str>,
        command: &Command,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> anyhow::Result<()> {
        let id = key.get_ref().as_ref();
        let named = |arg: &&Arg| arg.get_id() == id && is_setting(arg);
        let Some((arg, long)) = command.get_arguments().find(named).and_then(|arg| Some((arg, arg.get_long()?))) else {
            let known = command.get_arguments().filter(|arg| is_setting(arg) && !is_secret(arg));
            let known: Vec<&str> = known.map(|arg| arg.get_id().as_str()).collect();
            let problem = format!("there is no setting `{id}` here; there are: {}", known.join(", "));
            bail!(self.wrong(key.span().start, &problem));
        };
        if is_secret(arg) {
            let problem = format!("`{id}` is a secret, which has no place here; name a file with `{id}_file`");
            bail!(self.wrong(key.span().start, &problem));
        }
        let texts = texts(arg, value.get_ref());
        let texts = texts.map_err(|problem| self.wrong(value.span().start, &format!("{id} {problem}")))?;
        let Some(texts) = texts else { return Ok(()) };
        let texts = arg.get_action().takes_values().then_some(texts);
        self.values.push(FileValue { table, id: id.to_owned(), long: long.to_owned(), texts });
        Ok(())
    }
}

/// A value as it would be typed; `None` for a flag that is not given.
fn texts(arg: &Arg, value: &DeValue<'_>) -> Result<Option<Vec<String>>, String> {
    if !arg.get_action().takes_values() {
        let DeValue::Boolean(is_given) = value else { return Err("must be true or false".to_owned()) };
        return Ok(is_given.then(Vec::new));
    }
    let several = if let DeValue::Array(values) = value { Some(values) } else { None };
    let values: Vec<&DeValue<'_>> = match several.filter(|_| matches!(arg.get_action(), ArgAction::Append)) {
        Some(values) => values.iter().map(Spanned::get_ref).collect(),
        None => vec![value],
    };
    values.into_iter().map(|value| text(arg, value)).collect::<Result<Vec<_>, _>>().map(Some)
}

fn text(arg: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    let parser = arg.get_value_parser();
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 && reads(parser, "text").is_err() => {
            number.as_str().replace('_', "")
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err("must be a text in quotes, or a plain number where one is needed".to_owned()),
    };
    reads(parser, &text).map_err(|problem| format!("can't be \"{text}\"{problem}"))?;
    Ok(text)
}

/// Whether an option takes a text as its value; or else why not, to be said behind the value.
fn reads(parser: &ValueParser, text: &str) -> Result<(), String> {
    let value = Arg::new("value").long("value").action(ArgAction::Set).value_parser(parser.clone());
    let command = Command::new("value").no_binary_name(true).arg(value);
    let Err(error) = command.try_get_matches_from([format!("--value={text}")]) else { return Ok(()) };
    let reason = std::error::Error::source(&error).map(|reason| format!(": {reason}"));
    let words = error.get(clap::error::ContextKind::ValidValue).map(|words| format!("; it can be: {words}"));
    Err(reason.or(words).unwrap_or_default())
}
