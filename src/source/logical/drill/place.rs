//! What a backup finds in a throwaway server as at home: its tablespaces, and the libraries that its extensions need.

use crate::error::{Doing, Result};
use crate::postgres::client::Client;
use crate::postgres::cluster::Cluster;
use crate::postgres::preload::{self, PreloadedExtension};
use crate::postgres::quoting::{identifier, literal};
use crate::postgres::tools::ServerPrograms;
use crate::source::logical::archive::Toc;
use crate::source::logical::archive::tablespaces;
use std::collections::BTreeMap;

/// What a server for the archive loads as it starts: what its extensions need, and the machine has.
pub(super) fn to_preload(
    catalog: &Toc,
    programs: &ServerPrograms,
) -> Vec<&'static PreloadedExtension> {
    let known = preload::among(&catalog.extensions);
    known
        .filter(|known| known.is_installed(&programs.postgres))
        .collect()
}

/// The database lies where servers put databases; that is not named, since a server takes its name for no partitioned table.
pub(super) fn renamed_tablespaces() -> BTreeMap<String, String> {
    BTreeMap::from([("pg_default".to_string(), String::new())])
}

/// Makes the tablespaces of the archive in directories of the cluster's own. That of the database itself is left out: what
/// lies there names no tablespace.
///
/// As the names of roles, theirs are bytes that no server translates, so they are made in the database that is restored
/// into, and from the encoding in which the restore will name them.
pub(super) fn make_tablespaces(cluster: &Cluster, scratch: &Client, catalog: &Toc) -> Result<()> {
    let named = tablespaces::named(catalog, |_| true);
    // those are everywhere
    let named = named.into_iter().filter(|name| !name.starts_with("pg_"));
    let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
    for (number, name) in named.enumerate() {
        let directory = cluster.tablespace_directory(number)?;
        let sql = format!(
            "CREATE TABLESPACE {} LOCATION {};\n",
            identifier(name),
            literal(&directory)
        );
        let script = catalog.names().encode(&sql);
        scratch
            .run(encoding, &script)
            .doing(|| format!("cannot make the tablespace {name}, as the backup needs it"))?;
    }
    Ok(())
}
