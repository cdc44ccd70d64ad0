//! The streams as Leadfold needs them: made where that is allowed, compared where they exist.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use thiserror::Error;

use crate::api::{self, ApiError};
use crate::connection::Connection;
use crate::subject::{LEADFOLD_IN, LEADFOLD_OUT, SUBJECTS_IN, SUBJECTS_OUT};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a stream is to be like. Stored on files, compressed, and refusing new messages when it is full: a publisher that
/// is told so can keep its message, while one that was overwritten unread is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub subjects: Vec<String>,
    /// When messages are removed. Must exceed the longest time that the service may be down, and the age of backups.
    pub max_age: Duration,
    /// The most bytes on disk; `None` has no bound.
    pub max_bytes: Option<u64>,
    /// The longest message with its headers, in bytes.
    pub max_message_bytes: u32,
    /// How long a message id is known: the same one again within it is not stored again.
    pub duplicate_window: Duration,
    /// On how many servers; 3 where there is a cluster.
    pub replicas: usize,
    /// Whether nobody may take single messages out: then those of erased people stay until they are old.
    pub deny_delete: bool,
    /// Whether nobody may empty the stream.
    pub deny_purge: bool,
    /// Whether a missing stream is to be made.
    pub create: bool,
}

impl StreamSettings {
    /// The stream of interactions and commands: 7 days, messages up to 256 KiB, ids known for 5 minutes, one replica.
    /// Messages of erased people can be taken out.
    #[must_use]
    pub fn incoming() -> Self {
        Self { deny_delete: false, ..Self::of(LEADFOLD_IN, &SUBJECTS_IN) }
    }

    /// The stream of lead events, with the same limits.
    #[must_use]
    pub fn outgoing() -> Self {
        Self::of(LEADFOLD_OUT, &SUBJECTS_OUT)
    }

    fn of(name: &str, subjects: &[&str]) -> Self {
        Self {
            name: name.into(),
            subjects: subjects.iter().map(|it| (*it).to_owned()).collect(),
            max_age: 7 * DAY,
            max_bytes: None,
            max_message_bytes: 256 << 10,
            duplicate_window: Duration::from_secs(300),
            replicas: 1,
            deny_delete: true,
            deny_purge: true,
            create: true,
        }
    }

    /// The command that makes such a stream, for the `nats` program.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { name, max_message_bytes, replicas, .. } = self;
        let (subjects, bytes) = (self.subjects.join(","), limit(self.max_bytes));
        let (age, window) = (self.max_age.as_secs(), self.duplicate_window.as_secs());
        let delete = if self.deny_delete { "--deny-delete" } else { "--no-deny-delete" };
        let purge = if self.deny_purge { "--deny-purge" } else { "--no-deny-purge" };
        format!(
            "nats stream add {name} --subjects '{subjects}' --storage file --compression s2 --retention limits \
             --discard new --max-age {age}s --max-bytes {bytes} --max-msgs -1 --max-msgs-per-subject -1 \
             --max-msg-size {max_message_bytes} --dupe-window {window}s --replicas {replicas} {delete} {purge} \
             --no-allow-rollup --defaults"
        )
    }

    fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            subjects: self.subjects.clone(),
            storage: StorageType::File,
            compression: Some(Compression::S2),
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            max_age: self.max_age,
            max_bytes: limit(self.max_bytes),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: i32::try_from(self.max_message_bytes).unwrap_or(i32::MAX),
            duplicate_window: self.duplicate_window.min(self.max_age),
            num_replicas: self.replicas,
            deny_delete: self.deny_delete,
            deny_purge: self.deny_purge,
            ..Config::default()
        }
    }
}

/// The server's way to write a limit: -1 is none.
fn limit(bytes: Option<u64>) -> i64 {
    bytes.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX))
}

/// Something in which a stream is not as the settings say. Displays as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// The server's word for the property.
    pub property: &'static str,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, property, found, wanted } = self;
        write!(f, "{property} of the stream {stream} is {found}, and should be {wanted}")
    }
}

/// Why a stream is not there.
#[derive(Debug, Error)]
pub enum ProvisionError {
    /// It is missing and the settings say not to make it.
    #[error("use the stream {stream}: it does not exist. Let an administrator run: {command}")]
    Missing {
        /// Its name.
        stream: String,
        /// What makes it.
        command: String,
    },
    /// It is missing, and the user may not make it.
    #[error("create the stream {stream}: this NATS user may not. Let an administrator run: {command}")]
    MayNotCreate {
        /// Its name.
        stream: String,
        /// What makes it.
        command: String,
    },
    /// The user may not even see whether it is there.
    #[error("look at the stream {stream}: this NATS user may not publish to {subject}. Allow it")]
    MayNotLook {
        /// Its name.
        stream: String,
        /// What was refused.
        subject: String,
    },
    /// The server gave no answer, or would not make such a stream. Correct the settings, or try again.
    #[error("create or look at the stream {stream}: {reason}")]
    Failed {
        /// Its name.
        stream: String,
        /// What the server says.
        reason: String,
    },
}

