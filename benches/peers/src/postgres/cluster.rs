//! A PostgreSQL of its own for a measurement: on loopback, on a free port, in a folder that goes with it.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

/// Where Debian puts the programs of version 15; others are looked for in the path.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";
const PATIENCE: Duration = Duration::from_secs(60);
/// Durable, with memory and checkpoints as PostgreSQL's documentation advises for much writing on such a machine.
const SETTINGS: [&str; 9] = [
    "synchronous_commit=on",
    "shared_buffers=2GB",
    "wal_buffers=64MB",
    "wal_compression=lz4",
    "max_wal_size=16GB",
    "checkpoint_timeout=30min",
    "checkpoint_completion_target=0.9",
    "bgwriter_lru_maxpages=1000",
    "effective_io_concurrency=200",
];

pub(super) struct Cluster {
    server: Child,
    port: u16,
    _folder: TempDir,
}

impl Cluster {
    pub(super) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        if let Some((user, group)) = server_account()? {
            chown(&data, Some(user), Some(group)).context("cannot give PostgreSQL its folder")?;
        }
        let made = program("initdb")?
            .args(["--username=bench", "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .context("cannot start initdb; install postgresql-15")?;
        ensure!(made.success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = program("postgres")?;
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let server = command.stderr(Stdio::null()).spawn().context("cannot start PostgreSQL")?;
        let cluster = Self { server, port, _folder: folder };
        cluster.wait()?;
        Ok(cluster)
    }

    /// For a connection.
    pub(super) fn settings(&self) -> String {
        format!("host=127.0.0.1 port={} user=bench dbname=postgres", self.port)
    }

    /// The process that all others belong to. Not every measurement asks for it.
    #[allow(dead_code, reason = "this file stands in two programs")]
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }

    fn wait(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let asked = program("pg_isready")?
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .context("cannot start pg_isready")?;
            if asked.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL doesn't get ready")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGQUIT ends it without a checkpoint; the folder is removed anyway.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// One of PostgreSQL's programs. It refuses to run as root, so for root it runs under its own account.
fn program(name: &str) -> anyhow::Result<Command> {
    let path = Path::new(DEBIAN).join(name);
    let path = if path.exists() { path } else { PathBuf::from(name) };
    let Some((user, group)) = server_account()? else { return Ok(Command::new(path)) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned(), "--".to_owned()]);
    command.arg(path).current_dir("/");
    Ok(command)
}

/// The account that Debian's package makes; `None` for whoever isn't root.
fn server_account() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |args: &[&str]| -> anyhow::Result<u32> {
        let output = Command::new("id").args(args).output().context("cannot ask for an account")?;
        ensure!(output.status.success(), "there is no account postgres; install postgresql-15");
        String::from_utf8_lossy(&output.stdout).trim().parse().context("an account has a number")
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
}
