//! What belongs to a database itself, on a server: set, and read back.
//!
//! Each property is set by itself, so that one that this server or this role does not allow keeps no other away; which
//! those were is told. Statements name the database that they are run in, and are made from values.

use crate::error::{Doing, Result};
use crate::postgres::client::Client;
use crate::postgres::quoting::{array, block_of, identifier, literal};
use crate::source::logical::archive::{DatabaseProperty, Grantee, Rights};
use std::collections::{BTreeMap, BTreeSet};

/// Settings that rows, and what checks them, may depend on: they are in force before the rows come. Others steer a session,
/// such as how long it may take or that it may not write, and would steer that of the restore as well. So would none of
/// these, and none of them loads a library or reaches out of the server.
const OF_VALUES: [&str; 17] = [
    "bytea_output",
    "datestyle",
    "default_text_search_config",
    "default_toast_compression",
    "escape_string_warning",
    "extra_float_digits",
    "intervalstyle",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "quote_all_identifiers",
    "search_path",
    "timezone",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
];

/// Between what a server tells of several properties.
const BETWEEN: char = '\u{1e}';

/// What came of it.
#[derive(Debug, Default)]
pub struct SetProperties {
    /// What could not be set, and why, in the words of the server.
    pub failed: Vec<(DatabaseProperty, String)>,
    /// What the database has now.
    pub now: BTreeSet<DatabaseProperty>,
    /// Whom it belongs to.
    pub owner: String,
}

/// True of a setting that values may depend on. Those with a dot are an application's, or an extension's.
pub fn is_of_values(property: &DatabaseProperty) -> bool {
    match property {
        DatabaseProperty::Setting { name, .. } => {
            name.contains('.') || OF_VALUES.contains(&name.to_ascii_lowercase().as_str())
        }
        _ => false,
    }
}

/// Sets `properties` on the database of `client`, and before them runs `others`, formats as [`RESET`] is one.
pub fn set(
    client: &Client,
    encoding: &str,
    properties: &[DatabaseProperty],
    others: &[&str],
) -> Result<SetProperties> {
    let mut templates: Vec<String> = others.iter().map(|text| text.to_string()).collect();
    templates.extend(properties.iter().map(template));
    let block = each(&templates, others.len(), "");
    let rows = client
        .change_in(encoding, &format!("{block}{READ}"))
        .doing(|| {
            format!(
                "cannot set what belongs to the database {}",
                client.database()
            )
        })?;
    let (found, failed) = read(rows);
    Ok(SetProperties {
        failed: by_number(&failed, properties, others.len()),
        ..found
    })
}

/// Which of `settings` the role of `client` could not set on a database of its own, and why: it sets them for itself, and
/// takes that back.
pub fn not_to_be_set(
    client: &Client,
    encoding: &str,
    settings: &[DatabaseProperty],
) -> Result<Vec<(DatabaseProperty, String)>> {
    let templates: Vec<String> = settings.iter().map(for_oneself).collect();
    let block = each(&templates, 0, "RAISE SQLSTATE 'BK001';");
    let rows = client.change_in(encoding, &format!("{block}{FAILED}"))?;
    let (_, failed) = read(rows);
    Ok(by_number(&failed, settings, 0))
}

/// Which of `properties` are settings of an application for all sessions that a session of `client` does not have: rows, and
/// what checks them, may ask for them.
pub fn application_settings_that_lack<'p>(
    client: &Client,
    properties: &'p [DatabaseProperty],
) -> Result<Vec<(&'p str, &'p str)>> {
    let of_all = properties.iter().filter_map(|property| match property {
        DatabaseProperty::Setting {
            role: None,
            name,
            values,
        } if name.contains('.') && is_plain(name) => {
            Some((name.as_str(), values.first()?.as_str()))
        }
        _ => None,
    });
    let mut settings: Vec<(&str, &str)> = of_all.collect();
    if !settings.is_empty() {
        let names = array(settings.iter().map(|(name, _)| *name));
        let lack = client.query(&format!(
            "SELECT name FROM unnest({names}) name WHERE current_setting(name, true) IS NULL"
        ))?;
        settings.retain(|(name, _)| lack.iter().flatten().any(|lacking| lacking == name));
    }
    Ok(settings)
}

