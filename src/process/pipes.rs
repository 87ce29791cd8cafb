//! The pipes to and from a child, as `Read` and `Write`: both end with the child's own verdict.

use super::child::{Child, Ended, Explain, spawn};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use rustix::event::PollFlags;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long a child may take to exit once it closed the pipe between us.
const CLOSING: Duration = Duration::from_secs(60);
/// The kernel's limit for a pipe of an ordinary user; a quarter faster than its default 64 KiB.
const PIPE_BYTES: usize = 1024 * 1024;
/// A read that got less than this has caught up with its child.
const LITTLE: usize = PIPE_BYTES / 4;
/// How long a child that was caught up with is left alone: far shorter than it takes to fill the pipe.
const NAP: Duration = Duration::from_micros(500);

/// A child's stdout. Its end of file means that the child exited 0; anything else is an error from `explain`.
pub struct ChildOutput {
    stdout: Option<ChildStdout>,
    /// The pipe is as large as we want it.
    roomy: bool,
    /// The child was caught up with in the middle of much output.
    caught_up: bool,
    total: u64,
    child: Child,
    cancel: Cancel,
    explain: Box<dyn Fn(&Ended) -> Error + Send + Sync>,
}

impl ChildOutput {
    /// Starts `command` with an empty stdin, to read its stdout.
    pub fn spawn(
        program: &str,
        mut command: Command,
        cancel: &Cancel,
        explain: impl Fn(&Ended) -> Error + Send + Sync + 'static,
    ) -> Result<ChildOutput> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = spawn(program, command)?;
        let stdout = child.inner.stdout.take();
        // only speed is lost where the system allows no larger pipe
        let resized = stdout
            .as_ref()
            .map(|stdout| rustix::pipe::fcntl_setpipe_size(stdout, PIPE_BYTES));
        Ok(ChildOutput {
            stdout,
            roomy: matches!(resized, Some(Ok(_))),
            caught_up: false,
            total: 0,
            child,
            cancel: cancel.clone(),
            explain: Box::new(explain),
        })
    }

    /// Waits until there is something to read, or the end.
    ///
    /// pg_dump writes 4 KiB at a time. To read each of them at once costs two switches of the processor for it,
    /// and so does pg_dump: a tenth of a backup's time. A short nap lets the pipe fill instead.
    fn wait(&self, stdout: &ChildStdout) -> Result<()> {
        if self.caught_up {
            self.cancel.pause(NAP)?;
        }
        self.cancel
            .wait_for(stdout.as_fd(), PollFlags::IN, None)
            .map(|_| ())
    }
}

impl Read for ChildOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &self.stdout else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.wait(stdout) {
            self.child.stop();
            return Err(error.into());
        }
        let count = rustix::io::read(stdout, &mut *buffer)?;
        self.total += count as u64;
        self.caught_up =
            self.roomy && self.total > PIPE_BYTES as u64 && count < LITTLE.min(buffer.len());
        if count == 0 {
            self.child
                .expect_success(&self.cancel, Some(CLOSING), &*self.explain)?;
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

    /// Says which lines of the input are the text that people know, and its messages are to number.
    pub fn number_lines(&mut self, text: Range<u64>) {
        self.child.text = text;
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

/// Runs `command` to its end, however long that takes, with `input` as its stdin; fails unless it exits 0.
pub fn run_on(
    input: File,
    program: &str,
    mut command: Command,
    cancel: &Cancel,
    explain: Explain,
) -> Result<()> {
    command.stdin(input).stdout(Stdio::null());
    let mut child = spawn(program, command)?;
    child.expect_success(cancel, None, explain).map(|_| ())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cause;
    use crate::error::Kind;
    use crate::process::explain_plainly;

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
