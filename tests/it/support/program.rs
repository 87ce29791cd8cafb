//! Programs that cannot hang a test: each runs in its own process group, which is killed when its time is over.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything here takes on the slowest machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails the test, showing everything, unless the program exited with `status`.
    #[track_caller]
    pub fn exits(self, status: i32) -> Output {
        assert_eq!(
            self.status.code(),
            Some(status),
            "{}\n--- stdout:\n{}\n--- stderr:\n{}",
            self.status,
            self.text(),
            self.stderr
        );
        self
    }
}

/// A program under way. Dropped, it is killed with its whole group.
pub struct Running {
    name: String,
    group: Pid,
    output: Receiver<Output>,
}

/// Starts `command` with `input` as its standard input.
pub fn start(mut command: Command, input: impl Into<Vec<u8>>) -> Running {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    let group = Pid::from_child(&child);
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.into();
    // A program may end without reading all of its input.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let (sender, output) = channel();
    thread::spawn(move || drop(sender.send(collect(child))));
    Running {
        name,
        group,
        output,
    }
}

/// Runs `command` to its end.
#[track_caller]
pub fn run(command: Command, input: impl Into<Vec<u8>>) -> Output {
    start(command, input).wait()
}

/// Waits for what another program does; fails the test if it never comes.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Running {
    /// The program's process id, which is its group's as well.
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// Sends `signal` to the program alone, as a service manager or `kill` does.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.group, signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Waits for the end, and fails the test if it does not come.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        self.ends()
    }

    /// The same for one that is part of something.
    #[track_caller]
    pub fn ends(&mut self) -> Output {
        let name = self.name.clone();
        self.ends_within(LIMIT).unwrap_or_else(|output| {
            panic!(
                "{name} did not end in {LIMIT:?}\n--- stdout:\n{}\n--- stderr:\n{}",
                output.text(),
                output.stderr
            )
        })
    }

    /// Waits for the end. After `limit` the group is killed, and what there was until then is the error.
    pub fn wait_at_most(mut self, limit: Duration) -> Result<Output, Output> {
        self.ends_within(limit)
    }

    fn ends_within(&mut self, limit: Duration) -> Result<Output, Output> {
        if let Ok(output) = self.output.recv_timeout(limit) {
            return Ok(output);
        }
        self.kill();
        Err(self.output.recv().expect("a killed program ends"))
    }

    fn kill(&self) {
        // It fails where nothing of the group is left.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Both outputs to their ends, then the status: a grandchild that outlives the program holds its pipes open.
fn collect(mut child: Child) -> Output {
    let mut stderr_pipe = child.stderr.take().expect("stderr is a pipe");
    let stderr = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr_pipe.read_to_end(&mut bytes).expect("read stderr");
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut stdout = Vec::new();
    let mut stdout_pipe = child.stdout.take().expect("stdout is a pipe");
    stdout_pipe.read_to_end(&mut stdout).expect("read stdout");
    Output {
        stderr: stderr.join().expect("the reader of stderr ends well"),
        status: child.wait().expect("wait for a child"),
        stdout,
    }
}
