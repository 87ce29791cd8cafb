//! What a login lacks to bring a database back into a new one, as far as the database itself tells, without a backup of it.

use super::target_state::TargetState;
use crate::error::Result;
use crate::postgres::acting_role::ActingRole;
use crate::postgres::client::Client;
use std::collections::BTreeSet;

/// What a restore of the database makes, in rows of what it asks for and a name: owners, extensions, and what only a
/// superuser may make. What an extension brings along comes with it.
///
/// The objects of the server's first role are in no pg_shdepend. Its schema public stays its own before PostgreSQL 15.
const MADE: &str = "
    SELECT 'owner', rolname::text FROM pg_roles WHERE rolname !~ '^pg_' AND oid IN (
        SELECT refobjid FROM pg_shdepend s WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
            AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid <> 'pg_extension'::regclass AND classid <> 'pg_default_acl'::regclass AND objid >= 16384
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid AND d.deptype IN ('e', 'i'))
        UNION ALL SELECT 10 FROM (
            SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace
                WHERE nspowner = 10 AND nspname !~ '^pg_(toast|temp)'
            UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE proowner = 10
            UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typowner = 10
            UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata WHERE lomowner = 10
            ) o (class, id) WHERE id >= 16384
                AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = class AND d.objid = id AND d.deptype IN ('e', 'i')))
    UNION ALL SELECT 'extension', extname::text FROM pg_extension WHERE oid >= 16384
    UNION ALL SELECT 'superuser', kind || ' ' || name FROM (
        SELECT 'event trigger', evtname::text, 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
        UNION ALL SELECT 'publication', pubname, 'pg_publication'::regclass, oid FROM pg_publication WHERE puballtables
        UNION ALL SELECT 'language', lanname, 'pg_language'::regclass, oid FROM pg_language
        UNION ALL SELECT 'foreign data wrapper', fdwname, 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'access method', amname, 'pg_am'::regclass, oid FROM pg_am
        UNION ALL SELECT 'operator family', nspname || '.' || opfname, 'pg_opfamily'::regclass, f.oid
            FROM pg_opfamily f JOIN pg_namespace n ON n.oid = opfnamespace
        UNION ALL SELECT 'function', nspname || '.' || proname, 'pg_proc'::regclass, p.oid
            FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
            WHERE proleakproof OR lanname IN ('c', 'internal')
        ) s (kind, name, class, id) WHERE id >= 16384
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = id AND d.deptype = 'e')";

/// What a login lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLacks {
    /// Whom its sessions act as.
    pub role: String,
    /// Where a setting makes that another role than the login.
    pub acting: Option<ActingRole>,
    /// It lacks nothing, being a superuser.
    pub is_superuser: bool,
    /// The right to make databases.
    pub databases: bool,
    /// Owners that its server does not have.
    pub roles: Vec<String>,
    /// Owners to whom it may give nothing.
    pub owners: Vec<String>,
    /// Those of these that are superusers: whoever is a member of one may do anything, so nobody is made one for a restore.
    pub superuser_owners: Vec<String>,
    /// Extensions that it may not create.
    pub extensions: Vec<String>,
    /// Other objects that only a superuser may make, in words.
    pub superusers: Vec<String>,
}

impl LoginLacks {
    /// Asks `database`, by whoever may read it, what there is to be made, and `login`, at whatever database of the server to
    /// restore on, what it may do there.
    pub fn ask(database: &Client, login: &Client) -> Result<LoginLacks> {
        let made = database.query_names(MADE)?;
        let may = TargetState::ask_beside(login, login.major_if_known()?, None)?;
        let all = |wanted: &str| -> Vec<String> {
            let rows = made
                .iter()
                .filter(|row| row.first().is_some_and(|kind| kind == wanted));
            let names: BTreeSet<&String> = rows.filter_map(|row| row.get(1)).collect();
            names.into_iter().cloned().collect()
        };
        let (owners, mut extensions, mut superusers) =
            (all("owner"), all("extension"), all("superuser"));
        let (there, roles): (Vec<String>, Vec<String>) = owners
            .into_iter()
            .partition(|owner| may.roles.contains(owner));
        let owners: Vec<String> = there
            .into_iter()
            .filter(|owner| may.strangers.contains(owner))
            .collect();
        let superuser_owners = owners
            .iter()
            .filter(|owner| may.superusers.contains(*owner))
            .cloned()
            .collect();
        // a provider lets its administrators make some of that, and nobody knows which
        let is_trusted = may.is_superuser || !may.provided_by.is_empty();
        extensions.retain(|name| !is_trusted && may.untrusted_extensions.contains(name));
        superusers.retain(|_| !is_trusted);
        Ok(LoginLacks {
            role: may.role,
            acting: may.acting,
            is_superuser: may.is_superuser,
            databases: !may.may_create_databases,
            roles,
            owners,
            superuser_owners,
            extensions,
            superusers,
        })
    }
}
