//! The composition root: configuration to storages, keys and tools, and those to one operation.

mod ask;
mod backup;
mod base_restore;
mod cat;
mod compose;
mod context;
pub mod daemon;
mod diff;
mod failure_here;
pub mod fallback;
mod init;
mod limit;
mod list;
mod minutes;
mod missing_copies;
mod notify;
mod overall_status;
mod packaged_units;
pub mod post_backup;
mod recovery;
pub mod reference;
mod restore;
mod restore_login;
mod retention;
mod service_user;
mod status;
pub mod test;
mod unattended;
mod undone;
mod verify;
mod wal;

use crate::cancel::Cancel;
use crate::cli::Command;
use crate::completion;
use crate::config::{self, process_env};
use crate::error::{Error, Kind, Result};
use crate::format::seal::Derivations;
use crate::output;
use context::App;

/// Carries one command out.
pub fn run(command: &Command, cancel: &Cancel) -> Result<()> {
    // the packages are made where there is no configuration
    if let Command::Completion(options) = command
        && let Some(script) = completion::script(options.subject)
    {
        return output::text_out(&script);
    }
    let path = config::find(command.config().map(|path| path.as_path()), &process_env);
    if let Command::Init(options) = command {
        return init::run(options, &path, cancel);
    }
    if let Command::Status(options) = command
        && options.daemon
    {
        return status::daemon(options, &path);
    }
    let app = match command {
        Command::WalPush(_) | Command::WalFetch(_) => {
            App::load_silently(&path, &Derivations::new())?
        }
        _ => App::load(&path, &Derivations::new())?,
    };
    match command {
        // needs no configuration
        Command::Init(_) => Ok(()),
        Command::Test(options) => app.check(options, &path, cancel),
        Command::Daemon(options) => daemon::run(app, options, &path),
        Command::Backup(options) => app.backup(options, cancel),
        Command::Restore(options) => app.restore(options, cancel),
        Command::Status(options) => app.status(options, &path, cancel),
        Command::List(options) => app.list(options, cancel),
        Command::Verify(options) => app.verify(options, cancel),
        Command::Diff(options) => app.diff(options, cancel),
        Command::Cat(options) => app.cat(options, cancel),
        Command::Prune(options) => app.prune(options, cancel),
        Command::Pin(options) => app.pin(&options.into(), cancel),
        Command::Unpin(options) => app.pin(&options.into(), cancel),
        Command::WalPush(options) => app.wal_push(options, cancel),
        Command::WalFetch(options) => match app.wal_fetch(options, cancel)? {
            true => Ok(()),
            false => Err(Error::already_told(Kind::NotFound)),
        },
        Command::Completion(_) => app.database_names(),
    }
}