/// Makes the stream if it is missing. An existing one is left as it is; what differs is returned, to be logged.
///
/// # Errors
/// When there is no such stream afterwards. The text has the command that makes it.
pub async fn provision(connection: &Connection, wanted: &StreamSettings) -> Result<Vec<Difference>, ProvisionError> {
    let (stream, command) = (wanted.name.clone(), wanted.command());
    match api::stream_info(connection, &stream).await {
        Ok(info) => return Ok(differences(wanted, &info)),
        Err(ApiError::StreamMissing) => {}
        Err(ApiError::Denied { subject }) => return Err(ProvisionError::MayNotLook { stream, subject }),
        Err(error @ (ApiError::Unavailable { .. } | ApiError::MessageMissing)) => {
            return Err(ProvisionError::Failed { stream, reason: error.to_string() });
        }
    }
    if !wanted.create {
        return Err(ProvisionError::Missing { stream, command });
    }
    match api::ask::<_, Info>(connection, format!("STREAM.CREATE.{stream}"), &wanted.config()).await {
        Ok(info) => {
            tracing::info!(stream, "the stream is created");
            Ok(differences(wanted, &info))
        }
        Err(ApiError::Denied { .. }) => Err(ProvisionError::MayNotCreate { stream, command }),
        Err(ApiError::StreamMissing) => Err(ProvisionError::Missing { stream, command }),
        Err(error @ (ApiError::Unavailable { .. } | ApiError::MessageMissing)) => {
            Err(ProvisionError::Failed { stream, reason: error.to_string() })
        }
    }
}

fn differences(settings: &StreamSettings, info: &Info) -> Vec<Difference> {
    let (found, wanted) = (&info.config, settings.config());
    let sorted = |subjects: &[String]| {
        let mut subjects = subjects.to_vec();
        subjects.sort();
        subjects.join(" and ")
    };
    let unlimited = |limit: i64| if limit <= 0 { "unlimited".to_owned() } else { limit.to_string() };
    let compression = |it: &Option<Compression>| if *it == Some(Compression::S2) { "s2" } else { "none" }.to_owned();
    let origin = |it: &Config| if it.mirror.is_some() || it.sources.is_some() { "other streams" } else { "publishers" };
    let rows = [
        ("subjects", sorted(&found.subjects), sorted(&wanted.subjects)),
        ("storage", format!("{:?}", found.storage), format!("{:?}", wanted.storage)),
        ("compression", compression(&found.compression), compression(&wanted.compression)),
        ("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention)),
        ("discard", format!("{:?}", found.discard), format!("{:?}", wanted.discard)),
        ("max_age", format!("{:?}", found.max_age), format!("{:?}", wanted.max_age)),
        ("max_msgs", unlimited(found.max_messages), unlimited(wanted.max_messages)),
        ("max_msgs_per_subject", unlimited(found.max_messages_per_subject), unlimited(wanted.max_messages_per_subject)),
        ("max_msg_size", unlimited(found.max_message_size.into()), unlimited(wanted.max_message_size.into())),
        ("duplicate_window", format!("{:?}", found.duplicate_window), format!("{:?}", wanted.duplicate_window)),
        ("num_replicas", found.num_replicas.to_string(), wanted.num_replicas.to_string()),
        ("deny_delete", found.deny_delete.to_string(), wanted.deny_delete.to_string()),
        ("deny_purge", found.deny_purge.to_string(), wanted.deny_purge.to_string()),
        ("allow_rollup_hdrs", found.allow_rollup.to_string(), wanted.allow_rollup.to_string()),
        ("allow_msg_ttl", found.allow_message_ttl.to_string(), wanted.allow_message_ttl.to_string()),
        ("no_ack", found.no_ack.to_string(), wanted.no_ack.to_string()),
        ("sealed", found.sealed.to_string(), wanted.sealed.to_string()),
        ("the source", origin(found).into(), origin(&wanted).into()),
    ];
    let differing = rows.into_iter().filter(|(_, found, wanted)| found != wanted);
    let stream = &settings.name;
    differing.map(|(property, found, wanted)| Difference { stream: stream.clone(), property, found, wanted }).collect()
}
