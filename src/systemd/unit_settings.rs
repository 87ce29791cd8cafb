//! The settings of a service, by its file and its drop-ins: systemd.unit(5) says where they lie and which of them counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where units lie; what is found first counts.
const PLACES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// What stands under `[Service]`, in the order in which it is read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct UnitSettings(Vec<(String, String)>);

impl UnitSettings {
    /// Those of the service `unit` below `root`, without what its drop-ins of the name `but` say; none where there is no
    /// such unit, or it is masked.
    pub fn read(root: &Path, unit: &str, but: &str) -> Option<UnitSettings> {
        let places = PLACES.map(|place| root.join(place));
        let file = places.iter().map(|place| place.join(unit));
        let file = file
            .into_iter()
            .find(|file| file.symlink_metadata().is_ok())?;
        let text = std::fs::read_to_string(&file).ok()?;
        // one that is masked is a link to /dev/null
        if text.trim().is_empty() {
            return None;
        }
        let mut settings = UnitSettings::default();
        settings.add(&text);
        for (name, path) in drop_ins(&places, unit) {
            if name != but {
                settings.add(&std::fs::read_to_string(path).unwrap_or_default());
            }
        }
        Some(settings)
    }

    fn add(&mut self, text: &str) {
        let text = text.replace("\\\n", " ");
        let mut of_service = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') {
                of_service = line == "[Service]";
            } else if let (true, Some((key, value))) = (of_service, line.split_once('=')) {
                let (key, value) = (key.trim(), value.trim());
                // an empty value forgets what was said before
                if value.is_empty() {
                    self.0.retain(|(known, _)| known != key);
                } else {
                    self.0.push((key.to_string(), value.to_string()));
                }
            }
        }
    }

    /// The last value of `key`.
    pub fn last(&self, key: &str) -> Option<&str> {
        let mut of_key = self.0.iter().rev().filter(|(known, _)| known == key);
        of_key.next().map(|(_, value)| value.as_str())
    }

    /// All values of `key`, each as it is written.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        let of_key = self.0.iter().filter(move |(known, _)| known == key);
        of_key.map(|(_, value)| value.as_str())
    }

    /// The words of all values of `key`.
    pub fn words(&self, key: &str) -> Vec<String> {
        self.values(key).flat_map(split).collect()
    }
}

/// The drop-ins of `unit` in the order of their names; of two of one name the one in the earlier place counts.
fn drop_ins(places: &[PathBuf], unit: &str) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for place in places.iter().rev() {
        let entries = std::fs::read_dir(place.join(format!("{unit}.d")));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".conf") {
                found.insert(name, entry.path());
            }
        }
    }
    found
}

/// Words that white space separates unless it is quoted; `%%` is a percent sign.
pub(super) fn split(value: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in value.replace("%%", "%").chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn drop_ins_count_in_the_order_of_their_names_and_the_administrators_before_the_packages() {
        let root = tempfile::tempdir().unwrap();
        let of = |but: &str| UnitSettings::read(root.path(), "x.service", but);
        assert_eq!(of(""), None);
        let packaged = "usr/lib/systemd/system";
        put(
            root.path(),
            &format!("{packaged}/x.service"),
            "[Unit]\nUser=no\n[Service]\nUser = a \nReadWritePaths=/a \\\n /b\n",
        );
        put(
            root.path(),
            &format!("{packaged}/x.service.d/10-s.conf"),
            "[Service]\nUser=b\n# User=c\nPrivateTmp=yes\n",
        );
        put(
            root.path(),
            &format!("{packaged}/x.service.d/20-t.conf"),
            "[Service]\nPrivateTmp=no\n",
        );
        put(
            root.path(),
            "etc/systemd/system/x.service.d/20-t.conf",
            "[Service]\nUser=d\n",
        );
        put(
            root.path(),
            "etc/systemd/system/x.service.d/30-u.conf",
            "[Service]\nReadWritePaths=\nReadWritePaths=\"-/c d\" /e%%\n",
        );
        let settings = of("").unwrap();
        assert_eq!(settings.last("User"), Some("d"));
        assert_eq!(settings.last("PrivateTmp"), Some("yes"));
        assert_eq!(settings.words("ReadWritePaths"), ["-/c d", "/e%"]);
        assert_eq!(
            of("30-u.conf").unwrap().words("ReadWritePaths"),
            ["/a", "/b"]
        );
        put(root.path(), "etc/systemd/system/x.service", "");
        assert_eq!(of(""), None, "masked");
    }
}
