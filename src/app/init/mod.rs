//! `init`: from options, and on a terminal from answers, to a configuration.

mod bucket;
mod usual;

use super::ask::Terminal;
use super::packaged_units::{Admitted, FirstBackup};
use super::{packaged_units, unattended};
use crate::cancel::Cancel;
use crate::cli;
use crate::config::{check_host, process_env};
use crate::error::{Doing, Error, Result};
use crate::operation::init;
use crate::operation::init::answers::{Answers, Destination, Login};
use crate::operation::init::files::{Files, WrittenFiles};
use crate::output;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::databases;
use crate::postgres::pooler;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::secret::Secret;
use crate::text::escape::printable;
use crate::text::human::human_bytes;
use bucket::{ask_destination, checked};
use chrono::Utc;
use std::path::Path;
use usual::{REGION, usual_directory, variable};

/// Carries `init` out; `path` is the file to write.
pub(super) fn run(options: &cli::InitArgs, path: &Path, cancel: &Cancel) -> Result<()> {
    let path = std::path::absolute(path)
        .doing(|| format!("cannot resolve the path {}", path.display()))?;
    let files = Files::beside(path);
    if !options.force {
        files.require_none()?;
    }
    files.require_writable()?;
    let answers = match options.non_interactive {
        true => from_options(options)?,
        false => ask(options, &terminal(cancel)?, cancel)?,
    };
    let mut written = init::run(&answers, &files, &process_env, Utc::now())?;
    let admitted = packaged_units::admit(&files.configuration, cancel);
    if let Ok(admitted) = &admitted {
        written.files.extend(admitted.files.iter().cloned());
    }
    tell(&written)?;
    let admitted = admitted?;
    for left in &admitted.left {
        log::warn!("{}", packaged_units::warning(left));
    }
    say_what_follows(&files.configuration, &admitted);
    Ok(())
}

/// Somebody to ask.
fn terminal(cancel: &Cancel) -> Result<Terminal> {
    Terminal::here(cancel).ok_or_else(|| {
        Error::usage("init asks its questions on a terminal, and this is none").hint(
            "give the answers as options: backupkit init --non-interactive --database NAME ...; see backupkit init --help",
        )
    })
}

/// Everything from options and what can be known without them.
fn from_options(options: &cli::InitArgs) -> Result<Answers> {
    if options.database.is_empty() && options.cluster.is_none() {
        return Err(
            Error::usage("init --non-interactive needs --database or --cluster").hint(
                "the name of each database on the server: --database app --database shop; or for all of it --cluster main",
            ),
        );
    }
    let to = options.to.clone().unwrap_or_else(usual_directory);
    Ok(Answers {
        host: options.host.clone().unwrap_or_else(usual_host),
        port: options.port.unwrap_or_else(usual_port),
        user: options.user.clone().unwrap_or_else(usual_user),
        login: login_of(options)?.unwrap_or(Login::Libpq),
        databases: named_once(&options.database),
        cluster: options.cluster.clone(),
        destination: destination(&to, options)?,
        encrypt: !options.no_encryption,
    })
}

