//! The database that is restored into: whether it is there, what it holds, and one that is made for the restore.

use crate::cancel::Cancel;
use crate::error::Result;
use crate::postgres::archive::Catalog;
use crate::postgres::databases;
use crate::postgres::query::{self, array};
use crate::postgres::session::Session;
use crate::postgres::tools::Tool;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

/// How long dropping what was made may take, after a run that was cancelled.
const CLEANING: Duration = Duration::from_secs(60);

/// What a database holds of what a restore asks about, and its server.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    /// Its schemas.
    pub schemas: BTreeSet<String>,
    /// Extensions that are there.
    pub extensions: BTreeSet<String>,
    /// Those of them that belong to somebody else, who alone may comment on them or drop them.
    pub foreign_extensions: BTreeSet<String>,
    /// Extensions that could be created.
    pub available_extensions: BTreeSet<String>,
    /// Publications that take single tables, and that the role may add to.
    pub publications: BTreeSet<String>,
    /// The roles of the server.
    pub roles: BTreeSet<String>,
}

impl Holds {
    /// Asks the database of `session`. `is_target` is false for another one of the same server, of which only what all
    /// databases have in common counts.
    pub fn ask(psql: &Tool, session: &Session, is_target: bool, cancel: &Cancel) -> Result<Holds> {
        const SQL: &str = "SELECT 'schema', nspname FROM pg_namespace \
             UNION ALL SELECT 'extension', extname FROM pg_extension \
             UNION ALL SELECT 'foreign', extname FROM pg_extension WHERE NOT pg_has_role(extowner, 'USAGE') \
             UNION ALL SELECT 'available', name FROM pg_available_extensions \
             UNION ALL SELECT 'publication', pubname FROM pg_publication \
             WHERE NOT puballtables AND pg_has_role(pubowner, 'USAGE') \
             UNION ALL SELECT 'role', rolname FROM pg_roles";
        let mut holds = Holds::default();
        for row in query::names(psql, session, SQL, cancel)? {
            let [kind, name] = <[String; 2]>::try_from(row).unwrap_or_default();
            let into = match kind.as_str() {
                "available" => &mut holds.available_extensions,
                "role" => &mut holds.roles,
                "schema" if is_target => &mut holds.schemas,
                "extension" if is_target => &mut holds.extensions,
                "foreign" if is_target => &mut holds.foreign_extensions,
                "publication" if is_target => &mut holds.publications,
                _ => continue,
            };
            into.insert(name);
        }
        Ok(holds)
    }
}

/// Which of these relations of `catalog`, each `"schema"."name"`, are in the database.
pub fn present(
    psql: &Tool,
    session: &Session,
    catalog: &Catalog,
    relations: &[String],
    cancel: &Cancel,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    // an argument of a program holds 128 KiB
    for some in relations.chunks(200) {
        let sql = format!(
            "SELECT number FROM unnest({}) WITH ORDINALITY relation (name, number) WHERE to_regclass(name) IS NOT NULL",
            array(some.iter().map(String::as_str))
        );
        let sql = OsString::from_vec(catalog.names().encode(&sql));
        let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
        let rows = query::rows_in(encoding, query::LIMIT, psql, session, &sql, cancel)?;
        let numbers = rows
            .iter()
            .flatten()
            .filter_map(|number| number.parse::<usize>().ok());
        found.extend(numbers.filter_map(|number| some.get(number.checked_sub(1)?).cloned()));
    }
    Ok(found)
}

/// A database that was made for a restore: dropped again unless the restore came to its end.
pub struct Made<'a> {
    psql: &'a Tool,
    maintenance: &'a Session,
    name: &'a str,
    kept: bool,
}

impl<'a> Made<'a> {
    /// Makes the database `name`, like the one that was dumped.
    pub fn new(
        psql: &'a Tool,
        maintenance: &'a Session,
        name: &'a str,
        locale: &[(String, String)],
        cancel: &Cancel,
    ) -> Result<Made<'a>> {
        // the default, and no word of servers before 15
        let like: Vec<(String, String)> = locale
            .iter()
            .filter(|(keyword, value)| !(keyword == "LOCALE_PROVIDER" && value == "libc"))
            .cloned()
            .collect();
        databases::create(psql, maintenance, name, &like, cancel).map_err(|error| {
            error.hint(format!(
                "or make it by hand and restore without --create: createdb --template=template0 {name}"
            ))
        })?;
        log::info!("created the database {name}");
        Ok(Made {
            psql,
            maintenance,
            name,
            kept: false,
        })
    }

    /// It stays.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let name = self.name;
        let dropped = Cancel::new().and_then(|fresh| {
            let limited = fresh.with_deadline(CLEANING);
            databases::drop(self.psql, self.maintenance, name, &limited)
        });
        match dropped {
            Ok(()) => log::info!("dropped the database {name} again"),
            Err(error) => log::warn!("{}; drop it by hand", error.report()),
        }
    }
}
