//! Extensions that a server has to load as it starts, which no catalog tells.

use super::tools::Tool;
use std::path::Path;

/// What servers call the list of what they load.
pub const SETTING: &str = "shared_preload_libraries";
/// Where installations keep their libraries, beside the directory of their programs.
const LIBRARIES: [&str; 5] = [
    "lib",
    "lib/postgresql",
    "lib/pgsql",
    "lib64/postgresql",
    "lib64/pgsql",
];

/// One that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct PreloadedExtension {
    /// Its name.
    pub name: &'static str,
    /// The library, as the setting names it.
    pub library: &'static str,
    /// Without the library it cannot even be made; else only what it is for does not work.
    pub is_needed_to_create: bool,
    /// It does on its own what rows of a database tell it to.
    pub runs_jobs: bool,
    /// The setting that names the one database in which it can be made.
    pub database_setting: Option<&'static str>,
}

const fn known(
    name: &'static str,
    is_needed_to_create: bool,
    runs_jobs: bool,
) -> PreloadedExtension {
    PreloadedExtension {
        name,
        library: name,
        is_needed_to_create,
        runs_jobs,
        database_setting: None,
    }
}

/// Those that want to be loaded before others come first.
const KNOWN: &[PreloadedExtension] = &[
    known("citus", true, true),
    known("timescaledb", true, true),
    PreloadedExtension {
        database_setting: Some("cron.database_name"),
        ..known("pg_cron", true, true)
    },
    known("pglogical", true, true),
    known("pgaudit", true, false),
    known("pg_net", false, true),
    known("pg_squeeze", false, true),
    known("pg_stat_statements", false, false),
    known("pg_stat_kcache", false, false),
    known("pg_stat_monitor", false, false),
    known("pg_qualstats", false, false),
    known("pg_wait_sampling", false, false),
    known("pg_tle", false, false),
];

/// Libraries whose workers reach other servers by what rows of a database say: a copy of it would reach those of its origin, and
/// the origin most of all.
const REACHING_OUT: [&str; 6] = ["pg_cron", "pglogical", "pg_net", "spock", "bdr", "pgactive"];

/// The setting without those that reach other servers; `None` where it names none of them.
pub fn without_those_that_reach_out(setting: &str) -> Option<String> {
    let entries = setting.split(',').map(str::trim).zip(libraries(setting));
    let reaches_out = |library: &str| REACHING_OUT.contains(&library);
    let (gone, kept): (Vec<_>, Vec<_>) = entries.partition(|(_, library)| reaches_out(library));
    let kept: Vec<&str> = kept.into_iter().map(|(entry, _)| entry).collect();
    (!gone.is_empty()).then(|| kept.join(", "))
}

/// Those of these extensions that have to be loaded.
pub fn among(extensions: &[String]) -> impl Iterator<Item = &'static PreloadedExtension> {
    KNOWN
        .iter()
        .filter(|known| extensions.iter().any(|name| name == known.name))
}

/// The libraries that the setting names, by their names alone.
pub fn libraries(setting: &str) -> impl Iterator<Item = &str> {
    setting.split(',').map(|entry| {
        let entry = entry.trim().trim_matches('"');
        let file = entry.rsplit('/').next().unwrap_or(entry);
        file.strip_suffix(".so").unwrap_or(file)
    })
}

impl PreloadedExtension {
    /// True where its library lies with the programs of a server.
    pub fn is_installed(&self, postgres: &Tool) -> bool {
        let program = postgres.path.canonicalize();
        let program = program.unwrap_or_else(|_| postgres.path.clone());
        let root = program.parent().and_then(Path::parent);
        root.is_some_and(|root| {
            let file = format!("{}.so", self.library);
            LIBRARIES
                .iter()
                .any(|place| root.join(place).join(&file).is_file())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_known_however_the_setting_names_it() {
        let named = libraries("pg_cron, \"$libdir/pgaudit\",/opt/lib/citus.so");
        assert_eq!(named.collect::<Vec<_>>(), ["pg_cron", "pgaudit", "citus"]);
    }

    #[test]
    fn what_reaches_others_is_left_out_of_the_setting_and_nothing_else() {
        let without = without_those_that_reach_out("pgaudit, \"$libdir/pg_cron\",pg_net, citus");
        assert_eq!(without.as_deref(), Some("pgaudit, citus"));
        assert_eq!(without_those_that_reach_out("pg_cron").as_deref(), Some(""));
        assert_eq!(without_those_that_reach_out("pgaudit,pg_crony"), None);
        assert_eq!(without_those_that_reach_out(""), None);
    }

    #[test]
    fn only_what_has_to_be_loaded_is_and_citus_first() {
        let extensions = ["plpgsql", "pg_cron", "citus"].map(String::from);
        let names: Vec<&str> = among(&extensions).map(|known| known.name).collect();
        assert_eq!(names, ["citus", "pg_cron"]);
    }
}
