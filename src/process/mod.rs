//! Child processes: started in a group of their own, watched, stopped with a grace, always reaped.
//!
//! End of file from a child is conditional: [`ChildOutput`] returns it only after the child has been
//! waited for and exited 0. Every wait is a `poll` that a [`Cancel`] ends.

pub mod account;
pub mod deathsig;
mod pipes;

pub use pipes::{ChildInput, ChildOutput, run, run_on};

use crate::cancel::{Cancel, Woken};
use crate::error::{Doing, Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a child may take to end after SIGINT before it gets SIGTERM.
const POLITE: Duration = Duration::from_secs(2);
/// How long a child may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a server may take to end after SIGQUIT: only its own end takes away the memory that it shares.
const IMMEDIATE: Duration = Duration::from_secs(30);
/// How long we wait for the rest of a dead child's stderr; a grandchild may hold it open for good.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of what a child prints is kept, its end.
const KEPT: usize = 16 * 1024;
/// How much of one line is kept, its beginning: behind its complaint a client prints the whole statement.
const KEPT_OF_LINE: usize = 2048;

/// How a child ended, for the message about it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The program, as people call it: `pg_dump`.
    pub program: String,
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// The end of what it said on stderr.
    pub stderr: String,
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
            write!(f, ": {said}")?;
        }
        Ok(())
    }
}

/// Turns the end of a failed child into an error; the caller knows what its messages mean.
pub type Explain = fn(&Ended) -> Error;

/// A running child. Dropping it stops it.
pub struct Child {
    program: String,
    inner: std::process::Child,
    status: Option<ExitStatus>,
    /// Hangs up once the child has exited; it is reaped only by us, so its group id stays ours until then.
    exited: OwnedFd,
    stderr: Tail,
}

/// The end of what a child prints on one of its outputs, read by a thread.
struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Hangs up once the output has been read to its end.
    read: OwnedFd,
}

/// Starts `command` as the leader of a new process group, with stderr captured. The caller sets up stdin and stdout.
pub fn spawn(program: &str, mut command: Command) -> Result<Child> {
    let shown = command.get_program().to_string_lossy().into_owned();
    command.stderr(Stdio::piped()).process_group(0);
    deathsig::die_with_parent(&mut command, last_signal(program));
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
    })
}

/// What a program gets if we die: the signal on which it tells its server to give up before it ends itself. A server
/// of ours gives up by itself, with all of its processes.
fn last_signal(program: &str) -> Signal {
    match program {
        "psql" => Signal::INT,
        SERVER => Signal::QUIT,
        _ => Signal::TERM,
    }
}

/// A person's own command. It may print what it was told in confidence, so no log gets its words.
pub const COMMAND: &str = "the command";

/// A server, which is stopped like no other program: nothing that it holds is worth a tidy shutdown.
const SERVER: &str = "postgres";

/// The signals that ask a program to end, and how long it may take for each. SIGINT first, because psql cancels what
/// runs on the server only for that.
fn farewells(program: &str) -> &'static [(Signal, Duration)] {
    match program {
        SERVER => &[(Signal::QUIT, IMMEDIATE)],
        _ => &[(Signal::INT, POLITE), (Signal::TERM, GRACE)],
    }
}

/// Starts the two threads that wait for what a child does on its own: its exit and its stderr.
/// Each holds the write end of a pipe and drops it when there is nothing left to wait for.
fn watch(program: &str, inner: &mut std::process::Child) -> Result<(OwnedFd, Tail)> {
    let (exited, exit_guard) = guard(program)?;
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

fn guard(program: &str) -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .doing(|| format!("cannot watch {program}"))
}

impl Tail {
    /// Starts reading `stream` to its end, keeping only the last [`KEPT`] bytes. With `logged`, its lines go to the log.
    fn keep(
        program: &str,
        stream: Option<impl Read + Send + 'static>,
        logged: bool,
    ) -> Result<Tail> {
        let (read, guard) = guard(program)?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (name, into) = (program.to_string(), Arc::clone(&kept));
        std::thread::Builder::new()
            .name(format!("{program} output"))
            .spawn(move || {
                if let Some(stream) = stream {
                    keep_tail(&name, stream, &into, logged);
                }
                drop(guard);
            })
            .doing(|| format!("cannot watch {program}"))?;
        Ok(Tail { kept, read })
    }

    /// What was kept, once all has been read or [`LAST_WORDS`] is over.
    fn text(&self) -> String {
        hung_up(&self.read, LAST_WORDS);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

fn keep_tail(program: &str, mut stream: impl Read, kept: &Mutex<VecDeque<u8>>, logged: bool) {
    let mut buffer = [0u8; 4096];
    let (mut line, mut cut) = (Vec::new(), false);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                for piece in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
                    let ended = piece.ends_with(b"\n");
                    let text = piece.strip_suffix(b"\n").unwrap_or(piece);
                    let room = KEPT_OF_LINE.saturating_sub(line.len());
                    let more = &text[..text.len().min(room)];
                    line.extend_from_slice(more);
                    kept.extend(more);
                    if text.len() > room && !cut {
                        cut = true;
                        kept.extend(" …".as_bytes());
                    }
                    if ended {
                        kept.push_back(b'\n');
                        let text = String::from_utf8_lossy(&line);
                        if logged && !text.trim().is_empty() {
                            log::debug!("{program}: {}", text.trim_end());
                        }
                        line.clear();
                        cut = false;
                    }
                }
                let excess = kept.len().saturating_sub(KEPT);
                kept.drain(..excess);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
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
        for (signal, grace) in farewells(&self.program) {
            let _ = kill_process_group(group, *signal);
            // a stopped process handles signals only once it continues
            let _ = kill_process_group(group, Signal::CONT);
            if hung_up(&self.exited, *grace) {
                break;
            }
        }
        // also for what the leader may have left behind in its group
        let _ = kill_process_group(group, Signal::KILL);
        if hung_up(&self.exited, GRACE) {
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
        }
    }

    /// Waits for the exit and fails, explained, unless it was 0.
    fn expect_success(
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
            log::warn!("{}: {line}", self.program);
        }
        Ok(ended)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// True once the other end of `fd` is closed, waiting at most `limit`. Not cancellable: this is the clean-up itself.
fn hung_up(fd: &OwnedFd, limit: Duration) -> bool {
    let give_up = Instant::now() + limit;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Says how the child ended and nothing more.
pub fn explain_plainly(ended: &Ended) -> Error {
    Error::failed(ended.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_not_lost_behind_the_statement_that_it_is_about() {
        let kept = Mutex::new(VecDeque::new());
        let statement = "x".repeat(10 * KEPT);
        let said = format!("ERROR:  out of shared memory\nQuery was: {statement}\nlast");
        keep_tail("pg_dump", said.as_bytes(), &kept, false);
        let kept: Vec<u8> = kept.into_inner().unwrap().into();
        let lines = String::from_utf8(kept).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            (lines[0], lines[2]),
            ("ERROR:  out of shared memory", "last")
        );
        assert!(lines[1].len() < KEPT && lines[1].ends_with("xxx …"));

        let kept = Mutex::new(VecDeque::new());
        let many = "line\n".repeat(KEPT);
        keep_tail("pg_dump", many.as_bytes(), &kept, false);
        assert_eq!(kept.into_inner().unwrap().len(), KEPT);
    }
}
