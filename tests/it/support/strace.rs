//! The program under strace, which lets a chosen system call fail, or the program die in it, and tells which
//! programs were started with what.

use super::sandbox::Sandbox;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A run under strace. What it saw lies in a file of the sandbox.
pub struct Trace {
    log: PathBuf,
}

impl Trace {
    /// `backupkit ARGUMENTS`, ready to start under strace with these options of its own. Without `-f` it sees the
    /// main thread alone, which is the one that writes to the storage.
    pub fn command(sandbox: &Sandbox, options: &[&str], arguments: &[&str]) -> (Command, Trace) {
        let log = sandbox.path("strace.log");
        let program = sandbox.command(arguments);
        let mut command = Command::new("strace");
        command.args(["-qq", "-o"]).arg(&log).args(options);
        command
            .arg("--")
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(
                program
                    .get_current_dir()
                    .expect("a sandbox has a directory"),
            );
        (command, Trace { log })
    }

    /// True if the fault that strace was asked for has come to pass.
    pub fn injected(&self) -> bool {
        self.lines().iter().any(|line| line.contains("(INJECTED)"))
    }

    /// All lines: a system call each.
    pub fn lines(&self) -> Vec<String> {
        let log = fs::read(&self.log).expect("strace is installed and writes its log");
        let text = String::from_utf8_lossy(&log);
        text.lines().map(str::to_string).collect()
    }
}
