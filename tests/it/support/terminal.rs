//! The program on a terminal.

use super::program::{self, Output};
use super::sandbox::Sandbox;
use super::{part, repository};
use serde_json::json;
use std::process::Command;

/// Runs the program on a terminal and types each answer once its question has appeared; the standard output is what
/// the terminal showed.
pub fn on_a_terminal(sandbox: &Sandbox, arguments: &[&str], answers: &[(&str, &str)]) -> Output {
    let mut command = Command::new(part("python").join("bin/python3"));
    command
        .arg("-I")
        .arg(repository().join("tests/it/terminal.py"))
        .arg(env!("CARGO_BIN_EXE_backupkit"))
        .args(arguments);
    program::run(sandbox.inside(command), json!(answers).to_string())
}
