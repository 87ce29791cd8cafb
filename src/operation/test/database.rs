//! The server, the tools for it, and what the role may read.

use super::Finding;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::pooler;
use crate::postgres::quoting::identifier;
use crate::postgres::rights;
use crate::postgres::search_path;
use crate::postgres::server::ServerIdentity;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::postgres::version::ServerVersion;
use crate::source::logical::drill;
use crate::source::logical::drill::options::DrillOptions;

/// What the configuration wants of a database besides a dump.
pub struct Wanted<'a> {
    /// Options leave part of it out, so that what may not be read need not be in the way.
    pub chosen: bool,
    /// The roles of its server, too.
    pub globals: bool,
    /// Its backups are drilled on a schedule.
    pub drill: Option<&'a DrillOptions>,
}

/// Connects, chooses the tools, and looks for what pg_dump will not be allowed to read. Only a signal is an error.
pub fn run(
    name: &str,
    session: &Session,
    tools: &Tools,
    wanted: &Wanted,
    cancel: &Cancel,
) -> Result<Vec<Finding>> {
    let subject = format!("database {name}");
    let mut checks = Vec::new();
    let client = Client::new(tools, session.clone(), APPLICATION, cancel);
    let client = match client.and_then(Client::required) {
        Ok(client) => client,
        Err(error) => {
            cancel.check()?;
            // a backup does without it, and then takes the newest pg_dump
            checks.push(Finding::broken(&subject, &error).as_warning());
            checks.extend(choose(&subject, None, tools, wanted, cancel));
            return Ok(checks);
        }
    };
    let server = match client.identity() {
        Ok(server) => server,
        Err(error) => {
            cancel.check()?;
            let error = error.doing(format!("cannot connect to {}", session.shown()));
            checks.push(Finding::broken(&subject, &error).or_fix(
                "see that the server runs, and that connection.host and connection.port are right",
            ));
            checks.extend(choose(&subject, None, tools, wanted, cancel));
            return Ok(checks);
        }
    };
    let standby = if server.standby { ", a standby" } else { "" };
    let acting = match server.role == server.login {
        true => String::new(),
        false => format!(", which acts as {}", server.role),
    };
    checks.push(Finding::ok(
        &subject,
        format!(
            "PostgreSQL {}{standby} at {} as {}{acting}",
            server.version,
            session.shown(),
            server.login
        ),
    ));
    if let Err(error) = pooler::require_own_session(&client) {
        cancel.check()?;
        checks.push(Finding::broken(&subject, &error));
    }
    checks.extend(speaks(&subject, &client)?);
    checks.extend(choose(&subject, Some(server.number), tools, wanted, cancel));
    checks.push(readable(&subject, &client, &server, wanted.chosen)?);
    checks.extend(findable(&subject, &client)?);
    if let Some(options) = wanted.drill {
        let subject = format!("drill of {name}");
        match drill::can_be_held(options, server.number.major, cancel) {
            Ok(place) => {
                checks.push(Finding::ok(&subject, place.what));
                checks.extend(
                    place
                        .gap
                        .map(|gap| Finding::warn(&subject, gap.what()).fix(gap.fix())),
                );
            }
            Err(error) => {
                cancel.check()?;
                // the next backup will work without it
                let check = Finding::broken(&subject, &error).as_warning();
                checks.push(
                    check.or_fix("see that the server runs, and that drill.connection is right"),
                );
            }
        }
    }
    Ok(checks)
}

/// A warning where what the server refuses will not be understood, for it speaks another language and this role may not
/// change that.
fn speaks(subject: &str, client: &Client) -> Result<Option<Finding>> {
    let Ok(Some(language)) = client.in_english()?.foreign_language() else {
        return client.cancel().check().map(|()| None);
    };
    let what = format!(
        "the server's messages are in another language (lc_messages is {language}), so that hints on failures will be missing"
    );
    let role = identifier(client.session().user());
    let fix = format!("as a superuser: ALTER ROLE {role} SET lc_messages = 'C'");
    Ok(Some(Finding::warn(subject, what).fix(fix)))
}

