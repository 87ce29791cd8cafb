//! The variables that a service gets by its unit: systemd.exec(5), ENVIRONMENT.

use super::service_sandbox::OWN;
use super::unit_settings::{UnitSettings, split};
use crate::process::account::Account;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

/// No file of variables is larger; the limit keeps a wrong path from filling the memory.
const LARGEST_FILE: u64 = 1 << 20;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// What `Environment=` and `EnvironmentFile=` say; a file counts before the unit, and of two files the later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitEnvironment {
    variables: BTreeMap<String, String>,
    is_whole: bool,
}

impl UnitEnvironment {
    /// By `settings`, with the files below `root`.
    pub fn of(root: &Path, settings: &UnitSettings) -> UnitEnvironment {
        let mut variables = given(settings);
        let words = settings.words("Environment");
        variables.extend(words.iter().filter_map(assigned));
        // what systemd itself was started with, nobody can ask without it
        let mut is_whole = settings.values("PassEnvironment").next().is_none();
        for file in settings.values("EnvironmentFile") {
            let path = file.trim_start_matches('-');
            match read(&root.join(path.trim_start_matches('/'))) {
                Ok(text) => variables.extend(assignments(&text)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => is_whole = false,
            }
        }
        UnitEnvironment {
            variables,
            is_whole,
        }
    }

    /// The value of the variable `name`.
    pub fn get(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }

    /// False where this user may not read all that systemd reads.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// What systemd gives to every service.
fn given(settings: &UnitSettings) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        given.insert(name.to_string(), value.to_string());
    };
    set("PATH", PATH);
    let account = settings
        .last("User")
        .and_then(|user| Account::named_or_numbered(user).ok());
    if let Some(account) = account {
        set("USER", &account.name);
        set("LOGNAME", &account.name);
        if !account.home.is_empty() {
            set("HOME", &account.home);
        }
    }
    for (key, above) in OWN {
        let own = settings.words(key);
        let own: Vec<String> = own.iter().map(|name| format!("{above}/{name}")).collect();
        if !own.is_empty() {
            let name = key.replace("Directory", "_DIRECTORY").to_uppercase();
            set(&name, &own.join(":"));
        }
    }
    given
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(LARGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// `NAME=value`, taken apart.
fn assigned(text: impl AsRef<str>) -> Option<(String, String)> {
    let (name, value) = text.as_ref().split_once('=')?;
    Some((name.trim().to_string(), value.to_string()))
}

/// Those of a file, in which quotes go around a value or a part of it.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let text = text.replace("\\\n", "");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ';']));
    let assigned = lines.filter_map(assigned);
    assigned
        .map(|(name, value)| match value.contains(['"', '\'']) {
            // no percent sign stands for something else in a file
            true => (name, split(&value.replace('%', "%%")).join(" ")),
            false => (name, value.trim().to_string()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_count_before_the_unit_and_a_missing_one_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(
            "etc/systemd/system/x.service",
            "[Service]\nUser=root\nStateDirectory=s\nEnvironment=A=1 \"B=two words\" C=%%\nEnvironment=D=4\nEnvironmentFile=-/etc/env\nEnvironmentFile=-/etc/none\n",
        );
        put(
            "etc/env",
            "# E=5\nA=one\nB='it is' \nF = \"a %b\"\nG=a\\\nb\nH=pa%ss word \n",
        );
        let of = || {
            let settings = UnitSettings::read(root.path(), "x.service", "").unwrap();
            UnitEnvironment::of(root.path(), &settings)
        };
        let environment = of();
        for (name, value) in [
            ("A", "one"),
            ("B", "it is"),
            ("C", "%"),
            ("D", "4"),
            ("F", "a %b"),
            ("G", "ab"),
            ("H", "pa%ss word"),
            ("HOME", "/root"),
            ("STATE_DIRECTORY", "/var/lib/s"),
        ] {
            assert_eq!(environment.get(name), Some(value.into()), "{name}");
        }
        assert_eq!(environment.get("E"), None);
        assert!(environment.is_whole());
        fs::remove_file(root.path().join("etc/env")).unwrap();
        fs::create_dir(root.path().join("etc/env")).unwrap();
        assert!(!of().is_whole(), "what cannot be read may say anything");
    }
}
