//! A running service: where it listens, what is done to it, and how it ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result, bail, ensure};

use crate::support::http::Http;
use crate::support::{soon, until};

/// A process that ends with this value, if it has not before.
pub(crate) struct Serving {
    process: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a service ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its log lines, and behind them its error.
    pub(crate) stderr: String,
}

impl Ended {
    /// The service has ended by itself, with code 1 and one error, which is returned.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.stderr);
        errors[0]
    }
}

impl Serving {
    pub(crate) fn start(mut command: Command, stdout: PathBuf, stderr: PathBuf) -> Result<Self> {
        command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        Ok(Self { process: command.spawn()?, stdout, stderr })
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// The way to it, once it listens.
    pub(crate) async fn http(&mut self) -> Result<Http> {
        soon("the address", async {
            loop {
                let text = fs::read_to_string(&self.stdout)?;
                let line = text.split_inclusive('\n').next().filter(|line| line.ends_with('\n')).unwrap_or_default();
                if let Some(url) = line.trim_end().strip_prefix("listening on ") {
                    return Ok(Http::to(url));
                }
                if let Some(status) = self.process.try_wait()? {
                    bail!("the service has ended with {status}: {}", self.stderr());
                }
                tokio::time::sleep(super::LOOK_EVERY).await;
            }
        })
        .await?
    }

    /// The way to it, once it is connected and ready.
    pub(crate) async fn ready(&mut self) -> Result<Http> {
        let http = self.http().await?;
        until("a service that is ready", async || Ok((http.get("/readyz").await?.status == 200).then_some(()))).await?;
        Ok(http)
    }

    /// Returns once `line` is among its log lines.
    pub(crate) async fn said(&self, line: &str) -> Result<()> {
        until(&format!("\"{line}\""), async || Ok(self.stderr().contains(line).then_some(()))).await
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status()?;
        ensure!(status.success(), "the signal {name} could not be sent");
        Ok(())
    }

    /// Ends it at once, as a crash of the process would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) -> Result<Ended> {
        let ended = soon("the end of the service", async {
            loop {
                if let Some(status) = self.process.try_wait()? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(super::LOOK_EVERY).await;
            }
        });
        let status: ExitStatus = ended.await.with_context(|| self.stderr())??;
        Ok(Ended { code: status.code(), stderr: self.stderr() })
    }

    /// Tells it to end, and waits until it has, without an error.
    pub(crate) async fn stop(self) -> Result<()> {
        self.signal("TERM")?;
        let ended = self.ended().await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
