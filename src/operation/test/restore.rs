//! Whether the login that a restore uses could bring a database back: make it, and give everything in it to its owners.

use super::Finding;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Error, Result};
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::databases;
use crate::postgres::quoting::identifier;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::source::logical::restore::LoginLacks;

/// So many of a kind are named.
const NAMED: usize = 5;

/// Looks at what is in the database, by `backs_up`, and at what `restores` may do, which is the login of `restore.connection`
/// where that `is_own`. Nothing that it finds keeps a backup from being made. Only a signal is an error.
pub fn run(
    name: &str,
    backs_up: &Session,
    restores: &Session,
    is_own: bool,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Option<Finding>> {
    let subject = format!("restore of {name}");
    let client = |session: &Session| {
        let client = Client::new(tools, session.clone(), APPLICATION, cancel);
        client.and_then(Client::required)
    };
    let login = match client(restores).and_then(|client| at_its_server(&client)) {
        Ok(login) => login,
        Err(error) => {
            cancel.check()?;
            // told of where it backs up
            return Ok(is_own.then(|| unreachable(&subject, restores, error)));
        }
    };
    let asked = client(backs_up).and_then(|database| LoginLacks::ask(&database, &login));
    match asked {
        Ok(lacks) => Ok(Some(judge(&subject, &lacks, is_own))),
        Err(error) => {
            cancel.check()?;
            log::debug!("{subject}: {}", error.chain());
            Ok(None)
        }
    }
}

/// The login at its database, or at another of the server where that is not there.
fn at_its_server(login: &Client) -> Result<Client> {
    match login.query("SELECT 1") {
        Ok(_) => Ok(login.clone()),
        Err(error) if error.cause() == Some(FailureCause::DatabaseUnavailable) => {
            databases::maintenance(login, login.database())
        }
        Err(error) => Err(error),
    }
}

fn unreachable(subject: &str, session: &Session, error: Error) -> Finding {
    let is_asked_for = error.cause() == Some(FailureCause::PasswordMissing);
    let (user, shown) = (session.user(), session.shown());
    let error = error.doing(format!("cannot connect to {shown} as {user}"));
    let check = Finding::broken(subject, &error).as_warning();
    match is_asked_for {
        true => check.fix(
            "a restore asks for the password on a terminal; or name its file as restore.connection.password_file",
        ),
        false => {
            check.or_fix("see that the server runs, and that restore.connection is right")
        }
    }
}

fn judge(subject: &str, lacks: &LoginLacks, is_own: bool) -> Finding {
    let role = &lacks.role;
    let to = identifier(role);
    let (mut what, mut fix) = (Vec::new(), Vec::new());
    if lacks.databases {
        what.push("may not create databases".to_string());
        fix.push(format!("ALTER ROLE {to} CREATEDB"));
    }
    if !lacks.owners.is_empty() {
        what.push(format!(
            "is no member of {}, to whom some of it belongs",
            some(&lacks.owners)
        ));
        let to_grant: Vec<String> = lacks
            .owners
            .iter()
            .filter(|owner| !lacks.superuser_owners.contains(owner))
            .map(|owner| identifier(owner))
            .collect();
        if !to_grant.is_empty() {
            fix.push(format!("GRANT {} TO {to}", to_grant.join(", ")));
        }
    }
    if !lacks.extensions.is_empty() {
        let extensions = some(&lacks.extensions);
        what.push(format!(
            "may not create the extension {extensions}, as only a superuser may"
        ));
    }
    if !lacks.superusers.is_empty() {
        let objects = some(&lacks.superusers);
        what.push(format!("may not make {objects}, as only a superuser may"));
    }
    if !lacks.roles.is_empty() {
        what.push(format!(
            "finds no role {} on its server",
            some(&lacks.roles)
        ));
    }
    if what.is_empty() {
        let why = match lacks.is_superuser {
            true => "a superuser",
            false => "who may create databases and act for all owners",
        };
        return Finding::ok(subject, format!("logs in as {role}, {why}"));
    }
    let what = format!("{role} {}", what.join(", and "));
    if let Some(acting) = &lacks.acting {
        return Finding::warn(subject, what).fix(acting.way_back());
    }
    let of_superusers = !lacks.extensions.is_empty() || !lacks.superusers.is_empty();
    let mut ways = Vec::new();
    if !is_own {
        ways.push("name a login that may as restore.connection of this database, or restore with --user; \
                   see A LOGIN FOR RESTORES in backupkit.yaml(5)".to_string());
    } else if of_superusers {
        ways.push("restore as a superuser, or have that made beforehand".to_string());
    }
    if is_own && !lacks.superuser_owners.is_empty() {
        ways.push(format!(
            "restore with --no-owner or as a superuser, or give what belongs to {} to another role with ALTER … OWNER TO",
            some(&lacks.superuser_owners)
        ));
    }
    if is_own && !fix.is_empty() {
        ways.push(fix.join("; "));
    }
    if !lacks.roles.is_empty() {
        ways.push(
            "restore with --globals, where backup.globals stores the roles beside the backup"
                .into(),
        );
    }
    Finding::warn(subject, what).fix(ways.join("; "))
}

/// The first of them, and how many more there are.
fn some(names: &[String]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
