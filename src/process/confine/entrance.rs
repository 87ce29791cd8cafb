//! The process that takes its own rights away and becomes the program, as its arguments say.

use super::confinement::{Confinement, ConfinementHold, NAME, PROGRAM, READABLE, TRIAL, WRITABLE};
use super::{files, system_calls};
use crate::error::{Doing, Error, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Confines this process and becomes the program, if that is what it was started for; comes back for other processes,
/// with `None`, and where it cannot be done. No thread may run beside the one that calls it.
pub fn enter(mut arguments: impl Iterator<Item = OsString>) -> Option<Result<()>> {
    if arguments.next()?.to_str() != Some(NAME) {
        return None;
    }
    Some(confined(arguments))
}

fn confined(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let misused = || Error::usage("this name is for backupkit itself");
    let mut confinement = Confinement::default();
    let mut is_trial = false;
    loop {
        let word = arguments.next().ok_or_else(misused)?;
        if word.to_str() == Some(TRIAL) {
            is_trial = true;
            break;
        }
        let path = arguments.next().ok_or_else(misused)?;
        match word.to_str() {
            Some(WRITABLE) => confinement.writable.push(path.into()),
            Some(READABLE) => confinement.readable.push(path.into()),
            Some(PROGRAM) => {
                confinement.program = path.into();
                break;
            }
            _ => return Err(misused()),
        }
    }
    // what it has in memory is written nowhere
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing).doing(|| "cannot forbid core dumps")?;
    match is_trial {
        true => tell(&restrict(&confinement, &Command::new("/"))?),
        false => become_program(&confinement, arguments),
    }
}

fn become_program(
    confinement: &Confinement,
    arguments: impl Iterator<Item = OsString>,
) -> Result<()> {
    let mut command = Command::new(&confinement.program);
    command.args(arguments);
    restrict(confinement, &command)?;
    let error = command.exec();
    Err(error).doing(|| format!("cannot start {}", confinement.program.display()))
}

/// Takes away everything that `confinement` does not leave, and says what of it holds. Of all programs only that of
/// `command` can be started afterwards.
fn restrict(confinement: &Confinement, command: &Command) -> Result<ConfinementHold> {
    let files = files::restrict(confinement)?;
    let program = system_calls::StartableProgram::of(command);
    let system_calls = system_calls::restrict(&program, files.truncation);
    if let Err(error) = &system_calls {
        // who asked beforehand what holds knows it
        log::debug!("{error}");
    }
    Ok(ConfinementHold {
        files: files.access,
        signals: files.signals,
        system_calls: system_calls.is_ok(),
    })
}

fn tell(hold: &ConfinementHold) -> Result<()> {
    let mut stdout = std::io::stdout();
    let told = stdout.write_all(hold.line().as_bytes());
    told.and_then(|()| stdout.flush())
        .doing(|| "cannot tell what holds")
}