/// True of a name that can be given to a session as it is. Servers before 14 took any.
fn is_plain(name: &str) -> bool {
    let plain = |char: char| char.is_alphanumeric() || matches!(char, '_' | '.' | '$');
    name.chars().all(plain)
}

/// A block that runs each of `templates` by itself, and does `then` after it; what fails is remembered, but of the first
/// `needed`, which have to succeed.
fn each(templates: &[String], needed: usize, then: &str) -> String {
    block_of(&format!(
        "
DECLARE
  templates text[] := {};
  owner name := (SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database());
  failed text := '';
BEGIN
  -- or a list of names would be kept with more quotes than it had
  PERFORM pg_catalog.set_config('quote_all_identifiers', 'off', true);
  FOR number IN 1 .. pg_catalog.cardinality(templates) LOOP
    BEGIN
      EXECUTE pg_catalog.format(templates[number], pg_catalog.current_database(), owner);
      {then}
    EXCEPTION
    WHEN SQLSTATE 'BK001' THEN
      NULL;
    WHEN OTHERS THEN
      IF number <= {needed} THEN
        RAISE;
      END IF;
      failed := pg_catalog.concat(failed, pg_catalog.chr(30), number, ' ', SQLERRM);
    END;
  END LOOP;
  PERFORM pg_catalog.set_config('backupkit.failed', failed, true);
END",
        array(templates.iter().map(String::as_str)),
    ))
}

/// What failed, where numbers from `first` on are those of `properties`.
fn by_number(
    failed: &str,
    properties: &[DatabaseProperty],
    first: usize,
) -> Vec<(DatabaseProperty, String)> {
    let failed = failed.split(BETWEEN).filter_map(|failure| {
        let (number, why) = failure.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        let property = properties.get(number.checked_sub(first + 1)?)?;
        Some((property.clone(), why.to_string()))
    });
    failed.collect()
}

/// As [`template`], but a setting of all is one of the own role.
fn for_oneself(property: &DatabaseProperty) -> String {
    match property {
        DatabaseProperty::Setting {
            role: None,
            name,
            values,
        } => {
            let set = set_to(name, values);
            format!("ALTER ROLE CURRENT_USER SET {set}")
        }
        other => template(other),
    }
}

/// A part of a format: `name TO value, value`.
fn set_to(name: &str, values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
    plain(&format!("{} TO {}", identifier(name), values.join(", ")))
}

/// A text as a format has it.
fn plain(text: &str) -> String {
    text.replace('%', "%%")
}

/// The statements that set it: a format of which the first argument is the name of the database, and the second that of its
/// owner.
fn template(property: &DatabaseProperty) -> String {
    match property {
        DatabaseProperty::Setting { role, name, values } => {
            let of = match role {
                Some(role) => format!("ROLE {} IN ", plain(&identifier(role))),
                None => String::new(),
            };
            let set = set_to(name, values);
            format!("ALTER {of}DATABASE %1$I SET {set}")
        }
        DatabaseProperty::Rights(grantee, rights) => {
            let to = match grantee {
                Grantee::Public => "PUBLIC".to_string(),
                Grantee::Owner => "%2$I".to_string(),
                Grantee::Role(role) => plain(&identifier(role)),
            };
            let mut statements = format!("REVOKE ALL ON DATABASE %1$I FROM {to}");
            for (right, passes_on) in rights {
                statements += &format!("; GRANT {right} ON DATABASE %1$I TO {to}");
                if *passes_on {
                    statements += " WITH GRANT OPTION";
                }
            }
            statements
        }
        DatabaseProperty::ConnectionLimit(limit) => {
            format!("ALTER DATABASE %1$I CONNECTION LIMIT {limit}")
        }
        DatabaseProperty::Template => "ALTER DATABASE %1$I IS_TEMPLATE true".into(),
        DatabaseProperty::Comment(text) => {
            format!("COMMENT ON DATABASE %1$I IS {}", plain(&literal(text)))
        }
        DatabaseProperty::Label(provider, text) => format!(
            "SECURITY LABEL FOR {} ON DATABASE %1$I IS {}",
            plain(&identifier(provider)),
            plain(&literal(text))
        ),
    }
}

