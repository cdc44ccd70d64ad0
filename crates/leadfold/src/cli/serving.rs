//! What concerns the service: running it, its feed, its keys.

use std::net::SocketAddr;
use std::path::PathBuf;

use access::{KeyId, Role};
use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::serve::DEFAULT_LISTEN;

#[derive(Debug, Subcommand)]
pub(crate) enum FeedCommand {
    /// Show how far the feed was read
    #[command(after_help = "Example:\n  leadfold feed show")]
    Show,
    /// Go on with the stream as it is now, after you have looked at what was lost
    #[command(after_help = "The service must be stopped. What the stream still has and was recorded before is not \
        recorded again.\n\nExample:\n  leadfold feed new-epoch --nats nats://127.0.0.1:4222 --from 1042")]
    NewEpoch {
        /// The first message to read [default: the first one that the stream has]
        #[arg(long, value_name = "SEQUENCE")]
        from: Option<u64>,
        #[command(flatten)]
        nats: Box<NatsArgs>,
    },
}

/// How to reach NATS.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// The servers of a JetStream feed, such as nats://127.0.0.1:4222; several with commas. Without it the feed is local
    #[arg(long, value_name = "URL", env = "LEADFOLD_NATS")]
    pub(crate) nats: Option<String>,
    /// A credentials file (.creds)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_CREDENTIALS")]
    pub(crate) nats_credentials: Option<PathBuf>,
    /// A file with an NKey seed
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_NKEY")]
    pub(crate) nats_nkey: Option<PathBuf>,
    /// A user name, with --nats-password-file
    #[arg(long, value_name = "NAME", env = "LEADFOLD_NATS_USER", requires = "nats_password_file")]
    pub(crate) nats_user: Option<String>,
    /// A file with the user's password; without --nats-user a token
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_PASSWORD_FILE")]
    pub(crate) nats_password_file: Option<PathBuf>,
    /// The authority that the server's certificate must come from (PEM)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_CA")]
    pub(crate) nats_ca: Option<PathBuf>,
    /// The client's certificate (PEM)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_CERTIFICATE", requires = "nats_key")]
    pub(crate) nats_certificate: Option<PathBuf>,
    /// The client certificate's key (PEM)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_NATS_KEY", requires = "nats_certificate")]
    pub(crate) nats_key: Option<PathBuf>,
    /// Refuse a server that offers no TLS
    #[arg(long, env = "LEADFOLD_NATS_TLS", value_parser = FalseyValueParser::new())]
    pub(crate) nats_tls: bool,
    /// What the subjects of answers begin with, where users have prefixes of their own [default: _INBOX]
    #[arg(long, value_name = "PREFIX", env = "LEADFOLD_NATS_INBOX_PREFIX")]
    pub(crate) nats_inbox_prefix: Option<String>,
    /// On how many servers streams are kept that are made here
    #[arg(long, value_name = "N", env = "LEADFOLD_NATS_REPLICAS", default_value_t = 1)]
    pub(crate) nats_replicas: usize,
    /// Only check the streams, never make them
    #[arg(long, env = "LEADFOLD_NATS_NO_CREATE", value_parser = FalseyValueParser::new())]
    pub(crate) nats_no_create: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, and show it once
    #[command(after_help = "Example:\n  leadfold keys create --role publisher --tenant acme --name shop\n\n\
        Without --tenant it reaches all tenants.")]
    Create {
        /// publisher, operator, analyst, auditor or admin
        #[arg(long)]
        role: Role,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
    },
    /// List all keys, without what opens anything
    #[command(after_help = "Example:\n  leadfold keys list")]
    List,
    /// Take a key back, from this moment on
    #[command(after_help = "Example:\n  leadfold keys revoke k3j9x2pa")]
    Revoke {
        /// Its id, as `leadfold keys list` shows it
        id: KeyId,
    },
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDRESS", env = "LEADFOLD_LISTEN", default_value_t = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// A certificate chain (PEM), for TLS; a changed file is taken into use
    #[arg(long, value_name = "FILE", env = "LEADFOLD_TLS_CERTIFICATE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_TLS_KEY", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Origins whose pages may call the API from a browser; may be repeated
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "LEADFOLD_CORS_ORIGINS", value_delimiter = ',')]
    pub(crate) cors_origins: Vec<String>,
    /// Connections that may be open at the same time
    #[arg(long, value_name = "N", env = "LEADFOLD_CONNECTIONS_MAX", default_value_t = 1_024)]
    pub(crate) connections_max: usize,
    /// Webhooks that lead events go to (TOML)
    #[arg(long, value_name = "FILE", env = "LEADFOLD_WEBHOOKS")]
    pub(crate) webhooks: Option<PathBuf>,
    /// How often the head of the log is signed and sent out, in minutes
    #[arg(long, value_name = "MINUTES", env = "LEADFOLD_SIGN_EVERY", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=525_600))]
    pub(crate) sign_every: u64,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", env = "LEADFOLD_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}
