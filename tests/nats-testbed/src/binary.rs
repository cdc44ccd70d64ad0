//! Finds the program of the NATS server. Downloads nothing.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::TestbedError;

/// The version that `make setup-tests` installs.
const VERSION: &str = "2.15.1";
/// The first version with everything that Leadfold uses.
const OLDEST: (u32, u32) = (2, 12);

/// The program: what `LEADFOLD_NATS_SERVER` names, else the installed one, else the first on the path.
pub(crate) fn find() -> Result<PathBuf, TestbedError> {
    let mut looked = Vec::new();
    for candidate in candidates() {
        match version(&candidate) {
            Some(found) if found >= OLDEST => return Ok(candidate),
            Some((major, minor)) => looked.push(format!("{} is {major}.{minor}", candidate.display())),
            None => looked.push(format!("{} is not there", candidate.display())),
        }
    }
    Err(TestbedError::NoBinary { looked: looked.join(", ") })
}

fn candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os("LEADFOLD_NATS_SERVER") {
        return vec![named.into()];
    }
    let cache = env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let installed = cache.map(|it| it.join(format!("leadfold/tools/nats-server-{VERSION}/nats-server")));
    installed.into_iter().chain([PathBuf::from("nats-server")]).collect()
}

/// Major and minor version, from `nats-server: v2.15.1`.
fn version(program: &PathBuf) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit('v').next()?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
