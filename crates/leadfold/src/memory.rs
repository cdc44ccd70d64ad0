//! Lets the allocator keep what was freed for some seconds, for commands that need the same memory again at once.
//!
//! mimalloc gives freed pages back after a second and gets them anew, zeroed: a tenth of an import's processor time.
//! It reads its settings from the environment, before `main`, and only unsafe code could change them later. So the
//! program starts itself again in its own place, with the same number, arguments and open files.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// In milliseconds, by mimalloc's documentation.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";
/// Longer than any stage of an import waits for the memory of the one before.
const KEPT_FOR: &str = "20000";

/// Starts the program again with the setting, unless the environment has one. Where that can't be done, it goes on
/// without.
pub(crate) fn keep_freed() {
    if env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) else { return };
    // Returns only when it failed.
    let _ = Command::new(program).arg0(name).args(arguments).env(PURGE_DELAY, KEPT_FOR).exec();
}
