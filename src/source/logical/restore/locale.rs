//! How a database that a restore makes sorts and compares: as the one that was dumped did, or as it is asked for.

use super::facts::{RestoreFacts, UnknownLocales};
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::quoting::{block_of, literal};

/// The first major version whose databases name a provider of their locale, and the first that brings one of its own.
const PROVIDERS: u32 = 15;
const BUILTIN: u32 = 17;
/// A setting of a session of ours, in which the server answers.
const ANSWER: &str = "backupkit.locale";

impl RestoreFacts<'_> {
    /// The options with which a database that this restore makes is made: keywords of CREATE DATABASE and their values.
    pub fn locale_of_database(&self) -> Vec<(String, String)> {
        let dumped = self.toc.as_deref().map_or(&[][..], |toc| &toc.locale);
        let dumped = dumped.iter().cloned();
        let mut options: Vec<(String, String)> = match &self.request.locale {
            None => dumped.collect(),
            Some(name) => {
                let encoding = dumped.filter(|(keyword, _)| keyword == "ENCODING");
                let asked = [("LOCALE_PROVIDER", "libc"), ("LOCALE", name)];
                let asked = asked.map(|(keyword, value)| (keyword.into(), value.into()));
                encoding.chain(asked).collect()
            }
        };
        // no word of older servers, for which there is no other
        let is_old = self.server.is_some_and(|server| server < PROVIDERS);
        options.retain(|(keyword, value)| {
            !(is_old && keyword == "LOCALE_PROVIDER" && value == "libc")
        });
        options
    }

    /// The provider of the locale, where it is none of the operating system.
    fn provider(&self) -> Option<String> {
        let mut options = self.locale_of_database().into_iter();
        let found =
            options.find(|(keyword, value)| keyword == "LOCALE_PROVIDER" && value != "libc");
        found.map(|(_, provider)| provider)
    }

    /// Asks the server, through another database, which of what it takes it does not know.
    pub fn unknown_locales(&self, client: &Client) -> Result<UnknownLocales> {
        let mut unknown = UnknownLocales::default();
        for (keyword, name) in self.locale_of_database() {
            let is_of_system = matches!(&*keyword, "LOCALE" | "LC_COLLATE" | "LC_CTYPE");
            if is_of_system && !unknown.of_system.contains(&name) && !knows(client, &name)? {
                unknown.of_system.push(name);
            }
        }
        if self.provider().as_deref() == Some("icu") {
            let sql = "SELECT 1 FROM pg_collation WHERE collprovider = 'i' \
                 AND pg_collation_actual_version(oid) IS NOT NULL LIMIT 1";
            unknown.icu = client.query(sql)?.is_empty();
        }
        Ok(unknown)
    }

    /// A locale that the server does not know, where a database is to be made with it.
    pub fn strange_locale(&self) -> Option<Error> {
        if !self.creates {
            return None;
        }
        let needed = match self.provider().as_deref() {
            Some("icu") => PROVIDERS,
            Some("builtin") => BUILTIN,
            _ => 0,
        };
        let what = match (&self.unknown_locales.of_system[..], self.server) {
            (_, Some(server)) if server < needed => format!(
                "the database that was dumped has a locale of the provider {}, which servers have from PostgreSQL {needed} on",
                self.provider().unwrap_or_default()
            ),
            (_, _) if self.unknown_locales.icu => {
                "the database that was dumped has a locale of ICU, which the server was built without".into()
            }
            ([], _) => return None,
            (names, _) => format!("the server does not know the locale {}", names.join(", ")),
        };
        Some(Error::failed(what).hint(match self.request.locale {
            Some(_) => KNOWN.to_string(),
            None => format!(
                "make the database with another one, by which text is then sorted: --locale C.UTF-8; or install the locale \
                 on the machine of the server (Debian: dpkg-reconfigure locales) and restart it; {KNOWN}"
            ),
        }))
    }
}

const KNOWN: &str = "the server knows those of: SELECT DISTINCT collcollate FROM pg_collation WHERE collprovider = 'c'";

/// True where the operating system of the server has a locale of this name. A setting that every role may make is checked as
/// that of a database is.
fn knows(client: &Client, name: &str) -> Result<bool> {
    let answer = |word: &str| format!("PERFORM pg_catalog.set_config('{ANSWER}', '{word}', true)");
    let block = block_of(&format!(
        " BEGIN PERFORM pg_catalog.set_config('lc_monetary', {}, true); {}; \
         EXCEPTION WHEN invalid_parameter_value THEN {}; END",
        literal(name),
        answer("known"),
        answer("unknown"),
    ));
    let sql = format!("{block}SELECT pg_catalog.current_setting('{ANSWER}')");
    let rows = client.query(&sql)?;
    Ok(rows.into_iter().flatten().next().as_deref() != Some("unknown"))
}
