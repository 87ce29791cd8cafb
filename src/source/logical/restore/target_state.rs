//! What the database that is restored into holds, and what its role may do there.

use super::object_kinds::{is_relation, shown};
use crate::cause::FailureCause;
use crate::error::Result;
use crate::postgres::acting_role::ActingRole;
use crate::postgres::client::Client;
use crate::postgres::databases;
use crate::postgres::quoting::identifier;
use crate::source::logical::archive::TocEntry;
use std::collections::{BTreeMap, BTreeSet};

/// What every database of a server tells: rows of a kind and a name.
const SERVER: &str = "SELECT 'me', current_user::text \
     UNION ALL SELECT 'login', session_user \
     UNION ALL SELECT 'databases', rolname FROM pg_roles WHERE rolname = current_user AND (rolcreatedb OR rolsuper) \
     UNION ALL SELECT 'role', rolname FROM pg_roles \
     UNION ALL SELECT 'stranger', rolname FROM pg_roles WHERE NOT pg_has_role(oid, \
         CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) \
     UNION ALL SELECT 'superuser', rolname FROM pg_roles WHERE rolsuper \
     UNION ALL SELECT 'own', rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE') \
     UNION ALL SELECT 'super', rolname FROM pg_roles WHERE rolname = current_user AND rolsuper \
     UNION ALL SELECT 'provided', name FROM (SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname IN \
             ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin', 'neon_superuser') \
         UNION ALL SELECT name FROM pg_settings WHERE name IN ('supautils.privileged_role', 'extwlist.extensions')) p (name) \
     UNION ALL SELECT 'available', name FROM pg_available_extensions \
     UNION ALL SELECT CASE to_jsonb(v) ->> 'trusted' WHEN 'true' THEN 'guarded' ELSE 'untrusted' END, v.name \
         FROM pg_available_extension_versions v JOIN pg_available_extensions e ON e.name = v.name AND e.default_version = v.version \
         WHERE v.superuser \
     UNION ALL SELECT 'parameter', lower(name) FROM pg_settings WHERE context = 'user' \
     UNION ALL SELECT 'tablespace', spcname FROM pg_tablespace \
     UNION ALL SELECT 'closed tablespace', spcname FROM pg_tablespace WHERE NOT has_tablespace_privilege(oid, 'CREATE') \
     UNION ALL SELECT name, setting FROM pg_settings WHERE name IN ('shared_preload_libraries', 'cron.database_name')";
/// What roles may set beside that, on servers that give out such rights.
const PARAMETERS: &str = " \
     UNION ALL SELECT 'parameter', lower(name) FROM pg_settings \
         WHERE context = 'superuser' AND has_parameter_privilege(name, 'SET') \
     UNION ALL SELECT 'parameter', parname FROM pg_parameter_acl WHERE has_parameter_privilege(parname, 'SET')";
