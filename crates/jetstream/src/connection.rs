//! A connection to NATS: how it is opened, and that it comes back by itself. Knows no streams.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::signals::{Counts, Denial, Signals};

/// The first pause between two attempts to connect; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How often the server is asked whether it is there; two answers missing end a connection. A broken network is
/// noticed within half a minute instead of two.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How often a wait for the connection looks by itself, should an event have been lost.
const STATE_POLL: Duration = Duration::from_millis(200);

/// What a client shows to be let in.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A `.creds` file with a JWT and its seed.
    CredentialsFile(PathBuf),
    /// A file with the seed of an NKey.
    NkeySeedFile(PathBuf),
    /// As in the server's list of users.
    UserPassword {
        /// The name.
        user: String,
        /// Its password.
        password: String,
    },
    /// One secret for everybody.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::CredentialsFile(_) => "credentials file",
            Self::NkeySeedFile(_) => "nkey seed file",
            Self::UserPassword { .. } => "user and password",
            Self::Token(_) => "token",
        })
    }
}

/// Files for TLS, PEM. With none of them TLS is used where the server asks for it, with the system's authorities.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authority that the server's certificate must come from.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Refuse a server that offers no TLS.
    pub require: bool,
}

/// How to reach NATS.
#[derive(Clone)]
pub struct ConnectionOptions {
    /// `nats://host:port` or `tls://host:port`, several of one cluster with commas between. User and password belong
    /// into `credentials`.
    pub servers: String,
    /// How the server's own lists call this connection.
    pub name: String,
    /// What the client shows.
    pub credentials: Credentials,
    /// Encryption.
    pub tls: TlsFiles,
    /// What the subjects of answers begin with; a prefix for each user keeps users from reading each other's answers.
    /// `None` is `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// How long a request or an acknowledgement may take.
    pub request_timeout: Duration,
}

impl fmt::Debug for ConnectionOptions {
    /// Without the addresses, which may hold a password all the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, credentials, tls, .. } = self;
        f.debug_struct("ConnectionOptions")
            .field("name", name)
            .field("credentials", credentials)
            .field("tls", tls)
            .finish_non_exhaustive()
    }
}

impl ConnectionOptions {
    /// To these servers, without credentials and with an answer expected within 5 s.
    #[must_use]
    pub fn new(servers: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            name: name.into(),
            credentials: Credentials::None,
            tls: TlsFiles::default(),
            inbox_prefix: None,
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// Why there is no connection. Only what waiting can't mend; a server that is away is waited for.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// An address is none.
    #[error("connect to NATS: server address number {number} is not valid; write it as nats://host:4222")]
    Address {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// A file is missing or not readable.
    #[error("connect to NATS: the file {} can't be used", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system or the file's reader said.
        #[source]
        source: std::io::Error,
    },
    /// The caller has given up.
    #[error("connect to NATS before being stopped")]
    Cancelled,
}

/// A connection that was established once and comes back by itself for ever. Clones share it.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    context: Context,
    signals: Arc<Signals>,
    request_timeout: Duration,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

/// The server doesn't allow this user the subject.
pub(crate) struct Denied;

impl Connection {
    /// Connects. Tries again, with growing pauses, until a server lets it in or `cancel` is called; each failure is
    /// logged. Bulk reading and publishing each deserve a connection of their own: one would wait behind the other.
    ///
    /// # Errors
    /// When an address or file can't be used, or `cancel` was called.
    pub async fn open(options: &ConnectionOptions, cancel: &CancellationToken) -> Result<Self, ConnectError> {
        let servers = addresses(&options.servers)?;
        let signals = Arc::new(Signals::new());
        let mut pause = RETRY_FIRST;
        loop {
            let connecting = client_options(options, &signals).await?.connect(&servers[..]);
            let error = tokio::select! {
                () = cancel.cancelled() => return Err(ConnectError::Cancelled),
                connected = connecting => match connected {
                    Ok(client) => return Ok(Self::over(client, options, signals)),
                    Err(error) => error,
                },
            };
            warn_of(&error, &options.name, pause);
            tokio::select! {
                () = cancel.cancelled() => return Err(ConnectError::Cancelled),
                () = tokio::time::sleep(pause) => pause = RETRY_MAX.min(pause * 2),
            }
        }
    }

