//! Who logs in to restore, and where: the options of `restore`, else `restore.connection`, else who backs up.

use super::ask::Terminal;
use super::compose::session_of;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::cli::RestoreArgs;
use crate::config::{Connection, SourceSettings, process_env};
use crate::error::{Error, Result};
use crate::files::exposed;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::secret::Secret;
use crate::text::escape::printable;
use crate::yaml::secret_file::read_file;
use std::path::Path;

/// The server, the login and the database that `--to` may replace.
pub(super) fn session(
    database: &SourceSettings,
    options: &RestoreArgs,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Session> {
    let mut connection = database.restore_connection(&process_env)?;
    let known = connection.clone();
    if let Some(host) = &options.host {
        connection.go_to(host);
    }
    if let Some(port) = options.port {
        connection.port = port;
    }
    if let Some(user) = &options.user {
        connection.log_in_as(user);
    }
    if options.backup_first {
        require_same_place(&connection, database)?;
    }
    connection.password = match &options.db_password_file {
        Some(path) => Some(password_in(path)?),
        None => {
            let password = database.restore_password(&connection.user, &process_env)?;
            if password.is_some() && connection.host != known.host {
                log::warn!(
                    "the password that the configuration has for {} at {} is sent to {}: if another server is to have another \
                     one, name it with --db-password-file",
                    printable(&connection.user),
                    printable(&known.host),
                    printable(&connection.host)
                );
            }
            password
        }
    };
    if connection.password.is_none() {
        connection.password = asked_for(&connection, tools, cancel)?;
    }
    Ok(session_of(connection))
}

fn password_in(path: &Path) -> Result<Secret> {
    let password = read_file(path).map_err(|error| error.doing("--db-password-file"))?;
    if password.is_empty() {
        return Err(
            Error::usage(format!("--db-password-file: {} is empty", path.display())).hint(
                "write the password into it, or leave the option out where the server wants none",
            ),
        );
    }
    if exposed::to_every_user(path).unwrap_or(false) {
        let path = path.display();
        log::warn!(
            "{path} can be read by every user of this machine and holds a password: chmod o= {path}"
        );
    }
    Ok(password)
}

/// The password of whom nobody has told, where the server wants one, libpq knows none, and someone can answer.
fn asked_for(connection: &Connection, tools: &Tools, cancel: &Cancel) -> Result<Option<Secret>> {
    let Some(terminal) = Terminal::here(cancel) else {
        return Ok(None);
    };
    let client = Client::new(tools, session_of(connection.clone()), APPLICATION, cancel)?;
    if !client.is_available() {
        return Ok(None);
    }
    match client.query("SELECT 1") {
        Err(error) if error.cause() == Some(FailureCause::PasswordMissing) => {
            let question = format!("Password of {}, not shown", printable(&connection.user));
            let password = terminal.ask_secret(&question)?;
            Ok(Some(password).filter(|password| !password.is_empty()))
        }
        // the restore says what else is wrong
        _ => cancel.check().map(|()| None),
    }
}

/// What is backed up first has to be what is then replaced.
fn require_same_place(connection: &Connection, database: &SourceSettings) -> Result<()> {
    let backed_up = database.backup_place(&process_env)?;
    let place = |of: &Connection| format!("{}:{}/{}", of.host, of.port, of.database);
    match place(connection) == place(&backed_up) {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "--backup-first backs up {}, and the restore goes to {}",
            place(&backed_up),
            place(connection)
        ))
        .hint("leave --backup-first out, and keep what the target holds in another way if it is worth it")),
    }
}
