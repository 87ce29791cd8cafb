//! The database that a drill restores into: in a throwaway cluster, or fresh on a server that was lent for it.

use super::database::{
    LIMIT, NAME, create_database, make_roles, raise_roles, set_what_values_depend_on,
};
use super::external_server::Lent;
use super::known_rights::KnownRights;
use super::options::{APPLICATION, DrillOptions};
use super::place::{make_tablespaces, to_preload};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::cluster::{Cluster, ClusterPlan};
use crate::postgres::quoting::identifier;
use crate::postgres::session::Session;
use crate::postgres::tools::ServerPrograms;
use crate::process::account::{self, Account};
use crate::source::logical::archive::Toc;
use std::time::Duration;

/// A database takes more than its dump: indexes, row headers, the free room in pages.
const GROWTH: u64 = 2;
/// The first major version that can be told to leave event triggers alone.
const SETS_EVENT_TRIGGERS: u32 = 17;
/// The oldest major version that PostgreSQL's people still care for. Programs of older ones are on few machines.
const OLDEST_SERVED: u32 = 14;
/// Longer than a server takes to answer that has nothing else to do.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Longer than a server takes to end that answers no more.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A database to restore into. Dropped, it is gone.
pub(super) enum Scratch {
    /// In a cluster of our own.
    Own {
        cluster: Box<Cluster>,
        client: Box<Client>,
        major: u32,
        /// The roles of the backup may do here what they may on their server.
        rights_are_known: bool,
    },
    /// On a server that was lent.
    Lent(Box<Lent>),
}

impl Scratch {
    /// Makes one for the archive of `catalog`.
    pub fn make(
        catalog: &Toc,
        options: &DrillOptions,
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
        let plan = ClusterPlan {
            programs: &programs,
            parent: &options.directory,
            owner: owner.as_ref(),
            expected_bytes: plain_bytes.saturating_mul(GROWTH),
            preloaded: &to_preload(catalog, &programs),
            database: NAME,
        };
        let cluster = Cluster::start(&plan, cancel)?;
        let major = programs.postgres.major;
        let maintenance = client(&cluster.session("postgres"))?;
        create_database(&maintenance, NAME, catalog)?;
        let client = maintenance.with_session(cluster.session(NAME));
        make_tablespaces(&cluster, &client, catalog)?;
        let known = known_rights(catalog, options, cancel)?;
        match &known {
            Some(known) => known.make(&client, catalog)?,
            None => {
                make_roles(&client, catalog, "BYPASSRLS", None)?;
                raise_roles(&client, catalog, false)?;
            }
        }
        set_what_values_depend_on(&client, catalog)?;
        Ok(Scratch::Own {
            rights_are_known: known.is_some(),
            client: Box::new(client),
            cluster: Box::new(cluster),
            major,
        })
    }

