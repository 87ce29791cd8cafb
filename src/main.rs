//! Arguments in, exit status out.

use backupkit::cancel::{Cancel, Cause};
use backupkit::cli::{self, Asked, Command};
use backupkit::error::{Doing, Error, Result};
use backupkit::{app, logging, output, progress};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = match cli::parse(std::env::args_os().skip(1)) {
        Ok(asked) => asked,
        Err(error) => return tell(&error, false),
    };
    match asked {
        Asked::Text(text) => match output::text_out(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => tell(&error, false),
        },
        Asked::For(command) => {
            logging::start(command.verbose());
            match run(&command) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => tell(&error, command.json()),
            }
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let cancel = Cancel::new()?;
    // cat has nothing to tidy up, and no token wakes it from writing to somebody who does not read
    if !matches!(command, Command::Cat(_)) {
        cancel_on_signals(&cancel)?;
    }
    app::run(command, &cancel)
}

/// The first SIGINT or SIGTERM stops the run tidily, a second one at once.
fn cancel_on_signals(cancel: &Cancel) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).doing(|| "cannot watch for signals")?;
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut stopping = false;
            for signal in signals.forever() {
                if stopping {
                    std::process::exit(128 + signal);
                }
                stopping = true;
                cancel.cancel(Cause::Signal(signal));
            }
        })
        .map(|_| ())
        .doing(|| "cannot watch for signals")
}

/// Prints what went wrong, once, and makes it the exit status.
fn tell(error: &Error, json: bool) -> ExitCode {
    if !error.is_told() {
        progress::say(&format!("backupkit: {}", error.report()));
        if json {
            // stdout may be what failed
            let _ = output::line(&output::error_line(error).to_string());
        }
    }
    ExitCode::from(error.kind().exit_status())
}