    fn over(client: Client, options: &ConnectionOptions, signals: Arc<Signals>) -> Self {
        let server = client.try_server_info().map(|it| it.version).unwrap_or_default();
        tracing::info!(connection = options.name, server, "connected to NATS");
        let context = ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        Self { client, context, signals, request_timeout: options.request_timeout }
    }

    /// Whether a server is connected at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns once a server is connected.
    pub async fn connected(&self) {
        let mut counts = self.counts();
        while !self.is_connected() {
            let _ = tokio::time::timeout(STATE_POLL, counts.changed()).await;
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// How often a connection was established. What was learnt under another number may be of another server.
    pub(crate) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::SeqCst)
    }

    /// A name that no other consumer has.
    pub(crate) fn unique_name(&self) -> String {
        let inbox = self.client.new_inbox();
        format!("leadfold-{}", inbox.rsplit('.').next().unwrap_or_default())
    }

    pub(crate) fn counts(&self) -> tokio::sync::watch::Receiver<Counts> {
        self.signals.counts()
    }

    pub(crate) fn denial(&self, subject: &str) -> Denial {
        self.signals.denial(subject)
    }

    /// The outcome of `work`, which sends to `subject`, unless the server refuses the subject. It answers such a
    /// request with nothing but an error beside it; the request itself would only time out.
    pub(crate) async fn unless_denied<T>(&self, subject: &str, work: impl Future<Output = T>) -> Result<T, Denied> {
        let denial = self.denial(subject);
        tokio::select! {
            done = work => Ok(done),
            () = denial.wait() => Err(Denied),
        }
    }
}

fn addresses(list: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    let numbered = list.split(',').enumerate();
    // The text of an address may hold a password, so the error names its place only.
    let parse = |(index, text): (usize, &str)| {
        text.trim().parse::<ServerAddr>().map_err(|_| ConnectError::Address { number: index + 1 })
    };
    numbered.map(parse).collect()
}

async fn client_options(options: &ConnectionOptions, signals: &Arc<Signals>) -> Result<ConnectOptions, ConnectError> {
    let (signals, name) = (Arc::clone(signals), options.name.clone());
    let mut client = ConnectOptions::new().name(&options.name).max_reconnects(None).ping_interval(PING_INTERVAL);
    client = client.event_callback(move |event| {
        signals.take(&name, event);
        std::future::ready(())
    });
    if let Some(prefix) = &options.inbox_prefix {
        client = client.custom_inbox_prefix(prefix);
    }
    let tls = &options.tls;
    if let Some(ca) = &tls.ca {
        client = client.add_root_certificates(readable(ca).await?);
    }
    if let Some((certificate, key)) = &tls.client {
        client = client.add_client_certificate(readable(certificate).await?, readable(key).await?);
    }
    client = client.require_tls(tls.require);
    Ok(match &options.credentials {
        Credentials::None => client,
        Credentials::UserPassword { user, password } => client.user_and_password(user.clone(), password.clone()),
        Credentials::Token(token) => client.token(token.clone()),
        Credentials::NkeySeedFile(path) => {
            let seed = tokio::fs::read_to_string(path).await.map_err(|source| file(path, source))?;
            client.nkey(seed.trim().into())
        }
        Credentials::CredentialsFile(path) => {
            client.credentials_file(path).await.map_err(|source| file(path, source))?
        }
    })
}

async fn readable(path: &Path) -> Result<PathBuf, ConnectError> {
    tokio::fs::File::open(path).await.map_err(|source| file(path, source))?;
    Ok(path.into())
}

fn file(path: &Path, source: std::io::Error) -> ConnectError {
    ConnectError::File { path: path.into(), source }
}

fn warn_of(error: &async_nats::ConnectError, name: &str, pause: Duration) {
    let refused = matches!(error.kind(), ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication);
    let hint = if refused { "check user, password, token or credentials file" } else { "is the server running?" };
    tracing::warn!(connection = name, %error, hint, retry_in_ms = pause.as_millis(), "cannot connect to NATS yet");
}
