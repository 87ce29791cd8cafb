//! The database that a drill restores into: in a throwaway cluster, or fresh on a server that was lent for it.

use super::external_server::Lent;
use super::{APPLICATION, Options};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::cluster::{Cluster, Plan};
use crate::postgres::quoting::{array, block_of, identifier, literal};
use crate::postgres::session::Session;
use crate::postgres::tools::Server;
use crate::process::account::{self, Account};
use crate::source::logical::archive::Toc;
use std::time::Duration;

/// What the database is called, or its name begins with where others may have theirs.
pub(super) const NAME: &str = "backupkit_drill";
/// A database takes more than its dump: indexes, row headers, the free room in pages.
const GROWTH: u64 = 2;
/// The first major version that can be told to leave event triggers alone.
const SETS_EVENT_TRIGGERS: u32 = 17;
/// Making and dropping a database waits for checkpoints of the server.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// A database to restore into. Dropped, it is gone.
pub(super) enum Scratch {
    /// In a cluster of our own.
    Own {
        cluster: Box<Cluster>,
        client: Client,
        major: u32,
    },
    /// On a server that was lent.
    Lent(Box<Lent>),
}

impl Scratch {
    /// Makes one for the archive of `catalog`.
    pub fn make(
        catalog: &Toc,
        options: &Options,
        plain_bytes: u64,
        cancel: &Cancel,
    ) -> Result<Scratch> {
        let major = catalog.server_major().ok_or_else(|| {
            let version = &catalog.server_version;
            Error::failed(format!("the archive is of a server of version {version:?}"))
        })?;
        let client = |session: &Session| {
            let client = Client::new(&options.tools, session.clone(), APPLICATION, cancel);
            client.and_then(Client::required)
        };
        if let Some(connection) = &options.connection {
            let lent = Lent::make(client(connection)?, catalog, major);
            return lent.map(|lent| Scratch::Lent(Box::new(lent)));
        }
        let (programs, owner) = own(options, major, cancel)?;
        log::info!(
            "starting a throwaway PostgreSQL {} in {}",
            programs.postgres.version,
            options.directory.display()
        );
        let plan = Plan {
            programs: &programs,
            parent: &options.directory,
            owner: owner.as_ref(),
            expected_bytes: plain_bytes.saturating_mul(GROWTH),
        };
        let cluster = Cluster::start(&plan, cancel)?;
        let maintenance = client(&cluster.session("postgres"))?;
        create_database(&maintenance, NAME, catalog)?;
        let client = maintenance.with_session(cluster.session(NAME));
        // some objects may belong to superusers only, and nobody logs in as one of them
        make_roles(&client, catalog, "SUPERUSER", None)?;
        Ok(Scratch::Own {
            client,
            cluster: Box::new(cluster),
            major,
        })
    }

    /// The way to it, as someone who may do everything in it.
    pub fn client(&self) -> &Client {
        match self {
            Scratch::Own { client, .. } => client,
            Scratch::Lent(lent) => &lent.client,
        }
    }

    /// How that one logs in.
    pub fn session(&self) -> &Session {
        self.client().session()
    }

    /// The major version of its server.
    pub fn major(&self) -> u32 {
        match self {
            Scratch::Own { major, .. } => *major,
            Scratch::Lent(lent) => lent.major,
        }
    }

    /// True where its session may change any setting.
    fn is_superusers(&self) -> bool {
        match self {
            Scratch::Own { .. } => true,
            Scratch::Lent(lent) => lent.superuser,
        }
    }

    /// The same for the restore itself: what its extensions bring of event triggers does not fire where that can be had,
    /// and the server speaks a language that we understand.
    pub fn quiet_client(&self) -> Client {
        let client = self.client();
        let quiet = match self.is_superusers() {
            true if self.major() >= SETS_EVENT_TRIGGERS => "-c event_triggers=off -c lc_messages=C",
            true => "-c session_replication_role=replica -c lc_messages=C",
            false => return client.clone(),
        };
        client.with_session(client.session().with_settings(quiet))
    }