/// What the target itself tells.
const TARGET: &str = " \
     UNION ALL SELECT 'schemas', datname FROM pg_database \
         WHERE datname = current_database() AND has_database_privilege(oid, 'CREATE') \
     UNION ALL SELECT 'default tablespace', spcname FROM pg_tablespace t JOIN pg_database d ON dattablespace = t.oid \
         WHERE datname = current_database() \
     UNION ALL SELECT 'schema', nspname FROM pg_namespace \
     UNION ALL SELECT 'public', rolname FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner WHERE nspname = 'public' \
     UNION ALL SELECT 'closed', nspname FROM pg_namespace \
         WHERE NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')) \
     UNION ALL SELECT 'strange', nspname FROM pg_namespace WHERE NOT pg_has_role(nspowner, 'USAGE') \
     UNION ALL SELECT 'extension', extname FROM pg_extension \
     UNION ALL SELECT 'foreign', extname FROM pg_extension WHERE NOT pg_has_role(extowner, 'USAGE') \
     UNION ALL SELECT 'placed', extname || chr(10) || nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
     UNION ALL SELECT 'known language', lanname FROM pg_language \
     UNION ALL SELECT 'language', lanname FROM pg_language WHERE lanpltrusted AND has_language_privilege(oid, 'USAGE') \
     UNION ALL SELECT 'strange language', lanname FROM pg_language WHERE NOT pg_has_role(lanowner, 'USAGE') \
     UNION ALL SELECT 'wrapper', fdwname FROM pg_foreign_data_wrapper WHERE has_foreign_data_wrapper_privilege(oid, 'USAGE') \
     UNION ALL SELECT 'server', srvname FROM pg_foreign_server WHERE has_server_privilege(oid, 'USAGE') \
     UNION ALL SELECT 'publication', pubname FROM pg_publication \
         WHERE NOT puballtables AND pg_has_role(pubowner, 'USAGE') \
     UNION ALL SELECT 'relation', nspname || '.' || relname FROM pg_class c \
         JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','S','f') AND c.oid >= 16384 \
     UNION ALL SELECT 'filled', nspname || '.' || relname FROM pg_class c \
         JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE relkind = 'r' AND c.oid >= 16384 AND (pg_stat_get_live_tuples(c.oid) > 0 OR reltuples > 0) \
     UNION ALL SELECT 'function', format('%s.%s(%s)', nspname, proname, \
         CASE WHEN prokind = 'a' AND pronargs = 0 THEN '*' ELSE oidvectortypes(proargtypes) END) FROM pg_proc p \
         JOIN pg_namespace n ON n.oid = pronamespace WHERE p.oid >= 16384 \
     UNION ALL SELECT 'type', nspname || '.' || typname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace \
         WHERE t.oid >= 16384 AND (typcategory <> 'A' OR typtype = 'd') \
           AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind <> 'c') \
     UNION ALL SELECT 'key', format('%s.%s %s', nspname, relname, conname) FROM pg_constraint \
         JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE contype = 'f'";
/// Objects of other kinds that the target holds, a row each with the word that pg_dump has for their kind, and whether someone
/// else alone may drop them.
const OBJECTS: &str = " \
     UNION ALL SELECT CASE WHEN pg_has_role(owner, 'USAGE') OR pg_has_role(schema_owner, 'USAGE') THEN 'object' ELSE 'strange object' END, \
         kind || chr(10) || name FROM ( \
         SELECT 'COLLATION', nspname || '.' || collname, collowner, nspowner, c.oid FROM pg_collation c \
             JOIN pg_namespace n ON n.oid = collnamespace \
         UNION ALL SELECT 'CONVERSION', nspname || '.' || conname, conowner, nspowner, c.oid FROM pg_conversion c \
             JOIN pg_namespace n ON n.oid = connamespace \
         UNION ALL SELECT 'STATISTICS', nspname || '.' || stxname, stxowner, nspowner, s.oid FROM pg_statistic_ext s \
             JOIN pg_namespace n ON n.oid = stxnamespace \
         UNION ALL SELECT 'TEXT SEARCH CONFIGURATION', nspname || '.' || cfgname, cfgowner, nspowner, c.oid FROM pg_ts_config c \
             JOIN pg_namespace n ON n.oid = cfgnamespace \
         UNION ALL SELECT 'TEXT SEARCH DICTIONARY', nspname || '.' || dictname, dictowner, nspowner, d.oid FROM pg_ts_dict d \
             JOIN pg_namespace n ON n.oid = dictnamespace \
         UNION ALL SELECT 'SERVER', srvname, srvowner, srvowner, oid FROM pg_foreign_server \
         UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname, fdwowner, fdwowner, oid FROM pg_foreign_data_wrapper \
         UNION ALL SELECT 'EVENT TRIGGER', evtname, evtowner, evtowner, oid FROM pg_event_trigger \
         UNION ALL SELECT 'PUBLICATION', pubname, pubowner, pubowner, oid FROM pg_publication \
         UNION ALL SELECT 'SUBSCRIPTION', subname, subowner, subowner, oid FROM pg_subscription \
             WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         ) o (kind, name, owner, schema_owner, oid) WHERE oid >= 16384";

