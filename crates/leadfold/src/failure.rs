//! How a command ends: exit codes, and errors as one clear sentence.

use std::process::ExitCode;

use engine::EngineError;
use event_log::{LogError, TableError};
use key_vault::VaultError;
use listing::ListingError;

use crate::remote::RemoteError;

/// The command failed.
const FAILED: u8 = 1;
/// The command line or a value on it is wrong. Also clap's own code.
const USAGE: u8 = 2;
/// Stored data is damaged.
const DAMAGED: u8 = 3;

/// How RocksDB begins what it says of damaged files.
const CORRUPTION: &str = "Corruption:";

/// A value on the command line that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Damage that a command found and has already told about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DamageFound(pub(crate) String);

/// Prints the error and gives the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", sentence(error));
    ExitCode::from(code(error))
}

/// The chain of causes as one sentence, without causes that repeat what was said; what to do comes last.
fn sentence(error: &anyhow::Error) -> String {
    let (mut sentence, mut last, mut advice) = (String::new(), String::new(), None);
    for cause in error.chain() {
        let text = cause.to_string();
        // What has a cause of its own ends with what to do about it.
        let (text, own_advice) = match text.rsplit_once(". ") {
            Some((text, advice)) if cause.source().is_some() => (text.to_owned(), Some(advice.to_owned())),
            _ => (text, None),
        };
        if sentence.is_empty() {
            let refused = matches!(cause.downcast_ref(), Some(RemoteError::Refused { .. }));
            let plain = refused || cause.is::<UsageError>() || cause.is::<DamageFound>() || is_refusal(cause);
            sentence = if plain || text.starts_with("cannot ") { text.clone() } else { format!("cannot {text}") };
        } else if !sentence.contains(&text) && !text.ends_with(&last) {
            sentence.push_str(": ");
            sentence.push_str(text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.'));
        }
        last = text;
        advice = advice.or(own_advice).or_else(|| cure(cause).map(ToOwned::to_owned));
    }
    advice.map_or_else(|| sentence.clone(), |advice| format!("{sentence}. {advice}"))
}

/// What to do about damage that RocksDB found, which doesn't say it.
fn cure(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let is_damage = cause.source().is_some_and(|source| source.to_string().contains(CORRUPTION));
    let engine = cause.downcast_ref::<EngineError>().filter(|_| is_damage);
    if is_damage && cause.is::<LogError>() || matches!(engine, Some(EngineError::Log(_))) {
        return Some("The log is damaged: restore the folder from a backup");
    }
    let of_tables = is_damage && cause.is::<TableError>() || matches!(engine, Some(EngineError::Tables(_)));
    of_tables.then_some("Rebuild the tables from the log with `leadfold repair`")
}

/// Whether the cause is a business "no", which reads as a sentence of its own.
fn is_refusal(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<EngineError>().is_some_and(|error| {
        matches!(
            error,
            EngineError::Refused(_)
                | EngineError::KeyReused { .. }
                | EngineError::UnknownTenant { .. }
                | EngineError::UnknownVisitor { .. }
                | EngineError::UnknownInteraction { .. }
                | EngineError::NotQuarantined { .. }
        )
    })
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.downcast_ref().is_some_and(RemoteError::is_usage) {
            return USAGE;
        }
        let damaged = cause.is::<DamageFound>()
            || cause.downcast_ref::<EngineError>().is_some_and(EngineError::is_damage)
            || cause.downcast_ref::<LogError>().is_some_and(is_log_damage)
            || cause.downcast_ref::<TableError>().is_some_and(is_table_damage)
            || cause.downcast_ref::<VaultError>().is_some_and(is_vault_damage)
            || cause.downcast_ref::<ListingError>().is_some_and(is_listing_damage)
            || cause.to_string().contains(CORRUPTION);
        if damaged {
            return DAMAGED;
        }
    }
    FAILED
}

fn is_log_damage(error: &LogError) -> bool {
    matches!(
        error,
        LogError::Damaged { .. } | LogError::Missing { .. } | LogError::Shortened { .. } | LogError::NewerFormat { .. }
    )
}

fn is_table_damage(error: &TableError) -> bool {
    matches!(error, TableError::Damaged { .. } | TableError::NewerFormat { .. })
}

fn is_vault_damage(error: &VaultError) -> bool {
    // A master key that is missing or another one is the caller's to bring; nothing stored is damaged.
    matches!(error, VaultError::HeaderDamaged | VaultError::SlotDamaged { .. } | VaultError::NewerFormat { .. })
}

fn is_listing_damage(error: &ListingError) -> bool {
    matches!(error, ListingError::Damaged { .. } | ListingError::Foreign { .. } | ListingError::OtherVersion { .. })
}

/// Whether the reader of our output has gone, as with `| head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
