//! The database password on its way to a program: in the environment of that one child, which no other user can read, and
//! never in an argument, a file or the environment of any other child.

use crate::secret::Secret;
use std::process::Command;

/// The variable in which libpq looks for it.
const VARIABLE: &str = "PGPASSWORD";

/// Gives `password` to the program that `command` will start.
pub(super) fn hand_over(password: &Secret, command: &mut Command) {
    command.env(VARIABLE, password.expose());
}
