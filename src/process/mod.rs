//! Child processes: started in a group of their own, watched, stopped with a grace, always reaped.
//!
//! End of file from a child is conditional: [`ChildOutput`] returns it only after the child has been
//! waited for and exited 0. Every wait is a `poll` that a [`Cancel`] ends.

pub mod deathsig;

use crate::cancel::{Cancel, Woken};
use crate::error::{Doing, Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a child may take to end after SIGINT before it gets SIGTERM.
const POLITE: Duration = Duration::from_secs(2);
/// How long a child may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a child may take to exit once it closed the pipe between us.
const CLOSING: Duration = Duration::from_secs(60);
/// How long we wait for the rest of a dead child's stderr; a grandchild may hold it open for good.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of what a child prints is kept, its end.
const KEPT: usize = 16 * 1024;
/// The kernel's limit for a pipe of an ordinary user; a quarter faster than its default 64 KiB.
const PIPE_BYTES: usize = 1024 * 1024;

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

/// What a program gets if we die: the signal on which it tells its server to give up before it ends itself.
fn last_signal(program: &str) -> Signal {
    match program {
        "psql" => Signal::INT,
        _ => Signal::TERM,
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
    Ok((exited, Tail::keep(program, inner.stderr.take(), true)?))
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
    let mut line = Vec::new();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                for piece in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
                    line.extend_from_slice(piece);
                    if piece.ends_with(b"\n") || line.len() > KEPT {
                        let text = String::from_utf8_lossy(&line);
                        if logged && !text.trim().is_empty() {
                            log::debug!("{program}: {}", text.trim_end());
                        }
                        line.clear();
                    }
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&buffer[..count]);
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

    fn reap(&mut self) -> Result<ExitStatus> {
        let status = self
            .inner
            .wait()
            .doing(|| format!("cannot wait for {}", self.program))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Stops the whole group: SIGINT, SIGTERM, SIGKILL, each with a grace; then reaps. Does nothing to a child that has
    /// been waited for. SIGINT first, because psql cancels what runs on the server only for that.
    pub fn stop(&mut self) {
        if self.status.is_some() {
            return;
        }
        let group = Pid::from_child(&self.inner);
        for (signal, grace) in [(Signal::INT, POLITE), (Signal::TERM, GRACE)] {
            let _ = kill_process_group(group, signal);
            // a stopped process handles signals only once it continues
            let _ = kill_process_group(group, Signal::CONT);
            if hung_up(&self.exited, grace) {
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
        explain: Explain,
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

/// A child's stdout. Its end of file means that the child exited 0; anything else is an error from `explain`.
pub struct ChildOutput {
    stdout: Option<ChildStdout>,
    child: Child,
    cancel: Cancel,
    explain: Explain,
}

impl ChildOutput {
    /// Starts `command` with an empty stdin, to read its stdout.
    pub fn spawn(
        program: &str,
        mut command: Command,
        cancel: &Cancel,
        explain: Explain,
    ) -> Result<ChildOutput> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = spawn(program, command)?;
        let stdout = child.inner.stdout.take();
        if let Some(stdout) = &stdout {
            // only speed is lost where the system allows no larger pipe
            let _ = rustix::pipe::fcntl_setpipe_size(stdout, PIPE_BYTES);
        }
        Ok(ChildOutput {
            stdout,
            child,
            cancel: cancel.clone(),
            explain,
        })
    }
}

impl Read for ChildOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let waited = self.cancel.wait_for(stdout.as_fd(), PollFlags::IN, None);
        if let Err(error) = waited {
            self.child.stop();
            return Err(error.into());
        }
        let count = stdout.read(buffer)?;
        if count == 0 {
            self.child
                .expect_success(&self.cancel, Some(CLOSING), self.explain)?;
            self.stdout = None;
        }
        Ok(count)
    }
}

/// A child's stdin. The child may close it early; what that means is known only once it has exited.
pub struct ChildInput {
    stdin: Option<ChildStdin>,
    child: Child,
    cancel: Cancel,
    explain: Explain,
}

impl ChildInput {
    /// Starts `command` with a pipe as its stdin; what it prints on stdout is thrown away.
    pub fn spawn(
        program: &str,
        mut command: Command,
        cancel: &Cancel,
        explain: Explain,
    ) -> Result<ChildInput> {
        command.stdout(Stdio::null());
        ChildInput::start(program, command, cancel, explain)
    }

    /// Starts `command` with pipes as its stdin and stdout. The stdout must be read to its end.
    pub fn spawn_piped(
        program: &str,
        mut command: Command,
        cancel: &Cancel,
        explain: Explain,
    ) -> Result<(ChildInput, ChildStdout)> {
        command.stdout(Stdio::piped());
        let mut input = ChildInput::start(program, command, cancel, explain)?;
        let stdout = input.child.inner.stdout.take();
        let stdout = stdout.ok_or_else(|| Error::failed(format!("{program} has no stdout")))?;
        Ok((input, stdout))
    }

    fn start(
        program: &str,
        mut command: Command,
        cancel: &Cancel,
        explain: Explain,
    ) -> Result<ChildInput> {
        command.stdin(Stdio::piped());
        let mut child = spawn(program, command)?;
        let stdin = child.inner.stdin.take();
        if let Some(stdin) = &stdin {
            let _ = rustix::pipe::fcntl_setpipe_size(stdin, PIPE_BYTES);
            // a blocking write of more than fits could not be cancelled; the child's own end stays blocking
            rustix::io::ioctl_fionbio(stdin, true)
                .doing(|| format!("cannot write to {program}"))?;
        }
        Ok(ChildInput {
            stdin,
            child,
            cancel: cancel.clone(),
            explain,
        })
    }

    /// Ends the input and waits for the child, which may work on for hours; fails unless it exits 0.
    pub fn finish(mut self) -> Result<Ended> {
        self.stdin = None;
        let finished = self.child.expect_success(&self.cancel, None, self.explain);
        finished.map_err(|error| match self.cancel.check() {
            Ok(()) => error,
            Err(_) => error
                .hint("it had all of its input, so the server may have committed: look before you run it again"),
        })
    }

    /// Stops the child without ever giving it a clean end of input, so that it cannot take what it got for all.
    pub fn abort(mut self) {
        self.child.stop();
    }
}

impl Drop for ChildInput {
    /// The child dies before its input ends: fields are dropped after this.
    fn drop(&mut self) {
        self.child.stop();
    }
}

impl Write for ChildInput {
    /// Once the child closed its input and exited 0, what still comes is taken and dropped.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let Some(stdin) = &mut self.stdin else {
                return Ok(bytes.len());
            };
            if let Err(error) = self.cancel.wait_for(stdin.as_fd(), PollFlags::OUT, None) {
                self.child.stop();
                return Err(error.into());
            }
            match stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.child
                        .expect_success(&self.cancel, Some(CLOSING), self.explain)?;
                    self.stdin = None;
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `command` to its end, at most `limit`, and returns its stdout, which must stay under 64 MiB.
pub fn run(
    program: &str,
    command: Command,
    cancel: &Cancel,
    limit: Duration,
    explain: Explain,
) -> Result<Vec<u8>> {
    const LARGEST: u64 = 64 * 1024 * 1024;
    let cancel = cancel.with_deadline(limit);
    let mut output = ChildOutput::spawn(program, command, &cancel, explain)?;
    let mut bytes = Vec::new();
    (&mut output).take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::failed(format!("{program} printed too much")));
    }
    Ok(bytes)
}

/// Says how the child ended and nothing more.
pub fn explain_plainly(ended: &Ended) -> Error {
    Error::failed(ended.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cause;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        command
    }

    fn limit() -> Duration {
        Duration::from_secs(20)
    }

    #[test]
    fn end_of_file_needs_exit_status_0() {
        let cancel = Cancel::new().unwrap();
        let good = run("sh", shell("echo hi"), &cancel, limit(), explain_plainly);
        assert_eq!(good.unwrap(), b"hi\n");
        let bad = run(
            "sh",
            shell("echo hi; echo no >&2; exit 3"),
            &cancel,
            limit(),
            explain_plainly,
        );
        assert_eq!(bad.unwrap_err().to_string(), "sh exited with status 3: no");
    }

    #[test]
    fn a_cancelled_read_stops_the_whole_group() {
        let cancel = Cancel::new().unwrap();
        // the grandchild holds stdout open and ignores SIGTERM: only SIGKILL to the group ends it
        let script = "(trap '' TERM; echo up; exec sleep 600) & wait";
        let mut output = ChildOutput::spawn("sh", shell(script), &cancel, explain_plainly).unwrap();
        let mut line = [0u8; 32];
        assert_eq!(output.read(&mut line).unwrap(), 3);
        cancel.cancel(Cause::Signal(2));
        let error = Error::from(output.read(&mut line).unwrap_err());
        assert_eq!(error.kind(), Kind::Signal(2));
        // returns only when nobody holds the other end any more
        let rest = output.stdout.as_mut().unwrap().read_to_end(&mut Vec::new());
        assert_eq!(rest.unwrap(), 0);
    }

    #[test]
    fn a_child_that_closes_its_input_early_and_succeeds_is_no_error() {
        let cancel = Cancel::new().unwrap();
        let mut input =
            ChildInput::spawn("sh", shell("exec <&-; exit 0"), &cancel, explain_plainly).unwrap();
        for _ in 0..64 {
            input.write_all(&[0u8; 65536]).unwrap();
        }
        input.finish().unwrap();
    }

    #[test]
    fn a_child_that_dies_is_the_headline_and_not_the_broken_pipe() {
        let cancel = Cancel::new().unwrap();
        let script = "echo 'no such table' >&2; exit 1";
        let mut input = ChildInput::spawn("sh", shell(script), &cancel, explain_plainly).unwrap();
        let error = (0..64)
            .find_map(|_| input.write_all(&[0u8; 65536]).err())
            .unwrap();
        assert_eq!(error.to_string(), "sh exited with status 1: no such table");
    }

    #[test]
    fn an_aborted_child_never_sees_the_end_of_its_input() {
        let cancel = Cancel::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("saw-the-end");
        let script = format!("cat >/dev/null; : > {}", mark.display());
        let mut input = ChildInput::spawn("sh", shell(&script), &cancel, explain_plainly).unwrap();
        input.write_all(b"half").unwrap();
        input.abort();
        assert!(!mark.exists());
    }
}
