//! What a program is confined to, how it is started, and how far this machine can hold it.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process::before_exec::inherit_nothing;
use crate::process::{explain_plainly, run};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What this executable is called where it is run to become a confined program. It is no command: it gives nothing to
/// anybody, since it can only take rights away.
pub const NAME: &str = "backupkit-confined";
/// This very executable, also where an upgrade has put another one in its place, or its directory is closed to the user
/// that the program runs as.
const OURSELVES: &str = "/proc/self/exe";
/// Longer than a process takes to restrict itself.
const TRIAL_LIMIT: Duration = Duration::from_secs(20);

/// The words of its arguments.
pub(super) const WRITABLE: &str = "--writable";
pub(super) const READABLE: &str = "--readable";
pub(super) const TRIAL: &str = "--trial";
pub(super) const PROGRAM: &str = "--";

/// A program, and what of the file system it may use. Everything else is closed to it, and so is every other process.
#[derive(Debug, Default)]
pub struct Confinement {
    /// The program, by its real path.
    pub program: PathBuf,
    /// Directories to do anything in but run programs, and files to write. One that is not there is passed over.
    pub writable: Vec<PathBuf>,
    /// Directories and files to read, in the same way.
    pub readable: Vec<PathBuf>,
}

impl Confinement {
    /// The command that becomes the program, with nothing in its environment and nothing open but what it is given.
    pub fn command(&self) -> Command {
        let mut command = ourselves();
        for path in &self.writable {
            command.arg(WRITABLE).arg(path);
        }
        for path in &self.readable {
            command.arg(READABLE).arg(path);
        }
        command.arg(PROGRAM).arg(&self.program);
        command
    }
}

fn ourselves() -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg0(NAME).env_clear();
    inherit_nothing(&mut command);
    command
}

/// What this machine can do to confine a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfinementHold {
    /// Files are out of its reach.
    pub files: bool,
    /// So are processes of the same user that could be sent a signal.
    pub signals: bool,
    /// Other programs, servers and the rest of the kernel are.
    pub system_calls: bool,
}

impl ConfinementHold {
    /// How a trial tells it: a line, with a sign for each.
    pub(super) fn line(self) -> String {
        let sign = |holds| if holds { '+' } else { '-' };
        let signs = [self.files, self.signals, self.system_calls].map(sign);
        format!("{}\n", signs.iter().collect::<String>())
    }

    fn of_line(line: &[u8]) -> Option<ConfinementHold> {
        let &[files, signals, system_calls, b'\n'] = line else {
            return None;
        };
        let holds = |sign| match sign {
            b'+' => Some(true),
            b'-' => Some(false),
            _ => None,
        };
        Some(ConfinementHold {
            files: holds(files)?,
            signals: holds(signals)?,
            system_calls: holds(system_calls)?,
        })
    }
}

/// Finds out what holds here, by a process that confines itself and tells: what a kernel has may be switched off, or be
/// refused by what we are confined by.
pub fn hold(cancel: &Cancel) -> Result<ConfinementHold> {
    let mut command = ourselves();
    command.arg(TRIAL);
    let doing = || "cannot find out how programs can be confined here";
    let said = run(NAME, command, cancel, TRIAL_LIMIT, explain_plainly).doing(doing)?;
    ConfinementHold::of_line(&said).ok_or_else(|| {
        let said = String::from_utf8_lossy(&said);
        Error::failed(format!("the trial said {said:?}")).doing(doing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_and_understood() {
        for files in [false, true] {
            let hold = ConfinementHold {
                files,
                signals: !files,
                system_calls: files,
            };
            assert_eq!(ConfinementHold::of_line(hold.line().as_bytes()), Some(hold));
        }
        assert_eq!(ConfinementHold::of_line(b""), None);
        assert_eq!(ConfinementHold::of_line(b"?++\n"), None);
    }
}