/// The pg_dump, and pg_dumpall, that a backup takes and the pg_restore that a restore of it into the same server takes.
fn choose(
    subject: &str,
    version: Option<ServerVersion>,
    tools: &Tools,
    wanted: &Wanted,
    cancel: &Cancel,
) -> Vec<Finding> {
    let server = version.map(|version| version.major);
    let pg_dump = match tools.pg_dump(server, cancel) {
        Ok(tool) => tool,
        Err(error) => return vec![Finding::broken(subject, &error)],
    };
    let restores = match tools.pg_restore(pg_dump.major, server, cancel) {
        Ok(tool) => Finding::ok(subject, format!("restores with {tool}")),
        Err(error) => Finding::broken(subject, &error),
    };
    let dumps = Finding::ok(subject, format!("dumps with {pg_dump}"));
    let mut checks = vec![dumps, restores];
    let behind = version.and_then(|version| pg_dump.behind(version));
    checks.extend(behind.map(|what| {
        let major = pg_dump.major;
        let fix = format!("update the package postgresql-client-{major} on this machine");
        Finding::warn(subject, what).fix(fix)
    }));
    if wanted.globals {
        checks.push(match tools.pg_dumpall(server, cancel) {
            Ok(tool) => Finding::ok(subject, format!("dumps roles and tablespaces with {tool}")),
            Err(error) => Finding::broken(subject, &error),
        });
    }
    checks
}

fn readable(
    subject: &str,
    client: &Client,
    server: &ServerIdentity,
    chosen: bool,
) -> Result<Finding> {
    let found = match rights::unreadable(client) {
        Ok(found) => found,
        Err(error) => {
            client.cancel().check()?;
            return Ok(Finding::broken(
                subject,
                &error.doing("cannot ask for rights"),
            ));
        }
    };
    if found.count == 0 {
        return Ok(Finding::ok(subject, "every table can be read"));
    }
    let more = match found.count - found.names.len() as u64 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!("cannot read {}{more}", found.names.join(", "));
    let role = identifier(&server.role);
    let remedies = [
        (
            found.lacks_rights,
            format!("GRANT pg_read_all_data TO {role}"),
        ),
        (found.row_security, format!("ALTER ROLE {role} BYPASSRLS")),
        (
            found.large_objects,
            format!("ALTER ROLE {role} SET lo_compat_privileges = on, by a superuser"),
        ),
    ];
    let needed: Vec<String> = remedies
        .into_iter()
        .filter_map(|(needed, remedy)| needed.then_some(remedy))
        .collect();
    let mut fix = format!("{}; or back up as the owner", needed.join("; "));
    if let Some(acting) = &server.acting {
        fix = format!("{}; or {fix}", acting.way_back());
    }
    let check = Finding::fail(subject, what).fix(fix);
    Ok(match chosen {
        true => check.as_warning(),
        false => check,
    })
}

/// A warning for each function that a restore calls and that will not find what it names.
fn findable(subject: &str, client: &Client) -> Result<Vec<Finding>> {
    let pathless = match search_path::pathless_functions(client) {
        Ok(found) => found,
        Err(error) => {
            client.cancel().check()?;
            let error = error.doing("cannot ask for functions without a search path");
            return Ok(vec![Finding::broken(subject, &error).as_warning()]);
        }
    };
    let warn = |found: search_path::PathlessFunction| {
        let what = format!(
            "{} is used by {}, and names something without its schema: a restore has no search path, and will not find it",
            found.function, found.used_by
        );
        Finding::warn(subject, what).fix(format!(
            "ALTER FUNCTION {} SET search_path = …, the schemas of what it names, then back up again",
            found.function
        ))
    };
    Ok(pathless.into_iter().map(warn).collect())
}
