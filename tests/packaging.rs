//! What packages install is laid out whole, and every example in it is one that the program takes. `make test-packages`
//! installs the packages themselves.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What runs in Kubernetes.
const MANIFESTS: [&str; 3] = [
    "kubernetes/daemon/deployment.yaml",
    "kubernetes/cronjob/backup.yaml",
    "kubernetes/cronjob/verify.yaml",
];
const PROGRAM: &str = env!("CARGO_BIN_EXE_backupkit");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packaging(file: &str) -> String {
    let path = repository().join("packaging").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a command to its end and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The files and directories below `root`, with their modes.
fn walk(root: &Path, directory: &Path, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(directory).expect("read a directory") {
        let path = entry.expect("read a directory").path();
        let mode = path.metadata().expect("it is there").permissions().mode() & 0o7777;
        let name = path.strip_prefix(root).expect("below the root");
        found.push((format!("/{}", name.display()), mode));
        if path.is_dir() {
            walk(root, &path, found);
        }
    }
}

#[test]
fn a_package_holds_what_an_operator_looks_for_and_nothing_that_others_may_write() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path().join("root");
    let mut stage = Command::new(repository().join("packaging/stage"));
    run(stage.arg(&root).env("BACKUPKIT_BINARY", PROGRAM));
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    let mode = |name: &str| {
        found
            .iter()
            .find(|(path, _)| path == name)
            .map(|found| found.1)
    };
    for (path, expected) in [
        ("/usr/bin/backupkit", 0o755),
        ("/usr/share/backupkit/config.yaml", 0o644),
        ("/etc/backupkit/credentials", 0o755),
        ("/usr/lib/systemd/system/backupkit.service", 0o644),
        (
            "/usr/lib/systemd/system/backupkit.service.d/10-sandbox.conf",
            0o644,
        ),
        ("/usr/lib/systemd/system/backupkit-backup.service", 0o644),
        (
            "/usr/lib/systemd/system/backupkit-backup.service.d/10-sandbox.conf",
            0o644,
        ),
        ("/usr/lib/systemd/system/backupkit-backup.timer", 0o644),
        ("/usr/lib/sysusers.d/backupkit.conf", 0o644),
        ("/usr/lib/tmpfiles.d/backupkit.conf", 0o644),
        ("/usr/share/man/man1/backupkit.1.gz", 0o644),
        ("/usr/share/man/man5/backupkit.yaml.5.gz", 0o644),
        ("/usr/share/man/man5/backupkit-format.5.gz", 0o644),
        ("/usr/share/man/man7/backupkit-runbook.7.gz", 0o644),
        ("/usr/share/bash-completion/completions/backupkit", 0o644),
        ("/usr/share/zsh/vendor-completions/_backupkit", 0o644),
        ("/usr/share/fish/vendor_completions.d/backupkit.fish", 0o644),
        ("/usr/share/doc/backupkit/THIRD-PARTY", 0o644),
        ("/usr/share/doc/backupkit/decode.py", 0o644),
        ("/usr/share/doc/backupkit/examples/crontab", 0o644),
    ] {
        assert_eq!(mode(path), Some(expected), "{path}: {found:#?}");
    }
    for (path, mode) in &found {
        assert_eq!(mode & 0o022, 0, "{path}");
    }
    let licences = root.join("usr/share/doc/backupkit/THIRD-PARTY");
    let licences = fs::read_to_string(licences).expect("it is there");
    for library in [
        "rustls ",
        "ring ",
        "aes-gcm ",
        "musl ",
        "rust-library ",
        "libunwind ",
    ] {
        assert!(licences.contains(&format!("\n{library}")), "{library}");
    }
    // each with its text, those with a folder of texts and those of no crate too
    for words in [
        "Rich Felker",
        "The Rust Project Developers",
        "LLVM Exceptions",
    ] {
        assert!(licences.contains(words), "{words}");
    }
    let bar = "=".repeat(100);
    let headings: Vec<&str> = licences.split(&bar).skip(1).step_by(2).collect();
    for library in licences.lines().skip(2).take_while(|line| !line.is_empty()) {
        let name = library.split("  ").next().expect("a name");
        let has_text = headings
            .iter()
            .any(|names| names.trim().split(", ").any(|owner| owner == name));
        assert!(has_text, "{name} is there without its text");
    }
}

