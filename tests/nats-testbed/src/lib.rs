//! A real NATS server for tests: starts it on a free port with a store of its own, stops, kills and starts it again.
//! Knows no client and no runtime.

#![forbid(unsafe_code)]

mod binary;

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

/// How long a server may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Ports below those that the system gives to clients, so that none takes a stopped server's port.
const PORTS: std::ops::Range<u16> = 18_000..32_000;
/// How many ports are tried before giving up.
const PORT_TRIES: usize = 20;

/// Why there is no server.
#[derive(Debug, Error)]
pub enum TestbedError {
    /// No program to start.
    #[error(
        "start a NATS server: no nats-server of version 2.12 or later was found ({looked}). Run `make setup-tests`, or \
         set LEADFOLD_NATS_SERVER to the program"
    )]
    NoBinary {
        /// Where it was looked for, and what was found there.
        looked: String,
    },
    /// The program does not come up.
    #[error("start a NATS server: {reason}\n{log}")]
    NotStarted {
        /// What happened instead.
        reason: String,
        /// What it wrote.
        log: String,
    },
    /// Files of the server.
    #[error("keep files of a NATS server")]
    Files(#[from] std::io::Error),
}

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether each message is synced to disk before it is acknowledged.
    pub sync_always: bool,
    /// More lines for the configuration file: users, permissions, limits.
    pub config: String,
}

/// A server with its store. Ends with this value, and its files with it.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server and returns when it answers.
    ///
    /// # Errors
    /// When there is no program, or it doesn't come up.
    pub fn start() -> Result<Self, TestbedError> {
        Self::with(&Settings::default())
    }

    /// Starts a server with these settings and returns when it answers.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn with(settings: &Settings) -> Result<Self, TestbedError> {
        let binary = binary::find()?;
        let folder = tempfile::Builder::new().prefix("nats-").tempdir()?;
        let mut server = Self { binary, folder, port: 0, process: None };
        let mut tries = 0;
        loop {
            server.port = free_port();
            fs::write(server.config_path(), server.config(settings))?;
            tries += 1;
            match server.restart() {
                // Another test may have got the port first.
                Err(TestbedError::NotStarted { log, .. })
                    if log.contains("address already in use") && tries < PORT_TRIES => {}
                started => return started.map(|()| server),
            }
        }
    }

    /// Where clients connect. Stays the same over restarts.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where JetStream keeps its streams. To be copied or replaced while the server is stopped.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// What the server has written, from its first start on.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Whether it was started and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Lets the server end by itself (SIGTERM), and waits for that. Nothing happens if it is stopped.
    ///
    /// # Errors
    /// When it can't be told to.
    pub fn stop(&mut self) -> Result<(), TestbedError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
        let asked = Instant::now();
        while process.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                break;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends the server at once (SIGKILL), as a crash would. What it had not given to the system is lost.
    ///
    /// # Errors
    /// When it can't be ended.
    pub fn kill(&mut self) -> Result<(), TestbedError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Sends the server a signal by its name, such as `STOP` and `CONT`.
    ///
    /// # Errors
    /// When it isn't running, or the signal can't be sent.
    pub fn signal(&self, name: &str) -> Result<(), TestbedError> {
        let process = self.process.as_ref().ok_or_else(|| std::io::Error::other("the server isn't running"))?;
        let status = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(std::io::Error::other("the signal could not be sent").into()) }
    }

    /// Starts the server again, on the same port with the same store, and returns when it answers. Nothing happens if
    /// it is running.
    ///
    /// # Errors
    /// When it doesn't come up.
    pub fn restart(&mut self) -> Result<(), TestbedError> {
        if self.process.is_some() {
            return Ok(());
        }
        let output = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.config_path());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = command.spawn()?;
        let answered = self.wait_for_answer(&mut process);
        if answered.is_err() {
            let _ = process.kill();
            process.wait()?;
        } else {
            self.process = Some(process);
        }
        answered.map_err(|reason| TestbedError::NotStarted { reason, log: self.log() })
    }

    fn wait_for_answer(&self, process: &mut Child) -> Result<(), String> {
        let begun = Instant::now();
        while !answers(self.port) {
            if let Ok(Some(status)) = process.try_wait() {
                return Err(format!("it has ended with {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("it doesn't answer within {PATIENCE:?}"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn config(&self, settings: &Settings) -> String {
        let (port, store) = (self.port, self.store_dir());
        let sync = if settings.sync_always { "sync_interval: always" } else { "" };
        let extra = &settings.config;
        format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: testbed\njetstream {{\n  store_dir: {store:?}\n  {sync}\n}}\n{extra}\n"
        )
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("nats.conf")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("nats.log")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When something can't be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Whether a NATS server greets its clients there.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut greeting = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && BufReader::new(stream).read_line(&mut greeting).is_ok()
        && greeting.starts_with("INFO ")
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let span = u64::from(PORTS.end - PORTS.start);
    loop {
        // Each of these is made with keys of its own.
        let number = RandomState::new().hash_one(0_u8) % span;
        let port = PORTS.start + u16::try_from(number).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