/// What is known of a target that is yet to be made: plpgsql is in it and belongs to the server's first role, as does its schema
/// public before PostgreSQL 15.
const NEW: &str = " \
     UNION ALL SELECT 'schemas', current_user \
     UNION ALL SELECT 'language', unnest(ARRAY['sql', 'plpgsql']) \
     UNION ALL SELECT 'known language', unnest(ARRAY['sql', 'plpgsql']) \
     UNION ALL SELECT 'strange language', 'plpgsql' WHERE NOT pg_has_role(10, 'USAGE') \
     UNION ALL SELECT 'foreign', 'plpgsql' WHERE NOT pg_has_role(10, 'USAGE') \
     UNION ALL SELECT 'strange', 'public' \
         WHERE NOT pg_has_role(10, 'USAGE') AND current_setting('server_version_num')::int < 150000 \
     UNION ALL SELECT 'default tablespace', spcname FROM pg_tablespace t JOIN pg_database d ON dattablespace = t.oid \
         WHERE datname = 'template0' \
     UNION ALL SELECT 'public', rolname FROM pg_roles \
         WHERE oid = 10 AND current_setting('server_version_num')::int < 150000";

/// The servers of this age give out rights to set parameters.
const GRANTS_PARAMETERS: u32 = 15;

fn parameters(server: Option<u32>) -> &'static str {
    match server.is_some_and(|server| server >= GRANTS_PARAMETERS) {
        true => PARAMETERS,
        false => "",
    }
}

/// What a database holds of what a restore asks about, and its server. Names are `name`, or `schema.name` as the archive
/// has them.
#[derive(Debug, Clone, Default)]
pub struct TargetState {
    /// The role that asks.
    pub role: String,
    /// Where a setting has put it in the place of the one that logs in.
    pub acting: Option<ActingRole>,
    /// It may do anything.
    pub is_superuser: bool,
    /// What says that a provider runs the server, who lets some roles do what else is a superuser's.
    pub provided_by: BTreeSet<String>,
    /// It may make databases.
    pub may_create_databases: bool,
    /// It may make schemas here.
    pub may_create_schemas: bool,
    /// The roles of the server.
    pub roles: BTreeSet<String>,
    /// Those of them to which the role may not give anything.
    pub strangers: BTreeSet<String>,
    /// Those of them that may do anything.
    pub superusers: BTreeSet<String>,
    /// Those of them with rights that the role has without SET ROLE.
    pub own: BTreeSet<String>,
    /// Extensions that could be created.
    pub available_extensions: BTreeSet<String>,
    /// Those of them that only a superuser may create.
    pub untrusted_extensions: BTreeSet<String>,
    /// Those of them that whoever may create in the database may create.
    pub guarded_extensions: BTreeSet<String>,
    /// Parameters that the role may set, in lower case.
    pub parameters: BTreeSet<String>,
    /// The tablespaces of the server.
    pub tablespaces: BTreeSet<String>,
    /// Those of them in which the role may make nothing, unless it is the database's own.
    pub closed_tablespaces: BTreeSet<String>,
    /// That of the database, or of one that is yet to be made and names none.
    pub default_tablespace: String,
    /// What the server is set to load, and for which database, where the role may see that.
    pub preloading: BTreeMap<String, String>,
    /// Providers of security labels that the backup names and the server has not loaded.
    pub absent_providers: BTreeSet<String>,
    /// There is no such database yet: all that follows is empty, but for the owner of its schema public.
    pub is_new: bool,
    pub schemas: BTreeSet<String>,
    /// Whom the schema public belongs to, which is not made and not dropped, and so keeps its owner.
    pub owner_of_public: Option<String>,
    /// Those of them in which the role may create nothing.
    pub closed_schemas: BTreeSet<String>,
    /// Those of them that belong to someone else.
    pub foreign_schemas: BTreeSet<String>,
    /// Extensions that are there.
    pub extensions: BTreeSet<String>,
    /// Those of them that belong to someone else, who alone may comment on them or drop them.
    pub foreign_extensions: BTreeSet<String>,
    /// The schemas that extensions are in.
    pub extension_schemas: BTreeMap<String, String>,
    /// Languages that are there.
    pub languages_there: BTreeSet<String>,
    /// Those of them that the role may use.
    pub languages: BTreeSet<String>,
    /// Those of them that belong to someone else.
    pub foreign_languages: BTreeSet<String>,
    /// Foreign data wrappers that the role may use.
    pub wrappers: BTreeSet<String>,
    /// Foreign servers that the role may use.
    pub servers: BTreeSet<String>,
    /// Other objects, as their kind and their name.
    pub objects: BTreeSet<(String, String)>,
    /// Those of them that someone else alone may drop.
    pub foreign_objects: BTreeSet<(String, String)>,
    /// Publications that take single tables, and that the role may add to.
    pub publications: BTreeSet<String>,
    /// Tables, views and sequences.
    pub relations: BTreeSet<String>,
    /// Those of its tables that hold rows, as its statistics say, which need no lock and may be behind.
    pub filled: BTreeSet<String>,
    /// Functions, procedures and aggregates, with the types of their arguments.
    pub functions: BTreeSet<String>,
    /// Types and domains.
    pub types: BTreeSet<String>,
    /// Foreign keys, as `schema.table name`.
    pub foreign_keys: BTreeSet<String>,
}

