//! A running child: its start, its two watchers, its end.

use super::before_exec;
use super::hang_up::watch_end;
use super::output_tail::Tail;
use super::repeated_warnings::was_told;
use super::terminate::{last_signal, terminate};
use crate::cancel::{Cancel, Woken};
use crate::error::{Doing, Error, Kind, Result};
use crate::text::escape::quoted_lines;
use rustix::event::PollFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::fmt;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How a child ended, for the message about it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The program, as people call it: `pg_dump`.
    pub program: String,
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// The end of what it said on stderr.
    pub stderr: String,
    /// The lines of its input that are the text which people know; empty where that is not known.
    pub text: Range<u64>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "{} exited with status {code}", self.program)?,
            (None, Some(signal)) => write!(f, "{} was killed by signal {signal}", self.program)?,
            (None, None) => write!(f, "{} ended: {}", self.program, self.status)?,
        }
        let said = self.stderr.trim();
        if !said.is_empty() {
            write!(f, ": {}", quoted_lines(&self.with_their_lines(said)))?;
        }
        Ok(())
    }
}

impl Ended {
    /// What the program said of its input, with the numbers that its lines have in the text that people know: some of what
    /// it reads is ours, and has none.
    fn with_their_lines(&self, said: &str) -> String {
        let prefix = format!("{}:<stdin>:", self.program);
        let lines = said.split_inclusive('\n').map(|line| {
            let numbered = line.strip_prefix(&prefix);
            let Some((number, what)) = numbered.and_then(|rest| rest.split_once(": ")) else {
                return line.to_string();
            };
            match number.parse::<u64>() {
                Ok(number) if self.text.contains(&number) => {
                    format!("line {} of the text: {what}", number - self.text.start + 1)
                }
                Ok(_) => what.to_string(),
                Err(_) => line.to_string(),
            }
        });
        lines.collect()
    }
}

/// Turns the end of a failed child into an error; the caller knows what its messages mean.
pub type Explain = fn(&Ended) -> Error;

/// A running child. Dropping it stops it.
pub struct Child {
    program: String,
    pub(super) inner: std::process::Child,
    status: Option<ExitStatus>,
    /// Hangs up once the child has exited; it is reaped only by us, so its group id stays ours until then.
    exited: OwnedFd,
    stderr: Tail,
    /// As in [`Ended`].
    pub(super) text: Range<u64>,
}

/// Starts `command` as the leader of a new process group, with stderr captured. The caller sets up stdin and stdout.
pub fn spawn(program: &str, mut command: Command) -> Result<Child> {
    let shown = command.get_program().to_string_lossy().into_owned();
    command.stderr(Stdio::piped()).process_group(0);
    before_exec::die_with_parent(&mut command, last_signal(program));
    let mut inner = command
        .spawn()
        .doing(|| format!("cannot start {program} ({shown})"))?;
    let (exited, stderr) = match watch(program, &mut inner) {
        Ok(watched) => watched,
        Err(error) => {
            // without its watchers the child cannot be supervised
            let _ = inner.kill();
            let _ = inner.wait();
            return Err(error);
        }
    };
    Ok(Child {
        program: program.to_string(),
        inner,
        status: None,
        exited,
        stderr,
        text: 0..0,
    })
}

/// A person's own command. It may print what it was told in confidence, so no log gets its words.
pub const COMMAND: &str = "the command";

/// Starts the two threads that wait for what a child does on its own: its exit and its stderr.
/// Each holds the write end of a pipe and drops it when there is nothing left to wait for.
fn watch(program: &str, inner: &mut std::process::Child) -> Result<(OwnedFd, Tail)> {
    let (exited, exit_guard) = watch_end(program)?;
    let pid = Pid::from_child(inner);
    std::thread::Builder::new()
        .name(format!("{program} exit"))
        .spawn(move || {
            // NOWAIT leaves the reaping to the owner, so a signal never hits a stranger's group
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                waitid(WaitId::Pid(pid), options),
                Err(rustix::io::Errno::INTR)
            ) {}
            drop(exit_guard);
        })
        .doing(|| format!("cannot watch {program}"))?;
    let logged = program != COMMAND;
    Ok((exited, Tail::keep(program, inner.stderr.take(), logged)?))
}

impl Child {
    /// Waits for the exit, at most `limit`, and reaps. Running out of `limit` stops the child and is an error.
    pub fn wait(&mut self, cancel: &Cancel, limit: Option<Duration>) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        match cancel.wait_for(self.exited.as_fd(), PollFlags::IN, limit) {
            Ok(Woken::Ready) => self.reap(),
            Ok(Woken::TimedOut) => {
                self.stop();
                Err(Error::new(
                    Kind::Unavailable,
                    format!(
                        "{} did not end within {:?} and was stopped",
                        self.program,
                        limit.unwrap_or_default()
                    ),
                ))
            }
            Err(error) => {
                self.stop();
                // what it was doing may have come to its good end all the same, and then that is the truth
                match self.status {
                    Some(status) if status.success() => Ok(status),
                    _ => Err(error),
                }
            }
        }
    }

    /// Waits for `limit`, and gives the status if the child has ended by then; one that runs on is let run.
    pub fn ended_within(&mut self, limit: Duration, cancel: &Cancel) -> Result<Option<ExitStatus>> {
        match cancel.wait_for(self.exited.as_fd(), PollFlags::IN, Some(limit))? {
            Woken::Ready => self.reap().map(Some),
            Woken::TimedOut => Ok(None),
        }
    }

    /// Asks the child alone to end in order, as its own SIGINT means it, and waits for at most `limit`.
    pub fn end_in_order(&mut self, limit: Duration, cancel: &Cancel) -> Result<ExitStatus> {
        if self.status.is_none() {
            // a failure means that it has ended
            let _ = kill_process(Pid::from_child(&self.inner), Signal::INT);
        }
        self.wait(cancel, Some(limit))
    }

    fn reap(&mut self) -> Result<ExitStatus> {
        let status = self
            .inner
            .wait()
            .doing(|| format!("cannot wait for {}", self.program))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Stops the whole group: SIGINT, SIGTERM (a server: SIGQUIT), SIGKILL, each with a grace; then reaps. Does nothing
    /// to a child that has been waited for.
    pub fn stop(&mut self) {
        if self.status.is_some() {
            return;
        }
        let group = Pid::from_child(&self.inner);
        if terminate(&self.program, group, &self.exited) {
            let _ = self.reap();
        } else {
            log::warn!(
                "{} (process {}) does not die; the kernel holds it",
                self.program,
                self.inner.id()
            );
        }
    }

    /// How the child ended: call after [`Child::wait`].
    pub fn ended(&self, status: ExitStatus) -> Ended {
        Ended {
            program: self.program.clone(),
            status,
            stderr: self.stderr.text(),
            text: self.text.clone(),
        }
    }

    /// Waits for the exit and fails, explained, unless it was 0.
    pub(super) fn expect_success(
        &mut self,
        cancel: &Cancel,
        limit: Option<Duration>,
        explain: impl Fn(&Ended) -> Error,
    ) -> Result<Ended> {
        let status = self.wait(cancel, limit)?;
        let ended = self.ended(status);
        if !status.success() {
            return Err(explain(&ended));
        }
        let warnings = ended.stderr.lines();
        for line in warnings.filter(|line| line.to_lowercase().contains("warning:")) {
            if !was_told(line) {
                log::warn!("{}: {line}", self.program);
            }
        }
        Ok(ended)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Says how the child ended and nothing more.
pub fn explain_plainly(ended: &Ended) -> Error {
    Error::in_lines(Kind::Failed, &ended.to_string())
}