    /// Empties a database of our own, and has all roles of the archive be superusers. False for one that was lent.
    pub fn start_over(&self, catalog: &Toc) -> Result<bool> {
        let Scratch::Own { client, .. } = self else {
            return Ok(false);
        };
        let maintenance = client.to_database("postgres");
        let drop = format!("DROP DATABASE {} WITH (FORCE)", identifier(NAME));
        maintenance.run_alone(LIMIT, &drop)?;
        create_database(&maintenance, NAME, catalog)?;
        raise_roles(client, catalog, true)?;
        set_what_values_depend_on(client, catalog)?;
        Ok(true)
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

    /// The client for the restore itself: the server speaks a language that we understand, and event triggers that extensions
    /// bring fire as they would at a restore, but on a server that was lent.
    pub fn restoring_client(&self) -> Client {
        let client = self.client();
        let session = client.session().in_time_zone_of_database();
        client.with_session(match self {
            // a confined server warns of files that it may not cut before it removes them (Linux before 6.2)
            Scratch::Own { .. } => {
                session.with_settings("-c lc_messages=C -c client_min_messages=error")
            }
            Scratch::Lent(lent) if lent.superuser => self
                .silent_session()
                .in_time_zone_of_database()
                .with_settings("-c lc_messages=C"),
            Scratch::Lent(_) => session,
        })
    }

    /// A session in which no event trigger fires, or few of them before PostgreSQL 17, where its role may say so.
    pub fn silent_session(&self) -> Session {
        let session = self.session();
        match self {
            Scratch::Lent(lent) if !lent.superuser => session.clone(),
            _ if self.major() >= SETS_EVENT_TRIGGERS => {
                session.with_settings("-c event_triggers=off")
            }
            _ => session.with_settings("-c session_replication_role=replica"),
        }
    }

    /// True where event triggers of the backup are made: in a cluster of our own, after all else, and on a server that was
    /// lent where none of them fires.
    pub fn takes_event_triggers(&self) -> bool {
        match self {
            Scratch::Own { .. } => true,
            Scratch::Lent(lent) => lent.superuser && lent.major >= SETS_EVENT_TRIGGERS,
        }
    }

    /// True where the roles of the backup may do no more here than on their server.
    pub fn rights_are_known(&self) -> bool {
        matches!(
            self,
            Scratch::Own {
                rights_are_known: true,
                ..
            }
        )
    }

    /// True for one in a cluster of our own.
    pub fn is_own(&self) -> bool {
        matches!(self, Scratch::Own { .. })
    }

    /// What our own server said as it ended; `None` as long as it answers.
    pub fn obituary(&mut self) -> Option<String> {
        let Scratch::Own {
            cluster, client, ..
        } = self
        else {
            return None;
        };
        // its sessions are gone a moment before a server is: only one that answers a new one is not about to end
        let answer = client
            .to_database("postgres")
            .query_within(ANSWER_LIMIT, "SELECT 1");
        let patience = match answer {
            Ok(_) => Duration::ZERO,
            Err(_) => END_LIMIT,
        };
        cluster.obituary(patience, client.cancel())
    }

    /// Takes it away, and fails where something of it stays.
    pub fn remove(self) -> Result<()> {
        match self {
            Scratch::Own { .. } => Ok(()),
            Scratch::Lent(mut lent) => lent.take_away(),
        }
    }
}

/// What the roles of the archive may do on the server that it is from, where that can be asked.
fn known_rights(
    catalog: &Toc,
    options: &DrillOptions,
    cancel: &Cancel,
) -> Result<Option<KnownRights>> {
    let Some(origin) = &options.origin else {
        return Ok(None);
    };
    let client = Client::new(&options.tools, origin.clone(), APPLICATION, cancel)?;
    match KnownRights::ask(&client.required()?, catalog) {
        Ok(known) => Ok(known),
        Err(error) => {
            cancel.check()?;
            log::debug!(
                "what the roles of the backup may do is not known: {}",
                error.chain()
            );
            Ok(None)
        }
    }
}

/// What a cluster of our own needs: the programs of that major version, or of a newer one for what is out of service, and
/// whom they run as where that is not us.
pub(super) fn own(
    options: &DrillOptions,
    major: u32,
    cancel: &Cancel,
) -> Result<(ServerPrograms, Option<Account>)> {
    let programs = match options.tools.server(major, cancel) {
        Err(missing) if major < OLDEST_SERVED && !missing.ends_the_run() => {
            let newer = options.tools.oldest_server(OLDEST_SERVED, cancel)?;
            newer.ok_or_else(|| {
                let least = OLDEST_SERVED;
                Error::failed(format!(
                    "the programs of a PostgreSQL server (initdb, postgres) are not installed: neither of the one that was \
                     dumped, nor of {least} or a newer one"
                ))
                .hint(
                    "install a server's package (Debian: apt-get install postgresql), or name a server to restore into as \
                     drill.connection in the configuration",
                )
            })?
        }
        found => found?,
    };
    let owner = match account::is_root() {
        true => Some(Account::named(&options.user).map_err(|error| {
            error.hint("name a user of this machine as drill.user: a server does not run as root")
        })?),
        false => None,
    };
    Ok((programs, owner))
}