/// Everything that no option says is asked for.
fn ask(options: &cli::InitArgs, terminal: &Terminal, cancel: &Cancel) -> Result<Answers> {
    terminal.say("This writes a configuration. An empty answer takes what stands in brackets.")?;
    // what was answered before is what an empty answer takes when it is asked again
    let (mut usual_host, mut usual_port, mut usual_user) =
        (usual_host(), usual_port(), usual_user());
    let mut typed: Option<Secret> = None;
    let mut cluster = options.cluster.clone();
    let (host, port, user, login, databases) = loop {
        let host = match &options.host {
            Some(host) => host.clone(),
            None => terminal.ask_checked(
                "Server, by name, address or socket directory",
                &usual_host,
                check_host,
            )?,
        };
        let port = match options.port {
            Some(port) => port,
            None => terminal.ask_port("Port", usual_port)?,
        };
        let user = match &options.user {
            Some(user) => user.clone(),
            None => terminal.ask("User who backs up", &usual_user)?,
        };
        (usual_host, usual_port, usual_user) = (host.clone(), port, user.clone());
        let login = match login_of(options)? {
            Some(login) => login,
            None => {
                let empty = match &typed {
                    Some(_) => "as before",
                    None => ".pgpass, peer authentication or none",
                };
                let question = format!("Password of that user, not shown (empty: {empty})");
                let password = terminal.ask_secret(&question)?;
                typed = Some(password)
                    .filter(|password| !password.is_empty())
                    .or(typed);
                typed.clone().map_or(Login::Libpq, Login::Password)
            }
        };
        if !options.database.is_empty() || cluster.is_some() {
            break (host, port, user, login, named_once(&options.database));
        }
        match visible(&host, port, &user, &login, cancel) {
            Ok(found) => {
                let databases = choose(terminal, &found.databases)?;
                if found.may_replicate {
                    cluster = ask_cluster(terminal)?;
                }
                break (host, port, user, login, databases);
            }
            Err(error) => {
                cancel.check()?;
                terminal.say(&format!("Cannot look at that server: {}", error.report()))?;
                if !terminal.ask_yes("Try other answers?", true)? {
                    let databases = by_name(terminal)?;
                    break (host, port, user, login, databases);
                }
            }
        }
    };
    let destination = ask_destination(options, terminal, cancel)?;
    let encrypt = match options.no_encryption {
        true => false,
        false => terminal.ask_yes("Encrypt the backups?", true)?,
    };
    Ok(Answers {
        host,
        port,
        user,
        login,
        databases,
        cluster,
        destination,
        encrypt,
    })
}

fn destination(to: &str, options: &cli::InitArgs) -> Result<Destination> {
    let region = options.region.as_deref().unwrap_or(REGION);
    let destination = checked(to, region, options.endpoint.as_deref())?;
    let is_directory = matches!(destination, Destination::Directory(_));
    for (option, given) in [
        ("--region", &options.region),
        ("--endpoint", &options.endpoint),
    ] {
        if is_directory && given.is_some() {
            return Err(
                Error::usage(format!("{option} is for a bucket, and {to} is a directory")).hint(
                    format!("leave out {option}, or name the bucket: --to s3://BUCKET/PREFIX"),
                ),
            );
        }
    }
    Ok(destination)
}

fn login_of(options: &cli::InitArgs) -> Result<Option<Login>> {
    let Some(path) = &options.db_password_file else {
        return Ok(None);
    };
    let path = std::path::absolute(path)
        .doing(|| format!("cannot resolve the path {}", path.display()))?;
    Ok(Some(Login::File(path)))
}

/// What a login sees of a server.
struct VisibleServer {
    /// The databases and their sizes, the maintenance database only if there is no other.
    databases: Vec<(String, u64)>,
    /// It may back the whole of the server up.
    may_replicate: bool,
}

/// Whether the whole of the server is backed up as well, and under which name.
fn ask_cluster(terminal: &Terminal) -> Result<Option<String>> {
    let wanted = terminal.ask_yes(
        "This user may replicate. Back up the whole server as it lies on disk, as well?",
        false,
    )?;
    match wanted {
        true => terminal.ask("What is it to be called?", "main").map(Some),
        false => Ok(None),
    }
}

fn visible(
    host: &str,
    port: u16,
    user: &str,
    login: &Login,
    cancel: &Cancel,
) -> Result<VisibleServer> {
    let password = match login {
        Login::Libpq => None,
        Login::Password(password) => Some(password.clone()),
        Login::File(path) => {
            let text = std::fs::read_to_string(path)
                .doing(|| format!("cannot read {}", path.display()))?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
        }
    };
    let variables = [
        ("PGHOST", host.to_string()),
        ("PGPORT", port.to_string()),
        ("PGUSER", user.to_string()),
    ];
    let variables = variables.map(|(name, value)| (name.to_string(), value));
    let session = Session::new(
        variables.into(),
        password,
        "postgres",
        format!("{host}:{port}"),
    );
    let client = Client::new(&Tools::new(None), session, APPLICATION, cancel)?;
    let client = client.required()?;
    let mut found = databases::sizes(&client)?;
    if let Err(error) = pooler::require_own_session(&client) {
        cancel.check()?;
        log::warn!("{}", error.report());
    }
    if found.len() > 1 {
        found.retain(|(name, _)| name != "postgres");
    }
    let sql = "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user";
    Ok(VisibleServer {
        databases: found,
        may_replicate: client.query(sql)? == [["t"]],
    })
}

