//! The configuration of a server that lay outside of its data directory, as Debian has it.
//!
//! Its files are kept in `backupkit.configuration`, as they were but for what they include by its whole path; the data directory gets
//! a `postgresql.conf` that includes them and overrides what leads back to the origin, so that `pg_ctl -D` alone starts it, and
//! nothing of where it came from is touched.

use super::settings::{quoted, use_file};
use super::unpack::{create_file, make_directory};
use super::written_settings;
use crate::error::{Doing, Result};
use crate::source::physical::details::{ClusterDetails, ConfigurationFile};
use crate::source::physical::server_facts::{insisted, settings_of_segments};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// Where configuration files are put that lay elsewhere, with a number behind it where there is such a directory in the backup.
const CONFIGURATION: &str = "backupkit.configuration";
/// The setting that names the file which names the others.
const MAIN: &str = "config_file";
const MAIN_NAME: &str = "postgresql.conf";

/// Gives `data` the configuration files that lay outside of it, and ones of its own where those could not be read: the server's own
/// user is let in, by its socket. `data` is absolute, `segment_size` that of its WAL in bytes. Returns where each copy is and where its
/// original lay.
pub fn restore(
    data: &Path,
    details: &ClusterDetails,
    segment_size: u64,
) -> Result<Vec<(PathBuf, String)>> {
    let main = details
        .configuration
        .iter()
        .find(|file| file.setting == MAIN);
    let origin = main.and_then(|file| Path::new(&file.path).parent());
    let place = new_place(data);
    let mut restored: Vec<(PathBuf, String)> = Vec::new();
    let mut texts = Vec::new();
    for file in &details.configuration {
        let (Some(text), Some(name)) = (&file.text, name_of(file, origin)) else {
            continue;
        };
        let relative = place.join(name);
        make_parents(data, &relative)?;
        let path = data.join(&relative);
        if restored.iter().all(|(known, _)| *known != path) {
            restored.push((path, file.path.clone()));
            texts.push(text);
        }
    }
    for ((path, _), text) in restored.iter().zip(texts) {
        write_new(path, &led_to_copies(text, path, data, &restored))?;
    }
    let copy_of = |setting: &str| {
        let file = details
            .configuration
            .iter()
            .find(|file| file.setting == setting)?;
        let copy = restored.iter().find(|(_, before)| *before == file.path);
        copy.map(|(path, _)| path.clone())
    };
    match (main, copy_of(MAIN)) {
        (Some(main), Some(copy)) => {
            make_included_directories(data, &place, main.text.as_deref().unwrap_or_default())?;
            include(data, &place, &copy)?;
        }
        _ => {
            keep_data_directory(data, details, segment_size)?;
            lead_to_copies(data, &restored)?;
        }
    }
    for (setting, name, text) in [
        ("hba_file", "pg_hba.conf", "local all all peer\n"),
        ("ident_file", "pg_ident.conf", ""),
    ] {
        let own = data.join(name);
        let lay_elsewhere = details
            .configuration
            .iter()
            .any(|file| file.setting == setting);
        if lay_elsewhere {
            let path = copy_of(setting).unwrap_or_else(|| own.clone());
            use_file(data, setting, &path)?;
        } else if let Some(path) = written_settings::value(data, setting) {
            // it lay in the data directory, and that was another one
            use_file(
                data,
                setting,
                &in_this_directory(data, Path::new(&path)).unwrap_or(own.clone()),
            )?;
        }
        if !own.exists() {
            write_new(&own, text)?;
        }
    }
    Ok(restored)
}

/// The name of a directory in `data` that is not there yet.
fn new_place(data: &Path) -> PathBuf {
    let numbered = (2..).map(|number| PathBuf::from(format!("{CONFIGURATION}.{number}")));
    let mut names = std::iter::once(PathBuf::from(CONFIGURATION)).chain(numbered);
    let free = names.find(|name| !data.join(name).exists());
    free.unwrap_or_else(|| CONFIGURATION.into())
}

/// Where a file is now that lay at `path` in a data directory which is `data` by now.
fn in_this_directory(data: &Path, path: &Path) -> Option<PathBuf> {
    let mut rest = path.components();
    while rest.next().is_some() {
        let plain = rest
            .clone()
            .all(|part| matches!(part, Component::Normal(_)));
        let now = data.join(rest.as_path());
        if plain && now.is_file() {
            return Some(now);
        }
    }
    None
}

