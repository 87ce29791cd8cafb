//! A release is made of what is committed, and takes the place of the one before only when all of it is there. With stand-ins
//! for what builds; `make test-release` makes real ones. And what the crate holds, and `make install` installs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What `packaging/release` calls, each replaced by a script.
const BUILDERS: [(&str, &str); 7] = [
    ("tests/parts/debian", ""),
    ("packaging/static", ""),
    ("packaging/deb/build", "touch $1/backupkit_$version.deb"),
    ("packaging/rpm/build", "touch $1/backupkit-$version.rpm"),
    ("packaging/dependencies", "echo '{}'"),
    ("packaging/stage", STAGE),
    ("packaging/image/build", "exit 1"),
];

const STAGE: &str = "\
mkdir -p $1/usr/bin $1/usr/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d,man,doc/backupkit}
mkdir -p $1/usr/lib/{systemd/system,sysusers.d,tmpfiles.d}
touch $1/usr/bin/backupkit $1/usr/share/bash-completion/completions/backupkit $1/usr/share/zsh/site-functions/_backupkit
touch $1/usr/share/fish/vendor_completions.d/backupkit.fish $1/usr/share/doc/backupkit/THIRD-PARTY";

/// A clone in which `packaging/release` builds in no time, and fails at the image.
struct Clone(TempDir);

impl Clone {
    fn new() -> Clone {
        let clone = Clone(tempfile::tempdir().expect("a directory"));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = [
            "Cargo.toml",
            "packaging/common",
            "packaging/release",
            "packaging/config.yaml",
            "tests/decoder/decode.py",
            "README.md",
            "CHANGELOG.md",
            "LICENSE",
            ".gitignore",
        ];
        for file in files {
            let place = clone.path(file);
            fs::create_dir_all(place.parent().expect("it has one")).expect("make a directory");
            fs::copy(repository.join(file), place).expect("copy a file");
        }
        for (script, does) in BUILDERS {
            clone.script(script, does);
        }
        clone.git(&["init", "--quiet"]);
        clone.git(&["add", "."]);
        clone.git(&["commit", "--quiet", "--message", "all"]);
        clone
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, does: &str) {
        let place = self.path(name);
        let version = "version=${BACKUPKIT_VERSION:-clean}";
        fs::create_dir_all(place.parent().expect("it has one")).expect("make a directory");
        fs::write(&place, format!("#!/bin/bash\nset -e\n{version}\n{does}\n")).expect("write it");
        fs::set_permissions(&place, Permissions::from_mode(0o755)).expect("it is ours");
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
        git.args(arguments).current_dir(self.0.path());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.status().expect("git is installed").success());
    }

    fn release(&self, variables: &[(&str, &str)]) -> Output {
        let mut release = Command::new(self.path("packaging/release"));
        release.env_remove("CARGO_TARGET_DIR");
        release.envs(variables.iter().copied());
        release.output().expect("it starts")
    }

    fn artifacts(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("target/artifacts")).expect("they are there");
        let names = entries.map(|entry| entry.expect("read a directory").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_release_that_fails_leaves_the_one_before() {
    let clone = Clone::new();
    fs::create_dir_all(clone.path("target/artifacts")).expect("make a directory");
    fs::write(clone.path("target/artifacts/earlier"), "").expect("write it");
    let output = clone.release(&[]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(clone.artifacts(), ["earlier"]);
    assert!(!clone.path("target/artifacts.new").exists());
}

#[test]
fn what_is_not_committed_is_not_released_but_as_dirty() {
    let clone = Clone::new();
    fs::write(clone.path("README.md"), "changed").expect("write it");
    let output = clone.release(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for part in [" M README.md", "BACKUPKIT_DIRTY=1"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // up to the image, which bears it as well
    clone.script(
        "packaging/image/build",
        "echo \"image $1, version $version\" >&2; exit 1",
    );
    let output = clone.release(&[("BACKUPKIT_DIRTY", "1")]);
    let said = String::from_utf8_lossy(&output.stderr);
    let version = env!("CARGO_PKG_VERSION");
    let dirty = format!("image localhost/backupkit:{version}-dirty, version {version}~dirty");
    assert!(said.contains(&dirty), "{said}");
}

#[test]
fn a_tarball_holds_the_units() {
    let clone = Clone::new();
    let stage = format!(
        "{STAGE}\ntouch $1/usr/lib/systemd/system/backupkit.service $1/usr/lib/sysusers.d/backupkit.conf"
    );
    clone.script("packaging/stage", &stage);
    // the tarball is there when the image is made
    clone.script(
        "packaging/image/build",
        "tar --list --file target/artifacts.new/*.tar.gz >&2; exit 1",
    );
    clone.git(&["commit", "--quiet", "--all", "--message", "units"]);
    let output = clone.release(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    for file in [
        "lib/systemd/system/backupkit.service",
        "lib/sysusers.d/backupkit.conf",
        "lib/tmpfiles.d/",
    ] {
        assert!(
            said.lines().any(|line| line.ends_with(file)),
            "{file}: {said}"
        );
    }
}

#[test]
fn the_crate_holds_what_builds_it_and_no_archives() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut package = Command::new(cargo);
    package.args(["package", "--list", "--allow-dirty", "--offline"]);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = package.current_dir(repository).output().expect("it starts");
    let files = String::from_utf8(output.stdout).expect("UTF-8");
    for file in ["src/main.rs", "man/backupkit.1", "LICENSE", "README.md"] {
        assert!(files.lines().any(|line| line == file), "{file}: {files}");
    }
    let sizes = files
        .lines()
        .filter_map(|file| repository.join(file).metadata().ok());
    let bytes: u64 = sizes.map(|metadata| metadata.len()).sum();
    assert!(bytes < 4 << 20, "{bytes} bytes: {files}");
}

#[test]
fn make_install_puts_everything_below_a_prefix_and_the_units_start_it_there() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut install = Command::new("make");
    install.args(["install", "PREFIX=/opt/kit"]);
    install.arg(format!("DESTDIR={}", folder.path().display()));
    install.env("BACKUPKIT_BINARY", env!("CARGO_BIN_EXE_backupkit"));
    install.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    install.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = install.output().expect("make is installed");
    assert!(output.status.success(), "{output:?}");
    let place = folder.path().join("opt/kit");
    for file in [
        "bin/backupkit",
        "share/man/man1/backupkit.1.gz",
        "share/bash-completion/completions/backupkit",
        "share/zsh/site-functions/_backupkit",
        "share/fish/vendor_completions.d/backupkit.fish",
        "share/doc/backupkit/THIRD-PARTY",
        "lib/systemd/system/backupkit-backup.timer",
        "lib/sysusers.d/backupkit.conf",
    ] {
        assert!(place.join(file).is_file(), "{file}");
    }
    let unit = fs::read_to_string(place.join("lib/systemd/system/backupkit.service"));
    let unit = unit.expect("it is there");
    assert!(unit.contains("=/opt/kit/bin/backupkit "), "{unit}");
    assert!(!unit.contains("/usr/bin/backupkit"), "{unit}");
    // nothing else is touched
    let entries = fs::read_dir(folder.path()).expect("it is there");
    assert_eq!(entries.count(), 1);
}