/// Offers what there is.
fn choose(terminal: &Terminal, found: &[(String, u64)]) -> Result<Vec<String>> {
    if found.is_empty() {
        terminal.say("There is no database that this user may connect to.")?;
        return by_name(terminal);
    }
    terminal.say("Databases there:")?;
    let width = found
        .iter()
        .map(|(name, _)| printable(name).chars().count())
        .max();
    let width = width.unwrap_or_default();
    for (index, (name, bytes)) in found.iter().enumerate() {
        let (number, size) = (index + 1, human_bytes(*bytes));
        let name = printable(name);
        terminal.say(&format!("  {number:>2}  {name:<width$}  {size:>10}"))?;
    }
    loop {
        let answer = terminal.ask(
            "Which to back up? Names or numbers with commas, or all",
            "all",
        )?;
        if answer == "all" {
            return Ok(found.iter().map(|(name, _)| name.clone()).collect());
        }
        let one = |word: &str| {
            let number = word.parse::<usize>().ok();
            let by_number = number.and_then(|number| found.get(number.checked_sub(1)?));
            let by_name = found.iter().find(|(name, _)| name == word);
            by_name.or(by_number).map(|(name, _)| name.clone())
        };
        let words = answer
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let chosen: std::result::Result<Vec<String>, &str> =
            words.map(|word| one(word).ok_or(word)).collect();
        match chosen {
            Ok(chosen) if !chosen.is_empty() => return Ok(named_once(&chosen)),
            Ok(_) => {}
            Err(word) => terminal.say(&format!("There is no database {word:?}."))?,
        }
    }
}

/// The names in their order, each once.
fn named_once(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

fn by_name(terminal: &Terminal) -> Result<Vec<String>> {
    loop {
        let answer = terminal.ask("Databases to back up, by name, with commas", "")?;
        let names = answer
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_string).collect();
        if !names.is_empty() {
            return Ok(named_once(&names));
        }
    }
}

/// `PGHOST`, else the socket directory of a server on this machine, else this machine by TCP.
fn usual_host() -> String {
    if let Some(host) = variable("PGHOST") {
        return host;
    }
    let socket = format!(".s.PGSQL.{}", usual_port());
    let directories = ["/var/run/postgresql", "/tmp"];
    let found = directories
        .into_iter()
        .find(|directory| Path::new(directory).join(&socket).exists());
    found.unwrap_or("127.0.0.1").to_string()
}

fn usual_port() -> u16 {
    let port = variable("PGPORT").and_then(|port| port.parse().ok());
    port.unwrap_or(5432)
}

fn usual_user() -> String {
    let names = ["PGUSER", "USER", "LOGNAME"];
    let found = names.into_iter().find_map(variable);
    found.unwrap_or_else(|| "postgres".to_string())
}

fn tell(written: &WrittenFiles) -> Result<()> {
    for path in &written.files {
        output::line(&path.display().to_string())?;
    }
    for path in &written.kept {
        log::info!("what was there before is now {}", path.display());
    }
    if let Some((path, used_again)) = &written.encryption {
        let path = path.display();
        if *used_again {
            log::info!("backups are encrypted with the password that is in {path} already");
        }
        log::warn!(
            "keep a copy of {path} somewhere else than on this machine: without it the backups cannot be opened"
        );
    }
    Ok(())
}

/// From here to backups that are made every night.
fn say_what_follows(path: &Path, admitted: &Admitted) {
    let which = unattended::named(path);
    // what root stores first, the service could not write beside
    let by = match &admitted.first_backup {
        FirstBackup::User(user) => format!("runuser -u {user} -- "),
        FirstBackup::Anybody | FirstBackup::Service => String::new(),
    };
    log::info!("see whether everything works with: {by}backupkit test{which}");
    match admitted.first_backup {
        FirstBackup::Service => {
            log::info!("then make the first backup with: systemctl start backupkit-backup");
        }
        FirstBackup::Anybody | FirstBackup::User(_) => {
            log::info!("then make the first backup with: {by}backupkit backup{which}");
        }
    }
    let start = unattended::start(path);
    match unattended::has_unit(path) {
        true => log::info!("and have one made every night with: {start}"),
        false => {
            log::info!("for one every night, let this run all the time: {start}");
            let line = unattended::cron_line(path);
            log::info!(
                "or delete the schedule from the configuration and give cron this line: {line}"
            );
        }
    }
}