/// Writes a configuration and asks the program for its databases.
fn databases_of(configuration: &str) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("config.yaml");
    fs::write(&path, configuration).expect("write it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut command = Command::new(PROGRAM);
    run(command
        .env_clear()
        .args(["completion", "databases", "-c"])
        .arg(path))
}

#[test]
fn the_configurations_that_come_along_are_accepted() {
    // the lines that the packaged one asks to uncomment
    let packaged = packaging("config.yaml");
    let lines = packaged.lines().filter_map(|line| line.strip_prefix('#'));
    let (_, yaml) = lines.map(|line| format!("{line}\n")).fold(
        (false, String::new()),
        |(begun, yaml), line| match begun || line == "version: 1\n" {
            true => (true, yaml + &line),
            false => (false, yaml),
        },
    );
    assert_eq!(databases_of(&yaml), "app_db\n", "{yaml}");

    let yaml = packaging("kubernetes/common/config.yaml");
    assert_eq!(databases_of(&yaml), "app_db\n", "{yaml}");
}

#[test]
fn every_secret_that_an_example_names_has_its_file() {
    let config = packaging("config.yaml");
    let kubernetes = packaging("kubernetes/common/config.yaml");
    let places: [(&str, &str, &[PathBuf]); 2] = [
        (
            &config,
            "packaging/config.yaml",
            &["systemd/sandbox.conf".into(), "crontab".into()],
        ),
        (
            &kubernetes,
            "packaging/kubernetes/common/config.yaml",
            &MANIFESTS.map(PathBuf::from),
        ),
    ];
    for (text, name, users) in places {
        let variables: Vec<&str> = text
            .split("password: \"${")
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(variable, _)| variable))
            .collect();
        assert!(variables.len() > 1, "{name}: {variables:?}");
        for user in users {
            let user_text = packaging(user.to_str().expect("UTF-8"));
            for variable in &variables {
                let file = format!("{variable}_FILE");
                assert!(user_text.contains(&file), "{}: {file}", user.display());
            }
        }
    }
}

#[test]
fn units_and_crontab_run_commands_that_there_are() {
    for file in ["systemd/backupkit-backup.service", "crontab"] {
        let text = packaging(file);
        let (_, command) = text
            .rsplit_once("backupkit backup")
            .unwrap_or_else(|| panic!("{file} backs nothing up"));
        let mut help = Command::new(PROGRAM);
        let help = run(help.args(["backup", "--help"]));
        let options = command.lines().next().unwrap_or_default();
        for option in options.split(' ').filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{file}: {option}");
        }
    }
}

/// The values under `key`, however deep.
fn values_of<'a>(tree: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match tree {
        Value::Object(map) => {
            found.extend(map.get(key));
            for inner in map.values() {
                values_of(inner, key, found);
            }
        }
        Value::Array(list) => {
            for inner in list {
                values_of(inner, key, found);
            }
        }
        _ => {}
    }
}

#[test]
fn pods_and_probes_run_commands_that_there_are() {
    let mut commands = 0;
    for manifest in MANIFESTS {
        let text = packaging(manifest);
        let tree: Value = serde_yaml::from_str(&text).expect("it is YAML");
        let (mut arguments, mut probes) = (Vec::new(), Vec::new());
        values_of(&tree, "args", &mut arguments);
        values_of(&tree, "command", &mut probes);
        for words in arguments.into_iter().chain(probes) {
            let words = words.as_array().expect("a list").iter();
            let words = words.map(|word| word.as_str().expect("a word"));
            let words: Vec<&str> = words.filter(|word| *word != "/usr/bin/backupkit").collect();
            let mut help = Command::new(PROGRAM);
            let help = run(help.args([words[0], "--help"]));
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(option), "{manifest}: {words:?}");
            }
            commands += 1;
        }
    }
    assert_eq!(commands, 5, "three pods and the probes of one");
}
