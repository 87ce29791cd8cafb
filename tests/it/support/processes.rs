//! The processes of this machine, as `/proc` shows them.

use super::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::ops::Deref;
use std::path::Path;

/// A process, as it was a moment ago.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    /// The program's file name.
    pub name: String,
    /// Its arguments, each ended by a zero byte.
    pub arguments: Vec<u8>,
    /// Its environment, each variable ended by a zero byte. Empty where it may not be read.
    pub environment: Vec<u8>,
}

impl Process {
    fn look(pid: Pid) -> Option<Process> {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
        Some(Process {
            pid,
            name: String::from_utf8_lossy(&file("comm").ok()?)
                .trim_end()
                .to_string(),
            arguments: file("cmdline").ok()?,
            environment: file("environ").unwrap_or_default(),
        })
    }

    /// Sends it a signal; it may have ended meanwhile.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// One of the fields of `/proc/PID/status`; `None` once the process has ended.
    pub fn status(&self, field: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim_start_matches(':').trim().to_string())
    }

    /// True once it runs no more, whether or not its parent has noticed.
    pub fn has_ended(&self) -> bool {
        self.status("State")
            .is_none_or(|state| state.starts_with('Z'))
    }

    /// Stops it where it is, and returns once it has stopped.
    #[track_caller]
    pub fn freeze(&self) -> Frozen {
        self.signal(Signal::STOP);
        self.freezes_itself()
    }

    /// The same, of one that may end before it stops.
    pub fn freeze_if_there(&self) -> Option<Frozen> {
        let frozen = Frozen(self.clone());
        self.signal(Signal::STOP);
        let stands = wait::until(
            &format!("{} has stopped or ended", self.name),
            || match self.status("State") {
                Some(state) if state.starts_with('T') => Some(true),
                Some(state) if !state.starts_with('Z') => None,
                _ => Some(false),
            },
        );
        stands.then_some(frozen)
    }

    /// Returns once it has stopped, of one that is about to stop itself: another signal could come before its own, which
    /// would then stop it for good.
    #[track_caller]
    pub fn freezes_itself(&self) -> Frozen {
        let frozen = Frozen(self.clone());
        wait::until(&format!("{} has stopped", self.name), || {
            let state = self.status("State").expect("it has not ended");
            state.starts_with('T').then_some(())
        });
        frozen
    }
}

/// A process that stands still until it is told to go on, or this is dropped: nothing frozen outlives a test.
#[must_use]
pub struct Frozen(Process);

impl Deref for Frozen {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

/// Every process.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Process::look(Pid::from_raw(pid)?))
        .collect()
}

/// The process with this id.
#[track_caller]
pub fn process(pid: Pid) -> Process {
    Process::look(pid).unwrap_or_else(|| panic!("there is no process {pid}"))
}

/// Those that were started by a program in `sandbox`, by whatever way: its directory is in their environment.
pub fn of(sandbox: &Path) -> Vec<Process> {
    let mark = sandbox.to_str().expect("a path in UTF-8").as_bytes();
    let mut processes = all();
    processes.retain(|process| contains(&process.environment, mark));
    processes
}

/// True if `needle` is in `bytes`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