    /// True where no event trigger fires in the quiet client's sessions, whatever it was made for.
    pub fn is_silent(&self) -> bool {
        self.is_superusers() && self.major() >= SETS_EVENT_TRIGGERS
    }

    /// True for one in a cluster of our own.
    pub fn is_own(&self) -> bool {
        matches!(self, Scratch::Own { .. })
    }

    /// Adds why our own server ended, where it did.
    pub fn explain(&mut self, error: Error) -> Error {
        let Scratch::Own { cluster, .. } = self else {
            return error;
        };
        match cluster.obituary() {
            Some(said) if !error.ends_the_run() => {
                Error::failed(format!("the throwaway server went away: {said}")).because(error)
            }
            _ => error,
        }
    }

    /// Takes it away, and fails where something of it stays.
    pub fn remove(self) -> Result<()> {
        match self {
            Scratch::Own { .. } => Ok(()),
            Scratch::Lent(mut lent) => lent.take_away(),
        }
    }
}

/// What a cluster of our own needs: the programs of that major version, and whom they run as where that is not us.
pub(super) fn own(
    options: &Options,
    major: u32,
    cancel: &Cancel,
) -> Result<(Server, Option<Account>)> {
    let programs = options.tools.server(major, cancel)?;
    let owner = match account::is_root() {
        true => Some(Account::named(&options.user).map_err(|error| {
            error.hint("name a user of this machine as drill.user: a server does not run as root")
        })?),
        false => None,
    };
    Ok((programs, owner))
}

/// Makes the roles that the archive needs and the server lacks, all or none, and says of each for which database where
/// `made_for` names one.
///
/// The name of a role is bytes, which no server translates between its databases. So roles are made in the scratch
/// database, where the restore will name them, and from the encoding in which it will.
pub(super) fn make_roles(
    scratch: &Client,
    catalog: &Toc,
    attributes: &str,
    made_for: Option<&str>,
) -> Result<()> {
    let remark = made_for.map_or(String::new(), |database| {
        let database = literal(database);
        format!("EXECUTE format('COMMENT ON ROLE %I IS %L', role, {database});\n")
    });
    let roles = catalog.roles.iter().map(String::as_str);
    let block = block_of(&format!(
        "
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY {} LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role);
    EXECUTE format('CREATE ROLE %I NOLOGIN {attributes}', role);
    {remark}
  END LOOP;
END",
        array(roles)
    ));
    let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
    let script = catalog.names().encode(&block);
    let limited = scratch.within(LIMIT);
    limited
        .run(encoding, &script)
        .doing(|| "cannot make the roles that the backup needs")
}

/// An empty database that is like the one in the archive was when it was new.
pub(super) fn create_database(maintenance: &Client, name: &str, catalog: &Toc) -> Result<()> {
    let mut locale = catalog.locale.clone();
    if locale.is_empty() {
        let encoding = catalog.encoding.clone().unwrap_or("UTF8".into());
        locale = vec![("ENCODING".into(), encoding), ("LOCALE".into(), "C".into())];
    }
    let locale: Vec<String> = locale
        .iter()
        .map(|(keyword, value)| format!("{keyword} = {}", literal(value)))
        .collect();
    let sql = format!(
        "CREATE DATABASE {} TEMPLATE template0 {}",
        identifier(name),
        locale.join(" ")
    );
    let made = maintenance.query_within(LIMIT, &sql);
    made.map(|_| ()).map_err(|error| {
        if !matches!(error.kind(), Kind::Failed) {
            return error;
        }
        let error = error.doing(format!(
            "cannot create a database with {}, as the backup needs it",
            locale.join(", ")
        ));
        match error.chain().contains("locale") || error.chain().contains("LC_") {
            true => error.hint(
                "generate that locale on the machine of the drill (Debian: dpkg-reconfigure locales)",
            ),
            false => error,
        }
    })
}
