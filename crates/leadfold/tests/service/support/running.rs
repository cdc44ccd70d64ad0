//! A running service: where it listens, what it says, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use reqwest::Method;

use crate::support::{Client, eventually};

/// A running service, killed when it goes out of scope.
pub(crate) struct Running {
    child: Child,
    url: String,
    said: Arc<Mutex<String>>,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it, and waits until it says where it listens and is ready.
    #[track_caller]
    pub(crate) fn start(command: Command) -> Self {
        let running = Self::listening(command);
        let client = Client::new(&running.url.replace("0.0.0.0", "127.0.0.1"));
        eventually("the service is ready", || {
            (client.status(client.request(Method::GET, "/readyz")) == 200).then_some(())
        });
        running
    }

    /// Starts it, and waits until it says where it listens.
    #[track_caller]
    pub(crate) fn listening(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let mut listeners = vec![listen(stderr, &said)];
        let mut first = String::new();
        lines.read_line(&mut first).expect("standard output can be read");
        let Some(url) = first.trim().strip_prefix("listening on ").map(ToOwned::to_owned) else {
            let ended = child.wait();
            listeners.drain(..).for_each(|listener| listener.join().expect("a listener ends"));
            panic!("the service doesn't listen: {first:?} {ended:?} {}", said.lock().unwrap());
        };
        said.lock().unwrap().push_str(&first);
        listeners.push(listen(lines, &said));
        Self { child, url, said, listeners }
    }

    /// `http://127.0.0.1:…`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let environment = std::fs::read(format!("/proc/{}/environ", self.child.id())).expect("it is running");
        let mut variables = environment.split(|byte| *byte == 0).filter_map(|it| std::str::from_utf8(it).ok());
        variables.find_map(|it| it.strip_prefix(name)?.strip_prefix('=').map(ToOwned::to_owned))
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Asks without a key.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Asks with a key.
    pub(crate) fn with_key(&self, key: &str) -> Client {
        self.client().header("authorization", &format!("Bearer {key}"))
    }

    /// Ends it with the signal that asks for it, and returns how it ended and all that it said.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let terminated = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(terminated.expect("kill is there").success(), "the service takes a signal");
        self.ended()
    }

    /// Ends it with the signal that nothing can catch.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.ended();
    }

    fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("a child can be waited for");
        self.listeners.drain(..).for_each(|listener| listener.join().expect("a listener ends"));
        (status, self.said.lock().unwrap().clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what comes out of a pipe, so that the process never waits for a reader.
fn listen(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut chunk = [0; 1 << 16];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    })
}
