//! The database of a drill and its roles, made on whatever server it is.

use crate::cause::FailureCause;
use crate::error::{Doing, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::quoting::{array, block_of, identifier, literal};
use crate::source::logical::archive::{DatabaseProperty, Toc};
use crate::source::logical::database_properties::{self, is_of_values};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the database is called, or its name begins with where others may have theirs.
pub(super) const NAME: &str = "backupkit_drill";
/// Making and dropping a database waits for checkpoints of the server.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// What only a superuser may own, in the words of an archive.
const SUPERUSERS_OWN: [&str; 4] = [
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "PUBLICATION",
    "SUBSCRIPTION",
];

/// Has the roles that own what only a superuser may own be superusers, or all of the archive's.
///
/// The others read and write everything instead, so that an index or a materialized view of theirs finds the rows that it
/// finds at home by memberships, of which an archive knows nothing.
pub(super) fn raise_roles(scratch: &Client, catalog: &Toc, all: bool) -> Result<()> {
    let owners: BTreeSet<&str> = catalog
        .entries
        .iter()
        .filter(|entry| all || SUPERUSERS_OWN.contains(&&*entry.kind))
        .map(|entry| &*entry.owner)
        .collect();
    let raised = catalog.roles.iter().map(String::as_str);
    let raised = raised.filter(|role| all || owners.contains(role));
    let sql = block_of(&format!(
        "
DECLARE
  role text;
  reads name;
BEGIN
  FOREACH role IN ARRAY {} LOOP
    EXECUTE format('ALTER ROLE %I SUPERUSER', role);
  END LOOP;
  FOREACH role IN ARRAY {} LOOP
    FOR reads IN SELECT rolname FROM pg_catalog.pg_roles
      WHERE rolname IN ('pg_read_all_data', 'pg_write_all_data') AND role <> current_user
    LOOP
      EXECUTE format('GRANT %I TO %I', reads, role);
    END LOOP;
  END LOOP;
END",
        array(raised),
        array(catalog.roles.iter().map(String::as_str)),
    ));
    let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
    let script = catalog.names().encode(&sql);
    let limited = scratch.within(LIMIT);
    limited
        .run(encoding, &script)
        .doing(|| "cannot give the roles of the backup their rights")
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

/// Sets those settings of the database in the archive that rows and what checks them may depend on. No others: what steers
/// sessions is in the way here, and what loads libraries or starts programs is not for a drill. One that the server does not
/// know is left out, as by a restore.
pub(super) fn set_what_values_depend_on(client: &Client, catalog: &Toc) -> Result<()> {
    let known = catalog.properties.known.iter();
    let of_all = known.filter(|property| match property {
        DatabaseProperty::Setting { role, .. } => role.is_none() && is_of_values(property),
        _ => false,
    });
    let wanted: Vec<DatabaseProperty> = of_all.cloned().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let encoding = catalog.names_encoding();
    let set = database_properties::set(&client.within(LIMIT), encoding, &wanted, &[])?;
    for (property, why) in set.failed {
        log::debug!("not set in the drill: {}: {why}", property.shown());
    }
    Ok(())
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
    maintenance.run_alone(LIMIT, &sql).map_err(|error| {
        if !matches!(error.kind(), Kind::Failed) {
            return error;
        }
        let error = error.doing(format!(
            "cannot create a database with {}, as the backup needs it",
            locale.join(", ")
        ));
        match error.cause() == Some(FailureCause::LocaleMissing) {
            true => error.hint_instead(
                "generate that locale on the machine of the drill (Debian: dpkg-reconfigure locales); where its system has none of \
                 that name, a restore works all the same: restore --to NAME --create --locale C.UTF-8",
            ),
            false => error,
        }
    })
}
