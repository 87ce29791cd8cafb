//! Arguments in, exit status out.

use backupkit::cancel::{Cancel, Cause};
use backupkit::cli::{self, Asked, Command, StatusReader};
use backupkit::daemon::pid1;
use backupkit::error::{Doing, Error, Result};
use backupkit::process::confine::entrance;
use backupkit::text::ours;
use backupkit::{app, logging, output};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn main() -> ExitCode {
    // before anything that can fail
    let reader = StatusReader::of(std::env::args_os().skip(1));
    if let Some(status) = reader.of_panic() {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            usual(what);
            std::process::exit(status);
        }));
    }
    // before any thread: what this takes away, it takes from one thread
    match entrance::enter(std::env::args_os()) {
        None => {}
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => return tell(&error, reader, false, false),
    }
    // passwords are in our environment and memory, and what a drill starts may be of the same user
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        let error = Error::from(std::io::Error::from(error));
        return tell(
            &error.doing("cannot close our memory to other processes"),
            reader,
            false,
            false,
        );
    }
    let asked = match cli::parse(std::env::args_os().skip(1)) {
        Ok(asked) => asked,
        Err(error) => {
            let asked = |option: &str| std::env::args_os().any(|word| word == option);
            return tell(&error, reader, asked("--json"), asked("--nagios"));
        }
    };
    match asked {
        Asked::Text(text) => match output::text_out(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => tell(&error, reader, false, false),
        },
        Asked::For(command) => {
            logging::start(command.verbose(), command.quiet());
            if let Some(path) = command.config() {
                ours::name_configuration(path);
            }
            match run(&command, reader) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => tell(&error, reader, command.json(), command.nagios()),
            }
        }
    }
}

fn run(command: &Command, reader: StatusReader) -> Result<()> {
    survive_large_files()?;
    let cancel = Cancel::new()?;
    match command {
        Command::Daemon(options) if !options.dry_run && pid1::is_first() => {
            return pid1::supervise();
        }
        // to it signals are events, and SIGHUP one of another kind
        Command::Daemon(_) => {}
        _ => cancel_on_signals(&cancel, reader)?,
    }
    app::run(command, &cancel)
}

/// A file that grows past the limit of this user (`ulimit -f`) is an error of the write, and not the end of the program.
fn survive_large_files() -> Result<()> {
    let heard = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, heard)
        .map(|_| ())
        .doing(|| "cannot watch for signals")
}

/// The first SIGINT, SIGTERM or SIGHUP stops the run tidily, a second one at once.
fn cancel_on_signals(cancel: &Cancel, reader: StatusReader) -> Result<()> {
    let mut watched = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        watched.push(SIGHUP);
    }
    let mut signals = Signals::new(watched).doing(|| "cannot watch for signals")?;
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut stopping = false;
            for signal in signals.forever() {
                if stopping {
                    std::process::exit(reader.at_once(signal));
                }
                stopping = true;
                cancel.cancel(Cause::Signal(signal));
            }
        })
        .map(|_| ())
        .doing(|| "cannot watch for signals")
}

/// True for a signal that our parent, such as nohup, has had ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Prints what went wrong, once, and makes it the exit status. As a monitoring plugin, what cannot be found out is unknown.
fn tell(error: &Error, reader: StatusReader, json: bool, nagios: bool) -> ExitCode {
    if error.is_told() {
        return ExitCode::from(reader.status(error));
    }
    logging::tell_failure(&error.report());
    // stdout may be what failed
    let _ = match (nagios, json) {
        (true, _) => output::line(&output::nagios_line("UNKNOWN", &error.chain())),
        (false, true) => output::json(&output::error_line(error)),
        (false, false) => Ok(()),
    };
    match nagios {
        true => ExitCode::from(3),
        false => ExitCode::from(reader.status(error)),
    }
}