/// The statement that takes a comment away.
pub const NO_COMMENT: &str = "COMMENT ON DATABASE %1$I IS NULL";

/// The statement that takes all settings of all sessions away.
pub const RESET: &str = "ALTER DATABASE %1$I RESET ALL";

/// What a block remembered, as [`READ`] tells it.
const FAILED: &str = "SELECT 'failed', '', '', current_setting('backupkit.failed', true)";

/// Rows of a kind, a role, a name and a text.
const READ: &str = "
    WITH d AS (SELECT * FROM pg_catalog.pg_database WHERE datname = current_database())
    SELECT 'failed', '', '', current_setting('backupkit.failed', true)
    UNION ALL SELECT 'owner', '', '', pg_get_userbyid(datdba)::text FROM d
    UNION ALL SELECT CASE setrole WHEN 0 THEN 'setting' ELSE 'setting of a role' END,
        CASE setrole WHEN 0 THEN '' ELSE pg_get_userbyid(setrole)::text END,
        split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
      FROM d JOIN pg_db_role_setting ON setdatabase = d.oid, unnest(setconfig) setting
    UNION ALL SELECT CASE grantee WHEN 0 THEN 'right of all' WHEN datdba THEN 'right of the owner' ELSE 'right' END,
        CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END, privilege_type, is_grantable::text
      FROM d, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    UNION ALL SELECT 'limit', '', '', datconnlimit::text FROM d WHERE datconnlimit <> -1
    UNION ALL SELECT 'template', '', '', '' FROM d WHERE datistemplate
    UNION ALL SELECT 'comment', '', '', shobj_description(oid, 'pg_database') FROM d
      WHERE shobj_description(oid, 'pg_database') IS NOT NULL
    UNION ALL SELECT 'label', '', provider, label FROM d JOIN pg_shseclabel l
      ON l.objoid = d.oid AND l.classoid = 'pg_catalog.pg_database'::regclass";

/// What the database has, and which statements failed, in one text.
fn read(rows: Vec<Vec<String>>) -> (SetProperties, String) {
    let (mut found, mut failed) = (SetProperties::default(), String::new());
    let of_all = [Grantee::Public, Grantee::Owner].map(|grantee| (grantee, Rights::new()));
    let mut rights: BTreeMap<Grantee, Rights> = of_all.into();
    for row in rows {
        let mut columns = row.into_iter();
        let mut next = || columns.next().unwrap_or_default();
        let (kind, role, name) = (next(), next(), next());
        // a comment may hold any character
        let text = columns.collect::<Vec<_>>().join("\u{1f}");
        let mut right = |grantee: Grantee| {
            let passes_on = rights.entry(grantee).or_default().entry(name.clone());
            *passes_on.or_default() |= text == "true";
        };
        let property = match kind.as_str() {
            "right of all" => {
                right(Grantee::Public);
                None
            }
            "right of the owner" => {
                right(Grantee::Owner);
                None
            }
            "right" => {
                right(Grantee::Role(role));
                None
            }
            "failed" => {
                failed = text;
                None
            }
            "owner" => {
                found.owner = text;
                None
            }
            "setting" => Some(DatabaseProperty::setting(None, &name, &text)),
            "setting of a role" => Some(DatabaseProperty::setting(Some(role), &name, &text)),
            "limit" => text.parse().ok().map(DatabaseProperty::ConnectionLimit),
            "template" => Some(DatabaseProperty::Template),
            "comment" => Some(DatabaseProperty::Comment(text)),
            "label" => Some(DatabaseProperty::Label(name, text)),
            _ => None,
        };
        found.now.extend(property);
    }
    let unusual = rights.into_iter();
    let unusual = unusual.filter(|(grantee, rights)| *rights != grantee.rights_at_first());
    let unusual = unusual.map(|(grantee, rights)| DatabaseProperty::Rights(grantee, rights));
    found.now.extend(unusual);
    (found, failed)
}
