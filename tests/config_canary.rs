//! A secret that got into the wrong place of a configuration is not repeated by what is said about the file.
//!
//! Each line of two examples is spoilt in every way that people have of spoiling one, with a secret in the place of each
//! key and of each value. Names of databases and storages are no secrets: they are what people call backups by.

use backupkit::config::Config;
use std::ffi::OsString;

const EXAMPLES: [&str; 2] = [
    include_str!("config/example.yaml"),
    include_str!("config/block.yaml"),
];

/// What may become of `key: value`, with `KEY` for the key.
const SPOILT: &[&str] = &[
    "KEY:hunter2-S3cret",
    "KEY :hunter2-S3cret",
    "KEY: hunter2-S3cret",
    "KEY: hunter2-S3cret more",
    "KEY: 'hunter2-S3cret",
    "KEY: \"hunter2-S3cret",
    "KEY: \"hunter2-S3cret\" more",
    "KEY: hunter2-S3cret: more",
    "KEY: [hunter2-S3cret]",
    "KEY: [hunter2-S3cret",
    "KEY: {hunter2-S3cret}",
    "KEY: {hunter2-S3cret: x}",
    "KEY: {x: hunter2-S3cret}",
    "KEY: {KEY:hunter2-S3cret}",
    "KEY: {KEY: , hunter2-S3cret}",
    "KEY: {{hunter2-S3cret: x}: y}",
    "KEY: !hunter2-S3cret x",
    "KEY: !!int hunter2-S3cret",
    "KEY: !!bool hunter2-S3cret",
    "KEY: !!null hunter2-S3cret",
    "KEY: *hunter2-S3cret",
    "KEY: @hunter2-S3cret",
    "KEY: %hunter2-S3cret",
    "KEY: `hunter2-S3cret",
    "KEY: |hunter2-S3cret",
    "KEY: ${hunter2-S3cret",
    "KEY: ${hunter2-S3cret}",
    "KEY: ${NONE:-hunter2-S3cret}",
    "KEY: ${NONE:?hunter2-S3cret}",
    "KEY: x\thunter2-S3cret: y",
    "KEY: \u{1}hunter2-S3cret",
    "KEY: ~/hunter2-S3cret",
    "KEY: http://x:hunter2-S3cret@",
    "KEY: https:// hunter2-S3cret",
    "KEY: postgresql://u:hunter2-S3cret@h:x/d",
    "KEY: postgresql://u:p?hunter2-S3cret@h/d",
    "KEY: postgresql://u:p/hunter2-S3cret@h/d",
    "KEY: postgresql://u:p%hunter2-S3cret@h/d",
    "KEY: postgresql://u@h/d?password=%hunter2-S3cret",
    "KEY: postgresql://u@h/d?hunter2-S3cret=x",
    "KEY: 12 hunter2-S3cret",
    "KEY: [--hunter2-S3cret]",
    "KEY: ['--password hunter2-S3cret', '-W hunter2-S3cret', hunter2-S3cret]",
    "KEY=hunter2-S3cret",
    "KEY hunter2-S3cret",
    "KEYhunter2-S3cret: x",
    "hunter2-S3cret: x",
    "hunter2-S3cret:",
    "hunter2-S3cret",
    "hunter2-S3cret KEY: x",
    "KEY: x\nhunter2-S3cret: y",
    "KEY: x\n hunter2-S3cret",
    "KEY: x\n\thunter2-S3cret: y",
    "KEY: x\n--- hunter2-S3cret",
    "KEY: x\nKEY: hunter2-S3cret",
    "- hunter2-S3cret",
    "? hunter2-S3cret",
];

/// The example with line `at` spoilt, where that line has a key that is no name.
fn spoil(example: &str, at: usize, how: &str) -> Option<String> {
    let mut lines: Vec<String> = example.lines().map(str::to_owned).collect();
    let line = &lines[at];
    let text = line.trim_start_matches([' ', '-']);
    let before = &line[..line.len() - text.len()];
    let (key, _) = text.split_once(':')?;
    if key == "name" || key.starts_with('#') {
        return None;
    }
    let spaces = " ".repeat(before.len());
    let spoilt = how
        .replace("KEY", key)
        .replace('\n', &format!("\n{spaces}"));
    lines[at] = format!("{before}{spoilt}");
    Some(lines.join("\n"))
}

#[test]
fn a_secret_in_the_wrong_place_of_the_file_is_not_repeated() {
    let env = |_: &str| None::<OsString>;
    let mut refused = 0;
    let lines = EXAMPLES.map(|example| (0..example.lines().count()).map(move |at| (example, at)));
    for (example, at) in lines.into_iter().flatten() {
        for how in SPOILT {
            let Some(text) = spoil(example, at, how) else {
                continue;
            };
            let said = match Config::parse("config.yaml", &text, &env) {
                Ok(config) => config.warnings.join("\n"),
                Err(error) => {
                    refused += 1;
                    format!("{}\n{error:?}", error.report())
                }
            };
            assert!(!said.contains("hunter2"), "line {}: {how}\n{said}", at + 1);
        }
    }
    assert!(refused > 3000, "only {refused} files were refused");
}

#[test]
fn a_key_without_the_space_is_told_what_it_lacks() {
    let env = |_: &str| None::<OsString>;
    let line =
        "    connection: { host: db1, port: 5432, database: app, user: me, password:hunter2 }";
    let text = format!(
        "version: 1\nstorage: [{{ name: local, type: local, local: {{ path: /x }} }}]\ndatabases:\n  \
         - name: app\n    type: postgres\n{line}\n    backup: {{ storage: local }}\n"
    );
    let error = Config::parse("config.yaml", &text, &env).unwrap_err();
    assert_eq!(
        error.report(),
        "config.yaml: line 6, column 67: databases[0].connection has password: without a space after it\n  \
         hint: write password: VALUE, with a space after the colon"
    );
}
