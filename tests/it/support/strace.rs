//! The program under strace, which lets a chosen system call fail, or the program die in it, and tells which
//! programs were started with what.

use super::sandbox::Sandbox;
use std::collections::HashMap;
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

    /// All lines: a system call each, also where strace told of it in two parts because another process came between.
    pub fn lines(&self) -> Vec<String> {
        let log = fs::read(&self.log).expect("strace is installed and writes its log");
        let mut begun: HashMap<&str, &str> = HashMap::new();
        let text = String::from_utf8_lossy(&log);
        let mut calls = Vec::new();
        for line in text.lines() {
            let process = line.split(' ').next().unwrap_or_default();
            if let Some(begin) = line.strip_suffix(" <unfinished ...>") {
                begun.insert(process, begin);
            } else if let Some((_, end)) = line.split_once(" resumed>") {
                calls.push(begun.remove(process).unwrap_or_default().to_string() + end);
            } else {
                calls.push(line.to_string());
            }
        }
        calls.extend(begun.into_values().map(str::to_string));
        calls
    }
}
