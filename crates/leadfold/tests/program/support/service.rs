//! A running service, to be asked from beside it.

use std::fs;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};

use super::Folder;

/// A service that holds a folder, until it is stopped or dropped.
pub(crate) struct Service<'a> {
    folder: &'a Folder,
    child: Child,
}

impl<'a> Service<'a> {
    /// Starts a service on a free port, with more options.
    pub(crate) fn start<'b>(folder: &'a Folder, options: impl IntoIterator<Item = &'b str>) -> Self {
        Self::run(folder, &mut folder.command(["serve", "--listen", "127.0.0.1:0"].into_iter().chain(options)))
    }

    /// Starts a service whose clock stands still at this time.
    pub(crate) fn start_at(folder: &'a Folder, clock: &str) -> Self {
        Self::start(folder, ["--clock", clock])
    }

    /// Runs a command that serves, and waits until it can be reached.
    pub(crate) fn run(folder: &'a Folder, command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut service = Self { folder, child };
        let holder = service.child.id().to_string();
        let read = |name: &str| fs::read_to_string(folder.path("data").join(name)).unwrap_or_default();
        while read("lock") != holder || !read("address").ends_with('\n') {
            assert!(service.child.try_wait().expect("a child can be asked").is_none(), "the service goes on");
            std::thread::yield_now();
        }
        service
    }

    /// Where it can be reached.
    pub(crate) fn url(&self) -> String {
        fs::read_to_string(self.path("data/address")).expect("the address is there").trim().to_owned()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.expect("kill is there").success());
        assert!(self.child.wait().expect("it ends").success());
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }
}

impl Deref for Service<'_> {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        self.folder
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // A test that fails leaves nothing running; one that went well has stopped it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
