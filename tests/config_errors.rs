//! What people read when a configuration file is wrong: bad files beside the exact texts.
//!
//! Each case of `tests/config/errors.txt` is a file and, after a line of `=`, the report it must give.
//! To see what the program says now, run with `BLESS=1` and look at the difference.

use backupkit::config::{Config, Env};
use std::ffi::OsString;
use std::path::Path;

fn no_env(_: &str) -> Option<OsString> {
    None
}

fn report(text: &str, env: &Env) -> String {
    match Config::parse("config.yaml", text, env) {
        Ok(config) => format!("no error, warnings: {:?}", config.warnings),
        Err(error) => {
            assert_eq!(error.kind().exit_status(), 2);
            error.report()
        }
    }
}

#[test]
fn every_bad_file_gets_exactly_its_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/errors.txt");
    let cases = std::fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    for case in cases.split("\n########\n") {
        let (file, _) = case.split_once("\n========\n").unwrap_or((case, ""));
        if !now.is_empty() {
            now.push_str("\n########\n");
        }
        now.push_str(&format!("{file}\n========\n{}", report(file, &no_env)));
    }
    now.push('\n');
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    for (expected, now) in cases.split("\n########\n").zip(now.split("\n########\n")) {
        assert_eq!(now, expected);
    }
}