impl TargetState {
    /// Asks the target, which is the database of `client`, on a server of this major version.
    pub fn ask(client: &Client, server: Option<u32>) -> Result<TargetState> {
        let sql = [SERVER, parameters(server), TARGET, OBJECTS].concat();
        TargetState::of(client, client.query_names(&sql)?)
    }

    /// Asks another database of its server, since the target is yet to be made, with this encoding. Only what all
    /// databases have in common counts.
    pub fn ask_beside(
        client: &Client,
        server: Option<u32>,
        encoding: Option<&str>,
    ) -> Result<TargetState> {
        let sql = [SERVER, parameters(server), NEW].concat();
        let rows = client.query_names_as(encoding, &sql)?;
        let holds = TargetState::of(client, rows)?;
        Ok(TargetState {
            is_new: true,
            ..holds
        })
    }

    /// Asks which of these providers of security labels the server has not loaded. No catalog tells; but it looks for the
    /// provider before it looks for what is to get a label, and there is no such type.
    pub fn ask_for_providers(&mut self, client: &Client, named: &BTreeSet<String>) -> Result<()> {
        for provider in named {
            let label = format!(
                "SECURITY LABEL FOR {} ON TYPE pg_catalog.\"backupkit: no type\" IS NULL",
                identifier(provider)
            );
            match client.query(&label) {
                Err(error) if error.cause() == Some(FailureCause::LabelProviderMissing) => {
                    self.absent_providers.insert(provider.clone());
                }
                Err(error) if error.ends_the_run() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn of(client: &Client, rows: Vec<Vec<String>>) -> Result<TargetState> {
        let mut holds = TargetState::default();
        let mut login = String::new();
        for row in rows {
            let [kind, name] = <[String; 2]>::try_from(row).unwrap_or_default();
            let into = match kind.as_str() {
                "me" => {
                    holds.role = name;
                    continue;
                }
                "login" => {
                    login = name;
                    continue;
                }
                "databases" => {
                    holds.may_create_databases = true;
                    continue;
                }
                "schemas" => {
                    holds.may_create_schemas = true;
                    continue;
                }
                "super" => {
                    holds.is_superuser = true;
                    continue;
                }
                "placed" => {
                    if let Some((name, schema)) = name.split_once('\n') {
                        let (name, schema) = (name.to_string(), schema.to_string());
                        holds.extension_schemas.insert(name, schema);
                    }
                    continue;
                }
                "object" | "strange object" => {
                    if let Some((of, name)) = name.split_once('\n') {
                        let object = (of.to_string(), name.to_string());
                        if kind == "strange object" {
                            holds.foreign_objects.insert(object.clone());
                        }
                        holds.objects.insert(object);
                    }
                    continue;
                }
                "public" => {
                    holds.owner_of_public = Some(name);
                    continue;
                }
                "default tablespace" => {
                    holds.default_tablespace = name;
                    continue;
                }
                "shared_preload_libraries" | "cron.database_name" => {
                    holds.preloading.insert(kind, name);
                    continue;
                }
                "tablespace" => &mut holds.tablespaces,
                "closed tablespace" => &mut holds.closed_tablespaces,
                "role" => &mut holds.roles,
                "stranger" => &mut holds.strangers,
                "superuser" => &mut holds.superusers,
                "own" => &mut holds.own,
                "provided" => &mut holds.provided_by,
                "available" => &mut holds.available_extensions,
                "untrusted" => &mut holds.untrusted_extensions,
                "guarded" => &mut holds.guarded_extensions,
                "parameter" => &mut holds.parameters,
                "known language" => &mut holds.languages_there,
                "language" => &mut holds.languages,
                "strange language" => &mut holds.foreign_languages,
                "wrapper" => &mut holds.wrappers,
                "server" => &mut holds.servers,
                "schema" => &mut holds.schemas,
                "closed" => &mut holds.closed_schemas,
                "strange" => &mut holds.foreign_schemas,
                "extension" => &mut holds.extensions,
                "foreign" => &mut holds.foreign_extensions,
                "publication" => &mut holds.publications,
                "relation" => &mut holds.relations,
                "filled" => &mut holds.filled,
                "function" => &mut holds.functions,
                "type" => &mut holds.types,
                "key" => &mut holds.foreign_keys,
                _ => continue,
            };
            into.insert(name);
        }
        holds.acting = ActingRole::of(&login, &holds.role, client.database());
        Ok(holds)
    }

    /// True of a kind of object of which all that the database has are known.
    pub fn knows(kind: &str) -> bool {
        is_relation(kind)
            || matches!(
                kind,
                "SCHEMA"
                    | "EXTENSION"
                    | "FUNCTION"
                    | "PROCEDURE"
                    | "AGGREGATE"
                    | "TYPE"
                    | "DOMAIN"
                    | "SHELL TYPE"
            )
    }

    /// True of an entry that is there, so that making it fails. Schemas and extensions are passed over where they are there.
    pub fn has(&self, entry: &TocEntry) -> bool {
        match &*entry.kind {
            "SCHEMA" | "EXTENSION" => false,
            kind if TargetState::knows(kind) => !self.lacks(entry),
            _ => self.objects.contains(&TargetState::object(entry)),
        }
    }

    /// True of an entry that is there and that someone else alone may drop.
    pub fn has_of_others(&self, entry: &TocEntry) -> bool {
        self.foreign_objects.contains(&TargetState::object(entry))
    }

    fn object(entry: &TocEntry) -> (String, String) {
        let name = match entry.schema.is_empty() {
            true => entry.tag.clone(),
            false => shown(entry),
        };
        (entry.kind.clone(), name)
    }

    /// True where the server has the extension, and its role may make it.
    pub fn may_create_extension(&self, name: &str) -> bool {
        self.available_extensions.contains(name)
            && (self.is_superuser || !self.untrusted_extensions.contains(name))
    }

    /// True of an entry that other objects need and that is not there. Of kinds that no one looked for only a database
    /// that is yet to be made is known to lack them.
    pub fn lacks(&self, entry: &TocEntry) -> bool {
        match &*entry.kind {
            "SCHEMA" => !self.schemas.contains(&entry.tag),
            "EXTENSION" => !self.extensions.contains(&entry.tag),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => !self.functions.contains(&shown(entry)),
            "TYPE" | "DOMAIN" | "SHELL TYPE" => !self.types.contains(&shown(entry)),
            kind if is_relation(kind) => !self.relations.contains(&shown(entry)),
            _ => self.is_new,
        }
    }
}

/// How many relations there are, and a few names; none in an empty database.
pub(super) fn not_empty(client: &Client) -> Result<Option<String>> {
    let (count, names) = databases::user_relations(client)?;
    let more = match count > names.len() as u64 {
        true => ", …",
        false => "",
    };
    let what = || {
        format!(
            "{count} tables, views or sequences ({}{more})",
            names.join(", ")
        )
    };
    Ok((count > 0).then(what))
}
