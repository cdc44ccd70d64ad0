//! Finds what `make setup-tests` has installed. Downloads nothing.

use std::env;
use std::path::PathBuf;

use crate::support::workspace;

/// A program of the tests' Python packages, such as `python` or `st`.
#[track_caller]
pub(crate) fn tool(name: &str) -> PathBuf {
    let list = std::fs::read_to_string(workspace().join("scripts/python-requirements.txt")).expect("the list is there");
    let number = list.lines().next().and_then(|line| line.strip_prefix("# list ")).expect("the list has a number");
    let path = folder().join(format!("python-{number}/bin/{name}"));
    assert!(path.exists(), "{} is not there; `make setup-tests` installs it", path.display());
    path
}

fn folder() -> PathBuf {
    if let Some(named) = env::var_os("LEADFOLD_TEST_TOOLS") {
        return named.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache"))).expect("there is a home folder");
    cache.join("leadfold/tools")
}
