//! Log lines on stderr: plain on a terminal and in the journal, which have their own clocks, else with the time.
//! In the journal each line begins with its priority, such as `<4>` for a warning (sd-daemon(3)).

use crate::progress;
use crate::text::escape::printable_lines;
use log::{Level, LevelFilter};
use std::io::{self, IsTerminal, Write};

/// Sets the logger up: what is worth knowing, with `verbose` everything of ours, and with `quiet` warnings and errors alone.
pub fn start(verbose: bool, quiet: bool) {
    let level = match (verbose, quiet) {
        (true, _) => LevelFilter::Debug,
        (false, true) => LevelFilter::Warn,
        (false, false) => LevelFilter::Info,
    };
    let terminal = io::stderr().is_terminal();
    let journal = is_journal(&io::stderr());
    let dated = !terminal && !journal;
    let coloured = is_coloured(&io::stderr());
    let started = env_logger::Builder::new()
        .filter_module("backupkit", level)
        .target(env_logger::Target::Pipe(Box::new(LogLines(Vec::new()))))
        .format(move |out, record| {
            if dated {
                write!(out, "{} ", chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ"))?;
            }
            let (word, colour, priority) = match record.level() {
                Level::Error => ("error: ", "31", 3),
                Level::Warn => ("warning: ", "33", 4),
                Level::Info => ("", "", 6),
                Level::Debug | Level::Trace => ("debug: ", "2", 7),
            };
            let told = printable_lines(&record.args().to_string());
            if journal {
                // to which each line is an entry of its own
                let text = format!("{word}{told}");
                let mut lines = text.lines();
                lines.try_for_each(|line| writeln!(out, "<{priority}>{line}"))
            } else if coloured && !word.is_empty() {
                writeln!(out, "\x1b[{colour}m{word}\x1b[0m{told}")
            } else {
                writeln!(out, "{word}{told}")
            }
        })
        .try_init();
    // a second start in one process (tests) keeps the first logger
    let _ = started;
}

/// True where stderr is the journal and not only something that was started by a service.
fn is_journal(stderr: &io::Stderr) -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(stderr)
        .is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

/// True where `stream` shows colours and nobody asked for none, by NO_COLOR (no-color.org), CLICOLOR=0 or TERM=dumb.
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    stream.is_terminal()
        && variable("NO_COLOR").is_empty()
        && variable("CLICOLOR") != "0"
        && variable("TERM") != "dumb"
}

/// The last words of a run that failed.
pub fn tell_failure(report: &str) {
    let lead = match is_coloured(&io::stderr()) {
        true => "\x1b[31mbackupkit:\x1b[0m ",
        false => "backupkit: ",
    };
    progress::say(lead, report);
}

/// Passes whole lines on to [`progress::say_as_it_is`].
struct LogLines(Vec<u8>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            progress::say_as_it_is(String::from_utf8_lossy(&line[..end]).as_ref());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
