//! What can go wrong in an engine, apart from refusals.

use event_log::{LogError, LogPosition, TableError};
use key_vault::VaultError;
use lead_domain::policy::Fault;
use lead_domain::{InteractionId, Refusal, VisitorId};
use proto_events::DecodeError;
use thiserror::Error;

/// Why the engine could not do what was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The log failed. Stop the process and open again.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The tables failed. Stop the process and open again.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// The keys failed. Stop the process and open again.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The writer thread has stopped after an earlier error. Stop the process and open again.
    #[error("record anything: the writer has stopped after an earlier error. Stop, and open again")]
    WriterStopped,
    /// A record holds what this program can't read.
    #[error("read the record at position {position}")]
    Record {
        /// Which one.
        position: LogPosition,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// A row of a table holds what this program can't read.
    #[error("read a row of table \"{table}\": it is damaged. Rebuild the tables with `leadfold repair`")]
    Row {
        /// Which table.
        table: &'static str,
    },
    /// The log's records fold to other books than when they were written.
    #[error(
        "replay the log: the books after position {position} differ from those that were recorded there. \
         The log or the program is damaged; run `leadfold verify`"
    )]
    StateRoot {
        /// The position of the state root.
        position: LogPosition,
    },
    /// The tables are ahead of the log, so they belong to another one.
    #[error("open the folder: its tables stand at position {tables}, but the log ends at {log}")]
    TablesAhead {
        /// Where the tables stand.
        tables: LogPosition,
        /// Where the log ends.
        log: LogPosition,
    },
    /// A policy breaks a rule.
    #[error("adopt the policy: it has {} fault(s)", faults.len())]
    Policy {
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// Open leads are still being scored anew by the policy in force.
    #[error(
        "adopt the policy: open leads are still being scored anew by version {version}. Wait until that has ended, or \
         adopt it with rescore = open, which begins anew with it"
    )]
    RescoringUnderWay {
        /// The version in force.
        version: u32,
    },
    /// A tenant that has no policy.
    #[error("there is no tenant \"{name}\"; adopt a policy for it first (`leadfold policy adopt FILE`)")]
    UnknownTenant {
        /// The name asked for.
        name: String,
    },
    /// The decider said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No identifier is named, and the visitor has none left.
    #[error("no identifier is named, or it is one that nobody is known by")]
    NothingToSuppress,
    /// As many identifiers are suppressed as may be.
    #[error("suppress more identifiers: {most} are, as many as may be; lift some")]
    TooManySuppressed {
        /// The bound.
        most: usize,
    },
    /// The request's key was used for another request.
    #[error("the request's key was used before, for another request, which is recorded at position {position}")]
    KeyReused {
        /// The other request's record.
        position: LogPosition,
    },
    /// No such visitor.
    #[error("there is no visitor {visitor}")]
    UnknownVisitor {
        /// The id asked for.
        visitor: VisitorId,
    },
    /// The record at that position is no interaction of the tenant.
    #[error("there is no interaction {id}")]
    UnknownInteraction {
        /// The id asked for.
        id: InteractionId,
    },
    /// No quarantined input stands there.
    #[error("no quarantined input stands at position {position}")]
    NotQuarantined {
        /// The position asked for.
        position: LogPosition,
    },
    /// A sealed part that must open doesn't.
    #[error("open the personal part of the record at position {position}: it was altered, or its key was")]
    Sealed {
        /// Which record.
        position: LogPosition,
    },
}

impl EngineError {
    /// Whether the process must stop, because what is durable is unknown or the storage is out of reach.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Log(_) | Self::Tables(_) | Self::Vault(_) | Self::WriterStopped => true,
            Self::Record { .. }
            | Self::Row { .. }
            | Self::StateRoot { .. }
            | Self::TablesAhead { .. }
            | Self::Policy { .. }
            | Self::RescoringUnderWay { .. }
            | Self::UnknownTenant { .. }
            | Self::Refused(_)
            | Self::NothingToSuppress
            | Self::TooManySuppressed { .. }
            | Self::KeyReused { .. }
            | Self::UnknownVisitor { .. }
            | Self::UnknownInteraction { .. }
            | Self::NotQuarantined { .. }
            | Self::Sealed { .. } => false,
        }
    }

    /// Whether stored data is damaged, as opposed to out of reach or asked for in vain.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Log(error) => matches!(
                error,
                LogError::Damaged { .. }
                    | LogError::Missing { .. }
                    | LogError::Shortened { .. }
                    | LogError::NewerFormat { .. }
            ),
            Self::Tables(error) => matches!(error, TableError::Damaged { .. } | TableError::NewerFormat { .. }),
            Self::Vault(error) => matches!(
                error,
                VaultError::HeaderDamaged
                    | VaultError::SlotDamaged { .. }
                    | VaultError::NewerFormat { .. }
                    | VaultError::MasterMissing { .. }
                    | VaultError::WrongMaster
            ),
            Self::Record { .. }
            | Self::Row { .. }
            | Self::StateRoot { .. }
            | Self::TablesAhead { .. }
            | Self::Sealed { .. } => true,
            Self::WriterStopped
            | Self::Policy { .. }
            | Self::RescoringUnderWay { .. }
            | Self::UnknownTenant { .. }
            | Self::Refused(_)
            | Self::NothingToSuppress
            | Self::TooManySuppressed { .. }
            | Self::KeyReused { .. }
            | Self::UnknownVisitor { .. }
            | Self::UnknownInteraction { .. }
            | Self::NotQuarantined { .. } => false,
        }
    }
}