/// What a file is called below [`CONFIGURATION`]: what lay below the directory of the main one keeps its place, since that one
/// includes it by it.
fn name_of<'a>(file: &'a ConfigurationFile, origin: Option<&Path>) -> Option<&'a Path> {
    let path = Path::new(&file.path);
    let relative = origin.and_then(|origin| path.strip_prefix(origin).ok());
    let is_plain = |path: &Path| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    };
    relative
        .filter(|relative| is_plain(relative))
        .or_else(|| path.file_name().map(Path::new))
}

/// The text of a configuration file, which is `file` in `data` now, with each absolute path that it includes led to the copy of what
/// lies there, of `copies` and where they lay. What has no copy stays.
fn led_to_copies(text: &str, file: &Path, data: &Path, copies: &[(PathBuf, String)]) -> String {
    let include = |is_meant: &dyn Fn(&Path) -> bool| -> Option<String> {
        let meant = copies
            .iter()
            .filter(|(_, before)| is_meant(Path::new(before)));
        let mut meant: Vec<&(PathBuf, String)> = meant.collect();
        meant.sort_by(|one, other| one.1.cmp(&other.1));
        let lines = meant
            .iter()
            .map(|(copy, _)| format!("include {}\n", quoted(&relative(file, copy, data))));
        (!meant.is_empty()).then(|| lines.collect())
    };
    let led = |line: &str| {
        let (key, value) = written_settings::assignment(line)?;
        let path = Path::new(&value);
        match key.to_ascii_lowercase().as_str() {
            _ if !path.is_absolute() => None,
            "include" | "include_if_exists" => include(&|before| before == path),
            "include_dir" => include(&|before| before.parent() == Some(path)),
            _ => None,
        }
    };
    let lines = text.split_inclusive('\n');
    lines
        .map(|line| led(line).unwrap_or_else(|| line.to_string()))
        .collect()
}

/// The path of `to` as the file `from` names it, both in `data`: so that it leads nowhere else when all of that is elsewhere.
fn relative(from: &Path, to: &Path, data: &Path) -> PathBuf {
    let below = from.strip_prefix(data).unwrap_or(from);
    let up = below.components().skip(1).map(|_| "..");
    up.collect::<PathBuf>()
        .join(to.strip_prefix(data).unwrap_or(to))
}

fn make_parents(data: &Path, relative: &Path) -> Result<()> {
    let parents: Vec<&Path> = relative.ancestors().skip(1).collect();
    for parent in parents.into_iter().rev() {
        if !parent.as_os_str().is_empty() {
            make_directory(&data.join(parent))?;
        }
    }
    Ok(())
}

/// Makes the directories that the text of the main file includes, which are often empty and have to be there.
fn make_included_directories(data: &Path, place: &Path, text: &str) -> Result<()> {
    let assigned = text.lines().filter_map(written_settings::assignment);
    let named = assigned.filter(|(key, _)| key.eq_ignore_ascii_case("include_dir"));
    for (_, name) in named {
        let relative = Path::new(&name);
        let is_below = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if is_below && !name.is_empty() {
            make_parents(data, &place.join(relative).join("file"))?;
        }
    }
    Ok(())
}

/// Writes the file that a server started in `data` reads first.
fn include(data: &Path, place: &Path, copy: &Path) -> Result<()> {
    let path = data.join(MAIN_NAME);
    if path.exists() {
        // one that its origin did not read
        fs::rename(&path, data.join(place).join("postgresql.conf.unused"))
            .doing(|| format!("cannot move {}", path.display()))?;
    }
    write_new(
        &path,
        &format!(
            "# Written by backupkit: the configuration lay outside of the data directory, and this is a copy of it. What follows it is of this directory.\n\
             include {}\ndata_directory = {}\n",
            quoted(&relative(&path, copy, data)),
            quoted(data)
        ),
    )
}

/// Where the configuration itself says where its data directory is, that is `data` now: a server that reads the old one would
/// start there.
fn keep_data_directory(data: &Path, details: &ClusterDetails, segment_size: u64) -> Result<()> {
    let path = data.join(MAIN_NAME);
    if !path.exists() {
        log::warn!(
            "the configuration lay outside of the data directory and could not be read when it was backed up: what the server needs \
             to start is in {}, all else is PostgreSQL's default",
            path.display()
        );
        let known = insisted(&details.settings);
        let known = known.map(|(name, value)| (name.to_string(), value.to_string()));
        let mut text = "# Written by backupkit: that of the origin lay outside of its data directory, and could not be read but for this.\n".to_string();
        for (name, value) in known.chain(settings_of_segments(segment_size)) {
            text.push_str(&format!("{name} = {value}\n"));
        }
        return write_new(&path, &text);
    }
    let doing = || format!("cannot write {}", path.display());
    let text = fs::read(&path).doing(doing)?;
    let text = String::from_utf8_lossy(&text);
    let mut assigned = text.lines().filter_map(written_settings::assignment);
    let is_named = assigned.any(|(key, _)| {
        let key = key.to_ascii_lowercase();
        key == "data_directory" || key.starts_with("include")
    });
    if !is_named {
        return Ok(());
    }
    let line = format!(
        "\n# Written by backupkit\ndata_directory = {}\n",
        quoted(data)
    );
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .doing(doing)
}

