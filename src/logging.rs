//! Log lines on stderr: plain on a terminal and in the journal, which have their own clocks, else with the time.

use crate::progress;
use log::{Level, LevelFilter};
use std::io::{self, IsTerminal, Write};

/// Sets the logger up: warnings and errors, and with `verbose` everything of ours.
pub fn start(verbose: bool) {
    let level = if verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    };
    let terminal = io::stderr().is_terminal();
    let dated = !terminal && std::env::var_os("JOURNAL_STREAM").is_none();
    let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let started = env_logger::Builder::new()
        .filter_module("backupkit", level)
        .target(env_logger::Target::Pipe(Box::new(Lines(Vec::new()))))
        .format(move |out, record| {
            if dated {
                write!(out, "{} ", chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ"))?;
            }
            let (word, colour) = match record.level() {
                Level::Error => ("error: ", "31"),
                Level::Warn => ("warning: ", "33"),
                Level::Info => ("", ""),
                Level::Debug | Level::Trace => ("debug: ", "2"),
            };
            if coloured && !word.is_empty() {
                writeln!(out, "\x1b[{colour}m{word}\x1b[0m{}", record.args())
            } else {
                writeln!(out, "{word}{}", record.args())
            }
        })
        .try_init();
    // a second start in one process (tests) keeps the first logger
    let _ = started;
}

/// Passes whole lines on to [`progress::say`].
struct Lines(Vec<u8>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            progress::say(String::from_utf8_lossy(&line[..end]).as_ref());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
