//! Our own commands as a person can type them after this one.

use super::shell::word;
use std::path::Path;
use std::sync::OnceLock;

/// The configuration that the command line named, if it did.
static NAMED: OnceLock<String> = OnceLock::new();

/// Says once which configuration the command line named, so that commands that are told name it too.
pub fn name_configuration(path: &Path) {
    // a path that is no text cannot be typed either
    if let Some(path) = path.to_str() {
        let _ = NAMED.set(word(path));
    }
}

/// `backupkit list`, with the configuration where this run has one by its command line.
pub fn command(rest: &str) -> String {
    match NAMED.get() {
        Some(path) => format!("backupkit -c {path} {rest}"),
        None => format!("backupkit {rest}"),
    }
}