/// Has the configuration that lay in the data directory include copies of what lay elsewhere.
fn lead_to_copies(data: &Path, copies: &[(PathBuf, String)]) -> Result<()> {
    let path = data.join(MAIN_NAME);
    let doing = || format!("cannot write {}", path.display());
    // what is no text is left as it is
    let Ok(text) = String::from_utf8(fs::read(&path).doing(doing)?) else {
        return Ok(());
    };
    let led = led_to_copies(&text, &path, data, copies);
    match led == text {
        true => Ok(()),
        false => fs::write(&path, led).doing(doing),
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    create_file(path)?
        .write_all(text.as_bytes())
        .doing(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 16 << 20;

    fn file(setting: &str, path: &str, text: &str) -> ConfigurationFile {
        ConfigurationFile {
            setting: setting.into(),
            path: path.into(),
            text: Some(text.into()),
        }
    }

    #[test]
    fn what_lay_elsewhere_is_included_and_leads_back_to_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        let main = "data_directory = '/live'\ninclude_dir = 'conf.d'\ninclude '/other/more.conf' # all\nport = 5433\n";
        let details = ClusterDetails {
            configuration: vec![
                file("config_file", "/etc/pg/postgresql.conf", main),
                file("hba_file", "/etc/pg/pg_hba.conf", "local all all trust\n"),
                file("include", "/etc/pg/conf.d/more.conf", "work_mem = 5MB\n"),
                file("include", "/other/more.conf", ""),
            ],
            ..ClusterDetails::default()
        };
        let restored = restore(data, &details, SEGMENT).unwrap();
        assert_eq!(restored.len(), 4);
        let read = |name: &str| fs::read_to_string(data.join(name)).unwrap();
        let led = "include '../backupkit.configuration/more.conf'\n";
        assert_eq!(
            read("backupkit.configuration/postgresql.conf"),
            main.replace("include '/other/more.conf' # all\n", led)
        );
        assert_eq!(
            read("backupkit.configuration/conf.d/more.conf"),
            "work_mem = 5MB\n"
        );
        assert!(data.join("backupkit.configuration/more.conf").exists());
        let first = read("postgresql.conf");
        let last = first.lines().last().unwrap();
        assert_eq!(last, format!("data_directory = '{}'", data.display()));
        let hba = data.join("backupkit.configuration/pg_hba.conf");
        let auto = read("postgresql.auto.conf");
        assert!(auto.starts_with(&format!("hba_file = '{}' ", hba.display())));
        assert_eq!(read("pg_ident.conf"), "");
    }

    #[test]
    fn what_is_included_by_its_whole_path_is_led_to_its_copy() {
        let copies = [
            ("/new/c/b.conf", "/etc/d/b.conf"),
            ("/new/c/a.conf", "/etc/d/a.conf"),
        ];
        let copies = copies.map(|(copy, before)| (PathBuf::from(copy), before.to_string()));
        let text = "Include_Dir = '/etc/d'\ninclude 'a.conf'\ninclude_if_exists '/etc/d/b.conf'\ninclude '/etc/c.conf'\nport = 1";
        let led = |file: &str, place: &str| {
            let expected = format!(
                "include '{place}a.conf'\ninclude '{place}b.conf'\ninclude 'a.conf'\ninclude '{place}b.conf'\ninclude '/etc/c.conf'\nport = 1"
            );
            let found = led_to_copies(text, Path::new(file), Path::new("/new"), &copies);
            assert_eq!(found, expected);
        };
        led("/new/postgresql.conf", "c/");
        led("/new/c/postgresql.conf", "../c/");
        led("/new/c/d/x.conf", "../../c/");
    }

    #[test]
    fn a_configuration_that_names_its_directory_names_the_new_one() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        let path = data.join("postgresql.conf");
        fs::write(&path, "#data_directory = 'ConfigDir'\nport = 1\n").unwrap();
        restore(data, &ClusterDetails::default(), SEGMENT).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("backupkit"));
        fs::write(&path, " Data_Directory = '/live'\n").unwrap();
        restore(data, &ClusterDetails::default(), SEGMENT).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(&format!("data_directory = '{}'\n", data.display())));
    }
}
